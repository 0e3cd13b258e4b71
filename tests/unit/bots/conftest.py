"""What the tests of awaited attempts share: an event loop of another thread, and the time that passes in loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from support.clocks import FakeClock

from interactive_auth import bots
from interactive_auth._engine.handover import Clock, Handover

from .loops import PATIENCE


@pytest.fixture(autouse=True)
def no_threads() -> Iterator[None]:
    """Fail a test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive(), thread


@pytest.fixture
def real_clock(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an attempt wait until somebody else acts, which takes no time here."""
    monkeypatch.setattr(Handover, "clock", Clock())


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time be lost between two looks."""
    monkeypatch.setattr(bots, "_LOOK", 0.001)


@pytest.fixture
def other_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()
