"""The examples as programs, and a homeserver with an account for them to work on."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Terminal
from throwaway_services import MailServer, mail_server
from throwaway_synapse import TOKEN, Synapse, throwaway_synapse

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Seconds after which a program that hangs is killed.
PATIENCE = 60.0


@dataclass(frozen=True)
class Account:
    """A user of the homeserver, logged in on one device."""

    synapse: Synapse
    name: str
    password: str
    user_id: str
    access_token: str
    device_id: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the client-server API as the user."""
        return self.synapse.call(method, f"/_matrix/client/v3/{path}", body, access_token=self.access_token)

    def on_server(self) -> dict[str, Any]:
        """Return what the homeserver's administrator sees of the user."""
        return self.synapse.admin("GET", f"/_synapse/admin/v2/users/{self.user_id}")

    def devices(self) -> set[str]:
        """Return the ids of the user's devices."""
        listed = self.synapse.admin("GET", f"/_synapse/admin/v2/users/{self.user_id}/devices")
        return {device["device_id"] for device in listed["devices"]}


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let child processes feel Ctrl-C even if the tests were started in the background, where it is ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _on_this_machine() -> Iterator[None]:
    """Let no proxy come between the tests and the servers on this machine, and no account of somebody's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.delenv("MATRIX_ACCESS_TOKEN", raising=False)
        yield


@pytest.fixture(scope="session")
def mails() -> Iterator[MailServer]:
    """Run the mail server that the homeserver sends by."""
    with mail_server(MailServer()) as running:
        yield running


@pytest.fixture(scope="session")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a homeserver where registration wants a token, and takes an email address if one is given."""
    with throwaway_synapse(TOKEN, mails.config()) as running:
        yield running


@pytest.fixture
def name() -> str:
    """A user name that nobody has."""
    return f"user{secrets.token_hex(6)}"


@pytest.fixture
def address(name: str) -> str:
    """An email address that nobody has."""
    return f"{name}@example.org"


@pytest.fixture
def account(synapse: Synapse, name: str) -> Account:
    """Make an account with one device."""
    password = secrets.token_hex(8)
    made = synapse.add_user(name, password)
    return Account(synapse, name, password, made["user_id"], made["access_token"], made["device_id"])


@pytest.fixture
def new_token(synapse: Synapse) -> Callable[[int], str]:
    """Make a registration token that is good for so many accounts."""

    def make(uses: int) -> str:
        token = secrets.token_hex(8)
        synapse.add_registration_token(token, uses_allowed=uses)
        return token

    return make


@pytest.fixture
def uses_of(synapse: Synapse) -> Callable[[str], tuple[int, int]]:
    """Ask the homeserver how many accounts were registered with a token, and how many sign-ups hold a use of it."""

    def ask(token: str) -> tuple[int, int]:
        found = synapse.admin("GET", f"/_synapse/admin/v1/registration_tokens/{token}")
        return found["completed"], found["pending"]

    return ask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the examples put their temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start an example by its name, with arguments."""
    processes: list[subprocess.Popen[str]] = []
    timers: list[threading.Timer] = []

    def start(example: str, *arguments: str, lines: tuple[str, ...] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / example), *arguments],
            stdin=subprocess.DEVNULL if lines is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,  # without the terminal of whoever runs the tests
        )
        processes.append(process)
        timers.append(threading.Timer(PATIENCE, process.kill))
        timers[-1].start()
        if lines is not None and process.stdin is not None:
            process.stdin.write("".join(f"{line}\n" for line in lines))
            process.stdin.flush()
        return process

    yield start
    for process, timer in zip(processes, timers, strict=True):
        timer.cancel()
        timer.join()
        process.kill()
        process.communicate()


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run an example by its name, with arguments and perhaps the lines that it reads, and return how it ended."""

    def run(example: str, *arguments: str, lines: tuple[str, ...] | None = None) -> subprocess.CompletedProcess[str]:
        process = start(example, *arguments, lines=lines)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    return run


@pytest.fixture
def in_terminal() -> Iterator[Callable[..., Terminal]]:
    """Run an example in a terminal, where a person is asked; more environment may be given by name."""
    opened: list[Terminal] = []

    def start(example: str, *arguments: str, **env: str) -> Terminal:
        opened.append(Terminal(sys.executable, str(EXAMPLES / example), *arguments, **env))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()
