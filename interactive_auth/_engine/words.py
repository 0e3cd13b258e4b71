"""What the engine says about itself, in logs and reprs, without a secret.

What must not be here: errors, whose texts are their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import InteractiveAuthError
from .._text import printable
from .flows import next_stage
from .session import UIASession


def for_a_log(error: BaseException | None) -> str:
    """Return the text of an answer; that of another library's error may hold what was sent, so only its name."""
    return str(error) if isinstance(error, InteractiveAuthError) else type(error).__name__


def auth_for_a_log(auth: Mapping[str, Any] | None) -> str:
    """Return what is sent, as far as it is not secret."""
    if not auth:
        return "no auth"
    kind = auth.get("type")
    return "the session alone" if kind is None else f"auth of the type {printable(kind, 100)}"


def standing(session: UIASession, stage: str | None, how: str) -> str:
    """Return where an authentication stands.

    Args:
        session: what the server has said.
        stage: the stage that is being done, None if none is.
        how: whether an attempt runs, or how it has ended.
    """
    if session.chosen is None:
        return how
    done = [each for each in session.chosen if each in session.completed]
    now = stage or next_stage(session.chosen, session.completed)
    where = "every stage is done" if now is None else f"at {printable(now, 100)}"
    return f"{how}, {where}, {len(done)} of {len(session.chosen)} stages completed"
