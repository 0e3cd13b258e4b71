"""The accounts of the scripted homeserver: who can log in, and what comes of an authentication."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from interactive_auth import Homeserver, handlers
from interactive_auth.testing import Account, UIAServer

from .conftest import EMAIL, PATIENCE, QUICKLY, SECRET, post, refuse

ALICE = {"type": "m.id.user", "user": "alice"}
PASSWORD = {"type": "m.login.password", "identifier": ALICE, "password": "right"}
Told = tuple[int, Any]


@pytest.fixture
def alice(uia_server: UIAServer) -> Account:
    """Make an account with two devices, whose password is asked for."""
    uia_server.flows = [["m.login.password"]]
    return uia_server.add_account("alice", "right", devices=["MINE", "OLD"], addresses=["alice@example.org"])


@pytest.fixture
def homeserver(uia_server: UIAServer, alice: Account) -> Iterator[Homeserver]:
    """Make a client that is logged in."""
    with Homeserver(uia_server.base_url, access_token=alice.devices["MINE"].access_token) as made:
        yield made


def call(uia_server: UIAServer, method: str, path: str, token: str | None = None, body: Any = None) -> Told:
    """Send a request, and return the status and the errcode, or the body of a success."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"{uia_server.base_url}/_matrix/client/v3{path}"
    answer = requests.request(method, url, json=body, headers=headers, timeout=PATIENCE)
    return answer.status_code, answer.json().get("errcode", answer.json())


def log_in(uia_server: UIAServer, password: str = "right", **more: Any) -> Told:
    """Log in by a password."""
    return call(uia_server, "POST", "/login", body={**PASSWORD, "password": password, **more})


# Logging in


@pytest.mark.parametrize(
    "identifier",
    [
        ALICE,
        {"type": "m.id.user", "user": "@alice:example.org"},
        {"type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org"},
    ],
    ids=["name", "id", "email"],
)
def test_who_logs_in(uia_server: UIAServer, alice: Account, identifier: dict[str, str]) -> None:
    """An account is found by the user's name or id, or by an address; its new device is one of its devices."""
    status, account = log_in(uia_server, identifier=identifier, initial_device_display_name="a bot")

    device = alice.devices[account["device_id"]]
    assert (status, account["user_id"]) == (200, "@alice:example.org")
    assert (account["access_token"], device.display_name) == (device.access_token, "a bot")
    assert "refresh_token" not in account


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({**PASSWORD, "password": "wrong"}, (403, "M_FORBIDDEN")),
        ({**PASSWORD, "password": None}, (403, "M_FORBIDDEN")),
        ({**PASSWORD, "identifier": {"type": "m.id.user", "user": "bob"}}, (403, "M_FORBIDDEN")),
        ({**PASSWORD, "identifier": {"type": "m.id.user", "user": "@alice:example.com"}}, (403, "M_FORBIDDEN")),
        ({**PASSWORD, "identifier": {"type": "m.id.phone", "country": "GB", "phone": "1"}}, (403, "M_FORBIDDEN")),
        ({"type": "m.login.token", "token": "nobodys"}, (403, "M_FORBIDDEN")),
        ({"type": "m.login.application_service", "identifier": ALICE}, (403, "M_FORBIDDEN")),
        ({"type": "com.example.magic"}, (400, "M_UNKNOWN")),
        ({}, (400, "M_UNKNOWN")),
    ],
)
def test_who_does_not(uia_server: UIAServer, alice: Account, body: dict[str, Any], told: Told) -> None:
    """What is wrong is refused, and makes no device."""
    assert call(uia_server, "POST", "/login", body=body) == told
    assert list(alice.devices) == ["MINE", "OLD"]


def test_an_account_without_a_password(uia_server: UIAServer) -> None:
    """Nobody logs in with a password where there is none."""
    uia_server.add_account("alice")

    assert log_in(uia_server, password="") == (403, "M_FORBIDDEN")


