"""The pages on which a person does a stage in a browser, walked as a browser walks them, while the loop polls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from support.accounts import WAITING, Connect, Person, Watched, account_of, new_token, owner, uses_of
from throwaway_synapse import Synapse

from interactive_auth import InteractiveAuth, MatrixError, console, handlers


class Page(HTMLParser):
    """A page that was loaded.

    Attributes:
        url: where it is, after what has led there.
        title: its title.
        method: how its form is sent.
        action: where its form is sent, None if there is no form.
        fields: the form's fields that have a name.
        links: where its links lead.
        error: what it says in its paragraph for errors.
    """

    def __init__(self, url: str, text: str) -> None:
        super().__init__()
        self.title = self.error = self.method = ""
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.links: list[str] = []
        self.url = url
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms and their fields."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.method, self.action = given["method"], urljoin(self.url, given["action"])
        elif tag == "input" and "name" in given:
            self.fields[given["name"]] = given.get("value", "")
        elif tag == "a":
            if "href" in given:  # our own page has one that its script fills in
                self.links.append(urljoin(self.url, given["href"]))
        elif tag == "title" or given.get("class") == "error":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave the title or the paragraph for errors."""
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        """Note the text of the title and of the paragraph for errors."""
        if "title" in self._open:
            self.title += data
        elif self._open:
            self.error += data


class Browser:
    """A browser with one tab."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.page = Page("", "")

    def open(self, url: str) -> None:
        """Load a page."""
        self._show(self._session.get(url, timeout=30))

    def submit(self, **answers: str) -> None:
        """Fill in the page's form, and send it."""
        assert self.page.action is not None, "the page has no form"
        fields = {**self.page.fields, **{name.replace("_", "-"): value for name, value in answers.items()}}
        self._show(self._session.request(self.page.method, self.page.action, data=fields, timeout=30))

    def _show(self, response: requests.Response) -> None:
        response.raise_for_status()
        assert response.headers["Content-Type"].startswith("text/html")
        self.page = Page(response.url, response.text)


@pytest.fixture
def browser(web: requests.Session) -> Browser:
    return Browser(web)


def test_recaptcha_page(
    captcha_server: Synapse, captcha_response: str, connect: Connect, browser: Browser, watched: Watched, new: Person
) -> None:
    """A captcha that is solved on its page makes the account, without an auth dict of the callback's."""
    homeserver = connect(captcha_server.base_url)

    def visit(url: str) -> None:
        browser.open(url)
        browser.submit(g_recaptcha_response=captcha_response)

    callbacks = {"m.login.recaptcha": handlers.fallback(homeserver, visit)}

    account = homeserver.register(new.name, new.password).authenticate(watched(callbacks), **WAITING)

    assert owner(captcha_server, account) == new.user_id
    assert browser.page.title == "Success!"
    assert len(watched.seen) == 1


def test_recaptcha_handler_leaves_the_solving_to_the_page(
    captcha_server: Synapse, captcha_response: str, connect: Connect, browser: Browser, new: Person
) -> None:
    """handlers.recaptcha whose function returns no response waits for the page whose address it has passed on."""
    homeserver = connect(captcha_server.base_url)

    def solve(site_key: str, fallback_url: str) -> None:
        browser.open(fallback_url)
        browser.submit(g_recaptcha_response=captcha_response)

    callbacks = {"m.login.recaptcha": handlers.recaptcha(solve, homeserver)}

    account = homeserver.register(new.name, new.password).authenticate(callbacks, **WAITING)

    assert owner(captcha_server, account) == new.user_id


def test_terms_page(terms_server: Synapse, connect: Connect, browser: Browser, new: Person) -> None:
    """Terms that are agreed to on their page make the account, and are recorded there."""
    homeserver = connect(terms_server.base_url)

    def visit(url: str) -> None:
        browser.open(url)
        browser.submit()

    callbacks = {"m.login.terms": handlers.fallback(homeserver, visit)}

    account = homeserver.register(new.name, new.password).authenticate(callbacks, **WAITING)

    assert owner(terms_server, account) == new.user_id
    assert account_of(terms_server, new.user_id)["consent_version"] == "1.0"
    assert browser.page.title == "Success!"


def test_registration_token_page_with_a_wrong_token_first(
    token_server: Synapse, connect: Connect, browser: Browser, watched: Watched, new: Person
) -> None:
    """Polls while the page still says that the token is wrong bother nobody; the right one makes the account."""
    homeserver = connect(token_server.base_url)
    request = homeserver.register(new.name, new.password)
    token = new_token(token_server)
    polls: list[str] = []

    def send(auth: dict[str, Any] | None) -> Mapping[str, Any]:
        try:
            return request(auth)
        except MatrixError:
            if auth is not None and "type" not in auth and browser.page.error:
                polls.append(browser.page.error)
                browser.submit(token=token)
            raise

    def visit(url: str) -> None:
        browser.open(url)
        browser.submit(token="no-such-token")

    callbacks = {"m.login.registration_token": handlers.fallback(homeserver, visit)}

    account = InteractiveAuth(send, watched(callbacks), **WAITING).attempt_auth()

    assert owner(token_server, account) == new.user_id
    assert uses_of(token_server, token) == (1, 0)
    assert polls == ["Error: Invalid registration token"]
    assert browser.page.title == "Success!"
    assert len(watched.seen) == 1


def test_console_sends_the_person_to_the_captchas_page(
    captcha_server: Synapse,
    captcha_response: str,
    connect: Connect,
    browser: Browser,
    web: requests.Session,
    answer: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    new: Person,
) -> None:
    """The page's address stands on a line of its own, and the page of this machine's own leads there, and says when."""
    homeserver = connect(captcha_server.base_url)
    prompts = answer()
    visited: list[str] = []

    def solve(url: str) -> None:
        browser.open(url)
        own = browser.page.url
        visited.extend(browser.page.links)
        browser.open(visited[0])
        browser.submit(g_recaptcha_response=captcha_response)
        # What the page's script does at the word of the homeserver's page.
        origin = "http://" + urlsplit(own).netloc
        web.post(own, headers={"Origin": origin}, timeout=30).raise_for_status()

    monkeypatch.setattr("webbrowser.open", solve)
    callbacks = console.handlers(homeserver, open_browser=True)

    # Until the next poll that is not asked for the wait would be over.
    account = homeserver.register(new.name, new.password).authenticate(
        callbacks, poll_interval=600.0, poll_timeout=20.0
    )

    assert owner(captcha_server, account) == new.user_id
    assert prompts == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["Step 1 of 1: captcha", "Open this page in a browser:", visited[0]]
