"""What any homeserver has to do, on each real one by the same tests: behaviour, and not wordings."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from faults.kinds import Plan
from support.accounts import Account, Person, new_account, owner
from support.acts import (
    PASSWORD,
    Act,
    Guesses,
    ProgramEndsError,
    change_password,
    crash,
    deactivate,
    delete_one_device,
    delete_several_devices,
    devices,
    public_halves,
    published,
    replace_keys,
)
from support.keys import make_keys
from support.networks import OpenNetwork
from support.threads import Threads, wait_until

from interactive_auth import (
    AuthCancelledError,
    AuthTimeoutError,
    Homeserver,
    InteractiveAuth,
    MatrixError,
    NoAuthFlowFoundError,
    Stage,
    StageFailedError,
    handlers,
)

from .conftest import Server

Prepare = Callable[[Account], Act]
EVERY = pytest.mark.parametrize(
    "prepare",
    [delete_one_device, delete_several_devices, change_password, deactivate, replace_keys],
    ids=["one-device", "several-devices", "password", "deactivate", "keys"],
)
#: The share of the exchanges that fail on a bad network.
SHARE = 0.2


def right(account: Account) -> dict[str, Any]:
    """Make the callbacks of a program that knows the account's password."""
    return {PASSWORD: handlers.password(account.name, account.password)}


def told(guesses: Guesses) -> list[tuple[int, bool, bool]]:
    """Return what was known at each question: its number, whether there were words, whether it was done already."""
    return [(attempt, bool(words), done) for attempt, words, done in guesses.asked]


def test_register(server: Server, anonymous: Homeserver, new: Person) -> None:
    """An account of that name and password is made, and logged in on the device that was asked for."""
    response = anonymous.register(new.name, new.password, device_id="MINE").authenticate({})

    assert response["user_id"] == new.user_id == owner(server, response)
    assert response["device_id"] == "MINE"
    assert server.can_log_in(new.name, new.password)
    assert not server.can_log_in(new.name, "a wrong guess")


def test_a_name_in_use(anonymous: Homeserver, account: Account) -> None:
    """A name in use is told beforehand, and refused afterwards, and whose it is keeps the account as it was."""
    assert anonymous.username_available(account.name) is False
    with pytest.raises(MatrixError) as refused:
        anonymous.register(account.name, "another password").authenticate({})

    assert (refused.value.http_status, refused.value.errcode) == (400, "M_USER_IN_USE")
    assert account.can_log_in()
    assert devices(account) == {account.device_id}


def test_after_the_success(server: Server, anonymous: Homeserver, new: Person) -> None:
    """A second attempt after the success is a RuntimeError, and logs no second device in."""
    auth = InteractiveAuth(anonymous.register(new.name, new.password), {})
    response = auth.attempt_auth()

    with pytest.raises(RuntimeError):
        auth.attempt_auth()

    found = server.call("GET", "/_matrix/client/v3/devices", access_token=response["access_token"])
    assert [device["device_id"] for device in found["devices"]] == [response["device_id"]]


@EVERY
def test_right_password(account: Account, prepare: Prepare) -> None:
    """The password is asked for once, and then it is done, and not before."""
    act = prepare(account)
    guesses = Guesses(act, account, [account.password])

    act.request.authenticate({PASSWORD: guesses})

    assert told(guesses) == [(1, False, False)]
    assert act.is_done()


@EVERY
def test_wrong_then_right(account: Account, prepare: Prepare) -> None:
    """A wrong password is asked for again, with the server's words, and the right one is taken then."""
    act = prepare(account)
    guesses = Guesses(act, account, ["a wrong guess", account.password])

    act.request.authenticate({PASSWORD: guesses})

    assert told(guesses) == [(1, False, False), (2, True, False)]
    assert act.is_done()


@EVERY
def test_wrong_to_the_end(account: Account, prepare: Prepare) -> None:
    """After the last wrong password it is StageFailedError, caused by the server's refusal, and nothing is done."""
    act = prepare(account)
    guesses = Guesses(act, account, ["a wrong guess"])

    with pytest.raises(StageFailedError) as failed:
        act.request.authenticate({PASSWORD: guesses}, max_attempts=2)

    assert told(guesses) == [(1, False, False), (2, True, False)]
    assert (failed.value.stage, failed.value.attempts) == (PASSWORD, 2)
    assert isinstance(failed.value.__cause__, MatrixError)
    assert failed.value.__cause__.errcode == "M_FORBIDDEN"
    assert not act.is_done()


