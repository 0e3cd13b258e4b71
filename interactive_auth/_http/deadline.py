"""Answers that have to be complete by a moment, however steadily they come.

A socket's timeout starts anew with each piece, so a server that sends a letter of its status line, or another "100
Continue", every now and then would hold a request for ever. What must not be here: requests, retries, and which
connections it is that answers come by.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import TYPE_CHECKING, Any

from .plain import PlainAnswer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _BoundedSocket(io.RawIOBase):
    """What comes in on a socket, as ``http.client`` reads it, until the socket's timeout is over once."""

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


class BoundedAnswer(PlainAnswer):
    """An answer that has to be complete within the connection's timeout, and that is no interim answer."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        seconds = sock.gettimeout()
        bounded: Any = sock if seconds is None else _BoundedSocket(sock, seconds)
        super().__init__(bounded, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        # http.client skips 100 alone. Any other 1xx (RFC 9110, section 15.2) would be taken for the answer, and the
        # answer for that to the next request. Nothing was asked to be switched to by a 101.
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            unread: Any = None  # as the headers are before anything was read
            self.headers = unread
            super().begin()
