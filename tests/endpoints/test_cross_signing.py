"""POST /keys/device_signing/upload by password, and what others then see by POST /keys/query."""

from __future__ import annotations

from typing import Any

import pytest
from support.accounts import Account
from support.keys import Keys, make_keys

from interactive_auth import MatrixError, StartAuthStage

from .guesses import Guesses


def published(account: Account) -> dict[str, Any]:
    """Return the keys that the server hands out, by the names that they were uploaded under."""
    answer = account.call("POST", "keys/query", {"device_keys": {account.user_id: []}})
    names = ("master_key", "self_signing_key", "user_signing_key")
    return {name: answer[f"{name}s"][account.user_id]["keys"] for name in names}


def public_halves(keys: Keys) -> dict[str, Any]:
    """Return what ``published`` returns once these keys are uploaded."""
    return {name: key["keys"] for name, key in keys.items()}


@pytest.fixture
def first_keys(account: Account) -> Keys:
    """Make the account's first keys and upload them, which takes no authentication."""
    keys = make_keys(account.user_id)
    account.homeserver.upload_cross_signing_keys(**keys).authenticate({})
    return keys


def test_the_first_keys(account: Account, first_keys: Keys) -> None:
    """The first keys are taken without any authentication, and so are the same ones again."""
    assert account.homeserver.upload_cross_signing_keys(**first_keys).authenticate({}) == {}
    assert published(account) == public_halves(first_keys)


def test_other_keys(
    account: Account, first_keys: Keys, by_password: dict[str, StartAuthStage], guesses: Guesses
) -> None:
    """Other keys take their place after the password, which a request without the keys would not achieve."""
    keys = make_keys(account.user_id)

    response = account.homeserver.upload_cross_signing_keys(**keys).authenticate(by_password)

    assert response == {}
    assert guesses.all_were_needed()
    assert published(account) == public_halves(keys)
    assert published(account) != public_halves(first_keys)


def test_badly_signed_keys(account: Account, first_keys: Keys, knows_password: dict[str, StartAuthStage]) -> None:
    """Keys that another master key has signed are refused after the password, and the old ones stay."""
    keys = make_keys(account.user_id) | {"master_key": make_keys(account.user_id)["master_key"]}

    with pytest.raises(MatrixError) as caught:
        account.homeserver.upload_cross_signing_keys(**keys).authenticate(knows_password)

    assert (caught.value.http_status, caught.value.errcode) == (400, "M_INVALID_SIGNATURE")
    assert published(account) == public_halves(first_keys)
