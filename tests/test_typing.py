"""The public signatures under mypy and pyright: what they promise, and which mistakes they catch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "interactive_auth"
EXAMPLES = ROOT / "examples"
PROMISES = ROOT / "tests" / "typing"


def check(tool: str, *arguments: str | Path, cwd: Path = ROOT, **env: Path) -> None:
    """Run a type checker, and fail with what it says if it finds anything."""
    added = {name: str(path) for name, path in env.items()}
    ended = subprocess.run(
        [sys.executable, "-m", tool, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **added},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("version", "folders"), [("3.10", [PACKAGE, EXAMPLES, PROMISES]), ("3.13", [PACKAGE, PROMISES])]
)
def test_mypy(tmp_path: Path, version: str, folders: list[Path]) -> None:
    """mypy --strict finds nothing in the package, in the examples, and in the promises about its types."""
    options = ("--strict", "--cache-dir", tmp_path, "--python-version", version)

    check("mypy", *options, *folders, MYPYPATH=EXAMPLES)


@pytest.mark.parametrize(
    ("folders", "mode"),
    [
        pytest.param([PROMISES], "strict", id="promises"),
        # Its checks of what an untyped caller passes are needless in the eyes of the strict mode.
        pytest.param([PACKAGE, EXAMPLES], "standard", id="package"),
    ],
)
def test_pyright(tmp_path: Path, folders: list[Path], mode: str) -> None:
    """Pyright finds nothing, either, and no error that is expected fails to appear."""
    config = {
        "include": [str(folder) for folder in folders],
        "extraPaths": [str(ROOT), str(EXAMPLES)],
        "pythonVersion": "3.10",
        "typeCheckingMode": mode,
        "enableTypeIgnoreComments": False,  # those are mypy's
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))

    check("basedpyright", "-p", tmp_path, "--pythonpath", sys.executable)


def test_every_public_type_is_known(tmp_path: Path) -> None:
    """Whatever a user of the package sees has a type that is declared in full."""
    options = ("--pythonpath", sys.executable, "--ignoreexternal", "--verifytypes", "interactive_auth")

    check("basedpyright", *options, cwd=tmp_path, PYTHONPATH=ROOT)
