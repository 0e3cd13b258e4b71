"""Somebody who guesses at a password."""

from __future__ import annotations

from collections.abc import Iterable

from interactive_auth import Stage


class Guesses:
    """Answers password stages with one guess after the other, and the last one from then on.

    Attributes:
        stages: the stages that were asked for so far.
    """

    def __init__(self, guesses: Iterable[str]) -> None:
        self._guesses = tuple(guesses)
        self.stages: list[Stage] = []

    def __call__(self, stage: Stage) -> str:
        """Return the next guess."""
        self.stages.append(stage)
        return self._guesses[min(len(self.stages), len(self._guesses)) - 1]

    def all_were_needed(self) -> bool:
        """Return whether each guess was asked for, and each but the first because the one before was refused."""
        refusals = [None if stage.error is None else stage.error.errcode for stage in self.stages]
        return refusals == [None] + ["M_FORBIDDEN"] * (len(self._guesses) - 1)
