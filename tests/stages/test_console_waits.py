"""The one line that shows a person that a wait goes on: in a terminal, in a pipe, in a notebook's cell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from support.scripted import ScriptedServer, challenge
from support.terminal import PACKAGES, Terminal

from interactive_auth import AuthTimeoutError, AuthType, Homeserver, InteractiveAuth, MatrixError, console

#: Two stages; the mail's link is opened between the second poll and the third, and the first one is Enter's.
SIGN_UP = """
from interactive_auth import Homeserver, InteractiveAuth, MatrixError, console

EMAIL, TERMS = "m.login.email.identity", "m.login.terms"
answers = [[], [], [], [EMAIL]]

def send(auth):
    if not answers:
        return "done"
    flow = {"session": "S1", "flows": [{"stages": [EMAIL, TERMS]}], "completed": answers.pop(0)}
    rules = {"name": "Rules", "url": "https://example.org/rules"}
    raise MatrixError(401, {**flow, "params": {TERMS: {"policies": {"rules": {"version": "1", "en": rules}}}}})

attempt = InteractiveAuth(
    send,
    console.handlers(Homeserver("https://matrix.example.org")),
    inputs={"email_address": "alice@example.org"},
    request_email_token=lambda *arguments: {"sid": "a-sid"},
    poll_interval=1.25,
    poll_timeout=10.5,
)
"""
RUN = """
try:
    print(attempt.attempt_auth())
except KeyboardInterrupt:
    print("interrupted")
"""
TERMS_SHOWN = ["Step 2 of 2: terms of service", "Rules:", "https://example.org/rules"]
AWAITED = "email address, {} s left: waiting for the link in the mail to be opened"


def updates(text: str) -> list[str]:
    """Return what the line that is written anew has said, one after the other."""
    return [update.rstrip() for update in re.findall(r"(?<=\r)[^\r\n]*\S[^\r\n]*", text)]


@pytest.mark.parametrize("columns", [120, 60])
def test_in_a_terminal(open_terminal: Callable[..., Terminal], columns: int) -> None:
    """Before the next step there is one line of the wait, nothing remains of longer ones, and it does not wrap."""
    terminal = open_terminal(SIGN_UP + RUN, columns=columns)
    terminal.answer("again): ", "")
    terminal.wait_for("(y/N) ")

    assert terminal.screen[-5:] == [
        AWAITED.format(9)[: columns - 1],
        *TERMS_SHOWN,
        "Do you accept? (y/N)",
    ]
    assert sum("email address, " in line for line in terminal.screen) == 1
    said = updates(terminal.shown)
    assert [AWAITED.format(left)[: columns - 1].rstrip() for left in (11, 10, 9)] == list(dict.fromkeys(said))
    terminal.type("y")
    assert terminal.wait_for_end() == 0
    assert terminal.screen[-1] == "done"


def test_ctrl_c_in_a_terminal(open_terminal: Callable[..., Terminal]) -> None:
    """An interrupted wait leaves its line behind, and what is printed next stands on a line of its own."""
    terminal = open_terminal(SIGN_UP + RUN)
    terminal.answer("again): ", "")
    terminal.wait_for("10 s left")

    terminal.interrupt()

    assert terminal.wait_for_end() == 0
    line, last = terminal.screen[-2:]
    assert line == AWAITED.format(10) + "^C"
    assert last == "interrupted"


def test_in_a_pipe() -> None:
    """A log holds the wait as one line, whatever it was before; what comes next stands on a line of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", SIGN_UP + RUN],
        input=b"\ny\n",
        env={**os.environ, "PYTHONPATH": PACKAGES},
        capture_output=True,
        timeout=30,
        check=True,
    )

    step, wait, *rest = ended.stdout.decode().split("\n")
    assert step == "Step 1 of 2: email address"
    assert list(dict.fromkeys(updates(wait))) == [AWAITED.format(left) for left in (11, 10, 9)]
    assert wait.split("\r")[1] == 79 * " "  # so that nothing remains of the prompt
    assert rest == [*TERMS_SHOWN, "Do you accept? (y/N) done", ""]
    assert ended.stderr == b""


