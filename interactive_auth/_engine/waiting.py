"""The wait for one stage that is completed elsewhere: its polls, its deadline, what other threads hand over.

What must not be here: the choice of stages, the counting of wrong answers, the calling of callbacks.
"""

from __future__ import annotations

import logging
import math
from typing import Any, Generic, TypeVar

from .._errors import AuthTimeoutError, InteractiveAuthError
from .._text import printable
from .._types import AuthType
from .conversation import Shared
from .handover import Submission
from .replies import Reply
from .retry import Retries

T = TypeVar("T")

_log = logging.getLogger("interactive_auth")
_log.addHandler(logging.NullHandler())

_OAUTH = frozenset({AuthType.OAUTH, AuthType.UNSTABLE_OAUTH})


class Waiting(Generic[T]):
    """One wait.

    Args:
        shared: what the attempts share.
        stage: the stage that is awaited.
        waited: the seconds of its ``poll_timeout`` that earlier waits have used up.
        may_restart: whether a session that is lost ends the wait, so that the attempt can start over.
    """

    def __init__(self, shared: Shared[T], stage: str, waited: float, *, may_restart: bool) -> None:
        self._shared = shared
        self._stage = stage
        self._may_restart = may_restart
        self._clock = shared.handover.clock
        self._begun = self._clock.monotonic()
        limit = shared.poll_timeout
        self._deadline = math.inf if limit is None else self._begun + limit - waited
        self._next_poll = self._begun + shared.poll_interval
        self._not_before = self._begun
        self._limits = Retries(shared.retry)
        self._poll_error: Exception | None = None

    def seconds(self) -> float:
        """Return how long the wait has lasted so far."""
        return self._clock.monotonic() - self._begun

    def run(self, submission: Submission | None) -> Submission | Reply:
        """Wait.

        Args:
            submission: what the stage's callback has submitted in the background, to be sent at once.

        Returns:
            What was handed over to be sent in the foreground, or what the reply that ended the wait means.

        Raises:
            AuthTimeoutError: the stage's time is up.
            AuthCancelledError: the attempt was cancelled.
            MatrixError: a poll found that the access token is no longer valid.
        """
        try:
            while submission is None or submission.background:
                reply = self._act(submission)
                if reply is not None:
                    return reply
                left = self._deadline - self._clock.monotonic()
                if left <= 0:
                    limit = self._shared.poll_timeout or 0.0
                    raise AuthTimeoutError(self._stage, limit, self._poll_error) from self._poll_error
                show_again = self._shared.show_wait(None if left == math.inf else left)
                self._shared.handover.wait(min(self._next_poll, self._deadline, show_again))
                submission = self._shared.handover.take_submission()
            return submission
        finally:
            self._poll_error = None
            self._shared.end_wait()

    def _act(self, background: Submission | None) -> Reply | None:
        """Send what is due, if anything is; None if the wait goes on."""
        now = self._clock.monotonic()
        if self._shared.handover.take_poll():
            self._next_poll = min(self._next_poll, max(now, self._not_before))
        if background is not None:
            return self.send_background(background)
        if now < self._next_poll:
            return None
        self._next_poll = now + self._shared.poll_interval
        auth = self._poll_auth()
        return None if auth is None else self._send(auth, is_poll=True)

    def send_background(self, submission: Submission) -> Reply | None:
        """Send what was submitted in the background; None if it has not completed the stage."""
        return self._send(self._shared.with_session(submission.auth), is_poll=False)

    def _poll_auth(self) -> dict[str, Any] | None:
        """Return the auth dict that asks whether the stage is done, None without a session to ask about."""
        session = self._shared.session_auth()
        if session is None:
            return None
        if self._stage in _OAUTH:
            # The specification asks for the session alone; Continuwuity wants the type beside it.
            return {"type": str(AuthType.OAUTH), **session}
        threepid = self._shared.threepids.get(self._stage)
        if threepid is not None and threepid.sid is not None:
            return {**threepid.auth(self._shared.secret, self._shared.identity_server), **session}
        return session

    def _send(self, auth: dict[str, Any], *, is_poll: bool) -> Reply | None:
        """Send a request in the background: what fails is not the caller's concern, and the wait goes on."""
        shared = self._shared
        reply = shared.exchange(auth, None)
        if reply is Reply.SUCCESS or self._stage in shared.session.completed:
            return reply
        shared.handover.check()
        if is_poll:
            self._poll_error = shared.failure[0]
            if reply is Reply.LOGGED_OUT:
                raise shared.failure[0]
            if reply is Reply.SESSION_LOST and self._may_restart:
                return reply
        else:
            _log.warning(
                "a background submission for %s failed, waiting on: %s",
                printable(self._stage, 100),
                _fit_for_a_log(shared.failure[0]),
            )
        if reply is Reply.RATE_LIMITED:
            self._not_before = self._clock.monotonic() + self._limits.limit_wait(shared.failure[0])
            self._next_poll = max(self._next_poll, self._not_before)
        return None


def _fit_for_a_log(error: Exception) -> str:
    # The text of an error that is not the library's own may hold what was sent.
    return str(error) if isinstance(error, InteractiveAuthError) else type(error).__name__
