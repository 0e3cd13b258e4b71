"""cancel() from another thread ends every kind of wait at once.

The rule for "at once": at least half of the runs take less than 100 ms, and each takes less than a second. The
machine may be busy, and then a single run is late; but a delay of the library's own would be in each run. A wait in
short pieces would hide that nothing wakes it: it ends at the end of a piece, by chance very soon. So each kind is
measured with the pieces that the library has, for the figure, and in one piece of an hour, where nothing but the call
can end it within the second.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.threads import Threads

from .waits import KINDS, WaitingAttempt, lengthen_retries, wait_in_one_piece

if TYPE_CHECKING:
    from .conftest import Took

ATTEMPTS = 32
CALLERS = 8


@pytest.fixture(params=["short pieces", "one piece"], autouse=True)
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the waits last an hour, in the library's short pieces or in one."""
    lengthen_retries(monkeypatch.setattr)
    if request.param == "one piece":
        wait_in_one_piece(monkeypatch.setattr)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cancel_ends_every_kind_of_wait_at_once(
    kind: str, threads: Threads, draw: random.Random, sized: Callable[[int, int], int], took: Took
) -> None:
    """cancel() ends the wait at once, run after run, and the next attempt goes on in the same session."""
    waits = threading.Event()
    waiting = WaitingAttempt(kind, waits.set)

    for _ in range(sized(3, 30)):
        waits.clear()
        attempt = threads.start(waiting.run)
        assert waits.wait(30)
        time.sleep(draw.uniform(0, 0.02))
        begun = time.monotonic()
        waiting.auth.cancel()
        threads.join()
        how, left = attempt.result()
        assert how == "AuthCancelledError"
        took.note(kind, left - begun)
    waiting.over = True
    how, _ = waiting.run()

    took.assert_at_once()
    assert how == "done"
    assert {auth["session"] for auth in waiting.sent if auth is not None} == {"S1"}
    assert waiting.sent.count(None) == 1
    assert set(waiting.sessions) <= {"S1"}


@pytest.mark.slow
def test_cancel_ends_many_waits_at_once(
    threads: Threads, draw: random.Random, sized: Callable[[int, int], int], took: Took
) -> None:
    """Attempts in many threads, of every kind, all end at once when several threads cancel them all."""
    for _ in range(sized(2, 20)):
        all_wait, start = threading.Semaphore(0), threading.Barrier(CALLERS + 1)
        waiting = [WaitingAttempt(list(KINDS)[n % len(KINDS)], all_wait.release) for n in range(ATTEMPTS)]

        def cancel_all(attempts: list[WaitingAttempt], start: threading.Barrier = start) -> None:
            start.wait(30)
            for attempt in attempts:
                attempt.auth.cancel()

        attempts = [threads.start(one.run) for one in waiting]
        for _ in waiting:
            assert all_wait.acquire(timeout=30)
        for _ in range(CALLERS):
            threads.start(cancel_all, draw.sample(waiting, len(waiting)))
        begun = time.monotonic()
        start.wait(30)
        threads.join()

        ends = [attempt.result() for attempt in attempts]
        assert {how for how, _ in ends} == {"AuthCancelledError"}
        took.note(f"the last of {ATTEMPTS}", max(left for _, left in ends) - begun)
    took.assert_at_once()
