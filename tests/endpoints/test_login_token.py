"""POST /login/get_token: the token logs in, and the server's limit of one a minute is respected."""

from __future__ import annotations

import pytest
from support.accounts import Account

from interactive_auth import MatrixError, RetryPolicy, StartAuthStage

from .guesses import Guesses


def test_the_token_logs_in(account: Account, by_password: dict[str, StartAuthStage], guesses: Guesses) -> None:
    """The login token logs another device of the same account in, once."""
    response = account.homeserver.get_login_token().authenticate(by_password)

    login = {"type": "m.login.token", "token": response["login_token"], "device_id": "BY_TOKEN"}
    logged_in = account.synapse.call("POST", "/_matrix/client/v3/login", login)
    assert guesses.all_were_needed()
    assert logged_in["user_id"] == account.user_id
    assert "BY_TOKEN" in account.devices()
    assert response["expires_in_ms"] == 300_000


def test_the_limit_is_raised_if_the_wait_is_too_long(
    account: Account, knows_password: dict[str, StartAuthStage]
) -> None:
    """A limit that asks for a longer wait than the policy allows is raised, with the wait it asks for."""
    account.homeserver.get_login_token().authenticate(knows_password)

    with pytest.raises(MatrixError) as caught:
        account.homeserver.get_login_token().authenticate(knows_password, retry=RetryPolicy(max_wait=5.0))

    assert (caught.value.http_status, caught.value.errcode) == (429, "M_LIMIT_EXCEEDED")
    assert caught.value.retry_after is not None
    assert 50 < caught.value.retry_after <= 60
