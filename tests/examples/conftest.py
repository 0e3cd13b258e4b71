"""A homeserver with an account for the examples to work on, and the terminals that they run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from throwaway_services import MailServer
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse


@pytest.fixture(scope="session")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a homeserver where registration wants a token, and takes an email address if one is given."""
    with throwaway_synapse(TOKEN, mails.config()) as running:
        yield running


@pytest.fixture(scope="session")
def strict_synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a Synapse that wants a token, its terms accepted, and an email address."""
    demands = {**TOKEN, "registrations_require_3pid": ["email"]}
    with throwaway_synapse(demands, TERMS, mails.config()) as running:
        running.admin("GET", "/_synapse/admin/v2/users")  # log the administrator in before any thread does
        yield running
