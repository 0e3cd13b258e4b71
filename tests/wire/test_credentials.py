"""Whose credentials are sent: the homeserver's access token, a session's own, and never those of a netrc file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
import requests

from interactive_auth import Homeserver, HomeserverConnectionError, MatrixError

if TYPE_CHECKING:
    from conftest import WireServer

    Connect = Callable[..., Homeserver]


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put credentials for this machine where requests looks for them."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login somebody password from-the-netrc\ndefault login x password y\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


def test_netrc_is_where_requests_finds_it(netrc: None, server: WireServer) -> None:
    """Plain requests sends the netrc's credentials, so that the tests below show something."""
    requests.get(server.base_url, timeout=10).close()

    assert server.received[0].headers["Authorization"].startswith("Basic ")


def test_netrc_does_not_replace_the_token(netrc: None, server: WireServer, homeserver: Homeserver) -> None:
    """The access token is sent whatever the netrc file says."""
    homeserver.delete_devices([])(None)

    assert server.received[0].headers["Authorization"] == "Bearer the-access-token"


def test_netrc_is_not_sent(netrc: None, server: WireServer, homeserver: Homeserver) -> None:
    """Where no access token has to be sent nothing is, not even what the netrc file has."""
    server.will_reply(200, {"user_id": "@alice:example.org", "available": True, "valid": True, "sid": "1"})
    request = homeserver.register("alice")
    assert request.request_email_token is not None

    request(None)
    homeserver.username_available("alice")
    homeserver.registration_token_validity("a-token")
    request.request_email_token("alice@example.org", "secret", 1, None)
    homeserver.access_token = None
    homeserver.delete_devices([])(None)

    assert len(server.received) == 5
    assert [received.headers.get("Authorization") for received in server.received] == [None] * 5


def test_netrc_is_not_sent_after_a_redirect(netrc: None, server: WireServer, homeserver: Homeserver) -> None:
    """A redirect does not bring the netrc file's credentials into the next request either."""
    server.will_reply(302, Location=f"{server.base_url}/")
    request = homeserver.uia_request("POST", "/x")
    for _ in range(2):
        with pytest.raises(MatrixError):
            request(None)

    assert {received.headers.get("Authorization") for received in server.received} == {"Bearer the-access-token"}


def test_new_token_on_an_open_connection(server: WireServer, homeserver: Homeserver) -> None:
    """A token that is set anew is sent by an earlier request, one that is taken away is not."""
    request = homeserver.delete_devices([])
    for token in ("the-access-token", "another-token", None, "a-third-token"):
        homeserver.access_token = token
        request(None)

    sent = [received.headers.get("Authorization") for received in server.received]
    assert sent == ["Bearer the-access-token", "Bearer another-token", None, "Bearer a-third-token"]


def test_cookies_are_kept(server: WireServer, homeserver: Homeserver) -> None:
    """A cookie that a load balancer sets comes back with the next requests, and only there."""
    server.will_reply(200, Set_Cookie="backend=b7; Path=/_matrix")
    devices, other = homeserver.delete_devices([]), homeserver.uia_request("POST", "/other")

    devices(None)
    devices(None)
    other(None)

    assert [received.headers.get("Cookie") for received in server.received] == [None, "backend=b7", None]


def test_too_many_cookies_are_forgotten(server: WireServer) -> None:
    """A server that sets ever other cookies has neither this machine's memory nor its own requests filled with them."""
    homeserver = Homeserver(server.base_url)
    request = homeserver.delete_devices([])
    for number in range(40):
        server.will_reply(200, Set_Cookie=f"c{number}={'x' * 4000}; Path=/")
        request(None)

    homeserver.close()
    assert max(len(received.headers.get("Cookie") or "") for received in server.received) < 20_000


def test_cookies_are_replaced(server: WireServer, homeserver: Homeserver) -> None:
    """A cookie that the server changes is sent as it is then, and one that it lets expire no more."""
    request = homeserver.delete_devices([])
    for cookie in ("backend=b1; Path=/", "backend=b2; Path=/", "other=1; Path=/", "backend=; Path=/; Max-Age=0", ""):
        server.will_reply(200, **({"Set_Cookie": cookie} if cookie else {}))
        request(None)
    request(None)

    sent = [received.headers.get("Cookie") for received in server.received]
    assert sent == [None, "backend=b1", "backend=b2", "backend=b2; other=1", "other=1", "other=1"]


