"""Whole exchanges with a hostile server, played from the bytes that it sends; and the invariant, stated here only.

An attempt returns, or raises an ``InteractiveAuthError`` or the callback's own exception, after a bounded number of
requests, in bounded time and memory.

The bytes go through requests, urllib3 and http.client, over a pair of sockets instead of a network. Shared by the
tests here and by the fuzz target, so this imports neither pytest nor anything beside it.
"""

from __future__ import annotations

import copy
import getpass
import io
import itertools
import json
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, NamedTuple
from unittest.mock import patch

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection

from interactive_auth import (
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    Stage,
    console,
    handlers,
    raise_for_matrix_error,
)
from interactive_auth._handover import Clock, Handover

#: Twenty requests without progress, four sendings each, for each of the lengths that a flow can have, and polls.
MOST_REQUESTS = 2000
#: Seconds on the attempt's own clock: the longest wait for a rate limit before each request without progress.
MOST_WAITED = 120.0 * MOST_REQUESTS
#: Characters of an error's text: ten flows, each named with three reasons, all of it escaped.
LONGEST_TEXT = 64 * 1024
#: CPU seconds for an exchange, and for each byte that was received in it: a hundred times what is needed.
CPU_SECONDS, CPU_SECONDS_PER_BYTE = 5.0, 20e-6
#: In an answer it is replaced by the request's number: endless new sessions, flows and stages.
NUMBER = b"#N#"
#: More than this is not sent in one piece; what is larger belongs on a real socket.
MOST_BYTES = 64 * 1024
ADDRESS = "http://127.0.0.1:8008"


class CallbackError(Exception):
    """The callback's own exception."""


class JumpingClock(Clock):
    """A clock that takes no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds waited so far."""
        return self.now

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Jump to the end of the wait."""
        assert seconds > 0
        self.now += seconds


class Script:
    """The answers, given in turn, for ever; and what came of it so far."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = itertools.cycle(answers or [b""])
        self.requests = 0
        self.received = 0

    def count(self) -> None:
        """Count a request."""
        self.requests += 1
        assert self.requests <= MOST_REQUESTS, "requests without end"

    def connect(self) -> socket.socket:
        """Return the client's end of a connection on which the next answer has come already."""
        self.count()
        answer = next(self._answers).replace(NUMBER, b"%d" % self.requests)[:MOST_BYTES]
        self.received += len(answer)
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST_BYTES)
            theirs.setblocking(False)
            theirs.sendall(answer)
            theirs.shutdown(socket.SHUT_WR)
            # It must not be closed before the request was written to it, but nobody reads that request.
            self._open = theirs.dup()
        return ours

    def close(self) -> None:
        """Close the server's end of the last connection."""
        if self.requests:
            self._open.close()


