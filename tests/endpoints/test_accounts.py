"""POST /register, /account/password and /account/deactivate, and what they leave on a real homeserver."""

from __future__ import annotations

import pytest
from support.accounts import Account, Person, devices_of
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, MatrixError, Stage, StartAuthStage, handlers

from .guesses import Guesses

NEW_PASSWORD = "an entirely new one"
RIGHT_TOKEN = "the-right-token"


@pytest.mark.parametrize("tokens", [(RIGHT_TOKEN,), ("a-wrong-token", RIGHT_TOKEN)], ids=["right", "wrong-then-right"])
def test_register_makes_the_account(
    synapse: Synapse, anonymous: Homeserver, new: Person, tokens: tuple[str, ...]
) -> None:
    """A registration ends with an account of that name and password, logged in on the device that was asked for."""
    errcodes = []

    def token(stage: Stage) -> str:
        errcodes.append(stage.error and stage.error.errcode)
        return tokens[stage.attempt - 1]

    request = anonymous.register(new.name, new.password, device_id="MINE", initial_device_display_name="My lamp")
    response = request.authenticate({"m.login.registration_token": handlers.registration_token(token)})

    made = Account(synapse, anonymous, new.name, new.password, response["user_id"], response["device_id"])
    assert errcodes == [None, "M_UNAUTHORIZED"][: len(tokens)]
    assert made.user_id == new.user_id
    assert made.is_valid(response["access_token"])
    assert made.devices() == {"MINE"}
    shown = synapse.call("GET", "/_matrix/client/v3/devices/MINE", access_token=response["access_token"])
    assert shown["display_name"] == "My lamp"
    assert made.can_log_in()
    assert not made.can_log_in("a wrong guess")


def test_register_without_login(synapse: Synapse, anonymous: Homeserver, new: Person) -> None:
    """With inhibit_login the account is made, and no device is logged in."""
    request = anonymous.register(new.name, new.password, inhibit_login=True)

    response = request.authenticate({"m.login.registration_token": handlers.registration_token(RIGHT_TOKEN)})

    assert "access_token" not in response
    assert devices_of(synapse, response["user_id"]) == []


def test_register_with_a_refresh_token(synapse: Synapse, anonymous: Homeserver, new: Person) -> None:
    """A refresh token that was asked for comes with the account, and can be used."""
    request = anonymous.register(new.name, new.password, refresh_token=True)

    response = request.authenticate({"m.login.registration_token": handlers.registration_token(RIGHT_TOKEN)})

    assert 0 < response["expires_in_ms"] <= 2000
    refreshed = synapse.call("POST", "/_matrix/client/v3/refresh", {"refresh_token": response["refresh_token"]})
    assert refreshed["access_token"] != response["access_token"]


def test_register_sends_no_access_token(account: Account, new: Person) -> None:
    """A homeserver object that has an access token can register, though the server refuses one there."""
    request = account.homeserver.register(new.name, new.password)

    response = request.authenticate({"m.login.registration_token": handlers.registration_token(RIGHT_TOKEN)})

    assert response["user_id"] != account.user_id


def test_register_a_guest(anonymous: Homeserver) -> None:
    """The kind of account goes to the server, which here refuses guests."""
    with pytest.raises(MatrixError, match="Guest access is disabled") as caught:
        anonymous.register(kind="guest").authenticate({})

    assert caught.value.http_status == 403


def test_change_password(account: Account, by_password: dict[str, StartAuthStage], guesses: Guesses) -> None:
    """Afterwards the new password logs in, and the old one does not."""
    response = account.homeserver.change_password(NEW_PASSWORD).authenticate(by_password)

    assert response == {}
    assert guesses.all_were_needed()
    assert account.can_log_in(NEW_PASSWORD)
    assert not account.can_log_in()


@pytest.mark.parametrize(("logout_devices", "stays"), [(True, False), (False, True), (None, False)])
def test_change_password_and_other_devices(
    account: Account, knows_password: dict[str, StartAuthStage], logout_devices: bool | None, stays: bool
) -> None:
    """Other devices are logged out unless they are spared; the one in use never is."""
    other = account.add_device("OTHER")

    account.homeserver.change_password(NEW_PASSWORD, logout_devices=logout_devices).authenticate(knows_password)

    assert account.is_valid(other) is stays
    assert ("OTHER" in account.devices()) is stays
    assert account.is_valid(account.homeserver.access_token)


def test_deactivate_account(account: Account, by_password: dict[str, StartAuthStage], guesses: Guesses) -> None:
    """Afterwards neither the password nor the access token is good for anything."""
    response = account.homeserver.deactivate_account(erase=True).authenticate(by_password)

    assert response == {"id_server_unbind_result": "success"}
    assert guesses.all_were_needed()
    assert not account.can_log_in()
    assert not account.is_valid(account.homeserver.access_token)
    user = account.on_server()
    assert user["deactivated"]
    assert user["erased"]
