"""A plugin: programs of their own processes, the examples above all; none outlives the test that has started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .terminal import Terminal

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Seconds after which a program that hangs is killed.
PATIENCE = 120.0

#: What the fixtures ``start_program`` and ``start_example`` are.
Start = Callable[..., "subprocess.Popen[str]"]
#: What the fixtures ``open_terminal`` and ``in_terminal`` are.
OpenTerminal = Callable[..., "Terminal"]
#: What the fixture ``run_example`` is.
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hangups() -> Iterator[None]:
    """Let programs be ended by SIGHUP, also where the tests run under nohup: what is ignored is inherited."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def start_program() -> Iterator[Start]:
    """Start a program by its command, with pipes, and with more environment and ``Popen``'s options by name."""
    processes: list[subprocess.Popen[str]] = []
    timers: list[threading.Timer] = []

    def start(*command: str | Path, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            env={**os.environ, **(env or {})},
            text=True,
            start_new_session=True,  # without the terminal of whoever runs the tests
            **{**pipes, **options},
        )
        processes.append(process)
        timers.append(threading.Timer(PATIENCE, process.kill))
        timers[-1].start()
        return process

    yield start
    for process, timer in zip(processes, timers, strict=True):
        timer.cancel()
        timer.join()
        process.kill()
        process.communicate()


@pytest.fixture
def example_folder(tmp_path: Path) -> Path:
    """Where the examples put their temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def start_example(start_program: Start, example_folder: Path) -> Start:
    """Start an example by its name, with arguments, and perhaps the lines that it reads; more may follow them."""

    def start(
        example: str,
        *arguments: str,
        lines: tuple[str, ...] | None = None,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[str]:
        stdin = subprocess.DEVNULL if lines is None else subprocess.PIPE
        options = {"stdin": stdin, "env": {"TMPDIR": str(example_folder), **(env or {})}, **options}
        process = start_program(EXAMPLES / example, *arguments, **options)
        if lines is not None and process.stdin is not None:
            process.stdin.write("".join(f"{line}\n" for line in lines))
            process.stdin.flush()
        return process

    return start


@pytest.fixture
def run_example(start_example: Start) -> Run:
    """Run an example as ``start_example`` does, and return how it ended."""

    def run(example: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        process = start_example(example, *arguments, **options)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    return run


@pytest.fixture
def open_terminal() -> Iterator[OpenTerminal]:
    """Run programs in terminals by their commands, with more environment by name; closed after the test."""
    from .terminal import Terminal  # here, because the unit tests run where pyte is not installed

    with ExitStack() as opened:

        def start(*command: str | Path, **options: Any) -> Terminal:
            terminal = Terminal(sys.executable, *map(str, command), **options)
            opened.callback(terminal.close)
            return terminal

        yield start


@pytest.fixture
def in_terminal(open_terminal: OpenTerminal, example_folder: Path) -> OpenTerminal:
    """Run an example in a terminal, where a person is asked; more environment may be given by name."""
    return lambda example, *arguments, **env: open_terminal(
        EXAMPLES / example, *arguments, TMPDIR=str(example_folder), **env
    )
