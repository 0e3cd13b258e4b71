"""The mail and the SMS: when they are asked for, what of the answer is used, and what reaches the caller."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from support.clocks import FakeClock
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthCancelledError, AuthType, MatrixError, RetryPolicy, ServerProtocolError, Stage
from interactive_auth._engine.context import can_send_again, refreshed

EMAIL, MSISDN, TERMS, DUMMY = "m.login.email.identity", "m.login.msisdn", "m.login.terms", "m.login.dummy"
IN_USE = MatrixError(400, {"errcode": "M_THREEPID_IN_USE"})


class TokenServer:
    """A token request that gives the planned answers in order, and remembers what it was asked."""

    def __init__(self, user: ScriptedUser, clock: FakeClock) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.times: list[float] = []
        self.stages_before: list[int] = []
        self.answers: list[Any] = []
        self._user, self._clock = user, clock

    def __call__(self, *arguments: Any) -> Any:
        self.asked.append(arguments)
        self.times.append(self._clock.elapsed)
        self.stages_before.append(len(self._user.seen))
        answer = self.answers.pop(0) if self.answers else {"sid": f"sid{len(self.asked)}"}
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def mail(user: ScriptedUser, clock: FakeClock) -> TokenServer:
    """Return the email token request."""
    return TokenServer(user, clock)


@pytest.fixture
def sms(user: ScriptedUser, clock: FakeClock) -> TokenServer:
    """Return the SMS token request."""
    return TokenServer(user, clock)


@pytest.fixture
def new_auth(new_auth: NewAuth, mail: TokenServer, sms: TokenServer) -> NewAuth:
    """Return a maker of objects with both token requests, an address and a number."""
    usual = {
        "inputs": {"email_address": "a@b.c", "phone_country": "GB", "phone_number": "07700900001"},
        "client_secret": "my-secret",
        "request_email_token": mail,
        "request_msisdn_token": sms,
    }
    return lambda **options: new_auth(**{**usual, **options})


def test_tokens_are_requested_before_anyone_is_asked(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer, sms: TokenServer
) -> None:
    """As soon as the flow is chosen, mail and SMS are sent, once, before the first callback."""
    flow = [TERMS, EMAIL, MSISDN]
    server.will(challenge(flow), challenge(flow, completed=[TERMS]), challenge(flow, completed=[TERMS, EMAIL]), "done")
    user.will({"type": TERMS}, None, {"type": MSISDN})
    auth = new_auth()

    auth.attempt_auth()

    assert mail.asked == [("a@b.c", "my-secret", 1, "S1")]
    assert sms.asked == [("GB", "07700900001", "my-secret", 1, "S1")]
    assert mail.stages_before == sms.stages_before == [0]
    assert [(stage.email_sid, stage.msisdn_sid) for stage in user.seen] == [("sid1", "sid1")] * 3
    assert (auth.get_email_sid(), auth.get_msisdn_sid()) == ("sid1", "sid1")
    creds = {"sid": "sid1", "client_secret": "my-secret"}
    assert server.sent[2] == {"type": EMAIL, "threepid_creds": creds, "session": "S1"}


def test_the_token_is_requested_with_auth_data(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer
) -> None:
    """A flow chosen from auth_data has its mail sent as well."""
    server.will("done")
    user.will({"type": EMAIL})

    new_auth(auth_data=challenge([EMAIL]).data, inputs={"email_address": "a@b.c"}).attempt_auth()

    assert mail.asked == [("a@b.c", "my-secret", 1, "S1")]


def test_without_a_session_the_request_says_so(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer
) -> None:
    """A server that gave no session has None passed to the token request."""
    server.will(challenge([EMAIL], session=None), "done")
    user.will({})

    new_auth(inputs={"email_address": "a@b.c"}).attempt_auth()

    assert mail.asked == [("a@b.c", "my-secret", 1, None)]


@pytest.mark.parametrize(
    ("options", "flow", "completed"),
    [
        ({"email_sid": "e1"}, [EMAIL], []),
        ({}, [EMAIL, TERMS], [EMAIL]),
        ({"inputs": {}}, [TERMS], []),
        ({"inputs": {}, "supported_stages": [EMAIL]}, [EMAIL], []),
        ({"request_email_token": None}, [EMAIL], []),
    ],
    ids=["sid known", "stage completed", "stage not in the flow", "no address", "no way to ask"],
)
def test_no_token_is_requested(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    mail: TokenServer,
    options: dict[str, Any],
    flow: list[str],
    completed: list[str],
) -> None:
    """No mail is sent where it is not needed or cannot be."""
    server.will(challenge(flow, completed=completed), "done")
    user.will({})

    new_auth(**{"inputs": {"email_address": "a@b.c"}, **options}).attempt_auth()

    assert mail.asked == []


@pytest.mark.parametrize(
    "error",
    [IN_USE, MatrixError(401, {"errcode": "M_UNKNOWN_TOKEN"}), MatrixError(401, {"flows": []}), KeyError("bug")],
    ids=repr,
)
def test_an_error_reaches_the_caller(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer, error: Exception
) -> None:
    """An error of the token request ends the attempt before anyone is asked; the next one asks for the mail again."""
    server.will(challenge([TERMS, EMAIL]))
    mail.answers = [error]
    auth = new_auth(inputs={"email_address": "a@b.c"})

    with pytest.raises(type(error)) as caught:
        auth.attempt_auth()
    assert caught.value is error
    assert (user.seen, auth.get_email_sid()) == ([], None)

    user.will({})
    server.will("done")
    assert auth.attempt_auth() == "done"
    assert [arguments[2] for arguments in mail.asked] == [1, 1]


@pytest.mark.parametrize("reply", [{}, None, {"sid": ""}, {"sid": 5}, "sid1"], ids=repr)
def test_an_unusable_answer(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer, reply: Any
) -> None:
    """An answer without a usable sid breaks the rules: the stage could never be completed."""
    server.will(challenge([EMAIL]))
    mail.answers = [reply]

    with pytest.raises(ServerProtocolError, match="no usable sid"):
        new_auth(inputs={"email_address": "a@b.c"}).attempt_auth()
    assert user.seen == []


@pytest.mark.usefixtures("no_jitter")
def test_trouble_is_retried_with_the_same_number(new_auth: NewAuth, mail: TokenServer) -> None:
    """After trouble or a 429 the same is asked again, as the same attempt, so that no second mail is sent."""
    mail.answers = [ConnectionError("x"), MatrixError(502, {}), MatrixError(429, {"retry_after_ms": 7000})]
    auth = new_auth()

    auth.request_email_token()

    assert mail.asked == [("a@b.c", "my-secret", 1, None)] * 4
    assert mail.times == [0, 0.5, 1.5, 8.5]
    assert auth.get_email_sid() == "sid4"


@pytest.mark.parametrize("retry", [None, RetryPolicy(retries=0, max_wait=1)], ids=["None", "short"])
@pytest.mark.parametrize("error", [ConnectionError("x"), MatrixError(429, {"retry_after_ms": 7000})], ids=repr)
def test_trouble_is_raised(new_auth: NewAuth, mail: TokenServer, retry: RetryPolicy | None, error: Exception) -> None:
    """The retry policy bounds token requests, too."""
    mail.answers = [error]

    with pytest.raises(type(error)) as caught:
        new_auth(retry=retry).request_email_token()
    assert caught.value is error
    assert len(mail.asked) == 1


def test_send_attempt_grows_with_success_only(new_auth: NewAuth, mail: TokenServer, sms: TokenServer) -> None:
    """Each request that succeeded makes the next one's send_attempt larger, for mail and SMS apart."""
    mail.answers = [{"sid": "a"}, IN_USE, {"no": "sid"}, {"sid": "b"}, {"sid": "c"}]
    auth = new_auth()

    auth.request_email_token()
    with pytest.raises(MatrixError):
        auth.request_email_token()
    with pytest.raises(ServerProtocolError):
        auth.request_email_token()
    auth.request_email_token()
    auth.request_email_token()
    auth.request_msisdn_token()

    assert [arguments[2] for arguments in mail.asked] == [1, 2, 2, 2, 3]
    assert [arguments[3] for arguments in sms.asked] == [1]
    assert auth.get_email_sid() == "c"


