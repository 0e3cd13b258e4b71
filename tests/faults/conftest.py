"""What the tests with faults share: a Synapse behind a bad proxy, a clock that is turned, and a ledger of attempts."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from support.clocks import TurnedClock
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse

from interactive_auth import Homeserver, RetryPolicy
from interactive_auth._engine.handover import Handover

from .kinds import Act, allowed_waits
from .proxy import Exchange, Proxy, faulty_proxy

#: Seconds that a client waits for an answer; Synapse takes some hundredths of one.
TIMEOUT = 2.0
#: Seconds that an exchange may take that does not stall, on however busy a machine, and an attempt beside them.
ORDINARY, OVERHEAD = 0.5, 1.0
POLICY = RetryPolicy()


@dataclass(frozen=True)
class Attempt:
    """What happened in one attempt: its exchanges, its waits, and the seconds that it took beside them."""

    exchanges: list[Exchange]
    waits: list[float]
    seconds: float

    def __str__(self) -> str:
        went = [
            f"{exchange.asked}: {exchange.fault.name if exchange.fault else exchange.status}"
            for exchange in self.exchanges
        ]
        return "\n".join([*went, f"waited {self.waits}, took {self.seconds:.2f} seconds beside"])


class Ledger:
    """Keeps what attempts took, and compares it with what the policy allows.

    Attributes:
        attempts: the attempts so far.
    """

    def __init__(self, proxy: Proxy, clock: TurnedClock) -> None:
        self.attempts: list[Attempt] = []
        self._proxy = proxy
        self._clock = clock

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Enter what happens in the block as one attempt."""
        exchanges, waits, start = len(self._proxy.exchanges), len(self._clock.waits), time.monotonic()
        yield
        seconds = time.monotonic() - start
        self.attempts.append(Attempt(self._proxy.exchanges[exchanges:], self._clock.waits[waits:], seconds))

    def assert_within_policy(self) -> None:
        """Fail unless each attempt waited as its policy says after each fault, and at no other time; show figures."""
        for attempt in self.attempts:
            met = [exchange.fault for exchange in attempt.exchanges]
            allowed = allowed_waits(met, POLICY)
            assert len(attempt.waits) == len(allowed), str(attempt)
            for wait, (least, most) in zip(attempt.waits, allowed, strict=True):
                assert least - 1e-6 <= wait <= most + 1e-6, str(attempt)
            stalls = sum(fault is not None and fault.act in (Act.STALL, Act.STALL_HALFWAY) for fault in met)
            assert attempt.seconds <= stalls * TIMEOUT + len(met) * ORDINARY + OVERHEAD, str(attempt)
        exchanges = [exchange for attempt in self.attempts for exchange in attempt.exchanges]
        kinds = Counter(exchange.fault.name for exchange in exchanges if exchange.fault is not None)
        faults, share = kinds.total(), kinds.total() / len(exchanges)
        longest = max(sum(attempt.waits) + attempt.seconds for attempt in self.attempts)
        print(f"{len(self.attempts)} attempts, {len(exchanges)} exchanges, {faults} faults ({share:.1%})")
        print(f"the longest attempt took {longest:.1f} seconds, waits included; {dict(sorted(kinds.items()))}")


@pytest.fixture
def synapse() -> Iterator[Synapse]:
    """A Synapse of the test's own, so that its accounts can be counted; it wants a token and its terms accepted."""
    with throwaway_synapse(TOKEN, TERMS) as running:
        yield running


@pytest.fixture
def proxy(synapse: Synapse, draw: random.Random) -> Iterator[Proxy]:
    """Run a proxy in front of the Synapse."""
    with faulty_proxy(urlsplit(synapse.base_url).port or 0, draw) as running:
        yield running


@pytest.fixture
def clock(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> TurnedClock:
    """Have waits take no time, and the proxy open its port again in those after a refusal."""

    class Clock(TurnedClock):
        def wait(self, *arguments: object) -> None:
            super().wait(*arguments)  # type: ignore[arg-type]  # passed on as they came
            # One wait follows each failure, and all failures but a refusal are in the proxy's book already.
            if len(self.waits) > sum(exchange.fault is not None for exchange in proxy.exchanges):
                proxy.note_refusal()

    turned = Clock()
    monkeypatch.setattr(Handover, "clock", turned)
    return turned


@pytest.fixture
def ledger(proxy: Proxy, clock: TurnedClock) -> Ledger:
    """Keep what the attempts of the test take."""
    return Ledger(proxy, clock)


@pytest.fixture
def homeserver(proxy: Proxy) -> Iterator[Homeserver]:
    """The library's side of the proxy."""
    with Homeserver(proxy.base_url, timeout=TIMEOUT) as connected:
        yield connected
