"""Sending again what is no part of an authentication: logins, questions about names and tokens, codes, token requests.

What must not be here: what may be sent again and when (``_retry``), and the loop's requests, which it repeats itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from .._errors import MatrixError
from .._replies import FAILURES, Reply, classify_failure
from .._retry import IS_REPEATED, Retries
from .._types import RetryPolicy

T = TypeVar("T")

_log = logging.getLogger("interactive_auth")


class Clock:
    """The only call that sleeps here; Ctrl-C ends it at once."""

    def wait(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


#: Replaced as a whole by tests, so that waiting takes no time.
clock = Clock()


def repeat(policy: RetryPolicy | None, send: Callable[[], T]) -> T:
    """Send a request, again after trouble and rate limits as the policy allows.

    Args:
        policy: how often, and how long at most; None for once.
        send: sends it once.

    Raises:
        Exception: what ``send`` raised: the first of the connection troubles, or the last of anything else.
    """
    if policy is None or IS_REPEATED.get():
        return send()
    with Retries(policy) as retries:
        while True:
            try:
                return send()
            except FAILURES as failure:
                failure.__traceback__ = None  # what is kept of it must not keep what was sent
                error = failure
            meaning = classify_failure(error)
            if meaning is Reply.FAILURE:
                raise error
            wait = retries.wait_after(meaning, error)
            # Not in its own words, which may quote what was sent.
            status = error.http_status if isinstance(error, MatrixError) else type(error).__name__
            _log.debug("the answer is %s; the same again in %.3g s", status, wait)
            clock.wait(wait)
