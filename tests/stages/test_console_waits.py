"""The one line that shows a person that a wait goes on: in a terminal, in a pipe, in a notebook's cell."""

from __future__ import annotations

import io
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

#: Two stages; the mail's link is opened between the second poll and the third.
SIGN_UP = """
from interactive_auth import Homeserver, InteractiveAuth, MatrixError, console

EMAIL, TERMS = "m.login.email.identity", "m.login.terms"
answers = [[], [], [EMAIL]]

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
MAIL_SHOWN = ["Step 1 of 2: email address", "Mail sent to alice@example.org.", "Open the link in the mail."]
KEYS = "(r: send it again, c: change the address, Enter: look now)"
AWAITED = "Waiting for the link in the mail (gives up in 0:{:02})"
SHORT = "Waiting for the link in the mail (0:{:02})"
COME_BACK = "To send it again, or to change the address, interrupt this cell and run it again."


def updates(text: str) -> list[str]:
    """Return what the line that is written anew has said, one after the other."""
    return [update.rstrip() for update in re.findall(r"\r(?:\x1b\[J)?([^\r\n\x1b]*[^\s\x1b][^\r\n\x1b]*)", text)]


@pytest.mark.parametrize(("columns", "line"), [(120, AWAITED), (40, SHORT)])
def test_in_a_terminal(open_terminal: Callable[..., Terminal], columns: int, line: str) -> None:
    """There is one line of the wait, which says what is awaited, and before the next step it is gone."""
    terminal = open_terminal(SIGN_UP + RUN, columns=columns)
    terminal.wait_for(line.format(10))

    assert terminal.screen[-1] == line.format(10)
    assert sum("Waiting" in shown for shown in terminal.screen) == 1
    terminal.wait_for("(y/n): ")
    assert terminal.screen[-4:] == [*TERMS_SHOWN, "Do you accept? (y/n):"]
    assert not any("Waiting" in shown for shown in terminal.screen)
    assert list(dict.fromkeys(updates(terminal.shown)))[:2] == [line.format(11), line.format(10)]
    terminal.type("y")
    assert terminal.wait_for_end() == 0
    assert terminal.screen[-1] == "done"
    assert terminal.is_echoing()


def test_a_terminal_that_becomes_narrow(open_terminal: Callable[..., Terminal]) -> None:
    """The line fits the window that there is now, and nothing of the longer one remains."""
    terminal = open_terminal(SIGN_UP + RUN, columns=100)
    terminal.wait_for(AWAITED.format(11))

    terminal.resize(40)

    terminal.wait_for(SHORT.format(10))
    assert [line for line in terminal.screen if "Waiting" in line or "gives up" in line] == [SHORT.format(10)]
    terminal.wait_for("(y/n): ")
    assert not any("Waiting" in line for line in terminal.screen)


def test_ctrl_c_in_a_terminal(open_terminal: Callable[..., Terminal]) -> None:
    """An interrupted wait takes its line away, and the terminal is as it was."""
    terminal = open_terminal(SIGN_UP + RUN)
    terminal.wait_for(AWAITED.format(10))
    assert not terminal.is_echoing()

    terminal.interrupt()

    assert terminal.wait_for_end() == 0
    assert terminal.screen[-1] == "interrupted"
    assert not any("Waiting" in line for line in terminal.screen)
    assert terminal.is_echoing()


def test_what_is_typed_during_a_wait(open_terminal: Callable[..., Terminal]) -> None:
    """It is not shown, answers nothing that comes later, and no key is needed; an arrow's c changes nothing."""
    terminal = open_terminal(SIGN_UP + RUN)
    terminal.wait_for(AWAITED.format(11))

    terminal.press("yes, please\x1b[C")

    terminal.wait_for("(y/n): ")
    assert "please" not in terminal.shown
    assert "New address" not in terminal.shown
    terminal.type("y")
    terminal.wait_for("done")


def test_a_key_that_does_nothing(open_terminal: Callable[..., Terminal]) -> None:
    """Which keys there are is said once more, and the line of the wait goes on below."""
    terminal = open_terminal(SIGN_UP + RUN)
    terminal.wait_for(KEYS)
    terminal.wait_for(AWAITED.format(11))

    terminal.press("x")

    terminal.wait_for(KEYS)
    terminal.wait_for(AWAITED.format(9))
    assert terminal.screen[-2:] == [KEYS, AWAITED.format(9)]


