"""How long to wait before one failed request is sent again, and when to give up.

On the ground, like ``_replies``: the loop repeats what authenticates and its token requests, ``_http`` the calls beside
it. What must not be here: the waiting itself, the sending, or knowledge of stages.
"""

from __future__ import annotations

import random
from contextvars import ContextVar

from ._errors import MatrixError
from ._replies import Reply
from ._types import RetryPolicy

#: Whether the loop repeats what is being sent, so that nobody below it does so once more: 4 times 4 are too many.
IS_REPEATED: ContextVar[bool] = ContextVar("interactive_auth.is_repeated", default=False)

#: Seconds before the first repetition; each further one doubles it.
_FIRST_WAIT = 0.5
#: Seconds assumed for a 429 that states no delay (Continuwuity, Tuwunel); each further one doubles it.
_FIRST_LIMIT = 2.0
#: As many 429s of one request are waited for; a server that says "again in 0 seconds" each time would go on for ever.
_MOST_LIMITS = 20
#: No exponent beyond it: the waits are long past any limit by then.
_MOST_DOUBLINGS = 30


class Retries:
    """The repetitions of one request.

    Args:
        policy: how often, and how long at most; None gives up at once.
    """

    def __init__(self, policy: RetryPolicy | None) -> None:
        self._policy = policy
        self._first: Exception | None = None
        self._troubles = 0
        self._unstated_limits = 0
        self._limits = 0

    def __enter__(self) -> Retries:
        return self

    @property
    def first(self) -> Exception | None:
        """The first of the connection troubles, None if there was none."""
        return self._first

    def __exit__(self, *_: object) -> None:
        # The error's traceback leads to the frame that holds this object: a reference cycle, if the error was kept.
        self._first = None

    def wait_after(self, reply: Reply, error: Exception) -> float:
        """Return the seconds to wait before the request is sent again.

        Args:
            reply: what the answer means.
            error: the answer.

        Raises:
            Exception: ``error`` itself if it is not one to try again after, or a wait for it would be too long, or
                one too many; the first of the connection troubles if there were too many.
        """
        echo = self._may_be_own_doing(reply, error)
        if self._policy is None or not (echo or reply in (Reply.RATE_LIMITED, Reply.TRANSIENT)):
            raise error
        if reply is Reply.RATE_LIMITED:
            wait = self.limit_wait(error)
            self._limits += 1
            if wait > self._policy.max_wait or self._limits > _MOST_LIMITS:
                raise error
            return wait
        self._first = self._first or error
        if self._troubles >= self._policy.retries:
            raise error if echo else self._first
        stated = _stated_wait(error)
        if stated is not None and stated > self._policy.max_wait:
            raise self._first
        wait = _FIRST_WAIT * 2.0 ** min(self._troubles, _MOST_DOUBLINGS)
        self._troubles += 1
        if stated is not None:
            return stated
        # Jitter keeps clients that a restart threw off together from coming back together.
        return min(wait * random.uniform(0.5, 1.0), self._policy.max_wait)

    def _may_be_own_doing(self, reply: Reply, error: Exception) -> bool:
        """Return whether a refusal may be due to this very request, whose answer was lost.

        Synapse answers a repeated registration with M_USER_IN_USE while it is still busy with the first. Once it has
        finished, it answers the same request, in the same session, with the account.
        """
        return self._first is not None and is_name_in_use(reply, error)

    def limit_wait(self, error: Exception) -> float:
        """Return the seconds that a 429 asks to wait, the body's word before the header's, else a growing default."""
        stated = _stated_wait(error)
        if stated is not None:
            return stated
        self._unstated_limits += 1
        return _FIRST_LIMIT * 2.0 ** min(self._unstated_limits - 1, _MOST_DOUBLINGS)


def is_name_in_use(reply: Reply, error: Exception) -> bool:
    """Return whether a registration was refused since somebody has the name."""
    return reply is Reply.FAILURE and isinstance(error, MatrixError) and error.errcode == "M_USER_IN_USE"


def _stated_wait(error: Exception) -> float | None:
    """Return the seconds that an answer asks to wait, the body's word before the header's; None if it does not say."""
    if not isinstance(error, MatrixError):
        return None
    return error.retry_after if error.body_retry_after is None else error.body_retry_after
