"""What the tests of secrets share: the servers and clients of the wire tests, and a look at all that comes to light."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from interactive_auth import Homeserver, InteractiveAuth, RetryPolicy

from ..wire.conftest import (  # noqa: F401 (fixtures)
    WireServer,
    authority,
    connect,
    elsewhere,
    environment,
    server,
    tls_server,
)
from .canaries import CANARIES, found_in, shown_of_error, shown_of_record


class Witness:
    """Remembers errors and objects, and looks at what is shown of them and at what was logged and printed.

    Attributes:
        errors: what is raised goes here.
        objects: public objects go here.
        loggers: the loggers that something was logged by.
    """

    def __init__(self, records: Callable[[], list[logging.LogRecord]], printed: Callable[[], str]) -> None:
        self._records = records
        self._printed = printed
        self.errors: list[BaseException] = []
        self.objects: list[Any] = []
        self.loggers: set[str] = set()

    def seen(self) -> list[str]:
        """Return where which secrets have come to light since the last call; there should be none."""
        shown = [("printed", self._printed())]
        for record in self._records():
            self.loggers.add(record.name)
            shown += shown_of_record(record)
        for error in self.errors:
            shown += shown_of_error(error)
        for thing in self.objects:
            shown += [(f"repr of {type(thing).__name__}", repr(thing)), (f"text of {type(thing).__name__}", str(thing))]
        self._records().clear()
        self.errors.clear()
        self.objects.clear()
        return sorted({f"{name} in the {where}" for where, text in shown for name in found_in(text)})


@pytest.fixture
def witness(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Witness:
    """Look on, with all loggers at DEBUG."""
    caplog.set_level(logging.DEBUG)
    return Witness(lambda: caplog.records, lambda: "".join(capfd.readouterr()))


class World:
    """What a path through an authentication needs.

    Attributes:
        homeserver: the client.
        witness: is shown every public object that there is.
    """

    def __init__(self, homeserver: Homeserver, witness: Witness) -> None:
        self.homeserver = homeserver
        self.witness = witness
        witness.objects.append(homeserver)

    def attempt(self, request: Any, stages: dict[str, Any], **options: Any) -> Any:
        """Go through an authentication."""
        auth = self.auth(request, stages, **options)
        return auth.attempt_auth()

    def auth(self, request: Any, stages: dict[str, Any], **options: Any) -> InteractiveAuth[Any]:
        """Make the object of an authentication, of which everything is seen by the witness."""

        def watched(callback: Callable[..., Any]) -> Callable[..., Any]:
            def answer(stage: Any) -> Any:
                self.witness.objects.append(stage)
                return callback(stage)

            return answer

        policy = RetryPolicy(0, 0.1)
        self.witness.objects += [request, policy, *stages.values()]
        options = {
            "client_secret": CANARIES["client secret"],
            "request_email_token": getattr(request, "request_email_token", None),
            "request_msisdn_token": getattr(request, "request_msisdn_token", None),
            "poll_interval": 0.01,
            "poll_timeout": 0.03,
            "max_attempts": 2,
            "retry": policy,
            **options,
        }
        auth = InteractiveAuth(request, {kind: watched(callback) for kind, callback in stages.items()}, **options)
        self.witness.objects.append(auth)
        return auth


@pytest.fixture
def world(connect: Callable[..., Homeserver], server: WireServer, witness: Witness) -> Callable[[float], World]:  # noqa: F811 (fixtures)
    """Return a maker of what a path needs, with so many seconds of patience."""

    def make(timeout: float) -> World:
        return World(connect(server.base_url, access_token=CANARIES["access token"], timeout=timeout), witness)

    return make
