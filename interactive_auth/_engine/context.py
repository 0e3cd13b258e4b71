"""What a stage callback may ask of the attempt that calls it.

What must not be here: anything that only the loop may do.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from .conversation import Shared

#: The attempt whose callback is running here; the ready-made callbacks ask for mails, texts and polls through it.
CURRENT: ContextVar[Shared[Any]] = ContextVar("interactive_auth.current")


def current() -> Shared[Any]:
    """Return the attempt that is calling a callback now.

    Raises:
        RuntimeError: there is none.
    """
    try:
        return CURRENT.get()
    except LookupError:
        raise RuntimeError("this callback works only when it is called by an InteractiveAuth") from None
