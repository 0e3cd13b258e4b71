"""console.handlers for email addresses and phone numbers: a person who is sent a mail or an SMS and deals with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.accounts import Connect, Person, addresses_of, by_mail, owner
from support.threads import Threads
from throwaway_services import MailServer, SmsGateway
from throwaway_synapse import Synapse

from interactive_auth import AuthTimeoutError, Homeserver, InteractiveAuth, MatrixError, console

#: For those who wait for nothing but an answer of theirs.
PATIENT: Any = {"poll_interval": 600.0, "poll_timeout": 20.0}
POLLING: Any = {"poll_interval": 0.1, "poll_timeout": 20.0}
COME_BACK = "To send it again, or to change the {}, interrupt this cell and run it again."
CODE = "Code in the SMS: "
SMS_SENT = "SMS sent to {} (GB)."
CHOICES = "r: send it again, c: change the number"

Answer = Callable[..., list[str]]


def looked_once(homeserver: Homeserver, new: Person, address: str) -> InteractiveAuth[Any]:
    """Begin a sign-up in a notebook whose cell ended while the link was not opened yet."""
    request = homeserver.register(new.name, new.password)
    auth = InteractiveAuth(
        request, console.handlers(homeserver), **by_mail(request, address), poll_interval=0.1, poll_timeout=0.0
    )
    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()
    return auth


@pytest.fixture
def open_soon(open_link: Callable[..., None], threads: Threads) -> Callable[..., None]:
    """Open the link in a mail while the attempt waits for it."""
    return lambda number=1: threads.start(open_link, number)


def test_the_link_is_opened_and_nobody_is_asked(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    said: Callable[[], list[str]],
    open_soon: Callable[..., None],
    new: Person,
) -> None:
    """The person reads where the mail went, opens the link, and the polls find it: no key is needed."""
    homeserver = connect(email_server.base_url)
    prompts = answer()
    request = homeserver.register(new.name, new.password)
    open_soon()

    account = request.authenticate(console.handlers(homeserver), inputs={"email_address": new.address}, **POLLING)

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    assert prompts == []
    assert said() == [
        "Step 1 of 1: email address",
        f"Mail sent to {new.address}.",
        "Open the link in the mail.",
        COME_BACK.format("address"),
    ]


def test_who_comes_back_may_have_the_mail_sent_again(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    mails: MailServer,
    open_soon: Callable[..., None],
    new: Person,
) -> None:
    """In a notebook a cell that is run again asks what to do: R brings a second mail, whose link makes the account."""
    homeserver = connect(email_server.base_url)
    prompts = answer("R")
    auth = looked_once(homeserver, new, new.address)

    auth.poll_timeout = 20.0
    open_soon(2)
    account = auth.attempt_auth()

    assert owner(email_server, account) == new.user_id
    assert prompts == ["What now? "]
    assert mails.count(new.address) == 2


def test_who_comes_back_may_change_the_address(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    said: Callable[[], list[str]],
    open_soon: Callable[..., None],
    new: Person,
) -> None:
    """A mistyped address is changed, whatever the server says of the first try, and the mail goes to the new one."""
    homeserver = connect(email_server.base_url)
    prompts = answer("c", "no address at all", new.address)
    auth = looked_once(homeserver, new, "mistyped@example.org")
    said()

    auth.poll_timeout = 20.0
    open_soon()
    account = auth.attempt_auth()

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    assert prompts == ["What now? ", "New address (Enter keeps it): ", "New address (Enter keeps it): "]
    assert said() == [
        "Step 1 of 1: email address",
        "Mail sent to mistyped@example.org.",
        "Open the link in the mail.",
        "r: send it again, c: change the address, Enter: go on waiting",
        "Nothing was sent to that address. The server said: Unable to parse email address",
        f"Mail sent to {new.address}.",
    ]


def test_address_is_asked_for_again_with_the_servers_reason(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    said: Callable[[], list[str]],
    open_soon: Callable[..., None],
    new: Person,
) -> None:
    """Without an address among the inputs the person gives one, and another if the server refuses it."""
    homeserver = connect(email_server.base_url)
    prompts = answer("no address at all", new.address)
    open_soon()

    account = homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver), **POLLING)

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    assert prompts == ["Email address: ", "Email address: "]
    assert said()[:3] == [
        "Step 1 of 1: email address",
        "Nothing was sent to that address. The server said: Unable to parse email address",
        f"Mail sent to {new.address}.",
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
        "Country, two letters: ",
        "Phone number: ",
        CODE,
        CODE,
        CODE,
    ]
    assert capsys.readouterr().out.splitlines() == [
        "Step 1 of 1: phone number",
        *(sent := [SMS_SENT.format(new.number), CHOICES]),
        CHOICES,
        "That code is wrong. The server said: Unable to get validated threepid",
        "Step 1 of 1 again: phone number (2 tries left)",
        *sent,
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
    assert capsys.readouterr().out.splitlines()[-2:] == [f"Sent again to {new.number} (GB).", CHOICES]


def test_c_at_the_code_changes_the_number(
    phone_server: Synapse, connect: Connect, answer: Answer, texts: SmsGateway, new: Person
) -> None:
    """A mistyped number is changed where its code is asked for; c is never taken for a code."""
    homeserver = connect(phone_server.base_url)
    prompts = answer("GB", "07700900999", "c", "", "C", new.number, "gb", lambda: texts.wait(new.international))

    homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver), **PATIENT)

    assert addresses_of(phone_server, new.user_id) == {("msisdn", new.international)}
    keep, country = "New number (Enter keeps it): ", "Country, two letters: "
    assert prompts[2:] == [CODE, keep, CODE, keep, country, CODE]


def test_mail_that_the_server_does_not_send_again(
    email_server: Synapse,
    connect: Connect,
    answer: Answer,
    said: Callable[[], list[str]],
    open_soon: Callable[..., None],
    new: Person,
) -> None:
    """The reason is shown, and the mail that came before is still good."""
    homeserver = connect(email_server.base_url)
    request = homeserver.register(new.name, new.password)
    answer("r")

    def request_token(email: str, secret: str, send_attempt: int, session: str | None) -> Mapping[str, Any]:
        if send_attempt > 1:
            raise MatrixError(400, {"errcode": "M_LIMIT_EXCEEDED", "error": "No more today"})
        return request.request_email_token(email, secret, send_attempt, session)

    auth = InteractiveAuth(
        request,
        console.handlers(homeserver),
        inputs={"email_address": new.address},
        request_email_token=request_token,
        poll_interval=0.1,
        poll_timeout=0.0,
    )
    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()
    auth.poll_timeout = 20.0
    open_soon()

    assert owner(email_server, auth.attempt_auth()) == new.user_id
    assert "It was not sent again; the one before is still good. The server said: No more today" in said()
