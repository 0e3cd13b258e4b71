"""An HTTP server on this machine that answers by a function and keeps what it was sent, byte for byte as it matters."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from interactive_auth.testing._http import HTTPThread
from interactive_auth.testing._http import ReceivedRequest as Sent
from interactive_auth.testing._http import Response as Reply

__all__ = ["Reply", "Sent", "Wire", "serve"]


class Wire:
    """A running server.

    Attributes:
        base_url: its address.
        sent: what it was sent so far.
        answer: makes the reply to what was sent; may be replaced at any time.
    """

    def __init__(self, answer: Callable[[Sent], Reply], tls: ssl.SSLContext | None) -> None:
        self.sent: list[Sent] = []
        self.answer = answer
        self._came = threading.Condition()
        self.server = HTTPThread(self._receive, tls)
        self.base_url = self.server.base_url

    def _receive(self, sent: Sent) -> Reply:
        with self._came:
            self.sent.append(sent)
            self._came.notify_all()
        return self.answer(sent)

    def wait_for(self, count: int, timeout: float = 30.0) -> None:
        """Wait until so many requests have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.sent) >= count, timeout), f"only {len(self.sent)} have come"


@contextmanager
def serve(answer: Callable[[Sent], Reply], tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """Run a server on a free port, over TLS if a context for it is given."""
    wire = Wire(answer, tls)
    try:
        yield wire
    finally:
        wire.server.close()
