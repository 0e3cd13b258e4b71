"""Tracebacks without the library's own frames, whose locals hold what was sent.

Error reporters pass on the locals of each frame, and a person who reads a traceback looks for those of the program.
What must not be here: what an error says.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

#: The type of a function, which keeps its name, its arguments and its result.
F = TypeVar("F", bound=Callable[..., Any])

#: What holds several errors, from Python 3.11 on.
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())
#: Where the library's own code is.
_HOME = os.path.dirname(__file__) + os.sep


def forget_frames(error: BaseException) -> None:
    """Take the library's own frames out of the tracebacks of an error, and of all that it was raised from."""
    found = [error]
    for each in found:  # which grows
        BaseException.with_traceback(each, _foreign(each.__traceback__))  # some errors refuse to have attributes set
        members = getattr(each, "exceptions", ()) if isinstance(each, _GROUP) else ()
        related = (each.__cause__, each.__context__, *members)
        found += [e for e in related if isinstance(e, BaseException) and not any(e is known for known in found)]


def without_frames(function: F) -> F:
    """Decorate a public function: what it raises has no frame of the library's (``forget_frames``)."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            forget_frames(error)
            raise

    return cast("F", call)


def _foreign(traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_HOME):
            kept.append(traceback)
        traceback = traceback.tb_next
    for each, following in zip(kept, [*kept[1:], None], strict=False):
        each.tb_next = following
    return kept[0] if kept else None
