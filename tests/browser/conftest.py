"""A real browser, somebody who uses it, and homeservers whose pages are seen in it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from support.sso import oidc_provider
from throwaway_services import captcha_verifier
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse

from interactive_auth import (
    AuthCancelledError,
    AuthTimeoutError,
    Homeserver,
    InteractiveAuth,
    Stage,
    StartAuthStage,
    browser,
)

from .site import Begin, Pages, Site, ends_within, enter, serving

#: Seconds; nothing here takes nearly as long.
PATIENCE = 20.0
#: Seconds for which the pages wait for a next stage here, where one follows at once.
GRACE = 1.0


Step = Callable[[Chrome], Any]


class Person:
    """Somebody at the browser, who does what a page asks for while the program waits.

    Attributes:
        pages: the addresses of the pages that the program has opened, in their order.
        shown: the lines that the program has shown.
        done: what the steps that were gone through have returned, or are about to.
    """

    def __init__(self, chromium: Chrome, pool: ThreadPoolExecutor) -> None:
        self.chromium = chromium
        self.pages: list[str] = []
        self.shown: list[str] = []
        self.done: list[Future[Any]] = []
        self._pool = pool

    def callback(self, homeserver: Homeserver, steps: Mapping[str, Step]) -> StartAuthStage:
        """Make the callback that opens a stage's page before this person, who then takes the stage's step."""

        def start(stage: Stage) -> None:
            opened: list[str] = []
            browser.complete(stage, homeserver, open_url=opened.append, show=self.shown.append)
            self.pages += opened
            self.done.append(self._pool.submit(self._go_through, opened, steps[stage.type]))

        return start

    def _go_through(self, opened: list[str], step: Step) -> Any:
        for url in opened:
            self.chromium.get(url)
            self.chromium.execute_script(
                "addEventListener('message', event => { window.heard = performance.timeOrigin + event.timeStamp; })"
            )
        page = self.chromium.current_window_handle
        self.until(lambda driver: driver.title.startswith("To do: ") and len(driver.window_handles) == 1)
        self.chromium.find_element(By.ID, "open").click()
        self.until(lambda driver: len(driver.window_handles) == 2)
        self.chromium.switch_to.window(next(w for w in self.chromium.window_handles if w != page))
        try:
            return step(self.chromium)
        finally:
            self.chromium.switch_to.window(page)

    def heard(self) -> float:
        """Return when the last page's word came, which the homeserver's page gives while it is loading."""
        milliseconds: float = self.chromium.execute_script("return window.heard")
        return milliseconds / 1000

    def until(self, condition: Callable[[Chrome], Any]) -> Any:
        """Wait until something holds in the browser."""
        return WebDriverWait(self.chromium, PATIENCE, poll_frequency=0.02).until(condition)


@pytest.fixture
def person(chromium: Chrome) -> Iterator[Person]:
    """Sit down before the browser; windows left open are closed afterwards."""
    with ThreadPoolExecutor(1) as pool:
        yield Person(chromium, pool)
    first, *others = chromium.window_handles
    for window in others:
        chromium.switch_to.window(window)
        chromium.close()
    chromium.switch_to.window(first)
    chromium.get("about:blank")


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """Run a homeserver where one registers by captcha, terms and token, and signs on by OpenID Connect."""
    with (
        captcha_verifier("i-am-no-robot") as captcha,
        oidc_provider() as oidc,
        throwaway_synapse(TOKEN, TERMS, captcha, oidc) as running,
    ):
        running.add_registration_token("the-right-token")
        yield running


@pytest.fixture
def homeserver(synapse: Synapse) -> Iterator[Homeserver]:
    """Make a client without an account."""
    with Homeserver(synapse.base_url) as homeserver:
        yield homeserver


@pytest.fixture
def name() -> str:
    """A user name that nobody has."""
    return f"user{secrets.token_hex(4)}"


@pytest.fixture
def new_site() -> Iterator[Callable[[], Site]]:
    """Run sites, each an origin of its own."""
    running: list[ThreadingHTTPServer] = []

    def run() -> Site:
        running.append(ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler))
        site = Site(running[-1])
        running[-1].RequestHandlerClass = partial(Pages, site)  # type: ignore[assignment]  # called like a class
        threading.Thread(target=running[-1].serve_forever, args=(0.02,)).start()
        return site

    yield run
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    """Run the homeserver."""
    return new_site()


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start attempts that wait on their page; gives each one with its page's address and its thread.

    With ``at_the_door`` the address is that which was opened, and which leads on to the page's once.
    """
    begun: list[tuple[InteractiveAuth[Any], threading.Thread]] = []

    def start(
        site: Site, *, at_the_door: bool = False, **options: Any
    ) -> tuple[InteractiveAuth[Any], str, threading.Thread]:
        opened: list[str] = []
        waits = threading.Event()

        def open_url(url: str) -> None:
            opened.append(url)
            waits.set()

        auth = InteractiveAuth(
            site,
            lambda stage: browser.complete(stage, site, open_url=open_url, show=lambda line: None),
            **{"poll_interval": 600.0, "poll_timeout": 60.0, **options},
        )

        def run() -> None:
            with suppress(AuthCancelledError, AuthTimeoutError):
                auth.attempt_auth()

        thread = threading.Thread(target=run)
        thread.start()
        begun.append((auth, thread))
        assert waits.wait(10)
        return auth, opened[0] if at_the_door else enter(opened[0]), thread

    yield start
    for auth, thread in begun:
        auth.cancel()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a thread of a page's server behind for longer than the page waits for a next stage."""
    monkeypatch.setattr(browser, "_GRACE", GRACE)
    yield
    assert ends_within(GRACE + 5, lambda: serving() == []), serving()
    assert browser._pages == {}
