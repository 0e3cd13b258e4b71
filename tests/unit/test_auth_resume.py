"""Going on elsewhere: the resume state, through JSON, into a new object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthTimeoutError, InteractiveAuth, MatrixError, ResumeState, Stage, StageFailedError

TERMS, SSO, EMAIL, MSISDN = "m.login.terms", "m.login.sso", "m.login.email.identity", "m.login.msisdn"
FLOW = [TERMS, EMAIL, MSISDN]
INPUTS = {"email_address": "a@b.c", "phone_country": "GB", "phone_number": "07700900001"}


def carried(state: ResumeState) -> dict[str, Any]:
    """Carry a state to another machine."""
    copy: dict[str, Any] = json.loads(json.dumps(state))
    assert copy == state
    return copy


@pytest.fixture
def asked() -> list[tuple[Any, ...]]:
    """Return the list of the token requests that were made."""
    return []


@pytest.fixture
def stopped(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, asked: list[tuple[Any, ...]]
) -> InteractiveAuth[Any]:
    """Return an object whose attempt ended halfway: terms completed, mail and SMS sent, waiting for the mail."""

    def request(*arguments: Any) -> dict[str, Any]:
        asked.append(arguments)
        return {"sid": f"sid{len(asked)}", "submit_url": "https://hs.example/submit"}

    offered = {"params": {TERMS: {"policies": {"v": [1, None, 2.5]}}}}
    server.will(challenge(FLOW, [SSO], **offered), challenge(FLOW, [SSO], completed=[TERMS], **offered))
    user.will({"type": TERMS}, None)
    auth = new_auth(
        inputs=INPUTS, request_email_token=request, request_msisdn_token=request, poll_timeout=1, client_secret="secret"
    )
    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()
    server.sent.clear()
    user.seen.clear()
    return auth


def test_the_state(stopped: InteractiveAuth[Any]) -> None:
    """The state has all that the constructor takes about a session, and is JSON-able."""
    state = carried(stopped.get_resume_state())

    auth_data = state.pop("auth_data")
    assert state == {
        "inputs": INPUTS,
        "session_id": "S1",
        "client_secret": "secret",
        "email_sid": "sid1",
        "msisdn_sid": "sid2",
    }
    assert auth_data["flows"] == [{"stages": FLOW}, {"stages": [SSO]}]
    assert auth_data["completed"] == [TERMS]
    assert auth_data["params"] == {TERMS: {"policies": {"v": [1, None, 2.5]}}}


def test_a_new_object_goes_on(
    stopped: InteractiveAuth[Any],
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    asked: list[tuple[Any, ...]],
) -> None:
    """A new object asks for the next open stage, in the same session, with the same validations, at once."""
    auth = new_auth(**carried(stopped.get_resume_state()))
    server.will("done")
    user.will(None)

    assert auth.attempt_auth() == "done"
    creds = {"sid": "sid1", "client_secret": "secret"}
    assert server.sent == [{"type": EMAIL, "threepid_creds": creds, "session": "S1"}]
    assert len(asked) == 2
    stage = user.seen[0]
    assert (stage.type, stage.flow, stage.completed) == (EMAIL, tuple(FLOW), (TERMS,))
    assert (stage.session, stage.client_secret, stage.email_sid, stage.msisdn_sid) == ("S1", "secret", "sid1", "sid2")
    assert auth.get_stage_params(MSISDN) == {"submit_url": "https://hs.example/submit"}
    assert auth.get_stage_params(TERMS) == {"policies": {"v": [1, None, 2.5]}}


def test_a_new_object_counts_on(stopped: InteractiveAuth[Any], new_auth: NewAuth, asked: list[tuple[Any, ...]]) -> None:
    """send_attempt goes on growing in a new object, for the server would else send no second mail."""

    def request(*arguments: Any) -> dict[str, str]:
        asked.append(arguments)
        return {"sid": "new"}

    auth = new_auth(**carried(stopped.get_resume_state()), request_email_token=request, request_msisdn_token=request)
    asked.clear()

    auth.request_email_token()
    auth.request_msisdn_token()

    assert asked == [("a@b.c", "secret", 2, "S1"), ("GB", "07700900001", "secret", 2, "S1")]


def test_a_token_that_was_requested_before_the_first_attempt(new_auth: NewAuth, asked: list[tuple[Any, ...]]) -> None:
    """A mail that was asked for by hand, before the server offered any flow, counts in a new object."""

    def request(*arguments: Any) -> dict[str, str]:
        asked.append(arguments)
        return {"sid": "sid", "submit_url": "https://hs.example/submit"}

    first = new_auth(request_email_token=request)
    first.request_email_token("a@b.c")

    second = new_auth(**carried(first.get_resume_state()), request_email_token=request)
    second.request_email_token()

    assert [(email, attempt) for email, _, attempt, _ in asked] == [("a@b.c", 1), ("a@b.c", 2)]
    assert first.get_stage_params(EMAIL) == {"submit_url": "https://hs.example/submit"}
    assert second.get_email_sid() == "sid"


def test_a_state_is_its_own_resume_state(stopped: InteractiveAuth[Any], new_auth: NewAuth) -> None:
    """A new object's state is the one it was made from."""
    state = stopped.get_resume_state()

    assert new_auth(**carried(state)).get_resume_state() == state


def test_the_new_address_is_in_the_state(new_auth: NewAuth) -> None:
    """An address that was given later is carried on, too, even before there is a session."""
    auth = new_auth(
        request_email_token=lambda *_: {"sid": "e"}, request_msisdn_token=lambda *_: {"sid": "m"}, client_secret="c"
    )
    auth.request_email_token("late@b.c")
    auth.request_msisdn_token("DE", "0301")

    state = carried(auth.get_resume_state())

    assert state["inputs"] == {"email_address": "late@b.c", "phone_country": "DE", "phone_number": "0301"}
    assert (state["session_id"], state["email_sid"], state["msisdn_sid"]) == (None, "e", "m")
    assert new_auth(**state).get_resume_state() == state


