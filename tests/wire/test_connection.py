"""Trouble on the way: whatever the other side does to a connection, the answer comes soon, and is the library's own."""

from __future__ import annotations

import gzip
import pickle
import re
import socket
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from interactive_auth import (
    Homeserver,
    HomeserverConnectionError,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
)

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

    Connect = Callable[..., Homeserver]

PASSWORD, TOKEN = "correct horse battery staple", "a-registration-token"
BODY = b'{"a": 1}'
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TRAILERS = CHUNKED + b"2\r\n{}\r\n0\r\n"
#: Seconds within which a client that waits for 0.2 has to give up, on however slow a machine.
SOON = 3.0


def stall_after(*pieces: bytes) -> Callable[[Exchange], None]:
    """Make a script that sends these bytes, and then nothing more."""

    def script(exchange: Exchange) -> None:
        exchange.raw(*pieces)
        exchange.stall()

    return script


STALLS = {
    "at once": stall_after(),
    "in the status": stall_after(b"HTTP/1.1 2"),
    "in the headers": stall_after(OK, b"Content-Le"),
    "before the body": stall_after(OK, b"Content-Length: 2\r\n\r\n"),
    "in the body": stall_after(OK, b"Content-Length: 2\r\n\r\n{"),
    "in a chunk": stall_after(CHUNKED, b"5\r\n{"),
    "before the last chunk": stall_after(CHUNKED, b"2\r\n{}\r\n"),
    "without an end": stall_after(OK, b"\r\n{}"),
    "of an error": stall_after(b"HTTP/1.1 401 X\r\nContent-Length: 100\r\n\r\n{"),
    "of a redirect": stall_after(b"HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 100\r\n\r\n"),
    "after continue": stall_after(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("script", STALLS.values(), ids=STALLS)
def test_stalling_server(server: WireServer, impatient: Homeserver, script: Callable[[Exchange], None]) -> None:
    """A server that falls silent, wherever, is given up when the timeout is over; the error names it."""
    server.script = script
    began = time.monotonic()

    with pytest.raises(HomeserverConnectionError, match=r"got no answer: it took more than 0\.2 seconds") as caught:
        impatient.register("alice", PASSWORD)(None)

    assert 0.1 < time.monotonic() - began < SOON
    assert f"POST {server.base_url}/_matrix/client/v3/register" in str(caught.value)
    assert server.hung_up.wait(SOON)


def drip_after(head: bytes, drop: bytes, *, every: float = 0.02) -> Callable[[Exchange], None]:
    """Make a script that begins to answer, and then sends a drop every few milliseconds."""

    def script(exchange: Exchange) -> None:
        exchange.raw(head)
        end = time.monotonic() + SOON + 1
        while time.monotonic() < end and not exchange.server.closing.wait(every):
            exchange.raw(drop)

    return script


DRIPS = {
    "body": drip_after(OK + b"\r\n", b" "),
    "counted body": drip_after(OK + b"Content-Length: 1000000\r\n\r\n", b" "),
    "chunks": drip_after(CHUNKED, b"1\r\n \r\n"),
    "gzip": drip_after(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}")[:10], b"\x00\x00\x00\xff\xff"),
}


@pytest.mark.parametrize("script", DRIPS.values(), ids=DRIPS)
def test_dripping_server(server: WireServer, impatient: Homeserver, script: Callable[[Exchange], None]) -> None:
    """A body that comes steadily, and never to its end, is given up when it has taken too long as a whole."""
    server.script = script
    began = time.monotonic()

    with pytest.raises(InteractiveAuthError):
        impatient.delete_devices([])(None)

    assert time.monotonic() - began < SOON


TRAILER_DRIPS = {
    "trailers": drip_after(TRAILERS, b"X: y\r\n"),
    "a flood of trailers": drip_after(TRAILERS, b"X: y\r\n" * 1000, every=0.0),
}
HEAD_DRIPS = {
    "status": drip_after(b"", b"H"),
    "header": drip_after(OK + b"X: ", b"y"),
    "headers": drip_after(OK, b"X: y\r\n"),
    "continue": drip_after(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints": drip_after(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "a flood of continue": drip_after(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, every=0.0),
    "a flood of early hints": drip_after(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, every=0.0),
    **TRAILER_DRIPS,
}
#: What is said of it; newer versions of Python end a flood of 100s and 103s by a number instead.
GIVEN_UP = r"got no answer: (it took more than 0\.2 seconds|HTTPException)"


@pytest.mark.parametrize("script", HEAD_DRIPS.values(), ids=HEAD_DRIPS)
def test_answer_that_never_ends_in_time(server: WireServer, script: Callable[[Exchange], None]) -> None:
    """Status, headers and trailers have to come within the timeout as well, by the library's own connections."""
    server.script = script
    began = time.monotonic()

    with Homeserver(server.base_url, timeout=0.2) as homeserver, pytest.raises(InteractiveAuthError, match=GIVEN_UP):
        homeserver.delete_devices([])(None)

    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    "boundary",
    [
        b"*=undefined''a",
        b"*=idna''xn--a",
        b"*=punycode''%ff",
        b"*=a\0b''x",
        b"*%b*=a''b" % (5000 * b"9"),
        b"*=''; boundary*0*=''",
    ],
)
def test_head_that_the_parser_for_mail_fails_at(server: WireServer, connect: Connect, boundary: bytes) -> None:
    """It has codecs decode a boundary, and what they raise; a server can name any of them."""
    kind = b"Content-Type: multipart/mixed; boundary%b\r\n" % boundary
    server.will_send(OK + kind + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")

    with pytest.raises(HomeserverConnectionError, match="got no answer: the head of the answer cannot be read"):
        connect(server.base_url, timeout=SOON).delete_devices([])(None)


@pytest.mark.parametrize("error", [ValueError("mine"), TypeError("mine")], ids=type)
def test_exception_of_a_sessions_hook(server: WireServer, error: Exception) -> None:
    """What a hook of the caller's raises is the caller's."""

    def hook(response: requests.Response, *_: Any, **__: Any) -> None:
        raise error

    with requests.Session() as session:
        session.hooks["response"].append(hook)
        with pytest.raises(type(error), match=r"^mine$"):
            Homeserver(server.base_url, session=session).delete_devices([])(None)


def test_nothing_of_a_callers_session_is_changed(server: WireServer) -> None:
    """Its pools, their classes, its adapters, headers and cookies stay what they are."""
    with requests.Session() as session:
        session.get(server.base_url, timeout=SOON)
        adapter = session.get_adapter(server.base_url)
        assert isinstance(adapter, HTTPAdapter)
        before = (dict(session.headers), list(session.adapters.items()), session.cookies.get_policy())

        Homeserver(server.base_url, session=session, timeout=0.3).delete_devices([])(None)

        (key,) = adapter.poolmanager.pools.keys()
        pool = adapter.poolmanager.pools[key]
        assert type(pool) is urllib3.HTTPConnectionPool
        assert pool.ConnectionCls is urllib3.HTTPConnectionPool.ConnectionCls
        assert "ConnectionCls" not in vars(pool)
        assert (dict(session.headers), list(session.adapters.items()), session.cookies.get_policy()) == before

    assert len(server.connections) == 1


def test_answers_to_others_by_the_same_session(server: WireServer) -> None:
    """The caller's own requests by a session may take as long as they did, however slowly an answer comes."""

    def script(exchange: Exchange) -> None:
        for piece in (OK, b"Content-Length: 2\r\n", b"\r\n", b"{", b"}"):
            exchange.raw(piece)
            exchange.server.closing.wait(0.1)

    with requests.Session() as session:
        Homeserver(server.base_url, session=session, timeout=0.3).delete_devices([])(None)
        server.script = script

        assert session.get(server.base_url, timeout=0.3).json() == {}

    assert len(server.connections) == 1


INTERIM = {
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n",
    "two of them": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


@pytest.mark.parametrize("pause", [0.0, 0.1], ids=["at once", "later"])
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_answer_is_never_the_answer(
    server: WireServer, homeserver: Homeserver, interim: bytes, pause: float, request: pytest.FixtureRequest
) -> None:
    """An answer that announces another is skipped, or a connection error; each request is given its own answer."""

    def script(exchange: Exchange) -> None:
        answer = b'{"path": "%s"}' % exchange.path.encode()
        exchange.wfile.write(interim)
        exchange.server.closing.wait(pause)
        exchange.wfile.write(OK + b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer))

    server.script = script
    own = request.node.callspec.params["connect"] == "own connections"
    skipped = interim == INTERIM["continue"] or (own and interim != INTERIM["switching"])
    for path in ("/a", "/b", "/c", "/d"):
        send = homeserver.uia_request("POST", path)
        if skipped:
            assert send(None) == {"path": path}
        else:
            with pytest.raises(HomeserverConnectionError, match=r"the answer was only an interim one \(10[123]\)$"):
                send(None)


@pytest.fixture
def without_read1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what urllib3 before 2.1 does not have."""
    for kind in (urllib3.HTTPResponse, urllib3.BaseHTTPResponse):
        monkeypatch.delattr(kind, "read1", raising=False)


@pytest.mark.parametrize("script", DRIPS.values(), ids=DRIPS)
def test_dripping_server_and_an_old_urllib3(
    without_read1: None, server: WireServer, impatient: Homeserver, script: Callable[[Exchange], None]
) -> None:
    """So it is with an urllib3 that returns nothing before all that was asked for is there."""
    test_dripping_server(server, impatient, script)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_answer_to_an_old_urllib3(
    without_read1: None, server: WireServer, homeserver: Homeserver, encoding: str
) -> None:
    """And a whole answer is read to its end."""
    server.will_reply(200, gzip.compress(BODY) if encoding else BODY, Content_Encoding=encoding)

    assert homeserver.delete_devices([])(None) == {"a": 1}
    assert homeserver.delete_devices([])(None) == {"a": 1}
    assert len(server.connections) == 1


def test_short_answer_to_an_old_urllib3(
    server: WireServer, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is cut halfway is none, also where urllib3 takes it for whole, as it does before 2."""
    plain = urllib3.HTTPResponse.__init__

    def lenient(self: urllib3.HTTPResponse, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **{**kwargs, "enforce_content_length": False})

    monkeypatch.setattr(urllib3.HTTPResponse, "__init__", lenient)
    server.will_send(OK, b"Content-Length: 100\r\n\r\n{}")

    with pytest.raises(HomeserverConnectionError, match=r"got no answer: the answer broke off$"):
        homeserver.delete_devices([])(None)


def reset(exchange: Exchange) -> None:
    """Break the connection off in the middle of the answer."""
    exchange.raw(OK, b"Content-Length: 100\r\n\r\n{")
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.close()


BREAKS: dict[str, Callable[[Exchange], None]] = {
    "nothing": lambda exchange: exchange.raw(),
    "reset": reset,
    "half a status": lambda exchange: exchange.raw(b"HTTP/1.1 2"),
    "no HTTP": lambda exchange: exchange.raw(b"220 mail.example.org ESMTP\r\n"),
    "bytes": lambda exchange: exchange.raw(bytes(range(256)) * 10),
    "only a status": lambda exchange: exchange.raw(OK),
    "half a header": lambda exchange: exchange.raw(OK, b"Content-Le"),
    "no blank line": lambda exchange: exchange.raw(OK, b"Content-Type: application/json\r\n"),
    "a 401 without its blank line": lambda exchange: exchange.raw(b"HTTP/1.1 401 X\r\nServer: X\r\n"),
    "endless status": lambda exchange: exchange.raw(b"HTTP/1.1 200 " + b"x" * 100_000),
    "endless header": lambda exchange: exchange.raw(OK, b"X: " + b"x" * 100_000),
    "headers without end": lambda exchange: exchange.raw(OK, *(b"X-%d: x\r\n" % i for i in range(10_000))),
    "short body": lambda exchange: exchange.raw(OK, b"Content-Length: 100\r\n\r\n{}"),
    "short error": lambda exchange: exchange.raw(b"HTTP/1.1 403 X\r\nContent-Length: 100\r\n\r\n{}"),
    "short chunk": lambda exchange: exchange.raw(CHUNKED, b"9\r\n{}"),
    "no chunk": lambda exchange: exchange.raw(CHUNKED, b"hello\r\n"),
    "no gzip": lambda exchange: exchange.reply(200, b"{}", {"Content-Encoding": "gzip"}),
    "no deflate": lambda exchange: exchange.reply(200, bytes([255] * 9), {"Content-Encoding": "deflate"}),
    "many members": lambda exchange: exchange.reply(200, gzip.compress(b" ") * 1000, {"Content-Encoding": "gzip"}),
    "many encodings": lambda exchange: exchange.reply(200, b"{}", {"Content-Encoding": ", ".join(["gzip"] * 50)}),
}


@pytest.mark.parametrize("script", BREAKS.values(), ids=BREAKS)
def test_broken_answer(server: WireServer, homeserver: Homeserver, script: Callable[[Exchange], None]) -> None:
    """An answer that breaks off, or is none, is a connection error that names server and reason, and no secret."""
    server.script = script

    with pytest.raises(HomeserverConnectionError) as caught:
        homeserver.register("alice", PASSWORD)({"type": "m.login.password", "password": PASSWORD})

    error = caught.value
    assert re.match(rf"POST {server.base_url}/_matrix/client/v3/register got no answer: .", str(error))
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert error.__cause__ is error.__context__ is None
    assert PASSWORD not in f"{error!r}{pickle.dumps(error)!r}"


@pytest.mark.parametrize("script", BREAKS.values(), ids=BREAKS)
def test_next_answer_is_whole(server: WireServer, homeserver: Homeserver, script: Callable[[Exchange], None]) -> None:
    """What is left of a broken answer is not taken for the next one."""
    request = homeserver.delete_devices([])
    server.script = script
    with pytest.raises(HomeserverConnectionError):
        request(None)
    server.will_reply(200, {"next": True})

    assert request(None) == {"next": True}


ZIPPED = gzip.compress(b'{"a": "bc"}')
LENGTHS = {
    "by length": b"Content-Length: 11\r\n\r\n" + b'{"a": "bc"}',
    "by length, compressed": b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED,
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + b'{"a":\r\n6\r\n "bc"}\r\n0',
}


@pytest.mark.parametrize("rest", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized"])
def test_answer_cut_anywhere(server: WireServer, homeserver: Homeserver, status: bytes, rest: bytes) -> None:
    """Wherever an answer breaks off, it is a connection error; half of one never passes for the server's word."""
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nServer: Synapse\r\n" + rest
    request = homeserver.delete_devices([])

    for length in range(len(answer)):
        server.will_send(answer[:length])
        with pytest.raises(HomeserverConnectionError, match="got no answer"):
            request(None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", MatrixError),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", MatrixError),
    ],
)
def test_empty_answer_is_whole(
    server: WireServer, homeserver: Homeserver, answer: bytes, kind: type[InteractiveAuthError] | None
) -> None:
    """An empty body that is said to be empty, or need not be, is the server's word, and not one that broke off."""
    server.will_send(answer)

    if kind is None:
        assert homeserver.delete_devices([])(None) == {}
        return
    with pytest.raises(kind, match=r"an empty body \(0 bytes|redirect"):
        homeserver.delete_devices([])(None)


@pytest.mark.parametrize(
    "content", [gzip.compress(b"{}")[:-4], gzip.compress(b"{}")[:12], b""], ids=["no checksum", "half", "nothing"]
)
def test_truncated_gzip(server: WireServer, homeserver: Homeserver, content: bytes) -> None:
    """A compressed body that breaks off is an error, or was whole; never half of an answer."""
    server.will_reply(200, content, Content_Encoding="gzip")

    try:
        answer = homeserver.delete_devices([])(None)
    except (HomeserverConnectionError, ServerProtocolError):
        answer = {}

    assert answer == {}


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:3]) + gzip.compress(BODY[3:])),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)[2:-4]),
        ("identity", BODY),
        ("Identity", BODY),
        ("none", BODY),
        ("utf-8", BODY),
        ("identity, gzip", gzip.compress(BODY)),
        ("", BODY),
    ],
    ids=[
        "gzip",
        "case",
        "old name",
        "two members",
        "twice",
        "deflate",
        "deflate without its header",
        "identity",
        "Identity",
        "none",
        "utf-8",
        "identity and gzip",
        "empty",
    ],
)
def test_compressed_answer(server: WireServer, homeserver: Homeserver, encoding: str, content: bytes) -> None:
    """A body is read in whatever encoding it has, and a header that names none says nothing."""
    server.will_reply(200, content, Content_Encoding=encoding)

    assert homeserver.delete_devices([])(None) == {"a": 1}
    assert server.received[0].headers["Accept-Encoding"] == "gzip"


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, compresslevel=1),
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("encoding", COMPRESS)
def test_compressed_flood(server: WireServer, homeserver: Homeserver, encoding: str, times: int) -> None:
    """A small body that unpacks into much is given up at the limit, without the memory that it would take."""
    flood = bytes(200_000_000)
    for _ in range(times):
        flood = COMPRESS[encoding](flood)
    server.will_reply(200, flood, Content_Encoding=", ".join([encoding] * times))
    tracemalloc.start()

    try:
        with pytest.raises(ServerProtocolError, match="more than 8388608 bytes"):
            homeserver.delete_devices([])(None)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_closed_port(connect: Connect) -> None:
    """A port that nobody listens at is refused, and the error says so."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"

    with pytest.raises(HomeserverConnectionError, match=f"^GET {address}/.* got no answer: .*refused"):
        connect(address).username_available("alice")


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".example.org"], ids=["empty label", "long label"])
def test_impossible_name(connect: Connect, name: str) -> None:
    """A host that cannot exist is an error of the library's own, sooner or later."""
    with pytest.raises((ValueError, HomeserverConnectionError)) as caught:
        connect(f"https://{name}").username_available("alice")

    assert type(caught.value) in (ValueError, HomeserverConnectionError)


