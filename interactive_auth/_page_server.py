"""The server of the page on this machine, and what its visitors get: the page, its news, or nothing.

What must not be here: what the page looks like (``_page``), and for how long it is served (``browser``).
"""

from __future__ import annotations

import json
import logging
import math
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from . import _page
from ._server_threads import ServerThreads

_log = logging.getLogger("interactive_auth")

#: Seconds in which a browser has to say what it wants.
_PATIENCE = 10.0
#: Seconds after which a page asks again for news, and in which one that is still open takes them.
_LONGEST_POLL, _TAKES_NEWS = 20.0, 1.0


class Server(ServerThreads):
    """The server of one page."""

    thread_name = "interactive_auth.browser visit"

    def server_close(self) -> None:
        with suppress(OSError):  # a forked process may have the socket, too, at which nobody is to knock any more
            self.socket.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log instead of printing: browsers often go away in the middle of a request."""
        _log.debug("a visit to the page on this machine has failed", exc_info=True)


class _Told:
    """News, their number, and what is put when a page has taken them."""

    def __init__(self, news: _page.News, number: int) -> None:
        self.news, self.number = news, number
        self.taken: queue.SimpleQueue[None] = queue.SimpleQueue()


class Place:
    """What the server has: the door, which is passed once, and behind it the page and its news.

    Of two threads one may be stopped by Ctrl-C between any two instructions, so they share queues, which are written in
    C, and no conditions or events, which are not.
    """

    def __init__(self, news: _page.News, done: Callable[[], None]) -> None:
        self.door, self.path = ("/" + secrets.token_urlsafe(32) for _ in range(2))
        self.done = done
        self._passed = threading.Lock()
        self._told = _Told(news, 1)
        self._bells: set[queue.SimpleQueue[None]] = set()
        self._left = -math.inf
        self._is_over = False

    def pass_door(self) -> bool:
        """Return whether this visitor is the first, of however many come at once."""
        return self._passed.acquire(blocking=False)

    def tell(self, news: _page.News) -> bool:
        """Change the news, and return whether a page has taken them, which takes no time if it is open."""
        is_open = self._bells or time.monotonic() - self._left < _TAKES_NEWS
        self._told = told = _Told(news, self._told.number + 1)
        self._ring()
        with suppress(queue.Empty):
            told.taken.get(timeout=_TAKES_NEWS if is_open else 0.0)
            return True
        return False

    def end(self) -> None:
        """Send all away who wait for news, and all who are about to."""
        self._is_over = True
        self._ring()

    def _ring(self) -> None:
        for bell in self._bells.copy():
            bell.put(None)

    def page(self) -> tuple[bytes, dict[str, str]]:
        """Return the page as it is now, and its headers."""
        return _page.render(self._told.news, self._told.number)

    def next(self, known: str) -> bytes:
        """Return the news as JSON, as soon as they are others than a page knows, or after a while."""
        bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._bells.add(bell)
        told = self._told
        if known == str(told.number):
            told.taken.put(None)
            with suppress(queue.Empty):
                bell.get(timeout=0.0 if self._is_over else _LONGEST_POLL)
            told = self._told
        self._left = time.monotonic()
        self._bells.discard(bell)
        return json.dumps({"news": told.news, "number": told.number}).encode()


class Visit(BaseHTTPRequestHandler):
    """One request from a browser; without the right path it is answered with a bare 404."""

    timeout = _PATIENCE

    def __init__(self, place: Place, *args: Any) -> None:
        self._place = place
        super().__init__(*args)

    def do_GET(self) -> None:
        if self._is_at(self._place.path):
            self._reply(200, *self._place.page())
        elif not self._is_at(self._place.door):
            self._reply(404)
        elif self._place.pass_door():
            self._reply(303, headers={"Location": self._place.path, "Cache-Control": "no-store"})
        else:
            _log.warning("the page on this machine was asked for twice: somebody else on it may have been first")
            self._reply(410, *_page.taken())

    def do_POST(self) -> None:
        # The page itself says so; any other site would name itself as the origin.
        known = self.path.rpartition("/")[2]
        if self.headers.get("Origin") != f"http://{self._host()}":
            self._reply(404)
        elif self._is_at(self._place.path):
            self._reply(204)
            self._place.done()
        elif self._is_at(f"{self._place.path}/{known}"):
            self._reply(200, self._place.next(known), {"Content-Type": "application/json", "Cache-Control": "no-store"})
        else:
            self._reply(404)

    def _is_at(self, path: str) -> bool:
        # The name of another site may be made to lead to this machine; it is in the Host header then.
        known = secrets.compare_digest(self.path.encode(), path.encode())
        return known and self.headers.get_all("Host") == [self._host()]

    def _host(self) -> str:
        # The server listens nowhere else.
        return f"127.0.0.1:{self.connection.getsockname()[1]}"

    def _reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a malformed request, or one of another method, like any other that is not for this page."""
        self._reply(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the lines would hold the path."""