def adapter_for(script: Script) -> type[HTTPAdapter]:
    """Return an adapter of requests' that connects to the script, whatever it is asked to connect to."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            script.close()
            return script.connect()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class PoolWithoutTLS(HTTPSConnectionPool):
        ConnectionCls = Connection  # type: ignore[assignment]

        def _new_conn(self) -> Any:
            self.num_connections += 1
            return self.ConnectionCls(self.host, self.port, timeout=self.timeout.connect_timeout)

        def _validate_conn(self, conn: Any) -> None:
            if conn.is_closed:
                conn.connect()

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": PoolWithoutTLS}

    return Adapter


class Client(NamedTuple):
    """What an exchange is played with.

    Attributes:
        open: makes a ``Homeserver`` at an address.
        session: a session of requests' that connects to the script.
        script: what the server answers.
    """

    open: Callable[..., Homeserver]
    session: requests.Session
    script: Script


def answer(stage: Stage) -> dict[str, Any]:
    """Answer every stage, with its type alone."""
    return {"type": stage.type}


def refuse(stage: Stage) -> dict[str, Any]:
    """Answer the first two stages, and then raise."""
    if len(stage.completed) + stage.attempt > 2:
        raise CallbackError
    return {"type": stage.type}


def read_all(stage: Stage) -> None:
    """Do with a stage what a program may do with it, and wait for it to be done elsewhere."""
    assert copy.deepcopy(stage) == stage or "nan" in repr(stage)
    pickle.dumps(stage)
    json.dumps(dict(stage.params))
    assert stage.client_secret not in repr(stage)


def ready_made(homeserver: Homeserver) -> Mapping[str, Any]:
    """Return the ready-made handlers, with a person who is content with everything."""
    page = handlers.fallback(homeserver, str)
    return {
        "m.login.password": handlers.password("alice", "wrong"),
        "m.login.registration_token": handlers.registration_token(lambda: "a-token"),
        "m.login.recaptcha": handlers.recaptcha(lambda key, url: key[:20] or "solved", homeserver),
        "m.login.terms": handlers.terms(lambda policies: all(policy.url for policy in policies)),
        "m.login.email.identity": handlers.email(read_all, ask_address=lambda: "alice@example.org"),
        "m.login.msisdn": handlers.msisdn(lambda: "123456", homeserver, ask_number=lambda: ("GB", "7700900000")),
        "m.oauth": handlers.oauth(str),
        "*": page,
    }


INPUTS: Any = {"email_address": "alice@example.org", "phone_country": "GB", "phone_number": "7700900000"}


def register(client: Client) -> object:
    """Register by a callback that answers every stage."""
    return client.open(ADDRESS).register("alice", "correct horse").authenticate(answer)


def register_on_a_whim(client: Client) -> object:
    """Register by a callback that raises after a while."""
    return client.open(ADDRESS).register("alice").authenticate(refuse)


def register_ready_made(client: Client) -> object:
    """Register by the ready-made handlers, which are told all that the server says."""
    homeserver = client.open(ADDRESS)
    return homeserver.register("alice").authenticate(ready_made(homeserver), poll_timeout=20)


def register_with_inputs(client: Client) -> object:
    """Register with an address and a number, so that mail and SMS are asked for first."""
    homeserver = client.open(ADDRESS)
    return homeserver.register("alice").authenticate(ready_made(homeserver), inputs=INPUTS, poll_timeout=20)


def register_at_a_console(client: Client) -> object:
    """Register by the console's handlers; nothing may reach the terminal that steers it."""
    homeserver = client.open(ADDRESS)
    shown = io.StringIO()

    def read(prompt: str = "") -> str:
        shown.write(prompt)
        return "y"

    try:
        with redirect_stdout(shown), patch("builtins.input", read), patch.object(getpass, "getpass", read):
            return homeserver.register("alice").authenticate(console.handlers(homeserver), poll_timeout=5)
    finally:
        steering = [c for c in shown.getvalue() if not c.isprintable() and c not in "\n\r"]
        assert not steering, f"these reach the terminal: {steering[:10]!r}"


def wait_for_stages(client: Client) -> object:
    """Delete a device, with every stage done elsewhere."""
    homeserver = client.open(ADDRESS, access_token="the-access-token")
    request = homeserver.delete_device("ABC")
    return request.authenticate(read_all, email_sid="e", msisdn_sid="m", poll_timeout=20)


def come_back(client: Client) -> object:
    """Go on in another process after whatever ended the first attempt."""
    request = client.open(ADDRESS).register("alice")
    auth: InteractiveAuth[Any] = InteractiveAuth(request, answer)
    try:
        return auth.attempt_auth()
    except InteractiveAuthError:
        state = auth.get_resume_state()
    carried = json.loads(json.dumps(state))
    again: InteractiveAuth[Any] = InteractiveAuth(request, answer, **carried)
    assert json.dumps(again.get_resume_state()) == json.dumps(state)
    return again.attempt_auth()


def request_tokens(client: Client) -> object:
    """Ask for a mail and an SMS by hand, and post the code of the latter."""
    homeserver = client.open(ADDRESS)
    request = homeserver.change_password("better horse")
    auth: InteractiveAuth[Any] = InteractiveAuth(
        request, answer, inputs=INPUTS, request_email_token=request.request_email_token,
        request_msisdn_token=request.request_msisdn_token,
    )  # fmt: skip
    auth.request_email_token()
    auth.request_msisdn_token()
    assert auth.get_email_sid()
    params = auth.get_stage_params("m.login.msisdn") or {}
    url = params.get("submit_url") or f"{ADDRESS}/submit"
    return homeserver.submit_token(url, auth.get_msisdn_sid() or "", auth.get_client_secret(), "123456")


