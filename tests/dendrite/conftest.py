"""Dendrites of one configuration each, and accounts on the one that registers everybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.accounts import Account, Connect, new_account
from support.dendrite import CLOSED, OPEN, Dendrite, throwaway_dendrite
from throwaway_services import captcha_verifier

from interactive_auth import Homeserver, StartAuthStage, handlers

#: The only response that the captcha's verifier takes.
CAPTCHA_RESPONSE = "i-am-no-robot"


@pytest.fixture(scope="session")
def closed_dendrite(dendrite_program: str) -> Iterator[Dendrite]:
    """A Dendrite that registers nobody."""
    with throwaway_dendrite(dendrite_program, CLOSED) as running:
        yield running


@pytest.fixture(scope="session")
def captcha_dendrite(dendrite_program: str) -> Iterator[Dendrite]:
    """A Dendrite that wants a captcha solved; the service that it asks about it is a stand-in."""
    with (
        captcha_verifier(CAPTCHA_RESPONSE) as config,
        throwaway_dendrite(dendrite_program, {**OPEN, **config}) as running,
    ):
        yield running


@pytest.fixture
def anonymous(dendrite: Dendrite, connect: Connect) -> Homeserver:
    """Make a homeserver object without an access token."""
    return connect(dendrite.base_url)


@pytest.fixture
def account(dendrite: Dendrite) -> Iterator[Account]:
    """Make an account with a password and one device."""
    with new_account(dendrite) as made:
        yield made


@pytest.fixture
def knows_password(account: Account) -> dict[str, StartAuthStage]:
    """Make the callbacks of a program that knows the account's password."""
    return {"m.login.password": handlers.password(account.name, account.password)}
