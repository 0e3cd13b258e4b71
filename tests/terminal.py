"""A pseudo-terminal with a program in it, for tests that type what a person would."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time


class Terminal:
    """A terminal with a program in it.

    Args:
        *command: the program and its arguments.
        **env: what is added to the environment.

    Attributes:
        shown: all that has stood on the screen so far.
    """

    def __init__(self, *command: str, **env: str) -> None:
        self._person, program = pty.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=program,
            stdout=program,
            stderr=program,
            env={**os.environ, **env},
            start_new_session=True,
        )
        os.close(program)
        self.shown = ""
        self._read = 0

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Return when the text has appeared since the last time that something was waited for."""
        deadline = time.monotonic() + timeout
        while (found := self.shown.find(text, self._read)) < 0:
            assert self._receive(deadline - time.monotonic()), f"no {text!r} in {self.shown!r}"
        self._read = found + len(text)

    def type(self, line: str) -> None:
        """Type a line, and press Enter."""
        os.write(self._person, f"{line}\n".encode())

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
        self.shown += received.decode()
        return bool(received)
