"""Every kind of wait, as an attempt that waits for an hour unless something ends it.

Used by the tests, by a program in a terminal and by the cells of a notebook, so nothing of pytest's is needed here.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from interactive_auth import InteractiveAuth, MatrixError, RetryPolicy, Stage, _retry
from interactive_auth._engine import handover as _handover
from interactive_auth._engine.handover import Bell, Clock

MAGIC, EMAIL = "com.example.magic", "m.login.email.identity"
HOUR = 3600.0

REFUSED = ConnectionError("connection refused")
BUSY = MatrixError(503, {"errcode": "M_UNKNOWN", "error": "being restarted"})
LIMITED = MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 3_600_000})
WRONG = MatrixError(401, {"errcode": "M_FORBIDDEN", "error": "wrong", "flows": [{"stages": [MAGIC]}]})


class Kind(NamedTuple):
    """A kind of wait.

    Attributes:
        does: what the stage's callback does: nothing, or what makes the library send something at once.
        answer: what that is answered with, or the token request if the stage is one that needs a token.
        stage: the stage that the server wants.
    """

    does: str
    answer: Exception = WRONG
    stage: str = MAGIC


KINDS = {
    "poll": Kind("nothing"),
    "retry after a refused connection": Kind("return", REFUSED),
    "retry after a 503": Kind("return", BUSY),
    "rate limit": Kind("return", LIMITED),
    "token request after a refused connection": Kind("nothing", REFUSED, EMAIL),
    "token request after a 503": Kind("nothing", BUSY, EMAIL),
    "token request after a rate limit": Kind("nothing", LIMITED, EMAIL),
    "poll after a rate limit": Kind("poll", LIMITED),
    "poll after a refused connection": Kind("poll", REFUSED),
    "background submission, refused": Kind("background", WRONG),
    "background submission, rate limit": Kind("background", LIMITED),
    "background submission, refused connection": Kind("background", REFUSED),
}


def lengthen_retries(setattr: Callable[[object, str, object], None] = setattr) -> None:
    """Make the waits before repetitions an hour long, of which no retry policy has the first."""
    setattr(_retry, "_FIRST_WAIT", 2 * HOUR)


def wait_in_one_piece(setattr: Callable[[object, str, object], None] = setattr) -> None:
    """Have the library wait in one piece, so that only what ends a wait can end it, and not the end of a piece."""
    setattr(_handover, "_LONGEST_WAIT", HOUR)


class TellingClock(Clock):
    """The library's clock, which tells when a wait begins; it holds the lock then, so nobody can come in between."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def wait(self, bell: Bell, seconds: float) -> None:
        self._tell()
        super().wait(bell, seconds)


class WaitingAttempt:
    """An attempt that waits whenever it is made, until ``over`` is set.

    Args:
        kind: the name of the kind of wait.
        tell: called, once in each attempt, when it begins to wait.

    Attributes:
        over: whether the server has got over its trouble.
        sent: the auth dicts sent so far.
        sessions: the sessions that the token requests named so far.
        auth: the attempt.
    """

    def __init__(self, kind: str, tell: Callable[[], object] = lambda: None) -> None:
        self._kind = KINDS[kind]
        self._tell = tell
        self._told = False
        self.over = False
        self.sent: list[dict[str, Any] | None] = []
        self.sessions: list[str | None] = []
        self.auth = InteractiveAuth(
            self._request,
            self._start_stage,
            inputs={"email_address": "alice@example.org"} if self._kind.stage == EMAIL else None,
            request_email_token=self._request_token,
            max_attempts=None,
            poll_interval=HOUR,
            poll_timeout=None,
            retry=RetryPolicy(max_wait=HOUR),
        )
        self.auth._handover.clock = TellingClock(self._waits)  # of this attempt alone

    def run(self) -> tuple[str, float]:
        """Attempt, and return what came of it and when attempt_auth() was left."""
        self._told = False
        try:
            return self.auth.attempt_auth(), time.monotonic()
        except BaseException as error:
            return type(error).__name__, time.monotonic()

    def _waits(self) -> None:
        if not self._told:
            self._told = True
            self._tell()

    def _request(self, auth: dict[str, Any] | None) -> str:
        self.sent.append(auth)
        if auth is None:
            raise MatrixError(401, {"session": "S1", "flows": [{"stages": [self._kind.stage]}]})
        if not self.over:
            raise self._kind.answer
        return "done"

    def _request_token(self, email: str, secret: str, send_attempt: int, session: str | None) -> dict[str, str]:
        self.sessions.append(session)
        if not self.over:
            raise self._kind.answer
        return {"sid": "sid"}

    def _start_stage(self, stage: Stage) -> Mapping[str, Any] | None:
        does = "poll" if self.over else self._kind.does
        if does == "return":
            return {"type": stage.type}
        if does == "poll":
            self.auth.poll()
        if does == "background":
            self.auth.submit_auth_dict({"type": stage.type}, background=True)
        return None


class Remote:
    """A waiting attempt in a process of its own, which tells a port of this machine what becomes of it.

    Args:
        kind: the name of the kind of wait.
        port: where the test listens.
    """

    def __init__(self, kind: str, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.attempt = WaitingAttempt(kind, lambda: self._report("waits"))

    def run(self, *, over: bool = False) -> None:
        """Attempt, and report what came of it."""
        self.attempt.over = over
        how, left = self.attempt.run()
        self._report(how, left=left, sent=self.attempt.sent, sessions=self.attempt.sessions)
        if how == "KeyboardInterrupt":
            raise KeyboardInterrupt

    def _report(self, what: str, **more: Any) -> None:
        self._socket.sendto(json.dumps({"what": what, **more}).encode(), self._address)
