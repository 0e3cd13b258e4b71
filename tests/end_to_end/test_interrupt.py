"""Ctrl-C, a real SIGINT to a program of its own, at each point where an attempt waits; and what comes after it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interactive_auth import AuthCancelledError, Homeserver, InteractiveAuth

if TYPE_CHECKING:
    from concurrent.futures import Future

    from conftest import Inbox, Stub
    from throwaway_synapse import Synapse

    Connect = Callable[..., Homeserver]
    Run = Callable[..., subprocess.Popen[str]]
    InBackground = Callable[[Callable[[], Any]], Future[Any]]

PROGRAM = Path(__file__).with_name("interrupted_program.py")
EMAIL = "m.login.email.identity"
MAGIC = "com.example.magic"
#: Seconds within which a wait of a minute has to end.
AT_ONCE = 5.0
#: Seconds from the answer that makes the program wait to the moment when it surely waits.
SETTLED = 0.2
BUSY = 503, {"errcode": "M_UNKNOWN", "error": "being restarted"}
LIMITED = 429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 60_000}


class Trouble:
    """The answers of a homeserver that has one session and one stage, and is in trouble until it is over.

    Args:
        stage: the stage that it wants.
        answer: what it answers to requests of that stage, and to token requests.
    """

    def __init__(self, stage: str, answer: tuple[int, dict[str, Any]]) -> None:
        self.sessions: list[str | None] = []
        self.over = False
        self._stage = stage
        self._answer = answer

    def __call__(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/requestToken"):
            return (200, {"sid": "sid"}) if self.over else self._answer
        auth = body.get("auth")
        self.sessions.append(auth and auth["session"])
        if auth is None:
            session = f"session{len(self.sessions)}"
            return 401, {"session": session, "flows": [{"stages": [self._stage]}], "params": {}}
        return (200, {"user_id": "@alice:example.org"}) if self.over else self._answer


@pytest.fixture
def run_program() -> Iterator[Run]:
    """Run the program that will be interrupted; it is killed after the test, or when it hangs."""
    processes: list[subprocess.Popen[str]] = []
    timers: list[threading.Timer] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAM), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        timers.append(threading.Timer(30.0, process.kill))
        timers[-1].start()
        return process

    yield run
    for process, timer in zip(processes, timers, strict=True):
        timer.cancel()
        timer.join()
        process.kill()
        process.communicate()


def interrupt(program: subprocess.Popen[str]) -> tuple[str, float]:
    """Send Ctrl-C, and return the program's next line of output and the seconds until then."""
    time.sleep(SETTLED)
    begun = time.monotonic()
    program.send_signal(signal.SIGINT)
    return next_line(program), time.monotonic() - begun


def next_line(program: subprocess.Popen[str]) -> str:
    """Return the program's next line of output."""
    assert program.stdout is not None
    return program.stdout.readline().rstrip("\n")


def try_again(program: subprocess.Popen[str]) -> list[str]:
    """Have the program try again, and return what it prints until it ends."""
    output, _ = program.communicate("\n", timeout=30)
    return output.splitlines()


def test_ctrl_c_ends_the_wait_for_a_mail(
    mail_synapse: Synapse, inbox: Inbox, username: str, address: str, run_program: Run
) -> None:
    """KeyboardInterrupt leaves the wait between two polls at once; a second attempt finishes the same session."""
    program = run_program(mail_synapse.base_url, username, address)
    assert next_line(program) == "waiting"

    line, took = interrupt(program)
    inbox.open_link(address)
    *_, last = try_again(program)

    owner = mail_synapse.admin("GET", f"/_synapse/admin/v1/threepid/email/users/{address}")["user_id"]
    session = line.removeprefix("interrupted in ")
    assert line.startswith("interrupted in ")
    assert took < AT_ONCE
    assert last == f"finished {owner} in {session}"
    assert inbox.count(address) == 1
    assert program.returncode == 0


@pytest.mark.parametrize(
    ("stage", "address", "answer"),
    [
        pytest.param(MAGIC, "", BUSY, id="retry"),
        pytest.param(MAGIC, "", LIMITED, id="rate limit"),
        pytest.param(EMAIL, "alice@example.org", BUSY, id="retry of a token request"),
        pytest.param(EMAIL, "alice@example.org", LIMITED, id="rate limit of a token request"),
    ],
)
def test_ctrl_c_ends_the_wait_before_a_repetition(
    stub: Stub, run_program: Run, stage: str, address: str, answer: tuple[int, dict[str, Any]]
) -> None:
    """KeyboardInterrupt leaves the wait after trouble at once; a second attempt finishes the same session."""
    stub.answer = trouble = Trouble(stage, answer)
    program = run_program(stub.base_url, "alice", address)
    stub.wait_for_answers(2)

    line, took = interrupt(program)
    sent = len(stub.received)
    trouble.over = True
    *_, last = try_again(program)

    assert line == "interrupted in session1"
    assert took < AT_ONCE
    assert sent == 2
    assert last == "finished @alice:example.org in session1"
    assert trouble.sessions[0] is None
    assert set(trouble.sessions[1:]) == {"session1"}
    assert program.returncode == 0


def test_cancel_ends_the_wait_that_a_rate_limit_demands(
    stub: Stub, connect: Connect, in_background: InBackground
) -> None:
    """cancel() ends a wait of a minute at once, and a second attempt finishes the same session."""
    stub.answer = trouble = Trouble(MAGIC, LIMITED)
    auth = InteractiveAuth(connect(stub.base_url).register("alice"), lambda stage: {"type": stage.type})
    outcome = in_background(auth.attempt_auth)
    stub.wait_for_answers(2)

    time.sleep(SETTLED)
    auth.cancel()
    with pytest.raises(AuthCancelledError):
        outcome.result(AT_ONCE)
    trouble.over = True
    account = auth.attempt_auth()

    assert account["user_id"] == "@alice:example.org"
    assert trouble.sessions == [None, "session1", "session1"]
