"""Single answers that once hurt: each was found by the exchanges of tests/hostile."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import (
    Homeserver,
    MatrixError,
    ServerProtocolError,
    Stage,
    StartAuthStage,
    handlers,
)


def test_token_request_that_is_told_to_wait_for_ever(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A token request that is answered "again in 0 seconds" each time ends with that answer, after 20 repetitions."""
    asked: list[int] = []

    def request_email_token(email: str, secret: str, send_attempt: int, session: str | None) -> dict[str, Any]:
        asked.append(send_attempt)
        assert len(asked) < 100, "requests without end"
        raise MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 0})

    server.will(challenge(["m.login.email.identity"]))
    auth = new_auth(inputs={"email_address": "alice@example.org"}, request_email_token=request_email_token)

    with pytest.raises(MatrixError, match="M_LIMIT_EXCEEDED"):
        auth.attempt_auth()

    assert asked == [1] * 21


def test_a_new_stage_for_each_that_is_done(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """A server whose every poll completes the stage that is awaited, and opens another one, is given up."""

    def another(_auth: object) -> MatrixError:
        number = len(server.sent)
        body = {"session": "S1", "flows": [{"stages": [f"stage-{number}"]}], "completed": [f"stage-{number - 1}"]}
        return MatrixError(401, body)

    server.then_always(another)
    user.then_always(None)

    with pytest.raises(ServerProtocolError, match="no nearer to its end"):
        new_auth().attempt_auth()

    assert len(server.sent) == 21


def test_session_that_is_nested_deeply(new_auth: NewAuth, server: ScriptedServer) -> None:
    """A session that is no text is no secret, however deeply it is nested: the error can be shown."""
    session: Any = []
    for _ in range(5000):
        session = [session]
    server.will(MatrixError(400, {"errcode": "M_UNKNOWN", "session": session}))

    with pytest.raises(MatrixError) as caught:
        new_auth().attempt_auth()

    assert repr(caught.value) == "<MatrixError 400 M_UNKNOWN>"


@pytest.mark.parametrize("url", ["http://\ud800/", "https://example.org/?\udfff", "https://example.org/" + "x" * 8000])
def test_submit_url_that_cannot_be_contacted(new_auth: NewAuth, server: ScriptedServer, url: str) -> None:
    """A submit_url that is no text that can be sent, or longer than any server takes, counts as none."""
    auth = new_auth(request_msisdn_token=lambda *_: {"sid": "1", "submit_url": url})

    auth.request_msisdn_token("GB", "7700900000")

    assert auth.get_stage_params("m.login.msisdn") is None


NO_ADDRESS = {
    "recaptcha": (handlers.recaptcha(str), "org.example.x\x1b[2J"),
    "fallback": (handlers.fallback(Homeserver("https://example.org"), print), "org.example.x\u202e"),
    "oauth": (handlers.oauth(print), "org.example.x" * 1000),
}


@pytest.mark.parametrize(("handler", "kind"), NO_ADDRESS.values(), ids=NO_ADDRESS)
def test_name_of_a_stage_in_a_message(handler: StartAuthStage, kind: str) -> None:
    """A stage's name, which is a stranger's words, is fit to be shown, and not too long for it."""
    with pytest.raises(ServerProtocolError) as caught:
        handler(Stage(kind))

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
