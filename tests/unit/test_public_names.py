"""What the package shows of itself: its names, their documentation, its version."""

from __future__ import annotations

import configparser
import importlib
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.public_names import documented, modules

import interactive_auth

SETTINGS = Path(__file__).parents[2] / "setup.cfg"


MODULES = {module.__name__: module for module in modules()}
DOCUMENTED = dict(documented())


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_names_are_sorted(module: ModuleType) -> None:
    """Each public module lists its names in order, and each of them once."""
    assert list(module.__all__) == sorted(set(module.__all__))


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_names_exist(module: ModuleType) -> None:
    """Each listed name can be imported."""
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_what_tab_offers(module: ModuleType) -> None:
    """A module shows its public names and those of Python's own, and not what it is made of."""
    assert [name for name in dir(module) if not name.startswith("__")] == list(module.__all__)
    assert "__doc__" in dir(module)


def test_names_are_complete() -> None:
    """Every public name of the package is listed; modules of its own need not be."""
    listed = {name for name in interactive_auth.__all__ if not inspect.ismodule(getattr(interactive_auth, name))}
    public = {
        name
        for name, value in vars(interactive_auth).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }

    assert public == listed


@pytest.mark.parametrize("name", ["MatrixError", "Stage", "InteractiveAuth", "Homeserver", "testing"])
def test_names_are_the_first_of_a_program(name: str) -> None:
    """A name of each room can be the first that a program asks for, and says that it is the package's own."""
    code = f"from interactive_auth import {name} as it; print(getattr(it, '__module__', 'interactive_auth'))"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert said.stdout.strip() in ("interactive_auth", "interactive_auth.homeserver"), said


def test_the_package_alone_imports_nothing() -> None:
    """The package is imported by every pytest where it is installed: nothing that costs anything comes with it."""
    code = "import sys, typing; before = {*sys.modules}; import interactive_auth; print(*{*sys.modules} - before)"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert said.stdout.split() == ["interactive_auth"]


def test_every_error_is_public() -> None:
    """Whatever the library raises can be caught by a name of the package."""
    found = [interactive_auth.InteractiveAuthError]
    for kind in found:
        found += [sub for sub in kind.__subclasses__() if sub.__module__.startswith("interactive_auth")]

    assert len(found) > 1
    assert [kind.__name__ for kind in found if kind.__name__ not in interactive_auth.__all__] == []


@pytest.mark.skipif(sys.flags.optimize > 1, reason="python -OO drops the docstrings")
@pytest.mark.parametrize("value", DOCUMENTED.values(), ids=DOCUMENTED)
def test_docstrings(value: Any) -> None:
    """Every public class, function and method has a docstring of its own that begins with a whole line."""
    lines = (value.__doc__ or "").strip().splitlines()

    assert lines
    assert lines[0].endswith((".", ":"))
    assert not lines[0].startswith(f"{value.__name__}(")


def test_what_must_have_a_docstring() -> None:
    """The search for what must have one finds functions, classes, methods and properties."""
    expected = {"raise_for_matrix_error", "Homeserver", "Homeserver.register", "Homeserver.base_url"}

    assert {f"interactive_auth.{name}" for name in expected} <= set(DOCUMENTED)


def test_version() -> None:
    """The version is the package's own, as setup.cfg reads it and the installation knows it."""
    settings = configparser.ConfigParser()
    settings.read(SETTINGS)
    kind, _, target = settings["metadata"]["version"].partition(":")
    module, _, name = target.strip().rpartition(".")

    assert kind == "attr"
    assert getattr(importlib.import_module(module), name) == interactive_auth.__version__
    assert version("interactive-auth") == interactive_auth.__version__


def test_typed() -> None:
    """The package tells type checkers that it is typed."""
    assert (Path(interactive_auth.__file__).parent / "py.typed").is_file()


def test_unknown_name() -> None:
    """A name that the package lacks is an AttributeError, as with any module."""
    with pytest.raises(AttributeError, match="module 'interactive_auth' has no attribute 'Server'"):
        interactive_auth.Server  # noqa: B018 (the look-up is what is tested)


@pytest.mark.parametrize("name", ["bots", "console", "handlers"])
def test_rooms_open_when_they_are_first_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules that not every program needs are attributes of the package all the same."""
    module = getattr(interactive_auth, name)
    monkeypatch.delattr(interactive_auth, name)

    assert getattr(interactive_auth, name) is module
