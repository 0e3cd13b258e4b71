"""The hand-over between the thread that runs an attempt and all others: submissions, polls, cancelling, waiting.

What must not be here: anything about stages or replies. All blocking of the library happens in this room, on bells that
``cancel()`` rings, so that it and Ctrl-C end every kind of wait at once.

Ctrl-C may come between any two instructions of Python, so nothing here relies on a ``finally`` having been entered:

- Whether an attempt runs is not noted but seen: it is the body of a generator, and the interpreter knows whether one is
  being executed.
- Locks are those of C, by ``with`` alone, which takes and releases them without an instruction between. A
  ``threading.Condition`` is written in Python, and an interrupt may leave its lock held.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from types import GeneratorType
from typing import Any, ClassVar, NamedTuple, cast

from .._errors import GO_ON, AuthCancelledError
from .._types import Wait, WaitChanged, WaitReason

_log = logging.getLogger("interactive_auth")

#: Seconds. Where the system's waits are deaf to Ctrl-C, as on Windows, it is heard between them.
_LONGEST_WAIT = 0.1
#: Seconds from one sign of life of a wait to the next.
_SHOW_EVERY = 1.0


class Bell:
    """Wakes one waiting thread, now or at its next wait."""

    def __init__(self) -> None:
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()  # written in C, its waits included

    def ring(self) -> None:
        """End the wait that is on, or the next one."""
        if self._rung.empty():
            self._rung.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until the bell is rung, for at most ``seconds``, and return whether it was."""
        try:
            self._rung.get(timeout=seconds)
        except queue.Empty:
            return False
        return True


