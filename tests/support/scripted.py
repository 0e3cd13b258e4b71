"""The two sides of an attempt that follow a script: what ``do_request`` answers, and what a callback returns."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interactive_auth import InteractiveAuth, MatrixError, Stage

from .clocks import TurnedClock

#: What the fixture ``new_auth`` of the unit tests is.
NewAuth = Callable[..., InteractiveAuth[Any]]


def challenge(*flows: Sequence[str], **fields: Any) -> MatrixError:
    """Return a 401 that offers the given flows in the session ``S1``."""
    offered = [{"stages": list(flow)} for flow in flows]
    return MatrixError(401, {"flows": offered, "params": {}, "session": "S1", **fields})


class Script:
    """Answers that are given in the planned order."""

    def __init__(self) -> None:
        self._answers: deque[Any] = deque()
        self._rest: list[Any] = []

    def will(self, *answers: Any) -> None:
        """Plan answers: an exception is raised, a callable is called with what came, all else returned."""
        self._answers.extend(answers)

    def then_always(self, answer: Any) -> None:
        """Give this answer to everything after the planned ones."""
        self._rest = [answer]

    def _answer(self, came: Any, unexpected: str) -> Any:
        assert self._answers or self._rest, unexpected
        answer = self._answers.popleft() if self._answers else self._rest[0]
        if callable(answer):
            answer = answer(came)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class ScriptedServer(Script):
    """A ``do_request`` that gives the planned answers in order.

    Attributes:
        sent: what it was sent so far.
        times: when, in seconds on the clock, if it has one.
    """

    def __init__(self, clock: TurnedClock | None = None) -> None:
        super().__init__()
        self.sent: list[dict[str, Any] | None] = []
        self.times: list[float] = []
        self._clock = clock or TurnedClock()

    def __call__(self, auth: dict[str, Any] | None) -> Any:
        self.sent.append(copy.deepcopy(auth))
        self.times.append(self._clock.elapsed)
        return self._answer(auth, f"no request was expected any more, but {auth} was sent")


class ScriptedUser(Script):
    """A ``start_auth_stage`` that gives the planned answers in order.

    Attributes:
        seen: the stages it was called with so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Stage] = []

    @property
    def types(self) -> list[str]:
        """The types of the stages that were asked for, in order."""
        return [stage.type for stage in self.seen]

    def __call__(self, stage: Stage) -> Mapping[str, Any] | None:
        self.seen.append(stage)
        answer: Mapping[str, Any] | None = self._answer(stage, f"nobody expected to be asked for {stage.type} any more")
        return answer
