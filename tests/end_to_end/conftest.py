"""What the end-to-end tests share: a server that is not there, and one whose answers are the test's."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from support.accounts import new_token
from support.wire import Reply, Wire, serve
from throwaway_synapse import Synapse


@pytest.fixture
def closed_url() -> Iterator[str]:
    """The address of a server that is not there; it is held, so that nobody else takes it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and not listening
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def stub() -> Iterator[Wire]:
    """A homeserver that answers as the test says, for what a real one cannot be brought to do."""
    with serve(lambda sent: Reply(404, {})) as wire:
        yield wire


@pytest.fixture
def token(token_and_terms_server: Synapse) -> str:
    """A registration token that can be used once."""
    return new_token(token_and_terms_server)
