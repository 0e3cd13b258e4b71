"""Accounts that a homeserver leaves to OAuth, and the application service that acts for accounts."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from interactive_auth import Homeserver
from interactive_auth.testing import Account, UIAServer

from .conftest import PATIENCE, refuse

ACCOUNT_PAGE = "https://account.example.org/"
AS_TOKEN = "the-token-of-an-application-service"
_CLIENT = "/_matrix/client"
DELETED = ("POST", "/v3/delete_devices", {"devices": ["OLD"]})
REGISTERED = ("POST", "/v3/register", {"username": "bot", "password": "a password"})


@pytest.fixture
def alice(uia_server: UIAServer) -> Account:
    """Make an account, whose password is asked for."""
    uia_server.flows = [["m.login.password"]]
    return uia_server.add_account("alice", "right", devices=["MINE", "OLD"])


def call(uia_server: UIAServer, method: str, path: str, body: Any = None, token: str = "", query: str = "") -> Any:
    """Send a request, and return the status and the errcode, or the body of a success."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{uia_server.base_url}{_CLIENT}{path}{query}"
    answer = requests.request(method, url, json=body, headers=headers, timeout=PATIENCE)
    return answer.status_code, answer.json().get("errcode", answer.json())


# Accounts that are left to OAuth


def test_no_metadata(uia_server: UIAServer) -> None:
    """A homeserver that has the accounts itself has no metadata of another's."""
    assert call(uia_server, "GET", "/v1/auth_metadata") == (404, "M_UNRECOGNIZED")


@pytest.mark.parametrize("path", ["/v1/auth_metadata", "/unstable/org.matrix.msc2965/auth_metadata"])
def test_metadata(uia_server: UIAServer, path: str) -> None:
    """The metadata say where people manage their accounts; a script can give others."""
    uia_server.account_management_url = ACCOUNT_PAGE

    status, metadata = call(uia_server, "GET", path)

    assert (status, metadata["account_management_uri"]) == (200, ACCOUNT_PAGE)
    assert "org.matrix.device_delete" in metadata["account_management_actions_supported"]
    uia_server.responses = {"/auth_metadata": {"issuer": "mine"}}
    assert call(uia_server, "GET", path) == (200, {"issuer": "mine"})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("synapse", (404, "M_UNRECOGNIZED")),
        ("continuwuity", (403, "M_FORBIDDEN")),
        ("tuwunel", (401, None)),
        ("dendrite", (401, None)),
        ("palpo", (401, None)),
    ],
)
def test_refusals(uia_server: UIAServer, alice: Account, name: str, told: tuple[int, str | None]) -> None:
    """Some refuse what wants authentication as if it were not there, or in words of their own; others go on asking."""
    uia_server.quirks = name
    uia_server.account_management_url = ACCOUNT_PAGE
    with Homeserver(uia_server.base_url, access_token=alice.devices["MINE"].access_token) as homeserver:
        refused = refuse(homeserver.delete_devices(["OLD"]))

        assert (refused.http_status, refused.errcode) == told
        uia_server.account_management_url = None
        assert refuse(homeserver.delete_devices(["OLD"])).http_status == 401


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("synapse", "/v3/register", (403, "M_FORBIDDEN")),
        ("synapse", "/v3/login", (404, "M_UNRECOGNIZED")),
        ("synapse", "/v3/logout/all", (404, "M_UNRECOGNIZED")),
        ("synapse", "/v3/account/3pid/email/requestToken", (404, "M_UNRECOGNIZED")),
        ("synapse", "/v1/login/get_token", (404, "M_UNRECOGNIZED")),
        ("continuwuity", "/v1/login/get_token", (403, "M_FORBIDDEN")),
        ("continuwuity", "/v3/account/3pid/email/requestToken", (400, "M_MISSING_PARAM")),
        ("palpo", "/v3/account/password", (403, "M_FORBIDDEN")),
    ],
)
def test_refusals_of_single_endpoints(
    uia_server: UIAServer, alice: Account, name: str, path: str, told: tuple[int, str]
) -> None:
    """Not all endpoints are refused alike, and not by all."""
    uia_server.quirks = name
    uia_server.account_management_url = ACCOUNT_PAGE

    assert call(uia_server, "POST", path, {}, alice.devices["MINE"].access_token) == told