def test_cookies_expire(server: WireServer, homeserver: Homeserver) -> None:
    """A cookie that has outlived its time is not sent, also by a request that was made while it was good."""
    request = homeserver.delete_devices([])
    server.will_reply(200, Set_Cookie="backend=b1; Path=/; Max-Age=60")
    request(None)
    server.will_reply(200)
    request(None)

    later = time.time() + 120
    with patch("time.time", lambda: later):
        request(None)

    assert [received.headers.get("Cookie") for received in server.received] == [None, "backend=b1", None]


def test_cookies_of_other_targets(server: WireServer, homeserver: Homeserver) -> None:
    """A cookie that came with one address is sent to another whose request was made before, or later."""
    early, setter = homeserver.uia_request("POST", "/early"), homeserver.uia_request("POST", "/setter")
    early(None)
    server.will_reply(200, Set_Cookie="backend=b1; Path=/")
    setter(None)
    server.will_reply(200)

    early(None)
    homeserver.uia_request("POST", "/late")(None)

    assert [received.headers.get("Cookie") for received in server.received] == [None, None, "backend=b1", "backend=b1"]


def test_cookies_are_for_the_homeserver(server: WireServer, elsewhere: WireServer, homeserver: Homeserver) -> None:
    """An address that the homeserver names is sent none of its cookies, though it is on the same host."""
    server.will_reply(200, Set_Cookie="backend=b1; Path=/")
    homeserver.delete_devices([])(None)

    homeserver.submit_token(f"{elsewhere.base_url}/code", "sid", "secret", "code")

    assert "Cookie" not in elsewhere.received[0].headers


def test_own_session_shares_nothing(server: WireServer, connect: Connect) -> None:
    """Two homeservers share no cookies."""
    server.will_reply(200, Set_Cookie="who=first; Path=/")

    for _ in range(2):
        connect(server.base_url).delete_devices([])(None)

    assert [received.headers.get("Cookie") for received in server.received] == [None, None]


def test_no_query_is_logged(server: WireServer, homeserver: Homeserver, caplog: pytest.LogCaptureFixture) -> None:
    """A registration token, or any other query of the library's, is cut out of what urllib3 logs; others are not."""
    server.will_reply(200, {"valid": True, "available": True})
    caplog.set_level("DEBUG")

    homeserver.registration_token_validity("a-token")
    homeserver.submit_token(f"{server.base_url}/code?a=a-secret", "sid", "secret", "code")
    requests.get(f"{server.base_url}/elsewhere?a=b", timeout=10).close()

    assert [received.path.partition("?")[2] for received in server.received] == ["token=a-token", "a=a-secret", "a=b"]
    assert "a-token" not in caplog.text
    assert "a-secret" not in caplog.text
    assert "m.login.registration_token/validity" in caplog.text
    assert "/elsewhere?a=b" in caplog.text


def test_lines_of_other_forms_are_logged_as_they_are(
    server: WireServer, homeserver: Homeserver, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever else is logged where the token is cut out, with its arguments by name, stays as it is."""
    server.will_reply(200, {"valid": True})
    caplog.set_level("DEBUG")
    homeserver.registration_token_validity("a-token")

    logging.getLogger("urllib3.connectionpool").debug("%(what)s", {"what": "a line"})

    assert caplog.messages[-1] == "a line"


def test_no_words_of_a_broken_answer_are_logged(
    server: WireServer, homeserver: Homeserver, caplog: pytest.LogCaptureFixture
) -> None:
    """Headers that urllib3 cannot read, and warns of with their text and a traceback, may quote what was sent."""
    server.will_send(b"HTTP/1.1 403 No\r\nA: b\r\nno colon in the-access-token\r\n\r\n{}")

    with requests.Session() as session:
        for each in (homeserver, Homeserver(server.base_url, access_token="the-access-token", session=session)):
            with pytest.raises(MatrixError, match="403"):
                each.delete_devices([])(None)

    assert "Failed to parse headers" in caplog.text
    assert "the-access-token" not in caplog.text


def test_address_of_a_code_is_named_without_its_query(connect: Connect) -> None:
    """The older identity API has secrets in queries, so a query that a server names is in no message."""
    with pytest.raises(HomeserverConnectionError, match=r"POST http://127\.0\.0\.1:1/code got no answer: .*refused"):
        connect("http://127.0.0.1:2").submit_token("http://127.0.0.1:1/code?client_secret=secret", "1", "secret", "2")
