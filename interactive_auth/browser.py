"""A page on this machine that tells the waiting loop the moment the homeserver's fallback page is done.

Fallback pages end by a message to the page that opened them (client-server API, "Fallback"). That page is served here,
on 127.0.0.1, for as long as the stage lasts. Whatever keeps the message from coming (no popups, a browser on another
machine), the loop finds out by its polls. What must not be here: stages, the homeserver's API, waiting.
"""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

from . import handlers
from ._checks import check_function
from ._engine.context import asking
from ._text import printable, web_url
from ._types import Stage

__all__ = ["complete"]

_log = logging.getLogger("interactive_auth")

#: Seconds in which a browser has to say what it wants, and in which the server notices that it is to stop.
_PATIENCE, _NOTICE = 10.0, 0.02

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    # The homeserver's page is not told where it was opened from.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{stage}</title>
<style nonce="{nonce}">
:root {{ color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }}
body {{ max-width: 34rem; margin: 15vh auto 0; padding: 0 1.5rem; }}
button {{ font: inherit; padding: .6rem 1.4rem; cursor: pointer; }}
p {{ overflow-wrap: anywhere; }}
</style>
<main>
<h1 id="title">One step in the browser</h1>
<p id="what"><b>{host}</b> asks for the step <b>{stage}</b>. It is done on a page of its own.</p>
<p><button id="open" autofocus>Open the page</button></p>
<p id="state" role="status"></p>
<p>If nothing opens, follow this link: <a href="{url}" target="_blank" rel="opener">{url}</a></p>
</main>
<script nonce="{nonce}">
"use strict";
const url = {url_json}, origin = new URL(url).origin, state = document.getElementById("state");
let popup = null;
document.getElementById("open").onclick = () => {{
  popup = window.open(url, "stage", "popup,width=640,height=760");
  state.textContent = popup ? "Go on in the other window." : "The browser let no window open: follow the link below.";
}};
window.addEventListener("message", async event => {{
  if (event.origin !== origin || event.data !== "authDone") return;
  await fetch(location.pathname, {{ method: "POST" }}).catch(() => null);
  if (event.source) event.source.close();
  document.getElementById("title").textContent = "Done";
  state.textContent = "You can close this page and return to the program. If it goes on waiting, open the page again.";
}});
</script>
</html>
"""

_TAKEN = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Opened before</title>
<p>This page was opened before. If that was not you, somebody else on this machine has seen it: end the program, and
begin again. If it was, go on there, or at the address that the program shows.</p>
</html>
"""


def complete(
    stage: Stage,
    homeserver: handlers.FallbackPages,
    *,
    open_url: Callable[[str], object] | None = None,
    show: Callable[[str], object] = print,
) -> None:
    """Do a stage on its fallback page in a browser, and go on as soon as that is done: the body of a callback.

    ``InteractiveAuth(request, {"*": functools.partial(browser.complete, homeserver=homeserver)})`` does all stages
    so. It returns at once, and the loop waits; the page it has opened is gone when the stage is over. Where that page
    cannot help, because no window may be opened or the browser is on another machine, the person follows the address
    that is shown, and the loop finds out by its next poll.

    Args:
        stage: the stage that the callback was called with; any for which the homeserver has a page, which are
            recaptcha, terms, registration token and single sign-on on Synapse.
        homeserver: makes the fallback page's address (client-server API, "Fallback").
        open_url: opens the page on this machine; None for the ``webbrowser`` module. If that finds no browser, the
            address that is shown has to do.
        show: is given a text with the fallback page's own address, for a browser on another machine.

    Raises:
        ServerProtocolError: the server gave no session, without which there is no fallback page.
        RuntimeError: it is not called by an ``InteractiveAuth``.
        TypeError: an argument has a wrong type.
        ValueError: the fallback page's address is not an http or https URL.
    """
    check_function("open_url", open_url, optional=True)
    check_function("show", show)
    auth = asking(stage)

    def visit(url: str) -> None:
        if web_url(url) is None:
            raise ValueError(f"the fallback page of {printable(stage.type, 100)} has no http or https address")
        page = _Page(stage.type, url, auth.poll)
        stage.add_cleanup(page.close)
        page.start()
        show(f"Open this page in a browser:\n{printable(url, 2000)}")
        (open_url or open_here)(page.url)

    handlers.fallback(homeserver, visit)(stage)


