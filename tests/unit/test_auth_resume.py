"""Going on elsewhere: the resume state, through JSON, into a new object."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    asked: list[tuple[Any, ...]],
) -> InteractiveAuth[Any]:
    """Return an object whose attempt ended halfway: terms completed, mail and SMS sent, waiting for the mail."""

    def request(*arguments: Any) -> dict[str, Any]:
        asked.append(arguments)
        return {"sid": f"sid{len(asked)}", "submit_url": "https://hs.example/submit"}

    offered = {"params": {TERMS: {"policies": {"v": [1, None, 2.5]}}}}
    server.will(challenge(FLOW, [SSO], **offered), *[challenge(FLOW, [SSO], completed=[TERMS], **offered)] * 2)
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

    auth_data, progress = state.pop("auth_data"), state.pop("progress")
    assert progress["flow"] == FLOW
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
        "progress": {},
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


def test_the_words_of_a_rejection_are_carried_on(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A new object shows the error that the one before has had, which its person has to be told."""
    wrong = challenge([TERMS], errcode="M_FORBIDDEN", error="No, not those terms")
    server.will(challenge([TERMS]), wrong, "done")
    user.then_always({"type": TERMS})
    first = new_auth(max_attempts=1)
    with pytest.raises(StageFailedError):
        first.attempt_auth()

    new_auth(**carried(first.get_resume_state())).attempt_auth()

    error = user.seen[-1].error
    assert error is not None
    assert (error.http_status, error.errcode, error.error) == (401, "M_FORBIDDEN", "No, not those terms")


