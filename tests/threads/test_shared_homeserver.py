"""One Homeserver, shared by many threads that register on a real Synapse at the same time."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.accounts import new_token, uses_of
from support.threads import Threads
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, handlers

THREADS = 32


@pytest.mark.slow
@pytest.mark.usefixtures("busy_switch")
def test_threads_that_share_a_homeserver_register_their_own_accounts(
    token_and_terms_server: Synapse, threads: Threads, sized: Callable[[int, int], int]
) -> None:
    """Each registration is answered with the account that it asked for, and there are as many as were asked for."""
    synapse = token_and_terms_server
    prefix = f"user{secrets.token_hex(6)}"
    names = [f"{prefix}-{number}" for number in range(sized(32, 320))]
    token = new_token(synapse, len(names))
    stages = {
        "m.login.registration_token": handlers.registration_token(token),
        "m.login.terms": handlers.terms(lambda policies: True),
    }
    start = threading.Barrier(THREADS)

    def register(share: list[str]) -> dict[str, dict[str, Any]]:
        start.wait(30)
        return {
            name: homeserver.register(name, f"the password of {name}", initial_device_display_name=name).authenticate(
                stages
            )
            for name in share
        }

    with Homeserver(synapse.base_url) as homeserver:
        shares = [threads.start(register, names[number::THREADS]) for number in range(THREADS)]
        threads.join(300)
    accounts = {name: account for share in shares for name, account in share.result().items()}

    user_ids = {name: f"@{name}:{synapse.server_name}" for name in names}
    assert {name: account["user_id"] for name, account in accounts.items()} == user_ids
    assert {name: ask(synapse, account, "/account/whoami")["user_id"] for name, account in accounts.items()} == user_ids
    shown = {name: ask(synapse, account, "/devices")["devices"] for name, account in accounts.items()}
    assert {name: [device["display_name"] for device in devices] for name, devices in shown.items()} == {
        name: [name] for name in names
    }
    assert synapse.admin("GET", f"/_synapse/admin/v2/users?name={prefix}-&limit=1")["total"] == len(names)
    assert uses_of(synapse, token) == (len(names), 0)


def ask(synapse: Synapse, account: dict[str, Any], path: str) -> dict[str, Any]:
    """Ask the homeserver something with an account's own access token."""
    return synapse.call("GET", f"/_matrix/client/v3{path}", access_token=account["access_token"])
