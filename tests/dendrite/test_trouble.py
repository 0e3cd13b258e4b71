"""A real Dendrite in trouble: sessions that it has lost, its restart, bad networks; polls, cancel() and resuming."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faults.kinds import FAULTS, Fault, Plan
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
    upload_keys,
)
from support.clocks import TurnedClock
from support.dendrite import OPEN, Dendrite, throwaway_dendrite
from support.networks import OpenNetwork
from support.threads import Threads, wait_until

from interactive_auth import (
    AuthCancelledError,
    AuthTimeoutError,
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
    Stage,
    StartAuthStage,
    handlers,
)
from interactive_auth._engine.handover import Handover

Prepare = Callable[[Account], Act]
EVERY = pytest.mark.parametrize(
    "prepare",
    [delete_one_device, delete_several_devices, change_password, deactivate, upload_keys],
    ids=["one-device", "several-devices", "password", "deactivate", "keys"],
)


#: The share of the exchanges that fail on a bad network.
SHARE = 0.2
LOST_ANSWER = next(fault for fault in FAULTS if fault.name == "reset before the answer")


@pytest.fixture(scope="module")
def restartable(dendrite_program: str) -> Iterator[Dendrite]:
    """A Dendrite of these tests' own, which can be stopped without harm to others."""
    with throwaway_dendrite(dendrite_program, OPEN) as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> TurnedClock:
    """Have waits take no time."""
    turned = TurnedClock()
    monkeypatch.setattr(Handover, "clock", turned)
    return turned


def state_after_a_crash(act: Act) -> dict[str, Any]:
    """Begin, end in the middle of the stage, and return what a file would have kept."""
    auth = InteractiveAuth(act.request, {PASSWORD: crash})
    with pytest.raises(ProgramEndsError):
        auth.attempt_auth()
    state: dict[str, Any] = json.loads(json.dumps(auth.get_resume_state()))
    return state


@EVERY
def test_resumed(account: Account, prepare: Prepare) -> None:
    """What another object goes on with from a saved state is asked for once, in the session in which it began."""
    act = prepare(account)
    state = state_after_a_crash(act)
    guesses = Guesses(act, account, [account.password])

    auth = InteractiveAuth(act.request, {PASSWORD: guesses}, **state)
    assert auth.attempt_auth() == {}

    assert auth.get_session_id() == state["session_id"]
    assert guesses.asked == [(1, None, False)]
    assert act.is_done()


@EVERY
def test_a_lost_session(restartable: Dendrite, prepare: Prepare) -> None:
    """Dendrite forgets all sessions when it stops, and takes a wrong and a right password in one all the same."""
    with new_account(restartable) as account:
        act = prepare(account)
        state = state_after_a_crash(act)
        restartable.restart()
        guesses = Guesses(act, account, ["a wrong guess", account.password])

        assert InteractiveAuth(act.request, {PASSWORD: guesses}, **state).attempt_auth() == {}

        assert [attempt for attempt, _, _ in guesses.asked] == [1, 2]
        assert act.is_done()


@EVERY
def test_a_restart_while_the_person_thinks(restartable: Dendrite, prepare: Prepare) -> None:
    """A server that is restarted while somebody is asked for the password takes it afterwards."""
    with new_account(restartable) as account:
        act = prepare(account)
        guesses = Guesses(act, account, [account.password])

        def think(stage: Stage) -> dict[str, Any]:
            answer = guesses(stage)
            restartable.restart()
            return answer

        assert act.request.authenticate({PASSWORD: think}) == {}

        assert guesses.asked == [(1, None, False)]
        assert act.is_done()


def test_a_server_that_is_away(
    restartable: Dendrite, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch, new: Person
) -> None:
    """A registration is repeated while the server is away, and goes on once it is back."""
    restartable.stop()
    wait = TurnedClock.wait

    def come_back(self: TurnedClock, *arguments: Any) -> None:
        wait(self, *arguments)
        restartable.start()

    monkeypatch.setattr(TurnedClock, "wait", come_back)
    with Homeserver(restartable.base_url) as homeserver:
        response = homeserver.register(new.name, new.password).authenticate({})

    assert len(clock.waits) == 1
    assert owner(restartable, response) == new.user_id


@pytest.mark.parametrize("session_id", ["of-last-week", None], ids=["unknown", "none"])
def test_the_session_of_a_registration(
    dendrite: Dendrite, anonymous: Homeserver, new: Person, session_id: str | None
) -> None:
    """A registration takes a session that Dendrite does not know for a new one."""
    named = None if session_id is None else f"{session_id}-{new.name}"
    auth = InteractiveAuth(anonymous.register(new.name, new.password), {}, session_id=named)

    response = auth.attempt_auth()

    assert named in (None, auth.get_session_id())
    assert owner(dendrite, response) == new.user_id


@pytest.mark.parametrize("prepare", [delete_one_device, delete_several_devices, deactivate])
def test_a_session_id_alone(account: Account, knows_password: dict[str, StartAuthStage], prepare: Prepare) -> None:
    """Where Dendrite does not take a session alone, coming back with nothing else is its refusal; nothing is done."""
    act = prepare(account)

    with pytest.raises(MatrixError, match=r"400 M_BAD_JSON: Unknown auth\.type") as refused:
        act.request.authenticate(knows_password, session_id="of-last-week")

    assert refused.value.http_status == 400
    assert not act.is_done()


