"""An attempt keeps the last answer only, and nothing once it is over, without the garbage collector's help."""

from __future__ import annotations

import weakref
from typing import Any, NoReturn

import pytest

from interactive_auth import AuthDeferredError, InteractiveAuth, MatrixError, Stage

pytestmark = pytest.mark.usefixtures("clock", "no_collection")

Answer = tuple[int, dict[str, Any]]

STAGE, OTHER, EMAIL = "org.example.stage", "org.example.other", "m.login.email.identity"


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


NOT_NOW, GONE = (400, {"errcode": "M_INVALID_PARAM"}), (401, {"errcode": "M_UNKNOWN_TOKEN"})
NOBODY: Answer = (401, {"flows": [], "session": "S"})


class Deferred:
    """A callback that puts its stage off, or fails in another way."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def __call__(self, stage: Stage) -> NoReturn:
        raise self._error


def submit_nothing(stage: Stage) -> None:
    """Wait for the stage."""


def cancel(stage: Stage) -> None:
    """Give up."""
    stage.auth.cancel()


@pytest.mark.parametrize(
    ("answers", "callback", "options"),
    [
        pytest.param([(500, {})], answer, {}, id="refused"),
        pytest.param([CHALLENGE, (500, {})], answer, {}, id="refused later"),
        pytest.param([TROUBLE] * 4, answer, {}, id="trouble"),
        pytest.param([TROUBLE], answer, {"retry": None}, id="trouble without retry"),
        pytest.param([LIMITED] * 30, answer, {}, id="rate limits without end"),
        pytest.param([(429, {"retry_after_ms": 10**9})], answer, {}, id="a long rate limit"),
        pytest.param([CHALLENGE, *[WRONG] * 3], answer, {}, id="wrong three times"),
        pytest.param([CHALLENGE, LOST, CHALLENGE, LOST], answer, {}, id="lost twice"),
        pytest.param([CHALLENGE, GONE], answer, {}, id="logged out"),
        pytest.param([NOBODY, NOBODY], answer, {}, id="no flow"),
        pytest.param([offer(flows=[{"stages": []}])] * 2, answer, {}, id="nothing left to do"),
        pytest.param([offer(flows=[{"stages": ["m.login.dummy"]}])] * 2, answer, {}, id="dummy"),
        pytest.param([CHALLENGE] * 100, answer, {"max_attempts": None}, id="no progress"),
        pytest.param([CHALLENGE] * 100, submit_nothing, {"poll_timeout": 5}, id="timeout"),
        pytest.param([CHALLENGE, NOT_NOW], submit_nothing, {}, id="refused poll"),
        pytest.param([CHALLENGE, (429, {"retry_after_ms": 10**9})], submit_nothing, {}, id="a poll's long rate limit"),
        pytest.param([CHALLENGE, LOST, CHALLENGE, LOST], submit_nothing, {}, id="lost twice by polls"),
        pytest.param([CHALLENGE, GONE], submit_nothing, {}, id="a poll's logout"),
        pytest.param([CHALLENGE, WRONG], cancel, {}, id="cancelled"),
        pytest.param([CHALLENGE], Deferred(AuthDeferredError), {}, id="deferred"),
        pytest.param([CHALLENGE], Deferred(KeyError), {}, id="failed callback"),
        pytest.param([CHALLENGE], Deferred(StopIteration), {}, id="exhausted callback"),
    ],
)
def test_error_that_ends_an_attempt(answers: list[Answer], callback: Any, options: dict[str, Any]) -> None:
    """However an attempt ends, what it was answered dies with the error, but for what rejected each stage last."""
    server = Refusals(*answers)
    auth = InteractiveAuth(server, callback, **options)

    with pytest.raises(Exception) as caught:  # noqa: PT011 (any)
        auth.attempt_auth()
    del caught

    assert len(server.alive) <= 1
    assert {error.errcode for error in server.alive} <= {"M_FORBIDDEN", None}
    assert all(error.http_status == 401 for error in server.alive)


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize(
    "refusals", [[NOT_NOW], [TROUBLE] * 4, [LIMITED, NOT_NOW]], ids=["refused", "trouble", "limit"]
)
def test_a_refused_token_request(by_hand: bool, refusals: list[Answer]) -> None:
    """The same holds for the refusal of a token request, of the loop's or by hand."""
    tokens = Refusals(*refusals)
    auth = InteractiveAuth(
        Refusals(offer(flows=[{"stages": [EMAIL]}])),
        submit_nothing,
        inputs={"email_address": "a@b.c"},
        request_email_token=lambda *_: tokens(None),  # type: ignore[arg-type, return-value]  # it always raises
    )

    with pytest.raises(MatrixError) as caught:
        auth.request_email_token() if by_hand else auth.attempt_auth()
    assert tokens.alive
    del caught

    assert tokens.alive == []


def test_rejections_of_ever_other_stages() -> None:
    """A server that rejects each answer and offers another stage has one of its answers kept, and none in the end."""
    flows = [{"flows": [{"stages": [f"org.example.{number}"]}], "errcode": "M_FORBIDDEN"} for number in range(15)]
    server = Refusals(*[(401, {"session": "S", **body}) for body in flows])

    InteractiveAuth(server, answer).attempt_auth()

    assert server.most_alive <= 2
    assert server.alive == []
