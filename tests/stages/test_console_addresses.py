"""console.handlers for email addresses and phone numbers: a person who is sent a mail or an SMS and deals with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.accounts import Connect, Person, addresses_of, by_mail, owner
from throwaway_services import MailServer, SmsGateway
from throwaway_synapse import Synapse

from interactive_auth import InteractiveAuth, MatrixError, console

#: Whoever waits for the next poll that nobody has asked for waits in vain.
PATIENT: Any = {"poll_interval": 600.0, "poll_timeout": 20.0}
OPEN_LINK = "Open the link in the mail, then press Enter (r and Enter sends it again): "
CODE = "Code in the SMS (r and Enter sends it again): "

Answer = Callable[..., list[str]]


def test_enter_after_the_link_was_opened_polls_at_once(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    open_link: Callable[..., None],
    new: Person,
) -> None:
    """The account is there right after Enter, however long the interval between polls is."""
    homeserver = connect(email_server.base_url)
    prompts = answer(open_link)
    request = homeserver.register(new.name, new.password)

    account = request.authenticate(console.handlers(homeserver), inputs={"email_address": new.address}, **PATIENT)

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    assert prompts == [OPEN_LINK]
    assert capsys.readouterr().out.splitlines() == ["Step 1 of 1: email address"]


def test_r_sends_the_mail_again(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    mails: MailServer,
    open_link: Callable[..., None],
    new: Person,
) -> None:
    """r brings a second mail and the same prompt; the link in that mail makes the account."""
    homeserver = connect(email_server.base_url)
    prompts = answer("r", lambda: open_link(2))
    request = homeserver.register(new.name, new.password)

    account = request.authenticate(console.handlers(homeserver), inputs={"email_address": new.address}, **PATIENT)

    assert owner(email_server, account) == new.user_id
    assert prompts == [OPEN_LINK, OPEN_LINK]
    assert mails.count(new.address) == 2


def test_enter_before_the_link_was_opened_leaves_the_loop_polling(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    open_link: Callable[..., None],
    new: Person,
) -> None:
    """Enter pressed too early harms nothing: one line shows what is awaited, and a poll finds the link opened later."""
    homeserver = connect(email_server.base_url)
    prompts = answer("")
    request = homeserver.register(new.name, new.password)
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
        send, console.handlers(homeserver), **by_mail(request, new.address), poll_interval=0.1, poll_timeout=20.0
    ).attempt_auth()

    assert owner(email_server, account) == new.user_id
    assert polls == ["M_UNAUTHORIZED"]
    assert prompts == [OPEN_LINK]
    step, wait, end = capsys.readouterr().out.split("\n")
    assert (step, end) == ("Step 1 of 1: email address", "")
    assert wait.split("\r")[2] == "email address, 20 s left: waiting for the link in the mail to be opened"


def test_address_is_asked_for_again_with_the_servers_reason(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    open_link: Callable[..., None],
    new: Person,
) -> None:
    """Without an address among the inputs the person gives one, and another if the server refuses it."""
    homeserver = connect(email_server.base_url)
    prompts = answer("no address at all", new.address, open_link)

    account = homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver), **PATIENT)

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    assert prompts == ["Email address: ", "Email address: ", OPEN_LINK]
    assert capsys.readouterr().out.splitlines() == [
        "Step 1 of 1: email address",
        "The server said: Unable to parse email address",
    ]


def test_phone_number_and_a_wrong_code_first(
    phone_server: Synapse,
    connect: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    texts: SmsGateway,
    new: Person,
) -> None:
    """The person gives the number once, codes until one is right, nothing by Enter alone; "gb" will do for "GB"."""
    homeserver = connect(phone_server.base_url)
    prompts = answer("gb", new.number, "", "no-such-code", lambda: texts.wait(new.international))

    account = homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver), **PATIENT)

    assert owner(phone_server, account) == new.user_id
    assert addresses_of(phone_server, new.user_id) == {("msisdn", new.international)}
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
    connect: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    texts: SmsGateway,
    new: Person,
) -> None:
    """Whoever has no code, or a wrong one, has another one sent, and that makes the account."""
    homeserver = connect(phone_server.base_url)
    prompts = answer("GB", new.number, "no-such-code", "r", lambda: texts.wait(new.international, 2))

    homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver), **PATIENT)

    assert addresses_of(phone_server, new.user_id) == {("msisdn", new.international)}
    assert texts.count(new.international) == 2
    assert prompts[2:] == [CODE, CODE, CODE]
    assert capsys.readouterr().out.splitlines()[-1] == "Sent again."


def test_mail_that_the_server_does_not_send_again(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    open_link: Callable[..., None],
    new: Person,
) -> None:
    """The reason is shown, and the mail that came before is still good."""
    homeserver = connect(email_server.base_url)
    request = homeserver.register(new.name, new.password)
    prompts = answer("r", open_link)

    def request_token(email: str, secret: str, send_attempt: int, session: str | None) -> Mapping[str, Any]:
        if send_attempt > 1:
            raise MatrixError(400, {"errcode": "M_LIMIT_EXCEEDED", "error": "No more today"})
        return request.request_email_token(email, secret, send_attempt, session)

    account = request.authenticate(
        console.handlers(homeserver),
        inputs={"email_address": new.address},
        request_email_token=request_token,
        **PATIENT,
    )

    assert owner(email_server, account) == new.user_id
    assert prompts == [OPEN_LINK, OPEN_LINK]
    assert capsys.readouterr().out.splitlines() == ["Step 1 of 1: email address", "The server said: No more today"]
