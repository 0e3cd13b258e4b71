"""No secret comes to light: not in what is raised, not in its pickle, not in the log, not in a repr."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser

from interactive_auth import (
    AuthTimeoutError,
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
    StageFailedError,
    handlers,
)

STAGE, EMAIL, MSISDN = "org.example.stage", "m.login.email.identity", "m.login.msisdn"
SESSION, CLIENT_SECRET, ID_TOKEN, ANSWER = "the-session-id", "the-client-secret", "the-id-access-token", "hunter22"
SECRETS = (SESSION, CLIENT_SECRET, ID_TOKEN, ANSWER)
QUOTED = " and ".join(SECRETS)
FLOWS = [{"stages": [STAGE]}]


@pytest.fixture
def auth(new_auth: NewAuth) -> InteractiveAuth[Any]:
    """Return an object with every kind of secret."""
    return new_auth(
        client_secret=CLIENT_SECRET,
        id_server="id.example",
        id_access_token=ID_TOKEN,
        request_email_token=lambda *_: (_ for _ in ()).throw(quoting(400)),
        max_attempts=1,
        poll_timeout=3,
        retry=None,
    )


def quoting(status: int, **fields: Any) -> MatrixError:
    """Make an error of a server that quotes all that it was ever sent, everywhere."""
    return MatrixError(
        status,
        {
            "session": SESSION,
            "errcode": f"M_{QUOTED}",
            "error": f"Wrong: {QUOTED}",
            "params": {STAGE: {"said": [QUOTED, {QUOTED: QUOTED}]}},
            **fields,
        },
    )


def assert_clean(error: BaseException) -> None:
    """Assert that no secret is in what is shown of an error and its causes, nor in its pickle."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    pickled = pickle.dumps(error)
    for secret in SECRETS:
        assert secret not in shown
        assert secret.encode() not in pickled


