"""Submissions in the background, and the busy signal that they do not give."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import MatrixError

SSO, TERMS, PASSWORD = "m.login.sso", "m.login.terms", "m.login.password"
EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"


@pytest.fixture
def busy() -> list[bool]:
    """Return the list that the busy signals are put into."""
    return []


@pytest.mark.parametrize(
    "refusal",
    [
        MatrixError(401, {"errcode": "M_FORBIDDEN", "flows": [{"stages": [SSO]}]}),
        MatrixError(401, {"errcode": "M_UNKNOWN_TOKEN"}),
        MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"}),
        MatrixError(403, {"errcode": "M_FORBIDDEN"}),
        MatrixError(429, {"retry_after_ms": 500}),
        MatrixError(500, {}),
        ConnectionError("x"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("origin", ["thread", "callback"])
def test_background_failure(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    clock: FakeClock,
    busy: list[bool],
    caplog: pytest.LogCaptureFixture,
    refusal: Exception,
    origin: str,
) -> None:
    """A failure in the background is logged; no callback, no attempt counted, no busy signal, the wait goes on."""
    server.will(challenge([SSO]), refusal, "done")
    auth = new_auth(busy_changed=busy.append, max_attempts=1)

    def submit(*_: object) -> None:
        auth.submit_auth_dict({"type": SSO}, background=True)

    if origin == "thread":
        user.will(None)
        clock.at(1, submit)
    else:
        user.will(submit)

    with caplog.at_level(logging.WARNING, "interactive_auth"):
        assert auth.attempt_auth() == "done"

    assert server.sent == [None, {"type": SSO, "session": "S1"}, {"session": "S1"}]
    assert server.times == [0, 1 if origin == "thread" else 0, 2]
    assert user.types == [SSO]
    assert busy == [True, False]
    said = refusal if isinstance(refusal, MatrixError) else "ConnectionError"
    assert caplog.messages == [f"a background submission for m.login.sso failed, waiting on: {said}"]


def test_background_success(
    new_auth: NewAuth,
    server: ScriptedServer,
    patient: ScriptedUser,
    clock: FakeClock,
    busy: list[bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A success in the background is the attempt's success, without a busy signal of its own."""
    server.will(challenge([SSO]), "done")
    auth = new_auth(busy_changed=busy.append)
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO, "session": "mine"}, background=True))

    assert auth.attempt_auth() == "done"
    assert server.sent[1] == {"type": SSO, "session": "mine"}
    assert busy == [True, False]
    assert caplog.records == []


def test_background_completion(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """A background submission that completes the stage ends the wait for it."""
    flow = [SSO, TERMS]
    server.will(challenge(flow), challenge(flow, completed=[SSO]), "done")
    auth = new_auth()
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO}, background=True))

    auth.attempt_auth()

    assert patient.types == [SSO, TERMS]
    assert server.times == [0, 1, 3]


def test_background_rate_limit(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """A background submission that is told to wait puts off the polls, too."""
    server.will(challenge([SSO]), MatrixError(429, {"retry_after_ms": 9000}), "done")
    auth = new_auth()
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO}, background=True))

    auth.attempt_auth()

    assert server.times == [0, 1, 10]


def test_background_then_foreground(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """After a background failure there is room for the next submission."""
    server.will(challenge([SSO]), challenge([SSO], errcode="M_FORBIDDEN"), "done")
    auth = new_auth(poll_interval=60)
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO, "n": 1}, background=True))
    clock.at(2, lambda: auth.submit_auth_dict({"type": SSO, "n": 2}))

    assert auth.attempt_auth() == "done"
    assert server.times == [0, 1, 2]


@pytest.mark.parametrize("late", [0, 20], ids=["in time", "time is up"])
def test_what_is_submitted_meanwhile_goes_before_a_poll(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock, late: float
) -> None:
    """While one is under way another dict and a poll are asked for: the dict is sent first, unless it is too late."""
    auth = new_auth(poll_interval=60, poll_timeout=10)

    def meanwhile(_auth: object) -> MatrixError:
        auth.submit_auth_dict({"type": SSO, "n": 2}, background=True)
        auth.poll()
        clock.spend(late)
        return challenge([SSO], errcode="M_FORBIDDEN")

    server.will(challenge([SSO]), meanwhile, "done")
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO, "n": 1}, background=True))

    assert auth.attempt_auth() == "done"
    last = {"session": "S1"} if late else {"type": SSO, "n": 2, "session": "S1"}
    assert server.sent == [None, {"type": SSO, "n": 1, "session": "S1"}, last]


