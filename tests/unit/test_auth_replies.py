"""What each kind of reply makes the loop do: ask again, start over, wait and repeat, or raise."""

from __future__ import annotations

import pytest
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import MatrixError, ServerProtocolError, StageFailedError

PASSWORD, TERMS, DUMMY, CAPTCHA = "m.login.password", "m.login.terms", "m.login.dummy", "m.login.recaptcha"

LOST = [
    pytest.param(400, "M_UNKNOWN", "Unknown session ID: S1", id="Synapse"),
    pytest.param(400, "M_UNKNOWN", "The auth.session is missing or unknown.", id="Dendrite until 2023"),
    pytest.param(400, "M_MISSING_PARAM", "The auth.session is missing or unknown.", id="Dendrite"),
    pytest.param(400, "M_INVALID_PARAM", "Invalid session", id="Continuwuity"),
    pytest.param(403, "M_FORBIDDEN", "UIAA session does not exist.", id="conduwuit, Tuwunel"),
]
SESSION_LOST = MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"})


# Rejections


def test_a_rejected_stage_is_asked_for_again(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser
) -> None:
    """A wrong answer calls the stage's callback again, with the error and the next attempt's number."""
    wrong = [challenge([PASSWORD], errcode="M_FORBIDDEN", error=word) for word in ("First", "Second")]
    server.will(challenge([PASSWORD]), *wrong, "done")

    assert new_auth().attempt_auth() == "done"
    assert [(stage.attempt, stage.error) for stage in answering.seen] == [(1, None), (2, wrong[0]), (3, wrong[1])]


def test_an_error_is_shown_to_its_own_stage_only(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser
) -> None:
    """An errcode beside the completed stage is neither a rejection of it nor shown to the next stage."""
    flow = [CAPTCHA, PASSWORD]
    server.will(challenge(flow), challenge(flow, completed=[CAPTCHA], errcode="M_CAPTCHA_NEEDED"), "done")

    new_auth(max_attempts=1).attempt_auth()

    assert [(stage.type, stage.attempt, stage.error) for stage in answering.seen] == [
        (CAPTCHA, 1, None),
        (PASSWORD, 1, None),
    ]


def test_a_stage_that_is_still_open_without_a_word(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser
) -> None:
    """A challenge without errcode or error that leaves the answered stage open is a rejection all the same."""
    bare = [challenge([TERMS]) for _ in range(3)]
    server.will(*bare, "done")

    assert new_auth().attempt_auth() == "done"
    assert [(stage.attempt, stage.error) for stage in answering.seen] == [(1, None), (2, bare[1]), (3, bare[2])]


def test_a_session_alone_is_no_answer(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """What a callback returns without a type answers nothing, so nothing is rejected."""
    server.will(*[challenge([TERMS])] * 4, "done")
    user.will({}, {"session": "S1"}, {"session": None}, {"type": TERMS})

    assert new_auth(max_attempts=1).attempt_auth() == "done"
    assert [stage.attempt for stage in user.seen] == [1] * 4


@pytest.mark.parametrize(
    "refusal",
    [
        MatrixError(401, {"errcode": "M_BAD_JSON", "error": "No"}),
        MatrixError(401, {}),
        MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "The username or password was incorrect"}),
    ],
    ids=["401 without flows", "bare 401", "Dendrite's 403"],
)
def test_rejections_without_flows(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser, refusal: MatrixError
) -> None:
    """A password is rejected, too, by what has no flows, and goes on in the same session."""
    server.will(challenge([PASSWORD]), refusal, "done")

    assert new_auth().attempt_auth() == "done"
    assert answering.seen[1].error is refusal
    assert server.sent[2] == {"type": PASSWORD, "session": "S1"}


@pytest.mark.parametrize(
    ("max_attempts", "wrong", "fails"), [(1, 1, True), (3, 2, False), (3, 3, True), (5, 4, False), (None, 60, False)]
)
def test_max_attempts(
    new_auth: NewAuth,
    server: ScriptedServer,
    answering: ScriptedUser,
    max_attempts: int | None,
    wrong: int,
    fails: bool,
) -> None:
    """As many wrong answers as max_attempts fail the stage, fewer do not; None has no limit at all."""
    rejections = [challenge([PASSWORD], errcode="M_FORBIDDEN", error=f"No {number}") for number in range(wrong)]
    server.will(challenge([PASSWORD]), *rejections, "done")
    auth = new_auth(max_attempts=max_attempts)

    if not fails:
        assert auth.attempt_auth() == "done"
        assert len(answering.seen) == wrong + 1
        return
    with pytest.raises(StageFailedError) as caught:
        auth.attempt_auth()
    assert (caught.value.stage, caught.value.attempts) == (PASSWORD, wrong)
    assert caught.value.__cause__ is rejections[-1]
    assert f"; the server said 401 M_FORBIDDEN: No {wrong - 1}. " in str(caught.value)
    assert len(answering.seen) == wrong


