"""Plain requests and answers: the same on the wire, and to their reader, as urllib3 and http.client have them."""

from __future__ import annotations

import functools
import http.client
import io
import itertools
import re
from typing import Any, NamedTuple

import pytest
import urllib3
from hypothesis import example, given, settings
from hypothesis import strategies as st
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER

from interactive_auth._http import plain
from interactive_auth._http.pools import bounded_pools

#: urllib3 before 2 and urllib3-future do all of it by themselves.
pytestmark = pytest.mark.skipif(
    urllib3.__version__ < "2" or not issubclass(HTTPConnection, http.client.HTTPConnection),
    reason="urllib3 2 is not installed",
)

#: Such as a real Synapse sends it.
ANSWER = (
    b"HTTP/1.1 401 Unauthorized\r\nServer: Synapse/1.150.0\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nCache-Control: no-cache, no-store, must-revalidate\r\n"
    b"Access-Control-Allow-Origin: *\r\nX-Empty:\r\nContent-Length: 2\r\n\r\n{}"
)
FIELDS = {"User-Agent": "a", "Accept-Encoding": "gzip", "Content-Type": "application/json", "Content-Length": "2"}
OPTIONS = {"preload_content": False, "decode_content": False, "enforce_content_length": True}
settled = settings(max_examples=400, deadline=None, derandomize=True, database=None)


class Socket:
    """A connection's socket, on the other end of which is a script."""

    def __init__(self, answer: bytes) -> None:
        self.sent: list[bytes] = []
        self._answer = answer

    def settimeout(self, seconds: object) -> None:
        """Do nothing: nothing has to be waited for."""

    def gettimeout(self) -> None:
        """Return that there is no timeout."""

    def sendall(self, data: bytes) -> None:
        """Keep what is written."""
        self.sent.append(bytes(data))

    def makefile(self, _: str) -> io.BufferedReader:
        """Return what has come in."""
        return io.BufferedReader(io.BytesIO(self._answer))  # type: ignore[arg-type]  # enough of a raw stream

    def close(self) -> None:
        """Do nothing."""


def unfolded(value: str) -> str:
    """Return a field as urllib3 has it from 2.8 on."""
    is_older = tuple(map(int, urllib3.__version__.split(".")[:2])) < (2, 8)
    return re.sub(r"[ \t]*\r\n[ \t]+", " ", value) if is_older else value


class Request(NamedTuple):
    """The arguments of a connection's ``request``."""

    method: str = "POST"
    url: str = "/_matrix/client/v3/register"
    body: object = b"{}"
    headers: dict[str, Any] = FIELDS
    host: str = "matrix.example"
    port: int = 80
    chunked: bool = False


def exchange(kind: Any, request: Request, answer: bytes) -> tuple[list[bytes], Any]:
    """Return what a connection of a kind writes for a request, and all that it has read of the answer."""
    wire = Socket(answer)
    connection = kind(request.host, request.port)
    connection.sock = wire
    try:
        connection.request(
            request.method,
            request.url,
            body=request.body,
            headers=request.headers,
            chunked=request.chunked,
            **OPTIONS,
        )
        response = connection.getresponse()
        read: Any = (
            (response.status, response.reason, response.version),
            [(name, unfolded(value)) for name, value in response.headers.items()],
            (response.length_remaining, response.chunked),
            connection.sock is None,
            response.read(),
        )
    except Exception as error:
        read = type(error), re.sub(" at 0x[0-9a-f]+", "", str(error))
    return wire.sent, read


#: The connection that the library's own session opens, and urllib3's.
OURS: Any = bounded_pools({"http": urllib3.HTTPConnectionPool})["http"]("127.0.0.1").ConnectionCls


def both(request: Request, answer: bytes) -> None:
    """Check that both connections write and read the same."""
    sent, read = exchange(OURS, request, answer)
    sent_by_theirs, read_by_theirs = exchange(HTTPConnection, request, answer)

    assert b"".join(sent) == b"".join(sent_by_theirs)
    assert read == read_by_theirs


WRAPPED = [
    *((http.client.HTTPConnection, name) for name in ("putrequest", "putheader", "endheaders", "getresponse", "send")),
    *((HTTPConnection, name) for name in ("request", "getresponse", "putrequest", "putheader")),
    (http.client.HTTPResponse, "begin"),
]
WRAPPED_FOR_TLS = ("request", "getresponse", "putrequest", "putheader", "endheaders")