def test_background_does_not_stand_for_the_callback(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """A background submission that comes before its stage was asked for does not keep the stage from being asked."""
    auth = new_auth(poll_timeout=10)

    def meanwhile(_auth: object) -> MatrixError:
        auth.submit_auth_dict({"type": PASSWORD, "n": 1}, background=True)
        return challenge([PASSWORD])

    server.will(meanwhile)
    server.then_always(lambda sent: "done" if sent.get("n") == 2 else challenge([PASSWORD], errcode="M_FORBIDDEN"))
    user.will({"type": PASSWORD, "n": 2})

    assert auth.attempt_auth() == "done"
    assert user.types == [PASSWORD]


@pytest.mark.parametrize("completed", [[SSO], []], ids=["completes", "does not"])
def test_background_before_its_stage(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, completed: list[str]
) -> None:
    """A background submission that completes its stage before it was asked for spares the question."""
    flow = [SSO, TERMS]
    auth = new_auth()

    def meanwhile(_auth: object) -> MatrixError:
        auth.submit_auth_dict({"type": SSO, "n": 1}, background=True)
        return challenge(flow)

    server.will(meanwhile, challenge(flow, completed=completed))
    server.will(*[challenge(flow, completed=[SSO])] * (not completed), "done")
    user.then_always(lambda stage: {"type": stage.type})

    assert auth.attempt_auth() == "done"
    assert server.sent[1] == {"type": SSO, "n": 1, "session": "S1"}
    assert user.types == [stage for stage in flow if stage not in completed]


def test_background_success_before_its_stage(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """Nobody is asked any more if such a submission succeeds."""
    auth = new_auth()

    def meanwhile(_auth: object) -> MatrixError:
        auth.submit_auth_dict({"type": SSO}, background=True)
        return challenge([SSO])

    server.will(meanwhile, "done")

    assert auth.attempt_auth() == "done"
    assert user.seen == []


def test_a_background_failure_in_another_session_is_logged(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it has opened another session, what was awaited is gone: the callback hears of that, and the log too."""
    server.will(challenge([SSO]), challenge([SSO], session="S2", errcode="M_FORBIDDEN"), "done")
    auth = new_auth()
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO}, background=True))

    auth.attempt_auth()

    assert [stage.session for stage in patient.seen] == ["S1", "S2"]
    assert caplog.messages == ["a background submission for m.login.sso failed, waiting on: 401 M_FORBIDDEN"]


def test_the_log_is_silent_by_default() -> None:
    """Where logging was not set up, the library's warnings do not appear on the terminal."""
    handlers = logging.getLogger("interactive_auth").handlers

    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


# The busy signal


def test_busy_pairs(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, busy: list[bool]) -> None:
    """Each foreground request is between True and False, repetitions too, and polls are silent."""
    during: list[int] = []

    def note(answer: Any) -> Callable[[object], Any]:
        def give(_auth: object) -> Any:
            during.append(len(busy))
            return answer

        return give

    flow = [PASSWORD, SSO]
    answers = [challenge(flow), MatrixError(503, {}), challenge(flow, errcode="M_X"), challenge(flow)]
    server.will(*map(note, [*answers, challenge(flow, completed=[PASSWORD]), challenge(flow), "done"]))
    user.will({}, {}, {}, None)

    new_auth(busy_changed=busy.append).attempt_auth()

    assert busy == [True, False] * 5
    assert during == [1, 3, 5, 7, 9, 10, 10]


@pytest.mark.parametrize("error", [MatrixError(500, {}), KeyError("bug"), KeyboardInterrupt()], ids=repr)
def test_busy_ends_with_an_error(
    new_auth: NewAuth, server: ScriptedServer, busy: list[bool], error: BaseException
) -> None:
    """False follows True whatever the request ends with."""
    server.will(error)

    with pytest.raises(type(error)):
        new_auth(busy_changed=busy.append).attempt_auth()
    assert busy == [True, False]


def test_a_busy_callbacks_exception(new_auth: NewAuth, server: ScriptedServer) -> None:
    """What busy_changed raises ends the attempt like any callback's exception, before anything is sent."""

    def fail(_busy: bool) -> None:
        raise KeyError("busy")

    with pytest.raises(KeyError, match="busy"):
        new_auth(busy_changed=fail).attempt_auth()
    assert server.sent == []


@pytest.mark.parametrize("error", [KeyError("busy"), KeyboardInterrupt()], ids=repr)
def test_busy_ends_where_its_beginning_failed(
    new_auth: NewAuth, server: ScriptedServer, busy: list[bool], error: BaseException
) -> None:
    """False follows True even if that has failed, so that a spinner that was started is stopped."""

    def note(value: bool) -> None:
        busy.append(value)
        if value:
            raise error

    with pytest.raises(type(error)):
        new_auth(busy_changed=note).attempt_auth()

    assert (busy, server.sent) == ([True, False], [])


def test_a_long_name_is_logged_in_part(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a stage's name the log has the first hundred characters."""
    name = "x" * 300
    server.will(challenge([name]), MatrixError(403, {}), "done")
    auth = new_auth()
    clock.at(1, lambda: auth.submit_auth_dict({"type": name}, background=True))

    auth.attempt_auth()

    assert caplog.messages == [f"a background submission for {'x' * 100}... failed, waiting on: 403"]