def ask_validity(client: Client) -> object:
    """Ask whether a registration token is valid."""
    return client.open(ADDRESS).registration_token_validity("a-token")


def ask_available(client: Client) -> object:
    """Ask whether a user name is free."""
    return client.open(ADDRESS).username_available("alice")


def discover(client: Client) -> object:
    """Find a homeserver by its name."""
    return Homeserver.discover("@alice:example.org").base_url


def discover_by_session(client: Client) -> object:
    """Find a homeserver by its name, by a session of the caller's."""
    return Homeserver.discover("example.org", session=client.session).base_url


def register_by_session(client: Client) -> object:
    """Register by a session of the caller's."""
    return client.open(ADDRESS, session=client.session).register("alice").authenticate(answer)


def register_by_hand(client: Client) -> object:
    """Register by a request that is written by hand, over requests."""

    def do_request(auth: dict[str, Any] | None) -> dict[str, Any]:
        body = {} if auth is None else {"auth": auth}
        # requests reads a Location that it is not to follow, and stumbles. As the cause of another error that would
        # keep alive the response that requests has dropped without closing it.
        with suppress(ValueError):
            response = client.session.post(f"{ADDRESS}/x", json=body, timeout=10, allow_redirects=False, stream=True)
            return raise_for_matrix_error(response)
        raise CallbackError

    try:
        return InteractiveAuth(do_request, answer).attempt_auth()
    except requests.RequestException as error:  # do_request's own, raised once it was repeated as often as is allowed
        raise CallbackError from error


SCENES: Sequence[Callable[[Client], object]] = (
    register,
    register_on_a_whim,
    register_ready_made,
    register_with_inputs,
    register_at_a_console,
    wait_for_stages,
    come_back,
    request_tokens,
    ask_validity,
    ask_available,
    discover,
    discover_by_session,
    register_by_session,
    register_by_hand,
)


def check_error(error: BaseException) -> None:
    """Check that an error can be shown, logged and carried to another process, whatever the server said."""
    for text in (str(error), repr(error)):
        assert len(text) <= LONGEST_TEXT, f"{len(text)} characters"
        assert text.isprintable(), ascii(text)
    carried = pickle.loads(pickle.dumps(error))
    assert type(carried) is type(error)
    assert str(carried) == str(error)
    assert str(copy.deepcopy(error)) == str(error)
    if error.__cause__ is not None and isinstance(error.__cause__, InteractiveAuthError):
        check_error(error.__cause__)


@contextmanager
def in_no_time() -> Iterator[JumpingClock]:
    """Let no wait of an attempt's take time."""
    clock = JumpingClock()
    with patch.object(Handover, "clock", clock):
        yield clock


def check_end(attempt: Callable[[], object], received: Callable[[], int] = lambda: 0) -> object:
    """Run an attempt, and check that it ends as the invariant has it.

    Args:
        attempt: what is run; it counts its own requests.
        received: returns how many bytes were received in it.

    Returns:
        What it returned or raised.
    """
    begun = time.thread_time()
    with in_no_time() as clock:
        try:
            ended = attempt()
        except (InteractiveAuthError, CallbackError) as error:
            ended = error
    if isinstance(ended, InteractiveAuthError):
        check_error(ended)
    spent = time.thread_time() - begun
    assert clock.now <= MOST_WAITED, f"waited {clock.now:g} seconds"
    assert spent <= CPU_SECONDS + CPU_SECONDS_PER_BYTE * received(), f"took {spent:g} seconds of CPU"
    return ended


def play(scene: Callable[[Client], object], answers: Sequence[bytes]) -> object:
    """Play one exchange of a scene with a server that sends these answers in turn, for ever; check the invariant.

    Returns:
        What the scene returned or raised.
    """
    script = Script(answers)
    adapter = adapter_for(script)
    opened: list[Homeserver] = []

    def open_homeserver(address: str, **options: Any) -> Homeserver:
        opened.append(Homeserver(address, **options))
        return opened[-1]

    with patch("interactive_auth._transport.HTTPAdapter", adapter), requests.Session() as session:
        session.trust_env = False
        session.mount("http://", adapter())
        session.mount("https://", adapter())
        try:
            return check_end(lambda: scene(Client(open_homeserver, session, script)), lambda: script.received)
        finally:
            for homeserver in opened:
                homeserver.close()
            script.close()
