"""After trouble on the way, a second attempt finishes the session that the first one began."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

from interactive_auth import (
    Homeserver,
    HomeserverConnectionError,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
    handlers,
)

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

FLOWS = {"flows": [{"stages": ["m.login.password"]}], "session": "the-session"}
HTML = b"<html><body>Please try again later.</body></html>"

TROUBLES: dict[str, tuple[Callable[[Exchange], None], type[InteractiveAuthError], str]] = {
    "a page with success": (lambda e: e.reply(200, HTML, {}), ServerProtocolError, "not JSON"),
    "a page with an error": (lambda e: e.reply(500, HTML, {}), MatrixError, "500 .*not JSON"),
    "a proxy's page": (lambda e: e.reply(502, HTML, {}), MatrixError, "502 .*not JSON"),
    "a reset": (lambda e: e.raw(), HomeserverConnectionError, "got no answer"),
}


def sessions_of(server: WireServer) -> list[str | None]:
    """Return the session that each request named."""
    return [received.json.get("auth", {}).get("session") for received in server.received]


@pytest.mark.parametrize(("trouble", "kind", "words"), TROUBLES.values(), ids=TROUBLES)
def test_trouble_in_the_middle(
    server: WireServer,
    homeserver: Homeserver,
    trouble: Callable[[Exchange], None],
    kind: type[InteractiveAuthError],
    words: str,
) -> None:
    """What comes between does not cost the session: the next attempt answers in it, without asking for a new one."""
    stages = {"m.login.password": handlers.password("alice", lambda: "the password")}
    auth = InteractiveAuth(homeserver.delete_devices(["D"]), stages, auth_data=FLOWS, retry=None)
    server.script = trouble
    with pytest.raises(kind, match=words):
        auth.attempt_auth()

    server.will_reply(200, {})

    assert auth.attempt_auth() == {}
    assert sessions_of(server) == ["the-session", "the-session"]


def test_a_port_that_was_closed(server_at: Callable[[int], AbstractContextManager[WireServer]]) -> None:
    """A server that was down is reached by the next attempt, in the same session."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stages = {"m.login.password": handlers.password("alice", lambda: "the password")}
    with Homeserver(f"http://127.0.0.1:{port}") as homeserver:
        auth = InteractiveAuth(homeserver.delete_devices(["D"]), stages, auth_data=FLOWS, retry=None)
        with pytest.raises(HomeserverConnectionError, match="Connection refused"):
            auth.attempt_auth()

        with server_at(port) as server:
            assert auth.attempt_auth() == {}

    assert sessions_of(server) == ["the-session"]
