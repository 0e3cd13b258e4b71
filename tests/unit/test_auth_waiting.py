"""The wait for a stage that is completed elsewhere: when it polls, with what, and what ends it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import (
    AuthTimeoutError,
    HomeserverConnectionError,
    MatrixError,
    RetryPolicy,
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
    MatrixError(302, {}),
    MatrixError(408, {}),
    MatrixError(425, {}),
    MatrixError(500, {}),
    MatrixError(520, {}),
    MatrixError(503, {}),
    ConnectionError("x"),
    TimeoutError("x"),
    HomeserverConnectionError("x"),
    ServerProtocolError("no JSON"),
]


@pytest.mark.parametrize("answer", PENDING, ids=repr)
def test_pending(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, answer: Exception) -> None:
    """Not validated yet, whatever it looks like, and trouble with a poll: no callback, no attempt counted."""
    server.will(challenge([EMAIL]), *[answer] * 10, "done")

    assert new_auth(email_sid="e1", max_attempts=1).attempt_auth() == "done"
    assert patient.types == [EMAIL]
    assert server.times == [2.0 * number for number in range(12)]


@pytest.mark.parametrize("answer", PENDING, ids=repr)
def test_the_deadline_names_the_last_poll(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, answer: Exception
) -> None:
    """At the deadline a timeout is raised, with the last poll's error as its cause."""
    server.will(challenge([EMAIL]), challenge([EMAIL]), challenge([EMAIL]), answer)

    with pytest.raises(AuthTimeoutError) as caught:
        new_auth(email_sid="e1", poll_interval=4, poll_timeout=10).attempt_auth()

    assert caught.value.stage == EMAIL
    assert caught.value.__cause__ is answer
    assert isinstance(caught.value, TimeoutError)
    assert server.times == [0, 4, 8, 10]


REFUSED = [
    MatrixError(403, {"errcode": "M_FORBIDDEN", "flows": [{"stages": [EMAIL]}]}),
    MatrixError(400, {"errcode": "M_USER_IN_USE", "error": "User ID already taken."}),
    MatrixError(400, {"errcode": "M_THREEPID_IN_USE"}),
    MatrixError(400, {"errcode": "M_INVALID_SIGNATURE"}),
    MatrixError(400, {"errcode": "M_BAD_JSON", "error": "a field is missing"}),
    MatrixError(403, {"errcode": "M_FORBIDDEN"}),
    MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "The username or password was incorrect"}),
    MatrixError(403, {"errcode": "M_UNKNOWN", "error": "Requested operation has changed"}),
    MatrixError(404, {}),
    MatrixError(413, {}),
    MatrixError(499, {}),
]


@pytest.mark.parametrize("refusal", REFUSED, ids=repr)
@pytest.mark.parametrize("stage", [EMAIL, SSO])
def test_a_poll_that_is_refused(
    server: ScriptedServer,
    user: ScriptedUser,
    new_auth: NewAuth,
    stage: str,
    refusal: MatrixError,
) -> None:
    """A refusal of the request itself ends the wait at the first poll; another attempt goes on in the session."""
    server.will(challenge([stage]), refusal, "done")
    user.then_always(None)
    auth = new_auth(email_sid="e1" if stage == EMAIL else None)

    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()

    assert caught.value is refusal
    assert server.times == [0, 2]
    assert auth.attempt_auth() == "done"
    assert server.sent[2] is not None
    assert server.sent[2]["session"] == "S1"


def test_rate_limits_without_a_time_are_not_added_up(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser
) -> None:
    """The time that is assumed for a 429 grows while one follows the other, and begins anew after another answer."""
    bare = MatrixError(429, {})
    server.will(challenge([SSO]), bare, bare, challenge([SSO]), bare, challenge([SSO]), "done")

    new_auth().attempt_auth()

    assert server.times == [0, 2, 4, 8, 10, 12, 14]


IN_USE = MatrixError(400, {"errcode": "M_USER_IN_USE"})


