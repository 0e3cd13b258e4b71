"""Whole exchanges with a hostile server, played from the bytes that it sends; and the invariant, stated here only.

An attempt returns, or raises an ``InteractiveAuthError`` or the callback's own exception, after a bounded number of
requests, in bounded time and memory.

The bytes go through requests, urllib3 and http.client, over a pair of sockets instead of a network. What a client
does is in ``scenes``. Shared by the tests here and by the fuzz target, so this imports neither pytest nor anything
beside it.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection

from interactive_auth import Homeserver, InteractiveAuthError
from interactive_auth._engine.handover import Bell, Clock, Handover

#: Twenty requests without progress, four sendings each, for each of the lengths that a flow can have, and polls.
MOST_REQUESTS = 2000
#: Seconds on the attempt's own clock: the longest wait for a rate limit before each request without progress.
MOST_WAITED = 120.0 * MOST_REQUESTS
#: Characters of an error's text: ten flows, each named with three reasons, all of it escaped.
LONGEST_TEXT = 64 * 1024
#: CPU seconds for an exchange, and for each byte that was received in it: a hundred times what is needed.
CPU_SECONDS, CPU_SECONDS_PER_BYTE = 5.0, 20e-6
#: In an answer it is replaced by the request's number: endless new sessions, flows and stages.
NUMBER = b"#N#"
#: More than this is not sent in one piece; what is larger belongs on a real socket.
MOST_BYTES = 64 * 1024
ADDRESS = "http://127.0.0.1:8008"


class CallbackError(Exception):
    """The callback's own exception."""


class JumpingClock(Clock):
    """A clock that takes no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds waited so far."""
        return self.now

    def wait(self, bell: Bell, seconds: float) -> None:
        """Jump to the end of the wait."""
        assert seconds > 0
        self.now += seconds


class Script:
    """The answers, given in turn, for ever; and what came of it so far."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = itertools.cycle(answers or [b""])
        self.requests = 0
        self.received = 0

    def count(self) -> None:
        """Count a request."""
        self.requests += 1
        assert self.requests <= MOST_REQUESTS, "requests without end"

    def connect(self) -> socket.socket:
        """Return the client's end of a connection on which the next answer has come already."""
        self.count()
        answer = next(self._answers).replace(NUMBER, b"%d" % self.requests)[:MOST_BYTES]
        self.received += len(answer)
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST_BYTES)
            theirs.setblocking(False)
            theirs.sendall(answer)
            theirs.shutdown(socket.SHUT_WR)
            # It must not be closed before the request was written to it, but nobody reads that request.
            self._open = theirs.dup()
        return ours

    def close(self) -> None:
        """Close the server's end of the last connection."""
        if self.requests:
            self._open.close()


def adapter_for(script: Script) -> type[HTTPAdapter]:
    """Return an adapter of requests' that connects to the script, whatever it is asked to connect to."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            script.close()
            return script.connect()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class PoolWithoutTLS(HTTPSConnectionPool):
        ConnectionCls = Connection  # type: ignore[assignment]  # it speaks no TLS, on purpose

        def _new_conn(self) -> Any:
            self.num_connections += 1
            return self.ConnectionCls(self.host, self.port, timeout=self.timeout.connect_timeout)

        def _validate_conn(self, conn: Any) -> None:
            if conn.is_closed:
                conn.connect()

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": PoolWithoutTLS}

    return Adapter


class Client(NamedTuple):
    """What an exchange is played with.

    Attributes:
        open: makes a ``Homeserver`` at an address.
        session: a session of requests' that connects to the script.
        script: what the server answers.
    """

    open: Callable[..., Homeserver]
    session: requests.Session
    script: Script


def check_error(error: BaseException) -> None:
    """Check that an error can be shown, logged and carried to another process, whatever the server said."""
    for text in (str(error), repr(error)):
        assert len(text) <= LONGEST_TEXT, f"{len(text)} characters"
        assert text.isprintable(), ascii(text)
    carried = pickle.loads(pickle.dumps(error))
    assert type(carried) is type(error)
    assert str(carried) == str(error)
    assert str(copy.deepcopy(error)) == str(error)
    if error.__cause__ is not None and isinstance(error.__cause__, InteractiveAuthError):
        check_error(error.__cause__)


@contextmanager
def in_no_time() -> Iterator[JumpingClock]:
    """Let no wait of an attempt's take time."""
    clock = JumpingClock()
    with patch.object(Handover, "clock", clock):
        yield clock


def check_end(attempt: Callable[[], object], received: Callable[[], int] = lambda: 0) -> object:
    """Run an attempt, and check that it ends as the invariant has it.

    Args:
        attempt: what is run; it counts its own requests.
        received: returns how many bytes were received in it.

    Returns:
        What it returned or raised.
    """
    begun = time.thread_time()
    with in_no_time() as clock:
        try:
            ended = attempt()
        except (InteractiveAuthError, CallbackError) as error:
            ended = error
    if isinstance(ended, InteractiveAuthError):
        check_error(ended)
    spent = time.thread_time() - begun
    assert clock.now <= MOST_WAITED, f"waited {clock.now:g} seconds"
    assert spent <= CPU_SECONDS + CPU_SECONDS_PER_BYTE * received(), f"took {spent:g} seconds of CPU"
    return ended


def play(scene: Callable[[Client], object], answers: Sequence[bytes]) -> object:
    """Play one exchange of a scene with a server that sends these answers in turn, for ever; check the invariant.

    Returns:
        What the scene returned or raised.
    """
    script = Script(answers)
    adapter = adapter_for(script)
    opened: list[Homeserver] = []

    def open_homeserver(address: str, **options: Any) -> Homeserver:
        opened.append(Homeserver(address, **options))
        return opened[-1]

    with patch("interactive_auth._http.adapter.BoundedAdapter", adapter), requests.Session() as session:
        session.trust_env = False
        session.mount("http://", adapter())
        session.mount("https://", adapter())
        try:
            return check_end(lambda: scene(Client(open_homeserver, session, script)), lambda: script.received)
        finally:
            for homeserver in opened:
                homeserver.close()
            script.close()
