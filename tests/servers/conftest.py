"""A server that plays recorded answers, a clock on which waiting takes no time, and the real homeservers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.dendrite import CLOSED, OPEN, throwaway_dendrite
from support.wire import Reply, Sent, Wire, serve
from throwaway_services import MailServer, SmsGateway, captcha_verifier
from throwaway_synapse import OPEN as OPEN_SYNAPSE
from throwaway_synapse import TOKEN, Synapse, throwaway_synapse

from interactive_auth._engine.handover import Bell, Clock, Handover

from .real import CAPTCHA_RESPONSE, Kind
from .recorded import SID

Run = Callable[[str, Kind], Synapse]


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


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run real homeservers, each configuration of each when it is first wanted."""
    running: dict[tuple[str, Kind], Synapse] = {}
    with ExitStack() as stack:

        def start(name: str, kind: Kind) -> Synapse:
            if name == "synapse":
                mails: MailServer = request.getfixturevalue("mails")
                texts: SmsGateway = request.getfixturevalue("texts")
                mail = {"enable_registration": True, "registrations_require_3pid": ["email"], **mails.config()}
                parts = {"email": (mail,), "everything": (TOKEN, mails.config(), texts.config())}
                return stack.enter_context(throwaway_synapse(*parts.get(kind, (OPEN_SYNAPSE,))))
            config = CLOSED if kind == "closed" else OPEN
            if kind == "captcha":
                config = {**config, **stack.enter_context(captcha_verifier(CAPTCHA_RESPONSE))}
            return stack.enter_context(throwaway_dendrite(request.getfixturevalue("dendrite_program"), config))

        def run(name: str, kind: Kind) -> Synapse:
            if (name, kind) not in running:
                running[name, kind] = start(name, kind)
            return running[name, kind]

        yield run
