"""m.oauth: the reset of cross-signing keys on a homeserver that leaves accounts to an authentication service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.keys import Keys, make_keys
from throwaway_services import json_server
from throwaway_synapse import Synapse, throwaway_synapse

from interactive_auth import AuthTimeoutError, Homeserver, InteractiveAuth, MatrixError, Stage, UIARequest, handlers

SECRET = "the-secret-of-the-service"
TOKEN = "an-access-token-of-the-service"
SCOPE = "urn:matrix:client:api:* urn:matrix:client:device:DEVICE"


@contextmanager
def authentication_service() -> Iterator[str]:
    """Run an authentication service that has one user, with one access token."""

    def answer(method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": f"{base_url}/", "account_management_uri": f"{base_url}/account/"}
        if path == "/oauth2/introspect" and sent.get("token") == TOKEN:
            user = {"username": "alice", "sub": "01ALICE", "device_id": "DEVICE", "scope": SCOPE}
            return 200, {"active": True, "expires_in": 3600, **user}
        return 200, {"active": False}

    with json_server(answer) as base_url:
        yield base_url


class Delegated:
    """A homeserver with an authentication service.

    Attributes:
        homeserver: acts for the service's only user.
        approval_url: where the user approves a reset of the keys.
    """

    user_id: str

    def __init__(self, synapse: Synapse, homeserver: Homeserver, service_url: str) -> None:
        self._synapse = synapse
        self.homeserver = homeserver
        self.user_id = f"@alice:{synapse.server_name}"
        self.approval_url = f"{service_url}/account/?action=org.matrix.cross_signing_reset"

    def tell(self, path: str, **body: str) -> None:
        """Tell the homeserver something, as the service."""
        self._synapse.call("POST", f"/_synapse/mas/{path}", {"localpart": "alice", **body}, access_token=SECRET)

    def approve(self) -> None:
        """Do what the service does when the user approves a reset of the keys."""
        self.tell("allow_cross_signing_reset")

    def upload(self, keys: Keys) -> UIARequest[Any]:
        """Make the request that uploads keys."""
        return self.homeserver.upload_cross_signing_keys(**keys)

    def master_key(self) -> dict[str, str]:
        """Return the public half of the master key that the server hands out."""
        body: dict[str, Any] = {"device_keys": {self.user_id: []}}
        answer = self._synapse.call("POST", "/_matrix/client/v3/keys/query", body, access_token=TOKEN)
        found: dict[str, str] = answer["master_keys"][self.user_id]["keys"]
        return found


@pytest.fixture(scope="module")
def delegated() -> Iterator[Delegated]:
    """Run a homeserver with an authentication service, and upload first keys for the user."""
    with authentication_service() as service_url:
        config = {"enabled": True, "endpoint": f"{service_url}/", "secret": SECRET}
        with (
            throwaway_synapse({"matrix_authentication_service": config}) as synapse,
            Homeserver(synapse.base_url, access_token=TOKEN) as homeserver,
        ):
            made = Delegated(synapse, homeserver, service_url)
            made.tell("provision_user")
            made.tell("upsert_device", device_id="DEVICE")
            made.upload(make_keys(made.user_id)).authenticate({})
            yield made


@pytest.mark.parametrize("stage_type", ["m.oauth", "org.matrix.cross_signing_reset"])
def test_an_approved_reset(delegated: Delegated, stage_type: str) -> None:
    """The keys change once the reset is approved at the address that was opened, by the old name of the stage, too."""
    keys = make_keys(delegated.user_id)
    opened: list[str] = []

    def open_url(url: str) -> None:
        opened.append(url)
        delegated.approve()

    stages = {stage_type: handlers.oauth(open_url)}
    response = delegated.upload(keys).authenticate(stages, poll_interval=0.1, poll_timeout=20.0)

    assert response == {}
    assert opened == [delegated.approval_url]
    assert delegated.master_key() == keys["master_key"]["keys"]


def test_a_reset_that_is_approved_later(delegated: Delegated) -> None:
    """Polls before the approval change nothing, and the person is asked once only."""
    keys, before = make_keys(delegated.user_id), delegated.master_key()
    polled = threading.Event()
    request = delegated.upload(keys)
    auths: list[dict[str, Any] | None] = []
    opened: list[str] = []

    def watched(auth: dict[str, Any] | None) -> Any:
        auths.append(auth)
        if len(auths) == 4:
            polled.set()
        return request(auth)

    def approve_in_time() -> None:
        if polled.wait(20):
            assert delegated.master_key() == before
            delegated.approve()

    approver = threading.Thread(target=approve_in_time)
    approver.start()
    auth = InteractiveAuth(watched, {"m.oauth": handlers.oauth(opened.append)}, poll_interval=0.1, poll_timeout=20.0)
    response = auth.attempt_auth()
    approver.join()

    assert response == {}
    assert opened == [delegated.approval_url]
    assert auths[0] is None
    assert auths[1:] == [{"type": "m.oauth", "session": "dummy"}] * (len(auths) - 1)
    assert delegated.master_key() == keys["master_key"]["keys"]


def test_a_reset_that_nobody_approves(delegated: Delegated) -> None:
    """Without an approval the time runs out, and the keys stay what they were."""
    before = delegated.master_key()
    request = delegated.upload(make_keys(delegated.user_id))

    with pytest.raises(AuthTimeoutError) as caught:
        request.authenticate({"*": handlers.oauth(lambda url: None)}, poll_interval=0.1, poll_timeout=0.3)

    assert caught.value.stage == "m.oauth"
    assert delegated.master_key() == before


def test_what_the_service_has_taken_over(delegated: Delegated) -> None:
    """The endpoints that the service has taken over are refused as such, before anybody is asked."""
    asked: list[Stage] = []
    homeserver = delegated.homeserver
    requests = (
        homeserver.change_password("an entirely new one"),
        homeserver.deactivate_account(),
        homeserver.add_threepid("a-secret", "a-sid"),
        homeserver.delete_device("DEVICE"),
        homeserver.delete_devices(["DEVICE"]),
        homeserver.get_login_token(),
        homeserver.register("bob", "an entirely new one"),
    )

    answers = []
    for request in requests:
        with pytest.raises(MatrixError) as caught:
            request.authenticate({"*": asked.append})
        answers.append((caught.value.http_status, caught.value.errcode))

    assert answers == [(404, "M_UNRECOGNIZED")] * 6 + [(403, "M_FORBIDDEN")]
    assert asked == []
