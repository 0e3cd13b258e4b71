"""raise_for_matrix_error, with which a hand-written request ends: real responses, read already or streamed."""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest
import requests
import urllib3

from interactive_auth import (
    HomeserverConnectionError,
    InteractiveAuth,
    MatrixError,
    ServerProtocolError,
    raise_for_matrix_error,
)

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

    Ask = Callable[..., requests.Response]

LIMIT = 8 * 1024 * 1024


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Return the session of a hand-written client."""
    with requests.Session() as session:
        yield session


@pytest.fixture(params=[False, True], ids=["read already", "streamed"])
def ask(request: pytest.FixtureRequest, server: WireServer, session: requests.Session) -> Iterator[Ask]:
    """Return a function that sends a request to the server and returns the response, read already or streamed."""
    found: list[requests.Response] = []

    def send(method: str = "POST", **options: Any) -> requests.Response:
        address = f"{server.base_url}/some/path?token=hidden-in-the-query"
        found.append(session.request(method, address, stream=request.param, timeout=10, **options))
        return found[-1]

    yield send
    for response in found:
        response.close()


@pytest.mark.parametrize("status", [200, 201, 299])
def test_success(server: WireServer, ask: Ask, status: int) -> None:
    """The JSON object of a success is returned."""
    server.will_reply(status, {"user_id": "@alice:example.org"})

    assert raise_for_matrix_error(ask()) == {"user_id": "@alice:example.org"}


def test_error(server: WireServer, ask: Ask) -> None:
    """Any other response is a MatrixError with status, body and the seconds of Retry-After."""
    server.will_reply(429, {"errcode": "M_LIMIT_EXCEEDED", "error": "Wait"}, Retry_After="3")

    told = r"^429 M_LIMIT_EXCEEDED: Wait \(POST http://127\.0\.0\.1:\d+/.*\); again in 3 s$"
    with pytest.raises(MatrixError, match=told) as caught:
        raise_for_matrix_error(ask())

    error = caught.value
    assert error.data == {"errcode": "M_LIMIT_EXCEEDED", "error": "Wait"}
    assert error.retry_after == 3.0


@pytest.mark.parametrize(
    "body", [b" ", b"<html>", b"[]", b"[" * 100_000, b"\xff\xfe"], ids=lambda body: ascii(body[:6])
)
@pytest.mark.parametrize(("status", "kind"), [(200, ServerProtocolError), (502, MatrixError)])
def test_no_object(server: WireServer, ask: Ask, body: bytes, status: int, kind: type[Exception]) -> None:
    """A body that is no JSON object is named with method, address and status, and without the query."""
    server.will_reply(status, body, Content_Type="text/html")

    with pytest.raises(kind, match=rf"GET {server.base_url}/some/path was answered {status} with .*, text/html"):
        raise_for_matrix_error(ask("GET"))


def test_quoted_token(server: WireServer, ask: Ask) -> None:
    """A server that quotes the access token does not bring it to light."""
    server.will_reply(403, {"errcode": "M_FORBIDDEN", "error": "No: the-access-token"})

    with pytest.raises(MatrixError, match=r"^403 M_FORBIDDEN: No: \[hidden\] \(POST http://.*\)$"):
        raise_for_matrix_error(ask(headers={"Authorization": "Bearer the-access-token"}))


def test_redirect_that_was_not_followed(server: WireServer, ask: Ask) -> None:
    """A redirect that requests was told not to follow is a MatrixError that says so."""
    server.will_reply(307, Location="/elsewhere")

    with pytest.raises(MatrixError, match="redirect, which is never followed") as caught:
        raise_for_matrix_error(ask(allow_redirects=False))

    assert caught.value.http_status == 307
    assert "hidden" not in str(caught.value)


def test_too_large(server: WireServer, ask: Ask) -> None:
    """A body over the limit is refused, whoever reads it."""
    server.will_reply(200, b" " * (LIMIT + 1))

    with pytest.raises(ServerProtocolError, match=f"more than {LIMIT} bytes"):
        raise_for_matrix_error(ask())


def test_endless_stream(server: WireServer, session: requests.Session) -> None:
    """Of a stream without an end no more than the limit is read, and its connection is closed."""
    sent = itertools.count()

    def pour(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while next(sent) < 1000:
            exchange.raw(b" " * 65536)

    server.script = pour

    with pytest.raises(ServerProtocolError, match=f"more than {LIMIT} bytes"):
        raise_for_matrix_error(session.get(server.base_url, stream=True, timeout=10))

    assert server.hung_up.wait(3)
    assert next(sent) < 1000


BROKEN = {
    "short": (b"Content-Length: 100\r\n", b"{}"),
    "short chunk": (b"Transfer-Encoding: chunked\r\n", b"9\r\n{}"),
    "no gzip": (b"Content-Encoding: gzip\r\nContent-Length: 2\r\n", b"{}"),
}


@pytest.mark.parametrize(("header", "body"), BROKEN.values(), ids=BROKEN)
def test_broken_stream(server: WireServer, session: requests.Session, header: bytes, body: bytes) -> None:
    """A stream that breaks off is a connection error, as it is for a Homeserver."""
    server.will_send(b"HTTP/1.1 200 OK\r\n", header, b"\r\n", body)
    response = session.get(server.base_url, stream=True, timeout=10)

    with pytest.raises(HomeserverConnectionError):
        raise_for_matrix_error(response)


def test_stalling_stream(server: WireServer, session: requests.Session) -> None:
    """A stream that falls silent is a connection error once the timeout of its request is over."""

    def script(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        exchange.stall()

    server.script = script
    response = session.get(server.base_url, stream=True, timeout=0.2)

    with pytest.raises(HomeserverConnectionError, match=r"^GET .* got no answer: ") as caught:
        raise_for_matrix_error(response)

    assert "inf " not in str(caught.value)


def test_dripping_stream(server: WireServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that comes steadily, and never to its end, is a connection error after some minutes."""

    def script(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\n\r\n")
        while not exchange.server.closing.wait(0.02):
            exchange.raw(b" ")

    server.script = script
    monkeypatch.setattr("interactive_auth._http.answers._LONGEST_BODY", 0.2)
    response = session.get(server.base_url, stream=True, timeout=10)

    with pytest.raises(HomeserverConnectionError, match="it took too long"):
        raise_for_matrix_error(response)


@pytest.mark.parametrize("status", [200, 204])
def test_success_without_a_body(server: WireServer, ask: Ask, status: int) -> None:
    """A success without a body is an empty object."""
    server.will_reply(status, b"")

    assert raise_for_matrix_error(ask()) == {}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "deflate, gzip"])
