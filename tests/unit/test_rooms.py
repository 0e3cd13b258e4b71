"""Which room imports which: imports point one way, from the public rooms over the wings to the ground."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import interactive_auth

HOUSE = Path(interactive_auth.__file__).parent
ROOMS = sorted(path.relative_to(HOUSE) for path in HOUSE.rglob("*.py"))
#: From the ground up: each room of the ground imports those before it alone.
#: Both wings send again what failed, so what may be sent again, and when, is on the ground (``_replies``, ``_retry``).
GROUND = ("_tracebacks", "_server_threads", "_text", "_errors", "_types", "_words", "_checks", "_policies")
GROUND += ("_replies", "_retry")
PUBLIC = ("bots", "browser", "console", "handlers", "homeserver")


def imports(room: Path) -> Iterator[str]:
    """Yield what a room imports when it runs, the library's own rooms by their path below it."""
    tree = ast.parse((HOUSE / room).read_text("utf-8"))
    checked = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    skipped = {id(inner) for node in checked for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            package = room.parent.parts
            base = package[: len(package) - node.level + 1]
            if node.module is None:
                yield from ("/".join([*base, alias.name]) for alias in node.names)
            else:
                yield "/".join([*base, *node.module.split(".")])


def wing(room: Path) -> str:
    """Return the folder that a room is in, empty for the top."""
    return room.parts[0] if len(room.parts) > 1 else ""


@pytest.mark.parametrize("room", [room for room in ROOMS if wing(room) == "_engine"], ids=str)
def test_the_engine_knows_no_http(room: Path) -> None:
    """The loop imports the ground and itself; of requests one room knows the response."""
    for name in imports(room):
        assert not name.startswith(("_http", "testing", *PUBLIC)), name
        assert not name.startswith(("urllib3", "http")), name
        assert not name.startswith("requests") or room.name == "misuse.py", name


@pytest.mark.parametrize("room", [room for room in ROOMS if wing(room) == "_http"], ids=str)
def test_http_knows_the_engine_by_one_room(room: Path) -> None:
    """What sends requests imports nothing of the loop, but for the request that authenticates itself."""
    for name in imports(room):
        assert not name.startswith(("testing", *PUBLIC)), name
        assert not name.startswith("_engine") or room.name == "uia_request.py", name


@pytest.mark.parametrize("room", [room for room in ROOMS if wing(room) in ("testing", "_pytest")], ids=str)
def test_testing_stands_on_neither_wing(room: Path) -> None:
    """The scripted homeserver shares the ground with the library and nothing else."""
    for name in imports(room):
        assert not name.startswith(("_engine", "_http", *PUBLIC)), name


@pytest.mark.parametrize("room", GROUND)
def test_the_ground_imports_nothing_above(room: str) -> None:
    """Each room of the ground stands on those below it."""
    below = GROUND[: GROUND.index(room)]

    for name in imports(Path(f"{room}.py")):
        assert not name.startswith(("_engine", "_http", "testing", *PUBLIC)), name
        assert name not in GROUND or name in below, name


@pytest.mark.parametrize("room", ["handlers", "console", "browser"])
def test_ready_made_callbacks_know_the_context_alone(room: str) -> None:
    """What answers stages imports of the engine only what a callback may ask."""
    assert {name for name in imports(Path(f"{room}.py")) if name.startswith("_engine")} <= {"_engine/context"}


def test_the_engine_has_no_circles() -> None:
    """Within the loop, too, imports point one way."""
    graph = {
        room.stem: {name.split("/")[1] for name in imports(room) if name.startswith("_engine/")}
        for room in ROOMS
        if wing(room) == "_engine"
    }
    while leaves := [room for room, needed in graph.items() if not needed & graph.keys()]:
        for leaf in leaves:
            del graph[leaf]

    assert graph == {}


def test_no_room_is_too_large() -> None:
    """A room that has to be searched is more than one room."""
    lines = {str(room): len((HOUSE / room).read_text("utf-8").splitlines()) for room in ROOMS}

    assert {room: count for room, count in lines.items() if count > 375} == {}


def test_each_room_says_what_lives_there() -> None:
    """Every room but a door to public names says what must not be in it."""
    for room in ROOMS:
        docstring = ast.get_docstring(ast.parse((HOUSE / room).read_text("utf-8"))) or ""
        assert "must not be here" in " ".join(docstring.split()) or str(room) == "__init__.py", room


@pytest.mark.parametrize("name", sorted(set(interactive_auth.__all__) - {*PUBLIC, "testing"}))
def test_public_names_say_where_they_are_public(name: str) -> None:
    """Tracebacks and pickles name the module that users import from."""
    public = getattr(interactive_auth, name)

    assert public.__module__ == "interactive_auth"


def test_public_names_say_so_from_the_beginning() -> None:
    """Whoever imports the room alone has the same names, whatever else was asked for before."""
    program = "from interactive_auth.homeserver import Homeserver, UIARequest; print(Homeserver.__module__, UIARequest)"

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert said.split() == ["interactive_auth", "<class", "'interactive_auth.UIARequest'>"]
