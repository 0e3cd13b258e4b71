"""What the tests over real sockets share: servers on this machine that follow a script, and clients of them."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import trustme

from interactive_auth import Homeserver

#: Seconds after which a test that hangs fails; nothing here takes nearly as long.
PATIENCE = 10.0
#: What would change how requests finds its way; no test must depend on the machine it runs on.
ENVIRONMENT = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "netrc", "requests_ca_bundle", "curl_ca_bundle")


class Received(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


class Exchange(BaseHTTPRequestHandler):
    """One request at the server, and the means to answer it, well or badly."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WireServer

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def finish(self) -> None:
        super().finish()
        self.server.hung_up.set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def play(self) -> None:
        """Take the request down, and do what the server's script says."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append(Received(self.command, self.path, dict(self.headers), body))
        self.server.script(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.play
        raise AttributeError(name)

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def raw(self, *pieces: bytes) -> None:
        """Send these bytes, whatever they are, and hang up."""
        for piece in pieces:
            self.wfile.write(piece)
        self.close_connection = True

    def stall(self) -> None:
        """Do nothing, until the client hangs up or the test ends."""
        self.connection.settimeout(PATIENCE)
        with suppress(OSError):
            self.connection.recv(1)
        self.close_connection = True


Script = Callable[[Exchange], None]


class WireServer(ThreadingHTTPServer):
    """A server on a port of this machine, 0 for a free one; each request is taken down and answered by the script."""

    daemon_threads = False
    request_queue_size = 64  # for tests with many threads

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Exchange)
        self.received: list[Received] = []
        self.connections: list[Any] = []
        self.hung_up = threading.Event()
        self.closing = threading.Event()
        self.troubles: list[BaseException] = []
        self.script: Script = lambda exchange: exchange.reply(200, b"{}", {})
        self.base_url = f"{'https' if context else 'http'}://127.0.0.1:{self.server_port}"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def will_reply(self, status: int, body: Any = b"{}", **headers: str) -> None:
        """Answer every request so; a body that is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.script = lambda exchange: exchange.reply(status, content, fields)

    def will_send(self, *pieces: bytes) -> None:
        """Answer every request with these bytes, and hang up."""
        self.script = lambda exchange: exchange.raw(*pieces)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # A client that hangs up in the middle is what many tests are about.
        with suppress(OSError):
            super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.troubles.append(RuntimeError(f"the script failed for {client_address}"))
        super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Close what is still open, so that no thread waits for another request."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(2)


@contextmanager
def running(context: ssl.SSLContext | None = None, port: int = 0) -> Iterator[WireServer]:
    """Run a server for as long as the block does."""
    server = WireServer(context, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.hang_up()
        server.server_close()
    assert server.troubles == []


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away what the machine's environment says about proxies, certificates and credentials."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[WireServer]:
    """Run the server that the client talks to."""
    with running() as server:
        yield server


@pytest.fixture
def server_at() -> Callable[[int], AbstractContextManager[WireServer]]:
    """Run a server at a given port, for as long as a block lasts."""
    return lambda port: running(port=port)


@pytest.fixture
def tls_server_with() -> Callable[[ssl.SSLContext], AbstractContextManager[WireServer]]:
    """Run a server that speaks TLS as a context says, for as long as a block lasts."""
    return running


@pytest.fixture
def elsewhere() -> Iterator[WireServer]:
    """Run another server, that the first may point to."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return the authority that the TLS server is certified by."""
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[WireServer]:
    """Run a server that speaks TLS, with a certificate for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with running(context) as server:
        yield server


Connect = Callable[..., Homeserver]


@pytest.fixture(params=["own connections", "caller's session"])
def connect(request: pytest.FixtureRequest, sent_again_at_once: None) -> Iterator[Connect]:
    """Return a maker of homeservers, whichever way they send; they are closed in the end."""
    with ExitStack() as stack:

        def make(base_url: str, **options: Any) -> Homeserver:
            if request.param == "caller's session":
                options["session"] = stack.enter_context(requests.Session())
            return stack.enter_context(Homeserver(base_url, **options))

        yield make


@pytest.fixture
def homeserver(connect: Connect, server: WireServer) -> Homeserver:
    """Return a client of the server, with an access token."""
    return connect(server.base_url, access_token="the-access-token", timeout=PATIENCE)


@pytest.fixture
def impatient(connect: Connect, server: WireServer) -> Homeserver:
    """Return a client of the server that waits for a fifth of a second."""
    return connect(server.base_url, timeout=0.2)
