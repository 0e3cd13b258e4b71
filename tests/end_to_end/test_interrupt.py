"""Ctrl-C, a real SIGINT to a program of its own, at each point where an attempt waits; and what comes after it."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.accounts import Connect, Person, owner_of_address
from support.programs import Start
from support.threads import Threads
from support.wire import Reply, Sent, Wire
from throwaway_services import MailServer
from throwaway_synapse import Synapse

from interactive_auth import AuthCancelledError, InteractiveAuth

PROGRAM = Path(__file__).with_name("interrupted_program.py")
EMAIL = "m.login.email.identity"
MAGIC = "com.example.magic"
#: Seconds within which a wait of a minute has to end.
AT_ONCE = 5.0
#: Seconds from the answer that makes the program wait to the moment when it surely waits.
SETTLED = 0.2
BUSY = Reply(503, {"errcode": "M_UNKNOWN", "error": "being restarted"})
LIMITED = Reply(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 60_000})


class Trouble:
    """The answers of a homeserver that has one session and one stage, and is in trouble until it is over.

    Args:
        stage: the stage that it wants.
        answer: what it answers to requests of that stage, and to token requests.
    """

    def __init__(self, stage: str, answer: Reply) -> None:
        self.sessions: list[str | None] = []
        self.over = False
        self._stage = stage
        self._answer = answer

    def __call__(self, sent: Sent) -> Reply:
        if sent.path.endswith("/requestToken"):
            return Reply(200, {"sid": "sid"}) if self.over else self._answer
        self.sessions.append(sent.auth and sent.auth["session"])
        if sent.auth is None:
            session = f"session{len(self.sessions)}"
            return Reply(401, {"session": session, "flows": [{"stages": [self._stage]}], "params": {}})
        return Reply(200, {"user_id": "@alice:example.org"}) if self.over else self._answer


@pytest.fixture
def run_program(start_program: Start) -> Start:
    """Run the program that will be interrupted."""
    return lambda *arguments: start_program(PROGRAM, *arguments, stderr=None)


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
    email_server: Synapse, mails: MailServer, new: Person, run_program: Start
) -> None:
    """KeyboardInterrupt leaves the wait between two polls at once; a second attempt finishes the same session."""
    program = run_program(email_server.base_url, new.name, new.address)
    assert next_line(program) == "waiting"

    line, took = interrupt(program)
    mails.open_link(new.address)
    *_, last = try_again(program)

    owner = owner_of_address(email_server, new.address)
    session = line.removeprefix("interrupted in ")
    assert line.startswith("interrupted in ")
    assert took < AT_ONCE
    assert last == f"finished {owner} in {session}"
    assert mails.count(new.address) == 1
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
    stub: Wire, run_program: Start, stage: str, address: str, answer: Reply
) -> None:
    """KeyboardInterrupt leaves the wait after trouble at once; a second attempt finishes the same session."""
    stub.answer = trouble = Trouble(stage, answer)
    program = run_program(stub.base_url, "alice", address)
    stub.wait_for(2)

    line, took = interrupt(program)
    sent = len(stub.sent)
    trouble.over = True
    *_, last = try_again(program)

    assert line == "interrupted in session1"
    assert took < AT_ONCE
    assert sent == 2
    assert last == "finished @alice:example.org in session1"
    assert trouble.sessions[0] is None
    assert set(trouble.sessions[1:]) == {"session1"}
    assert program.returncode == 0


def test_cancel_ends_the_wait_that_a_rate_limit_demands(stub: Wire, connect: Connect, threads: Threads) -> None:
    """cancel() ends a wait of a minute at once, and a second attempt finishes the same session."""
    stub.answer = trouble = Trouble(MAGIC, LIMITED)
    auth = InteractiveAuth(connect(stub.base_url).register("alice"), lambda stage: {"type": stage.type})
    outcome = threads.start(auth.attempt_auth)
    stub.wait_for(2)

    time.sleep(SETTLED)
    auth.cancel()
    with pytest.raises(AuthCancelledError):
        outcome.result(AT_ONCE)
    trouble.over = True
    account = auth.attempt_auth()

    assert account["user_id"] == "@alice:example.org"
    assert trouble.sessions == [None, "session1", "session1"]