def test_another_address(new_auth: NewAuth, mail: TokenServer, sms: TokenServer) -> None:
    """A new address is used from then on, if the server accepted it."""
    auth = new_auth()
    mail.answers = [IN_USE, {"sid": "x"}]

    with pytest.raises(MatrixError):
        auth.request_email_token("taken@b.c")
    auth.request_email_token()
    auth.request_email_token("new@b.c")
    auth.request_email_token()
    auth.request_msisdn_token("DE", "0301")
    auth.request_msisdn_token()

    assert [arguments[0] for arguments in mail.asked] == ["taken@b.c", "a@b.c", "new@b.c", "new@b.c"]
    assert [arguments[:2] for arguments in sms.asked] == [("DE", "0301")] * 2


def test_the_address_comes_with_the_stage(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer
) -> None:
    """A callback may ask for the address when its stage comes, have the mail sent, and leave the rest to the polls."""
    server.will(challenge([EMAIL]), "done")
    auth = new_auth(inputs={}, supported_stages=[EMAIL])
    user.will(lambda _stage: auth.request_email_token("late@b.c"))

    auth.attempt_auth()

    assert mail.asked == [("late@b.c", "my-secret", 1, "S1")]
    assert server.sent[1]["threepid_creds"] == {"sid": "sid1", "client_secret": "my-secret"}


