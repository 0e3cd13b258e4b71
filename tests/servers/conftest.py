"""A server that plays recorded answers, and a clock on which waiting takes no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.wire import Reply, Sent, Wire, serve

from interactive_auth._engine.handover import Bell, Clock, Handover

from .recorded import SID


class TurnedClock(Clock):
    """A clock that waiting turns on.

    Attributes:
        waits: the seconds of each wait so far.
    """

    def __init__(self) -> None:
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return sum(self.waits)

    def wait(self, bell: Bell, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> TurnedClock:
    """Have everything wait by a clock that is turned on at once."""
    turned = TurnedClock()
    monkeypatch.setattr(Handover, "clock", turned)
    return turned


@pytest.fixture
def play() -> Iterator[Callable[[tuple[Reply, ...]], Wire]]:
    """Run a server that plays replies one by one, then refuses; token requests are granted, and not kept."""
    with serve(lambda sent: Reply(500, {})) as wire:

        def start(replies: tuple[Reply, ...]) -> Wire:
            left = iter(replies)

            def answer(sent: Sent) -> Reply:
                if sent.path.endswith("/requestToken"):
                    wire.sent.remove(sent)
                    return Reply(200, {"sid": SID})
                if sent.method == "GET" and sent.path.endswith(("/auth_metadata", "/login")):
                    wire.sent.remove(sent)  # what is asked after some refusals; the accounts are the homeserver's own
                    return Reply(404, {"errcode": "M_UNRECOGNIZED"})
                return next(left, Reply(418, {"errcode": "NO_MORE_WAS_EXPECTED"}))

            wire.answer = answer
            return wire

        yield start
