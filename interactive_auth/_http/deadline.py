"""Connections whose answers have to be complete by a moment, however steadily they come.

A socket's timeout starts anew with each piece, so a server that sends a letter of its status line, or another "100
Continue", every now and then would hold a request for ever. What must not be here: requests, answers, retries.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: What ``answers_within`` allows an answer; None for a request of somebody else's, who has its connection, too.
_SECONDS: ContextVar[float | None] = ContextVar("interactive_auth.seconds", default=None)


class _Answer(io.RawIOBase):
    """What comes in on a socket until a moment, as ``http.client`` reads it."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._deadline = time.monotonic() + seconds
        # The socket stays open, though the connection is closed, until this is closed as well.
        self._raw = sock.makefile("rb", buffering=0)
        self._fresh = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._fresh:  # urllib3 has just set the socket's timeout, and most answers come in one piece
            self._fresh = False
        else:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Stand in for the socket, which is asked for nothing else."""
        return io.BufferedReader(self)


class _Bounded:
    """Marks a class of connections whose answers are bounded."""


def _read(plain: Callable[..., Any], sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
    seconds = _SECONDS.get()
    answer: Any = sock if seconds is None else _Answer(sock, seconds)  # as much of a socket as an HTTPResponse asks for
    return plain(answer, *args, **kwargs)


def bound_answers(pool: HTTPConnectionPool) -> None:
    """Have a pool's connections obey ``answers_within``; for everybody else they stay what they are."""
    kind: Any = pool.ConnectionCls  # one of http.client's, which its type does not say
    if issubclass(kind, _Bounded):
        return
    read = partial(_read, kind.response_class)
    bounded = type(kind.__name__, (_Bounded, kind), {"response_class": staticmethod(read)})
    pool.ConnectionCls = bounded
    for connection in list(pool.pool.queue) if pool.pool is not None else ():
        if connection is not None:  # kept open since somebody else's request
            connection.response_class = read


@contextmanager
def answers_within(seconds: float) -> Iterator[None]:
    """Allow each answer to a request that is sent in the block, headers and body together, so many seconds."""
    before = _SECONDS.set(seconds)
    try:
        yield
    finally:
        _SECONDS.reset(before)
