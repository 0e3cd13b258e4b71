"""The polls of a wait: what they send, when they are put off, and when poll() brings them nearer."""

from __future__ import annotations

from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthTimeoutError, MatrixError, Stage

SSO, TERMS, EMAIL, MSISDN = "m.login.sso", "m.login.terms", "m.login.email.identity", "m.login.msisdn"
SESSION_LOST = MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "UIAA session does not exist."})


@pytest.mark.parametrize(
    ("stage", "polled"),
    [
        (SSO, {"session": "S1"}),
        ("org.matrix.login.sso", {"session": "S1"}),
        ("m.login.recaptcha", {"session": "S1"}),
        ("org.example.unheard_of", {"session": "S1"}),
        ("m.oauth", {"type": "m.oauth", "session": "S1"}),
        ("org.matrix.cross_signing_reset", {"type": "m.oauth", "session": "S1"}),
        (
            EMAIL,
            {"type": EMAIL, "threepid_creds": {"sid": "e1", "client_secret": "my-secret"}, "session": "S1"},
        ),
        (
            MSISDN,
            {"type": MSISDN, "threepid_creds": {"sid": "m1", "client_secret": "my-secret"}, "session": "S1"},
        ),
    ],
)
def test_what_a_poll_sends(
    new_auth: NewAuth,
    server: ScriptedServer,
    patient: ScriptedUser,
    stage: str,
    polled: dict[str, Any],
) -> None:
    """A poll names the session, the type for m.oauth, and for email and msisdn the validation to look at."""
    server.will(challenge([stage, EMAIL, MSISDN]), "done")

    new_auth(email_sid="e1", msisdn_sid="m1", client_secret="my-secret").attempt_auth()

    assert server.sent == [None, polled]


