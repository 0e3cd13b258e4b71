"""Every request that wants the password, on a real Dendrite, and what it has done there in the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.accounts import Account, new_account
from support.acts import (
    PASSWORD,
    Act,
    Guesses,
    change_password,
    deactivate,
    delete_one_device,
    delete_several_devices,
    devices,
    replace_keys,
    upload_keys,
)
from support.dendrite import Dendrite

from interactive_auth import MatrixError, Stage, StageFailedError, StartAuthStage

Prepare = Callable[[Account], Act]
WORDS = "The username or password was incorrect or the account does not exist."
#: What is asked for, and the status of the refusal of a wrong password: with flows it is a 401, without them a 403.
ACTS = [
    pytest.param(delete_one_device, 401, id="one-device"),
    pytest.param(delete_several_devices, 401, id="several-devices"),
    pytest.param(change_password, 403, id="password"),
    pytest.param(deactivate, 401, id="deactivate"),
    pytest.param(upload_keys, 403, id="first-keys"),
    pytest.param(replace_keys, 403, id="other-keys"),
]


@pytest.mark.parametrize(("prepare", "status"), ACTS)
def test_right_password(account: Account, prepare: Prepare, status: int) -> None:
    """The password is asked for once, and then it is done; the first keys want it, too, unlike on Synapse."""
    act = prepare(account)
    guesses = Guesses(act, account, [account.password])

    assert act.request.authenticate({PASSWORD: guesses}) == {}

    assert guesses.asked == [(1, None, False)]
    assert act.is_done()


@pytest.mark.parametrize(("prepare", "status"), ACTS)
def test_wrong_then_right(account: Account, prepare: Prepare, status: int) -> None:
    """A wrong password is asked for again, with the server's words, also where they come without flows."""
    act = prepare(account)
    guesses = Guesses(act, account, ["a wrong guess", account.password])

    assert act.request.authenticate({PASSWORD: guesses}) == {}

    assert guesses.asked == [(1, None, False), (2, WORDS, False)]
    assert act.is_done()


@pytest.mark.parametrize(("prepare", "status"), ACTS)
def test_wrong_to_the_end(account: Account, prepare: Prepare, status: int) -> None:
    """After the last wrong password it is StageFailedError, caused by the server's answer, and nothing is done."""
    act = prepare(account)
    guesses = Guesses(act, account, ["a wrong guess"])

    with pytest.raises(StageFailedError, match=r"username or password was incorrect") as failed:
        act.request.authenticate({PASSWORD: guesses}, max_attempts=2)

    assert guesses.asked == [(1, None, False), (2, WORDS, False)]
    assert (failed.value.stage, failed.value.attempts) == (PASSWORD, 2)
    assert isinstance(failed.value.__cause__, MatrixError)
    assert (failed.value.__cause__.http_status, failed.value.__cause__.errcode) == (status, "M_FORBIDDEN")
    assert not act.is_done()


@pytest.mark.parametrize("prepare", [delete_one_device, delete_several_devices], ids=["one-device", "several-devices"])
def test_the_password_of_somebody_else(dendrite: Dendrite, account: Account, prepare: Prepare) -> None:
    """Right credentials of another user delete nothing, and are asked for again."""
    act = prepare(account)
    asked: list[int | None] = []
    with new_account(dendrite) as other:
        people = iter([other, account])

        def answer(stage: Stage) -> dict[str, object]:
            asked.append(None if stage.error is None else stage.error.http_status)
            person = next(people)
            user = {"type": "m.id.user", "user": person.name}
            return {"type": PASSWORD, "identifier": user, "password": person.password}

        act.request.authenticate({PASSWORD: answer})

        assert other.can_log_in()
    assert asked == [None, 403]
    assert act.is_done()


def test_a_device_that_is_not_there(account: Account, knows_password: dict[str, StartAuthStage]) -> None:
    """A device that does not exist is no error, and nothing is deleted for it."""
    assert account.homeserver.delete_device("NOSUCH").authenticate(knows_password) == {}
    assert devices(account) == {account.device_id}


def test_a_weak_new_password(account: Account, knows_password: dict[str, StartAuthStage]) -> None:
    """A new password that is too short is refused after the right one was given, and the old one stays."""
    with pytest.raises(MatrixError, match="M_WEAK_PASSWORD") as refused:
        account.homeserver.change_password("short").authenticate(knows_password)

    assert refused.value.http_status == 400
    assert account.can_log_in()


@pytest.mark.parametrize("logout_devices", [True, False, None])
def test_change_password_and_other_devices(
    account: Account, knows_password: dict[str, StartAuthStage], logout_devices: bool | None
) -> None:
    """Other devices are logged out unless they are spared; the one in use never is."""
    other = account.add_device("OTHER")

    account.homeserver.change_password("an entirely new one", logout_devices=logout_devices).authenticate(
        knows_password
    )

    assert account.is_valid(other) is (logout_devices is False)
    assert account.is_valid(account.homeserver.access_token)
