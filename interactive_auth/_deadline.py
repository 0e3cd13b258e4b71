"""Connections whose answers have to be complete by a moment, however steadily they come.

A socket's timeout starts anew with each piece, so a server that sends a letter of its status line, or another "100
Continue", every now and then would hold a request for ever. What must not be here: requests, answers, retries.
"""

from __future__ import annotations

import io
import socket
import time
from functools import partial
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


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


def _read_bounded(seconds: float, sock: socket.socket, *args: Any, **kwargs: Any) -> HTTPResponse:
    answer: Any = _Answer(sock, seconds)  # as much of a socket as an HTTPResponse asks for
    return HTTPResponse(answer, *args, **kwargs)


def bound_answers(pool: HTTPConnectionPool, seconds: float) -> None:
    """Have each answer to a pool's requests, headers and body together, take at most ``seconds``."""
    kind = pool.ConnectionCls
    if not issubclass(kind, _Bounded):
        read = staticmethod(partial(_read_bounded, seconds))
        bounded: Any = type(kind.__name__, (_Bounded, kind), {"response_class": read})
        pool.ConnectionCls = bounded
