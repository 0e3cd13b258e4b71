"""The line of a wait and its keys, at a terminal of the test's own."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Callable
from typing import Any

import pytest
from support.own_terminal import OwnTerminal

from interactive_auth import AuthType, Stage, Wait
from interactive_auth._waitline import ENTER, LOOK, WaitLine, describe

STAGE = Wait(AuthType.EMAIL, 299.5, "stage")


class Asking:
    """A stage's attempt, as far as a wait line needs one."""

    def __init__(self) -> None:
        self.cleanups: list[Callable[[], object]] = []

    def _add_cleanup(self, stage: str, function: Callable[[], object]) -> None:
        self.cleanups.append(function)


@pytest.fixture
def asking() -> Any:
    return Asking()


@pytest.fixture
def pressed() -> list[str]:
    return []


@pytest.fixture
def line(asking: Any, pressed: list[str]) -> WaitLine:
    """Make a line for a stage with two keys, which note that they were pressed."""
    made = WaitLine()
    choices = {ENTER: lambda: pressed.append("Enter"), "r": lambda: pressed.append("r")}
    made.offer(Stage(AuthType.EMAIL, auth=asking), LOOK, choices)
    return made


ERASED = "\r\x1b[J"


@pytest.mark.parametrize(
    ("typed", "does", "shows"),
    [
        (b"r", ["r"], ERASED),
        (b"R\n", ["r"], ERASED),
        (b"\n", ["Enter"], ERASED),
        (b"x\n", ["Enter"], ERASED),
        (b"x", [], f"{ERASED}{LOOK}\r\n"),
        (b"\xff", [], f"{ERASED}{LOOK}\r\n"),
        (b"", [], ""),
        (b"\x1b[r", [], ""),
    ],
)
def test_keys(
    terminal: OwnTerminal, line: WaitLine, pressed: list[str], typed: bytes, does: list[str], shows: str
) -> None:
    """A key does what was offered, in either case; another one has it said once more; an arrow does nothing."""
    terminal.sit_down()
    line(STAGE)
    assert not terminal.is_echoing()
    terminal.press(typed)

    line(STAGE)
    line(None)

    assert pressed == does
    assert terminal.is_echoing()
    assert terminal.shown() == (
        f"{LOOK}\r\n"
        "\r\x1b[JWaiting for the link in the mail (gives up in 5:00)\r"
        f"{shows}"
        "\r\x1b[JWaiting for the link in the mail (gives up in 5:00)\r"
        "\r\x1b[J"
    )


def test_a_program_that_was_stopped_and_goes_on(terminal: OwnTerminal, line: WaitLine, pressed: list[str]) -> None:
    """A shell gives the terminal back as it wants it; keys are read as before, and the end is as the beginning was."""
    terminal.sit_down()
    before = termios.tcgetattr(terminal.keyboard)
    line(STAGE)
    shells = termios.tcgetattr(terminal.keyboard)
    shells[3] |= termios.ECHO | termios.ICANON | termios.NOFLSH
    termios.tcsetattr(terminal.keyboard, termios.TCSANOW, shells)

    line(STAGE)
    assert not terminal.is_echoing()
    terminal.press(b"r")
    line(STAGE)
    line(None)

    assert pressed == ["r"]
    assert termios.tcgetattr(terminal.keyboard) == before


def test_what_was_typed_before_the_wait(terminal: OwnTerminal, line: WaitLine, pressed: list[str]) -> None:
    """It does nothing."""
    terminal.sit_down()
    terminal.press(b"r\n")

    line(STAGE)
    line(STAGE)

    assert pressed == []


def test_a_wait_that_nobody_ends(terminal: OwnTerminal, line: WaitLine, asking: Any, pressed: list[str]) -> None:
    """Where its end was not told, as after a Ctrl-C at the wrong instant, the stage's end gives the terminal back."""
    terminal.sit_down()
    line(STAGE)

    asking.cleanups.pop()()

    assert terminal.is_echoing()
    terminal.press(b"r")
    line(STAGE)
    assert pressed == []
    line(None)


def test_a_program_in_the_background(
    terminal: OwnTerminal, line: WaitLine, pressed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are the shell's then, and so is the terminal's mode; the line is shown all the same."""
    terminal.sit_down()
    line(STAGE)
    monkeypatch.setattr("os.tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
    terminal.press(b"r")

    line(STAGE)
    line(None)

    assert pressed == []
    assert not terminal.is_echoing()  # it was the shell's to set


def test_on_windows(terminal: OwnTerminal, line: WaitLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys are read there and none are offered; the line is erased by blanks."""
    terminal.sit_down()
    monkeypatch.setattr(sys, "platform", "win32")

    line(STAGE)
    line(None)

    said = "Waiting for the link in the mail (gives up in 5:00)"
    assert terminal.shown() == f"\r{said}\r{len(said) * ' '}\r"


def test_a_terminal_that_hangs_up(terminal: OwnTerminal, line: WaitLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait goes on without keys, and without an error."""
    terminal.sit_down()
    line(STAGE)

    def fail(*arguments: object) -> None:
        raise termios.error(5, "Input/output error")

    monkeypatch.setattr("termios.tcgetattr", fail)
    monkeypatch.setattr("termios.tcsetattr", fail)

    line(STAGE)
    line(None)


@pytest.mark.parametrize(
    ("wait", "width", "line"),
    [
        (STAGE, 80, "Waiting for the link in the mail (gives up in 5:00)"),
        (STAGE, 39, "Waiting for the link in the mail (5:00)"),
        (STAGE, 30, "the link in the mail (5:00)"),
        (STAGE, 10, "the link i"),
        (STAGE, 0, "t"),
        (Wait(AuthType.MSISDN, None, "stage"), 80, "Waiting for the link in the SMS (1:01:01 so far)"),
        (Wait(80 * "\u8a3c", 61.0, "stage"), 80, "Waiting for the page to be done (gives up in 1:01)"),
        (Wait(None, 23.2, "rate_limit"), 80, "The server asks to wait (next try in 0:24)"),
        (Wait(None, -0.1, "retry"), 80, "The server does not answer (next try in 0:00)"),
        (Wait(None, 4.0, "retry"), 39, "The server does not answer (0:04)"),
    ],
)
def test_in_words(wait: Wait, width: int, line: str) -> None:
    """What is awaited comes first, then how long it lasts, in as many words as there is room for."""
    assert describe(wait, 3661.9, width) == line


@pytest.mark.parametrize("name", ["dumb", ""])
def test_where_a_terminal_cannot_erase(
    terminal: OwnTerminal, line: WaitLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A shorter line leaves nothing of a longer one."""
    terminal.sit_down()
    monkeypatch.setenv("TERM", name)

    line(STAGE)
    line(Wait(AuthType.EMAIL, 3.0, "retry"))

    longer = "Waiting for the link in the mail (gives up in 5:00)"
    shorter = "The server does not answer (next try in 0:03)"
    assert terminal.shown().endswith(f"\r{longer}\r{shorter.ljust(len(longer))}")
    line(None)


def test_in_a_log(line: WaitLine, capsys: pytest.CaptureFixture[str]) -> None:
    """It says once what is awaited, and not when that is over; keys are not offered."""
    line(STAGE)
    line(STAGE)
    line(None)

    assert capsys.readouterr() == ("", "Waiting for the link in the mail (gives up in 5:00)\n")


def test_a_wait_that_is_over_soon(line: WaitLine, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to be told of it."""
    line(Wait(None, 0.9, "retry"))
    line(None)

    assert capsys.readouterr() == ("", "")
