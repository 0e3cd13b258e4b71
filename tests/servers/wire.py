"""An HTTP server on this machine that answers by a function and keeps what it was sent, byte for byte as it matters."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """What is answered: ``body`` as JSON, or as it stands if it is bytes."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """What was sent; ``path`` as it stood on the wire, ``body`` read as JSON, None if there was none."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any


class Wire:
    """A running server.

    Attributes:
        base_url: its address.
        sent: what it was sent so far.
        answer: makes the reply to what was sent; may be replaced at any time.
    """

    def __init__(self, answer: Callable[[Sent], Reply]) -> None:
        self.base_url = ""
        self.sent: list[Sent] = []
        self.answer = answer


@contextmanager
def serve(answer: Callable[[Sent], Reply], tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """Run a server on a free port, over TLS if a context for it is given."""
    wire = Wire(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer that is written in two pieces waits for the client's delayed acknowledgement

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = urlsplit(self.path)
            body = json.loads(content) if content else None
            sent = Sent(self.command, url.path, url.query, dict(self.headers), body)
            wire.sent.append(sent)
            reply = wire.answer(sent)
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    origin = "http://127.0.0.1" if tls is None else "https://localhost"
    wire.base_url = f"{origin}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
