"""The public names: the package's modules, and all that must be documented in them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import interactive_auth


def modules() -> Iterator[ModuleType]:
    """Yield the package and its public modules."""
    yield interactive_auth
    for module in pkgutil.iter_modules(interactive_auth.__path__, "interactive_auth."):
        if not module.name.rpartition(".")[2].startswith("_"):
            yield importlib.import_module(module.name)


def documented() -> Iterator[tuple[str, Any]]:
    """Yield the public classes and functions, and the classes' public methods and properties, by their names."""
    for module in modules():
        yield from _documented(module, module.__name__)


def _documented(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in owner.__all__ if inspect.ismodule(owner) else dir(owner):
        # A module may make a name only when it is asked for; a class's property must not be run.
        value = getattr(owner, name) if inspect.ismodule(owner) else inspect.getattr_static(owner, name)
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        bare = inspect.unwrap(function) if callable(function) else function
        if name.startswith("_") or not (inspect.isclass(bare) or inspect.isfunction(bare)):
            continue
        if not bare.__module__.startswith("interactive_auth"):
            continue
        yield f"{prefix}.{name}", function
        if inspect.isclass(function):
            yield from _documented(function, f"{prefix}.{name}")
