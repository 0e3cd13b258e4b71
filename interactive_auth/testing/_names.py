"""What a script may name (``testing``): the paths of a homeserver, the stages that there are, what can be set.

What must not be here: what any of them does. A name that nothing could ever answer to is an error where it is given.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection

from .._checks import check_mapping, type_error
from .._types import AuthType
from ._endpoints import ENDPOINTS
from ._paths import ends_with


def check_path(name: str, path: object) -> str:
    """Return how the paths of some endpoint end, "" for any, or the whole path of one of the script's own."""
    if not isinstance(path, str):
        raise type_error(name, "a str", path)
    if path and not path.startswith("/_") and not any(ends_with(each, path) for each in ENDPOINTS):
        known = ", ".join(sorted(ENDPOINTS))
        raise ValueError(
            f"{name}: no path ends with {path!r}; known are {known}, and whole paths that begin with /_, as in "
            '"/_matrix/client/v3/createRoom"'
        )
    return path


def check_int(name: str, value: object) -> None:
    """Check that an argument is an int, and not a bool, which counts as one."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise type_error(name, "an int", value)


def check_stage(name: str, stage: object, named: Collection[str]) -> str:
    """Return a stage that the script names somewhere, or the specification does."""
    known = {*named, *(each.value for each in AuthType)}
    if not isinstance(stage, str):
        raise type_error(name, "a stage's type, a str", stage)
    if stage not in known:
        raise ValueError(
            f"{name}: there is no stage {str(stage)!r}; known are those of the flows and answers, and the "
            f"specification's: {', '.join(sorted(known))}"
        )
    return str(stage)


def check_stages(name: str, by_stage: object, flows: Collection[str]) -> None:
    """Check the stages of a mapping; a name of the specification's kind that it does not have is mistyped."""
    for stage in check_mapping(name, by_stage):
        if not isinstance(stage, str) or stage.startswith("m."):
            check_stage(name, stage, flows)


def check_attribute(owner: type, name: str) -> None:
    """Check that a script sets what can be set; names that begin with _ are a subclass's own."""
    settable = {
        each
        for base in owner.__mro__
        for each in (*inspect.get_annotations(base), *(key for key, value in vars(base).items() if _can_be_set(value)))
        if not each.startswith("_")
    }
    if not name.startswith("_") and name not in settable:
        raise AttributeError(f"{owner.__name__} has no {name!r} to set; a script sets {', '.join(sorted(settable))}")


def _can_be_set(value: object) -> bool:
    return isinstance(value, property) and value.fset is not None
