"""The CPU time that an answer takes grows linearly with its size, whatever it is that is large in it."""

from __future__ import annotations

import gc
import json
import math
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest

from interactive_auth import (
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    NoAuthFlowFoundError,
    Stage,
    console,
    handlers,
)
from interactive_auth._http.answers import RawResponse, check_answer

from .exchanges import in_no_time

#: Twice as large may take up to so many times as long; four times would be quadratic.
MOST = 3.0
#: How often the two sizes are compared at most; the quickest of each counts, since other work only adds to it.
ROUNDS = 25


def parsed(body: str) -> None:
    """Read an answer as the transport does, and do with the error what a program may do with it."""
    with pytest.raises(InteractiveAuthError) as caught:
        check_answer(RawResponse(401, {}, body.encode()), "POST https://example.org/x")
    repr(caught.value)
    pickle.loads(pickle.dumps(caught.value))


def attempted(body: dict[str, Any], *, handler: Any = None, **options: Any) -> None:
    """Make an attempt that is answered with this body once, then with a success, and save its state."""
    answers: list[Exception] = [MatrixError(401, body)]

    def do_request(_auth: dict[str, Any] | None) -> str:
        if answers:
            raise answers.pop()
        return "done"

    auth = InteractiveAuth(do_request, handler or (lambda stage: {"type": stage.type}), **options)
    auth.attempt_auth()
    json.dumps(auth.get_resume_state())


def refused(body: dict[str, Any]) -> None:
    """Make an attempt for which no flow fits, and show the error."""

    def do_request(_auth: dict[str, Any] | None) -> str:
        raise MatrixError(401, body)

    with pytest.raises(NoAuthFlowFoundError) as caught:
        InteractiveAuth(do_request, {"org.example.none": lambda _stage: None}).attempt_auth()
    repr(caught.value)
    pickle.loads(pickle.dumps(caught.value))


def rejected(body: dict[str, Any]) -> None:
    """Make an attempt whose only stage is rejected with this body until it is given up."""

    def do_request(_auth: dict[str, Any] | None) -> str:
        raise MatrixError(401, {"flows": [{"stages": ["x"]}], **body})

    with pytest.raises(InteractiveAuthError) as caught:
        InteractiveAuth(do_request, lambda stage: {"type": stage.type}).attempt_auth()
    repr(caught.value)
    pickle.loads(pickle.dumps(caught.value.__cause__))


def flows(number: int, stages: int) -> list[dict[str, Any]]:
    """Return so many flows of so many stages, all different."""
    return [{"stages": [f"s{n}-{m}" for m in range(stages)]} for n in range(number)]


def nested(depth: int, width: int) -> str:
    """Return JSON that is nested so deeply, so often."""
    return "[" + ",".join(["[" * depth + "]" * depth] * width) + "]"


def accept_all(_policies: list[handlers.Policy]) -> bool:
    return True