def test_a_device_that_logs_in_again(uia_server: UIAServer, alice: Account) -> None:
    """It keeps its name, and has another access token; the one before is nobody's."""
    before, alice.devices["OLD"].display_name = alice.devices["OLD"].access_token, "a bot"

    _, account = log_in(uia_server, device_id="OLD", initial_device_display_name="another name")

    assert alice.devices["OLD"].display_name == "a bot"
    assert call(uia_server, "GET", "/account/whoami", before) == (401, "M_UNKNOWN_TOKEN")
    assert call(uia_server, "GET", "/account/whoami", account["access_token"])[1]["device_id"] == "OLD"


def test_ways_to_log_in(uia_server: UIAServer, alice: Account) -> None:
    """The ways are told that there are; a body of the script's takes the place of the specification's."""
    status, body = call(uia_server, "GET", "/login")
    assert (status, [flow["type"] for flow in body["flows"]]) == (200, ["m.login.password", "m.login.token"])

    uia_server.responses = {"/login": {"flows": []}}

    assert call(uia_server, "GET", "/login") == (200, {"flows": []})
    assert log_in(uia_server, "wrong") == (403, "M_FORBIDDEN")


def test_refreshing(uia_server: UIAServer, alice: Account) -> None:
    """A refresh token is exchanged once, and the access token before is nobody's then."""
    _, account = log_in(uia_server, refresh_token=True)

    status, fresh = call(uia_server, "POST", "/refresh", body={"refresh_token": account["refresh_token"]})

    assert (status, set(fresh)) == (200, {"access_token", "refresh_token", "expires_in_ms"})
    assert call(uia_server, "GET", "/account/whoami", account["access_token"]) == (401, "M_UNKNOWN_TOKEN")
    assert call(uia_server, "GET", "/account/whoami", fresh["access_token"])[0] == 200
    again = {"refresh_token": account["refresh_token"]}
    assert call(uia_server, "POST", "/refresh", body=again) == (401, "M_UNKNOWN_TOKEN")
    assert call(uia_server, "POST", "/refresh", body={}) == (401, "M_UNKNOWN_TOKEN")


def test_logging_out(uia_server: UIAServer, alice: Account) -> None:
    """A device is logged out, or all are."""
    tokens = {device_id: device.access_token for device_id, device in alice.devices.items()}

    assert call(uia_server, "POST", "/logout", tokens["OLD"], {}) == (200, {})
    assert list(alice.devices) == ["MINE"]
    assert call(uia_server, "POST", "/delete_devices", tokens["OLD"], {"devices": []}) == (401, "M_UNKNOWN_TOKEN")
    assert call(uia_server, "POST", "/logout/all", tokens["MINE"], {}) == (200, {})
    assert alice.devices == {}


# Who is asking


@pytest.mark.parametrize("path", ["/account/whoami", "/devices", "/capabilities", "/sync"])
def test_questions_of_nobody(uia_server: UIAServer, alice: Account, path: str) -> None:
    """What is about an account takes an access token that is one's."""
    assert call(uia_server, "GET", path) == (401, "M_MISSING_TOKEN")
    assert call(uia_server, "GET", path, "nobodys") == (401, "M_UNKNOWN_TOKEN")
    assert call(uia_server, "GET", path, alice.devices["MINE"].access_token)[0] == 200


def test_devices(uia_server: UIAServer, alice: Account) -> None:
    """Devices are listed, looked at and renamed; those of nobody are not found."""
    token = alice.devices["MINE"].access_token

    assert call(uia_server, "PUT", "/devices/OLD", token, {"display_name": "a bot"}) == (200, {})
    assert call(uia_server, "GET", "/devices/OLD", token)[1]["display_name"] == "a bot"
    devices = call(uia_server, "GET", "/devices", token)[1]["devices"]
    assert {device["device_id"]: device["display_name"] for device in devices} == {"MINE": None, "OLD": "a bot"}
    assert call(uia_server, "GET", "/devices/NOBODYS", token) == (404, "M_NOT_FOUND")
    assert call(uia_server, "PUT", "/devices/NOBODYS", token, {}) == (404, "M_NOT_FOUND")
    assert uia_server.auths == []


