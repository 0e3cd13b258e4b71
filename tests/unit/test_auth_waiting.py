"""The wait for a stage that is completed elsewhere: when it polls, with what, and what ends it."""

from __future__ import annotations

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import (
    AuthTimeoutError,
    HomeserverConnectionError,
    MatrixError,
    ServerProtocolError,
)

SSO, TERMS, EMAIL, MSISDN = "m.login.sso", "m.login.terms", "m.login.email.identity", "m.login.msisdn"
SESSION_LOST = MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "UIAA session does not exist."})


def test_polls_until_success(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """A callback that returns None has the loop poll with the session, each interval, and is not called again."""
    server.will(challenge([SSO]), challenge([SSO]), challenge([SSO], errcode="M_UNAUTHORIZED"), "done")

    assert new_auth().attempt_auth() == "done"
    assert server.sent == [None] + [{"session": "S1"}] * 3
    assert server.times == [0, 2, 4, 6]
    assert patient.types == [SSO]


def test_poll_interval(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """poll_interval is the time from one poll to the next, the first one included."""
    server.will(challenge([SSO]), challenge([SSO]), challenge([SSO]), "done")

    new_auth(poll_interval=0.75).attempt_auth()

    assert server.times == [0, 0.75, 1.5, 2.25]


def test_the_next_stage_after_a_poll(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """When a poll finds the awaited stage completed, the next one is asked for, and waited for in its turn."""
    flow = [SSO, TERMS]
    server.will(challenge(flow), challenge(flow, completed=[SSO]), challenge(flow, completed=[SSO]), "done")

    assert new_auth().attempt_auth() == "done"
    assert [(stage.type, stage.completed) for stage in patient.seen] == [(SSO, ()), (TERMS, (SSO,))]
    assert server.times == [0, 2, 4, 6]


def test_another_stage_completed(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """A poll that finds the awaited stage still open calls nobody, whatever else it finds completed."""
    flow = [SSO, TERMS]
    server.will(challenge(flow), challenge(flow, completed=[TERMS]), challenge([TERMS], completed=[TERMS]), "done")

    assert new_auth().attempt_auth() == "done"
    assert patient.types == [SSO]


PENDING = [
    MatrixError(401, {"errcode": "M_UNAUTHORIZED", "error": "Unable to get validated threepid"}),
    MatrixError(401, {"errcode": "M_THREEPID_AUTH_FAILED", "flows": [{"stages": [EMAIL]}]}),
    MatrixError(401, {"errcode": "M_FORBIDDEN", "flows": [{"stages": [EMAIL]}]}),
    MatrixError(401, {}),
    MatrixError(400, {"errcode": "M_THREEPID_AUTH_FAILED"}),
    MatrixError(400, {"errcode": "M_BAD_JSON", "error": "Unknown auth.type: "}),
    MatrixError(403, {"errcode": "M_FORBIDDEN"}),
    MatrixError(404, {}),
    MatrixError(500, {}),
    MatrixError(503, {}),
    ConnectionError("x"),
    TimeoutError("x"),
    HomeserverConnectionError("x"),
    ServerProtocolError("no JSON"),
]


@pytest.mark.parametrize("answer", PENDING, ids=repr)
def test_pending(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, answer: Exception) -> None:
    """Not validated yet, whatever it looks like, and any failure of a poll: no callback, no attempt counted."""
    server.will(challenge([EMAIL]), *[answer] * 10, "done")

    assert new_auth(email_sid="e1", max_attempts=1).attempt_auth() == "done"
    assert patient.types == [EMAIL]
    assert server.times == [2.0 * number for number in range(12)]


@pytest.mark.parametrize("answer", PENDING, ids=repr)
def test_the_deadline_names_the_last_poll(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, answer: Exception
) -> None:
    """At the deadline a timeout is raised, with the last poll's error as its cause."""
    server.will(challenge([EMAIL]), challenge([EMAIL]), answer)

    with pytest.raises(AuthTimeoutError) as caught:
        new_auth(email_sid="e1", poll_interval=4, poll_timeout=10).attempt_auth()

    assert caught.value.stage == EMAIL
    assert caught.value.__cause__ is answer
    assert isinstance(caught.value, TimeoutError)
    assert server.times == [0, 4, 8]


def test_the_deadline(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock) -> None:
    """A wait lasts poll_timeout seconds, a poll that is due at its end included."""
    server.then_always(challenge([SSO]))

    with pytest.raises(AuthTimeoutError, match="not completed within 10 seconds"):
        new_auth(poll_interval=5, poll_timeout=10).attempt_auth()

    assert (server.times, clock.elapsed) == ([0, 5, 10], 10)


def test_no_time_at_all(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock) -> None:
    """A poll_timeout of 0 does not wait."""
    server.will(challenge([SSO]))

    with pytest.raises(AuthTimeoutError, match="within 0 seconds"):
        new_auth(poll_timeout=0).attempt_auth()
    assert clock.waits == []


def test_no_deadline(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock) -> None:
    """Without poll_timeout the wait has no end of its own."""
    server.will(*[challenge([SSO])] * 1000, "done")

    assert new_auth(poll_timeout=None).attempt_auth() == "done"
    assert clock.elapsed == 2000.0


def test_time_in_callbacks_does_not_count(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, clock: FakeClock
) -> None:
    """However long a callback takes, the wait after it has all of its time."""
    server.then_always(challenge([SSO]))
    user.will(lambda _stage: clock.spend(10_000))

    with pytest.raises(AuthTimeoutError):
        new_auth().attempt_auth()
    assert clock.elapsed == 10_300


def test_waits_for_one_stage_add_up(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """poll_timeout bounds a stage's waiting in an attempt, also if a wrong answer came between."""
    refused = challenge([SSO], errcode="M_FORBIDDEN")
    server.will(challenge([SSO]), refused, refused)
    auth = new_auth(poll_interval=100, poll_timeout=10)
    for seconds in (3, 6):
        clock.at(seconds, lambda: auth.submit_auth_dict({"type": SSO}))

    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()
    assert (clock.elapsed, patient.types) == (10, [SSO, SSO, SSO])


def test_each_stage_has_its_own_time(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """The time that one stage took is not taken from the next."""
    flow = [SSO, TERMS]
    server.will(challenge(flow), challenge(flow), challenge(flow, completed=[SSO]))
    server.then_always(challenge(flow, completed=[SSO]))

    with pytest.raises(AuthTimeoutError) as caught:
        new_auth(poll_interval=4, poll_timeout=9).attempt_auth()
    assert (caught.value.stage, clock.elapsed) == (TERMS, 8 + 9)


@pytest.mark.parametrize("code", ["M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_LOCKED"])
def test_a_poll_that_is_logged_out(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, code: str) -> None:
    """A logged-out 401 ends the wait; a new attempt goes on in the same session."""
    logged_out = MatrixError(401, {"errcode": code})
    server.will(challenge([SSO]), logged_out, "done")
    auth = new_auth()

    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    assert caught.value is logged_out
    assert auth.attempt_auth() == "done"
    assert server.sent[2] == {"session": "S1"}


def test_a_poll_that_lost_its_session(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """A poll that finds the session unknown starts over, and the stage is asked for in the new session."""
    server.will(challenge([SSO]), SESSION_LOST, challenge([SSO], session="S2"), "done")

    assert new_auth().attempt_auth() == "done"
    assert server.sent == [None, {"session": "S1"}, None, {"session": "S2"}]
    assert [stage.session for stage in patient.seen] == ["S1", "S2"]


def test_a_session_that_is_lost_again(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """It starts over once; a poll's second such answer is waited out like any other, and calls nobody."""
    server.will(challenge([SSO]), SESSION_LOST, challenge([SSO], session="S2"))
    server.then_always(SESSION_LOST)

    with pytest.raises(AuthTimeoutError) as caught:
        new_auth(poll_timeout=10).attempt_auth()
    assert caught.value.__cause__ is SESSION_LOST
    assert len(patient.seen) == 2
