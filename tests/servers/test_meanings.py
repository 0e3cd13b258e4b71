"""What the loop makes of each homeserver's answers to polls, wrong answers and lost sessions."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted import ScriptedServer, ScriptedUser

from interactive_auth import AuthTimeoutError, InteractiveAuth, MatrixError, StageFailedError

from .polls import LOST_SESSIONS, OTHER_USERS, POLLS, WRONG_ANSWERS, Answered, Meaning
from .recorded import NEW_SESSION, OLD_SESSION, SESSION

PASSWORD, REST = "m.login.password", "com.example.rest"
#: What leaves the stage to be awaited, until its time is up.
PENDING = {Meaning.OPEN, Meaning.NOT_VALIDATED, Meaning.NO_POLLS}


def name(answer: Answered) -> str:
    """Return what the test of an answer is called."""
    return f"{answer.server}-{answer.endpoint[1:]}-{answer.stage}-{answer.sent}-{answer.status}-{answer.words}"


def challenge(stage: str, session: str = SESSION) -> dict[str, Any]:
    """Return the body of a 401 that asks for a stage, and then for another one."""
    return {"flows": [{"stages": [stage, REST]}], "params": {}, "session": session}


def answered(answer: Answered, session: str = SESSION) -> MatrixError:
    """Return an answer as it reaches the loop."""
    replaced = NEW_SESSION if answer.meaning is Meaning.REPLACED else session
    body: dict[str, Any] = challenge(answer.stage, replaced) if answer.has_flows else {}
    body |= {} if answer.errcode is None else {"errcode": answer.errcode}
    body |= {} if answer.words is None else {"error": answer.words.format(session=session)}
    return MatrixError(answer.status, body)


@pytest.mark.parametrize("answer", POLLS, ids=name)
@pytest.mark.filterwarnings("ignore:waiting for")
def test_a_poll(answer: Answered) -> None:
    """A pending stage is waited for, whichever way it is said; a refusal of the request ends the wait at once."""
    server, user = ScriptedServer(), ScriptedUser()
    server.will(MatrixError(401, challenge(answer.stage)))
    server.then_always(answered(answer))
    user.then_always(None)
    medium = {"m.login.email.identity": "email_sid", "m.login.msisdn": "msisdn_sid"}.get(answer.stage)
    options: dict[str, Any] = {medium: "a-sid"} if medium is not None and answer.sent == "creds" else {}
    auth = InteractiveAuth(server, user, supported_stages=[answer.stage], poll_timeout=0, **options)

    with pytest.raises((AuthTimeoutError, MatrixError)) as caught:
        auth.attempt_auth()

    assert isinstance(caught.value, AuthTimeoutError) is (answer.meaning in PENDING)
    error = caught.value.__cause__ if answer.meaning in PENDING else caught.value
    assert isinstance(error, MatrixError)
    assert (error.http_status, error.errcode) == (answer.status, answer.errcode)
    assert user.types == [answer.stage]


@pytest.mark.parametrize("answer", WRONG_ANSWERS, ids=name)
def test_a_wrong_answer(answer: Answered) -> None:
    """A wrong answer is a rejection, however it is said: the person is asked again, with the words, three times."""
    server, user = ScriptedServer(), ScriptedUser()
    server.will(MatrixError(401, challenge(answer.stage)), *[answered(answer) for _ in range(3)])
    user.then_always({"type": answer.stage, "answer": "wrong"})

    with pytest.raises(StageFailedError) as caught:
        InteractiveAuth(server, user).attempt_auth()

    assert (caught.value.stage, caught.value.attempts) == (answer.stage, 3)
    assert [stage.attempt for stage in user.seen] == [1, 2, 3]
    assert [stage.error and stage.error.error for stage in user.seen] == [None, answer.words, answer.words]


@pytest.mark.parametrize("answer", LOST_SESSIONS, ids=name)
def test_a_lost_session(answer: Answered) -> None:
    """A session that is lost is begun anew, once; one that is adopted or replaced is gone on in."""
    server, user = ScriptedServer(), ScriptedUser()
    server.will(answered(answer, OLD_SESSION))
    if answer.meaning is Meaning.LOST:
        server.will(MatrixError(401, challenge(answer.stage, NEW_SESSION)))
    user.will(KeyError("enough"))

    with pytest.raises(KeyError, match="enough"):
        InteractiveAuth(server, user, session_id=OLD_SESSION).attempt_auth()

    anew = [None] if answer.meaning is Meaning.LOST else []
    assert server.sent == [{"session": OLD_SESSION}, *anew]
    assert user.seen[0].session == (OLD_SESSION if answer.meaning is Meaning.OPEN else NEW_SESSION)


@pytest.mark.parametrize(
    ("status", "errcode", "words"), [row[2:] for row in OTHER_USERS], ids=[row[0] for row in OTHER_USERS]
)
def test_somebody_elses_password(status: int, errcode: str, words: str) -> None:
    """The right password of another user is asked for again, since the user's name is a part of the answer."""
    server, user = ScriptedServer(), ScriptedUser()
    flows = challenge(PASSWORD) if status == 401 else {}
    refusal = MatrixError(status, {**flows, "errcode": errcode, "error": words})
    server.will(MatrixError(401, challenge(PASSWORD)), refusal, "done")
    user.then_always({"type": PASSWORD, "password": "right"})

    assert InteractiveAuth(server, user).attempt_auth() == "done"

    assert [stage.error for stage in user.seen] == [None, refusal]
