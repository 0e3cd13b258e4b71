"""A person at the console who is sent a mail or an SMS, where no homeserver is needed to show what they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.scripted import ScriptedServer, challenge

from interactive_auth import (
    AuthCancelledError,
    AuthTimeoutError,
    AuthType,
    Homeserver,
    InteractiveAuth,
    MatrixError,
    StageFailedError,
    console,
)

MAIL = {"email_address": "alice@example.org"}
NUMBER = {"phone_country": "GB", "phone_number": "07700 900001"}
SUBMIT = "https://matrix.example.org/submit"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have a person answer line by line, and with the last line for ever; gives the prompts."""

    def script(*lines: str) -> list[str]:
        prompts: list[str] = []

        def reply(prompt: str) -> str:
            prompts.append(prompt)
            return lines[min(len(prompts), len(lines)) - 1]

        monkeypatch.setattr("builtins.input", reply)
        monkeypatch.setattr("getpass.getpass", reply)
        return prompts

    return script


@pytest.fixture
def make(server: ScriptedServer) -> Callable[..., InteractiveAuth[Any]]:
    """Make an attempt of a person at the console, whose server asks for one stage for ever."""

    def begin(stage: str, **options: Any) -> InteractiveAuth[Any]:
        server.then_always(challenge([stage]))
        return InteractiveAuth(server, console.handlers(Homeserver("https://matrix.example.org")), **options)

    return begin


def test_code_that_is_never_given(
    make: Callable[..., InteractiveAuth[Any]], answers: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Enter alone is asked again, ten times; without a token request nothing can be sent again, or elsewhere."""
    prompts = answers("")
    progress = {AuthType.MSISDN.value: {"submit_url": SUBMIT}}

    with pytest.raises(AuthCancelledError, match="nothing usable was entered at 'Code in the SMS', 10 times"):
        make(AuthType.MSISDN, msisdn_sid="a-sid", progress=progress).attempt_auth()

    assert prompts == 10 * ["Code in the SMS: "]
    assert capsys.readouterr().out.splitlines() == ["Step 1 of 1: phone number"]


def test_sms_with_a_link_after_one_with_a_code(
    make: Callable[..., InteractiveAuth[Any]], answers: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the second SMS brings a link instead of a code, no code is asked for any more."""
    prompts = answers("r")
    replies = iter([{"sid": "one", "submit_url": SUBMIT}, {"sid": "two"}])
    attempt = make(AuthType.MSISDN, inputs=NUMBER, request_msisdn_token=lambda *_: next(replies), poll_timeout=0.0)

    with pytest.raises(AuthTimeoutError):
        attempt.attempt_auth()

    assert prompts == ["Code in the SMS: "]
    assert "Open the link in the SMS." in capsys.readouterr().out.splitlines()


def test_number_without_digits(
    make: Callable[..., InteractiveAuth[Any]], answers: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told and asked for again, ten times."""
    prompts = answers("GB", "none")

    with pytest.raises(AuthCancelledError, match="nothing usable was entered at 'Phone number', 10 times"):
        make(AuthType.MSISDN, request_msisdn_token=lambda *_: {"sid": "1"}).attempt_auth()

    assert prompts == ["Country, two letters: ", *10 * ["Phone number: "]]
    assert capsys.readouterr().out.count("A phone number has digits.") == 10


@pytest.mark.parametrize("error", [ConnectionError("no route"), MatrixError(500, {"error": "no route"}), {}])
def test_message_that_cannot_be_sent_again(
    error: Any,
    make: Callable[..., InteractiveAuth[Any]],
    answers: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither a refusal nor trouble ends the wait: the message before is still good, and its code is asked for."""
    prompts = answers("r", "")
    replies: Any = iter([{"sid": "one", "submit_url": SUBMIT}, error])

    def request_token(*_: object) -> Any:
        reply = next(replies)
        if isinstance(reply, Exception):
            raise reply
        return reply

    with pytest.raises(AuthCancelledError):
        make(AuthType.MSISDN, inputs=NUMBER, request_msisdn_token=request_token, retry=None).attempt_auth()

    assert set(prompts) == {"Code in the SMS: "}
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("It was not sent again")]
    (line,) = told
    assert line.endswith(" has no usable sid, so the stage cannot be completed" if error == {} else " no route")


def test_addresses_that_are_all_refused(
    make: Callable[..., InteractiveAuth[Any]], answers: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """After three the mail stays where it went, and the wait goes on."""
    prompts = answers("c", "nobody")

    def request_token(email: str, *_: object) -> Any:
        if email == "nobody":
            raise MatrixError(400, {"error": "Unable to parse email address"})
        return {"sid": "1"}

    attempt = make(AuthType.EMAIL, inputs=MAIL, request_email_token=request_token, poll_timeout=0.0)
    for _ in range(2):  # as in a notebook, whose cell is run again
        with pytest.raises(AuthTimeoutError):
            attempt.attempt_auth()

    assert prompts == ["What now? ", *3 * ["New address (Enter keeps it): "]]
    assert capsys.readouterr().out.splitlines()[-1].rpartition("\r")[2] == "It stays with alice@example.org."


@pytest.mark.parametrize(
    ("most", "told"), [(3, ["(2 tries left)", "(last try)"]), (1, []), (None, ["again: password", "again: password"])]
)
def test_how_many_tries_are_left(
    make: Callable[..., InteractiveAuth[Any]],
    answers: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    most: int | None,
    told: list[str],
) -> None:
    """A person is told with each question after a wrong answer, where there is a last one."""
    answers("alice", "wrong", "wrong", "wrong" if most else "", *12 * [""])

    with pytest.raises((StageFailedError, AuthCancelledError)):
        make(AuthType.PASSWORD, max_attempts=most).attempt_auth()

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Step 1 of 1 again")]
    assert [line.endswith(end) for line, end in zip(lines, told, strict=True)] == [True] * len(told)


def test_password_that_is_never_given(
    make: Callable[..., InteractiveAuth[Any]], answers: Callable[..., list[str]]
) -> None:
    """A person who gives nothing but a user name is not asked for ever."""
    prompts = answers("alice", "", "alice", "", "alice", "", *8 * ["alice", ""])

    with pytest.raises(AuthCancelledError, match="nothing usable was entered at 'Password', 10 times"):
        make(AuthType.PASSWORD).attempt_auth()

    assert prompts == 10 * ["User name: ", "Password of alice (hidden): "]
