"""console.handlers for email addresses and phone numbers: a person who is sent a mail or an SMS and deals with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests
from throwaway_services import MailServer, SmsGateway
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, console

#: Whoever waits for the next poll that nobody has asked for waits in vain.
PATIENT: Any = {"poll_interval": 600.0, "poll_timeout": 20.0}
OPEN_LINK = "Open the link in the mail, then press Enter (r and Enter sends it again): "
CODE = "Code in the SMS (r and Enter sends it again): "

Connect = Callable[..., Homeserver]
Owner = Callable[[Synapse, Mapping[str, Any]], str]
Addresses = Callable[[Synapse, str], set[tuple[str, str]]]
Answer = Callable[..., list[str]]


@pytest.fixture
def open_link(mails: MailServer, web: requests.Session, address: str) -> Callable[[int], str]:
    """Open the link in a mail, and press Enter."""

    def visit(number: int) -> str:
        web.get(mails.wait_for_link(address, number), timeout=30).raise_for_status()
        return ""

    return visit


def test_enter_after_the_link_was_opened_polls_at_once(
    email_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    owner: Owner,
    addresses_of: Addresses,
    open_link: Callable[[int], str],
    name: str,
    password: str,
    address: str,
    user_id: str,
) -> None:
    """The account is there right after Enter, however long the interval between polls is."""
    homeserver = homeserver_at(email_server)
    prompts = answer(lambda: open_link(1))
    request = homeserver.register(name, password)

    account = request.authenticate(console.handlers(homeserver), inputs={"email_address": address}, **PATIENT)

    assert owner(email_server, account) == user_id
    assert addresses_of(email_server, user_id) == {("email", address)}
    assert prompts == [OPEN_LINK]
    assert capsys.readouterr().out.splitlines() == ["Step 1 of 1: email address"]


def test_r_sends_the_mail_again(
    email_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    mails: MailServer,
    owner: Owner,
    open_link: Callable[[int], str],
    name: str,
    password: str,
    address: str,
    user_id: str,
) -> None:
    """r brings a second mail and the same prompt; the link in that mail makes the account."""
    homeserver = homeserver_at(email_server)
    prompts = answer("r", lambda: open_link(2))
    request = homeserver.register(name, password)

    account = request.authenticate(console.handlers(homeserver), inputs={"email_address": address}, **PATIENT)

    assert owner(email_server, account) == user_id
    assert prompts == [OPEN_LINK, OPEN_LINK]
    assert mails.count(address) == 2


def test_enter_before_the_link_was_opened_leaves_the_loop_polling(
    email_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    owner: Owner,
    open_link: Callable[[int], str],
    name: str,
    password: str,
    address: str,
    user_id: str,
) -> None:
    """Enter pressed too early harms nothing: one line shows what is awaited, and a poll finds the link opened later."""
    homeserver = homeserver_at(email_server)
    prompts = answer("")
    request = homeserver.register(name, password)
    polls: list[str | None] = []

    def send(auth: dict[str, Any] | None) -> Mapping[str, Any]:
        try:
            return request(auth)
        except MatrixError as error:
            if auth is not None:
                polls.append(error.errcode)
                open_link(1)
            raise

    account = InteractiveAuth(
        send,
        console.handlers(homeserver),
        inputs={"email_address": address},
        request_email_token=request.request_email_token,
        poll_interval=0.1,
        poll_timeout=20.0,
    ).attempt_auth()

    assert owner(email_server, account) == user_id
    assert polls == ["M_UNAUTHORIZED"]
    assert prompts == [OPEN_LINK]
    step, wait, end = capsys.readouterr().out.split("\n")
    assert (step, end) == ("Step 1 of 1: email address", "")
    assert wait.split("\r")[2] == "email address, 20 s left: waiting for the link in the mail to be opened"


def test_address_is_asked_for_again_with_the_servers_reason(
    email_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    owner: Owner,
    addresses_of: Addresses,
    open_link: Callable[[int], str],
    name: str,
    password: str,
    address: str,
    user_id: str,
) -> None:
    """Without an address among the inputs the person gives one, and another if the server refuses it."""
    homeserver = homeserver_at(email_server)
    prompts = answer("no address at all", address, lambda: open_link(1))

    account = homeserver.register(name, password).authenticate(console.handlers(homeserver), **PATIENT)

    assert owner(email_server, account) == user_id
    assert addresses_of(email_server, user_id) == {("email", address)}
    assert prompts == ["Email address: ", "Email address: ", OPEN_LINK]
    assert capsys.readouterr().out.splitlines() == [
        "Step 1 of 1: email address",
        "The server said: Unable to parse email address",
    ]


def test_phone_number_and_a_wrong_code_first(
    phone_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    texts: SmsGateway,
    owner: Owner,
    addresses_of: Addresses,
    number: str,
    international: str,
    name: str,
    password: str,
    user_id: str,
) -> None:
    """The person gives the number once, codes until one is right, nothing by Enter alone; "gb" will do for "GB"."""
    homeserver = homeserver_at(phone_server)
    prompts = answer("gb", number, "", "no-such-code", lambda: texts.wait(international))

    account = homeserver.register(name, password).authenticate(console.handlers(homeserver), **PATIENT)

    assert owner(phone_server, account) == user_id
    assert addresses_of(phone_server, user_id) == {("msisdn", international)}
    assert prompts == [
        "Country of the phone number, two letters: ",
        "Phone number: ",
        CODE,
        CODE,
        CODE,
    ]
    assert capsys.readouterr().out.splitlines() == [
        "Step 1 of 1: phone number",
        "Step 1 of 1: phone number",
        "The server said: Unable to get validated threepid",
    ]


def test_r_after_a_wrong_code_sends_the_sms_again(
    phone_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    texts: SmsGateway,
    addresses_of: Addresses,
    number: str,
    international: str,
    name: str,
    password: str,
    user_id: str,
) -> None:
    """Whoever has no code, or a wrong one, has another one sent, and that makes the account."""
    homeserver = homeserver_at(phone_server)
    prompts = answer("GB", number, "no-such-code", "r", lambda: texts.wait(international, 2))

    homeserver.register(name, password).authenticate(console.handlers(homeserver), **PATIENT)

    assert addresses_of(phone_server, user_id) == {("msisdn", international)}
    assert texts.count(international) == 2
    assert prompts[2:] == [CODE, CODE, CODE]
    assert capsys.readouterr().out.splitlines()[-1] == "Sent again."


def test_mail_that_the_server_does_not_send_again(
    email_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    owner: Owner,
    open_link: Callable[[int], str],
    name: str,
    password: str,
    address: str,
    user_id: str,
) -> None:
    """The reason is shown, and the mail that came before is still good."""
    homeserver = homeserver_at(email_server)
    request = homeserver.register(name, password)
    prompts = answer("r", lambda: open_link(1))

    def request_token(email: str, secret: str, send_attempt: int, session: str | None) -> Mapping[str, Any]:
        if send_attempt > 1:
            raise MatrixError(400, {"errcode": "M_LIMIT_EXCEEDED", "error": "No more today"})
        return request.request_email_token(email, secret, send_attempt, session)

    account = request.authenticate(
        console.handlers(homeserver),
        inputs={"email_address": address},
        request_email_token=request_token,
        **PATIENT,
    )

    assert owner(email_server, account) == user_id
    assert prompts == [OPEN_LINK, OPEN_LINK]
    assert capsys.readouterr().out.splitlines() == ["Step 1 of 1: email address", "The server said: No more today"]
