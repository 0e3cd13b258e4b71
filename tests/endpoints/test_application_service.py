"""An application service on a real Synapse: each of the eight endpoints, for the user whom it names and nobody else."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.accounts import account_of, devices_of, exists
from support.keys import make_keys
from throwaway_services import MailServer
from throwaway_synapse import OPEN, Synapse, throwaway_synapse

from interactive_auth import Homeserver, MatrixError, Stage, handlers

AS_TOKEN = "the-token-of-an-application-service"
SENDER = "bridge"
PASSWORD = "the password of a ghost"
SERVICE = {
    "id": "bridge",
    "url": None,
    "as_token": AS_TOKEN,
    "hs_token": "the-token-of-the-homeserver",
    "sender_localpart": SENDER,
    "rate_limited": False,
    "namespaces": {"users": [{"exclusive": True, "regex": "@ghost_.*"}], "rooms": [], "aliases": []},
}

Open = Callable[..., Homeserver]


@pytest.fixture(scope="module")
def bridged(tmp_path_factory: pytest.TempPathFactory, mails: MailServer) -> Iterator[Synapse]:
    """Run a homeserver with an application service."""
    file = tmp_path_factory.mktemp("service") / "service.yaml"
    file.write_text(json.dumps(SERVICE))  # every JSON text is YAML, too
    tokens = {"login_via_existing_session": {"enabled": True, "require_ui_auth": True}}
    with throwaway_synapse(OPEN, mails.config(), tokens, {"app_service_config_files": [str(file)]}) as running:
        yield running


@pytest.fixture
def opened(bridged: Synapse) -> Iterator[Open]:
    """Make homeserver objects with the service's token, which are closed after the test."""
    made: list[Homeserver] = []

    def make(**options: Any) -> Homeserver:
        made.append(Homeserver(bridged.base_url, access_token=AS_TOKEN, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Ghost:
    """A user of the service's, with a password and two devices.

    Attributes:
        homeserver: acts for the user, by the service's token.
    """

    def __init__(self, synapse: Synapse, opened: Open) -> None:
        self.name = f"ghost_{secrets.token_hex(6)}"
        request = opened().register(self.name, type="m.login.application_service", inhibit_login=True)
        self.user_id = request()["user_id"]
        synapse.admin("PUT", f"/_synapse/admin/v2/users/{self.user_id}", {"password": PASSWORD})
        for device in ("ONE", "TWO"):
            synapse.log_in(self.name, PASSWORD, device_id=device)
        self.homeserver = opened(user_id=self.user_id)
        self.stages = {"m.login.password": handlers.password(self.user_id, PASSWORD)}


@pytest.fixture
def ghost(bridged: Synapse, opened: Open) -> Ghost:
    """Make a user of the service's."""
    return Ghost(bridged, opened)


def test_register(bridged: Synapse, opened: Open) -> None:
    """An account is made without any authentication, by the type and the token of the service."""
    name = f"ghost_{secrets.token_hex(6)}"
    asked: list[Stage] = []

    made = opened().register(name, type="m.login.application_service").authenticate({"*": asked.append})

    assert asked == []
    assert exists(bridged, made["user_id"])
    assert devices_of(bridged, made["user_id"]) == [made.get("device_id")]


def test_a_name_that_is_not_the_services(opened: Open) -> None:
    """A name outside of its namespace is refused, and an ordinary registration of one within it as well."""
    with pytest.raises(MatrixError, match="M_EXCLUSIVE"):
        opened().register("somebody", type="m.login.application_service")()
    with pytest.raises(MatrixError, match="M_EXCLUSIVE"):
        opened().register("ghost_x", "a password").authenticate({})


def test_whoami(ghost: Ghost, opened: Open, bridged: Synapse) -> None:
    """The token is the service's own user's, or whom it names, on the device that it names."""
    sender = f"@{SENDER}:{bridged.server_name}"

    assert opened().whoami()["user_id"] == sender
    assert ghost.homeserver.whoami() == {"user_id": ghost.user_id, "is_guest": False}
    assert opened(user_id=ghost.user_id, device_id="ONE").whoami().get("device_id") == "ONE"
    with pytest.raises(MatrixError, match="M_UNKNOWN_DEVICE"):
        opened(user_id=ghost.user_id, device_id="NONE").whoami()
    with pytest.raises(MatrixError, match="403"):
        opened(user_id=f"@nobody:{bridged.server_name}").whoami()


def test_delete_device(bridged: Synapse, ghost: Ghost) -> None:
    """The device of the user who is named is gone, and only that."""
    other = bridged.add_user(f"user{secrets.token_hex(6)}", PASSWORD)
    bridged.log_in(other["user_id"], PASSWORD, device_id="ONE")

    ghost.homeserver.delete_device("ONE").authenticate(ghost.stages)

    assert devices_of(bridged, ghost.user_id) == ["TWO"]
    assert "ONE" in devices_of(bridged, other["user_id"])


def test_delete_devices(bridged: Synapse, ghost: Ghost) -> None:
    """The devices of the user who is named are gone."""
    ghost.homeserver.delete_devices(["ONE", "TWO"]).authenticate(ghost.stages)

    assert devices_of(bridged, ghost.user_id) == []


def test_deactivate_account(bridged: Synapse, ghost: Ghost) -> None:
    """The account of the user who is named is over, and that of the service is not."""
    ghost.homeserver.deactivate_account().authenticate(ghost.stages)

    assert account_of(bridged, ghost.user_id)["deactivated"] is True
    assert ghost.homeserver.access_token == AS_TOKEN


def test_upload_cross_signing_keys(bridged: Synapse, ghost: Ghost) -> None:
    """The keys are those of the user who is named, first ones and others, without authentication (v1.17)."""
    for keys in (make_keys(ghost.user_id), make_keys(ghost.user_id)):
        assert ghost.homeserver.upload_cross_signing_keys(**keys).authenticate({}) == {}
        body: dict[str, Any] = {"device_keys": {ghost.user_id: []}}
        found = bridged.call(
            "POST", f"/_matrix/client/v3/keys/query?user_id={ghost.user_id}", body, access_token=AS_TOKEN
        )
        assert found["master_keys"][ghost.user_id]["keys"] == keys["master_key"]["keys"]


# What Synapse cannot authenticate an application service for: it wants an access token of the user's own.


@pytest.fixture
def logged_in(ghost: Ghost) -> Homeserver:
    """Log in for the user who is named, by the service's token."""
    ghost.homeserver.login(ghost.user_id, type="m.login.application_service", device_id="THREE")
    return ghost.homeserver


@pytest.mark.parametrize(
    "make",
    [
        lambda homeserver: homeserver.change_password("an entirely new one"),
        lambda homeserver: homeserver.get_login_token(),
        lambda homeserver: homeserver.add_threepid("a-secret", "a-sid"),
    ],
    ids=["change_password", "get_login_token", "add_threepid"],
)
def test_what_synapse_cannot_do(bridged: Synapse, ghost: Ghost, make: Callable[[Homeserver], Any]) -> None:
    """It says so in its own way, which is an error, and nothing has changed."""
    with pytest.raises(MatrixError, match="500 M_UNKNOWN"):
        make(ghost.homeserver).authenticate(ghost.stages)

    assert bridged.can_log_in(ghost.name, PASSWORD)
    assert account_of(bridged, ghost.user_id)["threepids"] == []


def test_change_password(bridged: Synapse, ghost: Ghost, logged_in: Homeserver) -> None:
    """The password of the user who is named is another one."""
    logged_in.change_password("an entirely new one", logout_devices=False).authenticate(ghost.stages)

    assert bridged.can_log_in(ghost.name, "an entirely new one")
    assert not bridged.can_log_in(ghost.name, PASSWORD)


def test_get_login_token(bridged: Synapse, ghost: Ghost, logged_in: Homeserver) -> None:
    """The token logs in the user who is named."""
    token = logged_in.get_login_token().authenticate(ghost.stages)["login_token"]

    with Homeserver(bridged.base_url) as homeserver:
        assert homeserver.login(token=token)["user_id"] == ghost.user_id


def test_add_threepid(bridged: Synapse, mails: MailServer, ghost: Ghost, logged_in: Homeserver) -> None:
    """The address is on the account of the user who is named."""
    address, secret = f"{ghost.name}@example.org", "a-secret-of-the-clients-own-making"
    sid = logged_in.request_email_token("account/3pid", address, secret)["sid"]
    mails.open_link(address)

    logged_in.add_threepid(secret, sid).authenticate(ghost.stages)

    addresses = [each["address"] for each in account_of(bridged, ghost.user_id)["threepids"]]
    assert addresses == [address]


def test_logging_in_for_a_user(bridged: Synapse, ghost: Ghost, opened: Open) -> None:
    """It logs in for a user without the password, and goes on with that user's token."""
    homeserver = opened()

    made = homeserver.login(ghost.user_id, type="m.login.application_service", device_id="THREE")

    assert made["user_id"] == ghost.user_id
    assert homeserver.access_token == made["access_token"] != AS_TOKEN
    assert homeserver.whoami()["user_id"] == ghost.user_id
    homeserver.logout()
    assert "THREE" not in devices_of(bridged, ghost.user_id)
