"""Trouble that does not pass while the last request of a registration is sent, which makes the account."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.accounts import owner, uses_of
from support.clocks import TurnedClock
from throwaway_synapse import Synapse

from interactive_auth import DoRequest, Homeserver, HomeserverConnectionError, InteractiveAuth, MatrixError, Stage

from .kinds import FAULTS, Act

if TYPE_CHECKING:
    from .proxy import Proxy

TOKEN = "the-registration-token"
TROUBLE = [fault for fault in FAULTS if fault.limit is None]
#: The requests before the last one: without auth, with the token, with the terms.
BEFORE = 3
#: The times that one request is sent by a policy of three retries, and the most seconds of waiting between them.
TIMES, MOST_SECONDS = 4, 0.5 + 1 + 2


@pytest.fixture
def impatient(proxy: Proxy) -> Iterator[Homeserver]:
    """The same as ``homeserver``, but it does not wait long for what never comes."""
    with Homeserver(proxy.base_url, timeout=0.4) as connected:
        yield connected


def test_each_kind(
    synapse: Synapse, proxy: Proxy, clock: TurnedClock, homeserver: Homeserver, impatient: Homeserver
) -> None:
    """The attempt ends as its policy says, with the first error; the next one returns the account, the only one."""
    synapse.add_registration_token(TOKEN, uses_allowed=len(TROUBLE))
    for number, fault in enumerate(TROUBLE):
        proxy.exchanges.clear()
        clock.waits.clear()
        name, asked = f"user{number}", Asked()
        register, give_up_soon = (server.register(name, "a password") for server in (homeserver, impatient))
        requests = itertools.chain([register] * BEFORE, [give_up_soon] * TIMES, itertools.repeat(register))
        faults = itertools.chain([None] * BEFORE, [fault] * TIMES, itertools.repeat(None))
        auth = InteractiveAuth(partial(send_by_next, requests), asked)
        proxy.follow(partial(next, faults))

        kind = MatrixError if fault.act is Act.ANSWER else HomeserverConnectionError
        with pytest.raises(kind) as caught:
            auth.attempt_auth()

        assert getattr(caught.value, "http_status", 0) == fault.status, fault.name
        assert len(clock.waits) == TIMES - 1, fault.name
        assert MOST_SECONDS / 2 <= sum(clock.waits) <= MOST_SECONDS
        if fault.act is Act.REFUSE:
            proxy.note_refusal()
        assert [exchange.fault for exchange in proxy.exchanges] == [None] * BEFORE + [fault] * TIMES
        account = auth.attempt_auth()
        assert owner(synapse, account) == account["user_id"] == f"@{name}:{synapse.server_name}"
        assert asked.types == ["m.login.registration_token", "m.login.terms"]
        assert len({exchange.session for exchange in proxy.exchanges} - {None}) == 1
    assert uses_of(synapse, TOKEN) == (len(TROUBLE), 0)


class Asked:
    """Answers every stage, and remembers its type."""

    def __init__(self) -> None:
        self.types: list[str] = []

    def __call__(self, stage: Stage) -> dict[str, str]:
        """Answer a stage."""
        self.types.append(stage.type)
        return {"type": stage.type, "token": TOKEN}


def send_by_next(requests: Iterator[DoRequest[Any]], auth: dict[str, Any] | None) -> Any:
    """Send by the next of several requests."""
    return next(requests)(auth)
