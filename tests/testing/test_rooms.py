"""The rooms of the scripted homeserver: what they stand on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from interactive_auth import testing

ROOMS = sorted(Path(testing.__file__).parent.glob("*.py"))
#: What all of the library stands on.
GROUND = {"_checks", "_errors", "_server_threads", "_text", "_tracebacks", "_types"}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.stem)
def test_what_a_room_imports(room: Path) -> None:
    """No room imports the loop, or the library's own side of HTTP: what is tested must not judge itself."""
    imported = [node for node in ast.walk(ast.parse(room.read_text())) if isinstance(node, ast.ImportFrom)]

    assert {node.module for node in imported if node.level == 2} <= GROUND
    assert not [node for node in imported if node.level > 2 or (node.module or "").startswith("interactive_auth")]


def test_there_are_rooms() -> None:
    """The rooms are found, and more than one of them."""
    assert len(ROOMS) > 10
