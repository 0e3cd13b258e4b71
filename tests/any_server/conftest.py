"""The real homeservers of the suite: to try another one, add it to SERVERS, with how it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeAlias

import pytest
from support.accounts import Account, Connect, new_account
from support.dendrite import OPEN as OPEN_DENDRITE
from support.dendrite import throwaway_dendrite
from throwaway_synapse import OPEN, Synapse, throwaway_synapse

from interactive_auth import Homeserver

#: What a test asks of a real homeserver: its address, accounts made without us, logins, and to be restarted.
Server: TypeAlias = Synapse
Start = Callable[[pytest.FixtureRequest], AbstractContextManager[Server]]

#: How each is run, where registration wants m.login.dummy and nothing else.
SERVERS: dict[str, Start] = {
    "synapse": lambda request: throwaway_synapse(OPEN),
    "dendrite": lambda request: throwaway_dendrite(request.getfixturevalue("dendrite_program"), OPEN_DENDRITE),
}


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Run each of the homeservers, one after the other."""
    with SERVERS[request.param](request) as running:
        yield running


@pytest.fixture
def account(server: Server) -> Iterator[Account]:
    """Make an account with a password and one device."""
    with new_account(server) as made:
        yield made


@pytest.fixture
def anonymous(server: Server, connect: Connect) -> Homeserver:
    """Make a homeserver object without an access token."""
    return connect(server.base_url)
