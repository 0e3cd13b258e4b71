"""One homeserver with everything that does not change what the others demand, and accounts on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.accounts import Account, Connect
from support.wire import Reply, Wire, serve
from throwaway_services import MailServer, SmsGateway
from throwaway_synapse import TOKEN, Synapse, throwaway_synapse

from interactive_auth import Homeserver, StartAuthStage, handlers

from .guesses import Guesses

#: Login tokens are given for a password; tokens that were asked for with a refresh token live for two seconds.
TOKENS = {
    "login_via_existing_session": {"enabled": True, "require_ui_auth": True},
    "refreshable_access_token_lifetime": "2s",
}


@pytest.fixture(scope="session")
def synapse(mails: MailServer, texts: SmsGateway) -> Iterator[Synapse]:
    """Run the homeserver; registration wants a token."""
    with throwaway_synapse(TOKEN, mails.config(), texts.config(), TOKENS) as running:
        running.add_registration_token("the-right-token")
        yield running


@pytest.fixture
def anonymous(synapse: Synapse, connect: Connect) -> Homeserver:
    """Make a homeserver object without an access token."""
    return connect(synapse.base_url)


@pytest.fixture(params=[(), ("a wrong guess",)], ids=["right", "wrong-then-right"])
def guesses(request: pytest.FixtureRequest, account: Account) -> Guesses:
    """Make the guesses at the account's password: the right one, or a wrong one before it."""
    return Guesses([*request.param, account.password])


@pytest.fixture
def by_password(account: Account, guesses: Guesses) -> dict[str, StartAuthStage]:
    """Make the callbacks of a program that knows the account's password, sooner or later."""
    return {"m.login.password": handlers.password(account.name, guesses)}


@pytest.fixture
def knows_password(account: Account) -> dict[str, StartAuthStage]:
    """Make the callbacks of a program that knows the account's password."""
    return {"m.login.password": handlers.password(account.name, account.password)}


@pytest.fixture
def start_wire() -> Iterator[Callable[[Reply], Wire]]:
    """Run servers that give one reply to everything."""
    with ExitStack() as running:
        yield lambda reply: running.enter_context(serve(lambda sent: reply))
