"""An account for a test: made without authentication, and looked at by other means than the library's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, Stage

PASSWORD = "correct horse battery staple"
WRONG = "a wrong guess"

_numbers = itertools.count(1)


class Guesses:
    """Answers password stages with one guess after the other, and the last one from then on.

    Attributes:
        stages: the stages that were asked for so far.
    """

    def __init__(self, guesses: Iterable[str]) -> None:
        self._guesses = tuple(guesses)
        self.stages: list[Stage] = []

    def __call__(self, stage: Stage) -> str:
        """Return the next guess."""
        self.stages.append(stage)
        return self._guesses[min(len(self.stages), len(self._guesses)) - 1]

    def all_were_needed(self) -> bool:
        """Return whether each guess was asked for, and each but the first because the one before was refused."""
        refusals = [None if stage.error is None else stage.error.errcode for stage in self.stages]
        return refusals == [None] + ["M_FORBIDDEN"] * (len(self._guesses) - 1)


@dataclass(frozen=True)
class Account:
    """A user, the homeserver object that acts for the user, and what the server says about the user."""

    synapse: Synapse
    homeserver: Homeserver
    name: str
    user_id: str
    device_id: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the client-server API as the user."""
        token = self.homeserver.access_token
        return self.synapse.call(method, f"/_matrix/client/v3/{path}", body, access_token=token)

    def log_in(self, password: str = PASSWORD, **fields: object) -> dict[str, Any]:
        """Log in another device, and return the server's answer."""
        user = {"type": "m.id.user", "user": self.name}
        body = {"type": "m.login.password", "identifier": user, "password": password, **fields}
        return self.synapse.call("POST", "/_matrix/client/v3/login", body)

    def add_device(self, device_id: str) -> str:
        """Log in a device of that id, and return its access token."""
        return str(self.log_in(device_id=device_id)["access_token"])

    def can_log_in(self, password: str) -> bool:
        """Return whether a password is the user's."""
        return _is_granted(403, lambda: self.log_in(password))

    def is_valid(self, access_token: str | None) -> bool:
        """Return whether an access token is good."""
        path = "/_matrix/client/v3/account/whoami"
        return _is_granted(401, lambda: self.synapse.call("GET", path, access_token=access_token))

    def devices(self) -> set[str]:
        """Return the ids of the user's devices."""
        listed = self.synapse.admin("GET", f"/_synapse/admin/v2/users/{self.user_id}/devices")
        return {device["device_id"] for device in listed["devices"]}

    def threepids(self) -> set[tuple[str, str]]:
        """Return the addresses and phone numbers on the account."""
        return {(item["medium"], item["address"]) for item in self.call("GET", "account/3pid")["threepids"]}


def _is_granted(refusal: int, ask: Callable[[], object]) -> bool:
    try:
        ask()
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != refusal:
            raise
        return False
    return True


def unused_name() -> str:
    """Return a user name that no other test has."""
    return f"user{next(_numbers)}"


@contextmanager
def new_account(synapse: Synapse) -> Iterator[Account]:
    """Make an account for as long as the block lasts."""
    name = unused_name()
    made = synapse.add_user(name, PASSWORD)
    with Homeserver(synapse.base_url, access_token=made["access_token"]) as homeserver:
        yield Account(synapse, homeserver, name, made["user_id"], made["device_id"])
