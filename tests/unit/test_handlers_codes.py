"""Codes in mails and SMS: asked for, posted, asked for again when wrong, and sent anew when they come too late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.clocks import FakeClock

from interactive_auth import AuthTimeoutError, DelegatedAuthError, InteractiveAuth, MatrixError, Stage, handlers

EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"
URL = "https://id.example.org/submit"
LATE = MatrixError(400, {"errcode": "M_SESSION_EXPIRED", "error": "Too late"})
INPUTS: dict[str, Any] = {
    EMAIL: {"email_address": "alice@example.org"},
    MSISDN: {"phone_country": "GB", "phone_number": "07700900001"},
}


class Codes:
    """A server with one stage that a code completes, and a person who types codes.

    Attributes:
        sent: the send attempts of the messages.
        posted: what was posted: address, sid, code.
        typed: the codes that the person types.
        answers: what the posts are answered, a bool or an error.
        errors: the errors that the person was told of, by errcode.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.sent: list[int] = []
        self.posted: list[tuple[str, str, str]] = []
        self.typed: list[str | None] = ["123456"]
        self.answers: list[bool | MatrixError] = [True]
        self.errors: list[str | None] = []
        self.submit_url: str | None = URL
        self._right = False

    def do_request(self, auth: Mapping[str, Any] | None) -> str:
        if self._right and auth is not None and "threepid_creds" in auth:
            return "done"
        body = {"flows": [{"stages": [self.stage]}], "session": "s", "completed": []}
        raise MatrixError(401, body if auth is None else {**body, "errcode": "M_UNAUTHORIZED"})

    def request_token(self, *arguments: Any) -> dict[str, Any]:
        self.sent.append(arguments[-2])
        answer = {"sid": f"sid{len(self.sent)}"}
        return answer if self.submit_url is None else {**answer, "submit_url": self.submit_url}

    def submit_token(self, submit_url: str, sid: str, client_secret: str, token: str) -> bool:
        self.posted.append((submit_url, sid, token))
        answer = self.answers.pop(0)
        if isinstance(answer, MatrixError):
            raise answer
        self._right = answer
        return answer

    def get_code(self, stage: Stage) -> str | None:
        self.errors.append(stage.error and stage.error.errcode)
        return self.typed.pop(0)

    def auth(self, callback: Any, **options: Any) -> InteractiveAuth[str]:
        given: dict[str, Any] = {
            "inputs": INPUTS[self.stage],
            "request_email_token": self.request_token,
            "request_msisdn_token": self.request_token,
            "poll_timeout": 0,
        }
        return InteractiveAuth(self.do_request, {self.stage: callback}, **{**given, **options})

    def callback(self) -> Any:
        if self.stage == EMAIL:
            return handlers.email(get_code=self.get_code, homeserver=self)
        return handlers.msisdn(self.get_code, self)


@pytest.fixture(params=[EMAIL, MSISDN])
def codes(request: pytest.FixtureRequest, clock: FakeClock) -> Codes:
    """Return a stage of either kind."""
    return Codes(request.param)


def test_the_right_code(codes: Codes) -> None:
    """The code goes to the address that the token request named, and the stage is done."""
    assert codes.auth(codes.callback()).attempt_auth() == "done"

    assert codes.posted == [(URL, "sid1", "123456")]
    assert codes.sent == [1]


def test_a_wrong_code(codes: Codes) -> None:
    """After a wrong code the person is asked for the code again, with the same message."""
    codes.typed, codes.answers = ["000000", "123456"], [False, True]

    assert codes.auth(codes.callback()).attempt_auth() == "done"

    assert codes.errors == [None, "M_UNAUTHORIZED"]
    assert codes.sent == [1]


def test_a_code_that_came_too_late(codes: Codes) -> None:
    """Another message is sent for it, the person is told why, and its code goes with its sid."""
    codes.typed, codes.answers = ["111111", "123456"], [LATE, True]

    assert codes.auth(codes.callback()).attempt_auth() == "done"

    assert codes.sent == [1, 2]
    assert codes.errors == [None, "M_SESSION_EXPIRED"]
    assert codes.posted == [(URL, "sid1", "111111"), (URL, "sid2", "123456")]


