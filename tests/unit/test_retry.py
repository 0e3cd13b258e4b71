"""How long a failed request waits before it is sent again, and when it is given up."""

from __future__ import annotations

import pytest

from interactive_auth import MatrixError, RetryPolicy
from interactive_auth._replies import Reply
from interactive_auth._retry import Retries

LIMITED = MatrixError(429, {})
TROUBLE = MatrixError(503, {})


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        ({"retry_after_ms": 1500}, None, 1.5),
        ({"retry_after_ms": 1500}, 7.0, 1.5),
        ({"retry_after_ms": 0}, 7.0, 0.0),
        ({}, 7.0, 7.0),
        ({"retry_after_ms": "soon"}, 7.0, 7.0),
        ({}, None, 2.0),
        ({"retry_after_ms": -5}, None, 2.0),
    ],
    ids=["body", "body before header", "body says at once", "header", "useless body", "neither", "both useless"],
)
def test_rate_limit_wait(body: dict[str, object], header: float | None, seconds: float) -> None:
    """A 429 waits for the body's delay, else the header's, else a default."""
    wait = Retries(RetryPolicy()).wait_after(Reply.RATE_LIMITED, MatrixError(429, body, header))

    assert wait == seconds


def test_default_rate_limit_wait_grows() -> None:
    """A 429 that states no delay waits twice as long each time, until that exceeds max_wait."""
    retries = Retries(RetryPolicy(max_wait=60))

    waits = [retries.wait_after(Reply.RATE_LIMITED, LIMITED) for _ in range(5)]

    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0]
    with pytest.raises(MatrixError) as caught:
        retries.wait_after(Reply.RATE_LIMITED, LIMITED)
    assert caught.value is LIMITED


def test_default_rate_limit_wait_is_finite() -> None:
    """However often nothing is stated, the default wait stays a number."""
    retries = Retries(None)

    waits = [retries.limit_wait(LIMITED) for _ in range(5000)]

    assert waits == sorted(waits)
    assert waits[-1] == waits[100] < float("inf")


@pytest.mark.parametrize(("stated", "accepted"), [(10_000, True), (10_001, False)], ids=["at the limit", "beyond"])
def test_rate_limit_beyond_max_wait_is_raised(stated: int, accepted: bool) -> None:
    """A wait of exactly max_wait is accepted, a longer one raises the 429."""
    retries = Retries(RetryPolicy(max_wait=10.0))
    error = MatrixError(429, {"retry_after_ms": stated})

    if accepted:
        assert retries.wait_after(Reply.RATE_LIMITED, error) == 10.0
    else:
        with pytest.raises(MatrixError) as caught:
            retries.wait_after(Reply.RATE_LIMITED, error)
        assert caught.value is error


def test_trouble_that_asks_for_too_long_a_wait_raises_the_first_error() -> None:
    """A 503 that says to come back beyond max_wait ends it with what had gone wrong first."""
    retries = Retries(RetryPolicy(retries=3, max_wait=60.0))
    first = ConnectionError("refused")
    retries.wait_after(Reply.TRANSIENT, first)

    with pytest.raises(ConnectionError) as caught:
        retries.wait_after(Reply.TRANSIENT, MatrixError(503, {}, retry_after=61.0))

    assert caught.value is first


def test_rate_limits_do_not_use_up_the_retries() -> None:
    """retries bounds the repetitions after trouble, not the waits that the server asks for."""
    retries = Retries(RetryPolicy(retries=0))

    assert [retries.wait_after(Reply.RATE_LIMITED, MatrixError(429, {"retry_after_ms": 1})) for _ in range(9)]
    with pytest.raises(MatrixError):
        retries.wait_after(Reply.TRANSIENT, TROUBLE)


@pytest.mark.parametrize("reply", [reply for reply in Reply if reply not in (Reply.RATE_LIMITED, Reply.TRANSIENT)])
def test_what_is_final_is_raised(reply: Reply) -> None:
    """Nothing but rate limits and trouble is sent again."""
    error = MatrixError(400, {})

    with pytest.raises(MatrixError) as caught:
        Retries(RetryPolicy()).wait_after(reply, error)
    assert caught.value is error