@EVERY
def test_after_it_has_failed(account: Account, prepare: Prepare) -> None:
    """A constant wrong password fails at once; the next attempt goes on in the same session with the right one."""
    act = prepare(account)
    answer = {PASSWORD: handlers.password(account.name, "a wrong guess")}
    auth = InteractiveAuth(act.request, {PASSWORD: lambda stage: answer[PASSWORD](stage)})
    with pytest.raises(StageFailedError):
        auth.attempt_auth()
    session = auth.get_session_id()
    answer.update(right(account))

    auth.attempt_auth()

    assert auth.get_session_id() == session is not None
    assert act.is_done()


@pytest.mark.parametrize("prepare", [delete_one_device, delete_several_devices], ids=["one-device", "several-devices"])
def test_the_password_of_somebody_else(server: Server, account: Account, prepare: Prepare) -> None:
    """Right credentials of another user delete nothing, and are asked for again."""
    act = prepare(account)
    with new_account(server) as other:
        theirs = Guesses(act, other, [other.password])
        mine = Guesses(act, account, [account.password])
        people = iter([theirs, mine])

        act.request.authenticate({PASSWORD: lambda stage: next(people)(stage)})

    assert told(theirs) + told(mine) == [(1, False, False), (2, True, False)]
    assert act.is_done()


@EVERY
def test_nobody_knows_the_password(account: Account, prepare: Prepare) -> None:
    """Without a callback for it nobody is asked, and the error names the stage; nothing is done."""
    act = prepare(account)

    with pytest.raises(NoAuthFlowFoundError, match=r"m\.login\.password"):
        act.request.authenticate({"m.login.terms": crash})

    assert not act.is_done()


@EVERY
def test_resumed(account: Account, prepare: Prepare) -> None:
    """What ended in the middle goes on in another object from its saved state, in the same session."""
    act = prepare(account)
    first = InteractiveAuth(act.request, {PASSWORD: crash})
    with pytest.raises(ProgramEndsError):
        first.attempt_auth()
    assert not act.is_done()
    state = json.loads(json.dumps(first.get_resume_state()))

    auth = InteractiveAuth(act.request, right(account), **state)
    auth.attempt_auth()

    assert auth.get_session_id() == first.get_session_id()
    assert act.is_done()


@EVERY
def test_a_lost_session(account: Account, prepare: Prepare) -> None:
    """A session that the homeserver does not know any more costs no more than one more answer."""
    act = prepare(account)
    first = InteractiveAuth(act.request, {PASSWORD: crash})
    with pytest.raises(ProgramEndsError):
        first.attempt_auth()
    state: dict[str, Any] = {**first.get_resume_state(), "session_id": f"of-last-week-{account.name}"}
    guesses = Guesses(act, account, [account.password])

    InteractiveAuth(act.request, {PASSWORD: guesses}, **state).attempt_auth()

    assert len(guesses.asked) in (1, 2)
    assert not any(done for _, _, done in guesses.asked)
    assert act.is_done()


@pytest.mark.parametrize("prepare", [delete_one_device, change_password], ids=["one-device", "password"])
def test_a_restart_in_the_middle(server: Server, account: Account, prepare: Prepare) -> None:
    """A homeserver that is restarted while somebody thinks does what was asked for once the password is there."""
    act = prepare(account)
    guesses = Guesses(act, account, [account.password])

    def think(stage: Stage) -> dict[str, Any]:
        answer = guesses(stage)
        if len(guesses.asked) == 1:
            server.restart()
        return answer

    act.request.authenticate({PASSWORD: think})

    assert len(guesses.asked) in (1, 2)
    assert act.is_done()


