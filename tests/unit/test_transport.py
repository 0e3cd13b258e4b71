"""One request and its answer: what is sent, what is read of what comes back, and what is said when it fails."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import socket
import ssl
import time
from collections.abc import Iterator
from http.client import BadStatusLine
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import LocationParseError, MaxRetryError, NewConnectionError, ProtocolError, ProxyError

from interactive_auth import Homeserver, HomeserverConnectionError, MatrixError, ServerProtocolError, UIARequest
from interactive_auth._http.adapter import BoundedAdapter
from interactive_auth._http.answers import MAX_BODY

ADDRESS = "https://matrix.example.org"
PATH = "/_matrix/client/v3/account/deactivate"
SECRET = "correct horse battery staple"


class Endless(io.RawIOBase):
    """A body without an end, that counts what is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "an endless body is read at once"
        self.taken += size
        return b" " * size


class Adapter(BaseAdapter):
    """Records what is sent, and plays one answer."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.settings: list[dict[str, Any]] = []
        self.status, self.headers = 200, {"Content-Type": "application/json"}
        self.body: bytes | io.RawIOBase = b"{}"
        self.failure: Exception | None = None

    def send(self, request: requests.PreparedRequest, *_: Any, **settings: Any) -> requests.Response:
        self.sent.append(request)
        self.settings.append(settings)
        if self.failure is not None:
            raise self.failure
        response = requests.Response()
        response.status_code = self.status
        response.headers.update(self.headers)
        response.raw = io.BytesIO(self.body) if isinstance(self.body, bytes) else self.body
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        """Have nothing to close."""


@pytest.fixture
def adapter() -> Adapter:
    """Return what takes the place of the network."""
    return Adapter()


@pytest.fixture
def session(adapter: Adapter) -> Iterator[requests.Session]:
    """Return a session whose requests end at the adapter."""
    with requests.Session() as session:
        session.mount(ADDRESS, adapter)
        yield session


@pytest.fixture
def request_(session: requests.Session) -> UIARequest[dict[str, Any]]:
    """Return a request with a secret in its body."""
    homeserver = Homeserver(ADDRESS, session=session, access_token="the-access-token", timeout=7)
    return homeserver.uia_request("POST", PATH, {"password": SECRET})


def test_what_is_sent(adapter: Adapter, request_: UIARequest[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The address, the JSON, its type, the token and the timeout are sent; TLS is verified."""
    for bundle in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(bundle, raising=False)

    request_(None)

    (sent,), (settings,) = adapter.sent, adapter.settings
    assert (sent.method, sent.url) == ("POST", ADDRESS + PATH)
    assert json.loads(sent.body or b"") == {"password": SECRET}
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["Authorization"] == "Bearer the-access-token"
    assert settings["timeout"] == 7
    assert settings["verify"] is True
    assert settings["stream"] is True


def test_non_ascii_is_sent_escaped(adapter: Adapter, session: requests.Session) -> None:
    """Text of any script goes out as ASCII that reads as the same JSON."""
    body = {"name": "Zoë 🦊"}

    Homeserver(ADDRESS, session=session).uia_request("PUT", PATH, body)(None)

    sent = adapter.sent[0].body
    assert isinstance(sent, bytes)
    assert sent.isascii()
    assert json.loads(sent) == body


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_success_is_returned(adapter: Adapter, request_: UIARequest[Any], status: int) -> None:
    """The JSON object of any 2xx is the answer."""
    adapter.status, adapter.body = status, b'{"a": [1, "\xc3\xab"]}'

    assert request_(None) == {"a": [1, "ë"]}


@pytest.mark.parametrize(
    "body",
    [b'\xef\xbb\xbf{"errcode": "M_X"}', '{"errcode": "M_X"}'.encode("utf-16"), b' \n{"errcode": "M_X"}\n'],
    ids=["BOM", "UTF-16", "white space"],
)
def test_unusual_json_is_read(adapter: Adapter, request_: UIARequest[Any], body: bytes) -> None:
    """JSON in a Unicode encoding that is not plain UTF-8 is read all the same, whatever charset is declared."""
    adapter.status, adapter.body = 400, body
    adapter.headers["Content-Type"] = "application/json; charset=ebcdic"

    with pytest.raises(MatrixError) as caught:
        request_(None)

    assert caught.value.errcode == "M_X"


