"""A fifth of all exchanges fails on the way to a real Synapse and back: nothing is lost, nothing is done twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.accounts import Account, owner, uses_of
from support.keys import make_keys
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, handlers

from .kinds import FAULTS, Plan

if TYPE_CHECKING:
    from .conftest import Ledger
    from .proxy import Proxy

SHARE = 0.2
TOKEN = "the-registration-token"


@pytest.mark.slow
def test_registrations(
    synapse: Synapse,
    proxy: Proxy,
    homeserver: Homeserver,
    ledger: Ledger,
    draw: random.Random,
    sized: Callable[[int, int], int],
) -> None:
    """Each registration returns a working access token, in one session, and the server has that many accounts."""
    names = [f"user{number}" for number in range(sized(12, 300))]
    synapse.add_registration_token(TOKEN, uses_allowed=len(names))
    stages = {
        "m.login.registration_token": handlers.registration_token(TOKEN),
        "m.login.terms": handlers.terms(lambda policies: True),
    }
    before = count_accounts(synapse)
    proxy.follow(Plan(draw, SHARE, 3))

    accounts = []
    for name in names:
        with ledger.attempt():
            accounts.append(homeserver.register(name, f"the password of {name}").authenticate(stages))

    ledger.assert_within_policy()
    user_ids = [f"@{name}:{synapse.server_name}" for name in names]
    assert [account["user_id"] for account in accounts] == user_ids
    assert [owner(synapse, account) for account in accounts] == user_ids
    assert count_accounts(synapse) - before == len(names)
    assert uses_of(synapse, TOKEN) == (len(names), 0)
    for attempt in ledger.attempts:
        assert len({exchange.session for exchange in attempt.exchanges} - {None}) == 1, attempt
    assert len({exchange.fault for exchange in proxy.exchanges}) >= sized(5, len(FAULTS) + 1)


@pytest.mark.slow
def test_rounds(
    synapse: Synapse,
    proxy: Proxy,
    homeserver: Homeserver,
    ledger: Ledger,
    draw: random.Random,
    sized: Callable[[int, int], int],
) -> None:
    """Each round deletes the device, publishes the keys and changes the password that it was told to, and no more."""
    made = synapse.add_user("alice", "password 0")
    alice = Account(synapse, homeserver, "alice", "password 0", made["user_id"], made["device_id"])
    homeserver.access_token = made["access_token"]
    homeserver.upload_cross_signing_keys(**make_keys(alice.user_id)).authenticate({})  # others need the password
    proxy.follow(Plan(draw, SHARE, 3))

    for number in range(sized(8, 100)):
        password, new_password = f"password {number}", f"password {number + 1}"
        knows = {"m.login.password": handlers.password("alice", password)}
        device, kept = (alice.log_in(password)["device_id"] for _ in range(2))
        keys = make_keys(alice.user_id)

        with ledger.attempt():
            homeserver.delete_device(device).authenticate(knows)
        with ledger.attempt():
            homeserver.upload_cross_signing_keys(**keys).authenticate(knows)
        with ledger.attempt():
            homeserver.change_password(new_password, logout_devices=False).authenticate(knows)

        assert alice.devices() == {made["device_id"], kept}
        assert published(alice) == {f"{name}s": key["keys"] for name, key in keys.items()}
        assert (alice.can_log_in(password), alice.is_valid(homeserver.access_token)) == (False, True)
        for other in alice.devices() - {made["device_id"]}:
            synapse.admin("DELETE", f"/_synapse/admin/v2/users/{alice.user_id}/devices/{other}")
    assert alice.can_log_in(new_password)
    ledger.assert_within_policy()
    for attempt in ledger.attempts:
        assert len({exchange.session for exchange in attempt.exchanges} - {None}) == 1, attempt


def count_accounts(synapse: Synapse) -> int:
    """Return how many accounts the server has."""
    total: int = synapse.admin("GET", "/_synapse/admin/v2/users?limit=1")["total"]
    return total


def published(account: Account) -> dict[str, Any]:
    """Return the cross-signing keys that the server hands out, as the answer names them."""
    answer = account.call("POST", "keys/query", {"device_keys": {account.user_id: []}})
    names = ("master_keys", "self_signing_keys", "user_signing_keys")
    return {name: answer[name][account.user_id]["keys"] for name in names}
