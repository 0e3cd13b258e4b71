"""A real Synapse that leaves its accounts to an OAuth service, and what other homeservers say when they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from throwaway_services import json_server
from throwaway_synapse import Synapse, throwaway_synapse

from interactive_auth import DelegatedAuthError, Homeserver, MatrixError, Stage, console
from interactive_auth.testing import UIAServer

SECRET = "the-secret-of-the-service"
TOKEN = "an-access-token-of-the-service"
SCOPE = "urn:matrix:client:api:* urn:matrix:client:device:DEVICE"
#: What a service of today lists; some of it under the name that it had in a draft.
ACTIONS = [
    "org.matrix.profile",
    "org.matrix.sessions_list",
    "org.matrix.device_delete",
    "org.matrix.account_deactivate",
]


@contextmanager
def authentication_service() -> Iterator[str]:
    """Run an authentication service that has one user, with one access token."""

    def answer(method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/openid-configuration":
            page = {"account_management_uri": f"{base_url}/account/", "account_management_actions_supported": ACTIONS}
            return 200, {"issuer": f"{base_url}/", **page}
        if path == "/oauth2/introspect" and sent.get("token") == TOKEN:
            user = {"username": "alice", "sub": "01ALICE", "device_id": "DEVICE", "scope": SCOPE}
            return 200, {"active": True, "expires_in": 3600, **user}
        return 200, {"active": False}

    with json_server(answer) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def delegated() -> Iterator[tuple[Synapse, str]]:
    """Run a homeserver with an authentication service, and return both: it, and the page of the service's accounts."""
    with authentication_service() as service_url:
        config = {"enabled": True, "endpoint": f"{service_url}/", "secret": SECRET}
        with throwaway_synapse({"matrix_authentication_service": config}) as synapse:
            for path, body in (("provision_user", {}), ("upsert_device", {"device_id": "DEVICE"})):
                named = {"localpart": "alice", **body}
                synapse.call("POST", f"/_synapse/mas/{path}", named, access_token=SECRET)
            yield synapse, f"{service_url}/account/"


@pytest.fixture
def homeserver(delegated: tuple[Synapse, str]) -> Iterator[Homeserver]:
    """Make a homeserver object that acts for the service's user."""
    with Homeserver(delegated[0].base_url, access_token=TOKEN) as made:
        yield made


def authenticated(make: Callable[[Homeserver], Any]) -> Callable[[Homeserver], object]:
    """Return what authenticates a request, by a person at a console."""
    return lambda homeserver: make(homeserver).authenticate(console.handlers(homeserver))


CALLS: dict[str, tuple[Callable[[Homeserver], object], str]] = {
    "register": (authenticated(lambda h: h.register("bob", "an entirely new one")), ""),
    "change_password": (authenticated(lambda h: h.change_password("a new one")), "?action=org.matrix.profile"),
    "deactivate_account": (
        authenticated(lambda h: h.deactivate_account()),
        "?action=org.matrix.account_deactivate",
    ),
    "add_threepid": (authenticated(lambda h: h.add_threepid("a-secret", "a-sid")), "?action=org.matrix.profile"),
    "delete_device": (
        authenticated(lambda h: h.delete_device("DEVICE")),
        "?action=org.matrix.device_delete&device_id=DEVICE",
    ),
    "delete_devices": (
        authenticated(lambda h: h.delete_devices(["DEVICE", "OTHER"])),
        "?action=org.matrix.sessions_list",
    ),
    "get_login_token": (authenticated(lambda h: h.get_login_token()), "?action=org.matrix.sessions_list"),
    "login": (lambda h: h.login("alice", "a password"), ""),
    "refresh": (lambda h: h.refresh("a-refresh-token"), ""),
    "logout": (lambda h: h.logout(), "?action=org.matrix.sessions_list"),
    "mail for a password": (
        lambda h: h.request_email_token("account/password", "a@example.org", "a-secret"),
        "?action=org.matrix.profile",
    ),
    "mail for an address": (
        lambda h: h.request_email_token("account/3pid", "a@example.org", "a-secret"),
        "?action=org.matrix.profile",
    ),
    "SMS for a number": (
        lambda h: h.request_msisdn_token("account/3pid", "GB", "07700900001", "a-secret"),
        "?action=org.matrix.profile",
    ),
}