@pytest.mark.parametrize(
    ("answers", "retry", "ends"),
    [
        ([502, IN_USE, IN_USE, IN_USE, "done"], RetryPolicy(), "done"),
        ([502, IN_USE, IN_USE, IN_USE, IN_USE], RetryPolicy(), IN_USE),
        ([502, IN_USE, 502, IN_USE, IN_USE, "done"], RetryPolicy(retries=2), "done"),
        ([502, IN_USE], RetryPolicy(retries=0), IN_USE),
        ([502, IN_USE], None, IN_USE),
        ([IN_USE], RetryPolicy(), IN_USE),
        ([502, MatrixError(400, {"errcode": "M_THREEPID_IN_USE"})], RetryPolicy(), "refused"),
    ],
    ids=["own", "not own", "trouble again", "no retries", "no retry", "no trouble", "another refusal"],
)
def test_a_name_in_use_after_a_lost_answer(
    new_auth: NewAuth,
    server: ScriptedServer,
    patient: ScriptedUser,
    answers: list[Any],
    retry: RetryPolicy | None,
    ends: Any,
) -> None:
    """The account may be one that a poll has registered, whose answer was lost: it is awaited within ``retries``."""
    server.will(challenge([SSO]), *[MatrixError(502, {}) if answer == 502 else answer for answer in answers])
    auth = new_auth(retry=retry)

    if ends == "done":
        assert auth.attempt_auth() == "done"
    else:
        with pytest.raises(MatrixError) as caught:
            auth.attempt_auth()
        assert ends == "refused" or caught.value is ends
    assert len(server.sent) == 1 + len(answers)


def test_a_background_submission_that_is_limited_beyond_the_deadline(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """What a background submission was told to wait holds for the poll at the deadline, too."""
    server.will(challenge([SSO]), MatrixError(429, {"retry_after_ms": 60_000}))
    auth = new_auth(poll_timeout=5, poll_interval=60)
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO}, background=True))

    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()

    assert server.times == [0, 1]


def test_an_address_of_the_requests_own_that_is_not_validated(
    server: ScriptedServer, patient: ScriptedUser, new_auth: NewAuth
) -> None:
    """Of another stage's poll it is a refusal that an address is not validated: no wait for that stage mends it."""
    refusal = MatrixError(400, {"errcode": "M_THREEPID_AUTH_FAILED", "error": "No validated 3pid session found"})
    server.will(challenge([SSO]), refusal)

    with pytest.raises(MatrixError) as caught:
        new_auth().attempt_auth()

    assert caught.value is refusal


def test_a_poll_that_finds_another_session(server: ScriptedServer, patient: ScriptedUser, new_auth: NewAuth) -> None:
    """What the person was shown belongs to the session that is gone, so the callback is called with the new one."""
    server.will(challenge([SSO]), challenge([SSO], session="S2"), challenge([SSO], session="S2"), "done")

    new_auth().attempt_auth()

    assert [(stage.session, stage.attempt) for stage in patient.seen] == [("S1", 1), ("S2", 1)]
    assert server.times == [0, 2, 4, 6]


def test_new_sessions_without_end(server: ScriptedServer, patient: ScriptedUser, new_auth: NewAuth) -> None:
    """A server that opens another session at each poll is given up."""
    numbers = itertools.count()
    server.then_always(lambda _auth: challenge([SSO], session=f"S{next(numbers)}"))

    with pytest.raises(ServerProtocolError):
        new_auth(poll_timeout=None).attempt_auth()

    assert len(patient.seen) <= 21


def test_a_poll_that_finds_other_flows(server: ScriptedServer, patient: ScriptedUser, new_auth: NewAuth) -> None:
    """A flow that is no longer offered is not waited for: another one is chosen."""
    server.will(challenge([SSO]), challenge([TERMS]), "done")

    new_auth().attempt_auth()

    assert patient.types == [SSO, TERMS]
    assert server.times == [0, 2, 4]


def test_a_resumed_attempt_polls_at_once(server: ScriptedServer, patient: ScriptedUser, new_auth: NewAuth) -> None:
    """What was awaited may have been done meanwhile, so the first wait of a resumed attempt begins with a poll."""
    server.will(challenge([SSO]), challenge([SSO]), "done")

    new_auth(auth_data=challenge([SSO]).data).attempt_auth()

    assert server.times == [0, 2, 4]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"supported_stages": [EMAIL]}, "; no message was requested that could complete it. poll_timeout says"),
        ({"email_sid": "e1"}, "; the last poll was answered 401. poll_timeout says"),
    ],
    ids=["no mail", "a mail"],
)
@pytest.mark.filterwarnings("ignore:waiting for m.login.email.identity")
def test_the_deadline_says_why(
    server: ScriptedServer,
    patient: ScriptedUser,
    new_auth: NewAuth,
    options: dict[str, Any],
    why: str,
) -> None:
    """A wait that could not succeed says so in the end."""
    server.then_always(challenge([EMAIL]))

    with pytest.raises(AuthTimeoutError) as caught:
        new_auth(**options).attempt_auth()

    assert why in str(caught.value)