def test_codes_that_always_come_too_late(codes: Codes) -> None:
    """There is an end to it."""
    codes.typed, codes.answers = ["1", "2", "3"], [LATE, LATE, LATE]

    with pytest.raises(MatrixError, match="M_SESSION_EXPIRED"):
        codes.auth(codes.callback()).attempt_auth()

    assert codes.sent == [1, 2, 3]


def test_a_late_code_of_a_message_that_cannot_be_sent_again(codes: Codes) -> None:
    """Where nobody knows the address, it is the error that it is."""
    codes.typed, codes.answers = ["111111"], [LATE]
    sids: dict[str, Any] = {"email_sid": "sid0"} if codes.stage == EMAIL else {"msisdn_sid": "sid0"}
    progress = {codes.stage: {"send_attempt": 1, "submit_url": URL, "address": []}}

    with pytest.raises(MatrixError, match="M_SESSION_EXPIRED"):
        codes.auth(codes.callback(), inputs={}, session_id="s", progress=progress, **sids).attempt_auth()

    assert codes.sent == []


@pytest.mark.parametrize("errcode", ["M_INVALID_PARAM", "M_UNRECOGNIZED"])
def test_other_trouble(codes: Codes, errcode: str) -> None:
    """What is no word about the code ends the attempt, and nobody is asked again."""
    codes.answers = [MatrixError(400, {"errcode": errcode, "error": "123456"})]

    with pytest.raises(MatrixError, match=errcode) as caught:
        codes.auth(codes.callback()).attempt_auth()

    assert "123456" not in str(caught.value)
    assert len(codes.errors) == 1


def test_a_link_instead(codes: Codes) -> None:
    """Without an address for a code the loop waits, and a mail's reader is asked for none."""
    codes.submit_url = None

    with pytest.raises(AuthTimeoutError):
        codes.auth(codes.callback()).attempt_auth()

    assert codes.posted == []
    assert codes.errors == ([] if codes.stage == EMAIL else [None])


def test_no_code(codes: Codes) -> None:
    """A person who has none waits."""
    codes.typed = [None]

    with pytest.raises(AuthTimeoutError):
        codes.auth(codes.callback()).attempt_auth()

    assert codes.posted == []


def test_a_code_that_nobody_is_asked_for(clock: FakeClock) -> None:
    """A mail with a code, and nobody to ask for it, is a warning that says what to give."""
    codes, told = Codes(EMAIL), list[Stage]()

    with (
        pytest.warns(RuntimeWarning, match=r"give get_code and homeserver to handlers\.email"),
        pytest.raises(AuthTimeoutError),
    ):
        codes.auth(handlers.email(told.append)).attempt_auth()

    assert [stage.submit_url for stage in told] == [URL]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda codes: handlers.email(get_code=codes.get_code), ValueError, "both or neither"),
        (lambda codes: handlers.email(homeserver=codes), ValueError, "both or neither"),
        (lambda codes: handlers.email(get_code=5, homeserver=codes), TypeError, "get_code must be callable or None"),
        (lambda codes: handlers.email(get_code=input, homeserver=5), TypeError, "homeserver must be a Homeserver"),
        (lambda codes: handlers.msisdn(input, 5), TypeError, "homeserver must be a Homeserver"),
    ],
)
def test_wrong_arguments(make: Callable[[Codes], object], error: type[Exception], words: str) -> None:
    """A wrong argument, or half of two that go together, is named."""
    with pytest.raises(error, match=words):
        make(Codes(EMAIL))


def test_an_address_where_accounts_live_elsewhere(clock: FakeClock) -> None:
    """No other address would help, so nobody is asked for one."""
    codes, asked = Codes(EMAIL), list[Stage]()

    def refuse(*arguments: Any) -> dict[str, Any]:
        raise DelegatedAuthError(403, {"errcode": "M_FORBIDDEN"})

    def ask(stage: Stage) -> str:
        asked.append(stage)
        return "alice@example.org"

    with pytest.raises(DelegatedAuthError):
        codes.auth(handlers.email(ask_address=ask), inputs={}, request_email_token=refuse).attempt_auth()

    assert len(asked) == 1
