"""One line in place of a traceback where a package is missing that the examples need.

It is imported before anything that has to be installed. It is for the examples themselves: another program that
imports a module of theirs keeps its own ``sys.excepthook``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType


def _tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not isinstance(error, ModuleNotFoundError):
        sys.__excepthook__(kind, error, traceback)
        return
    package = (error.name or "a package").partition(".")[0]
    program = Path(sys.argv[0]).name
    remedy = "in a clone of the repository: pip install '.[examples]'"
    print(f"{program}: {package} is not installed; {remedy}", file=sys.stderr)


if Path(sys.argv[0]).resolve().parent == Path(__file__).resolve().parent:
    sys.excepthook = _tell
