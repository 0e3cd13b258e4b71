"""A plugin: Synapses of one configuration each, started by the first test that wants them, and what they lean on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from throwaway_synapse import OPEN, TERMS, TOKEN, Synapse, throwaway_synapse

from interactive_auth import Homeserver

from .accounts import Account, Connect, Person, new_account

if TYPE_CHECKING:
    from throwaway_services import MailServer, SmsGateway


@pytest.fixture(scope="session")
def mails() -> Iterator[MailServer]:
    """Run the mail server that homeservers send by."""
    from throwaway_services import MailServer, mail_server  # here, because the unit tests run without aiosmtpd

    with mail_server(MailServer()) as running:
        yield running


@pytest.fixture(scope="session")
def texts() -> Iterator[SmsGateway]:
    """Run the SMS gateway that homeservers send by."""
    from throwaway_services import sms_gateway

    with sms_gateway() as running:
        yield running


@pytest.fixture(scope="session")
def open_server() -> Iterator[Synapse]:
    """A homeserver that registers everybody; its only stage is m.login.dummy."""
    with throwaway_synapse(OPEN) as running:
        yield running


@pytest.fixture(scope="session")
def terms_server() -> Iterator[Synapse]:
    """A homeserver that wants its terms accepted."""
    with throwaway_synapse(OPEN, TERMS) as running:
        yield running


@pytest.fixture(scope="session")
def token_and_terms_server() -> Iterator[Synapse]:
    """A homeserver that wants a registration token, and its terms accepted."""
    with throwaway_synapse(TOKEN, TERMS) as running:
        yield running


@pytest.fixture(scope="session")
def email_server(mails: MailServer) -> Iterator[Synapse]:
    """A homeserver that wants an email address."""
    required = {"enable_registration": True, "registrations_require_3pid": ["email"]}
    with throwaway_synapse(required, mails.config()) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make clients with ``Homeserver``'s own arguments, closed after the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Homeserver(*args, **options))


@pytest.fixture
def account(synapse: Synapse) -> Iterator[Account]:
    """Make an account with a password and one device, on the ``synapse`` of the folder."""
    with new_account(synapse) as made:
        yield made


@pytest.fixture
def new() -> Person:
    """Somebody who may register."""
    return Person()
