"""An access token that ends in the middle of an authentication, which a fresh one then brings to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.accounts import Account

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, Stage, handlers


class Attempt:
    """The deletion of a device, in whose middle something happens to the access token.

    Attributes:
        auth: the authentication; it must not be shown what happens.
        sessions: the session of each stage that was asked for.
    """

    def __init__(self, account: Account, homeserver: Homeserver, happens: Any) -> None:
        self.sessions: list[str | None] = []
        self._happens = happens
        self._password = handlers.password(account.name, lambda: account.password)
        stages = {"m.login.password": self._answer}
        self.auth = InteractiveAuth(homeserver.delete_device("OLD"), stages)

    def _answer(self, stage: Stage) -> Any:
        self.sessions.append(stage.session)
        if len(self.sessions) == 1:
            self._happens()
        return self._password(stage)


@pytest.fixture
def account_with_device(account: Account) -> Account:
    """Add the device that is to be deleted."""
    account.add_device("OLD")
    return account


@pytest.fixture
def expiring(account_with_device: Account) -> Iterator[tuple[Homeserver, dict[str, Any]]]:
    """Log in with an access token that lives for two seconds, and a refresh token."""
    logged_in = account_with_device.log_in(refresh_token=True)
    base_url = account_with_device.synapse.base_url
    with Homeserver(base_url, access_token=logged_in["access_token"]) as homeserver:
        yield homeserver, logged_in


def finish(attempt: Attempt, homeserver: Homeserver, access_token: str) -> None:
    """Set a fresh token, and see the attempt end in the session that it began in."""
    session = attempt.auth.get_session_id()
    homeserver.access_token = access_token

    assert attempt.auth.attempt_auth() == {}
    assert session is not None
    assert set(attempt.sessions) == {session}
    assert attempt.auth.get_session_id() == session


def test_a_fresh_login_goes_on(account_with_device: Account) -> None:
    """After a logout from elsewhere the error says so; with the token of a fresh login the same session ends well."""
    account = account_with_device
    other = account.add_device("OTHER")
    with Homeserver(account.synapse.base_url, access_token=other) as homeserver:
        logout = "/_matrix/client/v3/logout"
        attempt = Attempt(account, homeserver, lambda: account.synapse.call("POST", logout, access_token=other))
        with pytest.raises(MatrixError) as caught:
            attempt.auth.attempt_auth()
        assert "OLD" in account.devices()

        finish(attempt, homeserver, account.add_device("OTHER"))

    assert (caught.value.http_status, caught.value.errcode) == (401, "M_UNKNOWN_TOKEN")
    assert caught.value.data["soft_logout"] is False
    assert "OLD" not in account.devices()


@pytest.mark.parametrize("way", ["login", "refresh"])
def test_a_soft_logout(account_with_device: Account, expiring: tuple[Homeserver, dict[str, Any]], way: str) -> None:
    """A token that expires is a soft logout; a fresh login and a refreshed token both go on in the same session."""
    account, (homeserver, logged_in) = account_with_device, expiring
    expired = logged_in["access_token"]

    def wait_for_expiry() -> None:
        while account.is_valid(expired):
            pass

    attempt = Attempt(account, homeserver, wait_for_expiry)
    with pytest.raises(MatrixError) as caught:
        attempt.auth.attempt_auth()
    assert "OLD" in account.devices()
    if way == "login":
        fresh = account.log_in(device_id=logged_in["device_id"])
    else:
        fresh = account.synapse.call(
            "POST", "/_matrix/client/v3/refresh", {"refresh_token": logged_in["refresh_token"]}
        )

    finish(attempt, homeserver, fresh["access_token"])

    assert (caught.value.http_status, caught.value.errcode) == (401, "M_UNKNOWN_TOKEN")
    assert caught.value.data["soft_logout"] is True
    assert "OLD" not in account.devices()


def test_a_token_that_was_never_good(account_with_device: Account) -> None:
    """A token that the server does not know, or none at all, is raised before anybody is asked."""
    account = account_with_device
    asked: list[Stage] = []
    refusals = []
    for token in ("never-given", None):
        with (
            Homeserver(account.synapse.base_url, access_token=token) as homeserver,
            pytest.raises(MatrixError) as caught,
        ):
            homeserver.delete_device("OLD").authenticate({"m.login.password": asked.append})
        refusals.append((caught.value.http_status, caught.value.errcode))
        assert "never-given" not in f"{caught.value!r}{caught.value}"

    assert refusals == [(401, "M_UNKNOWN_TOKEN"), (401, "M_MISSING_TOKEN")]
    assert asked == []
    assert "OLD" in account.devices()


def test_a_locked_account(account_with_device: Account) -> None:
    """An account that is locked in the middle is a logout, too; once unlocked, the same session ends well."""
    account = account_with_device
    user = f"/_synapse/admin/v2/users/{account.user_id}"
    attempt = Attempt(account, account.homeserver, lambda: account.synapse.admin("PUT", user, {"locked": True}))
    with pytest.raises(MatrixError) as caught:
        attempt.auth.attempt_auth()
    account.synapse.admin("PUT", user, {"locked": False})

    finish(attempt, account.homeserver, account.homeserver.access_token or "")

    assert caught.value.errcode == "M_USER_LOCKED"
    assert "OLD" not in account.devices()
