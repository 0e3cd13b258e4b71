"""What the ready-made callbacks do once only, in one attempt and in those that are resumed from its state."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.scripted import NewAuth, ScriptedServer, challenge

from interactive_auth import AuthDeferredError, InteractiveAuth, MatrixError, Stage, StageFailedError, handlers

TOKEN, PASSWORD, EMAIL, TERMS = (
    *("m.login.registration_token", "m.login.password"),
    *("m.login.email.identity", "m.login.terms"),
)
WRONG = challenge([TOKEN], errcode="M_UNAUTHORIZED", error="Invalid registration token")


def resumed(server: ScriptedServer, stages: dict[str, Any], before: InteractiveAuth[Any]) -> InteractiveAuth[Any]:
    """Go on in another process."""
    return InteractiveAuth(server, stages, **json.loads(json.dumps(before.get_resume_state())))


@pytest.mark.parametrize("bare", [True, False], ids=["without an errcode", "with an errcode"])
def test_a_constant_is_sent_once(server: ScriptedServer, bare: bool) -> None:
    """A wrong constant is sent once, whatever comes back, also in a session that is new each time."""
    sessions = iter(range(100))
    fields: dict[str, Any] = {} if bare else {"errcode": "M_FORBIDDEN"}
    server.then_always(lambda _auth: challenge([PASSWORD], session=f"S{next(sessions)}", **fields))

    with pytest.raises(StageFailedError) as caught:
        InteractiveAuth(server, {PASSWORD: handlers.password("alice", "wrong")}).attempt_auth()

    assert (caught.value.stage, caught.value.attempts) == (PASSWORD, 1)
    assert len(server.sent) == 2


def test_a_constant_is_sent_once_over_all_resumes(server: ScriptedServer) -> None:
    """A wrong constant is not tried again by each process that goes on; another one is."""
    server.will(challenge([TOKEN]), WRONG)
    auth = InteractiveAuth(server, {TOKEN: handlers.registration_token("wrong")})
    for _ in range(3):
        with pytest.raises(StageFailedError, match="Invalid registration token"):
            auth.attempt_auth()
        auth = resumed(server, {TOKEN: handlers.registration_token("wrong")}, auth)
    assert len(server.sent) == 2

    server.will("done")
    auth = resumed(server, {TOKEN: handlers.registration_token("right")}, auth)

    assert auth.attempt_auth() == "done"
    assert server.sent[-1] == {"type": TOKEN, "token": "right", "session": "S1"}


def test_a_constant_that_a_lost_session_forgot(server: ScriptedServer) -> None:
    """What was right in a session that the server has lost is sent in the new one."""
    lost = MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID"})
    flow = [TOKEN, TERMS]
    server.will(challenge(flow), challenge(flow, completed=[TOKEN]), lost)
    server.will(challenge(flow, session="S2"), challenge(flow, session="S2", completed=[TOKEN]), "done")
    stages = {TOKEN: handlers.registration_token("right"), TERMS: lambda stage: {"type": stage.type}}

    assert InteractiveAuth(server, stages).attempt_auth() == "done"

    assert [auth["token"] for auth in server.sent if auth and "token" in auth] == ["right", "right"]


def test_a_constant_whose_stage_comes_again(server: ScriptedServer) -> None:
    """Where a stage is asked for again though nothing rejected its answer, the constant is not sent again either."""
    flows = [[PASSWORD], ["x"], [PASSWORD]]
    server.will(*[challenge(flow) for flow in flows])
    stages = {PASSWORD: handlers.password("alice", "secret"), "x": lambda stage: {"type": "x"}}

    with pytest.raises(StageFailedError):
        InteractiveAuth(server, stages).attempt_auth()

    assert [auth["type"] for auth in server.sent if auth] == [PASSWORD, "x"]


def test_a_constant_whose_answer_was_lost(server: ScriptedServer) -> None:
    """An attempt that ended in trouble has not had the constant refused: the next one sends it."""
    server.will(challenge([TOKEN]), ConnectionError("lost"))
    auth = InteractiveAuth(server, {TOKEN: handlers.registration_token("right")}, retry=None)
    with pytest.raises(ConnectionError):
        auth.attempt_auth()
    server.will("done")

    assert auth.attempt_auth() == "done"


def test_the_state_does_not_tell_the_constant(server: ScriptedServer) -> None:
    """That a constant was sent is in the state; the constant is not, nor enough to find it out."""
    server.will(challenge([PASSWORD]), challenge([PASSWORD], errcode="M_FORBIDDEN"))
    auth = InteractiveAuth(server, {PASSWORD: handlers.password("alice", "correct horse")})
    with pytest.raises(StageFailedError):
        auth.attempt_auth()

    once = auth.get_resume_state()["progress"]["once"]

    assert list(once) == [PASSWORD]
    assert [len(mark) for mark in once[PASSWORD]] == [4]


def test_one_callback_for_two_attempts(server: ScriptedServer) -> None:
    """A callback that serves two attempts sends its constant in both."""
    token = handlers.registration_token("wrong")
    for _ in range(2):
        server.will(challenge([TOKEN]), WRONG)
        with pytest.raises(StageFailedError):
            InteractiveAuth(server, {TOKEN: token}).attempt_auth()

    assert [auth["token"] for auth in server.sent if auth] == ["wrong", "wrong"]


def test_a_mail_is_told_once(server: ScriptedServer) -> None:
    """However often an attempt is resumed to look for the link, notify is called once for each mail."""
    told: list[str | None] = []
    sids = iter(["e1", "e2"])
    server.then_always(challenge([EMAIL]))
    options: dict[str, Any] = {"request_email_token": lambda *_: {"sid": next(sids)}, "poll_timeout": 0}
    stages = {EMAIL: handlers.email(lambda stage: told.append(stage.email_sid))}
    auth = InteractiveAuth(server, stages, inputs={"email_address": "a@b.c"}, **options)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            auth.attempt_auth()
        auth = InteractiveAuth(server, stages, **auth.get_resume_state(), **options)
    auth.request_email_token()

    with pytest.raises(TimeoutError):
        auth.attempt_auth()

    assert told == ["e1", "e2"]


def test_a_stage_that_was_made_by_hand() -> None:
    """Outside of an attempt a callback of a mail notifies each time: nothing is known of other times."""
    told: list[str | None] = []

    for _ in range(2):
        handlers.email(lambda stage: told.append(stage.email_sid))(Stage(EMAIL, email_sid="e"))

    assert told == ["e", "e"]


def test_a_stage_is_put_off(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A callback puts its stage off; the state that was saved by then takes another process on to it."""
    states: list[Any] = []
    server.will(challenge([TERMS, TOKEN]), challenge([TERMS, TOKEN], completed=[TERMS]), "done")

    def defer(stage: Stage) -> None:
        raise AuthDeferredError(stage.type)

    stages = {TERMS: lambda stage: {"type": stage.type}, TOKEN: defer}
    with pytest.raises(AuthDeferredError, match=TOKEN):
        InteractiveAuth(server, stages, state_changed=states.append).attempt_auth()

    stages[TOKEN] = handlers.registration_token("right")
    again = InteractiveAuth(server, stages, **json.loads(json.dumps(states[-1])))

    assert again.attempt_auth() == "done"
    assert server.sent[-1] == {"type": TOKEN, "token": "right", "session": "S1"}


