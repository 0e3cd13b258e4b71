"""A sign-up on the web: each stage is done by another process, and nothing is kept between them but the state."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.accounts import Person, addresses_of, new_token, owner, uses_of
from support.programs import Start
from throwaway_services import MailServer
from throwaway_synapse import TERMS as TERMS_CONFIG
from throwaway_synapse import TOKEN as TOKEN_CONFIG
from throwaway_synapse import Synapse, email, throwaway_synapse

PAGE = Path(__file__).with_name("page_of_a_site.py")
TOKEN, TERMS, EMAIL = "m.login.registration_token", "m.login.terms", "m.login.email.identity"
TERMS_PAGE = {"page": TERMS, "attempt": 1, "error": None}
NOT_YET = {"page": "not yet", "stage": EMAIL}
#: What Synapse says of a wrong token.
WORDS = "Invalid registration token"


class Site:
    """A site on which somebody signs up, page by page.

    Attributes:
        token: a registration token that is good for one session.
    """

    def __init__(self, synapse: Synapse, new: Person, folder: Path, start_program: Start) -> None:
        self.token = new_token(synapse)
        self._synapse, self._new, self._folder, self._start = synapse, new, folder, start_program

    def send(self, kill: str = "", **form: Any) -> dict[str, Any]:
        """Send a form, and return the page that is shown; {} if its process was killed, which it has to be if told."""
        settings = {
            "base_url": self._synapse.base_url,
            "username": self._new.name,
            "folder": str(self._folder),
            "form": form,
            "kill": kill,
        }
        process = self._start(PAGE, json.dumps(settings))
        shown, errors = process.communicate()
        assert (process.returncode, errors) == (-signal.SIGKILL if kill else 0, "")
        return json.loads(shown) if shown else {}

    def _log(self, key: str) -> list[dict[str, Any]]:
        lines = map(json.loads, (self._folder / "log").read_text().splitlines())
        return [line for line in lines if key in line]

    def sessions(self) -> list[str | None]:
        """Return the sessions that the requests have named, each once, in their order."""
        return list(dict.fromkeys(line["session"] for line in self._log("session")))

    def tokens(self) -> list[str]:
        """Return the tokens that were sent."""
        return [line["token"] for line in self._log("token") if line["token"] is not None]

    def count(self, sent: str) -> int:
        """Return how many requests of a kind were sent."""
        return sum(line["sent"] == sent for line in self._log("sent"))

    def told(self) -> int:
        """Return how often the person was told of a mail."""
        return len(self._log("told"))

    def check_account(self, page: dict[str, Any], address: str) -> None:
        """See on the homeserver that the sign-up has become one account, with the address and one use of the token."""
        assert page["page"] == "welcome"
        assert owner(self._synapse, page["account"]) == self._new.user_id
        assert addresses_of(self._synapse, self._new.user_id) == {("email", address)}
        assert uses_of(self._synapse, self.token) == (1, 0)


@pytest.fixture(scope="module")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """A homeserver that wants a token, its terms accepted, and an email address."""
    with throwaway_synapse(TOKEN_CONFIG, TERMS_CONFIG, email(mails.port)) as running:
        yield running


@pytest.fixture
def site(synapse: Synapse, new: Person, tmp_path: Path, start_program: Start) -> Site:
    return Site(synapse, new, tmp_path, start_program)


@pytest.fixture
def open_mail(mails: MailServer) -> Callable[[str], None]:
    """Open the link in the last mail to an address."""
    return mails.open_link


def test_a_page_for_each_stage(site: Site, mails: MailServer, new: Person, open_mail: Callable[[str], None]) -> None:
    """One session and one mail in all; the words about a wrong token stand on the next page, too."""
    asked = {"page": TOKEN, "attempt": 1, "error": None}
    asked_again = {"page": TOKEN, "attempt": 2, "error": WORDS}

    assert site.send(address=new.address) == asked
    assert site.send(token="wrong") == asked_again
    assert site.send() == asked_again
    assert site.send(token=site.token) == TERMS_PAGE
    assert site.send() == TERMS_PAGE
    assert site.send(agreed=True) == NOT_YET
    assert site.send() == NOT_YET
    open_mail(new.address)
    page = site.send()

    site.check_account(page, new.address)
    assert site.sessions()[0] is None
    assert len(site.sessions()) == 2
    assert site.count("None") == 1
    assert site.tokens() == ["wrong", site.token]
    # One when the wait began, one on each page after it.
    assert site.count(EMAIL) == 3
    assert (site.count("mail"), mails.count(new.address), site.told()) == (1, 1, 1)


def test_a_wrong_constant_is_sent_once(site: Site, new: Person, open_mail: Callable[[str], None]) -> None:
    """A site's own token that is wrong is not sent again by later pages, which all say why; a corrected one is sent."""
    first = site.send(address=new.address, constant="wrong")
    later = [site.send(constant="wrong") for _ in range(3)]
    corrected = site.send(constant=site.token)

    for page in (first, *later):
        assert (page["page"], page["stage"]) == ("wrong", TOKEN)
        assert WORDS in page["error"]
    assert corrected == TERMS_PAGE
    assert site.tokens() == ["wrong", site.token]
    assert site.send(agreed=True) == NOT_YET
    open_mail(new.address)
    site.check_account(site.send(), new.address)
    assert len(site.sessions()) == 2


def test_a_corrected_address_gets_a_mail(
    site: Site, mails: MailServer, new: Person, open_mail: Callable[[str], None]
) -> None:
    """An address that was mistyped is corrected on any page: the mail goes there, and the person is told of each."""
    right = Person().address
    site.send(address=new.address)
    site.send(token=site.token)
    assert site.send(agreed=True) == NOT_YET
    assert site.told() == 1

    assert site.send(address=right) == NOT_YET
    assert site.send() == NOT_YET
    open_mail(right)
    page = site.send()

    site.check_account(page, right)
    assert (mails.count(new.address), mails.count(right), site.told()) == (1, 1, 2)
    assert len(site.sessions()) == 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_each_page_is_killed_once(
    site: Site, mails: MailServer, new: Person, open_mail: Callable[[str], None], moment: str
) -> None:
    """Killed between saving and answer, or between answer and saving, a form that is sent again goes on.

    Only an answer that opened a session and was never saved costs anything: that session, in which nothing was done.
    """
    pages: list[tuple[list[str], dict[str, Any], str]] = [
        (["None", "mail"], {"address": new.address}, TOKEN),
        ([TOKEN], {"token": site.token}, TERMS),
        ([TERMS], {"agreed": True}, "not yet"),
        ([EMAIL], {}, "not yet"),
    ]

    for kills, form, shown in pages:
        for kill in kills:
            assert site.send(kill=f"{moment} {kill}", **form) == {}
        assert site.send(**form)["page"] == shown
    open_mail(new.address)
    assert site.send(kill=f"{moment} {EMAIL}") == {}
    page = site.send()

    site.check_account(page, new.address)
    assert site.count("None") == 2
    assert len(site.sessions()) == 2
    assert mails.count(new.address) == 1
    assert site.told() == 1