def test_silent_listener(connect: Connect) -> None:
    """A listener that never begins with TLS is given up when the timeout is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        homeserver = connect(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)

        with pytest.raises(HomeserverConnectionError, match=r"it took more than 0\.2 seconds"):
            homeserver.username_available("alice")


@pytest.mark.parametrize(
    "ask",
    [
        lambda homeserver: homeserver.registration_token_validity(TOKEN),
        lambda homeserver: homeserver.uia_request("GET", "/x", None, {"token": TOKEN})(None),
    ],
    ids=["registration token", "any query"],
)
def test_echoing_server(server: WireServer, homeserver: Homeserver, ask: Callable[[Homeserver], object]) -> None:
    """A port that echoes the request line does not bring a secret in the query to light."""
    server.script = lambda exchange: exchange.raw(exchange.raw_requestline)

    with pytest.raises(HomeserverConnectionError) as caught:
        ask(homeserver)

    assert TOKEN not in f"{caught.value}{pickle.dumps(caught.value)!r}"


def test_connection_is_kept(server: WireServer, homeserver: Homeserver) -> None:
    """Requests share one connection, errors included."""
    request = homeserver.delete_devices([])
    for status in (200, 401, 302, 500, 200):
        server.will_reply(status, {"errcode": "M_UNKNOWN"}, Location="/")
        try:
            request(None)
        except InteractiveAuthError:
            assert status != 200

    assert len(server.received) == 5
    assert len(server.connections) == 1


def test_closed_connection_is_opened_again(server: WireServer, homeserver: Homeserver) -> None:
    """A connection that the server has closed meanwhile is no trouble."""
    server.will_reply(200, {"a": 1}, Connection="close")
    request = homeserver.delete_devices([])

    assert [request(None) for _ in range(3)] == [{"a": 1}] * 3


def test_leaving_the_context_hangs_up(server: WireServer) -> None:
    """At the end of the block the homeserver's own connection is closed; it can still be used."""
    with Homeserver(server.base_url) as homeserver:
        homeserver.delete_devices([])(None)
        assert not server.hung_up.is_set()

    assert server.hung_up.wait(SOON)
    assert homeserver.delete_devices([])(None) == {}
    homeserver.close()


def test_many_addresses(server: WireServer, homeserver: Homeserver) -> None:
    """However many addresses are asked for in turn, each gets its own request, over the one connection."""
    paths = [f"/devices/{number}" for number in range(100)] * 2

    for path in paths:
        homeserver.uia_request("DELETE", path)(None)

    assert [(received.method, received.path) for received in server.received] == [("DELETE", path) for path in paths]
    assert len(server.connections) == 1


def test_many_threads(server: WireServer, homeserver: Homeserver) -> None:
    """Threads that share a homeserver each get their own answer."""
    server.script = lambda exchange: exchange.reply(200, server_answer(exchange.path), {})

    def ask(number: int) -> bool:
        path = f"/x/{number}"
        return all(homeserver.uia_request("POST", path, {"n": number})(None) == {"path": path} for _ in range(5))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(64)))

    assert sorted({received.json["n"] for received in server.received}) == list(range(64))
    assert all(received.path == f"/x/{received.json['n']}" for received in server.received)


def server_answer(path: str) -> bytes:
    """Return the answer that names the path."""
    return f'{{"path": "{path}"}}'.encode()