@pytest.mark.parametrize("reply", [Reply.RATE_LIMITED, Reply.TRANSIENT])
def test_without_a_policy_nothing_is_repeated(reply: Reply) -> None:
    """None for a policy gives up at once, at a 429 too."""
    error = MatrixError(429, {"retry_after_ms": 1})

    with pytest.raises(MatrixError) as caught:
        Retries(None).wait_after(reply, error)
    assert caught.value is error


@pytest.mark.usefixtures("no_jitter")
def test_trouble_waits_grow_up_to_max_wait() -> None:
    """Each repetition after trouble waits twice as long, up to max_wait."""
    retries = Retries(RetryPolicy(retries=6, max_wait=5.0))

    assert [retries.wait_after(Reply.TRANSIENT, TROUBLE) for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_trouble_waits_are_jittered() -> None:
    """Two clients do not wait alike: each wait is drawn from the upper half of its span."""
    waits = {Retries(RetryPolicy()).wait_after(Reply.TRANSIENT, TROUBLE) for _ in range(50)}

    assert all(0.25 <= wait <= 0.5 for wait in waits)
    assert len(waits) > 1


def test_too_much_trouble_raises_the_first_error() -> None:
    """After the last repetition the error that began the trouble is raised."""
    first, second = ConnectionResetError("first"), TimeoutError("second")
    retries = Retries(RetryPolicy(retries=2))

    retries.wait_after(Reply.TRANSIENT, first)
    retries.wait_after(Reply.TRANSIENT, second)

    with pytest.raises(ConnectionResetError) as caught:
        retries.wait_after(Reply.TRANSIENT, second)
    assert caught.value is first


@pytest.mark.usefixtures("no_jitter")
def test_a_name_that_is_in_use_after_trouble_may_be_ones_own() -> None:
    """A name that the lost request may have taken is asked for as often as trouble allows, and then raised itself."""
    retries = Retries(RetryPolicy(retries=3))
    in_use = MatrixError(400, {"errcode": "M_USER_IN_USE"})

    assert retries.wait_after(Reply.TRANSIENT, TROUBLE) == 0.5
    assert [retries.wait_after(Reply.FAILURE, in_use) for _ in range(2)] == [1.0, 2.0]
    with pytest.raises(MatrixError) as caught:
        retries.wait_after(Reply.FAILURE, in_use)
    assert caught.value is in_use


@pytest.mark.parametrize(
    ("before", "errcode"),
    [
        ([], "M_USER_IN_USE"),
        ([(Reply.RATE_LIMITED, LIMITED)], "M_USER_IN_USE"),
        ([(Reply.TRANSIENT, TROUBLE)], "M_FORBIDDEN"),
    ],
    ids=["nothing was lost", "a 429 did nothing", "another refusal"],
)
def test_a_refusal_that_is_final(before: list[tuple[Reply, MatrixError]], errcode: str) -> None:
    """A refusal that cannot be due to what the request itself has done before is raised at once."""
    retries = Retries(RetryPolicy())
    for reply, error in before:
        retries.wait_after(reply, error)
    refusal = MatrixError(400, {"errcode": errcode})

    with pytest.raises(MatrixError) as caught:
        retries.wait_after(Reply.FAILURE, refusal)
    assert caught.value is refusal


@pytest.mark.usefixtures("no_jitter")
def test_trouble_without_end_stays_finite() -> None:
    """The growth has an end, so that no number of repetitions overflows."""
    retries = Retries(RetryPolicy(retries=5000, max_wait=1e300))

    waits = [retries.wait_after(Reply.TRANSIENT, TROUBLE) for _ in range(5000)]

    assert waits[-1] == waits[100] < 1e10


def test_an_error_without_a_body_states_no_delay() -> None:
    """What is no answer of a server gets the default wait."""
    assert Retries(None).limit_wait(ConnectionError()) == 2.0