# Empty answers


@pytest.mark.parametrize(
    ("stage", "make"),
    [
        (PASSWORD, lambda ask: handlers.password("alice", ask)),
        (TOKEN, handlers.registration_token),
        ("m.login.recaptcha", lambda ask: handlers.recaptcha(lambda key: ask())),
        (EMAIL, lambda ask: handlers.email(ask_address=ask)),
        ("m.login.msisdn", lambda ask: handlers.msisdn(lambda: "1", NoPoster(), ask_number=lambda: ("GB", ask()))),
    ],
    ids=["password", "token", "captcha", "address", "number"],
)
def test_an_empty_answer_is_asked_for_again(server: ScriptedServer, stage: str, make: Any) -> None:
    """Enter at a prompt is no answer: the person is asked three times, and then nothing was sent."""
    asked: list[int] = []
    server.will(challenge([stage], params={stage: {"public_key": "key"}}))
    requests = {"request_email_token": dict, "request_msisdn_token": dict}

    def ask() -> str:
        asked.append(1)
        return ""

    with pytest.raises(Exception, match=r"(gave an empty answer 3 times|, 3 times), so nothing was sent"):
        InteractiveAuth(server, {stage: make(ask)}, **requests).attempt_auth()  # type: ignore[arg-type]  # plain dicts

    assert (len(asked), len(server.sent)) == (3, 1)


class NoPoster:
    """A homeserver that nothing is posted to."""

    def submit_token(self, submit_url: str, sid: str, client_secret: str, token: str) -> bool:
        """Refuse to be asked."""
        raise AssertionError
