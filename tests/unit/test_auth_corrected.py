"""An address that is corrected in a saved state: what was validated for the one before counts no more."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthDeferredError

EMAIL, MSISDN, TERMS = "m.login.email.identity", "m.login.msisdn", "m.login.terms"
FLOW = [EMAIL, MSISDN, TERMS]
INPUTS: Any = {"email_address": "a@b.c", "phone_country": "GB", "phone_number": "07700900001"}
OTHER: Any = {**INPUTS, "phone_number": "07700900002"}
SECRET = "a-secret-of-the-clients-own-making"

Asked = list[tuple[Any, ...]]


@pytest.fixture
def asked() -> Asked:
    """Return the list of the token requests that were made."""
    return []


@pytest.fixture
def tokens(asked: Asked) -> dict[str, Any]:
    """Return the options with token requests whose sids are numbers."""

    def request(*arguments: Any) -> dict[str, Any]:
        asked.append(arguments)
        return {"sid": str(len(asked))}

    return {"request_email_token": request, "request_msisdn_token": request, "poll_interval": 1}


def resume(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    asked: Asked,
    tokens: dict[str, Any],
    completed: list[str],
    inputs: dict[str, Any],
) -> list[dict[str, Any] | None]:
    """Save a state with completed stages, go on with other inputs, and return what was sent then."""
    server.will(challenge(FLOW), challenge(FLOW, completed=completed))
    user.will(None, AuthDeferredError("later"))
    first = new_auth(inputs=INPUTS, client_secret=SECRET, **tokens)
    with pytest.raises(AuthDeferredError):
        first.attempt_auth()
    state: dict[str, Any] = {**first.get_resume_state(), "inputs": inputs}
    server.sent.clear()
    asked.clear()
    user.then_always(None)
    new = challenge(FLOW, session="S2")
    server.will(lambda auth: new if auth is None else challenge(FLOW, completed=completed), "done")
    new_auth(**tokens, **state).attempt_auth()
    return server.sent


def test_a_validated_number_is_corrected(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, asked: Asked, tokens: dict[str, Any]
) -> None:
    """A session keeps what was validated in it, so another number begins a new one, and every spent sid is dropped."""
    sent = resume(new_auth, server, user, asked, tokens, [EMAIL, MSISDN], OTHER)

    assert sent[0] is None
    assert sent[1] is not None
    assert sent[1]["session"] == "S2"
    assert asked == [("a@b.c", SECRET, 2, "S2"), ("GB", "07700900002", SECRET, 1, "S2")]


def test_a_number_that_was_not_validated_is_corrected(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, asked: Asked, tokens: dict[str, Any]
) -> None:
    """What else was completed stays completed: the session goes on, with an SMS to the other number."""
    sent = resume(new_auth, server, user, asked, tokens, [EMAIL], OTHER)

    assert sent[0] is not None
    assert (sent[0]["type"], sent[0]["session"]) == (MSISDN, "S1")
    assert asked == [("GB", "07700900002", SECRET, 1, "S1")]


def test_a_validated_number_that_is_the_same(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, asked: Asked, tokens: dict[str, Any]
) -> None:
    """Inputs that say the same again change nothing."""
    sent = resume(new_auth, server, user, asked, tokens, [EMAIL, MSISDN], dict(INPUTS))

    assert sent[0] == {"session": "S1"}
    assert asked == []
