"""A plugin: a terminal in the place of a test's own standard streams."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress

import pytest


class OwnTerminal:
    """A terminal in the place of the standard streams.

    Attributes:
        keyboard: where keys are pressed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keyboard, program = os.openpty()
        self._streams = [os.fdopen(program, "r"), *(os.fdopen(os.dup(program), "w") for _ in range(2))]
        self._monkeypatch = monkeypatch

    def sit_down(self) -> None:
        """Put it in the place of the standard streams, which pytest sets between fixtures and test."""

        def open_elsewhere(path: str, *arguments: int) -> int:
            """Keep getpass from the terminal that the tests were started in."""
            if path == "/dev/tty":
                raise OSError(6, "No such device or address")
            return os_open(path, *arguments)

        os_open = os.open
        self._monkeypatch.setattr("os.open", open_elsewhere)
        self._monkeypatch.setenv("TERM", "xterm")
        for name, stream in zip(("stdin", "stdout", "stderr"), self._streams, strict=True):
            self._monkeypatch.setattr(sys, name, stream)

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.keyboard, keys)

    def resize(self, columns: int) -> None:
        """Make it wider or narrower."""
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def answer(self, question: str, keys: bytes) -> None:
        """Wait for a question, and press keys: what another thread does beside the one that asks."""
        read = ""
        while question not in read:
            assert select.select([self.keyboard], [], [], 30)[0], f"{question!r} was not asked, but {read!r}"
            read += os.read(self.keyboard, 65536).decode(errors="replace")
        self.press(keys)

    def shown(self) -> str:
        """Return what was shown since the last call."""
        assert select.select([self.keyboard], [], [], 30)[0], "nothing was shown"
        read = b""
        while select.select([self.keyboard], [], [], 0.1)[0]:
            read += os.read(self.keyboard, 65536)
        return read.decode()

    def is_echoing(self) -> bool:
        """Return whether what is typed is shown, a line at a time."""
        both = termios.ECHO | termios.ICANON
        return termios.tcgetattr(self.keyboard)[3] & both == both

    def close(self) -> None:
        """Close it."""
        for stream in self._streams:
            with suppress(OSError):
                stream.close()
        os.close(self.keyboard)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnTerminal]:
    """Return a terminal that a test may sit down at."""
    own = OwnTerminal(monkeypatch)
    yield own
    own.close()
