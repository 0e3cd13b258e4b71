"""What the unit tests share: no sockets, a clock that takes no time, a server and a user that follow a script."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser

from interactive_auth import InteractiveAuth
from interactive_auth._engine.handover import Handover


class LocalSocket(socket.socket):
    """A socket that never leaves the process: an event loop wakes itself by a pair of them."""

    def __init__(self, family: int = -1, *arguments: Any, **named: Any) -> None:
        assert family == socket.AF_UNIX, "a unit test opens no socket"
        super().__init__(family, *arguments, **named)


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that opens a socket."""
    monkeypatch.setattr(socket, "socket", LocalSocket)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Put a clock that takes no time in the place of the system's."""
    fake = FakeClock()
    monkeypatch.setattr(Handover, "clock", fake)
    return fake


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from freeing what should be free without it."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the random part of every wait the longest possible."""
    monkeypatch.setattr("interactive_auth._retry.random.uniform", lambda _low, high: high)


@pytest.fixture
def server(clock: FakeClock) -> ScriptedServer:
    """Return the server side of the attempt under test."""
    return ScriptedServer(clock)


@pytest.fixture
def user() -> ScriptedUser:
    """Return the callback side of the attempt under test."""
    return ScriptedUser()


@pytest.fixture
def patient(user: ScriptedUser) -> ScriptedUser:
    """Return a user who completes every stage elsewhere."""
    user.then_always(None)
    return user


@pytest.fixture
def answering(user: ScriptedUser) -> ScriptedUser:
    """Return a user who answers every stage with its type."""
    user.then_always(lambda stage: {"type": stage.type})
    return user


@pytest.fixture
def new_auth(server: ScriptedServer, user: ScriptedUser) -> NewAuth:
    """Return a maker of the object under test, between the scripted server and the scripted user."""
    return lambda **options: InteractiveAuth(server, user, **options)