def test_submit_url(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, sms: TokenServer) -> None:
    """The submit_url of the SMS is among the stage's params, beside what the server says about the stage."""
    sms.answers = [{"sid": "m1", "submit_url": "https://hs.example/submit"}]
    server.will(challenge([MSISDN], params={MSISDN: {"x": 1}}), "done")
    user.will({})
    auth = new_auth(inputs={"phone_country": "GB", "phone_number": "1"})

    auth.attempt_auth()

    assert user.seen[0].params == {"x": 1, "submit_url": "https://hs.example/submit"}
    assert auth.get_stage_params(MSISDN) == {"x": 1, "submit_url": "https://hs.example/submit"}


def test_submit_url_alone(new_auth: NewAuth, sms: TokenServer) -> None:
    """The submit_url is known even if the server says nothing else about the stage."""
    sms.answers = [{"sid": "m1", "submit_url": "https://hs.example/submit"}]
    auth = new_auth()

    auth.request_msisdn_token()

    assert auth.get_stage_params(MSISDN) == {"submit_url": "https://hs.example/submit"}
    assert auth.get_stage_params(EMAIL) is None


def test_the_callers_objects_are_left_alone(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer
) -> None:
    """Inputs, auth_data and token answers may be read-only."""
    mail.answers = [MappingProxyType({"sid": "e1"})]
    server.will("done")
    user.will(MappingProxyType({"type": EMAIL}))
    inputs, earlier = MappingProxyType({"email_address": "a@b.c"}), MappingProxyType(challenge([EMAIL]).data)

    assert new_auth(inputs=inputs, auth_data=earlier).attempt_auth() == "done"


def test_cancel_before_asking_again(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer, clock: FakeClock
) -> None:
    """Cancelling ends the wait before a token request is repeated."""
    server.will(challenge([EMAIL]))
    mail.answers = [MatrixError(429, {"retry_after_ms": 60_000})]
    auth = new_auth(inputs={"email_address": "a@b.c"})
    clock.at(1, auth.cancel)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    assert (clock.elapsed, len(mail.asked)) == (1, 1)


def test_asking_again_within_a_callback(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, mail: TokenServer
) -> None:
    """A callback may have the mail sent again, and the polls look at the new validation."""
    server.will(challenge([EMAIL, DUMMY]), challenge([EMAIL, DUMMY], completed=[EMAIL]), "done")
    auth = new_auth(inputs={"email_address": "a@b.c"})

    def again(_stage: Stage) -> None:
        auth.request_email_token()

    user.will(again)
    auth.attempt_auth()

    assert [arguments[2] for arguments in mail.asked] == [1, 2]
    assert server.sent[1]["threepid_creds"]["sid"] == "sid2"


# Cancelling what is done by hand


LIMITED = MatrixError(429, {"retry_after_ms": 60_000})


def test_an_earlier_cancel_does_not_end_a_token_request(new_auth: NewAuth, mail: TokenServer, clock: FakeClock) -> None:
    """What was cancelled before a token request was made by hand has nothing to do with it."""
    mail.answers = [LIMITED]
    auth = new_auth()
    auth.cancel()

    auth.request_email_token()

    assert (auth.get_email_sid(), clock.elapsed) == ("sid2", 60)