def test_another_access_token(uia_server: UIAServer, alice: Account) -> None:
    """The access token that the script knows is good for what wants authentication, and that of an account, too."""
    uia_server.access_token = "a-token"
    uia_server.flows = None

    assert call(uia_server, "POST", "/delete_devices", "a-token", {"devices": []}) == (200, {})
    assert call(uia_server, "POST", "/delete_devices", alice.devices["MINE"].access_token, {"devices": []}) == (200, {})
    assert call(uia_server, "POST", "/delete_devices", "nobodys", {"devices": []}) == (401, "M_UNKNOWN_TOKEN")


def test_questions_when_a_client_starts(uia_server: UIAServer, alice: Account) -> None:
    """What clients ask then is answered, and wants no authentication."""
    token = alice.devices["MINE"].access_token

    assert requests.get(f"{uia_server.base_url}/_matrix/client/versions", timeout=PATIENCE).json()["versions"]
    assert call(uia_server, "POST", "/user/@alice:example.org/filter", token, {})[1] == {"filter_id": "0"}
    assert call(uia_server, "POST", "/keys/upload", token, {})[1] == {"one_time_key_counts": {}}
    assert call(uia_server, "POST", "/keys/query", token, {})[0] == 200
    assert call(uia_server, "PUT", "/presence/@alice:example.org/status", token, {}) == (200, {})
    assert call(uia_server, "GET", "/capabilities", token)[1]["capabilities"]["m.change_password"] == {"enabled": True}


def test_syncing(uia_server: UIAServer, alice: Account) -> None:
    """A sync has nothing to tell, at once the first time; one that waits is hung up on when all is over."""
    token = alice.devices["MINE"].access_token
    status, first = call(uia_server, "GET", "/sync?timeout=60000", token)
    assert (status, first["rooms"]["join"]) == (200, {})
    assert call(uia_server, "GET", f"/sync?since={first['next_batch']}&timeout=1", token)[0] == 200

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, uia_server, "GET", "/sync?since=x&timeout=60000", token)
        while len(uia_server.requests) < 3:
            time.sleep(0.001)
        uia_server.close()
        with pytest.raises(requests.ConnectionError):
            waiting.result(PATIENCE)


# What comes of an authentication


def authenticate(request: Any, password: str = "right") -> Any:
    """Authenticate a request by a password."""
    return request.authenticate({"m.login.password": handlers.password("alice", password)})


def test_the_accounts_own_password(homeserver: Homeserver) -> None:
    """Without an answer in the script, the account's password is right, and no other."""
    refused = refuse(homeserver.delete_devices(["OLD"]), {**PASSWORD, "password": "wrong"})

    assert (refused.http_status, refused.errcode) == (401, "M_FORBIDDEN")
    assert authenticate(homeserver.delete_devices(["OLD"])) == {}


def test_deleting_devices(uia_server: UIAServer, alice: Account, homeserver: Homeserver) -> None:
    """Devices are gone when they are deleted, one or several."""
    uia_server.add_account("bob", devices=["OLD"])

    authenticate(homeserver.delete_devices(["OLD", "NOBODYS"]))
    assert list(alice.devices) == ["MINE"]
    authenticate(homeserver.delete_device("MINE"))

    assert alice.devices == {}
    assert list(uia_server.accounts["bob"].devices) == ["OLD"]
    assert refuse(homeserver.delete_devices(["OLD"])).errcode == "M_UNKNOWN_TOKEN"


@pytest.mark.parametrize(("logout_devices", "left"), [(None, ["MINE"]), (True, ["MINE"]), (False, ["MINE", "OLD"])])
def test_a_new_password(
    uia_server: UIAServer, alice: Account, homeserver: Homeserver, logout_devices: bool | None, left: list[str]
) -> None:
    """A new password is the one to log in with; other devices are logged out, unless they are to stay."""
    authenticate(homeserver.change_password("a new one", logout_devices=logout_devices))

    assert list(alice.devices) == left
    assert log_in(uia_server)[0] == 403
    assert log_in(uia_server, "a new one")[0] == 200


