"""What callbacks have done once in a session: fingerprints, from which nobody finds out a secret.

What must not be here: the secrets themselves, and what comes of doing something twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

#: Characters of a fingerprint: enough to tell two secrets apart, too few to find one out.
_FINGERPRINT = 4


class Marks:
    """The marks of one session.

    Args:
        key: what the fingerprints are made with, so that those of two sessions differ.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._known: dict[str, list[str]] = {}

    def add(self, stage: str, what: str) -> bool:
        """Note that a callback does something, and return whether it is the first time.

        Args:
            stage: the stage's type.
            what: what is done, for example the secret that is sent.
        """
        mark = hashlib.sha256(f"{self._key} {what}".encode()).hexdigest()[:_FINGERPRINT]
        known = self._known.setdefault(stage, [])
        if mark in known:
            return False
        known.append(mark)
        return True

    def save(self) -> dict[str, list[str]]:
        """Return them as JSON."""
        return {stage: list(marks) for stage, marks in self._known.copy().items()}

    def restore(self, saved: object) -> None:
        """Take over what was saved; wrong parts count as nothing."""
        for stage, marks in saved.items() if isinstance(saved, Mapping) else ():
            if isinstance(stage, str) and isinstance(marks, list):
                self._known[stage] = [mark for mark in marks if isinstance(mark, str)]
