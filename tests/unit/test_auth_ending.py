"""Coming back: after Ctrl-C, a timeout or any error, the next attempt goes on in the same session."""

from __future__ import annotations

from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthTimeoutError, MatrixError, Stage, StageFailedError

TERMS, SSO, PASSWORD, DUMMY = "m.login.terms", "m.login.sso", "m.login.password", "m.login.dummy"
EMAIL = "m.login.email.identity"
FLOW = [TERMS, SSO]


class Interruption:
    """Ctrl-C at a given point of the second stage: what the server, the user and the clock do then."""

    def __init__(self, server: ScriptedServer, user: ScriptedUser, clock: FakeClock) -> None:
        self._server, self._user, self._clock = server, user, clock
        server.will(challenge(FLOW), challenge(FLOW, completed=[TERMS]))
        user.will({"type": TERMS})

    def callback(self) -> None:
        """Interrupt the second stage's callback."""
        self._user.will(KeyboardInterrupt())

    def request(self) -> None:
        """Interrupt the request that submits the second stage."""
        self._user.will({"type": SSO})
        self._server.will(KeyboardInterrupt())

    def poll(self) -> None:
        """Interrupt a poll."""
        self._user.will(None)
        self._server.will(KeyboardInterrupt())

    def wait(self) -> None:
        """Interrupt the wait for the next poll."""
        self._user.will(None)
        self._clock.at(1.0, self._interrupt)

    def pause(self) -> None:
        """Interrupt the wait before a repetition."""
        self._user.will({"type": SSO})
        self._server.will(MatrixError(429, {"retry_after_ms": 9000}))
        self._clock.at(1.0, self._interrupt)

    def _interrupt(self) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def interruption(server: ScriptedServer, user: ScriptedUser, clock: FakeClock) -> Interruption:
    """Return the points at which Ctrl-C can come."""
    return Interruption(server, user, clock)


@pytest.mark.parametrize("point", ["callback", "request", "poll", "wait", "pause"])
def test_ctrl_c_and_again(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, interruption: Interruption, point: str
) -> None:
    """Ctrl-C ends the attempt wherever it comes; the next attempt finishes the same session with what is completed."""
    getattr(interruption, point)()
    auth = new_auth()
    with pytest.raises(KeyboardInterrupt):
        auth.attempt_auth()

    sent = len(server.sent)
    server.will("done")
    user.will({"type": SSO})

    assert auth.attempt_auth() == "done"
    assert server.sent[sent:] == [{"type": SSO, "session": "S1"}]
    assert (user.seen[-1].type, user.seen[-1].completed, user.seen[-1].attempt) == (SSO, (TERMS,), 1)


def test_again_after_a_timeout(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """The next attempt has all of the time again."""
    server.then_always(challenge([SSO]))
    auth = new_auth(poll_timeout=10)

    for _ in range(2):
        with pytest.raises(AuthTimeoutError):
            auth.attempt_auth()

    assert clock.elapsed == 20
    assert [stage.session for stage in patient.seen] == ["S1", "S1"]


def test_again_after_wrong_answers(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """The next attempt has all of its attempts again, and the callback knows of those before."""
    wrong = challenge([PASSWORD], errcode="M_FORBIDDEN")
    server.will(challenge([PASSWORD]), wrong, wrong, wrong, "done")
    user.then_always({"type": PASSWORD})
    auth = new_auth(max_attempts=2)

    with pytest.raises(StageFailedError):
        auth.attempt_auth()

    assert auth.attempt_auth() == "done"
    assert [(stage.attempt, stage.error) for stage in user.seen] == [(1, None), (2, wrong), (3, wrong), (4, wrong)]
    assert server.sent == [None] + [{"type": PASSWORD, "session": "S1"}] * 4


def test_failed_attempts_add_up_in_the_error(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """StageFailedError counts the rejections of the session, as Stage.attempt does."""
    server.will(challenge([PASSWORD]))
    server.then_always(challenge([PASSWORD], errcode="M_FORBIDDEN"))
    user.then_always({"type": PASSWORD})
    auth = new_auth(max_attempts=1)

    counts = []
    for _ in range(3):
        with pytest.raises(StageFailedError) as caught:
            auth.attempt_auth()
        counts.append(caught.value.attempts)

    assert counts == [1, 2, 3]


@pytest.mark.parametrize("error", [MatrixError(400, {"errcode": "M_USER_IN_USE"}), ConnectionError("x")], ids=repr)
def test_again_after_an_error(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, error: Exception) -> None:
    """After any error of the request the same stage is done again in the same session."""
    server.will(challenge(FLOW), challenge(FLOW, completed=[TERMS]), error, "done")
    user.then_always(lambda stage: {"type": stage.type})
    auth = new_auth(retry=None)

    with pytest.raises(type(error)):
        auth.attempt_auth()

    assert auth.attempt_auth() == "done"
    assert user.types == [TERMS, SSO, SSO]


def test_an_unsent_submission_ends_with_its_attempt(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """What was submitted but not sent is not sent by the next attempt."""
    server.will(challenge([TERMS]), "done")
    auth = new_auth()

    def fail(_stage: Stage) -> None:
        auth.submit_auth_dict({"type": TERMS, "n": 1})
        raise KeyError("x")

    user.will(fail, {"type": TERMS, "n": 2})

    with pytest.raises(KeyError):
        auth.attempt_auth()
    auth.attempt_auth()

    assert server.sent[1] == {"type": TERMS, "n": 2, "session": "S1"}


def test_no_attempt_after_success(new_auth: NewAuth, server: ScriptedServer) -> None:
    """After the success attempt_auth() is the caller's mistake."""
    server.will("done")
    auth = new_auth()
    auth.attempt_auth()

    with pytest.raises(RuntimeError, match="has succeeded already"):
        auth.attempt_auth()
    assert len(server.sent) == 1


def test_no_attempt_within_an_attempt(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A callback cannot start another attempt, and the one that runs goes on."""
    server.will(challenge([TERMS]), "done")
    auth = new_auth()

    def nest(stage: Stage) -> dict[str, Any]:
        with pytest.raises(RuntimeError, match="running already"):
            auth.attempt_auth()
        return {"type": stage.type}

    user.will(nest)

    assert auth.attempt_auth() == "done"


def test_a_response_that_was_not_delivered_is_not_lost(new_auth: NewAuth, server: ScriptedServer) -> None:
    """If something comes between the server's answer and the caller, the next call returns it, and sends nothing."""
    server.will("done")
    heard: list[bool] = []

    def busy_changed(busy: bool) -> None:
        heard.append(busy)
        if not busy:
            raise KeyboardInterrupt

    auth = new_auth(busy_changed=busy_changed)
    with pytest.raises(KeyboardInterrupt):
        auth.attempt_auth()

    assert auth.attempt_auth() == "done"
    assert (server.sent, heard) == ([None], [True, False])
    with pytest.raises(RuntimeError, match="has succeeded already"):
        auth.attempt_auth()
