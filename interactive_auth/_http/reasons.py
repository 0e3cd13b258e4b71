"""Why a request got no answer, in words that a person can use.

What must not be here: what was answered (``answers``), and sending.
"""

from __future__ import annotations

import math

import requests
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from .._text import printable


def reason_of(failure: BaseException, seconds: float) -> str:
    """Say why a request failed, without the URL that requests and urllib3 put into their messages."""
    cause: BaseException | None = failure
    while cause is not None:
        failure = cause
        # urllib3 1.26 does not say what a failure to connect comes from, but raises it while that is handled.
        handled = cause.__context__ if isinstance(cause, NewConnectionError) else None
        inner = (getattr(cause, "reason", None), *cause.args, cause.__cause__, handled)
        cause = next((error for error in inner if isinstance(error, BaseException)), None)
    if isinstance(failure, (TimeoutError, requests.Timeout, ReadTimeoutError)):
        return "it took too long" if seconds == math.inf else f"it took more than {seconds:g} seconds"
    # The words of other kinds may be those of the server, and quote what it was sent.
    if isinstance(failure, OSError) and not isinstance(failure, requests.RequestException) and str(failure):
        return printable(str(failure), 200)
    return type(failure).__name__
