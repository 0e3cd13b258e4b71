"""Clocks on which waiting takes no time: for ``Handover.clock``, of one attempt or of all, and for calls beside it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interactive_auth._engine.handover import Bell, Clock
from interactive_auth._http import repeating

#: More waits than any test with a plan needs; a loop that waits for ever then fails instead of hanging.
_MOST_WAITS = 5000


class TurnedClock(Clock):
    """A clock that each wait turns on to its end.

    Attributes:
        elapsed: the seconds since the start.
        waits: the seconds of each wait so far.
    """

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start."""
        return 1000.0 + self.elapsed

    def wait(self, bell: Bell, seconds: float) -> None:
        """Jump to the end of the wait."""
        self.waits.append(seconds)
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        self.elapsed += seconds


class FakeClock(TurnedClock):
    """A clock that also runs what is planned for the time it passes."""

    def __init__(self) -> None:
        super().__init__()
        self._plan: list[tuple[float, int, Callable[[], object]]] = []

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Plan an action for the wait that reaches ``time``, in seconds since the start."""
        self._plan.append((time, len(self._plan), action))
        self._plan.sort()

    def spend(self, seconds: float) -> None:
        """Let time pass outside of any wait, as a slow callback does."""
        self.elapsed += seconds

    def _pass(self, seconds: float) -> None:
        assert len(self.waits) <= _MOST_WAITS, "the library waits for ever"
        if self._plan and self._plan[0][0] <= self.elapsed + seconds:
            time, _, action = self._plan.pop(0)
            self.elapsed = max(self.elapsed, time)
            action()
        else:
            super()._pass(seconds)


class NoClock(repeating.Clock):
    """A clock on which a call that is sent again waits for no time."""

    def wait(self, seconds: float) -> None:
        assert 0 <= seconds <= 120


@pytest.fixture
def sent_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no call wait before it is sent again."""
    monkeypatch.setattr(repeating, "clock", NoClock())
