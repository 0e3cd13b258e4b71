"""One page for all stages of an attempt, and what it says in each state until it is done, or the program is gone."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.by import By

from interactive_auth import AuthCancelledError, InteractiveAuth, MatrixError, browser

from .site import Site, ask, enter, is_gone

if TYPE_CHECKING:
    from conftest import Person
    from selenium.webdriver import Chrome

FLOW = ["m.login.recaptcha", "m.login.terms"]
PROGRAM = """
import sys
from functools import partial
from types import SimpleNamespace
from interactive_auth import InteractiveAuth, MatrixError, browser

def send(auth):
    if auth is not None and sys.argv[2] == "done":
        return "done"
    raise MatrixError(401, {"flows": [{"stages": ["m.login.sso"]}], "session": "S1"})

pages = SimpleNamespace(fallback_url=lambda stage, session: sys.argv[1])
start = partial(browser.complete, homeserver=pages, open_url=partial(print, flush=True), show=len)
InteractiveAuth(send, start, poll_interval=600.0).attempt_auth()
"""


class Server:
    """A homeserver that completes a stage, or anything else, when a test has it so.

    Attributes:
        answers: what the next requests are answered: how many stages are completed, with an errcode or without.
    """

    def __init__(self, site: Site) -> None:
        self.fallback_url = site.fallback_url
        self.answers: queue.SimpleQueue[tuple[int, dict[str, str]]] = queue.SimpleQueue()

    def __call__(self, auth: Any) -> str:
        completed, error = self.answers.get(timeout=20) if auth else (0, {})
        if completed == len(FLOW):
            return "done"
        raise MatrixError(
            401, {"flows": [{"stages": FLOW}], "session": "S1", "completed": FLOW[:completed], "params": {}, **error}
        )


class Attempt:
    """An attempt in a thread of its own; every answer of the server's is fetched by a poll."""

    def __init__(self, site: Site, start: Callable[[Attempt, Any], Any] | None = None) -> None:
        self.server = Server(site)
        self.opened: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.auth = InteractiveAuth(
            self.server, lambda stage: (start or Attempt.complete)(self, stage), poll_interval=600.0
        )
        self.pool = ThreadPoolExecutor(1)
        self.result = self.pool.submit(self.auth.attempt_auth)

    def complete(self, stage: Any) -> None:
        """Do a stage on the page."""
        browser.complete(stage, self.server, open_url=self.opened.put, show=lambda text: None)
        self.begun.put(stage.type)

    def answer(self, completed: int, **error: str) -> None:
        """Have the next poll answered, and poll."""
        self.server.answers.put((completed, error))
        self.auth.poll()


@pytest.fixture
def attempts() -> Iterator[list[Attempt]]:
    """End all attempts of a test."""
    running: list[Attempt] = []
    yield running
    for attempt in running:
        attempt.auth.cancel()
        attempt.pool.shutdown()


def seen(chromium: Chrome) -> tuple[str, list[str]]:
    """Return the title, which is the heading, and the buttons and links there are to be seen."""
    live = [each.tag_name for each in chromium.find_elements(By.CSS_SELECTOR, "button, a") if each.is_displayed()]
    title = chromium.title
    assert chromium.find_element(By.TAG_NAME, "h1").text == title
    return title, live


def test_two_stages_in_one_tab(site: Site, attempts: list[Attempt], person: Person, chromium: Chrome) -> None:
    """The second stage comes to the page that is open; when all is done nothing is left but that."""
    attempts.append(attempt := Attempt(site))
    chromium.get(attempt.opened.get(timeout=10))
    assert seen(chromium) == ("To do: captcha", ["button", "a"])

    attempt.answer(1)
    person.until(lambda driver: driver.title == "To do: terms of service")
    assert seen(chromium)[1] == ["button", "a"]
    assert "m.login.terms" in (chromium.find_element(By.ID, "link").get_attribute("href") or "")
    attempt.answer(2)

    person.until(lambda driver: driver.title == "Done")
    assert seen(chromium) == ("Done", [])
    assert attempt.result.result(10) == "done"
    assert attempt.opened.empty()
    assert len(chromium.window_handles) == 1


def test_a_tab_that_was_closed(site: Site, attempts: list[Attempt], person: Person, chromium: Chrome) -> None:
    """If nobody has the page open any more, the next stage opens another one."""
    attempts.append(attempt := Attempt(site))
    first = attempt.opened.get(timeout=10)
    chromium.get(first)
    person.until(lambda driver: driver.title == "To do: captcha")
    chromium.get("about:blank")

    attempt.answer(1)
    second = attempt.opened.get(timeout=10)

    assert second != first
    chromium.get(second)
    assert seen(chromium) == ("To do: terms of service", ["button", "a"])


