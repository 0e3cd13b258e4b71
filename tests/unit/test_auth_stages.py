"""Which stages are done: the dummy stage, the choice of a flow, and a flow with nothing left to do."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import MatrixError, NoAuthFlowFoundError, ServerProtocolError

PASSWORD, TERMS, DUMMY, SSO = "m.login.password", "m.login.terms", "m.login.dummy", "m.login.sso"
EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"


# m.login.dummy


def test_dummy_asks_nobody(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """m.login.dummy is submitted by the loop itself."""
    server.will(challenge([DUMMY]), "done")

    assert new_auth().attempt_auth() == "done"
    assert server.sent == [None, {"type": DUMMY, "session": "S1"}]
    assert user.seen == []


def test_dummy_among_others(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """After the dummy stage the flow goes on."""
    server.will(challenge([DUMMY, PASSWORD]), challenge([DUMMY, PASSWORD], completed=[DUMMY]), "done")
    user.will({"type": PASSWORD})

    assert new_auth().attempt_auth() == "done"
    assert user.types == [PASSWORD]


@pytest.mark.parametrize(
    "refusal",
    [
        MatrixError(401, {"flows": [{"stages": [DUMMY]}], "errcode": "M_FORBIDDEN"}),
        MatrixError(401, {"flows": [{"stages": [DUMMY]}]}),
        MatrixError(401, {"flows": [{"stages": [PASSWORD]}], "completed": [PASSWORD]}),
        MatrixError(401, {}),
        MatrixError(400, {"errcode": "M_USER_IN_USE"}),
    ],
    ids=["rejection", "challenge again", "other flows", "bare 401", "another error"],
)
def test_dummy_refused(new_auth: NewAuth, server: ScriptedServer, refusal: MatrixError) -> None:
    """An answer in which dummy is not completed is raised, not repeated; raised again, it is explained once."""
    server.will(challenge([DUMMY]), refusal, challenge([DUMMY]), refusal)

    for number in (1, 2):
        with pytest.raises(MatrixError) as caught:
            new_auth().attempt_auth()
        assert caught.value is refusal
        assert len(server.sent) == 2 * number
    explained = "(to m.login.dummy, which wants nothing but auth in the body: does do_request send it?)"
    assert str(refusal).endswith(explained) is (refusal.http_status == 401)


# Choosing


def test_the_flow_is_kept(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A flow once chosen is kept while the server still offers it, though a shorter one is offered later."""
    server.will(challenge([TERMS, PASSWORD]), challenge([SSO], [TERMS, PASSWORD], completed=[TERMS]), "done")
    user.then_always(lambda stage: {"type": stage.type})
    auth = new_auth()

    auth.attempt_auth()

    assert user.types == [TERMS, PASSWORD]
    assert auth.get_chosen_flow() == {"stages": [TERMS, PASSWORD]}


def test_the_flow_is_chosen_anew(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """When the server no longer offers the chosen flow, another is chosen, by what is completed."""
    server.will(challenge([TERMS, PASSWORD]), challenge([PASSWORD], [TERMS, SSO, "x"], completed=[TERMS, SSO, "x"]))
    server.will("done")
    user.then_always(lambda stage: {"type": stage.type})
    auth = new_auth()

    auth.attempt_auth()

    assert auth.get_chosen_flow() == {"stages": [TERMS, SSO, "x"]}
    assert server.sent[2] == {"session": "S1"}


def test_the_chosen_flow_is_a_copy(new_auth: NewAuth, server: ScriptedServer) -> None:
    """Changing the flow that was returned changes nothing inside."""
    server.will(challenge([DUMMY]), "done")
    auth = new_auth()
    auth.attempt_auth()

    flow = auth.get_chosen_flow()
    assert flow is not None
    flow["stages"].clear()

    assert auth.get_chosen_flow() == {"stages": [DUMMY]}


@pytest.mark.parametrize(
    ("options", "flows", "required"),
    [
        ({}, [], []),
        ({}, [[EMAIL]], []),
        ({"supported_stages": [PASSWORD]}, [[EMAIL]], []),
        ({"inputs": {"email_address": "a@b.c"}}, [[DUMMY]], [EMAIL]),
        ({"email_sid": "e"}, [[DUMMY]], [EMAIL]),
        ({"inputs": {"phone_country": "GB", "phone_number": "1"}}, [[EMAIL]], ["m.login.msisdn"]),
    ],
    ids=["no flow", "no address", "not named", "address, no stage", "sid, no stage", "number, no stage"],
)
def test_no_flow_fits(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    options: dict[str, Any],
    flows: list[list[str]],
    required: list[str],
) -> None:
    """Where no flow fits the inputs, nobody is asked and nothing more is sent."""
    server.will(challenge(*flows))

    with pytest.raises(NoAuthFlowFoundError) as caught:
        new_auth(**options).attempt_auth()

    assert caught.value.required_stages == required
    assert caught.value.flows == [{"stages": flow} for flow in flows]
    assert (len(server.sent), user.seen) == (1, [])


@pytest.mark.parametrize(
    ("flow", "completed"), [([PASSWORD], [PASSWORD]), ([], []), ([], None)], ids=["all completed", "no stages", "null"]
)
def test_nothing_left_to_do(new_auth: NewAuth, server: ScriptedServer, flow: list[str], completed: Any) -> None:
    """If all of the flow is completed and the server still says 401, the session alone is sent, once."""
    server.will(challenge(flow, completed=completed), "done")

    assert new_auth().attempt_auth() == "done"
    assert server.sent == [None, {"session": "S1"}]


def test_still_nothing_left_to_do(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A second such answer breaks the rules; the error's cause is that answer."""
    second = challenge([PASSWORD], completed=[PASSWORD])
    server.will(challenge([PASSWORD], completed=[PASSWORD]), second)

    with pytest.raises(
        ServerProtocolError,
        match=r"^every stage of the flow is completed, and the server still asks for authentication: ",
    ) as caught:
        new_auth().attempt_auth()
    assert caught.value.__cause__ is second


def test_nothing_left_to_do_more_than_once(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """If a stage came between, the session alone is sent again."""
    server.will(challenge([TERMS], completed=[TERMS]), challenge([TERMS], completed=[]))
    server.will(challenge([TERMS], completed=[TERMS]), "done")
    user.will({"type": TERMS})

    assert new_auth().attempt_auth() == "done"
    assert server.sent == [None, {"session": "S1"}, {"type": TERMS, "session": "S1"}, {"session": "S1"}]
