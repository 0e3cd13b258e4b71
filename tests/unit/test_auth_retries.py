"""Rate limits, trouble on the way, and servers that lead nowhere."""

from __future__ import annotations

import itertools

import pytest
import requests
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import (
    HomeserverConnectionError,
    InteractiveAuthError,
    MatrixError,
    RetryPolicy,
    ServerProtocolError,
    StageFailedError,
)

PASSWORD, TERMS = "m.login.password", "m.login.terms"


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500}, 9.0), 1.5),
        (MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED"}, 9.0), 9.0),
        (MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED"}), 2.0),
    ],
    ids=["retry_after_ms", "Retry-After", "neither"],
)
def test_a_rate_limit_is_waited_for(
    new_auth: NewAuth,
    server: ScriptedServer,
    answering: ScriptedUser,
    clock: FakeClock,
    limit: MatrixError,
    seconds: float,
) -> None:
    """A 429 waits what it says, and then the same is sent again; nobody is asked again."""
    server.will(limit, challenge([PASSWORD]), limit, "done")

    assert new_auth().attempt_auth() == "done"
    submitted = {"type": PASSWORD, "session": "S1"}
    assert server.sent == [None, None, submitted, submitted]
    assert server.times == [0.0, seconds, seconds, 2 * seconds]
    assert len(answering.seen) == 1


def test_unstated_rate_limits_wait_longer_each_time(
    new_auth: NewAuth, server: ScriptedServer, clock: FakeClock
) -> None:
    """A server that never says how long is asked less and less often, and given up beyond max_wait."""
    limit = MatrixError(429, {})
    server.then_always(limit)

    with pytest.raises(MatrixError) as caught:
        new_auth().attempt_auth()
    assert caught.value is limit
    assert server.times == [0, 2, 6, 14, 30, 62, 126]


@pytest.mark.parametrize("retry", [RetryPolicy(max_wait=5), None], ids=["too long", "never retry"])
def test_a_rate_limit_is_raised(
    new_auth: NewAuth, server: ScriptedServer, clock: FakeClock, retry: RetryPolicy | None
) -> None:
    """A wait beyond max_wait is not begun, and no 429 is waited for without a policy."""
    limit = MatrixError(429, {"retry_after_ms": 5001})
    server.will(limit)

    with pytest.raises(MatrixError) as caught:
        new_auth(retry=retry).attempt_auth()
    assert caught.value is limit
    assert clock.waits == []


TROUBLE = [
    ConnectionError("x"),
    ConnectionResetError("x"),
    TimeoutError("x"),
    HomeserverConnectionError("x"),
    requests.exceptions.ConnectionError("x"),
    requests.exceptions.Timeout("x"),
    requests.exceptions.ChunkedEncodingError("x"),
    MatrixError(502, {}),
    MatrixError(503, {"errcode": "M_UNKNOWN"}),
    MatrixError(504, {}),
]


@pytest.mark.usefixtures("no_jitter")
@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: f"{type(error).__name__} {error}")
def test_trouble_is_retried(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser, trouble: Exception
) -> None:
    """What failed on the way is sent again after a growing wait; each request has its own repetitions."""
    server.will(trouble, trouble, trouble, challenge([PASSWORD]), trouble, trouble, trouble, "done")

    assert new_auth().attempt_auth() == "done"
    assert server.sent == [None] * 4 + [{"type": PASSWORD, "session": "S1"}] * 4
    assert server.times == [0, 0.5, 1.5, 3.5, 3.5, 4.0, 5.0, 7.0]
    assert len(answering.seen) == 1


@pytest.mark.parametrize(
    ("retry", "requests_sent"),
    [(RetryPolicy(), 4), (RetryPolicy(retries=1), 2), (RetryPolicy(retries=0), 1), (None, 1)],
)
def test_the_first_trouble_is_raised(
    new_auth: NewAuth, server: ScriptedServer, retry: RetryPolicy | None, requests_sent: int
) -> None:
    """After the last repetition the error that came first is raised."""
    first = MatrixError(503, {})
    server.will(first)
    server.then_always(ConnectionError("later"))

    with pytest.raises(MatrixError) as caught:
        new_auth(retry=retry).attempt_auth()
    assert caught.value is first
    assert len(server.sent) == requests_sent


