"""The loop: request, classify, merge, choose, ask, submit, until the server has acted."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import InteractiveAuth, InteractiveAuthError, MatrixError, Stage

PASSWORD, TERMS, DUMMY, SSO = "m.login.password", "m.login.terms", "m.login.dummy", "m.login.sso"
EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"


@pytest.mark.parametrize("response", [{"user_id": "@a:b"}, None, False, [], 0], ids=repr)
def test_no_authentication_wanted(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, response: Any) -> None:
    """A request that succeeds at once is sent without auth, and its response returned whatever it is."""
    server.will(response)

    assert new_auth().attempt_auth() is response
    assert server.sent == [None]
    assert user.seen == []


def test_one_stage(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """The challenge's stage is asked for, and its answer submitted with the session."""
    server.will(challenge([PASSWORD]), "done")
    user.will({"type": PASSWORD, "password": "p"})

    assert new_auth().attempt_auth() == "done"
    assert user.types == [PASSWORD]
    assert server.sent == [None, {"type": PASSWORD, "password": "p", "session": "S1"}]


def test_stages_in_order(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """The flow's stages are asked for in the flow's order, each when the one before is completed."""
    flow = [TERMS, SSO, PASSWORD]
    server.will(challenge(flow), challenge(flow, completed=[TERMS]), challenge(flow, completed=[SSO, TERMS]), "done")
    user.then_always(lambda stage: {"type": stage.type})

    assert new_auth().attempt_auth() == "done"
    assert user.types == [TERMS, SSO, PASSWORD]
    assert [stage.completed for stage in user.seen] == [(), (TERMS,), (SSO, TERMS)]
    assert [auth and auth["type"] for auth in server.sent] == [None, TERMS, SSO, PASSWORD]


def test_a_stage_completed_out_of_order_is_not_asked_for(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """A stage that is completed already is skipped, wherever it stands in the flow."""
    flow = [TERMS, SSO, PASSWORD]
    server.will(challenge(flow, completed=[SSO]), challenge(flow, completed=[SSO, TERMS]), "done")
    user.then_always(lambda stage: {"type": stage.type})

    new_auth().attempt_auth()

    assert user.types == [TERMS, PASSWORD]


def test_a_reopened_stage_is_asked_for_again(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A shorter list of completed stages counts: the stage that is missing is done again."""
    flow = [TERMS, PASSWORD]
    server.will(challenge(flow), challenge(flow, completed=[TERMS]), challenge(flow, completed=[]))
    server.will(challenge(flow, completed=[TERMS]), "done")
    user.then_always(lambda stage: {"type": stage.type})

    assert new_auth().attempt_auth() == "done"
    assert user.types == [TERMS, PASSWORD, TERMS, PASSWORD]


def test_what_a_callback_is_told(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A stage carries all that the server said about it, and the ids that a callback may need."""
    flow, completed = [EMAIL, MSISDN, PASSWORD], [EMAIL, SSO, MSISDN]
    params = {PASSWORD: {"hint": "x"}, SSO: {"y": 1}}
    server.will(challenge(flow, params=params, completed=completed), "done")
    user.will({})

    new_auth(client_secret="my-secret", email_sid="e1", msisdn_sid="m1").attempt_auth()

    assert user.seen == [
        Stage(
            PASSWORD,
            params={"hint": "x"},
            flow=(EMAIL, MSISDN, PASSWORD),
            completed=(EMAIL, SSO, MSISDN),
            attempt=1,
            error=None,
            email_sid="e1",
            msisdn_sid="m1",
            session="S1",
            client_secret="my-secret",
        )
    ]


@pytest.mark.parametrize(
    "params", [None, 5, [], {PASSWORD: None}, {PASSWORD: "x"}, {PASSWORD: {}}, {SSO: {}}], ids=repr
)
def test_no_params(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, params: Any) -> None:
    """A stage without usable params has empty ones, never None."""
    server.will(challenge([PASSWORD], params=params), "done")
    user.will({})

    new_auth().attempt_auth()

    assert user.seen[0].params == {}


def test_get_stage_params(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """What the server said about a stage can be asked for; it is a copy, the caller's to change."""
    server.will(challenge([TERMS], params={TERMS: {"policies": {}}, SSO: 5}), "done")
    user.will({})
    auth = new_auth()
    auth.attempt_auth()

    params = auth.get_stage_params(TERMS)
    assert params == {"policies": {}}
    params.clear()

    assert auth.get_stage_params(TERMS) == {"policies": {}}
    assert auth.get_stage_params(SSO) is None
    assert auth.get_stage_params(PASSWORD) is None


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ({}, {"session": "S1"}),
        ({"type": "x", "session": None}, {"type": "x", "session": "S1"}),
        ({"type": "x", "session": "mine"}, {"type": "x", "session": "mine"}),
        (UserDict({"type": "x"}), {"type": "x", "session": "S1"}),
    ],
    ids=["added", "None is absent", "own session kept", "any mapping"],
)
def test_the_session_is_added(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, answer: Any, sent: Any
) -> None:
    """The session is added to a submitted dict that lacks one."""
    server.will(challenge([PASSWORD]), "done")
    user.will(answer)

    new_auth().attempt_auth()

    assert server.sent[1] == sent


@pytest.mark.parametrize("session", [None, ""], ids=repr)
def test_no_session_to_add(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, session: Any) -> None:
    """A server that gave no session is sent none, not even a None of the caller's."""
    server.will(challenge([PASSWORD], session=session), "done")
    user.will({"type": PASSWORD, "session": None})

    new_auth().attempt_auth()

    assert server.sent[1] == {"type": PASSWORD}


def test_the_callers_dict_is_left_alone(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """The dict that a callback returns can be used again: it is sent as a copy, which a do_request may change."""
    answer = {"type": PASSWORD, "password": "p"}

    def change(auth: dict[str, Any]) -> str:
        auth.clear()
        return "done"

    server.will(challenge([PASSWORD]), change)
    user.will(answer)

    assert new_auth().attempt_auth() == "done"
    assert answer == {"type": PASSWORD, "password": "p"}


def test_what_do_request_changes_deeply_is_its_own(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """A do_request that changes a part of what it is given changes neither the caller's dict nor what is sent again."""
    answer = {"type": PASSWORD, "identifier": {"user": "alice"}, "list": [{"x": 1}]}

    def spoil(auth: dict[str, Any]) -> Exception:
        auth["identifier"]["user"] = "mallory"
        auth["list"][0]["x"] = 2
        return ConnectionError("again")

    server.will(challenge([PASSWORD]), spoil, "done")
    user.will(answer)

    new_auth().attempt_auth()

    assert answer == {"type": PASSWORD, "identifier": {"user": "alice"}, "list": [{"x": 1}]}
    assert server.sent[2] == {**answer, "session": "S1"}


def test_a_wrong_answer_type(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A callback that returns neither a mapping nor None made a mistake, and nothing is sent."""
    server.will(challenge([PASSWORD]))
    user.will("hunter22")

    with pytest.raises(
        TypeError, match=r"^what start_auth_stage returned for m.login.password must be a mapping, .*, not str$"
    ):
        new_auth().attempt_auth()
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    "error", [KeyError("x"), MatrixError(401, {"flows": []}), ConnectionError("x"), SystemExit(3)], ids=repr
)
def test_a_callbacks_exception_is_unchanged(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, error: BaseException
) -> None:
    """What a callback raises ends the attempt and arrives as it is, even if a request might have raised it."""
    server.will(challenge([PASSWORD]))
    user.will(error)

    with pytest.raises(type(error)) as caught:
        new_auth().attempt_auth()

    assert caught.value is error
    assert caught.value.__cause__ is None
    assert len(server.sent) == 1


def test_auth_data_is_taken_instead_of_a_request(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """The body of an earlier 401 saves the first request; its errcode is not shown."""
    earlier = challenge([PASSWORD], errcode="M_FORBIDDEN", error="No").data
    server.will("done")
    user.will({"type": PASSWORD})

    assert new_auth(auth_data=earlier).attempt_auth() == "done"
    assert server.sent == [{"type": PASSWORD, "session": "S1"}]
    assert (user.seen[0].error, user.seen[0].attempt) == (None, 1)
    assert earlier == challenge([PASSWORD], errcode="M_FORBIDDEN", error="No").data


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({}, None),
        ({"session_id": "S9"}, {"session": "S9"}),
        ({"auth_data": {}}, None),
        ({"auth_data": {"flows": [], "session": "S1"}, "session_id": "S9"}, {"session": "S9"}),
    ],
    ids=["nothing", "session", "empty auth_data", "auth_data without flows"],
)
def test_the_first_request(
    new_auth: NewAuth, server: ScriptedServer, options: dict[str, Any], first: dict[str, Any] | None
) -> None:
    """Without flows in hand the first request names the session if there is one, else it has no auth."""
    server.will("done")

    new_auth(**options).attempt_auth()

    assert server.sent == [first]


def test_a_session_id_wins(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A session_id wins over the session of auth_data."""
    server.will("done")
    user.will({})

    new_auth(auth_data=challenge([PASSWORD]).data, session_id="S9").attempt_auth()

    assert server.sent == [{"session": "S9"}]


def test_repr(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """The object says where the authentication stands."""
    seen: list[str] = []
    auth = new_auth()
    flow = [TERMS, PASSWORD]
    server.will(challenge(flow), challenge(flow, completed=[TERMS]), challenge(flow, completed=flow))
    server.will(lambda _auth: seen.append(repr(auth)) or "done")
    user.then_always(lambda stage: seen.append(repr(auth)) or {"type": stage.type})
    seen.append(repr(auth))

    auth.attempt_auth()

    assert [*seen, repr(auth)] == [
        "<InteractiveAuth: not begun>",
        "<InteractiveAuth: running, at m.login.terms, 0 of 2 stages completed>",
        "<InteractiveAuth: running, at m.login.password, 1 of 2 stages completed>",
        "<InteractiveAuth: running, every stage is done, 2 of 2 stages completed>",
        "<InteractiveAuth: succeeded>",
    ]


def test_repr_of_what_was_not_made() -> None:
    """A debugger may ask while the constructor runs, and after it has failed."""
    assert repr(InteractiveAuth.__new__(InteractiveAuth)) == "<InteractiveAuth: not made>"


@pytest.mark.parametrize(
    ("answers", "shown"),
    [
        ([MatrixError(500, {})], "ended with MatrixError"),
        ([challenge(["m.login.sso"])], "ended with AuthTimeoutError, at m.login.sso, 0 of 1 stages completed"),
    ],
)
def test_repr_after_an_error(server: ScriptedServer, answers: list[Any], shown: str) -> None:
    """After an error it says which, and where the next attempt begins; the session is not shown."""
    server.will(*answers)
    server.then_always(challenge(["m.login.sso"]))
    auth = InteractiveAuth(server, lambda stage: None, poll_timeout=1)

    with pytest.raises(InteractiveAuthError):
        auth.attempt_auth()

    assert repr(auth) == f"<InteractiveAuth: {shown}>"


def test_the_stage_knows_who_asks(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A callback that was given to authenticate() finds the InteractiveAuth that calls it."""
    server.will(challenge([PASSWORD]), "done")
    user.will({"type": PASSWORD})
    auth = new_auth()

    auth.attempt_auth()

    assert user.seen[0].auth is auth
