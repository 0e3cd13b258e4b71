"""A plugin: threads that cannot hold up the end of a test."""

from __future__ import annotations

import faulthandler
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

#: Seconds, longer than anything takes that works, so that what hangs fails.
PATIENCE = 30.0


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.01)


class Threads:
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
def threads() -> Iterator[Threads]:
    """Start threads, which are joined by the end of the test."""
    started = Threads()
    yield started
    started.join()
