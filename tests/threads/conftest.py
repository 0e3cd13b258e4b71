"""What the tests with many threads share: a busy switch, and a note of how long waits took to end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median, median_low

import pytest

#: Seconds from one switch of threads to the next; Python's own 5 ms would leave most races untried.
SWITCH_INTERVAL = 1e-6
#: Seconds that half of the runs of a kind may take to end their wait, and those that each run may take.
MOST, SLOWEST = 0.1, 1.0


@pytest.fixture
def busy_switch() -> Iterator[None]:
    """Have Python switch between threads all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    yield
    sys.setswitchinterval(before)


class Took:
    """The seconds from what has to end a wait to its end, of several runs of each of several kinds."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def note(self, kind: str, seconds: float) -> None:
        """Note one run."""
        self._seconds.setdefault(kind, []).append(seconds)

    def assert_at_once(self) -> None:
        """Fail unless each kind ended at once, by the rule that test_cancel_at_once.py states; print the figures."""
        for kind, runs in self._seconds.items():
            in_ms = [f"{1000 * seconds:.1f}" for seconds in (min(runs), median(runs), max(runs))]
            print(f"{kind}: {' / '.join(in_ms)} ms at best, in the middle, at worst of {len(runs)} runs")
        late = {kind: runs for kind, runs in self._seconds.items() if median_low(runs) >= MOST or max(runs) >= SLOWEST}
        assert self._seconds
        assert late == {}


@pytest.fixture
def took() -> Took:
    """Note how long waits took to end."""
    return Took()