def test_compressed_stream(server: WireServer, ask: Ask, encoding: str) -> None:
    """A body that is compressed as requests asks for it is read, whoever reads it."""
    body = b'{"a": 1}'
    for name in encoding.split(", "):
        body = gzip.compress(body) if name == "gzip" else zlib.compress(body)
    server.will_reply(200, body, Content_Encoding=encoding)

    assert raise_for_matrix_error(ask()) == {"a": 1}


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "compress"])
def test_compression_that_cannot_be_bounded(server: WireServer, session: requests.Session, encoding: str) -> None:
    """A stream that is compressed in a way that is not bounded here is refused, and what to ask for is said."""
    server.will_reply(200, b"{}", Content_Encoding=encoding)

    with pytest.raises(HomeserverConnectionError, match="cannot be bounded: ask for gzip"):
        raise_for_matrix_error(session.get(server.base_url, stream=True, timeout=10))


@pytest.mark.parametrize("taken", [lambda r: r.close(), lambda r: next(r.iter_content(1))], ids=["closed", "begun"])
def test_stream_that_is_gone(
    server: WireServer, session: requests.Session, taken: Callable[[requests.Response], object]
) -> None:
    """A stream that somebody has begun to read, or closed, is no answer, and never an empty success."""
    server.will_reply(200, {"a": 1})
    response = session.get(server.base_url, stream=True, timeout=10)
    taken(response)

    with pytest.raises(HomeserverConnectionError, match="the answer has been read, or closed, before"):
        raise_for_matrix_error(response)
    response.close()