CASES: dict[str, tuple[int, Callable[[int], Any], Callable[[Any], None]]] = {
    "flows": (1500, lambda n: {"flows": flows(n, 20)}, attempted),
    "flows without stages": (30_000, lambda n: {"flows": [{}] * n + [{"stages": ["x"]}]}, attempted),
    "flows that are none": (30_000, lambda n: {"flows": [1] * n + [{"stages": ["x"]}]}, attempted),
    "equal flows": (30_000, lambda n: {"flows": [{"stages": ["x"]}] * n}, attempted),
    "flows that do not fit": (1500, lambda n: {"flows": flows(n, 20)}, refused),
    "stages": (30_000, lambda n: {"flows": flows(1, n)}, attempted),
    "the same stage": (60_000, lambda n: {"flows": [{"stages": ["x"] * n}]}, attempted),
    "completed": (30_000, lambda n: {"flows": flows(2, 2), "completed": [f"c{m}" for m in range(n)]}, attempted),
    "completed stages": (
        20_000,
        lambda n: {"flows": [{"stages": [*map(str, range(n)), "x"]}], "completed": [*map(str, range(n))]},
        attempted,
    ),
    "params": (
        20_000,
        lambda n: {"flows": flows(1, 1), "params": {"s0-0": {str(m): [m] for m in range(n)}}},
        attempted,
    ),
    "session": (500_000, lambda n: {"session": "a" * n, "error": "a" * n, "errcode": "a" * n}, rejected),
    "short session": (500_000, lambda n: {"session": "aaaaaa", "error": "a" * n, "errcode": "a" * n}, rejected),
    "texts": (10_000, lambda n: {"session": "a" * 20, "x": ["a" * 20] * n}, rejected),
    "nesting": (200, lambda n: f'{{"errcode": "M_X", "session": {nested(200, n)}, "x": {nested(200, n)}}}', parsed),
    "nesting that is too deep": (500_000, lambda n: "[" * n, parsed),
    "keys": (30_000, lambda n: json.dumps({str(m): m for m in range(n)}), parsed),
    "equal keys": (50_000, lambda n: "{" + '"session": "abcdefg", ' * n + '"error": "abcdefg"}', parsed),
    "digits": (200_000, lambda n: '{"retry_after_ms": ' + "9" * n + "}", parsed),
    "numbers": (500, lambda n: '{"x": [' + "9" * 4000 + (", " + "9" * 4000) * n + "]}", parsed),
    "escapes": (50_000, lambda n: '{"error": "' + "\\ud800\\u001b" * n + '"}', parsed),
    "policies": (
        3000,
        lambda n: {
            "flows": [{"stages": ["m.login.terms"]}],
            "params": {
                "m.login.terms": {
                    "policies": {str(m): {"de": {"name": "A", "url": "https://a.example"}} for m in range(n)}
                }
            },
        },
        lambda body: attempted(body, handler={"m.login.terms": handlers.terms(accept_all)}),
    ),
    "languages": (
        10_000,
        lambda n: {
            "flows": [{"stages": ["m.login.terms"]}],
            "params": {
                "m.login.terms": {
                    "policies": {"a": {f"x{m}": {"name": "A", "url": "https://a.example"} for m in range(n)}}
                }
            },
        },
        lambda body: attempted(body, handler={"m.login.terms": handlers.terms(accept_all)}),
    ),
}


def seconds(act: Callable[[Any], None], given: Any) -> float:
    """Return the CPU seconds that something takes, without those of a collection that falls into it by chance."""
    gc.disable()
    try:
        begun = time.thread_time()
        act(given)
        return time.thread_time() - begun
    finally:
        gc.enable()


def is_linear(once: float, twice: float) -> bool:
    """Return whether the seconds for an answer and for one twice as large are about as one to two."""
    return twice <= MOST * max(once, 0.001)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "make", "act"), CASES.values(), ids=CASES)
def test_time_grows_linearly(
    sized: Callable[[int, int], int], size: int, make: Callable[[int], Any], act: Callable[[Any], None]
) -> None:
    """An answer that is twice as large takes about twice as long."""
    number = sized(size // 5, size)
    once, twice = make(number), make(2 * number)

    quickest = [math.inf, math.inf]
    with in_no_time():
        for _ in range(ROUNDS):
            quickest = [min(quickest[0], seconds(act, once)), min(quickest[1], seconds(act, twice))]
            if is_linear(*quickest):
                break

    assert is_linear(*quickest), quickest


def test_many_flows_of_many_stages() -> None:
    """5,000 flows of 200 stages each are walked, and saved, in seconds."""
    offered = {"session": "S", "flows": flows(5000, 200)}

    took = seconds(lambda body: attempted(body, supported_stages=["s4999-0"]), offered)

    assert took < 10


def test_console_of_a_stage_among_many(capsys: pytest.CaptureFixture[str]) -> None:
    """A person at the console sees a line for a stage, however long its flow is."""
    stages = [f"s{n}" for n in range(100_000)]
    ask = console.handlers(Homeserver("https://example.org"))["*"]

    def callback(stage: Stage) -> dict[str, Any]:
        with pytest.raises(InteractiveAuthError, match="no session"):
            ask(stage)
        return {"type": stage.type}

    attempted({"flows": [{"stages": stages}]}, handler=callback)

    assert capsys.readouterr().err == "Step 1 of 100000: s0\n"