class Notebook:
    """A kernel, and somebody who answers what its cells ask."""

    def __init__(self) -> None:
        self._manager: KernelManager
        self._client: BlockingKernelClient
        self._manager, self._client = start_new_kernel(kernel_name="python3")
        self.asked: list[str] = []

    def run(self, cell: str, *answers: str, interrupt_at: str = "\0") -> tuple[str, str | None]:
        """Run a cell; gives what it has printed, and the name of the exception that it has ended with."""
        left = list(answers)
        printed: list[str] = []

        def read(message: dict[str, Any]) -> None:
            self.asked.append(message["content"]["prompt"])
            self._client.input(left.pop(0))

        def show(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                assert message["content"]["name"] == "stdout"
                printed.append(message["content"]["text"])
                if interrupt_at in message["content"]["text"]:
                    self._manager.interrupt_kernel()

        reply = self._client.execute_interactive(
            cell, allow_stdin=True, stdin_hook=read, output_hook=show, timeout=30, store_history=False
        )
        return "".join(printed), reply["content"].get("ename")

    def close(self) -> None:
        """Shut the kernel down."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Notebook]:
    monkeypatch.setenv("PYTHONPATH", PACKAGES)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    running = Notebook()
    yield running
    running.close()


def test_in_a_notebook(notebook: Notebook) -> None:
    """A cell shows the same line; interrupted it ends there, and the next cell goes on with the wait."""
    notebook.run(SIGN_UP)

    printed, error = notebook.run("attempt.attempt_auth()", "", interrupt_at="10 s left")

    assert error == "KeyboardInterrupt"
    step, wait, end = printed.split("\n")
    assert (step, end) == ("Step 1 of 2: email address", "")
    assert list(dict.fromkeys(updates(wait))) == [AWAITED.format(11), AWAITED.format(10)]

    printed, error = notebook.run("print(attempt.attempt_auth())", "", "y")

    assert error is None
    step, wait, *rest = printed.split("\n")
    assert set(updates(wait)) <= {AWAITED.format(left) for left in (11, 10, 9)}
    assert updates(wait)
    assert rest == [*TERMS_SHOWN, "done", ""]
    assert len(notebook.asked) == 3


@pytest.fixture
def homeserver() -> Iterator[Homeserver]:
    with Homeserver("https://matrix.example.org") as made:
        yield made


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


def test_without_a_timeout(
    server: ScriptedServer, homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the wait has no end, the line says how long it has lasted so far."""
    server.will(challenge([AuthType.SSO]), challenge([AuthType.SSO]), "done")
    answer("")

    stages = console.handlers(homeserver)
    assert InteractiveAuth(server, stages, poll_interval=1.1, poll_timeout=None).attempt_auth() == "done"

    said = updates(capsys.readouterr().out)
    assert said == [f"single sign-on, {so_far} s so far: waiting for the page to be done" for so_far in (0, 1)]


def test_beside_callbacks_of_a_programs_own(
    server: ScriptedServer, homeserver: Homeserver, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that puts a callback of its own in the place of a ready-made one has its waits shown all the same."""
    server.will(challenge([AuthType.SSO]), challenge([AuthType.SSO]), "done")
    stages = console.handlers(homeserver) | {"m.login.sso": lambda stage: None}

    assert InteractiveAuth(server, stages, poll_interval=0.1).attempt_auth() == "done"

    assert updates(capsys.readouterr().out) == ["single sign-on, 300 s left: waiting for the page to be done"]


def test_before_another_try(
    server: ScriptedServer, homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """What the server has put off is a wait like any other, also if the stage is one that is answered."""
    limited = MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500})
    server.will(challenge([AuthType.PASSWORD]), limited, "done")
    answer("a-password")

    assert InteractiveAuth(server, console.handlers(homeserver, user="alice")).attempt_auth() == "done"

    out = capsys.readouterr().out
    assert updates(out) == [f"password, {left} s left: waiting for the time to ask the server again" for left in (2, 1)]
    assert out.endswith("again\n")


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("I/O operation on closed file")])
def test_terminal_that_was_closed(
    error: Exception,
    server: ScriptedServer,
    homeserver: Homeserver,
    answer: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wait goes on although nobody can see it any more."""
    answer("")
    server.will(challenge([AuthType.SSO]), challenge([AuthType.SSO]), "done")

    def closed(text: str, **options: Any) -> None:
        if text.startswith("\r"):
            raise error

    monkeypatch.setattr("builtins.print", closed)

    assert InteractiveAuth(server, console.handlers(homeserver), poll_interval=0.01).attempt_auth() == "done"
    assert len(server.sent) == 3


def test_stage_of_wide_letters(
    server: ScriptedServer, homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Letters that are two columns wide cannot make the line wrap."""
    answer("")
    server.then_always(challenge([80 * "\u8a3c"]))

    with pytest.raises(AuthTimeoutError):
        InteractiveAuth(server, console.handlers(homeserver), poll_interval=0.01, poll_timeout=0.03).attempt_auth()

    said = updates(capsys.readouterr().out)
    assert said
    assert all(line.isascii() and len(line) < 80 for line in said)
