"""People who register, accounts that exist, and what a homeserver knows of both, asked by other means than ours."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from throwaway_synapse import SERVER_NAME, Synapse

from interactive_auth import Homeserver, Stage, StartAuthStage, UIARequest

#: What the fixture ``connect`` is: it takes what ``Homeserver`` takes.
Connect = Callable[..., Homeserver]
#: Short intervals, and an end to waiting that is not minutes away.
WAITING: Any = {"poll_interval": 0.1, "poll_timeout": 20.0}

#: Ofcom sets these numbers aside: 07700 900000 to 07700 900999.
_NUMBERS = itertools.count()
_WHOAMI = "/_matrix/client/v3/account/whoami"


@dataclass(frozen=True)
class Person:
    """Somebody whom no homeserver knows yet.

    Attributes:
        name: a user name that nobody has.
        number: a British phone number that nobody has, as it is dialled there.
    """

    name: str = field(default_factory=lambda: f"user{secrets.token_hex(6)}")
    password: str = field(default_factory=lambda: secrets.token_hex(8))
    number: str = field(default_factory=lambda: f"07700900{next(_NUMBERS):03}")

    @property
    def user_id(self) -> str:
        """The user id that the user name becomes."""
        return f"@{self.name}:{SERVER_NAME}"

    @property
    def address(self) -> str:
        """An email address that nobody has."""
        return f"{self.name}@example.org"

    @property
    def international(self) -> str:
        """The phone number as servers keep it."""
        return f"44{self.number[1:]}"


@dataclass(frozen=True)
class Account:
    """A user who is logged in on one device.

    Attributes:
        homeserver: acts for the user on that device.
        device_id: its id.
    """

    synapse: Synapse
    homeserver: Homeserver
    name: str
    password: str
    user_id: str
    device_id: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the client-server API as the user."""
        token = self.homeserver.access_token
        return self.synapse.call(method, f"/_matrix/client/v3/{path}", body, access_token=token)

    def log_in(self, password: str | None = None, **fields: object) -> dict[str, Any]:
        """Log in another device, and return the server's answer."""
        return self.synapse.log_in(self.name, password or self.password, **fields)

    def add_device(self, device_id: str) -> str:
        """Log in a device of that id, and return its access token."""
        return str(self.log_in(device_id=device_id)["access_token"])

    def can_log_in(self, password: str | None = None) -> bool:
        """Return whether a password, by default the one that the account was made with, is the user's."""
        return self.synapse.can_log_in(self.name, password or self.password)

    def is_valid(self, access_token: str | None) -> bool:
        """Return whether an access token is good."""
        try:
            self.synapse.call("GET", _WHOAMI, access_token=access_token)
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code != 401:
                raise
            return False
        return True

    def on_server(self) -> dict[str, Any]:
        """Return what the homeserver's administrator sees of the user."""
        return account_of(self.synapse, self.user_id)

    def devices(self) -> set[str]:
        """Return the ids of the user's devices."""
        return set(devices_of(self.synapse, self.user_id))

    def threepids(self) -> set[tuple[str, str]]:
        """Return the (medium, address) pairs of the addresses and phone numbers on the account."""
        return {(item["medium"], item["address"]) for item in self.call("GET", "account/3pid")["threepids"]}


@contextmanager
def new_account(synapse: Synapse, person: Person | None = None) -> Iterator[Account]:
    """Make an account without any authentication; its homeserver is closed with the block."""
    person = person or Person()
    made = synapse.add_user(person.name, person.password)
    with Homeserver(synapse.base_url, access_token=made["access_token"]) as homeserver:
        yield Account(synapse, homeserver, person.name, person.password, made["user_id"], made["device_id"])


def by_mail(request: UIARequest[Any], address: str) -> Any:
    """Return the options of an attempt whose ``do_request`` hides the request: an address, and the request's mail."""
    return {"inputs": {"email_address": address}, "request_email_token": request.request_email_token}


class Watched:
    """Makes callbacks that note what they are called with, and go on to the ones given.

    Attributes:
        seen: the stages that they were called with so far.
    """

    def __init__(self) -> None:
        self.seen: list[Stage] = []

    @property
    def errors(self) -> list[tuple[str | None, str | None] | None]:
        """Why each of them was asked for: errcode and words of the server's, None if no answer was wrong before."""
        errors = [stage.error for stage in self.seen]
        return [None if error is None else (error.errcode, error.error) for error in errors]

    def __call__(self, callbacks: Mapping[str, StartAuthStage]) -> dict[str, StartAuthStage]:
        """Return the callbacks that note."""

        def noting(callback: StartAuthStage) -> StartAuthStage:
            def note(stage: Stage) -> Mapping[str, Any] | None:
                self.seen.append(stage)
                return callback(stage)

            return note

        return {kind: noting(callback) for kind, callback in callbacks.items()}


def owner(server: Synapse, account: Mapping[str, Any]) -> str:
    """Return whose the access token is in the answer to a registration."""
    return str(server.call("GET", _WHOAMI, access_token=account["access_token"])["user_id"])


def owner_of_address(server: Synapse, address: str) -> str:
    """Return the user that an email address belongs to."""
    return str(server.admin("GET", f"/_synapse/admin/v1/threepid/email/users/{address}")["user_id"])


def exists(server: Synapse, user_id: str) -> bool:
    """Return whether there is such a user."""
    return bool(server.admin("GET", f"/_synapse/admin/v2/users?user_id={user_id}")["total"])


def account_of(server: Synapse, user_id: str) -> dict[str, Any]:
    """Return what the administrator sees of a user: addresses, the version of the terms accepted, and more."""
    return server.admin("GET", f"/_synapse/admin/v2/users/{user_id}")


def addresses_of(server: Synapse, user_id: str) -> set[tuple[str, str]]:
    """Return the (medium, address) pairs of a user."""
    return {(threepid["medium"], threepid["address"]) for threepid in account_of(server, user_id)["threepids"]}


def give_address(server: Synapse, user_id: str, address: str, medium: str = "email") -> None:
    """Put an address on an account, without any validation."""
    threepids = [{"medium": medium, "address": address}]
    server.admin("PUT", f"/_synapse/admin/v2/users/{user_id}", {"threepids": threepids})


def devices_of(server: Synapse, user_id: str) -> list[str]:
    """Return the ids of a user's devices."""
    listed = server.admin("GET", f"/_synapse/admin/v2/users/{user_id}/devices")
    return [device["device_id"] for device in listed["devices"]]


def new_token(server: Synapse, uses: int = 1) -> str:
    """Make a registration token that is good for so many accounts."""
    token = f"token-{secrets.token_hex(6)}"
    server.add_registration_token(token, uses_allowed=uses)
    return token


def uses_of(server: Synapse, token: str) -> tuple[int, int]:
    """Return how many accounts were registered with a token, and how many sign-ups hold a use of it."""
    found = server.admin("GET", f"/_synapse/admin/v1/registration_tokens/{token}")
    return found["completed"], found["pending"]
