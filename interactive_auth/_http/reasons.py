"""Why a request got no answer, and what a person can do about it.

What must not be here: what was answered (``answers``), and sending.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
from collections.abc import Sequence
from http.client import BadStatusLine

import requests
from urllib3.exceptions import NewConnectionError, ProxyError, ReadTimeoutError

from .._text import printable

#: What is asked of an answer that no homeserver gives, and where the answer to that is found.
WRONG_ADDRESS = (
    "is this the address of a homeserver? That of a server name stands at "
    "https://SERVER_NAME/.well-known/matrix/client (in a program: Homeserver.discover)"
)
#: What to do about it; the first kind counts that any of the causes is of.
_NEXT: Sequence[tuple[tuple[type[BaseException], ...], str]] = (
    ((ProxyError, requests.exceptions.ProxyError), "a proxy of the environment's or the session's stands in between"),
    ((socket.gaierror, requests.ConnectTimeout), "is the address right, and the network up?"),
    (
        (ssl.SSLCertVerificationError,),
        "this machine does not trust its certificate; the environment variable REQUESTS_CA_BUNDLE names a file of "
        "other authorities",
    ),
    ((ssl.SSLError,), "does it speak https at this port?"),
    ((ConnectionRefusedError,), "is the address right, and the homeserver running?"),
    ((ConnectionError, BadStatusLine), "is this the address of a homeserver? If it is, try again"),
)
#: What may be a secret in the words of what stands in for the network.
_WORD = re.compile(r"[\w.~+-]{4,}")


def no_answer(failure: BaseException, told: str, seconds: float, sent: str = "") -> str:
    """Return the message for a request that got no answer.

    Args:
        failure: what was raised.
        told: the method and the address.
        seconds: how long was waited; infinity if that is not known.
        sent: what was sent, which must not be repeated.
    """
    chain = [failure]
    while (cause := _cause(chain[-1])) is not None:
        chain.append(cause)
    text = f"{told} got no answer: {_words(chain[-1], seconds, sent)}"
    step = next((step for kinds, step in _NEXT if any(isinstance(each, kinds) for each in chain)), None)
    return text if step is None else f"{text}; {step}"


def _cause(failure: BaseException) -> BaseException | None:
    # urllib3 1.26 does not say what a failure to connect comes from, but raises it while that is handled.
    handled = failure.__context__ if isinstance(failure, NewConnectionError) else None
    inner = (getattr(failure, "reason", None), *failure.args, failure.__cause__, handled)
    return next((error for error in inner if isinstance(error, BaseException)), None)


def _words(failure: BaseException, seconds: float, sent: str) -> str:
    """Return why a request failed, without the URL that requests and urllib3 put into their messages."""
    if isinstance(failure, (TimeoutError, requests.Timeout, ReadTimeoutError)):
        return "it took too long" if seconds == math.inf else f"it took more than {seconds:g} seconds"
    # The words of other kinds may be those of the server, and quote what it was sent.
    if isinstance(failure, OSError) and not isinstance(failure, requests.RequestException) and str(failure):
        return printable(str(failure), 200)
    if isinstance(failure, requests.ConnectionError) and str(failure).strip():
        # Not one that requests has made, which has a cause: a mock's, which says what it lacks.
        line = re.sub(r"\?\S*", "", str(failure).strip().splitlines()[0])
        return printable(_WORD.sub(lambda word: "[hidden]" if word[0] in sent else word[0], line), 200)
    return type(failure).__name__
