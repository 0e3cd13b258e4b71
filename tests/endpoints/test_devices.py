"""DELETE /devices/{deviceId}, POST /delete_devices, and both by hand, with what is left of the devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from support.accounts import Account, new_account

from interactive_auth import MatrixError, Stage, StageFailedError, StartAuthStage, handlers

from .guesses import Guesses

ODD_ID = "we/ird é?#%2F"


@pytest.mark.parametrize("device_id", ["PLAIN", ODD_ID], ids=["plain", "odd"])
def test_delete_device(
    account: Account, by_password: dict[str, StartAuthStage], guesses: Guesses, device_id: str
) -> None:
    """The device of that id, however odd, is gone, its access token with it, and no other."""
    token = account.add_device(device_id)

    response = account.homeserver.delete_device(device_id).authenticate(by_password)

    assert response == {}
    assert guesses.all_were_needed()
    assert account.devices() == {account.device_id}
    assert not account.is_valid(token)


def test_delete_devices(account: Account, by_password: dict[str, StartAuthStage], guesses: Guesses) -> None:
    """All devices named are gone, and no other."""
    tokens = [account.add_device(device_id) for device_id in ("ONE", "TWO", ODD_ID, "KEPT")]

    response = account.homeserver.delete_devices(["ONE", "TWO", ODD_ID]).authenticate(by_password)

    assert response == {}
    assert guesses.all_were_needed()
    assert account.devices() == {account.device_id, "KEPT"}
    assert [account.is_valid(token) for token in tokens] == [False, False, False, True]


def test_delete_a_device_that_is_not_there(account: Account, knows_password: dict[str, StartAuthStage]) -> None:
    """A device that does not exist is no error, and nothing is deleted for it."""
    assert account.homeserver.delete_device("NOSUCH").authenticate(knows_password) == {}
    assert account.devices() == {account.device_id}


def test_a_path_by_hand(account: Account, by_password: dict[str, StartAuthStage], guesses: Guesses) -> None:
    """Any path, method, body and query goes through the same authentication, to the same effect."""
    account.add_device("ONE")
    path, query = "/_matrix/client/v3/delete_devices", {"why": "a spring-clean & more"}

    request = account.homeserver.uia_request("post", path, {"devices": ["ONE"]}, query)
    response = request.authenticate(by_password)

    assert response == {}
    assert guesses.all_were_needed()
    assert account.devices() == {account.device_id}


def test_a_path_by_hand_without_a_body(account: Account, knows_password: dict[str, StartAuthStage]) -> None:
    """A request without a body of its own carries the authentication, also by DELETE."""
    account.add_device("ONE")

    account.homeserver.uia_request("DELETE", "/_matrix/client/v3/devices/ONE").authenticate(knows_password)

    assert account.devices() == {account.device_id}


def test_the_password_of_somebody_else(account: Account) -> None:
    """Right credentials of another user delete nothing, and are asked for again in the same session."""
    account.add_device("ONE")
    asked: list[tuple[str | None, tuple[int, str | None] | None, bool]] = []
    with new_account(account.synapse) as other:
        people = iter([other, account])

        def answer(stage: Stage) -> Mapping[str, Any] | None:
            error = stage.error and (stage.error.http_status, stage.error.error)
            asked.append((stage.session, error, "ONE" in account.devices()))
            person = next(people)
            return handlers.password(person.name, lambda: person.password)(stage)

        account.homeserver.delete_device("ONE").authenticate({"m.login.password": answer})

    session = asked[0][0]
    assert asked == [(session, None, True), (session, (403, "Invalid auth"), True)]
    assert account.devices() == {account.device_id}


def test_wrong_passwords_end_the_attempt_and_delete_nothing(account: Account) -> None:
    """After max_attempts wrong passwords it is StageFailedError, caused by what the server said the last time."""
    account.add_device("ONE")
    asked: list[int] = []

    def ask(stage: Stage) -> str:
        asked.append(stage.attempt)
        return "wrong"

    request = account.homeserver.delete_devices(["ONE"])
    with pytest.raises(StageFailedError) as failed:
        request.authenticate({"m.login.password": handlers.password(account.name, ask)}, max_attempts=2)

    assert asked == [1, 2]
    assert (failed.value.stage, failed.value.attempts) == ("m.login.password", 2)
    assert isinstance(failed.value.__cause__, MatrixError)
    assert failed.value.__cause__.errcode == "M_FORBIDDEN"
    assert account.devices() == {account.device_id, "ONE"}
