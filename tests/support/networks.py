"""A plugin: a bad network between a client and a real homeserver, on which waiting takes no time.

What must not be here: what goes wrong there, which is in ``faults.kinds``, and the proxy that does it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from faults.proxy import Proxy, faulty_proxy

from interactive_auth import Homeserver
from interactive_auth._engine.handover import Bell, Handover

from .clocks import TurnedClock

#: Seconds that a client waits for an answer that comes in some hundredths of one.
TIMEOUT = 1.0


@dataclass(frozen=True)
class Network:
    """A way to a homeserver.

    Attributes:
        homeserver: the client that goes it.
        proxy: lets everything through until it is told what to follow.
    """

    homeserver: Homeserver
    proxy: Proxy

    def failed(self) -> int:
        """Return how many exchanges have failed so far."""
        return sum(exchange.fault is not None for exchange in self.proxy.exchanges)


#: What the fixture ``bad_network`` is: it takes a homeserver's address, and the access token to come with.
OpenNetwork = Callable[..., Network]


@pytest.fixture
def bad_network(draw: random.Random, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenNetwork]:
    """Make ways to homeservers, each through a proxy of its own; they are closed after the test."""
    with ExitStack() as stack:

        def open_network(base_url: str, access_token: str | None = None) -> Network:
            proxy = stack.enter_context(faulty_proxy(urlsplit(base_url).port or 0, draw))
            client = stack.enter_context(Homeserver(proxy.base_url, access_token=access_token, timeout=TIMEOUT))
            network = Network(client, proxy)

            class Clock(TurnedClock):
                def wait(self, bell: Bell, seconds: float) -> None:
                    super().wait(bell, seconds)
                    # One wait follows each failure, and all failures but a refusal are in the proxy's book already.
                    if len(self.waits) > network.failed():
                        proxy.note_refusal()

            monkeypatch.setattr(Handover, "clock", Clock())
            return network

        yield open_network
