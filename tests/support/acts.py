"""The requests that want an account's password, each with a look at the homeserver for whether it was carried out.

It is looked for by the client-server API alone, so it is the same on every homeserver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from interactive_auth import Stage, UIARequest, handlers

from .accounts import Account
from .keys import Keys, make_keys

PASSWORD = "m.login.password"
NEW_PASSWORD = "an entirely new one"
_KINDS = ("master_key", "self_signing_key", "user_signing_key")


class ProgramEndsError(Exception):
    """The program ends in the middle of a stage."""


def crash(stage: Stage) -> None:
    """End the program in the middle of a stage."""
    raise ProgramEndsError


@dataclass(frozen=True)
class Act:
    """A request, and whether the homeserver has carried it out."""

    request: UIARequest[Any]
    is_done: Callable[[], bool]


def devices(account: Account) -> set[str]:
    """Return the ids of the account's devices, as it is shown them."""
    return {device["device_id"] for device in account.call("GET", "devices")["devices"]}


def published(account: Account) -> dict[str, Any]:
    """Return the cross-signing keys that the homeserver hands out, without their signatures."""
    answer = account.call("POST", "keys/query", {"device_keys": {account.user_id: []}})
    found = {kind: answer.get(f"{kind}s", {}).get(account.user_id) for kind in _KINDS}
    return {kind: key["keys"] for kind, key in found.items() if key is not None}


def public_halves(keys: Keys) -> dict[str, Any]:
    """Return what ``published`` returns once these keys are uploaded."""
    return {name: key["keys"] for name, key in keys.items()}


def delete_one_device(account: Account) -> Act:
    """Log a device in, that is to be logged out."""
    token = account.add_device("ONE")
    request = account.homeserver.delete_device("ONE")
    return Act(request, lambda: devices(account) == {account.device_id} and not account.is_valid(token))


def delete_several_devices(account: Account) -> Act:
    """Log devices in, of which all but one are to be logged out."""
    for device_id in ("ONE", "TWO", "KEPT"):
        account.add_device(device_id)
    request = account.homeserver.delete_devices(["ONE", "TWO"])
    return Act(request, lambda: devices(account) == {account.device_id, "KEPT"})


def change_password(account: Account) -> Act:
    """Change the password."""
    request = account.homeserver.change_password(NEW_PASSWORD)
    return Act(request, lambda: account.can_log_in(NEW_PASSWORD) and not account.can_log_in())


def deactivate(account: Account) -> Act:
    """End the account."""
    request = account.homeserver.deactivate_account()
    return Act(request, lambda: not account.can_log_in() and not account.is_valid(account.homeserver.access_token))


def replace_keys(account: Account) -> Act:
    """Upload keys over others, which are the first ones."""
    first = account.homeserver.upload_cross_signing_keys(**make_keys(account.user_id))
    first.authenticate({PASSWORD: handlers.password(account.name, account.password)})
    return upload_keys(account)


def upload_keys(account: Account) -> Act:
    """Upload keys."""
    keys = make_keys(account.user_id)
    request = account.homeserver.upload_cross_signing_keys(**keys)
    return Act(request, lambda: published(account) == public_halves(keys))


class Guesses:
    """Answers password stages with one guess after the other, and the last one from then on.

    Attributes:
        asked: what was known at each question: the attempt, the words that refused the last one, whether it was done.
    """

    def __init__(self, act: Act, account: Account, guesses: Iterable[str]) -> None:
        self._act, self._name, self._guesses = act, account.name, tuple(guesses)
        self.asked: list[tuple[int, str | None, bool]] = []

    def __call__(self, stage: Stage) -> dict[str, Any]:
        """Return the next guess."""
        words = None if stage.error is None else stage.error.error
        self.asked.append((stage.attempt, words, self._act.is_done()))
        guess = self._guesses[min(len(self.asked), len(self._guesses)) - 1]
        user = {"type": "m.id.user", "user": self._name}
        return {"type": PASSWORD, "identifier": user, "password": guess}