def test_max_attempts_counts_by_stage(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """Wrong answers to one stage leave the next one all of its attempts."""
    flow = [TERMS, PASSWORD]
    server.will(challenge(flow), challenge(flow, errcode="M_X"), challenge(flow, completed=[TERMS]))
    server.will(challenge(flow, completed=[TERMS], errcode="M_X"), "done")

    assert new_auth(max_attempts=2).attempt_auth() == "done"
    assert [(stage.type, stage.attempt) for stage in answering.seen] == [
        (TERMS, 1),
        (TERMS, 2),
        (PASSWORD, 1),
        (PASSWORD, 2),
    ]


def test_an_answer_of_another_type(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """Whoever answers with another stage of the flow is rejected for that stage; else for the one asked for."""
    flow = [TERMS, PASSWORD]
    server.will(challenge(flow), challenge(flow, errcode="M_1"), challenge(flow, errcode="M_2"), "done")
    user.will({"type": PASSWORD}, {"type": "org.example"}, {"type": TERMS})

    new_auth().attempt_auth()

    assert [(stage.type, stage.attempt, stage.error and stage.error.errcode) for stage in user.seen] == [
        (TERMS, 1, None),
        (TERMS, 1, None),
        (TERMS, 2, "M_2"),
    ]


# What is raised


@pytest.mark.parametrize("when", [0, 1])
@pytest.mark.parametrize("code", ["M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_LOCKED"])
def test_logged_out(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser, code: str, when: int) -> None:
    """A 401 of the access token is raised at any time; a new attempt goes on in the same session."""
    logged_out = MatrixError(401, {"errcode": code, "soft_logout": True})
    server.will(*[challenge([PASSWORD])] * when, logged_out)
    auth = new_auth(session_id="S1")

    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    assert caught.value is logged_out

    server.will(*[challenge([PASSWORD])] * (1 - when), "done")
    assert auth.attempt_auth() == "done"
    assert [stage.attempt for stage in answering.seen] == [1] * (1 + when)
    assert server.sent[-1] == {"type": PASSWORD, "session": "S1"}


@pytest.mark.parametrize(
    "final",
    [
        MatrixError(400, {"errcode": "M_USER_IN_USE"}),
        MatrixError(403, {"errcode": "M_UNKNOWN", "error": "Requested operation has changed"}),
        MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "Key ID in use"}),
        MatrixError(404, {"errcode": "M_UNRECOGNIZED"}),
        MatrixError(500, {}),
        ServerProtocolError("no JSON"),
        ValueError("a bug of the caller's"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("when", [0, 1])
def test_anything_else_is_raised(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser, final: Exception, when: int
) -> None:
    """Every other failure is raised unchanged, at once."""
    server.will(*[challenge([PASSWORD])] * when, final)

    with pytest.raises(type(final)) as caught:
        new_auth().attempt_auth()
    assert caught.value is final
    assert len(server.sent) == 1 + when


def test_a_401_that_asks_for_nothing(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A first 401 without flows is no challenge, and raised."""
    refusal = MatrixError(401, {"errcode": "M_UNAUTHORIZED"})
    server.will(refusal)

    with pytest.raises(MatrixError) as caught:
        new_auth().attempt_auth()
    assert caught.value is refusal


# Lost sessions


@pytest.mark.parametrize(("status", "errcode", "words"), LOST)
def test_a_lost_session_starts_over(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser, status: int, errcode: str, words: str
) -> None:
    """An unknown session is dropped, with all that was done in it, and everything begins again without auth."""
    flow = [TERMS, PASSWORD]
    lost = MatrixError(status, {"errcode": errcode, "error": words})
    server.will(challenge(flow), challenge(flow, completed=[TERMS], errcode="M_X"), lost)
    server.will(challenge(flow, session="S2"), challenge(flow, session="S2", completed=[TERMS]), "done")

    assert new_auth().attempt_auth() == "done"
    assert [auth and auth.get("session") for auth in server.sent] == [None, "S1", "S1", None, "S2", "S2"]
    assert [(stage.type, stage.attempt, stage.session) for stage in answering.seen] == [
        (TERMS, 1, "S1"),
        (PASSWORD, 1, "S1"),
        (TERMS, 1, "S2"),
        (PASSWORD, 1, "S2"),
    ]


@pytest.mark.parametrize(("status", "errcode", "words"), LOST)
def test_an_old_session_id_starts_over(
    new_auth: NewAuth, server: ScriptedServer, status: int, errcode: str, words: str
) -> None:
    """A session that was unknown from the beginning is dropped, too."""
    server.will(MatrixError(status, {"errcode": errcode, "error": words}), "done")
    auth = new_auth(session_id="S0")

    assert auth.attempt_auth() == "done"
    assert server.sent == [{"session": "S0"}, None]
    assert auth.get_session_id() is None


def test_a_session_is_lost_once_only(new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser) -> None:
    """The second loss in one attempt is raised; the next attempt may start over again."""
    again = MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "UIAA session does not exist."})
    server.will(challenge([TERMS]), SESSION_LOST, challenge([TERMS], session="S2"), again)
    auth = new_auth()

    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    assert caught.value is again
    assert len(server.sent) == 4

    server.will(SESSION_LOST, "done")
    assert auth.attempt_auth() == "done"
    assert server.sent[5] is None


def test_starting_over_does_not_forget_wrong_answers(
    new_auth: NewAuth, server: ScriptedServer, answering: ScriptedUser
) -> None:
    """Losing the session gives no further attempts."""
    wrong = challenge([PASSWORD], errcode="M_FORBIDDEN")
    server.will(challenge([PASSWORD]), wrong, SESSION_LOST, challenge([PASSWORD]), wrong)

    with pytest.raises(StageFailedError):
        new_auth(max_attempts=2).attempt_auth()


def test_a_lost_session_at_the_dummy_stage(new_auth: NewAuth, server: ScriptedServer) -> None:
    """Where the dummy stage finds the session lost, it is submitted again in the new one."""
    server.will(challenge([DUMMY]), SESSION_LOST, challenge([DUMMY], session="S2"), "done")

    assert new_auth().attempt_auth() == "done"
    assert server.sent[3] == {"type": DUMMY, "session": "S2"}
