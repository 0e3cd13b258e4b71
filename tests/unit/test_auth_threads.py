"""Real threads and the real clock: what reaches a waiting loop from elsewhere, without a single sleep.

The waits last half a minute unless something wakes them, and no test waits that long.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from interactive_auth import AuthCancelledError, InteractiveAuth, MatrixError, Stage
from interactive_auth._engine.handover import Handover, Submission

SSO = "m.login.sso"
CHALLENGE = MatrixError(401, {"flows": [{"stages": [SSO]}], "session": "S1"})
#: Far longer than anything here takes, and shorter than the waits that have to be woken from.
PATIENCE = 10.0


class Waiter:
    """An attempt that waits: the first request is challenged, and the callback leaves the stage to others."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any] | None] = []
        self.threads: set[int] = set()
        self.asked = threading.Event()
        self.auth = InteractiveAuth(self._request, self._stage, poll_interval=30.0, busy_changed=self._note)

    def _note(self, *_: object) -> None:
        self.threads.add(threading.get_ident())

    def _request(self, auth: dict[str, Any] | None) -> str:
        self._note()
        self.sent.append(auth)
        if auth is None:
            raise CHALLENGE
        return "done"

    def _stage(self, _stage: Stage) -> None:
        self._note()
        self.asked.set()


@pytest.fixture
def waiter() -> Waiter:
    """Return an attempt that is about to wait."""
    return Waiter()


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Future[Any]]]:
    """Return a starter of functions in other threads."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


def after(event: threading.Event, action: Callable[..., object], *arguments: Any) -> None:
    """Do something as soon as an event has happened."""
    assert event.wait(PATIENCE)
    action(*arguments)


def test_submit_wakes_the_loop(waiter: Waiter, elsewhere: Callable[..., Future[Any]]) -> None:
    """What another thread submits is sent at once."""
    other = elsewhere(after, waiter.asked, waiter.auth.submit_auth_dict, {"type": SSO})

    assert waiter.auth.attempt_auth() == "done"
    other.result(PATIENCE)
    assert waiter.sent == [None, {"type": SSO, "session": "S1"}]


def test_poll_wakes_the_loop(waiter: Waiter, elsewhere: Callable[..., Future[Any]]) -> None:
    """What another thread asks to poll is polled at once."""
    other = elsewhere(after, waiter.asked, waiter.auth.poll)

    assert waiter.auth.attempt_auth() == "done"
    other.result(PATIENCE)
    assert waiter.sent == [None, {"session": "S1"}]


def test_cancel_wakes_the_loop(waiter: Waiter, elsewhere: Callable[..., Future[Any]]) -> None:
    """What another thread cancels ends at once."""
    other = elsewhere(after, waiter.asked, waiter.auth.cancel)

    with pytest.raises(AuthCancelledError):
        waiter.auth.attempt_auth()
    other.result(PATIENCE)
    assert waiter.sent == [None]


def test_ctrl_c_wakes_the_loop(waiter: Waiter, elsewhere: Callable[..., Future[Any]]) -> None:
    """A real SIGINT ends the wait of the main thread at once, and the next attempt goes on."""
    main = threading.main_thread().ident
    assert main == threading.get_ident()
    other = elsewhere(after, waiter.asked, signal.pthread_kill, main, signal.SIGINT)
    begun = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        waiter.auth.attempt_auth()
    other.result(PATIENCE)
    assert time.monotonic() - begun < PATIENCE

    again = elsewhere(poll_until_done, waiter)
    assert waiter.auth.attempt_auth() == "done"
    again.result(PATIENCE)


def poll_until_done(waiter: Waiter) -> None:
    """Ask for polls until one was made, since one asked for before the attempt does nothing."""
    while len(waiter.sent) < 2:
        waiter.auth.poll()


def test_everything_runs_in_the_callers_thread(waiter: Waiter, elsewhere: Callable[..., Future[Any]]) -> None:
    """Requests and callbacks are made in the thread that called attempt_auth(), whoever submits."""
    attempt = elsewhere(lambda: (threading.get_ident(), waiter.auth.attempt_auth()))
    after(waiter.asked, waiter.auth.submit_auth_dict, {"type": SSO})

    thread, response = attempt.result(PATIENCE)

    assert response == "done"
    assert waiter.threads == {thread}
    assert thread != threading.get_ident()


def test_a_second_threads_attempt(waiter: Waiter, elsewhere: Callable[..., Future[Any]]) -> None:
    """A second thread's attempt is refused, and the first goes on."""
    first = elsewhere(waiter.auth.attempt_auth)
    assert waiter.asked.wait(PATIENCE)

    with pytest.raises(RuntimeError, match="running already"):
        waiter.auth.attempt_auth()

    waiter.auth.poll()
    assert first.result(PATIENCE) == "done"
    assert len(waiter.sent) == 2


def test_one_of_many_submissions_is_taken(elsewhere: Callable[..., Future[Any]]) -> None:
    """Of many threads that submit at the same time one is heard, and all others are told so."""
    handover, start = Handover(), threading.Barrier(8)

    def submit(number: int) -> int:
        start.wait(PATIENCE)
        handover.submit(Submission({"n": number}))
        return number

    accepted = []

    @handover.run
    def _() -> None:
        for future in [elsewhere(submit, number) for number in range(8)]:
            with suppress(RuntimeError):
                accepted.append(future.result(PATIENCE))

        assert len(accepted) == 1
        assert handover.take_submission() == Submission({"n": accepted[0]})


def test_one_of_many_attempts_runs(elsewhere: Callable[..., Future[Any]]) -> None:
    """Of many threads that attempt at the same time one does, and all others are refused."""
    start, entered = threading.Barrier(8), threading.Event()
    sent: list[object] = []

    def request(auth: object) -> str:
        sent.append(auth)
        assert entered.wait(PATIENCE)
        return "done"

    auth = InteractiveAuth(request, {})

    def attempt() -> str:
        start.wait(PATIENCE)
        try:
            return auth.attempt_auth()
        except RuntimeError:
            return "refused"

    futures = [elsewhere(attempt) for _ in range(8)]
    refused = 0
    while refused < 7:
        refused = sum(future.done() for future in futures)
    entered.set()

    assert sorted(future.result(PATIENCE) for future in futures) == ["done"] + ["refused"] * 7
    assert sent == [None]


def test_one_client_secret_for_all_threads(
    elsewhere: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that ask for the client secret at the same time are told the same one."""
    both, numbers = threading.Barrier(2), iter(range(1, 9))

    def make(size: int) -> bytes:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return bytes([next(numbers)]) * size

    monkeypatch.setattr("interactive_auth._engine.options.secrets.token_bytes", make)
    auth = InteractiveAuth(lambda _auth: "done", {})

    secrets = {future.result(PATIENCE) for future in [elsewhere(auth.get_client_secret) for _ in range(2)]}

    assert secrets == {auth.get_client_secret()}