BROKEN = {
    "white space": (b" \r\n", "not JSON"),
    "HTML": (b"<html><title>502 Bad Gateway</title>", "not JSON"),
    "cut off": (b'{"errcode": "M_', "not JSON"),
    "latin-1": (b'{"error": "\xeb"}', "not JSON"),
    "null": (b"null", "not an object"),
    "list": (b'[{"errcode": "M_X"}]', "not an object"),
    "string": (b'"errcode"', "not an object"),
    "number": (b"1" * 4000, "not an object"),
    "10,000 digits": (b'{"retry_after_ms": ' + b"1" * 10_000 + b"}", "not JSON"),
    "100,000 brackets": (b"[" * 100_000, "not JSON"),
    "100,000 objects": (b'{"a":' * 100_000, "not JSON"),
    "control characters": (b"\x1b[2J", "not JSON"),
}


@pytest.mark.parametrize(("body", "flaw"), BROKEN.values(), ids=BROKEN)
def test_success_without_an_object(adapter: Adapter, request_: UIARequest[Any], body: bytes, flaw: str) -> None:
    """A 2xx whose body is no JSON object breaks the protocol; the error names request, status, flaw and type."""
    adapter.body, adapter.headers["Content-Type"] = body, "text/html"

    with pytest.raises(ServerProtocolError) as caught:
        request_(None)

    said = str(caught.value)
    assert f"POST {ADDRESS}{PATH} was answered 200" in said
    assert flaw in said
    assert "text/html" in said
    assert len(said) < 400
    assert said.isprintable()


@pytest.mark.parametrize("status", [400, 401, 429, 502])
@pytest.mark.parametrize(("body", "flaw"), BROKEN.values(), ids=BROKEN)
def test_error_without_an_object(
    adapter: Adapter, request_: UIARequest[Any], body: bytes, flaw: str, status: int
) -> None:
    """An error status whose body is no JSON object is a MatrixError without data that names request and flaw."""
    adapter.status, adapter.body = status, body

    with pytest.raises(MatrixError) as caught:
        request_(None)

    error = caught.value
    assert (error.http_status, error.data, error.errcode, error.retry_after) == (status, {}, None, None)
    assert f"POST {ADDRESS}{PATH} was answered {status} with" in str(error)
    assert flaw in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_success_without_a_body(adapter: Adapter, request_: UIARequest[Any], status: int) -> None:
    """A success without a body is an empty object, where no field of it is required."""
    adapter.status, adapter.body = status, b""

    assert request_(None) == {}


def test_success_without_a_body_that_is_needed(adapter: Adapter, session: requests.Session) -> None:
    """Where a field is required it breaks the protocol."""
    adapter.body = b""

    with pytest.raises(ServerProtocolError, match="there is no usable user_id"):
        Homeserver(ADDRESS, session=session).register("alice")(None)


WRONG = [
    (200, "text/html", b"<html>", "200 with a web page, not JSON "),
    (404, "text/html", b"<html>", "404 with a web page, not JSON "),
    (405, "text/html", b"", "405 with an empty body "),
    (404, "application/json", b"{}", "404 with an error without an errcode "),
    (404, "application/json", b'{"detail": "Not Found"}', "404 with an error without an errcode "),
    (400, "application/json", b'{"error": {"code": 1}}', "400 with an error without an errcode "),
    (400, "text/plain", b"HTTP to an HTTPS port", "400 with a body that is not JSON "),
    (200, "application/json", b'{"hello": 1}', "with success, but there is no usable user_id"),
]


