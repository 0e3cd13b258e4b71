"""The line that shows a person how a wait goes on, and the keys that they press meanwhile.

In a terminal and in a notebook the line is written anew about every second, and taken away when the wait is over; in a
log it is one line. The keys of a terminal are read whenever the line is shown, in the attempt's own thread. What must
not be here: questions, stages, and anything that waits by itself.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from . import _prompts
from ._types import AuthType, Stage, Wait

#: Seconds of a wait before a repetition that nobody has to be told about.
_SHORTEST = 1.0
#: What a person waits for, where it is not for a page in the browser.
_AWAITED: Mapping[str, str] = {AuthType.EMAIL: "the link in the mail", AuthType.MSISDN: "the link in the SMS"}
#: The key of Enter.
ENTER = ""
#: What is said of Enter where no other key does anything.
LOOK = "(Enter: look now)"
#: Where a terminal's mode has its local flags, and its special characters (termios.tcgetattr).
_FLAGS, _CHARACTERS = 3, 6
#: As much is read of what was typed within a second; a pasted text is no key.
_MOST_TYPED = 1024


class WaitLine:
    """The ``wait_changed`` of an attempt by the console's handlers."""

    def __init__(self) -> None:
        self._keyboard = _Keyboard()
        self._choices: Mapping[str, Callable[[], object]] = {}
        self._hint = ""
        self._begun: float | None = None
        self._shown = ""
        self._is_new_wait = True

    def offer(self, stage: Stage, hint: str, choices: Mapping[str, Callable[[], object]]) -> None:
        """Let a person press keys for as long as a stage is awaited; nothing happens where there are none to press.

        Args:
            stage: the stage that is about to be awaited.
            hint: says which keys there are.
            choices: what each key does, by its small letter, and ``ENTER``.
        """
        self._hint, self._choices = hint, choices
        stage.add_cleanup(self._withdraw)

    def _withdraw(self) -> None:
        self._choices = {}
        self._end()

    def __call__(self, wait: Wait | None) -> None:
        if wait is None:
            self._end()
            return
        if self._begun is None:
            if wait.reason != "stage" and (wait.seconds_left or 0.0) <= _SHORTEST:
                return
            self._begun = time.monotonic()
            self._is_new_wait = True
        typed = self._keyboard.read()
        choices = self._choices if wait.reason == "stage" and typed is not None else {}
        if self._is_new_wait and choices:
            _prompts.say(self._hint)
        elif typed and choices:
            # Enter looks, whatever else was typed.
            key = typed.strip() if typed.strip() in choices or "\n" not in typed else ENTER
            self._act(choices.get(key, partial(_prompts.say, self._hint)))
        self._show(wait, time.monotonic() - self._begun)
        self._is_new_wait = False

    def _act(self, act: Callable[[], object]) -> None:
        """Do what a key stands for, which may print, and ask."""
        self._erase()
        self._keyboard.release()
        act()
        self._keyboard.read()

    def _end(self) -> None:
        if self._begun is not None:
            self._begun = None
            self._erase()
        self._keyboard.release()

    def _show(self, wait: Wait, so_far: float) -> None:
        is_terminal = _prompts.is_screen_a_terminal()
        line = describe(wait, so_far, _prompts.columns() - 1)  # a line that wraps cannot be written anew
        if not is_terminal and not _prompts.is_asked_elsewhere():
            if self._is_new_wait:
                _prompts.say(line)
            return
        if is_terminal and _obeys_sequences():
            # The cursor waits at the line's beginning. There it stays when the window becomes so narrow that the
            # terminal breaks the line, so that all of it can be erased.
            _prompts.write(f"\r\x1b[J{line}\r")
        else:
            _prompts.write(f"\r{line.ljust(len(self._shown))}")
        self._shown = line

    def _erase(self) -> None:
        if not self._shown:
            return
        blank = "\x1b[J" if _prompts.is_screen_a_terminal() and _obeys_sequences() else " " * len(self._shown) + "\r"
        self._shown = ""
        _prompts.write(f"\r{blank}")


def describe(wait: Wait, so_far: float, width: int) -> str:
    """Return how a wait goes on, in the most words that there is room for.

    Args:
        wait: the wait.
        so_far: the seconds for which it has lasted.
        width: the most characters.
    """
    left = wait.seconds_left
    clock = _clock(math.floor(so_far) if left is None else math.ceil(max(left, 0.0)))
    if wait.reason == "stage":
        what = _AWAITED.get(wait.stage or "", "the page to be done")
        until = f"{clock} so far" if left is None else f"gives up in {clock}"
        what = f"Waiting for {what}"
    else:
        what = "The server asks to wait" if wait.reason == "rate_limit" else "The server does not answer"
        until = f"next try in {clock}"
    for line in (f"{what} ({until})", f"{what} ({clock})"):
        if len(line) <= width:
            return line
    return f"{what.removeprefix('Waiting for ')} ({clock})"[: max(width, 1)]


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _obeys_sequences() -> bool:
    """Return whether the terminal knows the sequence that erases; Windows' own has to be told so first."""
    return sys.platform != "win32" and os.environ.get("TERM") not in (None, "", "dumb")


class _Keyboard:
    """The terminal's keyboard during a wait: what is typed is not shown, and each key counts at once."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def read(self) -> str | None:
        """Return what was typed since the last call, in small letters; None if there is no keyboard.

        What was typed before the first call is forgotten. Ctrl-C interrupts the program as ever.
        """
        if sys.platform == "win32" or not self._is_ours():
            return None
        import termios

        with suppress(OSError, ValueError, termios.error):
            descriptor = sys.stdin.fileno()
            mode = termios.tcgetattr(descriptor)
            if mode[_FLAGS] & (termios.ECHO | termios.ICANON):  # also after the program was stopped, and went on
                if self._before is None:
                    self._before = mode
                quiet = termios.tcgetattr(descriptor)
                quiet[_FLAGS] &= ~(termios.ECHO | termios.ICANON)
                quiet[_CHARACTERS][termios.VMIN] = quiet[_CHARACTERS][termios.VTIME] = 0  # reading does not wait
                termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
            typed = os.read(descriptor, _MOST_TYPED).decode(errors="replace")
            return "" if "\x1b" in typed else typed.lower()  # an arrow's sequence ends in a letter
        return None

    def release(self) -> None:
        """Give the keyboard back as it was; what was typed meanwhile is nobody's answer, nor the shell's."""
        if self._before is None:
            return
        import termios

        if self._is_ours():  # a shell has its own mode
            with suppress(OSError, ValueError, termios.error):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSAFLUSH, self._before)
        self._before = None

    def _is_ours(self) -> bool:
        """Return whether the terminal's keys are for this program, and not for a shell that it runs behind."""
        if not _prompts.is_at_terminal():
            return False
        try:
            return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        except (OSError, ValueError):  # a terminal of another session has no shell that could be asked for
            return True
