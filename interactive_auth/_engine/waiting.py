"""The wait for one stage that is completed elsewhere: its polls, its deadline, what other threads hand over.

What must not be here: the choice of stages, the counting of wrong answers, the calling of callbacks.
"""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any, Generic, TypeVar

from .._errors import AuthTimeoutError, MatrixError
from .._replies import Reply
from .._retry import Retries, is_name_in_use
from .._text import printable
from .context import ANSWERED
from .conversation import Conversation
from .handover import Handover, Submission
from .options import Options
from .quirks import NOT_VALIDATED, TAKES_NO_POLLS, says
from .words import for_a_log

T = TypeVar("T")

_log = logging.getLogger("interactive_auth")

#: 4xx that say nothing about the request itself: authenticate, or try again.
_NO_REFUSAL = frozenset({401, 408, 425, 429})


class Waiting(Generic[T]):
    """The waits for one stage in one attempt, which share its ``poll_timeout``.

    Args:
        options: what the attempt obeys.
        conversation: sends the polls.
        handover: where to wait.
        stage: the stage that is awaited.
        poll_at_once: whether the first wait begins with a poll: the attempt is a resumed one, and the stage may have
            been completed meanwhile.
    """

    def __init__(
        self, options: Options, conversation: Conversation[T], handover: Handover, stage: str, *, poll_at_once: bool
    ) -> None:
        self._options = options
        self._conversation = conversation
        self._handover = handover
        self._clock = handover.clock
        self._stage = stage
        self._poll_at_once = poll_at_once
        self._may_restart = True
        self._spent = 0.0
        # How long the server has asked to wait holds for the whole stage.
        self._not_before = -math.inf
        self._limits = Retries(options.retry)
        self._next_poll = self._deadline = math.inf
        # How often a name in use may still be this client's own, after trouble.
        self._echoes = 0
        self._awaited: str | None = None
        self._poll_error: Exception | None = None
        self._told = ""

    def run(self, submission: Submission | None, *, may_restart: bool) -> Submission | Reply:
        """Wait.

        Args:
            submission: what the stage's callback has submitted in the background, to be sent at once.
            may_restart: whether a session that is lost ends the wait, so that the attempt can start over.

        Returns:
            What was handed over to be sent in the foreground, or what the reply that ended the wait means.

        Raises:
            AuthTimeoutError: the stage's time is up.
            AuthCancelledError: the attempt was cancelled.
            MatrixError: a poll found that the request is refused, or the access token no longer valid.
        """
        begun = self._clock.monotonic()
        limit = self._options.poll_timeout
        self._deadline = math.inf if limit is None else begun + limit - self._spent
        self._next_poll = begun if self._poll_at_once else begun + self._options.poll_interval
        self._poll_at_once = False
        self._may_restart = may_restart
        self._warn_of_missing_message()
        _log.debug("waiting for %s", printable(self._stage, 100))
        try:
            while submission is None or submission.background:
                reply = self._act(submission)
                if reply is not None:
                    return reply
                self._handover.wait(self._stage, min(self._next_poll, self._deadline), self._deadline)
                submission = self._handover.take_submission()
            return submission
        finally:
            self._spent += self._clock.monotonic() - begun
            self._poll_error = None
            self._handover.end_wait()

    def _act(self, background: Submission | None) -> Reply | None:
        """Send what is due, if anything is; None if the wait goes on."""
        reply = None if background is None else self.send_background(background)
        now = self._clock.monotonic()
        time_is_up = now >= self._deadline
        if reply is not None or (background is not None and not time_is_up):
            return reply  # what was submitted meanwhile goes before a poll
        if self._handover.take_poll():
            self._next_poll = min(self._next_poll, now)
        if now >= self._not_before and (time_is_up or now >= self._next_poll):
            self._next_poll = now + self._options.poll_interval
            reply = self._poll()
            if reply is not None:
                return reply
        if time_is_up:
            raise AuthTimeoutError(
                self._stage, self._options.poll_timeout or 0.0, self._poll_error, why=self._why()
            ) from self._poll_error
        self._next_poll = max(self._next_poll, self._not_before)
        return None

    def _poll(self) -> Reply | None:
        """Ask whether the stage is done; None if the wait goes on."""
        auth = self._conversation.to_poll(self._stage)
        reply = None if auth is None else self._send(auth)
        if reply is None or self._is_over(reply):
            return reply
        self._poll_error = error = self._conversation.failure
        pending = reply is Reply.CHALLENGE or self._is_pending(error) or self._may_be_own_doing(reply, error)
        if reply is Reply.SESSION_LOST and self._may_restart:
            return reply
        if (
            reply in (Reply.SESSION_LOST, Reply.LOGGED_OUT)
            or (reply is Reply.RATE_LIMITED and self._not_before > self._deadline)
            or (reply is Reply.FAILURE and _is_refusal(error) and not pending)
        ):
            raise error
        self._tell(error, "a poll for %s was answered %s", logging.DEBUG if pending else logging.WARNING)
        return None

    def send_background(self, submission: Submission) -> Reply | None:
        """Send what was submitted in the background; None if it has not completed the stage."""
        reply = self._send(self._conversation.to_submit(submission.auth))
        if reply is Reply.SUCCESS or self._stage in self._conversation.session.completed:
            return reply
        self._told = ""  # each failed submission is logged, even if the one before failed in the same way
        words = "a background submission for %s failed, waiting on: %s"
        self._tell(self._conversation.failure, words, logging.WARNING)
        return reply if self._is_over(reply) else None

    def _send(self, auth: dict[str, Any]) -> Reply:
        self._awaited = self._conversation.session.id
        reply = self._conversation.send(auth)
        if not self._is_over(reply):
            self._handover.raise_if_cancelled()
        if reply is Reply.RATE_LIMITED:
            self._not_before = self._clock.monotonic() + self._limits.limit_wait(self._conversation.failure)
        else:
            self._limits = Retries(self._options.retry)
        return reply

    def _is_over(self, reply: Reply) -> bool:
        """Return whether the stage is done, or what was awaited is gone: its session, or the flow that it is in."""
        session = self._conversation.session
        if reply is Reply.SUCCESS or self._stage in session.completed:
            return True
        gone = self._awaited not in (None, session.id) or session.chosen not in session.flows
        return reply is Reply.CHALLENGE and gone

    def _is_pending(self, error: Exception) -> bool:
        if not isinstance(error, MatrixError):
            return False
        is_threepid = self._stage in self._conversation.threepids
        return says(error, TAKES_NO_POLLS) or (is_threepid and says(error, NOT_VALIDATED))

    def _may_be_own_doing(self, reply: Reply, error: Exception) -> bool:
        """Return whether a refusal may be due to a poll before, whose answer was lost (see ``Retries``)."""
        if reply is Reply.TRANSIENT:
            self._echoes = self._options.retry.retries if self._options.retry is not None else 0
        elif is_name_in_use(reply, error) and self._echoes > 0:
            self._echoes -= 1
            return True
        return False

    def _tell(self, error: Exception, words: str, level: int) -> None:
        """Log an answer that does not end the wait; the same answer again is logged at DEBUG only."""
        text = for_a_log(error)
        _log.log(logging.DEBUG if text == self._told else level, words, printable(self._stage, 100), text)
        self._told = text

    def _lacks_message(self) -> bool:
        threepid = self._conversation.threepids.get(self._stage)
        return threepid is not None and threepid.sid is None

    def _warn_of_missing_message(self) -> None:
        if self._lacks_message():
            medium = self._conversation.threepids[self._stage].medium
            warnings.warn(
                f"waiting for {self._stage}, but no message was requested that could complete it: give the address in "
                f"inputs, or call stage.auth.request_{medium}_token() in the callback",
                stacklevel=2,
            )

    def _why(self) -> str:
        """Return what a person should know about a wait that was in vain."""
        if self._lacks_message():
            return "no message was requested that could complete it"
        if isinstance(self._poll_error, MatrixError) and says(self._poll_error, TAKES_NO_POLLS):
            return "the server takes no polls for it, so an answer has to be submitted"
        if self._poll_error is None or self._stage in ANSWERED:
            return "its callback returned None (does it lack a return?), and nothing was submitted"
        return ""


def _is_refusal(error: Exception) -> bool:
    """Return whether an answer refuses the request itself, so that no wait could mend it."""
    return isinstance(error, MatrixError) and 400 <= error.http_status < 500 and error.http_status not in _NO_REFUSAL
