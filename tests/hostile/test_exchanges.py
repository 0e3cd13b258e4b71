"""An attempt ends with its response, an ``InteractiveAuthError`` or the callback's own error, within bounds.

These are bounds of requests, time and memory, and they hold whatever status, headers and body each answer has. The
invariant is checked by ``exchanges.play``, for as many exchanges as the size of the run has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from .exchanges import Client, play
from .scenes import SCENES
from .strategies import exchanges, wire

if TYPE_CHECKING:
    Scene = Callable[[Client], object]

pytestmark = pytest.mark.usefixtures("sent_again_at_once")

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


STEERING = "\x1b[2J\u202e\n"
NAMED: dict[str, list[dict[str, Any]]] = {
    "endless sessions": [{"flows": [{"stages": ["x"]}], "session": "S#N#"}],
    "endless flows": [{"flows": [{"stages": ["x#N#"]}], "session": "S"}],
    "endless stages": [{"flows": [{"stages": ["x#N#", "y"]}], "completed": ["x#N#"], "session": "S"}],
    "sessions of other types": [
        {"flows": [{"stages": ["x"]}], "session": value} for value in ([[1]], 1, True, {"a": 1})
    ],
    "words that steer": [{"errcode": STEERING, "error": STEERING}],
    "stages that steer": [{"flows": [{"stages": [STEERING]}], "session": "S", "errcode": STEERING, "error": STEERING}],
    "a key that cannot be sent": [
        {
            "flows": [{"stages": ["m.login.recaptcha"]}],
            "session": "S",
            "params": {"m.login.recaptcha": {"public_key": "\ud800"}},
        }
    ],
    "surrogates": [{"flows": [{"stages": ["\ud800"]}, {"stages": ["x"]}], "session": "\ud800", "errcode": "\udfff"}],
}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("bodies", NAMED.values(), ids=NAMED)
def test_named_exchange_ends(scene: Scene, bodies: list[dict[str, Any]]) -> None:
    """What is known to hurt is played in each run, whatever else is drawn."""
    play(scene, [wire(401, [], json.dumps(body).encode()) for body in bodies])