@pytest.mark.parametrize(("call", "query"), CALLS.values(), ids=CALLS)
def test_what_the_service_has_taken_over(
    delegated: tuple[Synapse, str], homeserver: Homeserver, call: Callable[[Homeserver], object], query: str
) -> None:
    """Each endpoint that lives elsewhere says where, with its action, before anybody is asked for anything."""
    with pytest.raises(DelegatedAuthError) as caught:
        call(homeserver)

    assert caught.value.account_management_url == f"{delegated[1]}{query}"
    assert (caught.value.http_status, caught.value.errcode) in ((404, "M_UNRECOGNIZED"), (403, "M_FORBIDDEN"))
    assert homeserver.access_token == TOKEN


def test_what_is_left(delegated: tuple[Synapse, str], homeserver: Homeserver) -> None:
    """Keys are still uploaded here, and an access token is still somebody's."""
    with pytest.raises(MatrixError) as caught:
        homeserver.register("bob", "an entirely new one", type="m.login.application_service")()
    assert not isinstance(caught.value, DelegatedAuthError)

    whose = homeserver.whoami()

    assert whose["user_id"] == f"@alice:{delegated[0].server_name}"
    assert whose.get("device_id") == "DEVICE"


def test_the_metadata(delegated: tuple[Synapse, str], homeserver: Homeserver) -> None:
    """What the service says of itself comes through the homeserver, and leads to the page of an action."""
    metadata = homeserver.auth_metadata()

    assert metadata is not None
    assert metadata.get("account_management_uri") == delegated[1]
    assert metadata.get("account_management_actions_supported") == ACTIONS
    assert homeserver.account_management_url() == delegated[1]
    assert homeserver.account_management_url("org.matrix.device_delete", "DEVICE") == (
        f"{delegated[1]}?action=org.matrix.device_delete&device_id=DEVICE"
    )


def test_a_homeserver_that_keeps_its_accounts(synapse: Synapse) -> None:
    """It has no metadata, and an endpoint that it has not is only that."""
    with Homeserver(synapse.base_url) as homeserver:
        assert homeserver.auth_metadata() is None
        assert homeserver.account_management_url() is None
        with pytest.raises(MatrixError, match="404 M_UNRECOGNIZED") as caught:
            homeserver.uia_request("POST", "/_matrix/client/v3/no_such_endpoint")()

    assert type(caught.value) is MatrixError


# What others say (played)


@pytest.mark.parametrize(
    ("name", "call", "status"),
    [
        ("synapse", lambda h: h.delete_devices(["OLD"]), 404),
        ("synapse", lambda h: h.register("bob", "a password"), 403),
        ("continuwuity", lambda h: h.delete_devices(["OLD"]), 403),
        ("continuwuity", lambda h: h.change_password("a password"), 403),
        ("continuwuity", lambda h: h.deactivate_account(), 403),
        ("continuwuity", lambda h: h.get_login_token(), 403),
        ("palpo", lambda h: h.change_password("a password"), 403),
    ],
)
def test_refusals_of_others(uia_server: UIAServer, name: str, call: Callable[[Homeserver], Any], status: int) -> None:
    """In whatever words a homeserver leaves something to the service, one more request finds the page."""
    uia_server.quirks = name
    uia_server.account_management_url = "https://account.example.org/"
    asked: list[Stage] = []
    with (
        Homeserver(uia_server.base_url, access_token="a-token") as homeserver,
        pytest.raises(DelegatedAuthError) as caught,
    ):
        call(homeserver).authenticate({"*": asked.append})

    assert caught.value.http_status == status
    assert (caught.value.account_management_url or "").startswith("https://account.example.org/")
    assert [request.path for request in uia_server.requests][1:] == ["/_matrix/client/v1/auth_metadata"]
    assert asked == []


@pytest.mark.parametrize("name", ["tuwunel", "dendrite", "palpo"])
def test_those_that_go_on_asking(uia_server: UIAServer, name: str) -> None:
    """Where the homeserver still authenticates, nothing is asked but that."""
    uia_server.quirks = name
    uia_server.account_management_url = "https://account.example.org/"
    uia_server.flows = [["m.login.dummy"]]

    with Homeserver(uia_server.base_url, access_token="a-token") as homeserver:
        assert homeserver.delete_devices(["OLD"]).authenticate({}) == {}

    assert not [request for request in uia_server.requests if request.path.endswith("/auth_metadata")]
