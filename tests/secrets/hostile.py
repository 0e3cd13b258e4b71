"""A homeserver that quotes every secret that it was ever sent, in one of many ways, at one point of an authentication.

What must not be here: the client, and what is asserted of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .canaries import CANARIES, found_in

if TYPE_CHECKING:
    from ..wire.conftest import Exchange, Received, WireServer

SESSION = CANARIES["session"]
GRANTED = {"user_id": "@alice:example.org", "access_token": CANARIES["granted token"], "device_id": "D"}


class Hostile:
    """The script of a server.

    Args:
        server: the server that it is played on.
        stage: the one stage that it wants.
        where: says which requests are answered badly.
        trouble: the bad answer.

    Attributes:
        known: the names of the secrets that it has.
        troubled: how many requests were answered badly.
    """

    def __init__(
        self, server: WireServer, stage: str, where: Callable[[Received], bool], trouble: Callable[..., None]
    ) -> None:
        self._server = server
        self._where = where
        self._trouble = trouble
        self.stage = stage
        self.known: set[str] = set()
        self.troubled = 0
        server.script = self

    @property
    def quoted(self) -> str:
        """All the secrets that the server has, in a form that fits everywhere in HTTP."""
        return "/".join(CANARIES[name] for name in sorted(self.known))

    @property
    def challenge(self) -> dict[str, Any]:
        """The body of a 401 that asks for the stage."""
        self.known.add("session")
        params = {"m.login.recaptcha": {"public_key": "key"}}
        return {"flows": [{"stages": [self.stage]}], "params": params, "session": SESSION}

    def __call__(self, exchange: Exchange) -> None:
        received = self._server.received[-1]
        self.known |= found_in(f"{received.path} {received.headers} {received.body.decode()}")
        if self._where(received):
            self.troubled += 1
            self._trouble(exchange, self)
        else:
            self.send(exchange, *self._answer(received))

    def _answer(self, received: Received) -> tuple[int, dict[str, Any]]:
        path = received.path.partition("?")[0]
        if path.endswith("/requestToken"):
            # Where a code is posted is for the server to say, and the older identity API has its secrets in queries.
            url = f"{self._server.base_url}/code?client_secret={CANARIES['client secret']}&session={SESSION}"
            return 200, {"sid": "sid1", "submit_url": url}
        if path == "/code":
            return 200, {"success": True}
        if path.endswith("/validity"):
            return 200, {"valid": True}
        auth = received.json.get("auth") or {}
        if auth.get("type") in (None, "m.login.email.identity"):
            return 401, self.challenge
        return 200, GRANTED

    def send(self, exchange: Exchange, status: int, body: Any, **headers: str) -> None:
        """Answer, with a body that is sent as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        exchange.reply(status, content, {name.replace("_", "-"): value for name, value in headers.items()})


def error(status: int, errcode: str = "M_FORBIDDEN", **more: Any) -> Callable[[Exchange, Hostile], None]:
    """Make an error that quotes in its text."""

    def trouble(exchange: Exchange, server: Hostile) -> None:
        server.send(exchange, status, {"errcode": errcode, "error": f"No: {server.quoted}!", **more})

    return trouble


def challenge(**more: Any) -> Callable[[Exchange, Hostile], None]:
    """Make a 401 that asks for authentication and quotes in its error."""

    def trouble(exchange: Exchange, server: Hostile) -> None:
        asked = server.challenge
        refusal = {"errcode": f"M_{server.quoted}", "error": f"No: {server.quoted}"}
        completed = {"completed": [server.stage]} if more.get("completed") else {}
        server.send(exchange, 401, {**asked, **refusal, **more, **completed})

    return trouble


def errcode(exchange: Exchange, server: Hostile) -> None:
    server.send(exchange, 400, {"errcode": f"M_{server.quoted}", "error": "no"})


def data(exchange: Exchange, server: Hostile) -> None:
    server.known.add("session")
    quoted = server.quoted
    body = {
        "errcode": "M_UNKNOWN",
        "error": "no",
        "session": SESSION,
        quoted: quoted,
        "params": [[quoted, {quoted: 1}]],
    }
    server.send(exchange, 400, body)


def page(status: int) -> Callable[[Exchange, Hostile], None]:
    """Make an answer in HTML that quotes in the page and in its type."""

    def trouble(exchange: Exchange, server: Hostile) -> None:
        body = f"<html>{server.quoted}</html>".encode()
        server.send(
            exchange, status, body, Content_Type=f'text/html; charset="{server.quoted}"', X_Quoted=server.quoted
        )

    return trouble


def raw(*pieces: str, status: str = "HTTP/1.1 403 No\r\n") -> Callable[[Exchange, Hostile], None]:
    """Make an answer out of bytes, after which the server hangs up; ``@`` is where it quotes."""

    def trouble(exchange: Exchange, server: Hostile) -> None:
        exchange.raw((status + "".join(pieces)).replace("@", server.quoted).encode())

    return trouble


#: The ways to answer badly.
TROUBLES: dict[str, Callable[[Exchange, Hostile], None]] = {
    "error": error(403),
    "errcode": errcode,
    "data": data,
    "wrong answer": challenge(),
    "wrong answer without an errcode": challenge(errcode=None),
    "other flows": challenge(flows=[{"stages": ["com.example.nobody"]}]),
    "nothing is left": challenge(completed=True),
    "unknown session": error(400, "M_UNKNOWN", error="Unknown session ID"),
    "unknown session, quoted": lambda exchange, server: server.send(
        exchange, 400, {"errcode": "M_UNKNOWN", "error": f"Unknown session ID {server.quoted}"}
    ),
    "logged out": error(401, "M_UNKNOWN_TOKEN"),
    "rate limit": error(429, "M_LIMIT_EXCEEDED", retry_after_ms=10**9),
    "not found": error(404, "M_NOT_FOUND"),
    "failure": error(500, "M_UNKNOWN"),
    "unavailable": error(503, "M_UNKNOWN"),
    "page": page(500),
    "page for a success": page(200),
    "success without an object": lambda exchange, server: server.send(exchange, 200, [server.quoted]),
    "success without its fields": lambda exchange, server: server.send(exchange, 200, {server.quoted: server.quoted}),
    "redirect": lambda exchange, server: server.send(
        exchange, 307, f"<html>{server.quoted}".encode(), Location=f"http://127.0.0.1:1/{server.quoted}?{server.quoted}"
    ),
    "cookie": lambda exchange, server: server.send(
        exchange, 403, {"errcode": "M_FORBIDDEN"}, Set_Cookie=f"a={server.quoted}; Domain={server.quoted}; Path=/"
    ),
    "reason": raw("Content-Length: 2\r\n\r\n{}", status="HTTP/1.1 403 @\r\n"),
    "broken header": raw("X: y\r\nno colon in @\r\nContent-Length: 2\r\n\r\n{}"),
    "broken status": raw(status="@\r\n\r\n"),
    "broken version": raw("\r\n", status="HTTP/@ 200 OK\r\n"),
    "broken status code": raw("\r\n", status="HTTP/1.1 @ OK\r\n"),
    "broken chunk": raw("Transfer-Encoding: chunked\r\n\r\n@\r\n@\r\n"),
    "unknown encoding": raw("Content-Encoding: @\r\nContent-Length: 2\r\n\r\n{}"),
    "half an answer": raw("Content-Length: 9999\r\n\r\n@"),
    "no answer": raw(status=""),
    "silence": lambda exchange, server: exchange.stall(),
}