class Clock:
    """The system's monotonic clock, and the only call that sleeps."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def wait(self, bell: Bell, seconds: float) -> None:
        """Wait until the bell is rung, or for a while of at most ``seconds``."""
        bell.wait(min(seconds, _LONGEST_WAIT))


class Submission(NamedTuple):
    """An auth dict to be sent, as the caller gave it."""

    auth: dict[str, Any]
    background: bool = False


class Handover:
    """One attempt's mailbox: at most one unsent submission, a request for a poll, a request to stop.

    Args:
        wait_changed: is shown how each wait goes on; None if nobody cares.
    """

    #: Replaced as a whole by tests, so that waiting takes no time.
    clock: ClassVar[Clock] = Clock()

    def __init__(self, wait_changed: WaitChanged | None = None) -> None:
        self._lock = threading.Lock()
        self._bells: dict[int, Bell] = {}
        self._wait_changed = wait_changed
        self._attempt: GeneratorType[None, None, None] | None = None
        self._thread = 0
        self._succeeded = False
        self._submission: Submission | None = None
        self._poll = False
        self._cancels = 0
        self._cancels_before = 0
        self._show_at = -math.inf
        #: Whether the response was given to the caller; attempt_auth() sets it right before it returns.
        self.delivered = False

    def run(self, attempt: Callable[[], None]) -> None:
        """Run an attempt; whatever ends it, another one may follow, unless a response was delivered.

        Raises:
            RuntimeError: an attempt is running already, or one has succeeded.
            BaseException: what ``attempt`` raised.
        """
        itself: list[GeneratorType[None, None, None]] = []
        stopped: list[StopIteration] = []
        steps = self._steps(attempt, itself, stopped)
        itself.append(cast("GeneratorType[None, None, None]", steps))
        next(steps, None)
        if stopped:
            raise stopped.pop()

    def _steps(
        self, attempt: Callable[[], None], itself: list[GeneratorType[None, None, None]], stopped: list[StopIteration]
    ) -> Generator[None, None, None]:
        with self._lock:
            if self.delivered:
                raise RuntimeError("the request has succeeded already; make a new InteractiveAuth for another one")
            if self.is_running():
                raise RuntimeError("attempt_auth() is running already, in this thread or in another one")
            self._thread = threading.get_ident()
            self._submission = None
            self._poll = False
            self._cancels_before = self._cancels
            self._attempt = itself.pop()
        try:
            attempt()
        except StopIteration as error:  # a callback's own, which a generator would turn into a RuntimeError
            stopped.append(error)
        yield from ()

    def is_running(self) -> bool:
        """Return whether an attempt is running."""
        return self._attempt is not None and self._attempt.gi_running

    def succeed(self) -> None:
        """Note that the server has acted: from here on nothing more is sent."""
        self._succeeded = True

    def submit(self, submission: Submission) -> None:
        """Hand over what is to be sent next; after success it is dropped, since a poll may have won the race.

        Raises:
            RuntimeError: no attempt runs yet, or the submission before is still unsent.
        """
        with self._lock:
            running = self.is_running()  # looked at first, since an attempt that has succeeded may end at any moment
            if self._succeeded:
                return
            if not running:
                raise RuntimeError("no attempt is running to submit to: call attempt_auth() first")
            if self._submission is not None:
                raise RuntimeError("the auth dict submitted before this one has not been sent yet")
            self._submission = submission
        self._ring()

    def take_submission(self) -> Submission | None:
        """Return what is to be sent next, None if nothing was handed over; a poll asked for is then needless."""
        with self._lock:
            submission, self._submission = self._submission, None
            if submission is not None:
                self._poll = False
            return submission

    def ask_poll(self) -> None:
        """Ask the running attempt to poll at once; without one, do nothing."""
        if self.is_running() and not self._succeeded:
            self._poll = True
            self._ring()

    def take_poll(self) -> bool:
        """Return whether a poll was asked for since the last call."""
        asked, self._poll = self._poll, False
        return asked

    def cancel(self) -> None:
        """End the running attempt, and what waits in other threads, at the next step; else do nothing."""
        if not self._succeeded:
            with self._lock:
                self._cancels += 1
            self._ring()

    def cancels(self) -> int:
        """Return the number of calls of ``cancel()`` that what is done in this thread does not have to heed."""
        in_attempt = self.is_running() and self._thread == threading.get_ident()
        return self._cancels_before if in_attempt else self._cancels

    def raise_if_cancelled(self, since: int | None = None) -> None:
        """Raise AuthCancelledError if ``cancel()`` was called.

        Args:
            since: what ``cancels()`` returned when the work began; None for the beginning of the attempt.
        """
        if self._cancelled(since):
            raise AuthCancelledError(f"the authentication was cancelled; {GO_ON}")

    def _cancelled(self, since: int | None) -> bool:
        return self._cancels != (self._cancels_before if since is None else since)

    def wait(self, stage: str, until: float, give_up_at: float) -> None:
        """Wait for a submission, a request to poll, or the clock to reach ``until``.

        Args:
            stage: the stage that is awaited.
            until: when something is to be done.
            give_up_at: when the wait for the stage ends, of which this is a part; it is over with ``end_wait()``.

        Raises:
            AuthCancelledError: the attempt was cancelled.
        """
        told = Wait(stage, None, "stage")
        self._wait(told, until, give_up_at, lambda: self._submission is not None or self._poll)

    def pause(self, stage: str | None, seconds: float, reason: WaitReason, since: int | None = None) -> None:
        """Wait ``seconds``, whatever is submitted meanwhile.

        Raises:
            AuthCancelledError: ``cancel()`` was called.
        """
        _log.debug("waiting %.3g s: %s", seconds, reason)
        until = self.clock.monotonic() + seconds
        try:
            self._wait(Wait(stage, None, reason), until, until, bool, since)
        finally:
            self.end_wait()

    def _wait(
        self, told: Wait, until: float, give_up_at: float, over: Callable[[], bool], since: int | None = None
    ) -> None:
        me = threading.get_ident()
        listening = self._listening()
        # It is rung from here on, so that nothing is missed that comes between a look and the wait.
        bell = self._bells.setdefault(me, Bell())
        try:
            while not (self._cancelled(since) or over()):
                now = self.clock.monotonic()
                if now >= until:
                    break
                if listening is not None and now >= self._show_at:
                    self._show_at = now + _SHOW_EVERY
                    listening(replace(told, seconds_left=None if give_up_at == math.inf else give_up_at - now))
                else:
                    self.clock.wait(bell, (until if listening is None else min(until, self._show_at)) - now)
        finally:
            self._bells.pop(me, None)
        self.raise_if_cancelled(since)

    def _listening(self) -> WaitChanged | None:
        """Return what this thread's waits are shown to: another one's beside the attempt would mix with its own."""
        return self._wait_changed if self._thread == threading.get_ident() or not self.is_running() else None

    def end_wait(self) -> None:
        """Tell that a wait is over, if anybody was told that it had begun."""
        listening = self._listening()
        if listening is not None and self._show_at > -math.inf:
            self._show_at = -math.inf
            listening(None)

    def _ring(self) -> None:
        for bell in self._bells.copy().values():
            bell.ring()
