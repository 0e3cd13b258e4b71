"""Who visits the page's server, and what they get: only the page itself is believed, and nobody can stay."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from .conftest import GRACE
from .site import Begin, Site, ask, ends_within, enter, is_gone, serving

REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "another path": ("POST", {"path": "/"}),
    "half the path": ("POST", {"path": "/done"}),
    "a path beyond ASCII": ("POST", {"path": "/%C3%A9?"}),
    "another host": ("POST", {"Host": "evil.example"}),
    "another host's page": ("GET", {"Host": "evil.example"}),
    "the same name by letters": ("GET", {"Host": "localhost"}),
    "another path's page": ("GET", {"path": "/"}),
    "another path's news": ("POST", {"path": "/1"}),
    "another method": ("PUT", {}),
    "a question about the page": ("HEAD", {}),
    "another site's question whether it may": ("OPTIONS", {"Origin": "https://evil.example"}),
    "another origin": ("POST", {"Origin": "https://evil.example"}),
    "a hidden origin": ("POST", {"Origin": "null"}),
}


@pytest.mark.parametrize(("method", "changed"), REFUSED.values(), ids=REFUSED)
def test_strangers(site: Site, begin: Begin, method: str, changed: dict[str, str]) -> None:
    """Who comes by another path, host or origin is told nothing, and the loop does not poll for it."""
    _, url, _ = begin(site)
    site.requests.clear()
    parts = urlsplit(url)

    status, body = ask(url, method, **{"Origin": f"http://{parts.netloc}", **changed})

    assert (status, body) == (404, b"")
    assert site.requests == []


def test_two_hosts(site: Site, begin: Begin) -> None:
    """A request that names two hosts is refused, whichever is looked at."""
    _, url, _ = begin(site)
    parts = urlsplit(url)
    head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nHost: evil.example\r\n\r\n"

    with socket.create_connection(("127.0.0.1", parts.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.0 404 ")


@pytest.mark.parametrize(
    "line", ["what is this", "GET /" + 70_000 * "a" + " HTTP/1.1", "GET /"], ids=lambda line: line[:9]
)
def test_no_request_at_all(site: Site, begin: Begin, line: str) -> None:
    """What is no request is told nothing, not even which program it talks to."""
    _, url, _ = begin(site)

    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10) as connection:
        connection.sendall(f"{line}\r\n\r\n".encode())
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")

    assert body == b""
    assert b"python" not in head.lower()
    assert b"nonce" not in head
    assert not head or b" 404 " in head


def test_what_the_page_is_sent_with(site: Site, begin: Begin) -> None:
    """It is not kept, not put into a frame, runs no script but its own, and tells nobody where it is."""
    _, url, _ = begin(site)
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)

    connection.request("GET", parts.path)
    answer = connection.getresponse()

    page = answer.read().decode()
    connection.close()
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    nonce = policy["script-src"].removeprefix("'nonce-").removesuffix("'")
    assert page.count("<script") == page.count(f'<script nonce="{nonce}"') == 1
    assert parts.path not in page
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "same-origin")
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert "Python" not in str(answer.headers)


def test_no_origin(site: Site, begin: Begin) -> None:
    """A browser names the origin of every POST; who names none is no browser."""
    _, url, _ = begin(site)
    site.requests.clear()

    assert ask(url, "POST") == (404, b"")
    assert site.requests == []


def test_the_page_s_own_word(site: Site, begin: Begin) -> None:
    """At the page's word the loop polls at once; soon after the last stage nobody listens there any more."""
    _, url, thread = begin(site)
    site.is_done = True

    status, _ = ask(url, "POST", Origin=f"http://{urlsplit(url).netloc}")

    assert status == 204
    thread.join(10)
    assert site.requests == [None, {"session": "S1"}]
    assert ends_within(GRACE + 5, lambda: is_gone(url))


def test_word_that_came_too_soon(site: Site, begin: Begin) -> None:
    """If the server still has the stage open, the loop waits on, and the page stays."""
    auth, url, _ = begin(site)

    ask(url, "POST", Origin=f"http://{urlsplit(url).netloc}")
    status, _ = ask(url, "GET")

    assert status == 200
    assert not is_gone(url)
    auth.cancel()


def test_idle_connections(site: Site, begin: Begin) -> None:
    """Connections on which nothing comes, or half a request, hold up neither the page's visitors nor its end."""
    auth, url, thread = begin(site)
    address = ("127.0.0.1", urlsplit(url).port or 0)
    idle = [socket.create_connection(address, timeout=10) for _ in range(8)]
    for connection in idle[4:]:
        connection.sendall(f"POST {urlsplit(url).path} HTTP/1.1\r\nHost: 127".encode())
    assert ask(url, "GET")[0] == 200

    began = time.monotonic()
    auth.cancel()
    thread.join(5)

    assert time.monotonic() - began < 2
    assert not thread.is_alive()
    assert serving() == []
    assert is_gone(url)
    for connection in idle:
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()


def test_a_visitor_who_goes_away(site: Site, begin: Begin, capfd: pytest.CaptureFixture[str]) -> None:
    """A browser that breaks off a request is nothing to print, and the next one is served."""
    _, url, _ = begin(site)

    for _ in range(3):
        connection = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10)
        connection.sendall(b"GET / HT")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        connection.close()

    assert ask(url, "GET")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_the_address_in_the_command_line(site: Site, begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """The address that is opened leads its first visitor to the page; the second is told so, and learns nothing."""
    _, door, _ = begin(site, at_the_door=True)
    page = enter(door)

    status, body = ask(door, "GET")

    assert status == 410
    assert b"somebody else on this machine has seen it" in body
    assert b"S1" not in body
    assert urlsplit(page).path.encode() not in body
    assert ask(page, "GET")[0] == 200
    assert urlsplit(door).path not in ask(page, "GET")[1].decode()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert urlsplit(door).path not in caplog.text


def test_the_door_is_not_the_page(site: Site, begin: Begin) -> None:
    """Who has read the command line can neither say that the page is done, nor spend the address by another method."""
    _, door, _ = begin(site, at_the_door=True)
    site.requests.clear()

    assert ask(door, "POST", Origin=f"http://{urlsplit(door).netloc}") == (404, b"")
    assert ask(door, "HEAD") == (404, b"")
    assert ask(door, "GET", Host="evil.example") == (404, b"")

    assert site.requests == []
    assert ask(enter(door), "GET")[0] == 200


def test_many_first_visitors(site: Site, begin: Begin) -> None:
    """Of those who come at the same moment one is let in."""
    _, door, _ = begin(site, at_the_door=True)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: ask(door, "GET")[0], range(8)))

    assert sorted(statuses) == [303, *[410] * 7]


def test_a_page_that_is_behind(site: Site, begin: Begin) -> None:
    """A page that knows other news than there are is told them at once."""
    auth, url, _ = begin(site)
    parts = urlsplit(url)

    status, body = ask(url, "POST", Origin=f"http://{parts.netloc}", path=f"{parts.path}/99")
    auth.cancel()

    assert status == 200
    assert json.loads(body)["news"]["title"]
