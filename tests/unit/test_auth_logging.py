"""What the logger ``interactive_auth`` is told: events a person would want to know, and each exchange."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import MatrixError

TOKEN, EMAIL, SSO = "m.login.registration_token", "m.login.email.identity", "m.login.sso"
LOST = MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"})


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    """Log at every level."""
    caplog.set_level(logging.DEBUG, "interactive_auth")


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what was logged at a level."""
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_a_stage_is_followed(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, caplog: pytest.LogCaptureFixture
) -> None:
    """Its beginning, its rejection in the server's words, and its end are told once each."""
    wrong = challenge([TOKEN], errcode="M_UNAUTHORIZED", error="Invalid registration token")
    server.will(challenge([TOKEN]), wrong, "done")
    user.then_always({"type": TOKEN, "token": "the-token"})

    new_auth().attempt_auth()

    assert told(caplog, logging.INFO) == [
        f"stage {TOKEN} begins, attempt 1",
        f"stage {TOKEN}: the answer was rejected: 401 M_UNAUTHORIZED: Invalid registration token",
        f"stage {TOKEN} begins, attempt 2",
        f"stage {TOKEN} is completed",
    ]


def test_a_mail_that_was_requested(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that somebody should look for is told, without the address, which is nobody else's business."""
    server.will(challenge([EMAIL]), "done")

    new_auth(inputs={"email_address": "a@b.c"}, request_email_token=lambda *_: {"sid": "e"}).attempt_auth()

    assert f"a message for {EMAIL} was requested" in told(caplog, logging.INFO)
    assert "a@b.c" not in caplog.text


def test_a_lost_session(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, caplog: pytest.LogCaptureFixture
) -> None:
    """That a person has to begin anew is told."""
    server.will(challenge([SSO]), LOST, challenge([SSO], session="S2"), "done")

    new_auth().attempt_auth()

    assert "the server has lost the session, starting over" in told(caplog, logging.INFO)


def test_each_exchange(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request, its answer, and each wait with its reason are told at the lowest level."""
    server.will(challenge([TOKEN]), MatrixError(429, {"retry_after_ms": 1500}), MatrixError(503, {}, 2), "done")
    user.will({"type": TOKEN, "token": "the-token"})

    new_auth().attempt_auth()

    assert told(caplog, logging.DEBUG) == [
        "sending the request with no auth",
        "the answer is 401",
        f"sending the request with auth of the type {TOKEN}",
        "the answer is 429; again in 2 s",
        "waiting 1.5 s: rate_limit",
        f"sending the request with auth of the type {TOKEN}",
        "the answer is 503",
        "waiting 2 s: retry",
        f"sending the request with auth of the type {TOKEN}",
        "the request has succeeded",
    ]
    assert "the-token" not in caplog.text


def test_a_token_request_that_is_refused(new_auth: NewAuth, caplog: pytest.LogCaptureFixture) -> None:
    """What a token request is answered is told like any other answer."""

    def refuse(*_: object) -> dict[str, str]:
        raise MatrixError(400, {"errcode": "M_THREEPID_DENIED"})

    with pytest.raises(MatrixError):
        new_auth(request_email_token=refuse).request_email_token("a@b.c")

    assert told(caplog, logging.DEBUG) == [f"the token request for {EMAIL} is answered 400 M_THREEPID_DENIED"]


PENDING = challenge([SSO])
TROUBLE = [ConnectionError("x"), MatrixError(502, {}), MatrixError(500, {})]


def test_what_a_wait_hides(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, caplog: pytest.LogCaptureFixture
) -> None:
    """Trouble that a wait does not end for is a warning, once as long as it is the same; a pending stage is none."""
    server.will(PENDING, PENDING, *[TROUBLE[0]] * 3, PENDING, TROUBLE[1], TROUBLE[2], TROUBLE[2], "done")

    new_auth().attempt_auth()

    answered = f"a poll for {SSO} was answered"
    assert told(caplog, logging.WARNING) == [f"{answered} ConnectionError", f"{answered} 502", f"{answered} 500"]
    assert [text for text in told(caplog, logging.DEBUG) if text.startswith(answered)] == [
        f"{answered} 401",
        *[f"{answered} ConnectionError"] * 2,
        f"{answered} 401",
        f"{answered} 500",
    ]


def test_a_wait_begins(
    new_auth: NewAuth, server: ScriptedServer, patient: ScriptedUser, caplog: pytest.LogCaptureFixture
) -> None:
    """That a stage is awaited is told, and that its polls have only a session to name."""
    server.will(PENDING, "done")

    new_auth().attempt_auth()

    assert f"waiting for {SSO}" in told(caplog, logging.DEBUG)
    assert "sending the request with the session alone" in told(caplog, logging.DEBUG)


@pytest.mark.parametrize("kind", ["m.login.\x1b[31m", "x" * 300])
def test_a_strangers_names(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """Names that a server makes up are shown in a form that no terminal obeys, and cut."""
    wrong: dict[str, Any] = {"errcode": "M_\x1b[31m" + "x" * 300}
    server.will(challenge([kind]), challenge([kind], **wrong), LOST, challenge([kind], session="S2"), "done")
    user.will({"type": kind}, None, {"type": kind})

    new_auth().attempt_auth()

    assert all(record.getMessage().isprintable() for record in caplog.records)
    assert max(len(record.getMessage()) for record in caplog.records) < 300
