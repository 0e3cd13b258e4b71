"""The calls beside the loop: repeated after trouble and rate limits, by the policy of the homeserver, and once only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.handmade import answered

from interactive_auth import (
    Homeserver,
    HomeserverConnectionError,
    InteractiveAuth,
    MatrixError,
    RetryPolicy,
    ServerProtocolError,
)
from interactive_auth._http import repeating

ADDRESS = "https://matrix.example.org"
SECRET = "hunter2-hunter2"
LIMITED = (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 500})
AWAY = (502, {})
LOST = (0, {})
VALID = {"available": True, "valid": True, "success": True, "sid": "a-sid", "user_id": "@alice:example.org"}
FINE = (200, {**VALID, "access_token": "fresh-token", "device_id": "DEVICE"})

CALLS: dict[str, Callable[[Homeserver], object]] = {
    "username_available": lambda homeserver: homeserver.username_available("alice"),
    "registration_token_validity": lambda homeserver: homeserver.registration_token_validity(SECRET),
    "submit_token": lambda homeserver: homeserver.submit_token(f"{ADDRESS}/code", "a-sid", SECRET, SECRET),
    "request_email_token": lambda homeserver: homeserver.request_email_token("register", "a@example.org", SECRET),
    "request_msisdn_token": lambda homeserver: homeserver.request_msisdn_token("register", "GB", "07700", SECRET),
    "login": lambda homeserver: homeserver.login("alice", SECRET),
    "refresh": lambda homeserver: homeserver.refresh(SECRET),
    "logout": lambda homeserver: homeserver.logout(),
    "whoami": lambda homeserver: homeserver.whoami(),
}


class Script(BaseAdapter):
    """Gives the answers of a plan, the last one for ever; a status of 0 is a connection that broke."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.plan: list[tuple[int, Any]] = [FINE]

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent.append(request)
        status, body = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if not status:
            raise requests.ConnectionError("cut")
        return answered(request, status, body)

    def close(self) -> None:
        """Do nothing."""


class Clock(repeating.Clock):
    """Notes how long was waited for."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.interrupt = False

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.interrupt:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, no_jitter: None) -> Clock:
    """Put a clock that takes no time in the place of the system's."""
    made = Clock()
    monkeypatch.setattr(repeating, "clock", made)
    return made


@pytest.fixture
def script() -> Script:
    """Return what takes the place of the network."""
    return Script()


@pytest.fixture
def connect(script: Script) -> Iterator[Callable[..., Homeserver]]:
    """Make homeservers behind the script."""
    with requests.Session() as session:
        session.mount(ADDRESS, script)
        yield lambda **options: Homeserver(ADDRESS, session=session, access_token="a-token", **options)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_trouble_that_passes(
    script: Script, connect: Callable[..., Homeserver], clock: Clock, call: Callable[[Homeserver], object]
) -> None:
    """A rate limit is waited for, and trouble a growing while, and the same is sent again."""
    script.plan = [LIMITED, AWAY, LOST, FINE]

    call(connect())

    assert clock.waits == [0.5, 0.5, 1.0]
    assert len(script.sent) == 4
    assert len({(sent.method, sent.url, sent.body) for sent in script.sent}) == 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_is_repeated_for_who_wants_that(
    script: Script, connect: Callable[..., Homeserver], clock: Clock, call: Callable[[Homeserver], object]
) -> None:
    """Without a policy the first answer counts."""
    for answer, error in ((LIMITED, MatrixError), (AWAY, MatrixError), (LOST, HomeserverConnectionError)):
        script.plan = [answer]
        with pytest.raises(error):
            call(connect(retry=None))

    assert len(script.sent) == 3
    assert clock.waits == []


def test_trouble_without_end(script: Script, connect: Callable[..., Homeserver], clock: Clock) -> None:
    """After so many repetitions the first of the troubles is raised."""
    script.plan = [LOST, AWAY]

    with pytest.raises(HomeserverConnectionError):
        connect(retry=RetryPolicy(retries=2)).whoami()

    assert len(script.sent) == 3


def test_a_limit_that_is_too_long(script: Script, connect: Callable[..., Homeserver], clock: Clock) -> None:
    """A wait that is longer than allowed is raised, with the seconds."""
    script.plan = [LIMITED]

    with pytest.raises(MatrixError, match="again in 0 s") as caught:
        connect(retry=RetryPolicy(max_wait=0.1)).whoami()

    assert caught.value.retry_after == 0.5
    assert (len(script.sent), clock.waits) == (1, [])


@pytest.mark.parametrize("answer", [(400, {"errcode": "M_USER_IN_USE"}), (200, {"available": "?"})], ids=str)
def test_an_answer_is_an_answer(script: Script, connect: Callable[..., Homeserver], answer: tuple[int, Any]) -> None:
    """What is neither trouble nor a limit is not asked for again, not even a name in use after a lost answer."""
    script.plan = [LOST, answer, FINE]

    if answer[0] == 400:
        assert connect().username_available("alice") is False
    else:
        with pytest.raises(ServerProtocolError):
            connect().username_available("alice")

    assert len(script.sent) == 2


def test_ctrl_c_ends_the_wait(script: Script, connect: Callable[..., Homeserver], clock: Clock) -> None:
    """An interrupt goes through, and nothing is sent after it."""
    script.plan = [LIMITED]
    clock.interrupt = True

    with pytest.raises(KeyboardInterrupt):
        connect().whoami()

    assert len(script.sent) == 1


def test_the_system_s_clock_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is one that Ctrl-C ends at once."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    repeating.Clock().wait(2.5)

    assert slept == [2.5]


def test_what_the_log_says(
    script: Script, connect: Callable[..., Homeserver], caplog: pytest.LogCaptureFixture
) -> None:
    """Each wait is told, without words that a server could quote a secret in."""
    caplog.set_level(logging.DEBUG, "interactive_auth")
    script.plan = [(502, {"errcode": SECRET, "error": SECRET}), LOST, FINE]

    connect().login("alice", SECRET)

    assert "the answer is 502; the same again in 0.5 s" in caplog.text
    assert "the answer is HomeserverConnectionError; the same again in 1 s" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.usefixtures("clock")
def test_the_loop_s_token_requests_are_repeated_once(
    script: Script, connect: Callable[..., Homeserver], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A token request that an InteractiveAuth makes is repeated by its policy alone, whoever has bound it."""
    from support.clocks import FakeClock

    from interactive_auth._engine.handover import Handover

    monkeypatch.setattr(Handover, "clock", FakeClock())
    homeserver = connect()
    script.plan = [AWAY]
    bound = [
        homeserver.register("alice", SECRET).request_email_token,
        lambda *arguments: homeserver.request_email_token("register", *arguments),
    ]
    for request in bound:
        script.sent.clear()
        auth = InteractiveAuth(lambda auth: None, {}, request_email_token=request)
        with pytest.raises(MatrixError):
            auth.request_email_token("alice@example.org")

        assert len(script.sent) == 4
    assert clock.waits == []
    script.plan = [AWAY, FINE]
    homeserver.request_email_token("register", "alice@example.org", SECRET)
    assert clock.waits == [0.5]
