"""The questions themselves: in a real terminal, with standard streams redirected or closed, in a pipe, elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.terminal import PACKAGES, TAKE_TERMINAL, Terminal
from support.threads import wait_until

IMPORTS = "from interactive_auth._prompts import ask, ask_secret, ask_yes_no, say\n"
ALL = f"""{IMPORTS}
say("Welcome.")
answers = [ask("Name"), ask_secret("Password"), ask_yes_no("Go on?")]
print(answers)
"""
END = f"""{IMPORTS}
import sys
try:
    QUESTION
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}", file=sys.stdout or open("ended", "w"))
"""


def run(code: str, redirections: str, folder: Path, typed: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run code without a terminal."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": PACKAGES, **env},
        input=typed.encode(),
        capture_output=True,
        timeout=30,
        cwd=folder,
        start_new_session=True,
        check=False,
    )


def in_shell(code: str, redirections: str) -> tuple[str, ...]:
    """Return the command of code whose streams are redirected, within a terminal that is its own."""
    return "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", TAKE_TERMINAL + code


@pytest.fixture
def open_shell(tmp_path: Path) -> Callable[[str, str], Terminal]:
    return lambda code, redirections: Terminal("sh", *in_shell(code, redirections), PYTHONPATH=PACKAGES)


def answer_all(terminal: Terminal) -> None:
    """Answer the three questions, the last one not at once."""
    terminal.wait_for("Welcome.")
    terminal.answer("Name: ", "")
    terminal.answer("Name: ", "  alice ")
    terminal.answer("Password (hidden): ", " a password ")
    terminal.answer("Go on? (y/n): ", "ok")
    terminal.answer("Please answer y or n.\r\nGo on? (y/n): ", "Y")


def test_in_a_terminal(open_terminal: Callable[..., Terminal]) -> None:
    """Empty answers are asked for again, what is hidden is not shown, and only y or n decides."""
    terminal = open_terminal(ALL.replace("print(answers)", "print(len(answers[1]), answers[0], answers[2])"))

    answer_all(terminal)
    terminal.wait_for("12 alice True")

    assert terminal.wait_for_end() == 0
    assert "a password" not in terminal.shown


@pytest.mark.parametrize("redirections", ["> out", "> out 2> err", "> out 2>&1"])
def test_a_terminal_whose_output_is_a_file(
    redirections: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_shell: Callable[[str, str], Terminal]
) -> None:
    """The person sees all that is asked, and the file has only what the program itself has printed."""
    monkeypatch.chdir(tmp_path)
    terminal = open_shell(ALL, redirections)
    try:
        answer_all(terminal)
        assert terminal.wait_for_end() == 0
    finally:
        terminal.close()

    assert (tmp_path / "out").read_text() == "['alice', ' a password ', True]\n"


def test_another_programs_terminal(tmp_path: Path) -> None:
    """Where the terminal cannot be opened, what is said goes to standard error as a last resort."""
    out, err = tmp_path / "out", tmp_path / "err"
    terminal = Terminal("sh", "-c", f'exec "$@" > {out} 2> {err}', "sh", sys.executable, "-c", ALL, PYTHONPATH=PACKAGES)
    try:
        for question, line in (("Name: ", "alice"), ("(hidden): ", "a password"), ("(y/n): ", "n")):
            wait_until(lambda wanted=question: err.exists() and wanted in err.read_text())
            terminal.type(line)
        assert terminal.wait_for_end() == 0
    finally:
        terminal.close()

    assert out.read_text() == "['alice', 'a password', False]\n"


def test_what_was_typed_too_early_answers_nothing(open_terminal: Callable[..., Terminal]) -> None:
    """Lines that were typed before a question stands are forgotten, and the question is answered by the next one."""
    terminal = open_terminal(f"""{IMPORTS}
import select, sys
print(ask("Name"))
select.select([sys.stdin], [], [], 30)
print(ask_yes_no("Go on?"))
""")
    terminal.answer("Name: ", "alice\ny\ny")
    terminal.wait_for("(y/n): ")
    assert "True" not in terminal.shown

    terminal.type("n")

    terminal.wait_for("False")
    assert terminal.wait_for_end() == 0


@pytest.mark.parametrize("question", ["ask('Name')", "ask_secret('Name')"])
def test_ctrl_d_in_a_terminal(question: str, open_terminal: Callable[..., Terminal]) -> None:
    """The person has ended it, which is a cancellation in words, on a line of its own."""
    terminal = open_terminal(END.replace("QUESTION", question))
    terminal.wait_for("Name")
    terminal.wait_for(": ")

    terminal.press("\x04")

    terminal.wait_for("\r\nAuthCancelledError: the input was ended (Ctrl-D) at 'Name")
    assert terminal.wait_for_end() == 0


def test_in_a_pipe(tmp_path: Path) -> None:
    """A script's lines are taken one by one, and standard output has only what the program itself has printed."""
    ended = run(ALL, "", tmp_path, "\nalice\n a password \nok\nyes\n")

    assert ended.stdout == b"['alice', ' a password ', True]\n"
    assert ended.stderr.decode() == (
        "Welcome.\nName: Name: Password (hidden): Go on? (y/n): Please answer y or n.\nGo on? (y/n): "
    )


@pytest.mark.parametrize("redirections", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("question", ["ask('Name')", "ask_secret('Name')", "ask_yes_no('Name')"])
def test_closed_streams_and_no_answer(question: str, redirections: str, tmp_path: Path) -> None:
    """Whatever is closed, a question that nobody answers ends with the same error."""
    ended = run(END.replace("QUESTION", f"say('Hello'); {question}"), redirections, tmp_path)

    said = (tmp_path / "ended").read_bytes() if ">&- " in f" {redirections}"[1:] else ended.stdout
    assert said.startswith(b"RuntimeError: there is no standard input to ask a person by (Name")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_letters_that_the_encoding_lacks(encoding: str, tmp_path: Path) -> None:
    """They are escaped, in what is said and in what is asked."""
    ended = run(f"{IMPORTS}say('Rules: \u898f'); ask('\u540d')", "", tmp_path, "a\n", PYTHONIOENCODING=encoding)

    assert ended.stderr.decode("ascii").splitlines() == ["Rules: \\u898f", "\\u540d: "]
    assert ended.returncode == 0


def test_letters_that_a_terminal_lacks(open_terminal: Callable[..., Terminal]) -> None:
    """The same holds in a terminal, for hidden questions, too."""
    terminal = open_terminal(
        f"{IMPORTS}say('Rules: \u898f'); ask('\u540d'); ask_secret('\u8a00')", PYTHONIOENCODING="ascii"
    )
    terminal.wait_for("Rules: \\u898f\r\n")
    terminal.answer("\\u540d: ", "a")
    terminal.answer("\\u8a00 (hidden): ", "b")

    assert terminal.wait_for_end() == 0


@pytest.mark.parametrize("typed", [b"\xff\n", b"\xed\xa0\x80\n"])
def test_bytes_that_are_no_text(typed: bytes, tmp_path: Path) -> None:
    """They are told of and count as nothing, and the question is asked again."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{IMPORTS}print(ask('Name'))"],
        env={**os.environ, "PYTHONPATH": PACKAGES, "PYTHONIOENCODING": "utf-8:surrogateescape"},
        input=typed + b"alice\n",
        capture_output=True,
        timeout=30,
        check=True,
    )

    assert ended.stdout == b"alice\n"
    assert ended.stderr.decode() == "Name: That cannot be read as text.\nName: "
