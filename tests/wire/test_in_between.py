"""Whoever stands between requests and the network sees every request of the library's, and may answer it.

Mocks, a recorder and an instrumentation, put there before and after the Homeserver was made. The server behind them
takes down what reaches the network.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
import requests
import requests_mock
import responses
import trustme
import vcr  # type: ignore[import-untyped]  # it has no types
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from requests.adapters import HTTPAdapter
from support.website import stand_at_443

from interactive_auth import Homeserver, handlers

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

REGISTER = "/_matrix/client/v3/register"
WELL_KNOWN, VERSIONS = "/.well-known/matrix/client", "/_matrix/client/versions"
USER = {"user_id": "@alice:example.org"}
CHALLENGE = {"flows": [{"stages": ["m.login.registration_token"]}], "session": "s"}
STAGES = {"m.login.registration_token": handlers.registration_token("a-token")}
#: What a sign-up sends, and what finding a homeserver does.
SIGN_UP, DISCOVERY = [("POST", REGISTER)] * 2, [("GET", WELL_KNOWN), ("GET", VERSIONS)]

Seen = list[tuple[str, str]]
Between = Callable[[str], AbstractContextManager[Seen]]


def answer(url: str, body: bytes | str | None) -> tuple[int, dict[str, Any]]:
    """Answer as a homeserver."""
    parts = urlsplit(url)
    if parts.path == WELL_KNOWN:
        return 200, {"m.homeserver": {"base_url": f"{parts.scheme}://{parts.netloc}"}}
    if parts.path == VERSIONS:
        return 200, {"versions": ["v1.11"]}
    return (200, USER) if "auth" in json.loads(body or "{}") else (401, CHALLENGE)


@contextmanager
def responses_mock(base_url: str) -> Iterator[Seen]:
    """Mock by responses, which replaces ``HTTPAdapter.send``."""
    seen: Seen = []

    def reply(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append((request.method, urlsplit(request.url).path))
        status, body = answer(request.url, request.body)
        return status, {}, json.dumps(body)

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method, path in (*DISCOVERY, *SIGN_UP):
            for home in (base_url, base_url.rpartition(":")[0]):  # a document is asked for without the port
                mock.add_callback(method, home + path, reply)
        yield seen


@contextmanager
def requests_mock_mock(base_url: str) -> Iterator[Seen]:
    """Mock by requests-mock, which replaces ``Session.get_adapter``."""
    seen: Seen = []

    def reply(request: Any, context: Any) -> dict[str, Any]:
        seen.append((request.method, urlsplit(request.url).path))
        context.status_code, body = answer(request.url, request.body)
        return body

    with requests_mock.Mocker() as mock:
        mock.register_uri(requests_mock.ANY, requests_mock.ANY, json=reply)
        yield seen


@contextmanager
def replaced(kind: type[requests.Session] | type[HTTPAdapter]) -> Iterator[Seen]:
    """Replace the ``send`` of a class, and answer with responses that are made by hand."""
    seen: Seen = []

    def send(_: object, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        assert settings["timeout"] == 5.0
        seen.append((str(request.method), urlsplit(str(request.url)).path))
        response = requests.Response()
        response.status_code, body = answer(str(request.url), cast("bytes | None", request.body))
        response._content = json.dumps(body).encode()
        return response

    with patch.object(kind, "send", send):
        yield seen


@contextmanager
def wrapped(kind: type[requests.Session] | type[HTTPAdapter]) -> Iterator[Seen]:
    """Wrap the ``send`` of a class, as instrumentations do."""
    seen: Seen = []
    plain = kind.send

    def send(self: Any, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        seen.append((str(request.method), urlsplit(str(request.url)).path))
        request.headers["X-Trace"] = "traced"
        return plain(self, request, **settings)

    with patch.object(kind, "send", send):
        yield seen


@contextmanager
def traced(_: str) -> Iterator[Seen]:
    """Trace by OpenTelemetry's instrumentation of requests."""
    exporter, seen = InMemorySpanExporter(), cast("Seen", [])
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        yield seen
    finally:
        RequestsInstrumentor().uninstrument()
        for span in exporter.get_finished_spans():
            attributes = span.attributes or {}
            url = str(attributes.get("http.url") or attributes["url.full"])
            seen.append((span.name.partition(" ")[0], urlsplit(url).path))


MOCKS: dict[str, Between] = {
    "responses": responses_mock,
    "requests-mock": requests_mock_mock,
    "Session.send replaced": lambda _: replaced(requests.Session),
    "HTTPAdapter.send replaced": lambda _: replaced(HTTPAdapter),
}
WRAPPERS: dict[str, Between] = {
    "OpenTelemetry": traced,
    "Session.send wrapped": lambda _: wrapped(requests.Session),
    "HTTPAdapter.send wrapped": lambda _: wrapped(HTTPAdapter),
}