def test_the_state_of_nothing(new_auth: NewAuth, server: ScriptedServer) -> None:
    """Before anything has happened there is a state already; a new object made of it begins at the beginning."""
    auth = new_auth()
    state = carried(auth.get_resume_state())

    assert state == {
        "auth_data": None,
        "inputs": {},
        "session_id": None,
        "client_secret": auth.get_client_secret(),
        "email_sid": None,
        "msisdn_sid": None,
    }
    server.will("done")
    assert new_auth(**state).attempt_auth() == "done"
    assert server.sent == [None]


def test_a_session_without_flows(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A session that was never asked about is carried on by its id."""
    server.will("done")

    new_auth(**carried(new_auth(session_id="S9").get_resume_state())).attempt_auth()

    assert server.sent == [{"session": "S9"}]


def test_the_state_within_a_callback(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A state saved within a callback is good after a crash."""
    states: list[dict[str, Any]] = []
    server.will(challenge([TERMS, SSO], completed=[TERMS]))
    auth = new_auth()

    def save_and_crash(_stage: Stage) -> None:
        states.append(carried(auth.get_resume_state()))
        raise SystemError

    user.will(save_and_crash, {"type": SSO})
    with pytest.raises(SystemError):
        auth.attempt_auth()

    server.will("done")
    assert new_auth(**states[0]).attempt_auth() == "done"
    assert server.sent == [None, {"type": SSO, "session": "S1"}]


def test_wrong_answers_are_not_carried_on(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A new object shows no error that it has not had itself."""
    server.will(challenge([TERMS]), challenge([TERMS], errcode="M_FORBIDDEN"), "done")
    auth = new_auth()
    states: list[dict[str, Any]] = []
    user.will({}, lambda _stage: states.append(carried(auth.get_resume_state())) or {}, {})
    auth.attempt_auth()

    server.will("done")
    new_auth(**states[0]).attempt_auth()

    assert user.seen[-1].error is None


@pytest.mark.parametrize("key", ["flows", "completed", "params"])
def test_the_state_is_a_copy(stopped: InteractiveAuth[Any], key: str) -> None:
    """Changing a state changes nothing in the object it came from."""
    state, before = stopped.get_resume_state(), carried(stopped.get_resume_state())

    assert state["auth_data"] is not None
    state["auth_data"][key].clear()
    state["inputs"].clear()

    assert stopped.get_resume_state() == before


def test_a_lost_session_on_resuming(
    stopped: InteractiveAuth[Any], new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """A state that is too old starts over by itself, in a new session."""
    lost = MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"})
    server.will(lost, challenge(FLOW, session="S2", completed=[EMAIL, MSISDN]), "done")
    user.will({"type": EMAIL}, {"type": TERMS})

    assert new_auth(**carried(stopped.get_resume_state())).attempt_auth() == "done"
    assert server.sent[1:] == [None, {"type": TERMS, "session": "S2"}]


@pytest.mark.parametrize("saved", [None, 5, {EMAIL: 5}, {EMAIL: {"send_attempt": "x"}, MSISDN: []}], ids=repr)
def test_a_strangers_auth_data(new_auth: NewAuth, saved: Any) -> None:
    """auth_data that has the library's own key from elsewhere does no harm."""
    auth = new_auth(auth_data={**challenge([TERMS]).data, "interactive_auth": saved})

    assert auth.get_session_id() == "S1"
    assert auth.get_stage_params(MSISDN) is None


def test_the_chosen_flow_is_kept(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A new object walks the flow that was chosen, although it would have chosen another one."""
    server.will(challenge([TERMS], [SSO], [MSISDN]), "done")
    user.then_always(None)
    first = new_auth(supported_stages=[SSO], poll_timeout=0)
    with pytest.raises(AuthTimeoutError):
        first.attempt_auth()

    second = new_auth(**carried(first.get_resume_state()))

    assert second.attempt_auth() == "done"
    assert [stage.type for stage in user.seen] == [SSO, SSO]


def test_a_flow_that_is_gone_is_not_kept(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """The flow that was chosen is in the state only while the server offers it."""
    server.will(challenge([TERMS]), challenge([SSO], errcode="M_FORBIDDEN"))
    user.will({"type": TERMS})
    auth = new_auth(max_attempts=1)
    with pytest.raises(StageFailedError):
        auth.attempt_auth()

    state = carried(auth.get_resume_state())

    assert state["auth_data"]["interactive_auth"]["chosen"] == []


def test_rejections_are_counted_on(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A new object knows how often a stage was answered wrongly in the session."""
    server.will(challenge([TERMS]), challenge([TERMS], errcode="M_FORBIDDEN"), "done")
    user.then_always({"type": TERMS})
    first = new_auth(max_attempts=1)
    with pytest.raises(StageFailedError):
        first.attempt_auth()

    new_auth(**carried(first.get_resume_state())).attempt_auth()

    assert [stage.attempt for stage in user.seen] == [1, 2]


@pytest.mark.parametrize("rejections", [None, [], {"a": "1"}, {"a": None}, {"a": [2]}], ids=repr)
def test_counts_that_are_none(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, rejections: Any) -> None:
    """A state that was tampered with makes no error, and counts nothing that is no count."""
    state = {"flows": [{"stages": ["a"]}], "interactive_auth": {"rejections": rejections}}
    server.will("done")
    user.will({"type": "a"})

    new_auth(auth_data=state).attempt_auth()

    assert [stage.attempt for stage in user.seen] == [1]
