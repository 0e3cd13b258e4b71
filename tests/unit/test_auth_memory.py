"""An attempt keeps the last answer only, and nothing once it is over, without the garbage collector's help."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from interactive_auth import InteractiveAuth, MatrixError, ServerProtocolError, Stage

pytestmark = pytest.mark.usefixtures("clock", "no_collection")

Answer = tuple[int, dict[str, Any]]

STAGE, OTHER = "org.example.stage", "org.example.other"


class Refusals:
    """A server that answers with one error after another, which only its client can keep alive."""

    def __init__(self, *planned: Answer) -> None:
        self._planned = list(planned)
        self._sent: list[weakref.ref[MatrixError]] = []
        self.most_alive = 0

    def __call__(self, auth: dict[str, Any] | None) -> str:
        self.most_alive = max(self.most_alive, len(self.alive))
        if not self._planned:
            return "done"
        status, body = self._planned.pop(0)
        raise self._remembered(MatrixError(status, body))

    def _remembered(self, error: MatrixError) -> MatrixError:
        # A function that raised it by a name of its own would be a cycle, too.
        self._sent.append(weakref.ref(error))
        return error

    @property
    def alive(self) -> list[MatrixError]:
        """The errors that somebody still has."""
        return [error for reference in self._sent if (error := reference()) is not None]


def answer(stage: Stage) -> dict[str, Any]:
    """Answer every stage with its type alone."""
    return {"type": stage.type}


def offer(**fields: Any) -> Answer:
    """Return an answer that offers a flow of two stages."""
    return 401, {"flows": [{"stages": [STAGE, OTHER]}], "session": "S", **fields}


CHALLENGE, WRONG, HALF = offer(), offer(errcode="M_FORBIDDEN"), offer(completed=[STAGE])
LOST: Answer = (400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID"})
TROUBLE: Answer = (502, {})
LIMITED: Answer = (429, {"retry_after_ms": 10})


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([CHALLENGE, WRONG, WRONG, HALF, HALF], id="rejections"),
        pytest.param([CHALLENGE, LIMITED, LIMITED, HALF], id="rate limits"),
        pytest.param([CHALLENGE, HALF, LOST, CHALLENGE], id="lost sessions"),
    ],
)
def test_answers_of_the_foreground(answers: list[Answer]) -> None:
    """While a request is sent, only the answer to the one before is kept; after the success none is."""
    server = Refusals(*answers)

    InteractiveAuth(server, answer).attempt_auth()

    assert server.most_alive == 1
    assert server.alive == []


def test_connection_trouble() -> None:
    """The first trouble is kept while its request is repeated, and no longer; a rejection until its stage is done."""
    server = Refusals(*[CHALLENGE, TROUBLE, TROUBLE, WRONG] * 5, HALF)

    InteractiveAuth(server, answer, max_attempts=None).attempt_auth()

    assert server.most_alive <= 3
    assert server.alive == []


def test_polls() -> None:
    """Of a wait's polls, too, the last answer is kept, and none after the wait."""
    server = Refusals(CHALLENGE, *[offer()] * 5, HALF, *[HALF] * 5)

    InteractiveAuth(server, lambda stage: None).attempt_auth()

    assert server.most_alive == 1
    assert server.alive == []


def test_error_that_ends_an_attempt() -> None:
    """What an error has for its cause dies with that error, though its InteractiveAuth lives on."""
    server = Refusals(*[CHALLENGE] * 100)
    auth = InteractiveAuth(server, answer, max_attempts=None)

    with pytest.raises(ServerProtocolError) as caught:
        auth.attempt_auth()
    assert server.alive == [caught.value.__cause__]
    del caught

    assert server.alive == []