def test_the_identity_server_is_named(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """An identity server and its access token are put into threepid_creds."""
    server.will(challenge([EMAIL]), "done")

    new_auth(email_sid="e1", client_secret="c", id_server="id.example", id_access_token="T").attempt_auth()

    creds = {"sid": "e1", "client_secret": "c", "id_server": "id.example", "id_access_token": "T"}
    assert server.sent[1] == {"type": EMAIL, "threepid_creds": creds, "session": "S1"}


def test_another_identity_server_is_not_given_the_token(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """An answer that names an identity server of its own is sent as it is."""
    mine = {"sid": "s", "client_secret": "c", "id_server": "other.example", "id_access_token": "other"}
    server.will(challenge([EMAIL]), "done")
    user.will({"type": EMAIL, "threepid_creds": {**mine}})

    new_auth(email_sid="e1", id_server="id.example", id_access_token="T").attempt_auth()

    assert server.sent[1] is not None
    assert server.sent[1]["threepid_creds"] == mine


def test_an_answers_creds_are_completed(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """An answer that names none is given the identity server that the sids belong to."""
    server.will(challenge([EMAIL]), "done")
    answer = {"type": EMAIL, "threepid_creds": {"sid": "s", "client_secret": "c"}}
    user.will(answer)

    new_auth(email_sid="e1", id_server="id.example", id_access_token="T").attempt_auth()

    creds = {"sid": "s", "client_secret": "c", "id_server": "id.example", "id_access_token": "T"}
    assert server.sent[1] == {"type": EMAIL, "threepid_creds": creds, "session": "S1"}
    assert answer["threepid_creds"] == {"sid": "s", "client_secret": "c"}


def test_without_a_sid_the_session_is_polled(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """An email stage whose mail nobody asked for is polled by its session until a sid is set, with a warning."""
    auth = new_auth(supported_stages=[EMAIL], client_secret="c")

    def learn_sid(_auth: object) -> MatrixError:
        auth.set_email_sid("e9")
        return challenge([EMAIL])

    server.will(challenge([EMAIL]), learn_sid, "done")
    with pytest.warns(UserWarning, match="no message was requested"):
        auth.attempt_auth()

    creds = {"sid": "e9", "client_secret": "c"}
    assert server.sent[1:] == [{"session": "S1"}, {"type": EMAIL, "threepid_creds": creds, "session": "S1"}]


def test_without_a_session_nothing_is_polled(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """A server that gave no session cannot be asked about one; the wait lasts until its deadline."""
    server.will(challenge([EMAIL], session=None))

    with pytest.raises(AuthTimeoutError) as caught:
        new_auth(email_sid="e1").attempt_auth()

    assert caught.value.__cause__ is None
    assert (len(server.sent), clock.elapsed) == (1, 300.0)


@pytest.mark.parametrize("options", [{}, {"retry": None}], ids=["policy", "no policy"])
@pytest.mark.parametrize(
    ("limit", "times"),
    [
        (MatrixError(429, {"retry_after_ms": 7000}), [0, 2, 9, 16, 18]),
        (MatrixError(429, {}, 7.0), [0, 2, 9, 16, 18]),
        (MatrixError(429, {}), [0, 2, 4, 8, 10]),
        (MatrixError(429, {"retry_after_ms": 100}), [0, 2, 4, 6, 8]),
    ],
    ids=["retry_after_ms", "Retry-After", "neither", "shorter than the interval"],
)
def test_a_poll_that_is_told_to_wait(
    new_auth: NewAuth,
    server: ScriptedServer,
    patient: ScriptedUser,
    limit: MatrixError,
    times: list[float],
    options: dict[str, Any],
) -> None:
    """A poll's 429 puts off the next poll by as long as it says, but never brings it nearer."""
    server.will(challenge([SSO]), limit, limit, challenge([SSO]), "done")

    assert new_auth(**options).attempt_auth() == "done"
    assert server.times == times


@pytest.mark.parametrize(("seconds", "ends"), [(298, "polls"), (298.001, "raised"), (10**6, "raised")])
def test_a_rate_limit_beyond_the_deadline(
    new_auth: NewAuth,
    server: ScriptedServer,
    patient: ScriptedUser,
    clock: FakeClock,
    seconds: float,
    ends: str,
) -> None:
    """A poll's 429 that asks for longer than the stage has left is raised at once, not waited for in silence."""
    limit = MatrixError(429, {"retry_after_ms": seconds * 1000})
    server.will(challenge([SSO]), limit, challenge([SSO]))

    with pytest.raises(AuthTimeoutError if ends == "polls" else MatrixError) as caught:
        new_auth().attempt_auth()

    assert (caught.value is limit) is (ends == "raised")
    assert clock.elapsed == (300 if ends == "polls" else 2)


def test_a_rate_limit_of_a_wait_without_an_end(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser
) -> None:
    """Where a stage may be waited for without an end, so may a rate limit."""
    server.will(challenge([SSO]), MatrixError(429, {"retry_after_ms": 10**6}), "done")

    new_auth(poll_timeout=None).attempt_auth()

    assert server.times == [0, 2, 1002]


def test_a_rate_limit_holds_for_the_stage(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, clock: FakeClock
) -> None:
    """How long a poll was told to wait is remembered after an answer to the same stage was refused."""
    wrong = challenge([SSO], errcode="M_FORBIDDEN")
    server.will(challenge([SSO]), MatrixError(429, {"retry_after_ms": 60_000}), wrong, "done")
    user.then_always(None)
    auth = new_auth()
    clock.at(7, lambda: auth.submit_auth_dict({"type": SSO}))

    auth.attempt_auth()

    assert server.times == [0, 2, 7, 62]


# poll()


def test_poll_from_elsewhere(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """poll() has a waiting loop ask at once, and the next interval begins then."""
    server.will(challenge([SSO]), challenge([SSO]), "done")
    auth = new_auth(poll_interval=10)
    clock.at(3, auth.poll)

    auth.attempt_auth()

    assert server.times == [0, 3, 13]


def test_poll_respects_a_rate_limit(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """poll() does not ask before the server wants to be asked again."""
    server.will(challenge([SSO]), MatrixError(429, {"retry_after_ms": 5000}), "done")
    auth = new_auth(poll_interval=2)
    clock.at(4, auth.poll)

    auth.attempt_auth()

    assert server.times == [0, 2, 7]


def test_poll_within_a_callback(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """Within a callback poll() means: ask at once, without waiting for the interval."""
    server.will(challenge([SSO]), challenge([SSO]), "done")
    auth = new_auth()

    def finish(_stage: Stage) -> None:
        auth.poll()

    user.will(finish)

    assert auth.attempt_auth() == "done"
    assert server.times == [0, 0, 2]


def test_poll_beside_a_submission(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A callback that polls and submits has submitted, and the poll is dropped for good."""
    server.will(challenge([SSO, TERMS]), challenge([SSO, TERMS], completed=[SSO]), "done")
    auth = new_auth()

    def finish(stage: Stage) -> dict[str, Any]:
        auth.poll()
        return {"type": stage.type}

    user.will(finish, None)
    auth.attempt_auth()

    assert server.sent[1] == {"type": SSO, "session": "S1"}
    assert server.times == [0, 0, 2]


def test_poll_without_an_attempt(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser) -> None:
    """poll() does nothing before an attempt, between attempts and after the success."""
    server.will(challenge([SSO]), challenge([SSO]), challenge([SSO]), "done")
    auth = new_auth(poll_timeout=0)

    auth.poll()
    for number in (2, 3):
        with pytest.raises(AuthTimeoutError):
            auth.attempt_auth()
        auth.poll()
        assert len(server.sent) == number

    patient.will({"type": SSO})
    auth.attempt_auth()
    auth.poll()
    assert len(server.sent) == 4
