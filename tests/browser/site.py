"""A homeserver that has one stage, the page that waits for its word, and ways to look at that without a browser."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urljoin, urlsplit

from interactive_auth import InteractiveAuth, MatrixError

#: Starts an attempt that waits on its page; gives it with its page's address and its thread.
Begin = Callable[..., tuple[InteractiveAuth[Any], str, threading.Thread]]

STAGE = "org.example.unknown"
#: What fallback pages end with, and a mark by which a test sees that it was said.
SAYS_DONE = b"<!DOCTYPE html><script>opener.postMessage('authDone', '*'); document.title = 'said'</script>"


class Site:
    """A homeserver with a page for every stage, and no more.

    Attributes:
        base_url: its address.
        requests: the auth dicts that were sent to it.
        referrers: the Referer headers of those who came for a page.
        is_done: whether the stage is completed there.
        stage: the stage that it wants.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.base_url = f"http://127.0.0.1:{server.server_port}"
        self.requests: list[Any] = []
        self.referrers: list[str | None] = []
        self.is_done = False
        self.stage = STAGE

    def __call__(self, auth: dict[str, Any] | None) -> str:
        self.requests.append(auth)
        if self.is_done:
            return "done"
        raise MatrixError(401, {"flows": [{"stages": [self.stage]}], "session": "S1", "completed": []})

    def fallback_url(self, stage_type: str, session: str) -> str:
        """Return the address of the page."""
        return f"{self.base_url}/{stage_type}?session={session}&</script>"


class Pages(BaseHTTPRequestHandler):
    """The homeserver's pages, each of which is done as soon as it is opened."""

    def __init__(self, site: Site, *args: Any) -> None:
        self._site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        """Show a page."""
        if STAGE in self.path:
            self._site.referrers.append(self.headers.get("Referer"))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(SAYS_DONE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def is_gone(url: str) -> bool:
    """Tell whether nobody listens where a page was."""
    port = urlsplit(url).port
    assert port is not None
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def ask(url: str, method: str, *, path: str | None = None, **headers: str) -> tuple[int, bytes]:
    """Send a request to a page's server; gives the status and the body of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)
    try:
        connection.putrequest(method, path or parts.path, skip_host=True)
        for name, value in {"Host": parts.netloc, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def enter(url: str) -> str:
    """Go through the address that was opened, as a browser does; gives the page's own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        assert answer.status == 303
        return urljoin(url, answer.headers["Location"])
    finally:
        connection.close()


def ends_within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until something holds; tells whether it came to that."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def serving() -> list[str]:
    """Return the names of the threads that serve a page, or a visit to one."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("interactive_auth.browser")]