def test_a_session_in_which_the_password_was_right(account: Account, knows_password: dict[str, StartAuthStage]) -> None:
    """Dendrite's session keeps its password as completed and wants it all the same: another session is needed."""
    first = InteractiveAuth(account.homeserver.change_password("short"), knows_password)
    with pytest.raises(MatrixError, match="M_WEAK_PASSWORD"):
        first.attempt_auth()
    act = change_password(account)

    with pytest.raises(ServerProtocolError, match="begin anew, without the saved session"):
        act.request.authenticate(knows_password, session_id=first.get_session_id())
    act.request.authenticate(knows_password)

    assert act.is_done()


@pytest.mark.parametrize("prepare", [delete_one_device, change_password], ids=["refused", "answered"])
def test_polls_while_a_password_is_awaited(account: Account, threads: Threads, prepare: Prepare) -> None:
    """Polls, which one endpoint refuses as a session without a type, change nothing: the password is still taken."""
    act = prepare(account)
    polls: list[Any] = []

    def do_request(auth: dict[str, Any] | None) -> Any:
        polls.append(auth)
        return act.request(auth)

    auth = InteractiveAuth(do_request, {PASSWORD: lambda stage: None}, poll_interval=0.05)
    attempt = threads.start(auth.attempt_auth)

    wait_until(lambda: len(polls) >= 4)
    assert not act.is_done()
    user = {"type": "m.id.user", "user": account.name}
    auth.submit_auth_dict({"type": PASSWORD, "identifier": user, "password": account.password})

    assert attempt.result(30) == {}
    assert act.is_done()


def test_a_password_that_does_not_come(account: Account) -> None:
    """Whoever waits in vain is told that the server takes no polls for it, so that something has to be submitted."""
    act = delete_one_device(account)

    with pytest.raises(AuthTimeoutError, match="takes no polls") as late:
        act.request.authenticate({PASSWORD: lambda stage: None}, poll_interval=0.05, poll_timeout=0.2)

    assert isinstance(late.value.__cause__, MatrixError)
    assert late.value.__cause__.http_status == 400
    assert not act.is_done()


@EVERY
def test_cancel_and_come_back(account: Account, threads: Threads, prepare: Prepare) -> None:
    """cancel() ends the wait with nothing done, and the next attempt goes on in the same session."""
    act = prepare(account)
    answers: dict[str, StartAuthStage] = {PASSWORD: lambda stage: None}
    asked: list[int] = []

    def ask(stage: Stage) -> Any:
        asked.append(stage.attempt)
        return answers[PASSWORD](stage)

    auth = InteractiveAuth(act.request, {PASSWORD: ask}, poll_interval=60.0)
    attempt = threads.start(auth.attempt_auth)
    wait_until(lambda: bool(asked))
    auth.cancel()
    with pytest.raises(AuthCancelledError):
        attempt.result(30)
    assert not act.is_done()
    session = auth.get_session_id()
    answers[PASSWORD] = handlers.password(account.name, account.password)

    assert auth.attempt_auth() == {}

    assert auth.get_session_id() == session is not None
    assert asked == [1, 1]
    assert act.is_done()


@pytest.mark.slow
def test_registrations_on_a_bad_network(
    dendrite: Dendrite, bad_network: OpenNetwork, draw: random.Random, sized: Callable[[int, int], int]
) -> None:
    """A fifth of all exchanges fails, and each registration returns an access token that works, of one device."""
    network = bad_network(dendrite.base_url)
    people = [Person() for _ in range(sized(15, 150))]
    network.proxy.follow(Plan(draw, SHARE, 3))

    accounts = [network.homeserver.register(each.name, each.password).authenticate({}) for each in people]

    assert [owner(dendrite, account) for account in accounts] == [each.user_id for each in people]
    for account in accounts:
        found = dendrite.call("GET", "/_matrix/client/v3/devices", access_token=account["access_token"])
        assert [device["device_id"] for device in found["devices"]] == [account["device_id"]]
    assert network.failed() >= sized(3, 60)


def lose_answer(number: int) -> Callable[[], Fault | None]:
    """Make a plan that loses the answer to one request, which the server has carried out."""
    left = itertools.count(1)
    return lambda: LOST_ANSWER if next(left) == number else None


def test_the_answer_to_a_registration_is_lost(dendrite: Dendrite, bad_network: OpenNetwork, new: Person) -> None:
    """Sent again in its session, a registration is answered with the same account, and no second device."""
    network = bad_network(dendrite.base_url)
    network.proxy.follow(lose_answer(2))

    response = network.homeserver.register(new.name, new.password).authenticate({})

    assert [exchange.status for exchange in network.proxy.exchanges] == [401, 200, 200]
    assert owner(dendrite, response) == new.user_id


@pytest.mark.parametrize("prepare", [change_password, deactivate], ids=["password", "deactivate"])
def test_the_answer_to_what_cannot_be_repeated_is_lost(
    account: Account, bad_network: OpenNetwork, prepare: Prepare
) -> None:
    """A refusal of what may have been carried out, since no answer to it came, says so."""
    network = bad_network(account.homeserver.base_url, account.homeserver.access_token)
    act = prepare(account)
    request = prepare(dataclasses.replace(account, homeserver=network.homeserver)).request
    network.proxy.follow(lose_answer(2))

    with pytest.raises(InteractiveAuthError) as refused:
        request.authenticate({PASSWORD: handlers.password(account.name, account.password)})

    assert act.is_done()
    assert "got no answer" in str(refused.value)
