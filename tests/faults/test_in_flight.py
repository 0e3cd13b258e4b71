"""A connection is lost while the server is still busy with the request, which comes again before that is done."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.accounts import owner
from throwaway_synapse import OPEN, TERMS, Synapse, throwaway_synapse

from interactive_auth import Homeserver, handlers

from .kinds import ABANDONED
from .proxy import faulty_proxy

#: Longer than the longest wait before the first repetition, shorter than the waits that the retry policy has in all.
BUSY = 1.2


@pytest.fixture
def synapse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Synapse]:
    """Run a Synapse that takes its time to register."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    module = {"module": "slow_registration.SlowRegistration", "config": {"seconds": BUSY}}
    with throwaway_synapse(OPEN, TERMS, {"modules": [module]}) as running:
        yield running


def test_registration(synapse: Synapse, draw: random.Random) -> None:
    """Synapse says that the name is in use, which it is by the account under way; the account is returned."""
    stages = {"m.login.terms": handlers.terms(lambda policies: True)}
    faults = iter([None, None, ABANDONED])

    with faulty_proxy(urlsplit(synapse.base_url).port or 0, draw) as proxy, Homeserver(proxy.base_url) as homeserver:
        proxy.follow(lambda: next(faults, None))
        account = homeserver.register("alice", "a password").authenticate(stages)

    assert owner(synapse, account) == account["user_id"] == f"@alice:{synapse.server_name}"
    assert [exchange.status for exchange in proxy.exchanges] == [401, 401, None, 400, 200]
    assert len({exchange.session for exchange in proxy.exchanges[1:]}) == 1
