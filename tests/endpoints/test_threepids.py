"""POST /account/3pid/add: an address on the account, once it is validated and the password was given."""

from __future__ import annotations

import pytest
import requests
from support.accounts import Account, give_address
from throwaway_services import MailServer, SmsGateway

from interactive_auth import InteractiveAuth, MatrixError, StartAuthStage

from .guesses import Guesses

SECRET = "a-secret-of-the-clients-own-making"


@pytest.fixture
def address(account: Account) -> str:
    """Make up an email address that no other account has."""
    return f"{account.name}@example.org"


def test_an_email_address(
    account: Account,
    address: str,
    mails: MailServer,
    by_password: dict[str, StartAuthStage],
    guesses: Guesses,
) -> None:
    """An address whose link was opened is on the account afterwards."""
    sid = account.homeserver.request_email_token("account/3pid", address, SECRET)["sid"]
    requests.get(mails.wait_for_link(address), timeout=30).raise_for_status()

    response = account.homeserver.add_threepid(SECRET, sid).authenticate(by_password)

    assert response == {}
    assert guesses.all_were_needed()
    assert account.threepids() == {("email", address)}


def test_an_email_address_that_is_validated_too_late(
    account: Account,
    address: str,
    mails: MailServer,
    by_password: dict[str, StartAuthStage],
    guesses: Guesses,
) -> None:
    """Before the link is opened the server refuses; afterwards the same session ends well, without a word of blame."""
    sid = account.homeserver.request_email_token("account/3pid", address, SECRET)["sid"]
    auth = InteractiveAuth(account.homeserver.add_threepid(SECRET, sid), by_password)
    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    session, asked = auth.get_session_id(), len(guesses.stages)
    assert guesses.all_were_needed()
    assert (caught.value.http_status, caught.value.errcode) == (400, "M_THREEPID_AUTH_FAILED")
    assert account.threepids() == set()

    requests.get(mails.wait_for_link(address), timeout=30).raise_for_status()
    response = auth.attempt_auth()

    assert response == {}
    assert auth.get_session_id() == session
    assert [stage.error for stage in guesses.stages[asked:]] == [None] * (len(guesses.stages) - asked)
    assert account.threepids() == {("email", address)}


def test_the_mail_once_more(account: Account, address: str, mails: MailServer) -> None:
    """The same attempt sends no second mail, a higher one does, and both belong to the same sid."""
    send = account.homeserver.request_email_token

    sids = [send("account/3pid", address, SECRET, attempt)["sid"] for attempt in (1, 1, 2)]
    first, second = mails.wait_for_link(address, 1), mails.wait_for_link(address, 2)

    assert len(set(sids)) == 1
    assert first.partition("?")[0] == second.partition("?")[0]
    assert mails.count(address) == 2


def test_where_the_link_leads(account: Account, address: str, mails: MailServer) -> None:
    """The link in the mail leads the browser to ``next_link`` in the end."""
    account.homeserver.request_email_token("account/3pid", address, SECRET, next_link="https://app.example/done")

    answer = requests.get(mails.wait_for_link(address), allow_redirects=False, timeout=30)

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("https://app.example/done")


def test_an_address_that_is_in_use(account: Account, address: str, mails: MailServer) -> None:
    """An address that is on an account already is refused, and no mail is sent there."""
    give_address(account.synapse, account.user_id, address)

    with pytest.raises(MatrixError) as caught:
        account.homeserver.request_email_token("account/3pid", address, SECRET)

    assert caught.value.errcode == "M_THREEPID_IN_USE"
    assert mails.count(address) == 0


def test_a_phone_number(account: Account, texts: SmsGateway, knows_password: dict[str, StartAuthStage]) -> None:
    """A number is on the account once the right code, and not a wrong one, was posted where the server said."""
    number = f"447700{account.name.removeprefix('user'):0>6}"
    requested = account.homeserver.request_msisdn_token("account/3pid", "GB", f"0{number[2:]}", SECRET)
    request = account.homeserver.add_threepid(SECRET, requested["sid"])
    submit = account.homeserver.submit_token

    assert not submit(requested["submit_url"], requested["sid"], SECRET, "000000")
    with pytest.raises(MatrixError, match="M_THREEPID_AUTH_FAILED"):
        request.authenticate(knows_password)
    assert submit(requested["submit_url"], requested["sid"], SECRET, texts.wait(number))
    request.authenticate(knows_password)

    assert account.threepids() == {("msisdn", number)}
