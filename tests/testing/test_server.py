"""The scripted homeserver as a server: its trouble on command, its successes, what it keeps, and what it leaves."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import interactive_auth
from interactive_auth import (
    Homeserver,
    HomeserverConnectionError,
    RetryPolicy,
    handlers,
)
from interactive_auth.testing import UIAServer

from .conftest import PATIENCE, post, refuse

# Trouble on command


def test_failures(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """What fails fails as often as planned, where it was planned, and touches no session."""
    uia_server.fail_next(400, "M_USER_IN_USE", "User ID already taken.", path="/register", times=2)
    request = homeserver.register("alice")

    for _ in range(2):
        assert homeserver.deactivate_account().authenticate({}) == {"id_server_unbind_result": "success"}
        assert refuse(request).errcode == "M_USER_IN_USE"

    assert request.authenticate({})["user_id"] == "@alice:example.org"


def test_a_proxys_failure(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A failure without an errcode is not a homeserver's."""
    uia_server.fail_next(502)

    refused = refuse(homeserver.register("alice"))

    assert (refused.http_status, refused.data) == (502, {})


def test_hanging_up(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A client that is hung up on has no answer, and has reached the server all the same."""
    uia_server.hang_up_next()
    request = homeserver.register("alice")

    with pytest.raises(HomeserverConnectionError):
        request.authenticate({}, retry=None)

    assert uia_server.auths == [None]
    assert uia_server.sessions == []
    assert request.authenticate({}, retry=None)["user_id"] == "@alice:example.org"


def test_trouble_that_passes(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A rate limit is waited for, and the request is sent again."""
    uia_server.rate_limit_next(0.01, times=2)

    homeserver.register("alice").authenticate({}, retry=RetryPolicy(retries=0))

    assert uia_server.auths[:3] == [None, None, None]


def test_expired_sessions(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """Sessions that are expired are unknown, with all that was completed in them."""
    uia_server.flows = [["m.login.terms", "m.login.dummy"]]
    request = homeserver.register("alice")
    session = refuse(request).data["session"]

    uia_server.expire_sessions()

    refused = refuse(request, {"session": session})
    assert (refused.http_status, refused.errcode) == (400, "M_UNKNOWN")
    assert uia_server.sessions == []


def test_access_tokens(uia_server: UIAServer, homeserver: Homeserver, stranger: Homeserver) -> None:
    """The access token that is known is wanted, save of those who have none yet, or have forgotten their password."""
    uia_server.access_token = "another-access-token"
    uia_server.flows = None

    assert refuse(homeserver.delete_devices(["ONE"])).errcode == "M_UNKNOWN_TOKEN"
    assert refuse(stranger.delete_devices(["ONE"])).errcode == "M_MISSING_TOKEN"
    assert stranger.change_password("a new one")(None) == {}
    assert stranger.register("alice")(None)["user_id"] == "@alice:example.org"
    homeserver.access_token = "another-access-token"
    assert homeserver.delete_devices(["ONE"])(None) == {}


def test_a_script_that_fails(uia_server: UIAServer, homeserver: Homeserver, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in the script is told to the client and to the log; the server goes on."""
    uia_server.flows = [["com.example.magic"]]
    uia_server.answers = {"com.example.magic": lambda auth: auth["misspelt"] == "42"}
    request = homeserver.delete_devices(["ONE"])

    with caplog.at_level(logging.ERROR):
        refused = refuse(request, {"type": "com.example.magic"})

    assert (refused.http_status, refused.error) == (500, "the script of the server failed: KeyError: 'misspelt'")
    assert "misspelt" in caplog.text
    assert refuse(request).http_status == 401


# What comes of it


def test_accounts(uia_server: UIAServer, stranger: Homeserver) -> None:
    """A registration makes the account that was asked for."""
    uia_server.flows = None

    whole = stranger.register("alice", device_id="MINE")(None)
    brief = stranger.register("bob", inhibit_login=True)(None)
    nameless = [stranger.register()(None)["user_id"] for _ in range(2)]

    assert (set(whole), whole["device_id"]) == ({"user_id", "access_token", "device_id"}, "MINE")
    assert brief == {"user_id": "@bob:example.org"}
    assert len(set(nameless)) == 2


def test_other_responses(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """An endpoint's success is the specification's, or the script's."""
    uia_server.flows = None
    assert set(homeserver.get_login_token()(None)) == {"login_token", "expires_in_ms"}

    uia_server.responses = {"/get_token": {"login_token": "mine"}}

    assert homeserver.get_login_token()(None) == {"login_token": "mine"}


def test_questions_before_a_registration(uia_server: UIAServer, stranger: Homeserver) -> None:
    """Names are free until they are taken, a token is valid if it is the right answer, others have no answer."""
    uia_server.answers = {"m.login.registration_token": "a-token"}

    assert stranger.username_available("alice")
    assert stranger.registration_token_validity("a-token")
    assert not stranger.registration_token_validity("another")
    assert requests.get(f"{uia_server.base_url}/_matrix/client/v3/publicRooms", timeout=PATIENCE).status_code == 404


def test_what_was_received(uia_server: UIAServer) -> None:
    """A request is kept as it arrived, whatever it was."""
    post(uia_server, "/a%20path?x=1&y=%20", data=b"\xff", headers={"X-Mine": "yes"})
    post(uia_server, "/a%20path", json={"auth": {"type": "m.login.dummy"}})
    requests.get(f"{uia_server.base_url}/", timeout=PATIENCE)
    for method in ("PUT", "PATCH", "DELETE"):
        assert requests.request(method, uia_server.base_url, timeout=PATIENCE).status_code == 401

    first, second, third, *others = uia_server.requests
    assert (first.method, first.path, first.query, first.body) == ("POST", "/a%20path", "x=1&y=%20", {})
    assert (first.content, first.params) == (b"\xff", {"x": "1", "y": " "})
    assert (first.headers["x-mine"], first.auth, first.access_token) == ("yes", None, None)
    assert second.auth == {"type": "m.login.dummy"}
    assert (third.method, third.content, third.body, third.auth) == ("GET", b"", {}, None)
    assert [request.method for request in others] == ["PUT", "PATCH", "DELETE"]
    assert uia_server.auths == [None, {"type": "m.login.dummy"}, None, None, None]


def test_many_at_once(uia_server: UIAServer) -> None:
    """Sign-ups at the same time have sessions of their own."""
    uia_server.flows = [["m.login.registration_token", "m.login.terms", "m.login.dummy"]]
    uia_server.answers = {"m.login.registration_token": "a-token"}
    stages = {
        "m.login.registration_token": handlers.registration_token(lambda: "a-token"),
        "m.login.terms": handlers.terms(bool),
    }

    def sign_up(number: int) -> str:
        with Homeserver(uia_server.base_url) as homeserver:
            return homeserver.register(f"user{number}").authenticate(stages)["user_id"]

    with ThreadPoolExecutor(8) as pool:
        accounts = list(pool.map(sign_up, range(40)))

    assert accounts == [f"@user{number}:example.org" for number in range(40)]
    assert len(uia_server.sessions) == 40
    assert len(uia_server.auths) == 40 * 4


# Coming and going


def test_nothing_is_left() -> None:
    """A closed server has hung up on clients that were still connected, and has left neither port nor thread."""
    before = threading.active_count()
    with (
        UIAServer() as server,
        socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2]))) as idle,
    ):
        assert server.base_url in repr(server)
        requests.get(server.base_url, timeout=PATIENCE)
        server.close()

        idle.settimeout(PATIENCE)
        assert idle.recv(1) == b""

    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(server.base_url, timeout=PATIENCE)