@pytest.mark.parametrize(("kind", "name"), WRAPPED, ids=lambda part: getattr(part, "__module__", part))
def test_somebody_who_traces(monkeypatch: pytest.MonkeyPatch, kind: Any, name: str) -> None:
    """Whoever wraps a method of theirs, as Sentry does with two, is called for each request, once it is wrapped."""
    calls: list[str] = []
    method = getattr(kind, name)

    @functools.wraps(method)
    def traced(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return method(*args, **kwargs)

    exchange(OURS, Request(), ANSWER)
    monkeypatch.setattr(kind, name, traced)
    _, read = exchange(OURS, Request(), ANSWER)

    assert read[0] == (401, "Unauthorized", 11)
    assert calls


@pytest.mark.parametrize("name", WRAPPED_FOR_TLS)
def test_somebody_who_traces_what_is_encrypted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The class that speaks TLS may be wrapped by itself."""
    assert plain._methods() == plain._OWN_METHODS

    monkeypatch.setattr(HTTPSConnection, name, lambda *_, **__: None)

    assert plain._methods() != plain._OWN_METHODS


def test_what_was_wrapped_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper that was there first is told from what it wraps, though it has its name."""

    @functools.wraps(HTTPConnection.request)
    def traced(*_: Any, **__: Any) -> None:
        """Do nothing."""

    assert plain._is_own(HTTPConnection.request)
    assert not plain._is_own(traced)
    monkeypatch.setattr(plain, "_OWN_METHODS", None)  # so it is noted then
    assert len(exchange(OURS, Request(), ANSWER)[0]) == 2


def test_an_answer_that_was_not_read() -> None:
    """Its rest is never taken for the next answer, whichever way that one is asked for."""
    connection = OURS("matrix.example")
    connection.sock = Socket(ANSWER)
    connection.request("POST", "/a", body=b"{}", headers=FIELDS, chunked=False, **OPTIONS)
    unread = connection.getresponse()

    for headers in (FIELDS, {}):
        connection.request("POST", "/b", body=b"{}", headers=headers, chunked=False, **OPTIONS)
        with pytest.raises(http.client.ResponseNotReady):
            connection.getresponse()
    assert not unread.closed

    connection.close()
    assert unread.closed


def test_debugging(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``debuglevel`` prints what is sent and answered."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)

    exchange(OURS, Request(), ANSWER)

    assert "send: b'POST" in (printed := capsys.readouterr().out)
    assert "reply: 'HTTP/1.1 401" in printed


def test_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary request is written at once, and the answer's head is read without the parser for mail."""
    monkeypatch.delattr(http.client, "parse_headers")

    sent, read = exchange(OURS, Request(), ANSWER)

    assert len(sent) == 1
    assert sent[0].endswith(b"\r\n\r\n{}")
    assert read[0] == (401, "Unauthorized", 11)


REQUESTS = {
    "plain": Request(),
    "without a body": Request("GET", body=None, headers=dict(itertools.islice(FIELDS.items(), 2))),
    "without a body, of another method": Request("DELETE", body=None, headers={"User-Agent": "a"}),
    "an empty body": Request(body=b"", headers={**FIELDS, "Content-Length": "0"}),
    "a text": Request(body="{}"),
    "pieces": Request(body=iter([b"{", b"}"])),
    "chunked": Request(chunked=True, headers={k: v for k, v in FIELDS.items() if k != "Content-Length"}),
    "without a length": Request(headers={k: v for k, v in FIELDS.items() if k != "Content-Length"}),
    "another port": Request(port=8008),
    "an IPv6 address": Request(host="::1", port=8008),
    "a host of its own": Request(headers={**FIELDS, "Host": "other.example"}),
    "a value in bytes": Request(headers={**FIELDS, "X": b"a"}),
    "a value beyond ASCII": Request(headers={**FIELDS, "X": "ä"}),
    "a value of two lines": Request(headers={**FIELDS, "X": "a\r\nY: b"}),
    "a name that is none": Request(headers={**FIELDS, "X Y": "a"}),
    "a colon in a name": Request(headers={**FIELDS, "X:Y": "a"}),
    "a field to be left out": Request(headers={**FIELDS, "User-Agent": SKIP_HEADER}),
    "a field that cannot be left out": Request(headers={**FIELDS, "X": SKIP_HEADER}),
    "a blank in the address": Request(url="/a b"),
    "a whole address": Request(url="http://other.example/a"),
    "a method that is none": Request("PO ST"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_requests(request_: Request) -> None:
    """Whatever is sent, it is the same on the wire."""
    if isinstance(request_.body, (bytes, str, type(None))):
        both(request_, ANSWER)
    else:
        sent, _ = exchange(OURS, request_, ANSWER)
        theirs, _ = exchange(HTTPConnection, request_._replace(body=iter([b"{", b"}"])), ANSWER)
        assert sent == theirs


name = st.sampled_from([*FIELDS, "content-LENGTH", "user-agent", "X", "x-Y_1", "A b", "a:b", "", "Host", "É", "A\n"])
value = st.one_of(st.sampled_from(["gzip", "a", "2", "", " a ", "ä", "a\r\nb", "\t", SKIP_HEADER]), st.text(max_size=6))


@settled
@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "get", "A B", ""]),
    st.one_of(st.sampled_from(["/", "/a?b=c", "/ä", "*", ""]), st.text(max_size=6).map("/".__add__)),
    st.sampled_from([None, b"", b"{}", "{}", "ä"]),
    st.dictionaries(name, value, max_size=4).map(lambda more: {**FIELDS, **more}),
    st.sampled_from([80, 8008]),
)
def test_any_request(method: str, url: str, body: object, headers: dict[str, str], port: int) -> None:
    """Whatever is sent, it is the same on the wire, or refused in the same words."""
    both(Request(method, url, body, headers, port=port), ANSWER)


ANSWERS = {
    "plain": ANSWER,
    "a whole head of 99 fields": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 98 + b"Content-Length: 2\r\n\r\n{}",
    "a field too many": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 99 + b"Content-Length: 2\r\n\r\n{}",
    "larger than a buffer": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 20_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a length beside chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "to the end": b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}",
    "the last one": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "of HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "an odd length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
    "no content": b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n{}",
    "not modified": b"HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n{}",
    "after an interim one": b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
    "a folded field": b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\nContent-Length: 2\r\n\r\n{}",
    "Latin letters": b"HTTP/1.1 200 \xc4\r\nA: \xe4\r\nContent-Length: 2\r\n\r\n{}",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    "no fields": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "nothing": b"",
    "no HTTP": b"SSH-2.0\r\n\r\n",
    "cut": ANSWER[:60],
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("method", ["POST", "HEAD"])
def test_answers(method: str, answer: bytes) -> None:
    """Whatever is answered, it is read the same."""
    both(Request(method), answer)


LINES = (
    *(b"A: b", b"A:", b":", b"A : b", b"A", b" b", b"A: \t b ", b"From a", b"\r", b"A: b\rC: d", b"A: b\nC: d"),
    *(b"content-length: 2", b"Content-Length:2", b"Content-Length : 2", b"Content-Length: 99999999999999999999"),
    *(b"Connection: close", b"Transfer-Encoding: chunked", b"Set-Cookie: a=b", b"Content-Type: multipart/mixed"),
)
line = st.one_of(st.sampled_from(LINES), st.binary(max_size=6))


@settled
@given(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 401  A B ", b"HTTP/1.1 204 ", b"HTTP/1.1 99 A", b"http/1.1 200 A"]),
    st.lists(line, max_size=5),
    st.sampled_from([b"Content-Length: 2\r\n", b""]),
    st.sampled_from(["POST", "GET", "HEAD"]),
)
@example(b"HTTP/1.1 200 OK", [b"A:" + b" " * 4000] * 2, b"", "POST")
@example(b"HTTP/1.1 200 OK", [b"A: b ", b"\t c", b" ", b"  d "], b"Content-Length: 2\r\n", "POST")
def test_any_answer(status: bytes, lines: list[bytes], length: bytes, method: str) -> None:
    """Whatever is answered, it is read the same, or refused in the same words."""
    both(Request(method), b"\r\n".join([status, *lines, length]) + b"\r\n{}")
