"""What an answer means to whoever may send the same again, as far as that has nothing to do with a session.

On the ground, since both wings send again: the loop what authenticates, ``_http`` the calls beside it. What must not be
here: I/O, a clock, threads, and what the server has said before. With ``_engine/misuse`` this is the only room below
``_http`` that knows requests: its exceptions are not subclasses of the built-in ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from requests.exceptions import ChunkedEncodingError as _CutShort
from requests.exceptions import ConnectionError as _RequestsConnectionError
from requests.exceptions import Timeout as _RequestsTimeout

from ._errors import AuthTimeoutError, MatrixError, ServerProtocolError
from ._types import WaitReason

#: Connection trouble, the built-in kinds and those of requests, which are not subclasses of the built-in ones.
TROUBLE = (ConnectionError, TimeoutError, _RequestsConnectionError, _RequestsTimeout, _CutShort)
#: All that an unsuccessful request may raise without being a bug of its author's.
FAILURES = (MatrixError, ServerProtocolError, *TROUBLE)

#: Worth another try (RFC 9110, RFC 8470), and what proxies say while the server behind them is away: Cloudflare has 520
#: to 524 and 530.
_TRANSIENT_STATUS = frozenset({408, 425, 502, 503, 504, 520, 521, 522, 523, 524, 530})


class Reply(Enum):
    """What an answer means for the loop (the order of the specification's cases is in ``UIASession.receive``)."""

    SUCCESS = auto()
    CHALLENGE = auto()
    REJECTION = auto()
    SESSION_LOST = auto()
    RATE_LIMITED = auto()
    TRANSIENT = auto()
    LOGGED_OUT = auto()
    FAILURE = auto()


def demands_auth(body: Mapping[str, Any]) -> bool:
    """Return whether a body asks for authentication: no success of the specification has both fields."""
    return isinstance(body.get("flows"), list) and "session" in body


def classify_failure(error: Exception) -> Reply:
    """Tell what a failure means that has nothing to do with the session: try again, and how, or not."""
    if isinstance(error, MatrixError):
        if error.http_status == 429:
            return Reply.RATE_LIMITED
        return Reply.TRANSIENT if error.http_status in _TRANSIENT_STATUS else Reply.FAILURE
    # An AuthTimeoutError is a TimeoutError too, but of an attempt nested in a callback, and final there.
    again = isinstance(error, TROUBLE) and not isinstance(error, AuthTimeoutError)
    return Reply.TRANSIENT if again else Reply.FAILURE


def wait_reason(reply: Reply) -> WaitReason:
    """Return why there is a wait before the same is sent again."""
    return "rate_limit" if reply is Reply.RATE_LIMITED else "retry"