@pytest.mark.parametrize("name", ["synapse", "continuwuity", "tuwunel"])
def test_what_is_left(uia_server: UIAServer, alice: Account, name: str) -> None:
    """Keys are reset with authentication all the same, by m.oauth, and an account is still somebody's."""
    uia_server.quirks = name
    uia_server.account_management_url = ACCOUNT_PAGE
    uia_server.flows = [["m.oauth"]]
    token = alice.devices["MINE"].access_token
    with Homeserver(uia_server.base_url, access_token=token) as homeserver:
        challenge = refuse(homeserver.upload_cross_signing_keys(master_key={"keys": {}}))

    assert challenge.data["flows"] == [{"stages": ["m.oauth"]}]
    assert call(uia_server, "GET", "/v3/account/whoami", token=token)[1]["user_id"] == "@alice:example.org"
    assert call(uia_server, "GET", "/v3/devices", token=token)[0] == 200


# An application service


@pytest.fixture
def service(uia_server: UIAServer, alice: Account) -> UIAServer:
    """Have the homeserver know an application service."""
    uia_server.as_token = AS_TOKEN
    return uia_server


def test_registering_for_a_service(service: UIAServer) -> None:
    """It makes accounts without authentication, by its token, also where accounts are left to OAuth."""
    body = {"type": "m.login.application_service", "username": "bot", "inhibit_login": True}

    assert call(service, "POST", "/v3/register", body) == (401, "M_MISSING_TOKEN")
    assert call(service, "POST", "/v3/register", body, "another") == (401, "M_UNKNOWN_TOKEN")
    service.account_management_url = ACCOUNT_PAGE
    assert call(service, "POST", "/v3/register", body, AS_TOKEN) == (200, {"user_id": "@bot:example.org"})
    assert call(service, "POST", "/v3/register", body, AS_TOKEN) == (400, "M_USER_IN_USE")
    assert service.sessions == []
    service.account_management_url = None
    assert call(service, *REGISTERED[:2], {"username": "other"}, AS_TOKEN)[0] == 401  # as everybody else


def test_acting_for_a_user(service: UIAServer, alice: Account) -> None:
    """A request acts for the user whom it names, and needs no authentication; without a name, for none of them."""
    assert call(service, *DELETED, AS_TOKEN) == (200, {})
    assert list(alice.devices) == ["MINE", "OLD"]

    assert call(service, *DELETED, AS_TOKEN, "?user_id=@alice:example.org") == (200, {})

    assert list(alice.devices) == ["MINE"]
    keys = ("POST", "/v3/keys/device_signing/upload", {})
    assert call(service, *keys, AS_TOKEN, "?user_id=@alice:example.org") == (200, {})
    assert call(service, "DELETE", "/v3/devices/MINE", {}, AS_TOKEN, "?user_id=@alice:example.org") == (200, {})
    assert alice.devices == {}


def test_what_it_has_to_authenticate_for(service: UIAServer) -> None:
    """The specification spares it the authentication for some endpoints only."""
    query = "?user_id=@alice:example.org"

    assert call(service, "POST", "/v3/account/password", {"new_password": "x"}, AS_TOKEN, query)[0] == 401
    assert call(service, "POST", "/v1/login/get_token", {}, AS_TOKEN, query)[0] == 401
    assert call(service, "POST", "/v3/account/deactivate", {}, AS_TOKEN, query)[0] == 200
    assert service.accounts["alice"].deactivated


def test_whom_it_may_be(service: UIAServer, alice: Account) -> None:
    """A user and a device that are not there are refused; one that makes itself a device has it."""
    alices = "?user_id=@alice:example.org"
    whoami = ("GET", "/v3/account/whoami", None, AS_TOKEN)

    assert call(service, *whoami, "?user_id=@bob:example.org") == (403, "M_FORBIDDEN")
    assert call(service, *whoami, f"{alices}&device_id=NEW") == (400, "M_UNKNOWN_DEVICE")
    assert call(service, *whoami, alices) == (200, {"user_id": "@alice:example.org", "is_guest": False})
    assert call(service, "PUT", "/v3/devices/NEW", {"display_name": "a bridge"}, AS_TOKEN, alices) == (201, {})
    assert call(service, *whoami, f"{alices}&device_id=NEW")[1]["device_id"] == "NEW"
    assert alice.devices["NEW"].display_name == "a bridge"


def test_logging_in_for_a_user(service: UIAServer) -> None:
    """It gets an access token for a user, without the password."""
    body = {"type": "m.login.application_service", "identifier": {"type": "m.id.user", "user": "alice"}}

    flows = call(service, "GET", "/v3/login")[1]["flows"]
    status, account = call(service, "POST", "/v3/login", body, AS_TOKEN)

    assert {"type": "m.login.application_service"} in flows
    assert (status, account["user_id"]) == (200, "@alice:example.org")
    assert call(service, "POST", "/v3/login", body) == (403, "M_FORBIDDEN")
