"""An HTTP server on a thread, bound to this machine alone, that answers by a function: the wire of ``testing``.

What must not be here: anything about Matrix.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from requests.structures import CaseInsensitiveDict

from .._server_threads import ServerThreads

_LOG = logging.getLogger(__name__)
#: Seconds in which the server notices that it is to stop.
_NOTICE = 0.02


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it arrived.

    Attributes:
        method: the HTTP method.
        path: the path as it stood on the wire, percent-encoded, without the query.
        query: what stood behind the question mark.
        headers: the header fields; their names are found in any case.
        content: the bytes of the body.
        body: the object that the body's JSON is; empty if it is not an object, or not JSON.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    content: bytes
    body: dict[str, Any]

    @property
    def auth(self) -> dict[str, Any] | None:
        """The body's ``auth``; None if it has none, or one that is not an object."""
        auth = self.body.get("auth")
        return auth if isinstance(auth, dict) else None

    @property
    def params(self) -> dict[str, str]:
        """The query, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def access_token(self) -> str | None:
        """The access token that came with it; None for none."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme == "Bearer" and token else None


@dataclass(frozen=True)
class Response:
    """What is answered.

    Attributes:
        status: the HTTP status code.
        body: the body's JSON; bytes are sent as they stand.
        headers: the header fields, beside those of any answer.
        after: the seconds that it takes.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0


class HTTPThread(ServerThreads, HTTPServer):
    """A running server; each request is answered by ``answer``, in a thread of its connection's.

    Args:
        answer: makes the response; None hangs up without one. What it raises is logged, and answered with a 500.
        tls: speaks TLS by this context, as "localhost".
    """

    def __init__(self, answer: Callable[[ReceivedRequest], Response | None], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.answer = answer
        self.closing = threading.Event()
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.base_url = f"{'http://127.0.0.1' if tls is None else 'https://localhost'}:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(_NOTICE,), name=self.base_url, daemon=True)
        self._thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: what fails here is a client that has hung up."""

    def close(self) -> None:
        """Stop, and hang up on everybody who is still connected; nothing is left behind. Again, it does nothing."""
        self.closing.set()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()


class _Exchange(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer that is written in two pieces waits for the client's delayed acknowledgement
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._exchange()

    def do_POST(self) -> None:
        self._exchange()

    def do_PUT(self) -> None:
        self._exchange()

    def do_PATCH(self) -> None:
        self._exchange()

    def do_DELETE(self) -> None:
        self._exchange()

    def _exchange(self) -> None:
        content = self._content()
        url = urlsplit(self.path)
        headers = CaseInsensitiveDict(self.headers.items())
        response = self._answer(ReceivedRequest(self.command, url.path, url.query, headers, content, _read(content)))
        if response is None or (response.after and cast(HTTPThread, self.server).closing.wait(response.after)):
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in {"Content-Type": "application/json", **response.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, request: ReceivedRequest) -> Response | None:
        try:
            response = cast(HTTPThread, self.server).answer(request)
            if response is None or isinstance(response.body, bytes):
                return response
            return replace(response, body=json.dumps(response.body).encode())
        except Exception as error:
            _LOG.exception("the script of the server failed")
            words = f"the script of the server failed: {type(error).__name__}: {error}"
            return Response(500, json.dumps({"errcode": "M_UNKNOWN", "error": words}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _read(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content) if content else None
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
