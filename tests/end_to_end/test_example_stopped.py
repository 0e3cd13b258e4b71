"""examples/register.py, stopped: by Ctrl-C, by kill, by a terminal that is closed. It leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.programs import Start
from throwaway_synapse import Synapse, throwaway_synapse

#: Seconds within which Synapse has been started.
PATIENCE = 30.0


def processes_below(folder: Path) -> list[str]:
    """Return the processes that were started with a file in this folder."""
    commands = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            commands.append(file.read_bytes().decode(errors="replace"))
    if not commands:  # not Linux
        commands = subprocess.check_output(["ps", "-A", "-ww", "-o", "args="], text=True).splitlines()
    return [command for command in commands if str(folder) in command]


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_while_synapse_starts_it_leaves_nothing(
    start_example: Start, example_folder: Path, stop: signal.Signals
) -> None:
    """Ctrl-C, kill and a closed terminal end it with 130 and one line, without Synapse and without a folder."""
    program = start_example("register.py")
    deadline = time.monotonic() + PATIENCE
    while not (running := processes_below(example_folder)) and time.monotonic() < deadline:
        time.sleep(0.01)
    program.send_signal(stop)
    _, errors = program.communicate()

    assert running != []
    assert (program.returncode, errors) == (130, "register.py: interrupted\n")
    assert processes_below(example_folder) == []
    assert list(example_folder.iterdir()) == []


def test_ctrl_c_twice_while_synapse_runs_leaves_nothing(start_example: Start, example_folder: Path) -> None:
    """Impatience does not disturb the cleaning up."""
    program = start_example("register.py")
    assert program.stdout is not None
    while "Synapse listens at" not in (line := program.stdout.readline()):
        assert line
    running = processes_below(example_folder)
    program.send_signal(signal.SIGINT)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate()

    assert len(running) == 1
    assert (program.returncode, errors) == (130, "register.py: interrupted\n")
    assert processes_below(example_folder) == []
    assert list(example_folder.iterdir()) == []


def test_ctrl_c_at_a_question_is_one_line(start_example: Start, token_and_terms_server: Synapse) -> None:
    """Ctrl-C instead of an answer ends it with 130."""
    program = start_example("register.py", "--homeserver", token_and_terms_server.base_url, lines=())
    assert program.stdout is not None
    shown = ""
    while not shown.endswith("User name: "):
        shown += program.stdout.read(1) or pytest.fail(shown)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate()

    assert (program.returncode, errors) == (130, "register.py: interrupted\n")


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts", "not_forked")
def test_ctrl_c_halfway_through_starting_synapse_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the process was made, and before anybody knows of it, ends that process, too."""
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def interrupted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, **options))
        signal.raise_signal(signal.SIGINT)
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt), throwaway_synapse():
            pass
        ended = [process.poll() for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()

    assert len(ended) == 1
    assert ended[0] is not None


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_halfway_through_making_the_folder_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C after the folder was made, and before anybody knows of it, removes it, too."""
    make = tempfile.mkdtemp

    def interrupted(*arguments: Any, **options: Any) -> str:
        folder = make(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(KeyboardInterrupt), throwaway_synapse():
        pass

    assert list(tmp_path.iterdir()) == []