@pytest.mark.parametrize(("status", "kind", "body", "said"), WRONG, ids=[said for *_, said in WRONG])
def test_an_address_of_something_else(
    adapter: Adapter, session: requests.Session, status: int, kind: str, body: bytes, said: str
) -> None:
    """What answers there is described in a line: the method, the address, and where the right one is found."""
    adapter.status, adapter.headers, adapter.body = status, {"Content-Type": kind}, body

    with pytest.raises((MatrixError, ServerProtocolError)) as caught:
        Homeserver(ADDRESS, session=session).register("alice")(None)

    line = str(caught.value)
    assert f"POST {ADDRESS}/_matrix/client/v3/register was answered {said}" in line
    assert ": is this the address of a homeserver? " in line
    assert "https://SERVER_NAME/.well-known/matrix/client" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "body", [b'{"errcode": "M_X"}', b'{"session": "S"}', b'{"flows": []}', b'{"completed": [], "params": {}}']
)
def test_what_a_homeserver_answers(adapter: Adapter, request_: UIARequest[Any], body: bytes) -> None:
    """An error with an errcode, and a demand for authentication, may well be a homeserver's."""
    adapter.status, adapter.body = 401, body

    with pytest.raises(MatrixError) as caught:
        request_(None)

    assert str(caught.value).endswith(f"(POST {ADDRESS}{PATH})")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://www.example.org/login?token=tok", "never followed; it leads to www.example.org)"),
        ("/login", "never followed)"),
        ("https://[::1/", "never followed)"),
    ],
)
def test_where_a_redirect_leads(adapter: Adapter, request_: UIARequest[Any], location: str, said: str) -> None:
    """The host that it names is told, since that may be the homeserver's, and nothing else of it."""
    adapter.status, adapter.headers = 301, {"Location": location}

    with pytest.raises(MatrixError) as caught:
        request_(None)

    assert str(caught.value).endswith(said)


@pytest.mark.parametrize("status", [400, 401, 502])
def test_error_without_a_body(adapter: Adapter, request_: UIARequest[Any], status: int) -> None:
    """An error without a body is one without data, and says so."""
    adapter.status, adapter.body = status, b""

    with pytest.raises(MatrixError, match=r"an empty body \(0 bytes") as caught:
        request_(None)

    assert (caught.value.http_status, caught.value.data) == (status, {})


def test_no_content_type(adapter: Adapter, request_: UIARequest[Any]) -> None:
    """A broken answer without a content type is said to have none."""
    adapter.body, adapter.headers = b"<", {}

    with pytest.raises(ServerProtocolError, match="no content type"):
        request_(None)


@pytest.mark.parametrize("status", [200, 500])
def test_unusual_content_type(adapter: Adapter, request_: UIARequest[Any], status: int) -> None:
    """A content type that may be a quotation of what was sent is not repeated."""
    adapter.status, adapter.body, adapter.headers = status, b"<", {"Content-Type": "a/token1; charset=token1"}

    with pytest.raises((ServerProtocolError, MatrixError), match="an unusual content type") as caught:
        request_(None)

    assert "token1" not in str(caught.value)


def test_partial_data_is_kept(adapter: Adapter, request_: UIARequest[Any]) -> None:
    """Of an object with wrong types all is in data, and what is no string is no errcode."""
    adapter.status, adapter.body = 403, b'{"errcode": 5, "error": null, "flows": "none", "n": NaN}'

    with pytest.raises(MatrixError) as caught:
        request_(None)

    error = caught.value
    assert (error.errcode, error.error) == (None, None)
    assert math.isnan(error.data.pop("n"))
    assert error.data == {"errcode": 5, "error": None, "flows": "none"}
    assert str(error) == "403 (POST https://matrix.example.org/_matrix/client/v3/account/deactivate)"


@pytest.mark.parametrize("status", [200, 302, 500])
def test_endless_body_is_bounded(adapter: Adapter, request_: UIARequest[Any], status: int) -> None:
    """Of a body without an end little more than the limit is read, and the connection is given up."""
    body = adapter.body = Endless()
    adapter.status, adapter.headers["Location"] = status, "https://elsewhere.example.org/"

    with pytest.raises((ServerProtocolError, MatrixError)):
        request_(None)

    assert MAX_BODY < body.taken < 1.1 * MAX_BODY
    assert body.closed