@pytest.fixture
def behind(
    tls_server: WireServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> WireServer:
    """Run the homeserver that is behind them."""

    def script(exchange: Exchange) -> None:
        received = tls_server.received[-1]
        status, body = answer(tls_server.base_url + received.path, received.body)
        exchange.reply(status, json.dumps(body).encode(), {})

    tls_server.script = script
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    stand_at_443(monkeypatch, tls_server.base_url)
    return tls_server


@pytest.fixture(params=["own session", "caller's session"])
def session(request: pytest.FixtureRequest) -> Iterator[requests.Session | None]:
    """Return the session to send by, None for one of the library's own."""
    if request.param == "own session":
        yield None
    else:
        with requests.Session() as session:
            yield session


def sign_up(homeserver: Homeserver) -> None:
    """Register, in two requests."""
    assert homeserver.register("alice", "password").authenticate(STAGES) == USER


def discover(server: WireServer, session: requests.Session | None) -> None:
    """Find the homeserver, in two requests."""
    found = Homeserver.discover(server.base_url.removeprefix("https://"), session=session, timeout=5.0)
    assert found.base_url in (server.base_url, server.base_url.rpartition(":")[0])
    found.close()


def arrived(server: WireServer) -> Seen:
    """Return what has reached the network."""
    return [(received.method, received.path) for received in server.received]


@pytest.mark.parametrize("name", MOCKS)
@pytest.mark.parametrize("first", ["mock first", "homeserver first", "a request first"])
def test_mock(behind: WireServer, session: requests.Session | None, name: str, first: str) -> None:
    """A mock answers every request, whenever it was put there, and nothing reaches the network meanwhile."""
    early = Homeserver(behind.base_url, session=session, timeout=5.0)
    if first == "a request first":
        sign_up(early)
        behind.received.clear()

    with MOCKS[name](behind.base_url) as seen:
        sign_up(Homeserver(behind.base_url, session=session, timeout=5.0) if first == "mock first" else early)

    assert seen == SIGN_UP
    assert arrived(behind) == []
    sign_up(early)
    assert arrived(behind) == SIGN_UP
    early.close()


@pytest.mark.parametrize("name", MOCKS)
def test_mocked_discovery(behind: WireServer, session: requests.Session | None, name: str) -> None:
    """So it does when a homeserver is looked for."""
    with MOCKS[name](behind.base_url) as seen:
        discover(behind, session)

    assert seen == DISCOVERY
    assert arrived(behind) == []


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("first", ["wrapper first", "homeserver first", "a request first"])
def test_wrapper(behind: WireServer, session: requests.Session | None, name: str, first: str) -> None:
    """An instrumentation sees every request once, and what it adds to one stays in no other."""
    early = Homeserver(behind.base_url, session=session, timeout=5.0)
    if first == "a request first":
        sign_up(early)
        behind.received.clear()

    with WRAPPERS[name](behind.base_url) as seen:
        sign_up(Homeserver(behind.base_url, session=session, timeout=5.0) if first == "wrapper first" else early)
        discover(behind, session)

    assert seen == arrived(behind) == SIGN_UP + DISCOVERY
    added = {header for received in behind.received for header in received.headers if header.lower() in TRACES}
    assert len(added) == 1
    behind.received.clear()
    sign_up(early)
    assert not any(added & received.headers.keys() for received in behind.received)
    early.close()


#: What the wrappers add to each request.
TRACES = {"x-trace", "traceparent"}


@pytest.mark.parametrize("first", ["cassette first", "homeserver first", "a request first"])
@pytest.mark.parametrize("encoding", ["gzip", None], ids=["compressed", "plain"])
def test_recorder(
    behind: WireServer, session: requests.Session | None, tmp_path: Path, first: str, encoding: str | None
) -> None:
    """vcrpy records what is sent, and plays it back without the network, whenever the cassette is put in."""
    if encoding:
        compress(behind)
    early = Homeserver(behind.base_url, session=session, timeout=5.0)
    if first == "a request first":
        sign_up(early)
        behind.received.clear()
    recorder = vcr.VCR(match_on=["method", "uri", "body"])
    cassette = str(tmp_path / "cassette.yaml")

    with recorder.use_cassette(cassette) as recorded:
        sign_up(Homeserver(behind.base_url, session=session, timeout=5.0) if first == "cassette first" else early)
        discover(behind, session)
    assert arrived(behind) == SIGN_UP + DISCOVERY
    behind.received.clear()
    with recorder.use_cassette(cassette, record_mode=vcr.mode.NONE) as played:
        sign_up(Homeserver(behind.base_url, session=session, timeout=5.0) if first == "cassette first" else early)
        discover(behind, session)

    assert len(recorded) == len(played) == played.play_count == 4
    assert arrived(behind) == []
    sign_up(early)
    assert arrived(behind) == SIGN_UP
    early.close()


def compress(server: WireServer) -> None:
    """Have a server compress its answers."""

    def script(exchange: Exchange) -> None:
        received = server.received[-1]
        status, body = answer(server.base_url + received.path, received.body)
        exchange.reply(status, gzip.compress(json.dumps(body).encode()), {"Content-Encoding": "gzip"})

    server.script = script
