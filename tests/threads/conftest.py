"""What the tests with many threads share: a Synapse, threads that cannot hold up the end, and a busy switch."""

from __future__ import annotations

import faulthandler
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from statistics import median, median_low
from typing import Any

import pytest
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse

#: Seconds, longer than anything takes that works, so that what hangs fails.
PATIENCE = 30.0
#: Seconds from one switch of threads to the next; Python's own 5 ms would leave most races untried.
SWITCH_INTERVAL = 1e-6
#: Seconds that half of the runs of a kind may take to end their wait, and those that each run may take.
MOST, SLOWEST = 0.1, 1.0


class Watched:
    """Threads under the eyes of a watchdog."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def start(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a function in a thread of its own."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)

        # A daemon: a thread that hangs must fail its test, and not hold up the end of all tests.
        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()
        return future

    def join(self, seconds: float = PATIENCE, about: object = "") -> None:
        """Wait until all are done; after so many seconds fail, and show what it was about and where each thread is."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        stuck = sum(thread.is_alive() for thread in self._threads)
        self._threads.clear()
        if stuck:
            with tempfile.TemporaryFile("w+") as stacks:
                faulthandler.dump_traceback(stacks)
                stacks.seek(0)
                pytest.fail(
                    f"{stuck} threads are stuck after {seconds:g} seconds:\n{about}\n{stacks.read()}", pytrace=False
                )


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Start threads, which are joined by the end of the test."""
    threads = Watched()
    yield threads
    threads.join()


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


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """A Synapse that wants a registration token, and its terms accepted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        with throwaway_synapse(TOKEN, TERMS) as running:
            yield running
