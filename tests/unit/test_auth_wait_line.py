"""What a wait shows of itself to a person: when, how long it may last, that it is over; and what a stage leaves behind.

A callback of the library's own sets it up through the attempt that calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthCancelledError, AuthTimeoutError, MatrixError, Stage
from interactive_auth._engine.context import current

SSO, TERMS, EMAIL = "m.login.sso", "m.login.terms", "m.login.email.identity"


class Line:
    """Notes what it is told.

    Attributes:
        shown: the time, the seconds left and whether the wait is for another try, or the time and "end".
    """

    def __init__(self, clock: FakeClock) -> None:
        self.shown: list[tuple[Any, ...]] = []
        self._clock = clock

    def show(self, left: float | None, *, retrying: bool) -> None:
        """Note that it was shown."""
        self.shown.append((self._clock.elapsed, left, retrying))

    def end(self) -> None:
        """Note that it was ended."""
        self.shown.append((self._clock.elapsed, "end"))


@pytest.fixture
def line(clock: FakeClock) -> Line:
    return Line(clock)


@pytest.fixture
def watched(line: Line) -> Callable[..., Callable[[Stage], Any]]:
    """Make callbacks that have the line show the waits of their stage."""

    def make(answer: Any = None) -> Callable[[Stage], Any]:
        def start(stage: Stage) -> Any:
            current().wait_line = line
            return answer(stage) if callable(answer) else answer

        return start

    return make


def test_a_wait_is_shown_every_second(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line, watched: Callable[..., Any]
) -> None:
    """It is shown at once and each second, with the time left, until it is over; the polls come as without it."""
    server.will(challenge([SSO]), challenge([SSO]), "done")
    user.will(watched())

    new_auth(poll_interval=1.5, poll_timeout=10.0).attempt_auth()

    assert line.shown == [
        (0, 10, False),
        (1, 9, False),
        (1.5, 8.5, False),
        (2.5, 7.5, False),
        (3, "end"),
    ]
    assert server.times == [0, 1.5, 3]


@pytest.mark.parametrize("interval", [0.3, 1.0, 2.0, 7.7])
def test_the_polls_come_as_without_it(
    server: ScriptedServer,
    clock: FakeClock,
    user: ScriptedUser,
    new_auth: NewAuth,
    line: Line,
    watched: Callable[..., Any],
    interval: float,
) -> None:
    """Whether a wait is shown makes no difference to the times of its polls, nor to the time of its end."""
    server.then_always(challenge([SSO]))
    user.will(None, watched())
    times = []
    for _ in range(2):
        clock.elapsed = 0.0
        server.times.clear()
        with pytest.raises(AuthTimeoutError):
            new_auth(poll_interval=interval, poll_timeout=20.0).attempt_auth()
        times.append([*server.times, clock.elapsed])

    assert len(times[0]) > 3
    assert times[0] == pytest.approx(times[1])
    assert line.shown[-1] == (clock.elapsed, "end")


def test_a_wait_without_an_end(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line, watched: Callable[..., Any]
) -> None:
    """Without a poll_timeout there are no seconds left to tell."""
    server.will(challenge([SSO]), "done")
    user.will(watched())

    new_auth(poll_timeout=None).attempt_auth()

    assert line.shown == [(0, None, False), (1, None, False), (2, "end")]


def test_nothing_is_shown_of_a_wait_that_is_none(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line, watched: Callable[..., Any]
) -> None:
    """If the stage is done at the first poll, which was asked for, the wait has not begun."""
    server.will(challenge([SSO]), "done")
    user.will(watched(lambda stage: current().handover.ask_poll()))

    new_auth().attempt_auth()

    assert line.shown == [(0, "end")]


def test_the_next_stage_begins_without_it(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line, watched: Callable[..., Any]
) -> None:
    """What one stage's callback has set up shows nothing of the next stage's wait."""
    flow = [SSO, TERMS]
    server.will(challenge(flow), challenge(flow, completed=[SSO]), challenge(flow, completed=[SSO]), "done")
    user.will(watched(), None)

    new_auth().attempt_auth()

    assert line.shown[-1] == (2, "end")
    assert server.times == [0, 2, 4, 6]


LIMITED = MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2500})


def test_the_wait_before_another_try(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line, watched: Callable[..., Any]
) -> None:
    """A request that the server has put off is sent again when it may be, and every second of that is shown."""
    server.will(challenge([TERMS]), LIMITED, "done")
    user.will(watched({"type": TERMS}))

    new_auth().attempt_auth()

    assert line.shown == [(0, 2.5, True), (1, 1.5, True), (2, 0.5, True), (2.5, "end")]
    assert server.times == [0, 0, 2.5]


@pytest.mark.parametrize("trouble", [ConnectionError("refused"), MatrixError(429, {"retry_after_ms": 1000})], ids=repr)
def test_a_moment_before_another_try(
    server: ScriptedServer,
    user: ScriptedUser,
    new_auth: NewAuth,
    line: Line,
    watched: Callable[..., Any],
    trouble: Exception,
) -> None:
    """What lasts no longer than a second need not be shown."""
    server.will(challenge([TERMS]), trouble, "done")
    user.will(watched({"type": TERMS}))

    new_auth().attempt_auth()

    assert line.shown == []


def test_cancelled_before_another_try(
    server: ScriptedServer,
    clock: FakeClock,
    user: ScriptedUser,
    new_auth: NewAuth,
    line: Line,
    watched: Callable[..., Any],
) -> None:
    """A wait for another try that is cancelled is over at once, and shown to be."""
    server.will(challenge([TERMS]), LIMITED)
    user.will(watched({"type": TERMS}))
    auth = new_auth()
    clock.at(1.25, auth.cancel)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()

    assert line.shown == [(0, 2.5, True), (1, 1.5, True), (1.25, "end")]


def test_a_mail_that_is_put_off(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line, watched: Callable[..., Any]
) -> None:
    """The wait before a token request of a callback's is sent again is shown like any other."""
    answers: list[Any] = [LIMITED, {"sid": "a-sid"}]

    def request_token(*arguments: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(stage: Stage) -> None:
        shared = current()
        shared.request_token(shared.threepids[EMAIL], ("alice@example.org",))

    server.will(challenge([EMAIL]), "done")
    user.will(watched(ask))

    new_auth(supported_stages=[EMAIL], request_email_token=request_token).attempt_auth()

    assert line.shown[:4] == [(0, 2.5, True), (1, 1.5, True), (2, 0.5, True), (2.5, "end")]


def test_all_that_a_stage_has_set_up_is_let_go(server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth) -> None:
    """If one of the things to do after a stage fails, the others are done all the same, and the failure is raised."""
    done: list[str] = []

    def fail() -> None:
        raise OSError("the second")

    def start(stage: Stage) -> None:
        after_stage = current().after_stage
        after_stage.callback(done.append, "first")
        after_stage.callback(fail)
        after_stage.callback(done.append, "third")

    server.then_always(challenge([SSO]))
    user.will(start, None)
    auth = new_auth(poll_timeout=0.0)

    with pytest.raises(OSError, match="the second") as caught:
        auth.attempt_auth()

    assert isinstance(caught.value.__context__, AuthTimeoutError)
    assert done == ["third", "first"]
    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()
    assert done == ["third", "first"]
