"""Logging in, refreshing and logging out on a real Synapse, also in the middle of an authentication."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.accounts import Account, Person

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, Stage, handlers


@pytest.fixture
def homeserver(account: Account) -> Iterator[Homeserver]:
    """Make a homeserver object that nobody has logged in with yet."""
    with Homeserver(account.synapse.base_url) as made:
        yield made


def test_in_and_out(account: Account, homeserver: Homeserver) -> None:
    """Whoever logs in is logged in, on the device asked for, until they log out."""
    made = homeserver.login(account.name, account.password, device_id="NEW", initial_device_display_name="a test")

    assert (made["user_id"], made["device_id"]) == (account.user_id, "NEW")
    assert homeserver.access_token == made["access_token"]
    assert homeserver.whoami() == {"user_id": account.user_id, "device_id": "NEW", "is_guest": False}
    assert "NEW" in account.devices()
    homeserver.logout()

    assert homeserver.access_token is None
    assert not account.is_valid(made["access_token"])
    assert "NEW" not in account.devices()
    with pytest.raises(MatrixError, match="M_MISSING_TOKEN"):
        homeserver.whoami()


def test_a_wrong_password(account: Account, homeserver: Homeserver) -> None:
    """A wrong password is refused, and nobody is logged in."""
    with pytest.raises(MatrixError, match="403 M_FORBIDDEN"):
        homeserver.login(account.name, "a wrong guess")

    assert homeserver.access_token is None


def test_by_token(account: Account, homeserver: Homeserver, knows_password: Any) -> None:
    """A login token is good for one login."""
    token = account.homeserver.get_login_token().authenticate(knows_password)["login_token"]

    assert homeserver.login(token=token)["user_id"] == account.user_id

    with pytest.raises(MatrixError, match="403 M_FORBIDDEN"):
        homeserver.login(token=token)


def test_refresh(account: Account, homeserver: Homeserver) -> None:
    """A refresh token gives another access token, and the next refresh token."""
    made = homeserver.login(account.name, account.password, refresh_token=True)

    renewed = homeserver.refresh(made["refresh_token"])

    assert homeserver.access_token == renewed["access_token"] != made["access_token"]
    assert renewed.get("refresh_token") not in (None, made["refresh_token"])
    assert made.get("expires_in_ms", 0) > 0
    assert homeserver.whoami()["user_id"] == account.user_id
    with pytest.raises(MatrixError, match="M_UNKNOWN_TOKEN"):
        homeserver.refresh("never-given")
    assert homeserver.access_token == renewed["access_token"]


Renew = Callable[[Homeserver, Account, Any], object]


@pytest.mark.parametrize(
    "renew",
    [
        lambda homeserver, account, made: homeserver.refresh(made["refresh_token"]),
        lambda homeserver, account, made: homeserver.login(account.name, account.password, device_id=made["device_id"]),
    ],
    ids=["refresh", "login"],
)
def test_in_the_middle(account: Account, homeserver: Homeserver, renew: Renew) -> None:
    """A token that ends between two requests is told; with a fresh one the next attempt ends in the same session."""
    account.add_device("OLD")
    made = homeserver.login(account.name, account.password, refresh_token=True)
    password = handlers.password(account.name, lambda: account.password)
    sessions: list[str | None] = []

    def answer(stage: Stage) -> Any:
        sessions.append(stage.session)
        while len(sessions) == 1 and account.is_valid(made["access_token"]):
            pass
        return password(stage)

    auth = InteractiveAuth(homeserver.delete_device("OLD"), {"m.login.password": answer})
    with pytest.raises(MatrixError, match="401 M_UNKNOWN_TOKEN"):
        auth.attempt_auth()
    assert "OLD" in account.devices()

    renew(homeserver, account, made)

    assert auth.attempt_auth() == {}
    assert "OLD" not in account.devices()
    assert len(sessions) == 2
    assert len(set(sessions)) == 1


def test_a_registration_that_goes_on_with_a_refresh(anonymous: Homeserver, new: Person) -> None:
    """What a registration answers can be refreshed."""
    stages = {"m.login.registration_token": handlers.registration_token("the-right-token")}
    made = anonymous.register(new.name, new.password, refresh_token=True).authenticate(stages)

    anonymous.refresh(made["refresh_token"])

    assert anonymous.whoami()["user_id"] == new.user_id
