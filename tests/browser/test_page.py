"""The page that waits for a fallback page's word: whose word it takes, what it looks like, and that it goes away."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from selenium.webdriver.common.by import By

from interactive_auth import (
    AuthCancelledError,
    AuthTimeoutError,
    InteractiveAuth,
    MatrixError,
    ServerProtocolError,
    browser,
)

if TYPE_CHECKING:
    from conftest import Person
    from selenium.webdriver import Chrome

STAGE = "org.example.unknown"
#: What fallback pages end with, and a mark by which a test sees that it was said.
SAYS_DONE = b"<!DOCTYPE html><script>opener.postMessage('authDone', '*'); document.title = 'said'</script>"


class Site:
    """A homeserver with a page for every stage, and no more.

    Attributes:
        base_url: its address.
        requests: the auth dicts that were sent to it.
        is_done: whether the stage is completed there.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.base_url = f"http://127.0.0.1:{server.server_port}"
        self.requests: list[Any] = []
        self.is_done = False

    def __call__(self, auth: dict[str, Any] | None) -> str:
        self.requests.append(auth)
        if self.is_done:
            return "done"
        raise MatrixError(401, {"flows": [{"stages": [STAGE]}], "session": "S1", "completed": []})

    def fallback_url(self, stage_type: str, session: str) -> str:
        """Return the address of the page."""
        return f"{self.base_url}/{stage_type}?session={session}&</script>"


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(SAYS_DONE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def new_site() -> Iterator[Callable[[], Site]]:
    """Run sites, each an origin of its own."""
    running: list[ThreadingHTTPServer] = []

    def run() -> Site:
        running.append(ThreadingHTTPServer(("127.0.0.1", 0), _Pages))
        threading.Thread(target=running[-1].serve_forever, args=(0.02,)).start()
        return Site(running[-1])

    yield run
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    """Run the homeserver."""
    return new_site()


@pytest.fixture
def begin() -> Iterator[Callable[..., tuple[InteractiveAuth[Any], str, threading.Thread]]]:
    """Start attempts that wait on their page; gives each one with its page's address and its thread."""
    begun: list[tuple[InteractiveAuth[Any], threading.Thread]] = []

    def start(site: Site, **options: Any) -> tuple[InteractiveAuth[Any], str, threading.Thread]:
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
        return auth, opened[0], thread

    yield start
    for auth, thread in begun:
        auth.cancel()
        thread.join(10)
        assert not thread.is_alive()


def is_gone(url: str) -> bool:
    """Tell whether nobody listens where a page was."""
    port = urlsplit(url).port
    assert port is not None
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


Begin = Callable[..., tuple[InteractiveAuth[Any], str, threading.Thread]]


def ask(url: str, method: str, *, path: str | None = None, **headers: str) -> tuple[int, bytes]:
    """Send a request to a page's server; gives the status and the body of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)
    try:
        connection.putrequest(method, path or parts.path, skip_host=True)
        for name, value in {"Host": parts.netloc, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "another path": ("POST", {"path": "/"}),
    "half the path": ("POST", {"path": "/done"}),
    "a path beyond ASCII": ("POST", {"path": "/%C3%A9?"}),
    "another host": ("POST", {"Host": "evil.example"}),
    "another host's page": ("GET", {"Host": "evil.example"}),
    "the same name by letters": ("GET", {"Host": "localhost"}),
    "another path's page": ("GET", {"path": "/"}),
    "another origin": ("POST", {"Origin": "https://evil.example"}),
    "a hidden origin": ("POST", {"Origin": "null"}),
}


@pytest.mark.parametrize(("method", "changed"), REFUSED.values(), ids=REFUSED)
def test_strangers(site: Site, begin: Begin, method: str, changed: dict[str, str]) -> None:
    """Who comes by another path, host or origin is told nothing, and the loop does not poll for it."""
    _, url, _ = begin(site)
    site.requests.clear()
    parts = urlsplit(url)

    status, body = ask(url, method, **{"Origin": f"http://{parts.netloc}", **changed})

    assert (status, body) == (404, b"")
    assert site.requests == []


def test_no_origin(site: Site, begin: Begin) -> None:
    """A browser names the origin of every POST; who names none is no browser."""
    _, url, _ = begin(site)
    site.requests.clear()

    assert ask(url, "POST") == (404, b"")
    assert site.requests == []


def test_the_page_s_own_word(site: Site, begin: Begin) -> None:
    """At the page's word the loop polls at once; when the stage is done nobody listens there any more."""
    _, url, thread = begin(site)
    site.is_done = True

    status, _ = ask(url, "POST", Origin=f"http://{urlsplit(url).netloc}")

    assert status == 204
    thread.join(10)
    assert site.requests == [None, {"session": "S1"}]
    assert is_gone(url)


def test_word_that_came_too_soon(site: Site, begin: Begin) -> None:
    """If the server still has the stage open, the loop waits on, and the page stays."""
    auth, url, _ = begin(site)

    ask(url, "POST", Origin=f"http://{urlsplit(url).netloc}")
    status, _ = ask(url, "GET")

    assert status == 200
    assert not is_gone(url)
    auth.cancel()


ENDS: dict[str, tuple[dict[str, float], Callable[[InteractiveAuth[Any]], None]]] = {
    "cancelled": ({}, lambda auth: auth.cancel()),
    "timed out": ({"poll_timeout": 0.05}, lambda auth: None),
    "done elsewhere": ({"poll_interval": 0.05}, lambda auth: None),
}


@pytest.mark.parametrize(("options", "end"), ENDS.values(), ids=ENDS)
def test_the_page_goes_away(
    site: Site, begin: Begin, options: dict[str, float], end: Callable[[InteractiveAuth[Any]], None]
) -> None:
    """However the wait ends, the page's server is gone with it; a poll of the loop's own ends it, too."""
    site.is_done = False
    auth, url, thread = begin(site, **options)

    site.is_done = True
    end(auth)
    thread.join(10)

    assert not thread.is_alive()
    assert is_gone(url)


def test_each_page_is_at_another_place(site: Site, begin: Begin) -> None:
    """The path cannot be guessed, nor learnt from another page's."""
    urls = [begin(site)[1] for _ in range(3)]

    paths = {urlsplit(url).path for url in urls}
    assert len(paths) == 3
    assert min(map(len, paths)) > 40


def test_exception_of_open_url(site: Site) -> None:
    """An exception of open_url reaches the caller unchanged, and the server is gone."""
    opened: list[str] = []

    def fail(url: str) -> None:
        opened.append(url)
        raise OSError("no browser")

    auth = InteractiveAuth(site, lambda stage: browser.complete(stage, site, open_url=fail, show=opened.append))

    with pytest.raises(OSError, match="no browser"):
        auth.attempt_auth()

    assert opened[0].splitlines()[1].startswith(f"{site.base_url}/{STAGE}?")
    assert is_gone(opened[1])


def test_webbrowser_opens_the_page(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without further arguments the machine's own browser is opened, and the address is printed."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    auth = InteractiveAuth(site, lambda stage: browser.complete(stage, site), poll_timeout=0.0)

    with pytest.raises(AuthTimeoutError):
        auth.attempt_auth()

    assert urlsplit(opened[0]).hostname == "127.0.0.1"
    assert f"{site.base_url}/{STAGE}?session=S1" in capsys.readouterr().out


def test_no_session(site: Site) -> None:
    """A server that gives no session has no page to show."""

    def no_session(auth: Any) -> None:
        raise MatrixError(401, {"flows": [{"stages": [STAGE]}]})

    with pytest.raises(ServerProtocolError, match="gave no session"):
        InteractiveAuth(no_session, lambda stage: browser.complete(stage, site)).attempt_auth()


def test_unknown_stage_in_the_browser(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """A stage that nobody knows is done the moment its page says so; the page says that the person is done, too."""
    _, url, thread = begin(site)
    site.is_done = True

    chromium.get(url)
    assert STAGE in chromium.find_element(By.ID, "what").text
    assert chromium.find_element(By.TAG_NAME, "a").get_attribute("href") == site.fallback_url(STAGE, "S1").replace(
        "</script>", "%3C/script%3E"
    )
    chromium.find_element(By.ID, "open").click()

    thread.join(10)
    assert site.requests == [None, {"session": "S1"}]
    person.until(lambda driver: driver.find_element(By.TAG_NAME, "h1").text == "Done")
    person.until(lambda driver: len(driver.window_handles) == 1)


def test_another_site_s_word(
    site: Site, new_site: Callable[[], Site], begin: Begin, person: Person, chromium: Chrome
) -> None:
    """The same message of another origin is nothing: no poll, and the page waits on."""
    _, url, _ = begin(site)
    site.requests.clear()
    chromium.get(url)
    page = chromium.current_window_handle

    chromium.execute_script("window.open(arguments[0], 'stage')", new_site().base_url)

    person.until(lambda driver: len(driver.window_handles) == 2)
    chromium.switch_to.window(next(w for w in chromium.window_handles if w != page))
    person.until(lambda driver: driver.title == "said")
    chromium.close()
    chromium.switch_to.window(page)
    # What came before is dealt with before this script is.
    chromium.execute_async_script("setTimeout(arguments[0], 50)")
    assert chromium.find_element(By.TAG_NAME, "h1").text == "One step in the browser"
    assert site.requests == []


def test_blocked_popup(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """If the browser lets no window open the page says so, and the loop's polls find out what was done elsewhere."""
    _, url, thread = begin(site, poll_interval=0.05)
    chromium.get(url)
    chromium.execute_script("window.open = () => null")

    chromium.find_element(By.ID, "open").click()

    assert chromium.find_element(By.ID, "state").text == "The browser let no window open: follow the link below."
    site.is_done = True
    thread.join(10)
    assert not thread.is_alive()


def test_the_link_instead_of_the_button(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """The link below the button does the same: its page's word is heard."""
    _, url, thread = begin(site)
    site.is_done = True
    chromium.get(url)

    chromium.find_element(By.TAG_NAME, "a").click()

    thread.join(10)
    assert not thread.is_alive()
    person.until(lambda driver: len(driver.window_handles) == 1)


@pytest.mark.parametrize(("scheme", "paper"), [("light", range(200, 256)), ("dark", range(64))], ids=["light", "dark"])
def test_the_page_is_readable(site: Site, begin: Begin, chromium: Chrome, scheme: str, paper: range) -> None:
    """The page is drawn without anything from elsewhere: dark ink on light paper, or the other way round."""
    _, url, _ = begin(site)
    chromium.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    chromium.get(url)

    picture = Image.open(io.BytesIO(chromium.get_screenshot_as_png())).convert("L")

    darkest, lightest = picture.getextrema()
    assert picture.getpixel((2, 2)) in paper
    assert lightest - darkest > 150
    assert chromium.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in chromium.get_log("browser") if "favicon" not in entry["message"]] == []