def test_largest_body(adapter: Adapter, request_: UIARequest[Any]) -> None:
    """A body of exactly the limit is still read; one byte more is too large, and the limit is named."""
    adapter.body = b"{}".ljust(MAX_BODY)
    assert request_(None) == {}

    adapter.body = b"{}".ljust(MAX_BODY + 1)
    with pytest.raises(ServerProtocolError, match=f"more than {MAX_BODY} bytes"):
        request_(None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_an_error(adapter: Adapter, request_: UIARequest[Any], status: int) -> None:
    """A redirect is a MatrixError that says so; one request is sent, and no other."""
    adapter.status, adapter.headers["Location"] = status, f"{ADDRESS}/elsewhere"

    with pytest.raises(MatrixError, match="redirect, which is never followed") as caught:
        request_(None)

    assert caught.value.http_status == status
    assert len(adapter.sent) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("9" * 400, None),
        ("7.5", None),
        ("-7", None),
        ("\xb2", None),
        ("soon", None),
        ("", None),
        ("7, 8", None),
        ("Fri, 31 Feb 2031 25:61:61 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
    ],
    ids=repr,
)
def test_retry_after(adapter: Adapter, request_: UIARequest[Any], header: str, seconds: float | None) -> None:
    """Retry-After counts if it is a number of seconds or a date; the past is now, and nonsense is nothing."""
    adapter.status, adapter.headers["Retry-After"] = 429, header

    with pytest.raises(MatrixError) as caught:
        request_(None)

    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%c"], ids=["IMF", "RFC 850", "asctime"]
)
def test_retry_after_a_date(
    adapter: Adapter, request_: UIARequest[Any], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the three forms of an HTTP date (RFC 9110, 5.6.7) is in UTC, wherever the client is."""
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    adapter.status, adapter.headers["Retry-After"] = 503, time.strftime(form, time.gmtime(now + 90))
    monkeypatch.setenv("TZ", "XYZ-9")
    time.tzset()

    try:
        with pytest.raises(MatrixError) as caught:
            request_(None)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert caught.value.retry_after == pytest.approx(90, abs=1)


def test_retry_after_in_the_body(adapter: Adapter, request_: UIARequest[Any]) -> None:
    """The body's milliseconds count if the header says nothing of use."""
    adapter.status, adapter.headers["Retry-After"] = 429, "soon"
    adapter.body = b'{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500}'

    with pytest.raises(MatrixError) as caught:
        request_(None)

    assert caught.value.retry_after == 1.5


POOL: Any = None
FAILURES = {
    "nested": (
        requests.ConnectionError(MaxRetryError(POOL, "/x?token=tok", ProxyError("tok", OSError("no")))),
        "no; a proxy .* stands in between",
    ),
    "refused": (requests.ConnectionError(NewConnectionError(POOL, "refused by tok")), "NewConnectionError"),
    "system's words": (
        requests.ConnectionError(ProtocolError("Aborted.", OSError(104, "reset"))),
        r"\[Errno 104\] reset; is this the address of a homeserver\? If it is, try again",
    ),
    "timeout": (requests.ReadTimeout("Read timed out: /x?token=tok"), "it took more than 7 seconds"),
    "no words": (OSError(), "OSError"),
    "unknown host": (
        requests.ConnectionError(socket.gaierror(-2, "no name")),
        r".* no name; is the address right, and the network up\?",
    ),
    "nobody listens": (
        requests.ConnectionError(ConnectionRefusedError(111, "refused")),
        r".* refused; is the address right, and the homeserver running\?",
    ),
    "certificate": (
        requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed")),
        ".*self-signed.*; this machine does not trust its certificate; .* REQUESTS_CA_BUNDLE .*",
    ),
    "no TLS": (
        requests.exceptions.SSLError(ssl.SSLError(1, "wrong version")),
        r".*wrong version.*; does it speak https at this port\?",
    ),
    "no HTTP": (
        requests.ConnectionError(ProtocolError("Aborted.", BadStatusLine("SSH-tok"))),
        r"BadStatusLine; is this the address of a homeserver\? .*",
    ),
    "a mock": (
        requests.ConnectionError("Refused: no mock matches.\n\nRequest:\n- POST https://x/?token=tok"),
        r"Refused: no mock matches\.",
    ),
    "a mock that quotes": (
        requests.ConnectionError(f"no match for password={SECRET!r} of Bearer the-access-token"),
        r"no match for \[hidden\]='\[hidden\] \[hidden\] \[hidden\] \[hidden\]' of Bearer \[hidden\]",
    ),
    "bare": (requests.ConnectionError("https://matrix.example.org/x?token=tok"), "https://matrix.example.org/x"),
    "of urllib3": (LocationParseError("tok"), "LocationParseError"),
    "terminal": (OSError("\x1b[2J" + "x" * 1000), r"\\x1b\[2Jx{190,196}\.\.\."),
}


@pytest.mark.parametrize(("failure", "reason"), FAILURES.values(), ids=FAILURES)
def test_trouble_is_a_connection_error(
    adapter: Adapter, request_: UIARequest[Any], failure: Exception, reason: str
) -> None:
    """No answer is a HomeserverConnectionError with the innermost reason; it has no URL's query and no requests."""
    adapter.failure = failure

    with pytest.raises(HomeserverConnectionError, match=f"^POST {ADDRESS}{PATH} got no answer: {reason}$") as caught:
        request_(None)

    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "tok" not in str(error)
    assert type(pickle.loads(pickle.dumps(error))) is HomeserverConnectionError


def prepared(url: str) -> requests.PreparedRequest:
    """Make a request that is not sent."""
    return requests.Request("POST", url).prepare()


def test_pools_are_found_once() -> None:
    """A way to a machine is looked for once, for each proxy and certificate; a proxy's is like any other."""
    adapter = BoundedAdapter()
    proxies = {"https": "http://proxy.example.org:3128"}

    def find(url: str, **settings: Any) -> Any:
        return adapter.get_connection_with_tls_context(prepared(url), True, **settings)

    plain = find(f"{ADDRESS}/a")
    proxied, other = find(f"{ADDRESS}/a", proxies=proxies), find("https://other.example.org/", proxies=proxies)

    assert find(f"{ADDRESS}/b", proxies={}, cert=None) is plain
    assert find(f"{ADDRESS}/b", proxies=proxies) is proxied
    assert len({id(pool) for pool in (plain, proxied, other)}) == 3
    assert {pool.ConnectionCls.response_class.__name__ for pool in (plain, proxied, other)} == {"BoundedAnswer"}
    adapter.close()


def test_pools_are_not_collected() -> None:
    """A server that names ever new addresses does not keep connections to all of them open."""
    adapter = BoundedAdapter()
    pools: list[Any] = [
        adapter.get_connection_with_tls_context(prepared(f"https://{number}.example.org/"), True)
        for number in range(100)
    ]

    assert sum(pool.pool is not None for pool in pools) <= 16
    assert pools[-1].pool is not None
    adapter.close()
    assert all(pool.pool is None for pool in pools)


@pytest.mark.parametrize("own", [True, False], ids=["own session", "caller's session"])
def test_many_addresses(monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    """However many addresses a server names, each is sent what is for it, and few are remembered."""
    asked: list[str | None] = []

    def send(_: object, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        asked.append(request.url)
        response = requests.Response()
        response.status_code, response._content = 200, b'{"success": true}'
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    homeserver = Homeserver(ADDRESS, session=None if own else requests.Session())
    urls = [f"https://{number}.example.org/code" for number in range(200)]

    assert all(homeserver.submit_token(url, "sid", "secret", "code") for url in urls)

    assert asked == urls
    assert len(homeserver._transport._settings) <= 64
    assert len(homeserver._transport._prepared) <= 64


def test_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was forked has a session of its own, and goes on with it."""
    sessions: list[requests.Session] = []

    def send(self: requests.Session, *_: Any, **__: Any) -> requests.Response:
        sessions.append(self)
        response = requests.Response()
        response.status_code = 200
        return response

    monkeypatch.setattr(requests.Session, "send", send)
    request = Homeserver(ADDRESS).delete_devices([])
    request(None)
    another = os.getpid() + 1
    monkeypatch.setattr("os.getpid", lambda: another)

    request(None)
    request(None)

    parent, child, again = sessions
    assert parent is not child
    assert child is again
    assert parent.get_adapter(ADDRESS) is not child.get_adapter(ADDRESS)
    assert parent.cookies is not child.cookies