def test_a_lost_session_after_trouble(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """A repeated request is classified as any other."""
    lost = MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"})
    server.will(challenge([TERMS]), ConnectionError("x"), lost, challenge([TERMS], session="S2"), "done")

    assert new_auth().attempt_auth() == "done"
    assert server.sent[-1] == {"type": TERMS, "session": "S2"}


def test_a_registration_that_the_server_is_still_busy_with(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser
) -> None:
    """The name that a lost request is just taking is no refusal: the same, sent again, is answered with the account."""
    in_use = MatrixError(400, {"errcode": "M_USER_IN_USE"})
    server.will(challenge([TERMS]), ConnectionError("x"), in_use, "the account")

    assert new_auth().attempt_auth() == "the account"
    assert server.sent == [None] + [{"type": TERMS, "session": "S1"}] * 3
    assert len(answering.seen) == 1


# Servers that lead nowhere


def test_twenty_requests_without_progress(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """A stage that never completes is given up after twenty requests in a row, with the last answer as the cause.

    Where the same is answered without a reason, whatever is sent, do_request may not be sending it.
    """
    last = challenge([TERMS])
    server.will(*[challenge([TERMS]) for _ in range(20)], last)

    with pytest.raises(
        ServerProtocolError, match=r"20 requests in a row .* do_request may not be sending auth"
    ) as caught:
        new_auth(max_attempts=None).attempt_auth()
    assert caught.value.__cause__ is last
    assert len(server.sent) == 1 + 20  # the first request brought the flow


def test_stages_that_are_refused_in_turn(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """Of wrong answers without limit the first to a stage counts, and the same stage's further ones do not."""
    server.will(challenge([TERMS, PASSWORD]), *[challenge([TERMS, PASSWORD], errcode="M_FORBIDDEN") for _ in range(60)])
    turns = itertools.cycle([TERMS, TERMS, TERMS, PASSWORD, PASSWORD, PASSWORD])
    user.then_always(lambda _stage: {"type": next(turns)})

    with pytest.raises(ServerProtocolError, match="20 requests in a row") as caught:
        new_auth(max_attempts=None).attempt_auth()
    assert "do_request" not in str(caught.value)
    assert len(server.sent) == 1 + 3 * 20 - 2


@pytest.mark.parametrize(
    "refusal",
    [
        challenge([TERMS], errcode="M_FORBIDDEN"),
        MatrixError(400, {"errcode": "M_UNKNOWN", "error": "no"}),
        MatrixError(401, {"errcode": "M_UNKNOWN_TOKEN"}),
    ],
    ids=["rejected", "refused", "logged out"],
)
@pytest.mark.parametrize("lost", [True, False])
def test_a_refusal_after_a_lost_answer(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser, refusal: MatrixError, lost: bool
) -> None:
    """What could not be repeated may have been carried out, and the caller is told so."""
    refusal = MatrixError(refusal.http_status, refusal.data)
    server.will(challenge([TERMS]), *[HomeserverConnectionError("no answer came")] * lost, refusal)

    with pytest.raises(InteractiveAuthError) as caught:
        new_auth(max_attempts=1).attempt_auth()

    told = "an answer to the same was lost before, so it may have been carried out: no answer came"
    assert (told in str(caught.value)) is lost


def test_a_do_request_that_drops_auth(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """Where each answer is a new session without a reason, the text of the failure says what may be wrong."""
    numbers = itertools.count()
    server.then_always(lambda _auth: challenge([PASSWORD], session=f"S{next(numbers)}"))

    with pytest.raises(StageFailedError, match="do_request may not be sending auth"):
        new_auth().attempt_auth()

    assert [stage.attempt for stage in answering.seen] == [1, 2, 3]


def test_progress_starts_the_count_anew(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """Nineteen fruitless requests are allowed before each step of the flow."""
    flow = [TERMS, PASSWORD]
    server.will(*[challenge(flow)] * 20, *[challenge(flow, completed=[TERMS])] * 20, "done")

    assert new_auth(max_attempts=None).attempt_auth() == "done"


def test_new_sessions_are_no_progress(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """A server that opens another session each time and completes the same stage again leads nowhere."""
    flow = [TERMS, PASSWORD]
    numbers = itertools.count()

    def confuse(_auth: object) -> MatrixError:
        number = next(numbers)
        return challenge(flow, session=f"S{number}", completed=[TERMS] if number % 2 else [])

    server.then_always(confuse)

    with pytest.raises(ServerProtocolError):
        new_auth(max_attempts=None).attempt_auth()
    assert len(server.sent) <= 45


def test_new_flows_are_no_progress(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """A server that offers another stage each time leads nowhere."""
    numbers = itertools.count()
    server.then_always(lambda _auth: challenge([f"org.example.{next(numbers)}"]))

    with pytest.raises(ServerProtocolError):
        new_auth().attempt_auth()
    assert len(server.sent) == 21


def test_endless_rate_limits_are_no_progress(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A server that always wants a short wait is given up, too."""
    server.then_always(MatrixError(429, {"retry_after_ms": 1}))

    with pytest.raises(ServerProtocolError):
        new_auth().attempt_auth()
    assert len(server.sent) == 20


def test_wrong_answers_in_turns_are_no_progress(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """Even without max_attempts, rejections that alternate between stages come to an end."""
    server.will(challenge([TERMS, PASSWORD]))
    server.then_always(challenge([TERMS, PASSWORD], errcode="M_FORBIDDEN"))
    numbers = itertools.count()
    user.then_always(lambda _stage: {"type": (TERMS, PASSWORD)[next(numbers) % 2]})

    with pytest.raises(ServerProtocolError):
        new_auth(max_attempts=None).attempt_auth()
    assert len(server.sent) == 21


def test_polls_are_not_counted(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A stage may be polled for as often as its time allows."""
    server.will(*[challenge(["m.login.sso"])] * 100, "done")
    user.will(None)

    assert new_auth().attempt_auth() == "done"
    assert len(server.sent) == 101