def test_a_page_that_nobody_has_opened(site: Site, attempts: list[Attempt]) -> None:
    """What no browser has visited is not waited for: the next stage opens another page at once."""
    attempts.append(attempt := Attempt(site))
    first = attempt.opened.get(timeout=10)

    attempt.answer(1)

    assert attempt.opened.get(timeout=10) != first


def test_a_page_that_is_about_to_go_away(site: Site, attempts: list[Attempt], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose time is over takes no stage any more, though its server has not noticed yet; there is another."""
    monkeypatch.setattr(browser, "_GRACE", 0.0)
    monkeypatch.setattr(browser, "_NOTICE", 1.0)
    attempts.append(attempt := Attempt(site))
    first = attempt.opened.get(timeout=10)

    attempt.answer(1)

    assert attempt.opened.get(timeout=10) != first


def test_a_next_stage_that_is_not_for_the_browser(
    site: Site, attempts: list[Attempt], person: Person, chromium: Chrome
) -> None:
    """Between two stages the page says so; if no other one comes to it, it is done."""
    goes_on = threading.Event()

    def start(attempt: Attempt, stage: Any) -> Any:
        if stage.type == FLOW[0]:
            return attempt.complete(stage)
        attempt.server.answers.put((2, {}))
        assert goes_on.wait(20)
        return {"type": stage.type}

    attempts.append(attempt := Attempt(site, start))
    chromium.get(attempt.opened.get(timeout=10))
    attempt.answer(1)

    person.until(lambda driver: driver.title == "One moment")
    assert seen(chromium) == ("One moment", [])
    person.until(lambda driver: driver.title == "Done")
    goes_on.set()
    assert attempt.result.result(10) == "done"


def test_a_step_that_is_asked_again(site: Site, attempts: list[Attempt], person: Person, chromium: Chrome) -> None:
    """Why a stage is asked for again is said in the server's words, with nothing in them that could be markup."""
    attempts.append(attempt := Attempt(site))
    chromium.get(attempt.opened.get(timeout=10))
    attempt.server.answers.put((0, {"errcode": "M_UNKNOWN", "error": "too <b>slow\x1b"}))

    attempt.auth.submit_auth_dict({"type": FLOW[0]})

    person.until(lambda driver: driver.find_element(By.ID, "error").text)
    assert chromium.find_element(By.ID, "error").text == "The server said: too <b>slow\\x1b"
    assert seen(chromium) == ("To do: captcha", ["button", "a"])


def test_a_program_that_gives_up(site: Site, attempts: list[Attempt], person: Person, chromium: Chrome) -> None:
    """When the wait has ended without success the page says that, and offers nothing."""
    attempts.append(attempt := Attempt(site))
    chromium.get(attempt.opened.get(timeout=10))

    attempt.auth.cancel()

    person.until(lambda driver: driver.title == "Stopped")
    assert seen(chromium) == ("Stopped", [])
    with pytest.raises(AuthCancelledError):
        attempt.result.result(10)


@pytest.mark.parametrize(("ends", "title"), [("killed", "Stopped"), ("done", "Done")])
def test_a_program_that_ends(
    site: Site, person: Person, chromium: Chrome, tmp_path: Path, ends: str, title: str
) -> None:
    """The page notices that the program is gone; one that ends right after its success says first that it is done."""
    command = [sys.executable, "-X", "dev", "-c", PROGRAM, f"{site.base_url}/page", ends]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        url = enter(program.stdout.readline().strip())
        chromium.get(url)
        person.until(lambda driver: driver.title == "To do: single sign-on")

        if ends == "killed":
            program.kill()
        else:
            ask(url, "POST", Origin=url[: url.index("/", 8)])

        person.until(lambda driver: driver.title == title)
        assert seen(chromium) == (title, [])
        assert program.stderr.read() == ""
        program.wait(10)


def test_an_attempt_within_an_except(site: Site) -> None:
    """An error that the caller was handling before is none of the stage's: the page waits for a next one."""
    opened: list[str] = []

    def send(auth: Any) -> str:
        site.is_done = auth is not None
        return site(auth)

    start = partial(browser.complete, homeserver=site, open_url=opened.append, show=lambda text: None)
    try:
        raise OSError
    except OSError:
        assert InteractiveAuth(send, start, poll_interval=0.01).attempt_auth() == "done"

    assert not is_gone(opened[0])
