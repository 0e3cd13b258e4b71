"""The pytest plugin, in a project of somebody else's where the library is only installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from interactive_auth import testing

EXAMPLE = Path(__file__).parents[2] / "examples" / "test_bot_handlers.py"

PROJECT_TEST = """
import sys

#: What had been imported when the tests of this project were collected.
EARLY = sorted(name for name in sys.modules if name.partition(".")[0] in ("interactive_auth", "requests", "urllib3"))


def test_server(uia_server):
    assert uia_server.base_url.startswith("http://127.0.0.1:")
    print("SERVED", EARLY)


def test_another_server(uia_server):
    assert uia_server.requests == []
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project that has nothing but a test."""
    (tmp_path / "test_bot.py").write_text(PROJECT_TEST)
    return tmp_path


def run_pytest(folder: Path, *options: str) -> str:
    """Run pytest in a project, and return what it prints."""
    command = [sys.executable, "-I", "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-rA", *options]
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    return ended.stdout + ended.stderr


def test_the_fixture_is_there(project: Path) -> None:
    """Where the library is installed, a test has the fixture without an import, and others pay nothing."""
    said = run_pytest(project, "-p", "no:requests_mock")  # which imports requests by itself

    assert "2 passed" in said
    assert "SERVED ['interactive_auth', 'interactive_auth._pytest']" in said


def test_the_fixture_can_be_turned_off(project: Path) -> None:
    """The plugin has a name to turn it off by."""
    said = run_pytest(project, "-p", "no:uia_server")

    assert "fixture 'uia_server' not found" in said


def test_the_fixture_says_what_it_is(project: Path) -> None:
    """The list of fixtures explains it."""
    said = run_pytest(project, "--fixtures")

    assert "Run a homeserver that follows a script" in said


@pytest.mark.skipif(sys.flags.optimize > 1, reason="python -OO drops the docstrings")
def test_the_modules_own_example(tmp_path: Path) -> None:
    """The test in the module's docstring passes as it stands there."""
    block = re.search(r"::\n\n((?:    .*\n|\n)+)", testing.__doc__ or "")
    assert block is not None
    (tmp_path / "test_documented.py").write_text(textwrap.dedent(block[1]))

    said = run_pytest(tmp_path)

    assert "1 passed" in said, said


def test_the_example(tmp_path: Path) -> None:
    """The example's tests of a bot's handlers pass in a project of their own."""
    shutil.copy(EXAMPLE, tmp_path)

    said = run_pytest(tmp_path)

    assert f"{len(testing.homeservers) + 2} passed" in said, said


@pytest.mark.parametrize("folder", [EXAMPLE.parent, EXAMPLE.parents[1]])
def test_the_example_in_a_clone(folder: Path) -> None:
    """It passes where it lies, too: the settings of the library's own tests are not for it."""
    said = run_pytest(folder, str(EXAMPLE.relative_to(folder)))

    assert f"{len(testing.homeservers) + 2} passed" in said, said