def test_errors_of_what_was_never_rejected_are_not_taken(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """An error without a rejection to it is not of a saved state's making."""
    server.will("done")
    user.will({"type": TERMS})

    new_auth(auth_data=challenge([TERMS]).data, progress={"errors": {TERMS: [401, {}]}}).attempt_auth()

    assert user.seen[0].error is None


@pytest.mark.parametrize("key", ["flows", "completed", "params"])
def test_the_state_is_a_copy(stopped: InteractiveAuth[Any], key: str) -> None:
    """Changing a state changes nothing in the object it came from."""
    state, before = stopped.get_resume_state(), carried(stopped.get_resume_state())

    assert state["auth_data"] is not None
    state["auth_data"][key].clear()
    state["inputs"].clear()

    assert stopped.get_resume_state() == before


def test_a_lost_session_on_resuming(
    stopped: InteractiveAuth[Any],
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
) -> None:
    """A state that is too old starts over by itself, in a new session."""
    lost = MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"})
    server.will(lost, challenge(FLOW, session="S2", completed=[EMAIL, MSISDN]), "done")
    user.will({"type": EMAIL}, {"type": TERMS})

    assert new_auth(**carried(stopped.get_resume_state())).attempt_auth() == "done"
    assert server.sent[1:] == [None, {"type": TERMS, "session": "S2"}]


SAVED: list[dict[Any, Any]] = [
    {EMAIL: 5},
    {EMAIL: {"send_attempt": "x"}, MSISDN: []},
    {MSISDN: {"submit_url": "file:///etc/passwd", "send_attempt": True, "address": 5}},
    {"flow": 5, "errors": [], "once": []},
    {"errors": {TERMS: 5, SSO: [401], EMAIL: ["x", {}], 5: [401, {}]}, "rejections": {TERMS: 1, SSO: 1, EMAIL: 1}},
    {"once": {TERMS: 5, 5: [], SSO: [5]}},
    {"unknown": {"x": 1}},
]


@pytest.mark.parametrize("saved", SAVED, ids=repr)
def test_a_progress_of_somebody_elses(new_auth: NewAuth, saved: Any) -> None:
    """Parts of a progress that are unknown or wrong count as nothing."""
    auth = new_auth(auth_data=challenge([TERMS]).data, progress=saved)

    assert auth.get_session_id() == "S1"
    assert auth.get_stage_params(MSISDN) is None
    assert not auth.get_resume_state()["progress"].keys() & {"errors", "flow", EMAIL, MSISDN}


def test_a_server_cannot_set_what_only_the_library_knows(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """What a 401 has beside the fields of the specification sets neither attempts nor errors nor the flow."""
    own = {"flow": [SSO], "rejections": {TERMS: 7}, "errors": {TERMS: [401, {"error": "x"}]}}
    body = challenge([TERMS], [SSO], interactive_auth=own, progress=own, **own).data
    server.will("done")
    user.will({"type": TERMS})

    new_auth(auth_data=body).attempt_auth()

    stage = user.seen[0]
    assert (stage.type, stage.attempt, stage.error) == (TERMS, 1, None)


def test_the_completed_of_another_session_does_not_count(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """Where session_id names another session than auth_data, what was completed in that one is to be done again."""
    server.will("done")
    user.will({"type": TERMS})

    new_auth(auth_data=challenge([TERMS, SSO], completed=[TERMS]).data, session_id="S2").attempt_auth()

    assert (user.seen[0].type, user.seen[0].session, user.seen[0].completed) == (TERMS, "S2", ())


@pytest.mark.parametrize("use", ["set_msisdn_sid", "set_email_sid"])
def test_another_sid_has_no_submit_url(new_auth: NewAuth, use: str) -> None:
    """A sid that is set by hand belongs to another validation than the address for codes that is known."""
    sent = {"sid": "a", "submit_url": "https://hs.example/submit"}
    auth = new_auth(inputs=INPUTS, request_email_token=lambda *_: sent, request_msisdn_token=lambda *_: sent)
    auth.request_email_token()
    auth.request_msisdn_token()

    getattr(auth, use)("other")

    known = {stage: auth.get_stage_params(stage) for stage in (EMAIL, MSISDN)}
    assert known[MSISDN if use == "set_msisdn_sid" else EMAIL] is None
    assert known[EMAIL if use == "set_msisdn_sid" else MSISDN] == {"submit_url": "https://hs.example/submit"}


def test_another_address_has_no_sid(
    stopped: InteractiveAuth[Any], new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """Where a person corrects the address on resuming, a mail is sent there; the phone number's SMS is still good."""
    asked: list[tuple[Any, ...]] = []

    def request(*arguments: Any) -> dict[str, str]:
        asked.append(arguments)
        return {"sid": "new"}

    state = carried(stopped.get_resume_state())
    state["inputs"]["email_address"] = "right@b.c"
    auth = new_auth(**state, request_email_token=request, request_msisdn_token=request)
    assert (auth.get_email_sid(), auth.get_msisdn_sid()) == (None, "sid2")
    server.will("done")
    user.will(None)

    auth.attempt_auth()

    assert asked == [("right@b.c", "secret", 1, "S1")]
    assert server.sent[0] is not None
    assert server.sent[0]["threepid_creds"]["sid"] == "new"


@pytest.mark.parametrize("strange", ["\ud800", float("nan"), float("inf"), {"\udfff": ["\ud800"]}], ids=repr)
def test_the_state_is_strict_json(new_auth: NewAuth, strange: Any) -> None:
    """Whatever the server has said, any JSON library can store the state in UTF-8, and it makes a new object."""
    said = challenge([TERMS], [SSO], params={TERMS: {"x": strange}}, completed=["\ud800", SSO], errcode="\ud800")
    auth = new_auth(auth_data=said.data)

    text = json.dumps(auth.get_resume_state(), allow_nan=False, ensure_ascii=False)

    state = json.loads(text.encode())
    assert new_auth(**state).get_resume_state() == state


# When to save it


def test_the_state_is_given_before_each_request(server: ScriptedServer, user: ScriptedUser) -> None:
    """Whatever is killed while a request is on its way can go on with what was saved before it, token requests too."""
    events: list[Any] = []

    def request(*arguments: Any) -> dict[str, str]:
        events.append("mail")
        return {"sid": "e"}

    def note(answer: Any) -> Callable[[object], Any]:
        def give(_auth: object) -> Any:
            events.append("request")
            return answer

        return give

    server.will(*map(note, [challenge([TERMS, EMAIL]), challenge([TERMS, EMAIL], completed=[TERMS]), "done"]))
    user.will({"type": TERMS}, None)

    InteractiveAuth(
        server,
        user,
        inputs={"email_address": "a@b.c"},
        request_email_token=request,
        state_changed=lambda state: events.append(carried(state)),
    ).attempt_auth()

    sent = [index for index, event in enumerate(events) if isinstance(event, str)]
    assert [events[index] for index in sent] == ["request", "mail", "request", "request"]
    assert all(isinstance(events[index - 1], dict) for index in sent)
    before_second, before_poll = events[sent[2] - 1], events[sent[3] - 1]
    assert (before_second["session_id"], before_second["email_sid"]) == ("S1", "e")
    assert before_poll["auth_data"]["completed"] == [TERMS]


def test_the_state_is_given_when_it_has_changed(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """What an answer has changed is saved before anybody is asked anything; what is the same is not saved again."""
    events: list[Any] = []
    server.will(challenge([TERMS, SSO]), challenge([TERMS, SSO], completed=[TERMS]), KeyError("enough"))
    user.will(lambda stage: events.append(stage.type) or {"type": TERMS}, lambda stage: events.append(stage.type))

    with pytest.raises(KeyError):
        new_auth(state_changed=events.append, poll_timeout=0).attempt_auth()

    kinds = [event if isinstance(event, str) else (event["auth_data"] or {}).get("completed") for event in events]
    assert kinds == [None, [], [], TERMS, [], [TERMS], SSO, [TERMS]]


def test_what_state_changed_raises_ends_the_attempt(new_auth: NewAuth, server: ScriptedServer) -> None:
    """Whoever cannot save the state, or has lost the right to it, ends the attempt before anything is sent."""

    def lost(_state: ResumeState) -> None:
        raise PermissionError("the lock is gone")

    with pytest.raises(PermissionError, match="the lock is gone"):
        new_auth(state_changed=lost).attempt_auth()

    assert server.sent == []


def test_the_chosen_flow_is_kept(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A new object walks the flow that was chosen, although it would have chosen another one."""
    server.will(challenge([TERMS], [SSO], [MSISDN]))
    user.then_always(None)
    first = new_auth(supported_stages=[SSO], poll_timeout=0)
    server.will(challenge([TERMS], [SSO], [MSISDN]))
    with pytest.raises(AuthTimeoutError):
        first.attempt_auth()
    server.will("done")

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

    assert "flow" not in state["progress"]


def test_rejections_are_counted_on(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A new object knows how often a stage was answered wrongly in the session."""
    server.will(challenge([TERMS]), challenge([TERMS], errcode="M_FORBIDDEN"), "done")
    user.then_always({"type": TERMS})
    first = new_auth(max_attempts=1)
    with pytest.raises(StageFailedError):
        first.attempt_auth()

    new_auth(**carried(first.get_resume_state())).attempt_auth()

    assert [stage.attempt for stage in user.seen] == [1, 2]


@pytest.mark.parametrize(
    "rejections", [None, [], {"a": "1"}, {"a": None}, {"a": [2]}, {"a": True}, {"a": -1}, {"a": 0}], ids=repr
)
def test_counts_that_are_none(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, rejections: Any) -> None:
    """A state that was tampered with makes no error, and counts nothing that is no count."""
    server.will("done")
    user.will({"type": "a"})

    new_auth(auth_data={"flows": [{"stages": ["a"]}]}, progress={"rejections": rejections}).attempt_auth()

    assert [stage.attempt for stage in user.seen] == [1]