def test_a_program_that_does_not_close_it() -> None:
    """It ends all the same, although a client of its own is still connected."""
    program = """
import requests
from interactive_auth.testing import UIAServer
session = requests.Session()
session.trust_env = False
session.get(UIAServer().base_url + "/_matrix/client/versions", timeout=30)
raise SystemExit(3)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 3


def test_a_body_in_chunks(uia_server: UIAServer) -> None:
    """It is read as any other, and the next request is not taken for a part of it."""
    with requests.Session() as session:
        session.trust_env = False
        url = f"{uia_server.base_url}/_matrix/client/v3/delete_devices"
        for _ in range(2):
            assert session.post(url, data=iter([b'{"devices"', b': ["D"]}']), timeout=30).status_code == 401

    assert [request.body for request in uia_server.requests] == [{"devices": ["D"]}, {"devices": ["D"]}]


def test_a_client_that_leaves_early(uia_server: UIAServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A client that hangs up before its answer does no harm, and nothing is printed about it."""
    port = int(uia_server.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as early:
        early.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        early.sendall(b"POST /_matrix/client/v3/register HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n{")

    assert post(uia_server, "/_matrix/client/v3/register", json={}).status_code == 401
    uia_server.close()
    assert capsys.readouterr() == ("", "")


def test_a_part_of_the_package() -> None:
    """The module is an attribute of the package, as the others are."""
    assert interactive_auth.testing.UIAServer is UIAServer
