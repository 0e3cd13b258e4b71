"""A pseudo-terminal with a program in it, and a person who types and reads what is on the screen."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

import pyte

import interactive_auth

#: Where a program of the tests' finds what it imports.
PACKAGES = str(Path(interactive_auth.__file__).parents[1])
#: The leader of a session without a terminal gets the first that it opens: there getpass.getpass then asks.
TAKE_TERMINAL = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR))\n"


class Terminal:
    """A terminal with a program in it.

    Args:
        *command: the program and its arguments.
        columns: how wide the terminal is.
        **env: what is added to the environment.

    Attributes:
        shown: all that has stood on the screen so far.
    """

    def __init__(self, *command: str, columns: int = 120, **env: str) -> None:
        self._person, program = pty.openpty()
        fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        self._display = pyte.Screen(columns, 24)
        self._stream = pyte.ByteStream(self._display)
        self._process = subprocess.Popen(
            command,
            stdin=program,
            stdout=program,
            stderr=program,
            env={**os.environ, "COLUMNS": "", "TERM": "xterm", **env},  # it goes before the real width
            start_new_session=True,
        )
        os.close(program)
        self.shown = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read = 0

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Return when the text has appeared since the last time that something was waited for."""
        deadline = time.monotonic() + timeout
        while (found := self.shown.find(text, self._read)) < 0:
            assert self._receive(deadline - time.monotonic()), f"no {text!r} in {self.shown!r}"
        self._read = found + len(text)

    def settle(self) -> None:
        """Take in all that comes at once: a line may come in pieces."""
        while self._receive(0.2):
            pass

    def type(self, line: str) -> None:
        """Type a line, and press Enter."""
        self.press(f"{line}\n")

    def press(self, keys: str) -> None:
        """Press keys, Ctrl-D's own character for example."""
        os.write(self._person, keys.encode())

    def answer(self, question: str, line: str) -> None:
        """Wait for a question, and answer it."""
        self.wait_for(question)
        self.type(line)

    def resize(self, columns: int) -> None:
        """Make the terminal's window wider or narrower."""
        self._display.resize(24, columns)
        fcntl.ioctl(self._person, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def is_echoing(self) -> bool:
        """Return whether what is typed is shown, a line at a time, as a shell expects it."""
        flags = termios.tcgetattr(self._person)[3]
        return flags & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON

    def interrupt(self) -> None:
        """Press Ctrl-C, as soon as a person can: Python's input() does not see one that comes just before it reads."""
        self.settle()
        self.press("\x03")

    @property
    def screen(self) -> list[str]:
        """The lines that stand on the screen now."""
        return "\n".join(line.rstrip() for line in self._display.display).rstrip().split("\n")

    def wait_for_end(self, timeout: float = 30.0) -> int:
        """Return the program's exit status."""
        deadline = time.monotonic() + timeout
        while self._receive(deadline - time.monotonic()):
            pass
        return self._process.wait(max(deadline - time.monotonic(), 1))

    def close(self) -> None:
        """End the program, and close the terminal."""
        self._process.kill()
        self._process.wait()
        os.close(self._person)

    def _receive(self, seconds: float) -> bool:
        """Take in what the program prints, False if it is over or nothing came in time."""
        if not select.select([self._person], [], [], max(seconds, 0))[0]:
            return False
        try:
            received = os.read(self._person, 4096)
        except OSError:  # Linux's way to say that the program has closed its side
            return False
        self._stream.feed(received)
        self.shown += self._decoder.decode(received)
        return bool(received)
