"""examples/README.rst: the way to every example."""

from __future__ import annotations

import re
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_is_listed() -> None:
    """Whatever stands in the folder has exactly one row in the README's tables."""
    rows = re.findall(r"^\S.*  ``(\S+)``$", (EXAMPLES / "README.rst").read_text(), re.MULTILINE)

    there = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")}

    assert set(rows) == there
    assert len(rows) == len(set(rows))
