"""The two sizes of the heavy tests, and the seed of what they draw."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

Sized = Callable[[int, int], int]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interactive_auth's own tests")
    group.addoption("--full-size", action="store_true", help="run the tests that are marked slow at their full size")
    group.addoption("--seed", type=int, default=1, help="where the slow tests begin to draw (default: %(default)s)")


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of the run: the same seed draws the same faults."""
    given: int = request.config.getoption("--seed")
    return given


@pytest.fixture
def draw(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """A source of chance that is the test's own, the same in each run with the same seed."""
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="session")
def sized(request: pytest.FixtureRequest) -> Sized:
    """Choose between how many there are in the ordinary test command, and how many with ``--full-size``."""
    full: bool = request.config.getoption("--full-size")
    return lambda small, large: large if full else small