def test_cancel_during_a_token_request(new_auth: NewAuth, mail: TokenServer, clock: FakeClock) -> None:
    """A cancel that comes while the request is on its way is told after it, and what it has brought is kept."""
    auth = new_auth()

    class Cancelling(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            auth.cancel()
            return super().get(key, default)

    mail.answers = [Cancelling(sid="kept")]

    with pytest.raises(AuthCancelledError):
        auth.request_email_token()

    assert auth.get_email_sid() == "kept"


# What a new session makes of a validation


LOST = MatrixError(400, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: S1"})


@pytest.mark.parametrize("how", ["lost", "another session"])
def test_a_spent_validation_is_requested_anew(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    mail: TokenServer,
    sms: TokenServer,
    how: str,
) -> None:
    """Servers take a validation once: what has completed a stage in the old session is worth nothing in the new one."""
    flow = [EMAIL, MSISDN, TERMS]
    done = challenge(flow, completed=[EMAIL])
    lost = [LOST, challenge(flow, session="S2")] if how == "lost" else [challenge(flow, session="S2")]
    server.will(challenge(flow), done, *lost, KeyError("enough"))
    user.will(None, None, None)

    with pytest.raises(KeyError, match="enough"):
        new_auth().attempt_auth()

    assert [(arguments[-2], arguments[-1]) for arguments in mail.asked] == [(1, "S1"), (2, "S2")]
    assert len(sms.asked) == 1
    assert server.sent[-1] is not None
    assert server.sent[-1]["threepid_creds"]["sid"] == "sid2"


def test_the_first_session_spends_nothing(new_auth: NewAuth, server: ScriptedServer, mail: TokenServer) -> None:
    """A sid that was there before any session is for the first one."""
    server.will(challenge([EMAIL], completed=[EMAIL]), "done")
    auth = new_auth(email_sid="mine", inputs=None)

    auth.attempt_auth()

    assert (auth.get_email_sid(), mail.asked) == ("mine", [])


# What the ready-made callbacks know


def test_a_stage_is_refreshed(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, sms: TokenServer) -> None:
    """After a token request of its own a callback sees what that has brought, under whichever key it stands."""
    said = {MSISDN: {"hint": "of the server's"}}
    server.will(challenge(["com.example.phone"], params=said), "done")
    sms.answers = [{"sid": "p1", "submit_url": "https://hs.example/submit"}]
    found: list[Stage] = []

    def ask(stage: Stage) -> dict[str, Any]:
        stage.auth.set_email_sid("e1")
        stage.auth.request_msisdn_token("GB", "1")
        found.append(refreshed(stage, AuthType.MSISDN))
        return {"type": stage.type}

    user.will(ask)
    new_auth(inputs=None).attempt_auth()

    stage = found[0]
    assert (stage.type, stage.email_sid, stage.msisdn_sid) == ("com.example.phone", "e1", "p1")
    assert stage.submit_url == "https://hs.example/submit"
    assert stage.params == {"hint": "of the server's", "submit_url": "https://hs.example/submit"}
    assert stage.auth is user.seen[0].auth


@pytest.mark.parametrize(
    ("options", "possible"),
    [
        ({}, (True, True)),
        ({"inputs": None}, (False, False)),
        ({"request_email_token": None}, (False, True)),
        ({"request_msisdn_token": None}, (True, False)),
    ],
    ids=["both", "no address", "no mail", "no SMS"],
)
def test_what_can_be_sent_again(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, options: dict[str, Any], possible: tuple[bool, bool]
) -> None:
    """A mail or an SMS can be sent again where its address and a way to request it are known."""
    server.will(challenge([EMAIL, MSISDN]), "done")
    found: list[bool] = []

    def look(stage: Stage) -> dict[str, Any]:
        found.extend(can_send_again(stage, kind) for kind in (AuthType.EMAIL, AuthType.MSISDN))
        return {"type": stage.type}

    user.will(look)

    new_auth(supported_stages=[EMAIL, MSISDN], **options).attempt_auth()

    assert tuple(found) == possible
