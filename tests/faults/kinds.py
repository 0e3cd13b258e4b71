"""The faults of a bad network and of bad proxies, a row each, and how long each makes a client wait.

What must not be here: sockets, which are in ``proxy``.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum, auto

from interactive_auth import RetryPolicy

PAGE = b"<html><head><title>Please try again later</title></head><body><h1>It is not you, it is us</h1></body></html>"
#: The retry policy's own figures, in seconds: the first wait after trouble, and after a 429 that names none.
_FIRST_WAIT, _FIRST_LIMIT = 0.5, 2.0
#: Seconds that an HTTP date ahead may lose: it has whole seconds, and the answer takes a moment.
_LOST_BY_DATE = 1.5


class Act(Enum):
    """What is done to an exchange."""

    REFUSE = auto()
    RESET = auto()
    ABANDON = auto()
    CUT_HEAD = auto()
    CUT_BODY = auto()
    STALL = auto()
    STALL_HALFWAY = auto()
    ANSWER = auto()


@dataclass(frozen=True)
class Fault:
    """One way in which an exchange fails.

    Attributes:
        name: what to call it.
        act: what is done.
        handled: whether the server gets the request, and has answered it before anything is done.
        status: of the answer in the server's place.
        body: its body.
        headers: its headers, made when it is sent.
        limit: the seconds that a 429 tells to wait, 0.0 if it names none; None for all that is no 429.
    """

    name: str
    act: Act
    handled: bool = False
    status: int = 0
    body: bytes = b""
    headers: Callable[[], Mapping[str, str]] = field(default=lambda: {"Content-Type": "text/html"})
    limit: float | None = None


def _limited(**fields: object) -> bytes:
    return json.dumps({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", **fields}).encode()


FAULTS = (
    Fault("refused", Act.REFUSE),
    Fault("reset before the request", Act.RESET),
    Fault("reset before the answer", Act.RESET, handled=True),
    Fault("cut in the head", Act.CUT_HEAD, handled=True),
    Fault("cut in the body", Act.CUT_BODY, handled=True),
    Fault("stalled before the request", Act.STALL),
    Fault("stalled before the answer", Act.STALL, handled=True),
    Fault("stalled in the answer", Act.STALL_HALFWAY, handled=True),
    Fault("502 page", Act.ANSWER, status=502, body=PAGE),
    Fault("502 page in place of the answer", Act.ANSWER, handled=True, status=502, body=PAGE),
    Fault("502 without a body", Act.ANSWER, status=502),
    Fault("503 page", Act.ANSWER, status=503, body=PAGE),
    Fault("503 JSON", Act.ANSWER, status=503, body=b'{"errcode": "M_UNKNOWN"}'),
    Fault("504 page", Act.ANSWER, status=504, body=PAGE),
    Fault("504 page in place of the answer", Act.ANSWER, handled=True, status=504, body=PAGE),
    Fault(
        "429 with retry_after_ms, and a header that says more",
        Act.ANSWER,
        status=429,
        body=_limited(retry_after_ms=700),
        headers=lambda: {"Retry-After": "1"},
        limit=0.7,
    ),
    Fault("429 with seconds", Act.ANSWER, status=429, body=_limited(), headers=lambda: {"Retry-After": "3"}, limit=3.0),
    Fault(
        "429 with a date",
        Act.ANSWER,
        status=429,
        body=_limited(),
        headers=lambda: {"Retry-After": formatdate(time.time() + 5, usegmt=True)},
        limit=5.0,
    ),
    Fault("429 with neither", Act.ANSWER, status=429, body=_limited(), limit=0.0),
    Fault("429 page", Act.ANSWER, status=429, body=PAGE, limit=0.0),
)

#: The client is cut off while the server is still busy with its request. Not among the others: what comes of it is a
#: matter of time, so it takes a server that is slow for certain.
ABANDONED = Fault("reset while the server is busy", Act.ABANDON)


class Plan:
    """Draws a fault for a share of the exchanges, all kinds equally often, and never more in a row than are survived.

    Args:
        draw: where the chance comes from.
        share: the share of the exchanges that fail.
        in_a_row: the most that fail one after the other.
    """

    def __init__(self, draw: random.Random, share: float, in_a_row: int) -> None:
        self._draw = draw
        self._share = share
        self._in_a_row = in_a_row
        self._row = 0
        self._deck: list[Fault] = []

    def __call__(self) -> Fault | None:
        """Return what happens to the next exchange, None if it is let through."""
        if self._row == self._in_a_row or self._draw.random() >= self._share:
            self._row = 0
            return None
        self._row += 1
        if not self._deck:
            self._deck = self._draw.sample(FAULTS, len(FAULTS))
        return self._deck.pop()


def allowed_waits(met: list[Fault | None], policy: RetryPolicy) -> list[tuple[float, float]]:
    """Return the least and the most seconds that the policy allows for the wait after each fault.

    Args:
        met: what happened to the exchanges of an attempt, in order.
        policy: the attempt's.
    """
    allowed = []
    troubles = limits = 0
    for fault in met:
        if fault is None:
            troubles = limits = 0
        elif fault.limit is None:
            most = min(_FIRST_WAIT * 2**troubles, policy.max_wait)
            allowed.append((most / 2, most))
            troubles += 1
        elif fault.limit:
            allowed.append((fault.limit - _LOST_BY_DATE * ("date" in fault.name), fault.limit))
        else:
            allowed.append((_FIRST_LIMIT * 2**limits,) * 2)
            limits += 1
    return allowed
