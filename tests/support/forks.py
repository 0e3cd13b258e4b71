"""A plugin: Synapses are ready three times as soon, each forked from a process that has imported Synapse already."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from throwaway_synapse import Synapse

_as_a_program = Synapse._begin


class _Forked:
    """As much of a ``subprocess.Popen`` as is wanted of a Synapse's process."""

    def __init__(self, process: BaseProcess) -> None:
        process.start()
        self._process = process
        self.terminate, self.kill, self.pid = process.terminate, process.kill, process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("synapse", timeout or 0.0)
        return self._process.exitcode


def _run(folder: Path, output: Path, path: list[str]) -> None:
    import forked_synapse  # not in the process of the tests, whose reactor it would be

    forked_synapse.run(folder, output, path)


@pytest.fixture(scope="session", autouse=True)
def forked() -> Iterator[None]:
    """Have every Synapse that a test starts in its own process forked."""

    def begin(synapse: Synapse, output: Path) -> _Forked:
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(["forked_synapse"])  # where PYTHONPATH lacks it, a start only takes longer
        path = list(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
        return _Forked(forks.Process(target=_run, args=(output.parent, output, path)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Synapse, "_begin", begin)
        yield


@pytest.fixture
def not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Synapse started as whoever runs the examples has it."""
    monkeypatch.setattr(Synapse, "_begin", _as_a_program)