def open_here(url: str) -> None:
    """Open a page in this machine's browser, if it has one."""
    import webbrowser  # slow to import

    with suppress(webbrowser.Error):
        webbrowser.open(url)


class _Page:
    """The page, and the server that it is on.

    Attributes:
        url: where it is opened, once, on this machine. It stands in the browser's command line, which everybody on the
            machine can read, and the page names the session. So the address leads its first visitor on to the page's
            own, which only that browser learns. Whoever comes second is told that somebody was there before, and so
            is the log: a person whose page was taken cannot miss it.
    """

    def __init__(self, stage: str, fallback_url: str, done: Callable[[], None]) -> None:
        door, path = ("/" + secrets.token_urlsafe(32) for _ in range(2))
        nonce = secrets.token_urlsafe(16)
        page = _PAGE.format(
            nonce=nonce,
            stage=escape(printable(stage, 100)),
            host=escape(urlsplit(fallback_url).hostname or ""),
            url=escape(fallback_url),
            url_json=_in_script(fallback_url),
        )
        headers = {name: value.format(nonce=nonce) for name, value in _HEADERS.items()}
        place = _Place(door, path, page.encode(), headers, done)
        self._server = _Server(("127.0.0.1", 0), partial(_Visit, place))
        self._thread = threading.Thread(target=self._serve, name="interactive_auth.browser", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}{door}"

    def start(self) -> None:
        """Serve the page."""
        self._thread.start()

    def close(self) -> None:
        """Take the page away, and wait until it is gone."""
        if self._thread.ident is None:  # it was never started
            self._server.server_close()
        else:
            self._server.shutdown()
            self._thread.join()

    def _serve(self) -> None:
        # The thread itself closes, so that a second Ctrl-C in the middle of close() leaves nothing behind.
        with self._server:
            self._server.serve_forever(_NOTICE)


class _Server(ThreadingTCPServer):
    """A server that takes its open connections with it: browsers open some that they never use."""

    daemon_threads = False  # so that closing waits for the visits

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for connection in self._connections.copy():
            with suppress(OSError):  # the other side was quicker
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log instead of printing: browsers often go away in the middle of a request."""
        _log.debug("a visit to the page on this machine has failed", exc_info=True)


class _Place:
    """What the server has: the door, which is passed once, and the page behind it."""

    def __init__(self, door: str, path: str, page: bytes, headers: dict[str, str], done: Callable[[], None]) -> None:
        self.door, self.path = door, path
        self.page, self.headers, self.done = page, headers, done
        self._passed = threading.Lock()

    def pass_door(self) -> bool:
        """Return whether this visitor is the first, of however many come at once."""
        return self._passed.acquire(blocking=False)


class _Visit(BaseHTTPRequestHandler):
    """One request from a browser; without the right path it is answered with a bare 404."""

    timeout = _PATIENCE

    def __init__(self, place: _Place, *args: Any) -> None:
        self._place = place
        super().__init__(*args)

    def do_GET(self) -> None:
        if self._is_at(self._place.path):
            self._reply(200, self._place.page, self._place.headers)
        elif not self._is_at(self._place.door):
            self._reply(404)
        elif self._place.pass_door():
            self._reply(303, headers={"Location": self._place.path, "Cache-Control": "no-store"})
        else:
            _log.warning("the page on this machine was asked for twice: somebody else on it may have been first")
            self._reply(410, _TAKEN.encode(), self._place.headers)

    def do_POST(self) -> None:
        # The page itself says so; any other site would name itself as the origin.
        if self._is_at(self._place.path) and self.headers.get("Origin") == f"http://{self._host()}":
            self._reply(204)
            self._place.done()
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


def _in_script(value: str) -> str:
    """Return a text as a script's literal, which cannot end the script."""
    return json.dumps(value).replace("<", "\\u003c")