def by_hand(status: int | None, url: str | None = None, **fields: Any) -> requests.Response:
    """Make a response as tests do."""
    answer: Any = requests.Response()
    answer.status_code, answer.url = status, url
    for name, value in fields.items():
        setattr(answer, name, value)
    return cast("requests.Response", answer)


def test_response_made_by_hand() -> None:
    """A response that nobody sent a request for, as tests make them, is read like any other."""
    answer = by_hand(404, "http://user:hunter2@127.0.0.1:8008/x", raw=io.BytesIO(b"none"))

    with pytest.raises(MatrixError, match=r"the request to http://127\.0\.0\.1:8008/x was answered 404") as caught:
        raise_for_matrix_error(answer)

    assert "hunter2" not in str(caught.value)


BY_HAND = {
    "content": ({"_content": b'{"a": 1}'}, {"a": 1}),
    "content, headers of its own": ({"_content": b'{"a": 1}', "headers": {"content-encoding": "gzip"}}, {"a": 1}),
    "content, no headers": ({"_content": b'{"a": 1}', "headers": None}, {"a": 1}),
    "content read": ({"_content": b'{"a": 1}', "_content_consumed": True, "raw": io.BytesIO()}, {"a": 1}),
    "no content": ({"_content": None}, {}),
    "nothing": ({}, {}),
    "a stream": ({"raw": io.BytesIO(b'{"a": 1}')}, {"a": 1}),
    "urllib3's": ({"raw": urllib3.HTTPResponse(io.BytesIO(b'{"a": 1}'), preload_content=False)}, {"a": 1}),
    "urllib3's, empty": ({"raw": urllib3.HTTPResponse(io.BytesIO(b""), preload_content=False)}, {}),
}


@pytest.mark.parametrize(("fields", "found"), BY_HAND.values(), ids=BY_HAND)
def test_success_made_by_hand(fields: dict[str, Any], found: dict[str, Any]) -> None:
    """Whatever of a response was set by hand is enough."""
    assert raise_for_matrix_error(by_hand(200, **fields)) == found


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port/", ""])
def test_address_made_by_hand(url: str) -> None:
    """An address that is none does not come before what was answered."""
    with pytest.raises(MatrixError, match=r"the request to an address that (cannot be read|is not known) was answered"):
        raise_for_matrix_error(by_hand(500, url, _content=b"<"))


def test_no_status() -> None:
    """A response without a status is a ValueError that says so."""
    with pytest.raises(ValueError, match="response must have a status_code"):
        raise_for_matrix_error(by_hand(None, _content=b"{}"))


@pytest.mark.parametrize("response", [None, {}, b"{}", 200], ids=repr)
def test_no_response_at_all(response: Any) -> None:
    """What is no response of requests is a TypeError that says what was expected."""
    with pytest.raises(TypeError, match=r"response must be a requests\.Response, not "):
        raise_for_matrix_error(response)


def test_hand_written_request(server: WireServer, ask: Ask) -> None:
    """A do_request that ends with it goes through its stages."""

    def script(exchange: Exchange) -> None:
        if "auth" in server.received[-1].json:
            exchange.reply(200, b'{"done": true}', {})
        else:
            exchange.reply(401, b'{"flows": [{"stages": ["org.example.stage"]}], "session": "s"}', {})

    def do_request(auth: dict[str, Any] | None) -> dict[str, Any]:
        return raise_for_matrix_error(ask(json={} if auth is None else {"auth": auth}))

    server.script = script

    assert InteractiveAuth(do_request, lambda stage: {"type": stage.type}).attempt_auth() == {"done": True}

    assert server.received[-1].json == {"auth": {"type": "org.example.stage", "session": "s"}}