def test_a_forgotten_password(uia_server: UIAServer, alice: Account, stranger: Homeserver) -> None:
    """It is reset by the link in a mail to an address of the account's, and all devices are logged out."""
    uia_server.flows = [[EMAIL]]
    uia_server.complete(EMAIL)
    stranger.change_password("a new one").authenticate(
        {EMAIL: handlers.email()}, inputs={"email_address": "alice@example.org"}, **QUICKLY
    )
    nobodys = stranger.request_email_token("account/password", "bob@example.org", SECRET)["sid"]
    uia_server.complete(EMAIL)
    creds = {"sid": nobodys, "client_secret": SECRET}
    assert stranger.change_password("nobodys")({"type": EMAIL, "threepid_creds": creds}) == {}

    assert (alice.password, alice.devices) == ("a new one", {})


def test_deactivating(uia_server: UIAServer, alice: Account, homeserver: Homeserver, stranger: Homeserver) -> None:
    """A deactivated account cannot log in, and its name stays taken."""
    authenticate(homeserver.deactivate_account())

    assert (alice.deactivated, alice.devices) == (True, {})
    assert log_in(uia_server) == (403, "M_USER_DEACTIVATED")
    assert refuse(stranger.register("alice")).errcode == "M_USER_IN_USE"


def test_a_login_token(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A login token logs in its account, once."""
    given = authenticate(homeserver.get_login_token())
    body = {"type": "m.login.token", "token": given["login_token"]}

    assert call(uia_server, "POST", "/login", body=body)[1]["user_id"] == "@alice:example.org"
    assert call(uia_server, "POST", "/login", body=body) == (403, "M_FORBIDDEN")


def test_an_address(uia_server: UIAServer, alice: Account, homeserver: Homeserver) -> None:
    """An address that is added is one to find the account by."""
    sid = homeserver.request_email_token("account/3pid", "also@example.org", SECRET)["sid"]
    uia_server.complete(EMAIL)

    authenticate(homeserver.add_threepid(SECRET, sid))

    assert alice.addresses == ["alice@example.org", "also@example.org"]


def test_names_that_are_taken(uia_server: UIAServer, alice: Account, stranger: Homeserver) -> None:
    """A name is taken before any authentication, and by a registration; its own session may repeat it."""
    uia_server.flows = [["m.login.dummy"]]
    assert not stranger.username_available("alice")
    assert refuse(stranger.register("Alice")).errcode == "M_USER_IN_USE"
    assert uia_server.sessions == []
    session = refuse(stranger.register("bob", "a password")).data["session"]
    made = stranger.register("bob", "a password")({"type": "m.login.dummy", "session": session})
    again = stranger.register("bob", "a password")({"type": "m.login.dummy", "session": session})
    assert not stranger.username_available("bob")
    assert refuse(stranger.register("bob")).errcode == "M_USER_IN_USE"

    bob = uia_server.accounts["bob"]
    assert made["user_id"] == again["user_id"] == bob.user_id == "@bob:example.org"
    assert set(bob.devices) == {made["device_id"], again["device_id"]}
    assert log_in(uia_server, "a password", identifier={"type": "m.id.user", "user": "bob"})[0] == 200


def test_no_secret_is_shown(alice: Account) -> None:
    """Neither a password nor a token is in what an account looks like."""
    shown = repr(alice)

    assert "right" not in shown
    assert not [device for device in alice.devices.values() if device.access_token in shown]


def test_devices_that_are_a_text(uia_server: UIAServer) -> None:
    """One device where several should be is a mistake, and said at once."""
    with pytest.raises(TypeError, match="devices and addresses must be several strings"):
        uia_server.add_account("alice", devices="MINE")
    with pytest.raises(TypeError, match="devices and addresses must be several strings"):
        uia_server.add_account("alice", addresses="alice@example.org")


def test_a_body_that_is_no_object(uia_server: UIAServer) -> None:
    """It is as good as none."""
    assert post(uia_server, "/_matrix/client/v3/login", json=[]).json()["errcode"] == "M_UNKNOWN"