ANSWERS = [
    pytest.param({"type": STAGE, "password": ANSWER}, id="password"),
    pytest.param({"type": STAGE, "token": ANSWER}, id="registration token"),
    pytest.param({"type": STAGE, "response": ANSWER}, id="captcha response"),
    pytest.param({"type": STAGE, "deep": {"er": {"secret": ANSWER}}}, id="nested"),
    pytest.param({"type": STAGE, "codes": [ANSWER, {"x": ANSWER}]}, id="in a list"),
    pytest.param({"type": STAGE, "password": ANSWER, "session": SESSION}, id="with its session"),
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_an_error_that_quotes_the_submission(
    auth: InteractiveAuth[Any], server: ScriptedServer, user: ScriptedUser, answer: dict[str, Any], status: int
) -> None:
    """A server's error quotes nothing of what was submitted, nor the secrets that are known anyway."""
    server.will(MatrixError(401, {"flows": FLOWS, "session": SESSION}), quoting(status))
    user.will(answer)

    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    assert_clean(caught.value)


def test_a_rejection_that_quotes_the_submission(
    auth: InteractiveAuth[Any], server: ScriptedServer, user: ScriptedUser
) -> None:
    """The text of a failed stage, which has the server's words in it, is clean as well."""
    server.will(MatrixError(401, {"flows": FLOWS, "session": SESSION}), quoting(401, flows=FLOWS))
    user.will({"type": STAGE, "password": ANSWER})

    with pytest.raises(StageFailedError) as caught:
        auth.attempt_auth()
    assert_clean(caught.value)


def test_a_poll_that_quotes(auth: InteractiveAuth[Any], server: ScriptedServer, user: ScriptedUser) -> None:
    """So is the text of a timeout, which has the last poll's."""
    refusal = MatrixError(401, {"flows": FLOWS, "session": SESSION, "error": f"{SESSION} {CLIENT_SECRET} {ID_TOKEN}"})
    server.will(MatrixError(401, {"flows": FLOWS, "session": SESSION}), refusal, refusal)
    user.will(None)

    with pytest.raises(AuthTimeoutError) as caught:
        auth.attempt_auth()
    assert "[hidden]" in str(caught.value)
    assert_clean(caught.value)


def test_a_server_that_leads_nowhere(auth: InteractiveAuth[Any], server: ScriptedServer) -> None:
    """A protocol error is clean, and so is its cause."""
    refusal = MatrixError(401, {"flows": [{"stages": []}], "session": SESSION, "error": f"{SESSION} {CLIENT_SECRET}"})
    server.will(refusal, refusal)

    with pytest.raises(ServerProtocolError) as caught:
        auth.attempt_auth()
    assert_clean(caught.value)


def test_a_first_answer_that_quotes_its_session(auth: InteractiveAuth[Any], server: ScriptedServer) -> None:
    """A session id that is only learned from an error is hidden in that error, too."""
    server.will(MatrixError(401, {"flows": [{"stages": []}], "session": SESSION, "error": f"Session {SESSION}"}))
    server.will(MatrixError(500, {"error": "final"}))

    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    assert_clean(caught.value)


def test_a_token_request_that_quotes(new_auth: NewAuth) -> None:
    """The error of a token request hides the session, the client secret and the access token."""

    def request(*_: object) -> dict[str, str]:
        raise MatrixError(400, {"errcode": "M_INVALID_PARAM", "error": QUOTED})

    auth = new_auth(
        session_id=SESSION,
        client_secret=CLIENT_SECRET,
        id_server="id.example",
        id_access_token=ID_TOKEN,
        request_email_token=request,
    )

    with pytest.raises(MatrixError) as caught:
        auth.request_email_token("a@b.c")

    assert [secret for secret in SECRETS if secret in str(caught.value)] == [ANSWER]  # which was never sent


@pytest.mark.parametrize("failure", [quoting(403), ConnectionError(f"POST {QUOTED}")], ids=["answer", "connection"])
def test_the_log(
    auth: InteractiveAuth[Any],
    server: ScriptedServer,
    user: ScriptedUser,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    """What is logged, at any level, about a submission in the background quotes nothing of it."""
    server.will(MatrixError(401, {"flows": FLOWS, "session": SESSION}), failure, "done")
    user.will(None)
    clock.at(1, lambda: auth.submit_auth_dict({"type": STAGE, "password": ANSWER}, background=True))

    with caplog.at_level(logging.DEBUG):
        auth.attempt_auth()

    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    logged = caplog.text + repr([vars(record) for record in caplog.records])
    assert not [secret for secret in SECRETS if secret in logged]


def test_an_error_that_quotes_an_earlier_submission(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser
) -> None:
    """A server may remember what it was sent, and quote it when it refuses something else."""
    server.will(
        MatrixError(401, {"flows": FLOWS, "session": SESSION}), MatrixError(401, {"flows": FLOWS, "error": "x"})
    )
    server.will(MatrixError(400, {"error": f"No {ANSWER}"}))
    user.will({"type": STAGE, "password": ANSWER}, {"type": STAGE, "password": "another one"})

    with pytest.raises(MatrixError) as caught:
        new_auth().attempt_auth()
    assert str(caught.value) == "400: No [hidden]"


ODD = 'p\u00e4ss" word'


@pytest.mark.parametrize("quoted", [ODD, json.dumps(ODD)[1:-1], quote(ODD, safe="")], ids=["plain", "JSON", "query"])
def test_an_error_that_quotes_another_form(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, quoted: str
) -> None:
    """What a server quotes as it stood on the wire, in JSON or in a query, is hidden as well."""
    server.will(MatrixError(401, {"flows": FLOWS, "session": SESSION}), MatrixError(400, {"error": f"No {quoted}"}))
    user.will({"type": STAGE, "password": ODD})

    with pytest.raises(MatrixError) as caught:
        new_auth().attempt_auth()

    assert str(caught.value) == "400: No [hidden]"


def test_an_error_of_a_callbacks_own_request(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser) -> None:
    """So it may where a callback asks it for something."""
    server.will(MatrixError(401, {"flows": FLOWS, "session": SESSION}))
    user.will(MatrixError(400, {"error": f"No {SESSION}"}))

    with pytest.raises(MatrixError) as caught:
        new_auth().attempt_auth()
    assert str(caught.value) == "400: No [hidden]"


def test_an_error_that_quotes_the_requests_body() -> None:
    """The password that is to be registered is hidden in errors of other requests as well."""

    def request_email_token(*_: object) -> dict[str, str]:
        raise MatrixError(400, {"error": f"No mail for {ANSWER}"})

    request = Homeserver("https://example.org").register("alice", ANSWER)
    auth: InteractiveAuth[Any] = InteractiveAuth(
        request, lambda _stage: None, request_email_token=request_email_token, retry=None
    )

    with pytest.raises(MatrixError) as caught:
        auth.request_email_token("alice@example.org")
    assert str(caught.value) == "400: No mail for [hidden]"


class CodePoster:
    """A homeserver that takes any code."""

    def submit_token(self, submit_url: str, sid: str, client_secret: str, token: str) -> bool:
        """Take the code."""
        return True


def test_an_error_that_quotes_a_code(server: ScriptedServer) -> None:
    """The code of an SMS, which a handler posts by itself, is hidden in what is answered to the loop."""
    server.will(MatrixError(401, {"flows": [{"stages": [MSISDN]}]}), MatrixError(400, {"error": "No 123456 for sid1"}))
    auth = InteractiveAuth(
        server,
        {MSISDN: handlers.msisdn(lambda: "123456", CodePoster())},
        inputs={"phone_country": "GB", "phone_number": "7700900000"},
        request_msisdn_token=lambda *_: {"sid": "sid1", "submit_url": "https://example.org/submit"},
    )

    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    assert str(caught.value) == "400: No [hidden] for sid1"


def test_the_log_is_printable(
    auth: InteractiveAuth[Any],
    server: ScriptedServer,
    user: ScriptedUser,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A stage type that a server invented can put neither lines nor control characters into the log."""
    server.will(MatrixError(401, {"flows": [{"stages": ["x\nERROR y\x1b[31m"]}], "session": SESSION}))
    server.will(MatrixError(500, {}), "done")
    user.will(None)
    clock.at(1, lambda: auth.submit_auth_dict({"type": "x"}, background=True))

    with caplog.at_level(logging.DEBUG):
        auth.attempt_auth()

    assert "WARNING" in {record.levelname for record in caplog.records}
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_reprs(auth: InteractiveAuth[Any], server: ScriptedServer, user: ScriptedUser) -> None:
    """The object, what it is made of, and the stages it gives to callbacks hide their secrets."""
    server.will(MatrixError(401, {"flows": FLOWS, "session": SESSION}), "done")
    user.will({"type": STAGE, "password": ANSWER})
    auth.attempt_auth()

    shown = repr(auth) + repr(vars(auth)) + repr(user.seen)

    assert not [secret for secret in SECRETS if secret in shown]


def test_the_servers_words_stay_readable(
    auth: InteractiveAuth[Any], server: ScriptedServer, user: ScriptedUser
) -> None:
    """What is no secret stays in the text: the stage type, the user name, the sid."""
    words = "No m.login.password for @alice:example.org with sid1234"
    server.will(MatrixError(401, {"flows": FLOWS}), MatrixError(400, {"error": words}))
    identifier = {"type": "m.id.user", "user": "@alice:example.org"}
    user.will({"type": "m.login.password", "identifier": identifier, "threepid_creds": {"sid": "sid1234"}})

    with pytest.raises(InteractiveAuthError) as caught:
        auth.attempt_auth()
    assert str(caught.value) == f"400: {words}"
