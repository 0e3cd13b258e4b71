"""What the library needs of requests, urllib3 and http.client beyond their documentation.

The list of it is in ``interactive_auth/_http/__init__.py``.
"""

from __future__ import annotations

import http.client
import io
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from interactive_auth import Homeserver
from interactive_auth._http.adapter import BoundedAdapter, open_session
from interactive_auth._http.pools import bounded_pools

if TYPE_CHECKING:
    from conftest import WireServer


class Wire:
    """As much of a socket as an answer is read from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _: str) -> io.BytesIO:
        """Return what has come in."""
        return io.BytesIO(self._content)


def test_content_of_a_response(server: WireServer) -> None:
    """``Response._content`` is False for as long as nothing was read, and the body afterwards."""
    assert vars(requests.Response())["_content"] is False
    with requests.get(server.base_url, timeout=5, stream=True) as streamed:
        assert vars(streamed)["_content"] is False
        assert streamed.content == b"{}"
        assert vars(streamed)["_content"] == b"{}"


def test_fields_of_a_response(server: WireServer) -> None:
    """A response of the library's own session has the fields of one of requests', and shares none that can change."""
    with open_session() as session:
        first, second = (session.get(server.base_url, timeout=5) for _ in range(2))
    theirs = requests.get(server.base_url, timeout=5)

    assert vars(first).keys() == vars(theirs).keys()
    assert (first.status_code, first.url, first.content) == (theirs.status_code, theirs.url, theirs.content)
    assert first.headers["CONTENT-length"] == theirs.headers["CONTENT-length"] == "2"
    for name in ("headers", "history", "cookies", "request"):
        assert getattr(first, name) is not getattr(second, name)
    assert isinstance(first.cookies, type(theirs.cookies))


def test_pools_of_a_manager() -> None:
    """``PoolManager.pool_classes_by_scheme`` says which pools a manager opens, and is the manager's own."""
    manager, other = urllib3.PoolManager(), urllib3.PoolManager()

    class Pool(urllib3.HTTPConnectionPool):
        """A pool like any other."""

    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "http": Pool}

    assert type(manager.connection_from_url("http://127.0.0.1:1")) is Pool
    assert type(other.connection_from_url("http://127.0.0.1:1")) is urllib3.HTTPConnectionPool


def test_connections_of_a_pool(server: WireServer) -> None:
    """``ConnectionCls`` and ``response_class`` say how a pool's answers are read, and are asked for each connection."""
    read: list[str] = []

    class Answer(http.client.HTTPResponse):
        def begin(self) -> None:
            read.append("begin")
            super().begin()

    class Connection(urllib3.connection.HTTPConnection):
        response_class = Answer

    class Pool(urllib3.HTTPConnectionPool):
        @property
        def ConnectionCls(self) -> Any:  # type: ignore[override]  # noqa: N802 (it is urllib3's name)
            read.append("connection")
            return Connection

    with Pool("127.0.0.1", server.server_port) as pool:
        assert pool.urlopen("GET", "/").data == b"{}"

    assert read == ["connection", "begin"]


def test_idle_connections_of_a_pool(server: WireServer, caplog: pytest.LogCaptureFixture) -> None:
    """``QueueCls`` keeps a pool's idle connections: as many as it may, until the pool is closed."""
    pool = bounded_pools({"http": urllib3.HTTPConnectionPool})["http"]("127.0.0.1", server.server_port, maxsize=2)

    opened = [pool.urlopen("GET", "/", preload_content=False, timeout=5) for _ in range(3)]
    for response in opened:
        response.read()
    assert "pool is full, discarding connection: 127.0.0.1. Connection pool size: 2" in caplog.text
    pool.urlopen("GET", "/", timeout=5)
    assert (pool.num_connections, pool.num_requests) == (3, 4)

    pool.close()
    with pytest.raises(urllib3.exceptions.ClosedPoolError):
        pool.urlopen("GET", "/", timeout=5)


def test_another_beginning() -> None:
    """``HTTPResponse.begin`` reads a head, another one once ``headers`` is None, and otherwise nothing."""
    wire: Any = Wire(b"HTTP/1.1 103 A\r\nLink: x\r\n\r\nHTTP/1.1 200 B\r\nContent-Length: 2\r\n\r\n{}")
    answer = http.client.HTTPResponse(wire)
    answer.begin()
    answer.begin()
    assert (answer.status, answer.headers["Link"]) == (103, "x")

    answer.headers = None  # type: ignore[assignment]  # as http.client itself has it
    answer.begin()

    assert (answer.status, answer.headers["Link"], answer.read()) == (200, None, b"{}")


def test_the_way_of_the_own_session(server: WireServer) -> None:
    """The adapter is asked for each request, and has left ``send`` to requests; its pools bound their answers."""
    assert "send" not in vars(BoundedAdapter)
    with Homeserver(server.base_url) as homeserver:
        homeserver.delete_devices([])(None)
        adapter = homeserver._transport._session.get_adapter(server.base_url)

        assert isinstance(adapter, HTTPAdapter)
        request = requests.Request("POST", server.base_url).prepare()
        pool: Any = adapter.get_connection_with_tls_context(request, verify=True)
        assert pool.ConnectionCls.response_class.__name__ == "BoundedAnswer"
        assert (pool.num_connections, pool.num_requests) == (1, 1)


@pytest.mark.skipif(sys.flags.optimize > 1, reason="python -OO drops the docstrings")
@pytest.mark.parametrize("name", ["get_connection_with_tls_context", "cert_verify", "request_url", "build_response"])
def test_what_the_adapter_replaces(name: str) -> None:
    """It replaces what requests documents for subclasses."""
    assert "when subclassing" in (getattr(HTTPAdapter, name).__doc__ or "")


def test_the_parser_of_a_head() -> None:
    """``parse_headers`` is among the frames of whatever is raised while a head is read."""
    stream = io.BytesIO()
    stream.close()

    with pytest.raises(ValueError, match="closed file") as caught:
        http.client.parse_headers(stream)

    codes = [frame.f_code for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert http.client.parse_headers.__code__ in codes
