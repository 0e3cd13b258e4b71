"""What the unit tests share: no sockets, a clock that takes no time, a server and a user that follow a script."""

from __future__ import annotations

import copy
import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from interactive_auth import InteractiveAuth, MatrixError, Stage
from interactive_auth._engine.handover import Bell, Handover

#: More waits than any test needs; a loop that waits for ever then fails instead of hanging.
_MOST_WAITS = 5000


class FakeClock:
    """A clock that jumps instead of waiting, and runs what is planned for the time it passes."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.waits: list[float] = []
        self._plan: list[tuple[float, int, Callable[[], object]]] = []

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start."""
        return 1000.0 + self.elapsed

    def wait(self, bell: Bell, seconds: float) -> None:
        """Jump to the end of the wait, or to the next planned action within it, and run that."""
        assert len(self.waits) < _MOST_WAITS, "the library waits for ever"
        self.waits.append(seconds)
        if self._plan and self._plan[0][0] <= self.elapsed + seconds:
            time, _, action = self._plan.pop(0)
            self.elapsed = max(self.elapsed, time)
            action()
        else:
            self.elapsed += seconds

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Plan an action for the wait that reaches ``time``, in seconds since the start."""
        self._plan.append((time, len(self._plan), action))
        self._plan.sort()

    def spend(self, seconds: float) -> None:
        """Let time pass outside of any wait, as a slow callback does."""
        self.elapsed += seconds


class ScriptedServer:
    """A ``do_request`` that gives the planned answers in order, and remembers what it was sent."""

    def __init__(self, clock: FakeClock) -> None:
        self.sent: list[dict[str, Any] | None] = []
        self.times: list[float] = []
        self._clock = clock
        self._answers: deque[Any] = deque()
        self._rest: list[Any] = []

    def will(self, *answers: Any) -> None:
        """Plan answers: an exception is raised, a callable is called with the auth dict, all else returned."""
        self._answers.extend(answers)

    def then_always(self, answer: Any) -> None:
        """Give this answer to every request after the planned ones."""
        self._rest = [answer]

    def __call__(self, auth: dict[str, Any] | None) -> Any:
        self.sent.append(copy.deepcopy(auth))
        self.times.append(self._clock.elapsed)
        assert self._answers or self._rest, f"no request was expected any more, but {auth} was sent"
        answer = self._answers.popleft() if self._answers else self._rest[0]
        if callable(answer):
            answer = answer(auth)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class ScriptedUser:
    """A ``start_auth_stage`` that gives the planned answers in order, and remembers the stages it was called with."""

    def __init__(self) -> None:
        self.seen: list[Stage] = []
        self._answers: deque[Any] = deque()
        self._rest: list[Any] = []

    def will(self, *answers: Any) -> None:
        """Plan answers: an exception is raised, a callable is called with the stage, all else returned."""
        self._answers.extend(answers)

    def then_always(self, answer: Any) -> None:
        """Give this answer to every stage after the planned ones."""
        self._rest = [answer]

    @property
    def types(self) -> list[str]:
        """The types of the stages that were asked for, in order."""
        return [stage.type for stage in self.seen]

    def __call__(self, stage: Stage) -> Mapping[str, Any] | None:
        self.seen.append(stage)
        assert self._answers or self._rest, f"nobody expected to be asked for {stage.type} any more"
        answer = self._answers.popleft() if self._answers else self._rest[0]
        if callable(answer):
            answer = answer(stage)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def no_sockets(socket_disabled: None) -> None:
    """Fail a test that opens a socket."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Put a clock that takes no time in the place of the system's."""
    fake = FakeClock()
    monkeypatch.setattr(Handover, "clock", fake)
    return fake


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from freeing what should be free without it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the random part of every wait the longest possible."""
    monkeypatch.setattr("interactive_auth._engine.retry.random.uniform", lambda _low, high: high)


@pytest.fixture
def server(clock: FakeClock) -> ScriptedServer:
    """Return the server side of the attempt under test."""
    return ScriptedServer(clock)


@pytest.fixture
def user() -> ScriptedUser:
    """Return the callback side of the attempt under test."""
    return ScriptedUser()


@pytest.fixture
def new_auth(server: ScriptedServer, user: ScriptedUser) -> Callable[..., InteractiveAuth[Any]]:
    """Return a maker of the object under test, between the scripted server and the scripted user."""

    def make(**options: Any) -> InteractiveAuth[Any]:
        return InteractiveAuth(server, user, **options)

    return make


@pytest.fixture
def challenge() -> Callable[..., MatrixError]:
    """Return a maker of 401s that offer the given flows in the session ``S1``."""

    def make(*flows: Sequence[str], **fields: Any) -> MatrixError:
        offered = [{"stages": list(flow)} for flow in flows]
        return MatrixError(401, {"flows": offered, "params": {}, "session": "S1", **fields})

    return make
