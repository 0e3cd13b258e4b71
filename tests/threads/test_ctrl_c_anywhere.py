"""Ctrl-C between any two instructions: no object stays running, no lock stays held, no success is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("interrupted.py")
#: Some come only after the response has arrived where it is kept; those are nobody's loss.
FINE = {"interrupted", "returned", "late"}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "ordinary", "full"), [("attempt", 5000, 100_000), ("wait", 1000, 20_000)])
def test_real_signals_at_random_instants(
    kind: str, ordinary: int, full: int, sized: Callable[[int, int], int], seed: int
) -> None:
    """After each signal the same object can be used, and returns the response if the server has acted."""
    count = sized(ordinary, full)
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), kind, str(count), str(seed)], capture_output=True, text=True, timeout=600
    )

    assert ended.returncode == 0, ended.stderr
    found = Counter(json.loads(ended.stdout))
    assert found.total() == count
    assert set(found) <= FINE, found
    assert found["interrupted"] > count // 10, found