@EVERY
def test_another_access_token(account: Account, prepare: Prepare) -> None:
    """Logged out meanwhile, the attempt ends with M_UNKNOWN_TOKEN; after a login the next one goes on."""
    act = prepare(account)

    def logged_out(stage: Stage) -> Any:
        account.call("POST", "logout", {})
        return right(account)[PASSWORD](stage)

    callbacks: dict[str, Any] = {PASSWORD: logged_out}
    auth = InteractiveAuth(act.request, {PASSWORD: lambda stage: callbacks[PASSWORD](stage)})
    with pytest.raises(MatrixError) as refused:
        auth.attempt_auth()
    assert (refused.value.http_status, refused.value.errcode) == (401, "M_UNKNOWN_TOKEN")
    session = auth.get_session_id()
    account.homeserver.access_token = account.add_device(account.device_id)
    assert not act.is_done()
    callbacks.update(right(account))

    auth.attempt_auth()

    assert auth.get_session_id() == session is not None
    assert act.is_done()


@EVERY
def test_cancel_and_come_back(account: Account, threads: Threads, prepare: Prepare) -> None:
    """cancel() ends the wait with nothing done, and the next attempt goes on in the same session."""
    act = prepare(account)
    asked: list[int] = []

    def ask(stage: Stage) -> Any:
        asked.append(stage.attempt)
        return None if len(asked) == 1 else right(account)[PASSWORD](stage)

    auth = InteractiveAuth(act.request, {PASSWORD: ask}, poll_interval=60.0)
    attempt = threads.start(auth.attempt_auth)
    wait_until(lambda: bool(asked))
    auth.cancel()
    with pytest.raises(AuthCancelledError):
        attempt.result(30)
    assert not act.is_done()
    session = auth.get_session_id()

    auth.attempt_auth()

    assert auth.get_session_id() == session is not None
    assert asked == [1, 1]
    assert act.is_done()


@EVERY
def test_polls_while_a_password_is_awaited(account: Account, threads: Threads, prepare: Prepare) -> None:
    """Whatever a poll is answered, the password that another thread brings is still taken."""
    act = prepare(account)
    sent = itertools.count()
    polls = [0]

    def do_request(auth: dict[str, Any] | None) -> Any:
        polls[0] = next(sent)
        return act.request(auth)

    auth = InteractiveAuth(do_request, {PASSWORD: lambda stage: None}, poll_interval=0.05)
    attempt = threads.start(auth.attempt_auth)
    wait_until(lambda: polls[0] >= 3)
    assert not act.is_done()

    user = {"type": "m.id.user", "user": account.name}
    auth.submit_auth_dict({"type": PASSWORD, "identifier": user, "password": account.password})

    attempt.result(30)
    assert act.is_done()


def test_a_password_that_does_not_come(account: Account) -> None:
    """Whoever waits in vain gets AuthTimeoutError, and nothing is done."""
    act = delete_one_device(account)

    with pytest.raises(AuthTimeoutError) as late:
        act.request.authenticate({PASSWORD: lambda stage: None}, poll_interval=0.05, poll_timeout=0.2)

    assert late.value.stage == PASSWORD
    assert not act.is_done()


@pytest.mark.slow
def test_registrations_on_a_bad_network(
    server: Server, bad_network: OpenNetwork, draw: random.Random, sized: Callable[[int, int], int]
) -> None:
    """A fifth of all exchanges fails, and each registration returns an access token that works."""
    network = bad_network(server.base_url)
    people = [Person() for _ in range(sized(8, 100))]
    network.proxy.follow(Plan(draw, SHARE, 3))

    accounts = [network.homeserver.register(each.name, each.password).authenticate({}) for each in people]

    assert [owner(server, account) for account in accounts] == [each.user_id for each in people]
    assert network.failed() >= sized(1, 30)


@pytest.mark.slow
def test_rounds_on_a_bad_network(
    account: Account, bad_network: OpenNetwork, draw: random.Random, sized: Callable[[int, int], int]
) -> None:
    """A fifth of all exchanges fails, and each round deletes the device and publishes the keys that it was to."""
    network = bad_network(account.homeserver.base_url, account.homeserver.access_token)
    network.proxy.follow(Plan(draw, SHARE, 3))

    for number in range(sized(8, 80)):
        account.add_device(f"DEVICE{number}")
        keys = make_keys(account.user_id)

        network.homeserver.delete_device(f"DEVICE{number}").authenticate(right(account))
        network.homeserver.upload_cross_signing_keys(**keys).authenticate(right(account))

        assert devices(account) == {account.device_id}
        assert published(account) == public_halves(keys)
    assert network.failed() >= sized(3, 60)
