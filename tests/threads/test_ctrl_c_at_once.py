"""Ctrl-C ends every kind of wait at once, in a terminal and in a notebook, and the session goes on.

"At once" is measured by the rule of test_cancel_at_once.py, from the moment before the signal to the moment at which
KeyboardInterrupt has left attempt_auth(), both by the system's monotonic clock. A signal ends a wait of an hour in one
piece only if it interrupts it: the library's short pieces are for systems where it does not.
"""

from __future__ import annotations

import json
import os
import pty
import random
import select
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

import interactive_auth

from .waits import KINDS

if TYPE_CHECKING:
    from .conftest import Took

PACKAGES = [str(Path(interactive_auth.__file__).parents[1]), str(Path(__file__).parent)]
#: The leader of a session without a terminal gets the first that it opens: there Ctrl-C then reaches it. What a shell
#: runs in the background ignores Ctrl-C, and so would the program if the tests are run there.
PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.close(os.open(os.ttyname(0), os.O_RDWR))
for line in sys.stdin:
    try:
        exec(line)
    except KeyboardInterrupt:
        print("interrupted")
"""
SETTLED = 0.02  # seconds from the beginning of a wait to the moment when the system surely waits


class Place(ABC):
    """Where a person enters a line of Python, and interrupts it."""

    @abstractmethod
    def enter(self, line: str) -> None:
        """Have a line run."""

    @abstractmethod
    def interrupt(self) -> None:
        """Press Ctrl-C, or the button for it."""

    @abstractmethod
    def close(self) -> None:
        """End what runs there."""


class Terminal(Place):
    """A program in a terminal, which runs what is typed."""

    def __init__(self) -> None:
        self._person, program = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=program, stdout=program, stderr=program, start_new_session=True
        )
        os.close(program)

    def enter(self, line: str) -> None:
        while select.select([self._person], [], [], 0)[0]:
            os.read(self._person, 4096)  # or the terminal would be full some day
        os.write(self._person, f"{line}\n".encode())

    def interrupt(self) -> None:
        os.write(self._person, b"\x03")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._person)


class Notebook(Place):
    """A notebook's kernel, which runs cells."""

    def __init__(self) -> None:
        self._manager, self._client = start_new_kernel(kernel_name="python3")

    def enter(self, line: str) -> None:
        # After an interrupted cell the kernel would, for a moment, refuse to run the next one.
        self._cell = self._client.execute(line, stop_on_error=False)

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()
        while (reply := self._client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != self._cell:
            pass
        assert reply["content"]["ename"] == "KeyboardInterrupt"

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(params=[Terminal, Notebook], ids=["terminal", "notebook"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    """A terminal, or a notebook."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(PACKAGES))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    place = request.param()
    yield place
    place.close()


@pytest.fixture
def reports() -> Iterator[socket.socket]:
    """Where the place tells what happens in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(30)
        yield listening


@pytest.mark.slow
def test_ctrl_c_ends_every_kind_of_wait_at_once(
    place: Place, reports: socket.socket, draw: random.Random, sized: Callable[[int, int], int], took: Took
) -> None:
    """KeyboardInterrupt leaves attempt_auth() at once, run after run; the next attempt goes on in the same session."""

    def report() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(reports.recv(65536))
        return told

    place.enter("import waits; waits.lengthen_retries()")
    for pieces in ("short pieces", "one piece"):
        if pieces == "one piece":
            place.enter("waits.wait_in_one_piece()")
        for kind in KINDS:
            place.enter(f"remote = waits.Remote({kind!r}, {reports.getsockname()[1]})")
            for _ in range(sized(2, 10)):
                place.enter("remote.run()")
                assert report()["what"] == "waits"
                time.sleep(SETTLED + draw.uniform(0, 0.02))
                begun = time.monotonic()
                place.interrupt()
                told = report()
                assert told["what"] == "KeyboardInterrupt"
                took.note(f"{kind}, {pieces}", told["left"] - begun)
            place.enter("remote.run(over=True)")
            told = report()

            assert told["what"] == "done"
            assert [auth and auth["session"] for auth in told["sent"]] == [None] + ["S1"] * (len(told["sent"]) - 1)
            assert set(told["sessions"]) <= {"S1"}
    took.assert_at_once()
