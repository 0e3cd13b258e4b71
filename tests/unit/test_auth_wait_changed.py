"""What ``wait_changed`` is told: when, how long the wait may last and why, that it is over."""

from __future__ import annotations

from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthCancelledError, AuthTimeoutError, InteractiveAuth, MatrixError, Stage, Wait

SSO, TERMS, EMAIL = "m.login.sso", "m.login.terms", "m.login.email.identity"


class Line:
    """Notes what it is told.

    Attributes:
        shown: the time, and the wait or None.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.shown: list[tuple[float, Wait | None]] = []
        self._clock = clock

    def __call__(self, wait: Wait | None) -> None:
        self.shown.append((self._clock.elapsed, wait))


@pytest.fixture
def line(clock: FakeClock) -> Line:
    return Line(clock)


def test_a_wait_is_told_every_second(server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line) -> None:
    """It is told at once and each second, with the time left, until it is over; the polls come as without it."""
    server.will(challenge([SSO]), challenge([SSO]), "done")
    user.will(None)

    new_auth(poll_interval=1.5, poll_timeout=10.0, wait_changed=line).attempt_auth()

    assert line.shown == [
        (0, Wait(SSO, 10, "stage")),
        (1, Wait(SSO, 9, "stage")),
        (2, Wait(SSO, 8, "stage")),
        (3, None),
    ]
    assert server.times == [0, 1.5, 3]


@pytest.mark.parametrize("interval", [0.3, 1.0, 2.0, 7.7])
def test_the_polls_come_as_without_it(
    server: ScriptedServer,
    clock: FakeClock,
    user: ScriptedUser,
    new_auth: NewAuth,
    line: Line,
    interval: float,
) -> None:
    """Whether a wait is told makes no difference to the times of its polls, nor to the time of its end."""
    server.then_always(challenge([SSO]))
    user.then_always(None)
    times = []
    for wait_changed in (None, line):
        clock.elapsed = 0.0
        server.times.clear()
        with pytest.raises(AuthTimeoutError):
            new_auth(poll_interval=interval, poll_timeout=20.0, wait_changed=wait_changed).attempt_auth()
        times.append([*server.times, clock.elapsed])

    assert len(times[0]) > 3
    assert times[0] == pytest.approx(times[1])
    assert line.shown[-1] == (clock.elapsed, None)


def test_a_wait_without_an_end(server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line) -> None:
    """Without a poll_timeout there are no seconds left to tell."""
    server.will(challenge([SSO]), "done")
    user.will(None)

    new_auth(poll_timeout=None, wait_changed=line).attempt_auth()

    assert line.shown == [(0, Wait(SSO, None, "stage")), (1, Wait(SSO, None, "stage")), (2, None)]


def test_nothing_is_told_of_a_wait_that_is_none(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line
) -> None:
    """If the stage is done at the first poll, which was asked for, no wait has begun."""
    server.will(challenge([SSO]), "done")
    user.will(lambda stage: stage.auth.poll())

    new_auth(wait_changed=line).attempt_auth()

    assert line.shown == []


LIMITED = MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2500})


@pytest.mark.parametrize(
    ("trouble", "reason"), [(LIMITED, "rate_limit"), (MatrixError(503, {}, 2.5), "retry")], ids=["429", "503"]
)
def test_the_wait_before_another_try(
    server: ScriptedServer,
    user: ScriptedUser,
    new_auth: NewAuth,
    line: Line,
    trouble: MatrixError,
    reason: Any,
) -> None:
    """A request that is put off is sent again when it may be, and every second of that is told, with the reason."""
    server.will(challenge([TERMS]), trouble, "done")
    user.will({"type": TERMS})

    new_auth(wait_changed=line).attempt_auth()

    assert line.shown == [
        (0, Wait(TERMS, 2.5, reason)),
        (1, Wait(TERMS, 1.5, reason)),
        (2, Wait(TERMS, 0.5, reason)),
        (2.5, None),
    ]
    assert server.times == [0, 0, 2.5]


def test_a_wait_before_the_first_stage(server: ScriptedServer, new_auth: NewAuth, line: Line) -> None:
    """A rate limit of the very first request is no silence either; no stage is known then."""
    server.will(LIMITED, "done")

    new_auth(wait_changed=line).attempt_auth()

    assert line.shown[0] == (0, Wait(None, 2.5, "rate_limit"))
    assert line.shown[-1] == (2.5, None)


def test_cancelled_before_another_try(
    server: ScriptedServer,
    clock: FakeClock,
    user: ScriptedUser,
    new_auth: NewAuth,
    line: Line,
) -> None:
    """A wait for another try that is cancelled is over at once, and told to be."""
    server.will(challenge([TERMS]), LIMITED)
    user.will({"type": TERMS})
    auth = new_auth(wait_changed=line)
    clock.at(1.25, auth.cancel)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()

    assert [time for time, _ in line.shown] == [0, 1, 1.25]
    assert line.shown[-1] == (1.25, None)


def test_a_mail_that_is_put_off(server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, line: Line) -> None:
    """The wait before a token request of a callback's is sent again is told like any other."""
    answers: list[Any] = [LIMITED, {"sid": "a-sid"}]

    def request_token(*arguments: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    server.will(challenge([EMAIL]), "done")
    user.will(lambda stage: stage.auth.request_email_token("alice@example.org"))

    new_auth(supported_stages=[EMAIL], request_email_token=request_token, wait_changed=line).attempt_auth()

    assert line.shown[:2] == [(0, Wait(EMAIL, 2.5, "rate_limit")), (1, Wait(EMAIL, 1.5, "rate_limit"))]
    assert (2.5, None) in line.shown


@pytest.mark.parametrize("given", [True, False])
def test_a_mapping_may_bring_its_own(server: ScriptedServer, clock: FakeClock, line: Line, given: bool) -> None:
    """A mapping of callbacks that has a wait_changed need not have it named, and another one that is named wins."""

    class Callbacks(dict[str, Any]):
        wait_changed = Line(clock)

    callbacks = Callbacks({SSO: lambda stage: None})
    server.will(challenge([SSO]), "done")

    InteractiveAuth(server, callbacks, wait_changed=line if given else None).attempt_auth()

    assert [len(each.shown) > 0 for each in (line, callbacks.wait_changed)] == [given, not given]


def test_what_it_raises_ends_the_attempt(server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth) -> None:
    """An exception of wait_changed arrives unchanged, as of any callback."""

    def fail(wait: Wait | None) -> None:
        raise KeyError("mine")

    server.will(challenge([SSO]), challenge([SSO]))
    user.will(None)

    with pytest.raises(KeyError, match="mine"):
        new_auth(wait_changed=fail).attempt_auth()


# What a stage leaves behind


def test_all_that_a_stage_has_set_up_is_let_go(server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth) -> None:
    """If one of the things to do after a stage fails, the others are done all the same, and the failure is raised."""
    done: list[str] = []

    def fail() -> None:
        raise OSError("the second")

    def start(stage: Stage) -> None:
        stage.add_cleanup(lambda: done.append("first"))
        stage.add_cleanup(fail)
        stage.add_cleanup(lambda: done.append("third"))

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


@pytest.mark.parametrize("ending", ["completed", "rejected", "raised", "cancelled"])
def test_a_cleanup_is_called_once_however_the_stage_ends(
    server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth, ending: str
) -> None:
    """It is called before anything else is asked of anybody."""
    done: list[str] = []
    answers = {
        "completed": {"type": TERMS},
        "rejected": {"type": TERMS},
        "raised": KeyError("mine"),
        "cancelled": lambda: None,
    }

    def start(stage: Stage) -> Any:
        stage.add_cleanup(lambda: done.append(stage.type))
        answer = answers[ending]
        if isinstance(answer, Exception):
            raise answer
        if ending == "cancelled":
            stage.auth.cancel()
        return answer if isinstance(answer, dict) else None

    second = challenge([TERMS], errcode="M_FORBIDDEN") if ending == "rejected" else "done"
    server.will(challenge([TERMS]), second)
    user.will(start, AuthCancelledError("enough"))

    with_error = {"rejected": AuthCancelledError, "raised": KeyError, "cancelled": AuthCancelledError}
    if ending in with_error:
        with pytest.raises(with_error[ending]):
            new_auth().attempt_auth()
    else:
        new_auth().attempt_auth()

    assert done == [TERMS]


@pytest.mark.parametrize("value", [None, "x"], ids=repr)
def test_a_cleanup_that_cannot_be_called(value: Any) -> None:
    """What cannot be called is refused where it is given."""
    with pytest.raises(TypeError, match="function must be callable"):
        Stage("x").add_cleanup(value)


def test_a_cleanup_of_no_stage(server: ScriptedServer, user: ScriptedUser, new_auth: NewAuth) -> None:
    """Of a stage that is over, or was made by hand, no end will come."""
    server.will(challenge([TERMS]), "done")
    user.will({"type": TERMS})
    new_auth().attempt_auth()

    for stage in (user.seen[0], Stage(TERMS)):
        with pytest.raises(RuntimeError, match="over"):
            stage.add_cleanup(print)
