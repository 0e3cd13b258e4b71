"""Event loops for the tests of ``bots``, and what goes on in them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from interactive_auth import InteractiveAuth, Stage, bots

T = TypeVar("T")
#: Seconds; longer than anything takes that works, so that what hangs fails.
PATIENCE = 20.0
#: Seconds between polls; so many that none comes.
NEVER = 200.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop, for no longer than the patience lasts."""
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def make(function: Callable[..., Any], *options: Any, loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """Call ``from_coroutine`` in an event loop that then goes on, or is stopped."""

    async def made() -> Callable[..., Any]:
        return bots.from_coroutine(function, *options)

    if loop.is_running():
        return asyncio.run_coroutine_threadsafe(made(), loop).result(PATIENCE)
    return loop.run_until_complete(made())


class LibraryError(Exception):
    """What a client library raises; its words are its own."""


class Question:
    """An attempt whose callback leaves the answer to others, and tells the event loop when it was asked.

    Attributes:
        auth: the attempt, which wants a password.
        asked: whether its callback was called.
    """

    def __init__(self, do_request: Callable[[dict[str, Any] | None], Any]) -> None:
        self.auth = InteractiveAuth(do_request, {"m.login.password": self._ask}, poll_interval=NEVER)
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def _ask(self, stage: Stage) -> None:
        self._loop.call_soon_threadsafe(self.asked.set)

    async def begin(self) -> asyncio.Future[Any]:
        """Begin the attempt, and wait until it has asked."""
        self.asked.clear()
        attempt = asyncio.ensure_future(bots.attempt_auth(self.auth))
        await self.asked.wait()
        return attempt


class InFlight:
    """A coroutine function that gets no answer until it is cancelled."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, *_: Any) -> NoReturn:
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError("nobody answers")


async def begun(event: threading.Event) -> None:
    """Wait for a thread without holding up the event loop."""
    while not event.is_set():
        await asyncio.sleep(0)
