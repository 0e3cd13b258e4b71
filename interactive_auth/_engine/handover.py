"""The hand-over between the thread that runs an attempt and all others: submissions, polls, cancelling, waiting.

What must not be here: anything about stages or replies. All blocking of the library happens in this room, on one
condition, so that ``cancel()`` and Ctrl-C end every kind of wait at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from .._errors import AuthCancelledError

#: Seconds. Where the system's waits are deaf to Ctrl-C, as on Windows, it is heard between them.
_LONGEST_WAIT = 0.1


class Clock:
    """The system's monotonic clock, and the only call that sleeps."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait, with the condition's lock held, until notified, or for a while of at most ``seconds``."""
        condition.wait(min(seconds, _LONGEST_WAIT))


class Submission(NamedTuple):
    """An auth dict to be sent, as the caller gave it."""

    auth: dict[str, Any]
    background: bool = False


class Handover:
    """One attempt's mailbox: at most one unsent submission, a request for a poll, a request to stop."""

    #: Replaced as a whole by tests, so that waiting takes no time.
    clock: ClassVar[Clock] = Clock()

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = False
        self._succeeded = False
        self._delivered = False
        self._submission: Submission | None = None
        self._poll = False
        self._cancelled = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Hold the right to run the attempt; whatever ends it, another one may follow, unless it returned a response.

        Raises:
            RuntimeError: an attempt is running already, or one has succeeded.
        """
        with self._changed:
            if self._delivered:
                raise RuntimeError("the request has succeeded already; make a new InteractiveAuth for another one")
            if self._running:
                raise RuntimeError("attempt_auth() is running already, in this thread or in another one")
            self._running = True
        try:
            yield
            self._delivered = True
        finally:
            with self._changed:
                self._running = False
                self._submission = None
                self._poll = self._cancelled = False

    def succeed(self) -> None:
        """Note that the server has acted: from here on nothing more is sent."""
        with self._changed:
            self._succeeded = True

    def submit(self, submission: Submission) -> None:
        """Hand over what is to be sent next; after success it is dropped, since a poll may have won the race.

        Raises:
            RuntimeError: no attempt runs yet, or the submission before is still unsent.
        """
        with self._changed:
            if self._succeeded:
                return
            if not self._running:
                raise RuntimeError("no attempt is running to submit to: call attempt_auth() first")
            if self._submission is not None:
                raise RuntimeError("the auth dict submitted before this one has not been sent yet")
            self._submission = submission
            self._changed.notify_all()

    def take_submission(self) -> Submission | None:
        """Return what is to be sent next, None if nothing was handed over; a poll asked for is then needless."""
        with self._changed:
            submission, self._submission = self._submission, None
            if submission is not None:
                self._poll = False
            return submission

    def ask_poll(self) -> None:
        """Ask the running attempt to poll at once; without one, do nothing."""
        with self._changed:
            if self._running and not self._succeeded:
                self._poll = True
                self._changed.notify_all()

    def take_poll(self) -> bool:
        """Return whether a poll was asked for since the last call."""
        with self._changed:
            asked, self._poll = self._poll, False
            return asked

    def cancel(self) -> None:
        """End the running attempt at its next step; without one, do nothing."""
        with self._changed:
            if self._running and not self._succeeded:
                self._cancelled = True
                self._changed.notify_all()

    def check(self) -> None:
        """Raise AuthCancelledError if the attempt was cancelled."""
        if self._cancelled:
            raise AuthCancelledError("the authentication was cancelled; attempt_auth() goes on in the same session")

    def wait(self, until: float) -> None:
        """Wait for a submission, a request to poll, or the clock to reach ``until``.

        Raises:
            AuthCancelledError: the attempt was cancelled.
        """
        with self._changed:
            while not (self._cancelled or self._submission or self._poll):
                left = until - self.clock.monotonic()
                if left <= 0:
                    break
                self.clock.wait(self._changed, left)
        self.check()

    def pause(self, seconds: float) -> None:
        """Wait ``seconds``, whatever is submitted meanwhile.

        Raises:
            AuthCancelledError: the attempt was cancelled.
        """
        until = self.clock.monotonic() + seconds
        with self._changed:
            while not self._cancelled and (left := until - self.clock.monotonic()) > 0:
                self.clock.wait(self._changed, left)
        self.check()
