"""A redirect leads nowhere: nothing is sent to where it points, and its body is read within bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from interactive_auth import Homeserver, MatrixError, ServerProtocolError

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

STATUSES = [301, 302, 303, 307, 308]
PASSWORD = "correct horse battery staple"

ASKING: dict[str, Callable[[Homeserver], object]] = {
    "request": lambda homeserver: homeserver.register("alice", PASSWORD)({"type": "m.login.dummy"}),
    "with token": lambda homeserver: homeserver.uia_request("PUT", "/x", {"password": PASSWORD})(None),
    "question": lambda homeserver: homeserver.registration_token_validity("a-token"),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("status", STATUSES)
def test_nothing_is_sent_elsewhere(
    server: WireServer,
    elsewhere: WireServer,
    homeserver: Homeserver,
    status: int,
    ask: Callable[[Homeserver], object],
) -> None:
    """Of a redirect to another server that one sees nothing; the error names status and reason, not the target."""
    server.will_reply(status, Location=f"{elsewhere.base_url}/caught")

    with pytest.raises(MatrixError, match="redirect, which is never followed") as caught:
        ask(homeserver)

    assert caught.value.http_status == status
    assert len(server.received) == 1
    assert elsewhere.received == []
    assert elsewhere.connections == []


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("location", ["/elsewhere", "//127.0.0.1/", "", "http://[", "\xff", "x" * 9000], ids=ascii)
def test_odd_targets(server: WireServer, homeserver: Homeserver, status: int, location: str) -> None:
    """A redirect to the same server, or to what is no address, is the same error."""
    server.will_reply(status, Location=location)

    with pytest.raises(MatrixError) as caught:
        homeserver.delete_devices([])(None)

    assert caught.value.http_status == status
    assert len(server.received) == 1


def test_matrix_body_of_a_redirect(server: WireServer, homeserver: Homeserver) -> None:
    """What a redirect's body says is in the error all the same."""
    server.will_reply(307, {"errcode": "M_UNKNOWN", "error": "Moved"}, Location="/elsewhere")

    with pytest.raises(MatrixError, match="307 M_UNKNOWN: Moved") as caught:
        homeserver.delete_devices([])(None)

    assert caught.value.data == {"errcode": "M_UNKNOWN", "error": "Moved"}


@pytest.mark.parametrize("status", [200, 302, 308, 500])
def test_endless_body(server: WireServer, elsewhere: WireServer, homeserver: Homeserver, status: int) -> None:
    """An answer that never ends, a redirect's too, is given up after some megabytes, and its connection closed."""
    sent = itertools.count()

    def pour(exchange: Exchange) -> None:
        exchange.raw(f"HTTP/1.1 {status} X\r\nLocation: {elsewhere.base_url}/\r\n\r\n".encode())
        while next(sent) < 1000:
            exchange.raw(b" " * 65536)

    server.script = pour

    with pytest.raises((MatrixError, ServerProtocolError), match=r"a body of more than 8388608 bytes|redirect"):
        homeserver.delete_devices([])(None)

    assert server.hung_up.wait(10)
    assert next(sent) < 1000
    assert elsewhere.received == []
