"""Thousands of scripted attempts that other threads submit to, poll, cancel and give a sid, at random moments."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from support.threads import Threads

from interactive_auth._engine.handover import Handover

from .record import Record, broken_rules
from .script import RecordingClock, Script


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> RecordingClock:
    """Put a clock whose waits are never over by themselves in the place of the library's."""
    clock = RecordingClock()
    monkeypatch.setattr(Handover, "clock", clock)
    return clock


@pytest.mark.slow
@pytest.mark.usefixtures("busy_switch")
def test_what_other_threads_do_at_random_moments(
    clock: RecordingClock, threads: Threads, draw: random.Random, sized: Callable[[int, int], int]
) -> None:
    """No deadlock, no double submission, no lost wake-up, nothing sent after success or cancel: see the rules."""
    seen: Counter[str] = Counter()
    least, ends = sized(150, 5000), ("done", "AuthCancelledError", "RuntimeError")
    for number in range(10 * least):
        if number >= least and min(seen[end] for end in ends) > 0:  # on a busy machine one of them may be rare
            break
        clock.record = record = Record()
        script = Script(record, random.Random(draw.random()))

        attempt = threads.start(script.attempt)
        others = [threads.start(script.act, plan) for plan in script.plans]
        finish = threads.start(script.finish, attempt, others)
        threads.join(about=record)

        for thread in (attempt, *others, finish):
            thread.result()
        assert broken_rules(record) == [], f"script {number}:\n{record}"
        seen.update(event.what for event in record.events if event.kind == "ended")
        seen.update(
            f"{event.what.name} {event.what.refused or 'accepted'}"
            for event in record.events
            if event.kind == "returns"
        )
    print(f"what happened: {dict(seen)}")
    assert min(seen[end] for end in ends) > 0
