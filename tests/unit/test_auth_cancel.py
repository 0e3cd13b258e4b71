"""cancel(): what it interrupts, what it awaits, and that it does nothing without an attempt."""

from __future__ import annotations

from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthCancelledError, MatrixError, Stage

TERMS, SSO, PASSWORD, DUMMY = "m.login.terms", "m.login.sso", "m.login.password", "m.login.dummy"
EMAIL = "m.login.email.identity"
FLOW = [TERMS, SSO]


def test_cancel_while_waiting(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """Cancelling wakes a waiting loop at once, and nothing more is sent."""
    server.will(challenge([SSO]))
    auth = new_auth(poll_interval=60)
    clock.at(1.5, auth.cancel)

    said = r"^the authentication was cancelled; request\.authenticate\(\) begins anew, an InteractiveAuth's"
    with pytest.raises(AuthCancelledError, match=said):
        auth.attempt_auth()
    assert (clock.elapsed, len(server.sent)) == (1.5, 1)


@pytest.mark.parametrize("limit", [MatrixError(429, {"retry_after_ms": 60_000}), ConnectionError("x")], ids=repr)
def test_cancel_before_a_repetition(
    new_auth: NewAuth, server: ScriptedServer, clock: FakeClock, limit: Exception
) -> None:
    """Cancelling ends the wait before a request is repeated."""
    server.will(limit)
    auth = new_auth()
    clock.at(0.1, auth.cancel)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert (clock.elapsed, len(server.sent)) == (0.1, 1)


@pytest.mark.parametrize("answer", [None, {"type": TERMS}], ids=["waits", "answers"])
def test_cancel_within_a_callback(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, answer: Any) -> None:
    """After a callback that cancels, what it returns is not sent."""
    server.will(challenge([TERMS]))
    auth = new_auth()

    def decline(_stage: Stage) -> Any:
        auth.cancel()
        return answer

    user.will(decline)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    "answer",
    [
        MatrixError(401, {"flows": [{"stages": [TERMS]}]}),
        MatrixError(401, {"flows": [{"stages": [DUMMY]}]}),
        MatrixError(401, {"flows": [{"stages": []}]}),
        MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"}),
        MatrixError(429, {"retry_after_ms": 1}),
        ConnectionError("x"),
    ],
    ids=repr,
)
def test_cancel_during_a_request(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, answer: Exception
) -> None:
    """A request on its way is awaited; if it was no success, nobody is asked and nothing more is sent."""
    auth = new_auth(session_id="S1")

    def meanwhile(_auth: object) -> Exception:
        auth.cancel()
        return answer

    server.will(meanwhile)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert (len(server.sent), user.seen) == (1, [])


@pytest.mark.parametrize("when", ["first", "submission", "poll"])
def test_cancel_during_the_successful_request(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, when: str
) -> None:
    """A success is returned even if cancel() came meanwhile: the server has acted."""
    auth = new_auth()

    def meanwhile(_auth: object) -> str:
        auth.cancel()
        return "done"

    server.will(*[challenge([SSO])] * (when != "first"), meanwhile)
    user.will(None if when == "poll" else {"type": SSO})

    assert auth.attempt_auth() == "done"


@pytest.mark.parametrize("completed", [[], [SSO]], ids=["still open", "completed"])
def test_cancel_during_a_poll(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock, completed: list[str]
) -> None:
    """A poll on its way is awaited, and what it found is kept."""
    auth = new_auth()

    def meanwhile(_auth: object) -> MatrixError:
        auth.cancel()
        return challenge([SSO, TERMS], completed=completed)

    server.will(challenge([SSO, TERMS]), meanwhile)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert (clock.elapsed, patient.types) == (2.0, [SSO])
    server.will("done")
    auth.attempt_auth()
    assert patient.seen[1].completed == tuple(completed)


def test_cancel_during_a_token_request(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A token request on its way is awaited, and then nobody is asked any more."""
    server.will(challenge([EMAIL]))

    def request(*_: object) -> dict[str, str]:
        auth.cancel()
        return {"sid": "e1"}

    auth = new_auth(inputs={"email_address": "a@b.c"}, request_email_token=request)

    user.will(None)
    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert (auth.get_email_sid(), user.seen, len(server.sent)) == ("e1", [], 1)


def test_cancel_before_the_dummy_stage(new_auth: NewAuth, server: ScriptedServer) -> None:
    """After a token request that was cancelled meanwhile, the dummy stage is not submitted either."""
    server.will(challenge([DUMMY, EMAIL]))

    def request(*_: object) -> dict[str, str]:
        auth.cancel()
        return {"sid": "e1"}

    auth = new_auth(inputs={"email_address": "a@b.c"}, request_email_token=request)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert server.sent == [None]


def test_cancel_during_the_last_poll(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """An attempt that was cancelled does not time out instead."""
    auth = new_auth(poll_interval=2, poll_timeout=2)

    def meanwhile(_auth: object) -> MatrixError:
        auth.cancel()
        return challenge([SSO])

    server.will(challenge([SSO]), meanwhile)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()


def test_cancel_from_the_busy_signal(new_auth: NewAuth, server: ScriptedServer) -> None:
    """Whoever cancels on hearing that a request begins still has that one request made."""
    server.will(MatrixError(401, {"flows": [{"stages": [DUMMY]}]}))
    auth = new_auth(busy_changed=lambda busy: auth.cancel() if busy else None)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert len(server.sent) == 1


def test_cancel_without_an_attempt(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """cancel() does nothing before an attempt, between attempts and after the success."""
    server.will(challenge([SSO]), MatrixError(401, {"errcode": "M_UNKNOWN_TOKEN"}), "done")
    auth = new_auth()

    auth.cancel()
    with pytest.raises(MatrixError):
        auth.attempt_auth()
    auth.cancel()
    assert auth.attempt_auth() == "done"
    auth.cancel()


def test_a_callbacks_exception_wins_over_cancel(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """What a callback raises reaches the caller, even if it has cancelled as well."""
    server.will(challenge([TERMS]))
    auth = new_auth()

    def fail(_stage: Stage) -> None:
        auth.cancel()
        raise KeyError("x")

    user.will(fail)
    with pytest.raises(KeyError):
        auth.attempt_auth()