def test_the_deadline_of_a_stage_that_nobody_asked_about(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser
) -> None:
    """Where nothing could be polled, a callback that forgot to return an answer is told so."""
    server.will(challenge([TERMS], session=None))

    with pytest.raises(
        AuthTimeoutError,
        match=r"; its callback returned None \(does it lack a return\?\), and nothing was submitted\. ",
    ):
        new_auth().attempt_auth()


def test_the_deadline_of_a_stage_that_needs_an_answer(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser
) -> None:
    """Of a stage that nothing but an answer completes, a callback that forgot to return one is told so, too."""
    server.then_always(challenge(["m.login.password"]))

    with pytest.raises(AuthTimeoutError, match=r"does it lack a return\?"):
        new_auth().attempt_auth()


def test_the_deadline_of_a_stage_that_takes_no_polls(
    server: ScriptedServer, patient: ScriptedUser, new_auth: NewAuth
) -> None:
    """A callback that returned None, by mistake perhaps, is told that nothing was submitted."""
    server.will(challenge([TERMS]))
    server.then_always(MatrixError(400, {"errcode": "M_BAD_JSON", "error": "Unknown auth.type: "}))

    with pytest.raises(
        AuthTimeoutError, match=r"; the server takes no polls for it, so an answer has to be submitted\. "
    ):
        new_auth().attempt_auth()


def test_the_times_can_be_changed_between_attempts(
    server: ScriptedServer, patient: ScriptedUser, new_auth: NewAuth, clock: FakeClock
) -> None:
    """A timeout advises a longer one, which is set on the same object."""
    server.then_always(challenge([SSO]))
    auth = new_auth(poll_timeout=0)
    with pytest.raises(AuthTimeoutError, match="within 0 seconds"):
        auth.attempt_auth()
    server.times.clear()

    auth.poll_timeout, auth.poll_interval = 7, 3
    with pytest.raises(AuthTimeoutError, match="within 7 seconds"):
        auth.attempt_auth()

    assert (auth.poll_timeout, auth.poll_interval) == (7, 3)
    assert server.times == [3, 6, 7]


@pytest.mark.parametrize(("name", "value"), [("poll_interval", 0), ("poll_timeout", -1), ("poll_timeout", "x")])
def test_times_that_cannot_be(new_auth: NewAuth, name: str, value: Any) -> None:
    """What the constructor refuses is refused here, too."""
    auth = new_auth()

    with pytest.raises((TypeError, ValueError), match=name):
        setattr(auth, name, value)

    assert (auth.poll_timeout, auth.poll_interval) == (300, 2)


def test_the_deadline(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock) -> None:
    """A wait lasts poll_timeout seconds, a poll that is due at its end included."""
    server.then_always(challenge([SSO]))

    with pytest.raises(AuthTimeoutError, match="not completed within 10 seconds"):
        new_auth(poll_interval=5, poll_timeout=10).attempt_auth()

    assert (server.times, clock.elapsed) == ([0, 5, 10], 10)


def test_no_time_at_all(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock) -> None:
    """A poll_timeout of 0 polls once and does not wait."""
    server.will(challenge([SSO]), challenge([SSO]))

    with pytest.raises(AuthTimeoutError, match="within 0 seconds"):
        new_auth(poll_timeout=0).attempt_auth()
    assert clock.waits == []
    assert len(server.sent) == 2


def test_a_stage_that_was_done_meanwhile(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """The one poll of a poll_timeout of 0 finds what was done meanwhile."""
    server.will(challenge([SSO]), "done")

    assert new_auth(poll_timeout=0).attempt_auth() == "done"


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
    server.will(challenge([SSO]), refused, refused, refused)
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
    """It starts over once; a poll's second such answer is raised, not polled for what is dead."""
    server.will(challenge([SSO]), SESSION_LOST, challenge([SSO], session="S2"))
    server.then_always(SESSION_LOST)

    with pytest.raises(MatrixError) as caught:
        new_auth(poll_timeout=None).attempt_auth()
    assert caught.value is SESSION_LOST
    assert len(patient.seen) == 2
