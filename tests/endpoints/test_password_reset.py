"""POST /account/password without an access token: a forgotten password is reset by a mailed link."""

from __future__ import annotations

import re

import pytest
import requests
from support.accounts import Account, give_address
from throwaway_services import MailServer

from interactive_auth import AuthTimeoutError, Homeserver, InteractiveAuth, MatrixError, Stage, handlers

NEW_PASSWORD = "an entirely new one"


@pytest.fixture
def address(account: Account) -> str:
    """Put an email address on the account."""
    address = f"{account.name}@example.org"
    give_address(account.synapse, account.user_id, address)
    return address


def open_link(link: str) -> dict[str, str]:
    """Open the link of a password reset, and return the fields of the form that it shows."""
    page = requests.get(link, timeout=30)
    page.raise_for_status()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    assert set(fields) == {"sid", "token", "client_secret"}
    return fields


def confirm(link: str) -> None:
    """Open the link of a password reset, and press the button on the page."""
    fields = open_link(link)
    requests.post(link.partition("?")[0], data=fields, timeout=30).raise_for_status()


def test_the_password_is_reset(account: Account, address: str, anonymous: Homeserver, mails: MailServer) -> None:
    """Once the mail's form is confirmed the new password logs in, the old one and the old token do not."""
    told: list[Stage] = []

    def notify(stage: Stage) -> None:
        told.append(stage)
        confirm(mails.wait_for_link(address))

    response = anonymous.change_password(NEW_PASSWORD).authenticate(
        {"m.login.email.identity": handlers.email(notify)},
        inputs={"email_address": address},
        poll_interval=0.1,
        poll_timeout=20.0,
    )

    assert response == {}
    assert [(stage.attempt, stage.error) for stage in told] == [(1, None)]
    assert account.can_log_in(NEW_PASSWORD)
    assert not account.can_log_in()
    assert not account.is_valid(account.homeserver.access_token)


def test_an_opened_link_is_not_enough(account: Account, address: str, anonymous: Homeserver, mails: MailServer) -> None:
    """A link that is opened but not confirmed leaves the stage pending; a later attempt goes on with that mail."""
    request = anonymous.change_password(NEW_PASSWORD)
    told: list[Stage] = []
    auth = InteractiveAuth(
        request,
        {"m.login.email.identity": handlers.email(told.append)},
        inputs={"email_address": address},
        poll_interval=0.1,
        poll_timeout=0.35,
    )
    with pytest.raises(AuthTimeoutError) as caught:
        auth.attempt_auth()
    session, sid = auth.get_session_id(), auth.get_email_sid()
    fields = open_link(mails.wait_for_link(address))
    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()
    confirm(mails.wait_for_link(address))

    response = auth.attempt_auth()

    assert isinstance(caught.value.__cause__, MatrixError)
    assert caught.value.__cause__.errcode == "M_UNAUTHORIZED"
    assert response == {}
    assert (auth.get_session_id(), auth.get_email_sid()) == (session, sid)
    assert fields["sid"] == sid
    assert {(stage.attempt, stage.error) for stage in told} == {(1, None)}
    assert mails.count(address) == 1
    assert account.can_log_in(NEW_PASSWORD)


def test_an_unknown_address(account: Account, anonymous: Homeserver, mails: MailServer) -> None:
    """An address that is on no account is refused before any callback is called, and nothing is mailed."""
    asked: list[Stage] = []

    with pytest.raises(MatrixError) as caught:
        anonymous.change_password(NEW_PASSWORD).authenticate(
            {"m.login.email.identity": asked.append}, inputs={"email_address": "nobody@example.org"}
        )

    assert (caught.value.http_status, caught.value.errcode) == (400, "M_THREEPID_NOT_FOUND")
    assert asked == []
    assert mails.count("nobody@example.org") == 0
    assert account.can_log_in()


def test_a_mail_that_is_sent_again(account: Account, address: str, anonymous: Homeserver, mails: MailServer) -> None:
    """A mail asked for once more arrives, and the link in it completes the stage."""
    request = anonymous.change_password(NEW_PASSWORD)

    def notify(stage: Stage) -> None:
        mails.wait_for_link(address)
        auth.request_email_token()
        confirm(mails.wait_for_link(address, 2))

    auth = InteractiveAuth(
        request,
        {"m.login.email.identity": handlers.email(notify)},
        inputs={"email_address": address},
        poll_interval=0.1,
        poll_timeout=20.0,
    )

    assert auth.attempt_auth() == {}
    assert mails.count(address) == 2
    assert account.can_log_in(NEW_PASSWORD)