def test_in_a_pipe() -> None:
    """A log says once what is awaited, and for how long; standard output has the program's own words alone."""
    ended = subprocess.run(
        [sys.executable, "-c", SIGN_UP + RUN],
        input=b"y\n",
        env={**os.environ, "PYTHONPATH": PACKAGES},
        capture_output=True,
        timeout=30,
        check=True,
        start_new_session=True,
    )

    assert ended.stdout == b"done\n"
    assert ended.stderr.decode().split("\n") == [
        *MAIL_SHOWN,
        AWAITED.format(11),
        *TERMS_SHOWN,
        "Do you accept? (y/n): ",
    ]


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
    """A cell shows the same line; interrupted it ends, and the next cell asks what to do, and goes on with the wait."""
    notebook.run(SIGN_UP)

    printed, error = notebook.run("attempt.attempt_auth()", interrupt_at="0:10")

    assert error == "KeyboardInterrupt"
    *told, wait = printed.split("\n")
    assert told == [*MAIL_SHOWN, COME_BACK]
    assert list(dict.fromkeys(updates(wait))) == [AWAITED.format(11), AWAITED.format(10)]
    assert wait.endswith("\r")

    printed, error = notebook.run("print(attempt.attempt_auth())", "", "y")

    assert error is None
    *told, wait, name, url, done, end = printed.split("\n")
    assert told == [*MAIL_SHOWN, "r: send it again, c: change the address, Enter: go on waiting"]
    assert set(updates(wait)[:-1]) <= {AWAITED.format(left) for left in (11, 10, 9)}
    assert [wait.rpartition("\r")[2], name, url] == TERMS_SHOWN
    assert (done, end) == ("done", "")
    assert notebook.asked == ["What now? ", "Do you accept? (y/n): "]


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
    assert said[:2] == [f"Waiting for the page to be done (0:0{so_far} so far)" for so_far in (0, 1)]


def test_beside_callbacks_of_a_programs_own(
    server: ScriptedServer, homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that puts a callback of its own in the place of a ready-made one has its waits shown all the same."""
    server.will(challenge([AuthType.SSO]), challenge([AuthType.SSO]), "done")
    answer()
    stages = console.handlers(homeserver) | {"m.login.sso": lambda stage: None}

    assert InteractiveAuth(server, stages, poll_interval=0.1).attempt_auth() == "done"

    assert updates(capsys.readouterr().out) == ["Waiting for the page to be done (gives up in 5:00)"]


def test_before_another_try(
    server: ScriptedServer, homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """What the server has put off is a wait like any other, also if the stage is one that is answered."""
    limited = MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500})
    server.will(challenge([AuthType.PASSWORD]), limited, "done")
    answer("a-password")

    assert InteractiveAuth(server, console.handlers(homeserver, user="alice")).attempt_auth() == "done"

    out = capsys.readouterr().out
    assert updates(out) == [f"The server asks to wait (next try in 0:0{left})" for left in (2, 1)]
    assert out.endswith(" \r")


def test_before_the_first_stage(
    server: ScriptedServer, homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A person who has not been asked anything yet is told why nothing happens; what is over soon is not told."""
    limited, soon = (MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": ms}) for ms in (1200, 100))
    server.will(soon, limited, "done")
    answer()

    assert InteractiveAuth(server, console.handlers(homeserver)).attempt_auth() == "done"

    assert updates(capsys.readouterr().out)[0] == "The server asks to wait (next try in 0:02)"


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

    def closed(text: str) -> int:
        raise error

    monkeypatch.setattr("sys.stdout", closing := io.StringIO())
    monkeypatch.setattr(closing, "write", closed)

    assert InteractiveAuth(server, console.handlers(homeserver), poll_interval=0.01).attempt_auth() == "done"
    assert len(server.sent) == 3


def test_stage_of_wide_letters(
    server: ScriptedServer, homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Letters that are two columns wide cannot make the line wrap."""
    answer("")
    server.then_always(challenge([80 * "\u8a3c"]))

    with pytest.raises(AuthTimeoutError):
        InteractiveAuth(server, console.handlers(homeserver), poll_interval=0.05, poll_timeout=0.2).attempt_auth()

    said = updates(capsys.readouterr().out)
    assert said
    assert all(line.isascii() and len(line) < 80 for line in said)
