"""Auth dicts that are submitted otherwise than by returning them."""

from __future__ import annotations

from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import MatrixError, Stage, StageFailedError

SSO, TERMS, PASSWORD = "m.login.sso", "m.login.terms", "m.login.password"
TOKEN = "m.login.registration_token"
EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"


def test_from_within_a_callback(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, clock: FakeClock
) -> None:
    """Submitting from within a callback does what returning the dict does."""
    server.will(challenge([PASSWORD]), challenge([PASSWORD], errcode="M_FORBIDDEN"), "done")
    auth = new_auth()
    user.then_always(lambda stage: auth.submit_auth_dict({"type": PASSWORD, "n": stage.attempt}))

    assert auth.attempt_auth() == "done"
    assert server.sent[1:] == [
        {"type": PASSWORD, "n": 1, "session": "S1"},
        {"type": PASSWORD, "n": 2, "session": "S1"},
    ]
    assert clock.waits == []


def test_twice_from_within_a_callback(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A second unsent submission is refused there and then; the first is sent."""
    server.will(challenge([PASSWORD]), "done")
    auth = new_auth()

    def twice(_stage: Stage) -> None:
        auth.submit_auth_dict({"type": PASSWORD, "n": 1})
        with pytest.raises(RuntimeError, match=r"^the auth dict submitted before this one has not been sent yet$"):
            auth.submit_auth_dict({"type": PASSWORD, "n": 2})

    user.will(twice)

    assert auth.attempt_auth() == "done"
    assert server.sent[1] == {"type": PASSWORD, "n": 1, "session": "S1"}


def test_submitted_and_returned(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A callback that submits one dict and returns another made a mistake; neither is sent."""
    server.will(challenge([PASSWORD]))
    auth = new_auth()

    def both(_stage: Stage) -> dict[str, Any]:
        auth.submit_auth_dict({"type": PASSWORD, "n": 1})
        return {"type": PASSWORD, "n": 2}

    user.will(both)

    with pytest.raises(RuntimeError, match=r"^the auth dict submitted before this one has not been sent yet$"):
        auth.attempt_auth()
    assert len(server.sent) == 1


def test_while_waiting(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock) -> None:
    """A dict handed over during a wait is sent at once, instead of a poll."""
    server.will(challenge([SSO]), "done")
    auth = new_auth(poll_interval=60)
    clock.at(1.5, lambda: auth.submit_auth_dict({"type": SSO, "session": None}))

    assert auth.attempt_auth() == "done"
    assert server.sent[1] == {"type": SSO, "session": "S1"}
    assert server.times == [0, 1.5]


def test_refused_while_waiting(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock
) -> None:
    """What another thread submitted and the server refused is a rejection: the callback hears of it."""
    wrong = challenge([SSO], errcode="M_FORBIDDEN")
    server.will(challenge([SSO]), wrong, "done")
    auth = new_auth()
    clock.at(1, lambda: auth.submit_auth_dict({"type": SSO}))

    assert auth.attempt_auth() == "done"
    assert [(stage.attempt, stage.error) for stage in patient.seen] == [(1, None), (2, wrong)]


@pytest.mark.parametrize("stage", [EMAIL, MSISDN])
def test_threepids_submitted_by_a_callback(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, stage: str
) -> None:
    """An email or msisdn dict that a callback submitted and the server refused is a rejection like any other."""
    server.will(challenge([stage]))
    server.then_always(challenge([stage], errcode="M_UNAUTHORIZED"))
    user.then_always({"type": stage, "threepid_creds": {}})

    with pytest.raises(StageFailedError) as caught:
        new_auth(supported_stages=[EMAIL, MSISDN]).attempt_auth()
    assert (caught.value.stage, caught.value.attempts, len(user.seen)) == (stage, 3, 3)


@pytest.mark.parametrize("stage", [EMAIL, MSISDN])
def test_threepids_submitted_by_another_thread(
    new_auth: NewAuth,
    server: ScriptedServer,
    patient: ScriptedUser,
    clock: FakeClock,
    stage: str,
) -> None:
    """The same holds for one that another thread submitted."""
    refusal = challenge([stage], errcode="M_UNAUTHORIZED")
    server.will(challenge([stage]), refusal)
    auth = new_auth(supported_stages=[EMAIL, MSISDN], max_attempts=1)
    clock.at(1, lambda: auth.submit_auth_dict({"type": stage, "threepid_creds": {}}))

    with pytest.warns(UserWarning, match="no message was requested"), pytest.raises(StageFailedError) as caught:
        auth.attempt_auth()
    assert caught.value.__cause__ is refusal


@pytest.mark.parametrize("answer", [{"token": "x"}, {"type": None, "token": "x"}, {"type": 5}, {"type": ""}], ids=repr)
@pytest.mark.parametrize("origin", ["returned", "submitted", "by another thread"])
def test_an_answer_without_a_type(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    clock: FakeClock,
    answer: dict[str, Any],
    origin: str,
) -> None:
    """What no server could tell the meaning of is refused, with the form that it should have and no secret."""
    server.will(challenge([TOKEN]))
    auth = new_auth()
    caught: list[ValueError] = []

    def submit(*_: object) -> None:
        with pytest.raises(ValueError, match="has no type") as refused:
            auth.submit_auth_dict(answer)
        caught.append(refused.value)
        raise refused.value

    if origin == "by another thread":
        user.will(None)
        clock.at(1, submit)
    else:
        user.will(answer if origin == "returned" else submit)

    with pytest.raises(ValueError, match="has no type") as refused:
        auth.attempt_auth()

    sources = {"returned": f"what start_auth_stage returned for {TOKEN}"}
    assert str(refused.value).startswith(f"{sources.get(origin, 'auth_data')} has no type")
    assert f'An answer to {TOKEN} looks like {{"type": "{TOKEN}", "token": ...}}' in str(refused.value)
    assert "'x'" not in str(refused.value)
    assert len(server.sent) == 1


def test_an_answer_of_another_stages_type(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """An answer of a type that the flow has not counts for the stage that was asked for, and both are named."""
    server.then_always(challenge([TOKEN], errcode="M_UNRECOGNIZED"))
    user.then_always({"type": PASSWORD, "password": "x"})

    with pytest.raises(StageFailedError, match=f"^{TOKEN} was rejected 3 times, .* of the type {PASSWORD}; "):
        new_auth().attempt_auth()

    assert [stage.type for stage in user.seen] == [TOKEN] * 3


def test_during_a_request(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A dict handed over while a request is on its way answers the stage that follows."""
    auth = new_auth()

    def meanwhile(_auth: object) -> MatrixError:
        auth.submit_auth_dict({"type": PASSWORD})
        return challenge([PASSWORD])

    server.will(meanwhile, "done")

    assert auth.attempt_auth() == "done"
    assert server.sent[1] == {"type": PASSWORD, "session": "S1"}


def test_the_dict_is_copied(new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, clock: FakeClock) -> None:
    """The caller's dict is not modified, and can be reused at once."""
    server.will(challenge([SSO]), "done")
    auth = new_auth()
    answer = {"type": SSO}

    def submit_and_reuse() -> None:
        auth.submit_auth_dict(answer)
        assert answer == {"type": SSO}
        answer["type"] = "other"

    clock.at(1, submit_and_reuse)
    auth.attempt_auth()

    assert server.sent[1] == {"type": SSO, "session": "S1"}


@pytest.mark.parametrize("background", [False, True])
def test_without_an_attempt(new_auth: NewAuth, server: ScriptedServer, background: bool) -> None:
    """Before an attempt and after a failed one there is nothing to submit to; after success it does nothing."""
    failure = MatrixError(500, {})
    server.will(failure, "done")
    auth = new_auth()

    with pytest.raises(RuntimeError, match=r"^no attempt is running to submit to: call attempt_auth\(\) first$"):
        auth.submit_auth_dict({}, background=background)
    with pytest.raises(MatrixError):
        auth.attempt_auth()
    with pytest.raises(RuntimeError, match=r"^no attempt is running to submit to: call attempt_auth\(\) first$"):
        auth.submit_auth_dict({}, background=background)
    auth.attempt_auth()
    auth.submit_auth_dict({}, background=background)

    assert len(server.sent) == 2


@pytest.mark.parametrize("how", ["poll", "foreground"])
def test_after_success_nothing_is_sent(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, how: str) -> None:
    """A dict handed over while the request on its way succeeds is never sent."""
    auth = new_auth()

    def meanwhile(_auth: object) -> str:
        auth.submit_auth_dict({"type": SSO})
        return "done"

    server.will(challenge([SSO]), meanwhile)
    user.will(None if how == "poll" else {"type": SSO})

    assert auth.attempt_auth() == "done"
    assert len(server.sent) == 2
