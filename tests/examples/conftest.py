"""A homeserver with an account for the examples to work on, and the terminals that they run in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
from support.accounts import Account, new_account
from support.programs import EXAMPLES
from support.terminal import Terminal
from throwaway_services import MailServer
from throwaway_synapse import TOKEN, Synapse, throwaway_synapse


@pytest.fixture(scope="session")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a homeserver where registration wants a token, and takes an email address if one is given."""
    with throwaway_synapse(TOKEN, mails.config()) as running:
        yield running


@pytest.fixture
def account(synapse: Synapse) -> Iterator[Account]:
    """Make an account with one device."""
    with new_account(synapse) as made:
        yield made


@pytest.fixture
def in_terminal() -> Iterator[Callable[..., Terminal]]:
    """Run an example in a terminal, where a person is asked; more environment may be given by name."""
    opened: list[Terminal] = []

    def start(example: str, *arguments: str, **env: str) -> Terminal:
        opened.append(Terminal(sys.executable, str(EXAMPLES / example), *arguments, **env))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()
