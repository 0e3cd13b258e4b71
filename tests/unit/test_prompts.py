"""Where questions are asked and what is said: elsewhere than by Python's own functions, and in odd circumstances."""

from __future__ import annotations

import io
import os
import sys
from types import ModuleType
from typing import Any

import pytest
from support.own_terminal import OwnTerminal
from support.threads import Threads

from interactive_auth import AuthCancelledError, _prompts


class OddTerminal(io.StringIO):
    """What some editors have in the place of a terminal: it has no file descriptor."""

    def isatty(self) -> bool:
        return not self.closed


def test_a_notebook_asks_by_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where input() is replaced, the replacements ask, and what is said goes to standard output."""
    asked: list[str] = []
    answers = iter(["", "alice", "Yes"])

    def reply(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr("builtins.input", reply)
    monkeypatch.setattr("getpass.getpass", lambda prompt: reply(f"[{prompt}]"))

    _prompts.say("Welcome.")
    assert _prompts.ask_secret("Token") == "alice"
    assert _prompts.ask_yes_no("Go on?") is True

    assert asked == ["[Token (hidden): ]", "[Token (hidden): ]", "Go on? (y/n): "]
    assert capsys.readouterr() == ("Welcome.\n", "")


def test_nothing_but_empty_lines_end_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who answers nothing is not asked for ever."""
    monkeypatch.setattr("builtins.input", lambda prompt: "  ")

    with pytest.raises(AuthCancelledError, match="nothing usable was entered at 'User name', 10 times"):
        _prompts.ask("User name")


def test_a_terminal_without_a_file_descriptor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The editor's stand-in is asked like a terminal, and nothing fails for want of a descriptor."""
    monkeypatch.setattr(sys, "stdin", OddTerminal("alice\n"))
    monkeypatch.setattr(sys, "stdout", OddTerminal())

    assert _prompts.ask("User name") == "alice"


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_screen_that_is_gone(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody can read is not said, and nothing fails."""
    stream = io.StringIO()
    written: list[str] = []

    def fail(text: str) -> int:
        written.append(text)
        raise error

    monkeypatch.setattr(stream, "write", fail)
    monkeypatch.setattr(sys, "stderr", stream)

    _prompts.say("Welcome.")

    assert written == ["Welcome.\n"]


def test_streams_that_were_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed stream is no terminal, and no error either."""
    closed = io.StringIO()
    closed.close()
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, closed)

    _prompts.say("Welcome.")

    assert not _prompts.is_at_terminal()


def test_what_was_typed_too_early_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """There keys wait elsewhere, and are forgotten all the same."""
    keys = ["a", "b"]
    console: Any = ModuleType("msvcrt")
    console.kbhit = lambda: bool(keys)
    console.getwch = keys.pop
    monkeypatch.setitem(sys.modules, "msvcrt", console)
    monkeypatch.setattr(sys, "platform", "win32")

    _prompts.drop_typed_ahead()

    assert keys == []


def test_the_terminal_itself_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """With both outputs redirected a person reads the console's own output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "win32")
    stdin = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    _prompts.say("Welcome.")

    with open("CONOUT$", encoding="utf-8") as shown:
        assert shown.read() == "Welcome.\n"
    assert os.listdir() == ["CONOUT$"]


class OddLines(OddTerminal):
    """What is read line by line, and may be no text."""

    def __init__(self, *lines: str | Exception) -> None:
        super().__init__()
        self._lines = list(lines)

    def isatty(self) -> bool:
        return False

    def readline(self, size: int | None = -1) -> str:
        line = self._lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return line


def test_what_is_not_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of another encoding, and half of a surrogate pair, are told, and the question is asked again."""
    broken = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    monkeypatch.setattr(sys, "stdin", OddLines(broken, "\ud800\n", "alice\n"))

    assert _prompts.ask("User name") == "alice"
    assert capsys.readouterr().err.count("That cannot be read as text.") == 2


def test_the_end_of_the_input_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D is the person's own way to stop."""
    monkeypatch.setattr(sys, "stdin", OddTerminal(""))

    with pytest.raises(AuthCancelledError, match="the input was ended"):
        _prompts.ask("User name")


def test_a_secret_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt says that nothing will be seen."""
    asked: list[str] = []

    def ask(prompt: str, stream: object) -> str:
        asked.append(prompt)
        return "the secret"

    ask.__module__ = "getpass"
    monkeypatch.setattr("getpass.getpass", ask)
    monkeypatch.setattr(sys, "stdin", OddTerminal())

    assert _prompts.ask_secret("Password") == "the secret"
    assert asked == ["Password (hidden): "]


def test_long_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is cut between words where the screen ends."""
    shown: list[str] = []
    monkeypatch.setattr(_prompts, "is_screen_a_terminal", lambda: True)
    monkeypatch.setattr(_prompts, "columns", lambda: 20)
    monkeypatch.setattr(_prompts, "write", shown.append)

    _prompts.say("one two three four five six")

    assert shown == ["one two three four\nfive six\n"]


def test_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any stream nothing is said, and a screen has its usual width."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)

    _prompts.say("Welcome.")

    assert _prompts.columns() == 80


def test_a_terminal_that_is_another_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the terminal itself cannot be opened, standard error has to do."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdin", OddTerminal())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr("os.ctermid", lambda: "/no/such/terminal")

    _prompts.say("Welcome.")

    assert said.getvalue() == "Welcome.\n"


def test_a_person_at_a_terminal(terminal: OwnTerminal, threads: Threads) -> None:
    """What was typed too early is forgotten; the answer to the question is taken, and the hidden one is not shown."""
    terminal.sit_down()
    terminal.press(b"too early\n")
    threads.start(terminal.answer, "Name: ", b"alice\n")
    assert _prompts.ask("Name") == "alice"

    threads.start(terminal.answer, "Password (hidden): ", b" a password \n")
    assert _prompts.ask_secret("Password") == " a password "

    assert "a password" not in terminal.shown()


def test_an_answer_from_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are taken one by one, also for what is hidden at a terminal; the end of it is told."""
    monkeypatch.setattr("sys.stdin", io.StringIO("alice\n a password \nperhaps\nno\n"))

    assert _prompts.ask("Name") == "alice"
    assert _prompts.ask_secret("Password") == " a password "
    assert _prompts.ask_yes_no("Go on?") is False
    with pytest.raises(RuntimeError, match=r"no standard input to ask a person by \(Name\)"):
        _prompts.ask("Name")

    out, err = capsys.readouterr()
    assert out == ""
    assert err == "Name: Password (hidden): Go on? (y/n): Please answer y or n.\nGo on? (y/n): Name: \n"


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_ctrl_c_at_a_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_elsewhere: bool
) -> None:
    """What is said next begins a line; a notebook's question is on none of ours."""

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    stdin = io.StringIO()
    monkeypatch.setattr(stdin, "readline", interrupt)
    monkeypatch.setattr("sys.stdin", stdin)
    if is_elsewhere:
        monkeypatch.setattr("builtins.input", interrupt)

    with pytest.raises(KeyboardInterrupt):
        _prompts.ask("Name")

    assert capsys.readouterr() == ("", "" if is_elsewhere else "Name: \n")
