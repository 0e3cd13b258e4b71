"""An attempt ends with its response, an ``InteractiveAuthError`` or the callback's own error, within bounds.

These are bounds of requests, time and memory, and they hold whatever status, headers and body each answer has. The
invariant is checked by ``exchanges.play``, for as many exchanges as the size of the run has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from .exchanges import SCENES, Client, play
from .strategies import exchanges

if TYPE_CHECKING:
    Scene = Callable[[Client], object]

#: How many exchanges each scene is played with, in the ordinary run and at full size.
SMALL, LARGE = 12, 1500


@pytest.fixture
def drawn(seed: int, sized: Callable[[int, int], int]) -> Callable[[Any], Any]:
    """Return a decorator of properties that draws as many examples as the run has, the same ones for the same seed."""
    size = settings(
        max_examples=sized(SMALL, LARGE),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: seeded(seed)(size(test))


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_every_exchange_ends(scene: Scene, drawn: Callable[[Any], Any]) -> None:
    """Whatever bytes come from the server, over the real transport, the invariant holds."""

    @drawn
    @given(exchanges)
    def ends(answers: list[bytes]) -> None:
        play(scene, answers)

    ends()
