"""The page that waits for a fallback page's word: whose word it takes, what it looks like, and that it goes away."""

from __future__ import annotations

import http.client
import io
import signal
import socket
import struct
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
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
EVIL = "x</title></script><img src=x onerror='evil=1'><script>window.evil=1</script>{0}&amp;"
#: What fallback pages end with, and a mark by which a test sees that it was said.
SAYS_DONE = b"<!DOCTYPE html><script>opener.postMessage('authDone', '*'); document.title = 'said'</script>"


class Site:
    """A homeserver with a page for every stage, and no more.

    Attributes:
        base_url: its address.
        requests: the auth dicts that were sent to it.
        referrers: the Referer headers of those who came for a page.
        is_done: whether the stage is completed there.
        stage: the stage that it wants.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.base_url = f"http://127.0.0.1:{server.server_port}"
        self.requests: list[Any] = []
        self.referrers: list[str | None] = []
        self.is_done = False
        self.stage = STAGE

    def __call__(self, auth: dict[str, Any] | None) -> str:
        self.requests.append(auth)
        if self.is_done:
            return "done"
        raise MatrixError(401, {"flows": [{"stages": [self.stage]}], "session": "S1", "completed": []})

    def fallback_url(self, stage_type: str, session: str) -> str:
        """Return the address of the page."""
        return f"{self.base_url}/{stage_type}?session={session}&</script>"


class _Pages(BaseHTTPRequestHandler):
    def __init__(self, site: Site, *args: Any) -> None:
        self._site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        if STAGE in self.path:
            self._site.referrers.append(self.headers.get("Referer"))
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
        running.append(ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler))
        site = Site(running[-1])
        running[-1].RequestHandlerClass = partial(_Pages, site)  # type: ignore[assignment]
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


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread of a page's server behind."""
    yield
    assert serving() == []


def serving() -> list[str]:
    """Return the names of the threads that serve a page, or a visit to one."""
    threads = [thread for thread in threading.enumerate() if thread.is_alive()]
    visits = [thread.name for thread in threads if "process_request" in thread.name and not thread.daemon]
    return [thread.name for thread in threads if thread.name == "interactive_auth.browser"] + visits


REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "another path": ("POST", {"path": "/"}),
    "half the path": ("POST", {"path": "/done"}),
    "a path beyond ASCII": ("POST", {"path": "/%C3%A9?"}),
    "another host": ("POST", {"Host": "evil.example"}),
    "another host's page": ("GET", {"Host": "evil.example"}),
    "the same name by letters": ("GET", {"Host": "localhost"}),
    "another path's page": ("GET", {"path": "/"}),
    "another method": ("PUT", {}),
    "a question about the page": ("HEAD", {}),
    "another site's question whether it may": ("OPTIONS", {"Origin": "https://evil.example"}),
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


def test_two_hosts(site: Site, begin: Begin) -> None:
    """A request that names two hosts is refused, whichever is looked at."""
    _, url, _ = begin(site)
    parts = urlsplit(url)
    head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nHost: evil.example\r\n\r\n"

    with socket.create_connection(("127.0.0.1", parts.port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.0 404 ")


@pytest.mark.parametrize(
    "line", ["what is this", "GET /" + 70_000 * "a" + " HTTP/1.1", "GET /"], ids=lambda line: line[:9]
)
def test_no_request_at_all(site: Site, begin: Begin, line: str) -> None:
    """What is no request is told nothing, not even which program it talks to."""
    _, url, _ = begin(site)

    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10) as connection:
        connection.sendall(f"{line}\r\n\r\n".encode())
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")

    assert body == b""
    assert b"python" not in head.lower()
    assert not head or b" 404 " in head


def test_what_the_page_is_sent_with(site: Site, begin: Begin) -> None:
    """It is not kept, not put into a frame, runs no script but its own, and tells nobody where it is."""
    _, url, _ = begin(site)
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)

    connection.request("GET", parts.path)
    answer = connection.getresponse()

    page = answer.read().decode()
    connection.close()
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    nonce = policy["script-src"].removeprefix("'nonce-").removesuffix("'")
    assert page.count("<script") == page.count(f'<script nonce="{nonce}"') == 1
    assert parts.path not in page
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "same-origin")
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert "Python" not in str(answer.headers)


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


def test_idle_connections(site: Site, begin: Begin) -> None:
    """Connections on which nothing comes, or half a request, hold up neither the page's visitors nor its end."""
    auth, url, thread = begin(site)
    address = ("127.0.0.1", urlsplit(url).port or 0)
    idle = [socket.create_connection(address, timeout=10) for _ in range(8)]
    for connection in idle[4:]:
        connection.sendall(f"POST {urlsplit(url).path} HTTP/1.1\r\nHost: 127".encode())
    assert ask(url, "GET")[0] == 200

    began = time.monotonic()
    auth.cancel()
    thread.join(5)

    assert time.monotonic() - began < 2
    assert not thread.is_alive()
    assert serving() == []
    assert is_gone(url)
    for connection in idle:
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()


def test_a_visitor_who_goes_away(site: Site, begin: Begin, capfd: pytest.CaptureFixture[str]) -> None:
    """A browser that breaks off a request is nothing to print, and the next one is served."""
    _, url, _ = begin(site)

    for _ in range(3):
        connection = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10)
        connection.sendall(b"GET / HT")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        connection.close()

    assert ask(url, "GET")[0] == 200
    assert capfd.readouterr() == ("", "")


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


def test_ctrl_c(site: Site) -> None:
    """Ctrl-C takes the page away, and the next attempt has another one."""
    opened: list[str] = []

    def send(auth: Any) -> str:
        if len(opened) == 1:
            signal.raise_signal(signal.SIGINT)
        site.is_done = len(opened) == 2
        return site(auth)

    start = partial(browser.complete, homeserver=site, open_url=opened.append, show=lambda text: None)
    auth = InteractiveAuth(send, start, poll_interval=0.01)

    with pytest.raises(KeyboardInterrupt):
        auth.attempt_auth()

    assert is_gone(opened[0])
    assert serving() == []
    assert auth.attempt_auth() == "done"
    assert is_gone(opened[1])


def test_ctrl_c_while_the_page_is_taken_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page goes away even if nobody has the patience to wait for that."""
    opened: list[str] = []

    def interrupt(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    start = partial(browser.complete, homeserver=site, open_url=opened.append, show=lambda text: None)
    monkeypatch.setattr(threading.Thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        InteractiveAuth(site, start, poll_timeout=0.0).attempt_auth()
    monkeypatch.undo()

    for thread in threading.enumerate():
        if thread.name == "interactive_auth.browser":
            thread.join(10)
    assert is_gone(opened[0])


def test_no_thread_to_be_had(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no thread for the page, that is raised, and the port is given back."""
    ports: list[int] = []

    def fail(thread: threading.Thread) -> None:
        page = thread._target.__self__  # type: ignore[attr-defined]
        ports.append(urlsplit(page.url).port or 0)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    start = partial(browser.complete, homeserver=site, open_url=ports.append, show=lambda text: None)

    with pytest.raises(RuntimeError, match="can't start new thread"):
        InteractiveAuth(site, start).attempt_auth()

    assert len(ports) == 1
    assert is_gone(f"http://127.0.0.1:{ports[0]}")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "", "matrix:u/alice"])
def test_no_web_page(url: str) -> None:
    """An address that is not the web's is neither opened nor shown."""
    homeserver = SimpleNamespace(fallback_url=lambda stage, session: url)
    opened: list[str] = []
    start = partial(browser.complete, homeserver=homeserver, open_url=opened.append, show=opened.append)

    def send(auth: Any) -> None:
        raise MatrixError(401, {"flows": [{"stages": [STAGE]}], "session": "S1"})

    with pytest.raises(ValueError, match=f"the fallback page of {STAGE} has no http or https address"):
        InteractiveAuth(send, start).attempt_auth()

    assert opened == []


def no_browser(url: str) -> bool:
    """Be a machine without a browser, as webbrowser.open finds it."""
    return False


def no_runnable_browser(url: str) -> bool:
    """Be a machine where $BROWSER names none that runs."""
    raise webbrowser.Error("could not locate runnable browser")


@pytest.mark.parametrize("opens", [no_browser, no_runnable_browser])
def test_no_browser_here(
    opens: Callable[[str], bool], site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no browser the address is shown, and what is done elsewhere is found out by polling."""
    monkeypatch.setattr("webbrowser.open", opens)

    def send(auth: Any) -> str:
        site.is_done = auth is not None
        return site(auth)

    auth = InteractiveAuth(send, partial(browser.complete, homeserver=site), poll_interval=0.01)

    assert auth.attempt_auth() == "done"
    assert f"{site.base_url}/{STAGE}?session=S1" in capsys.readouterr().out


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


def test_the_homeserver_is_not_told_where_the_page_is(
    site: Site, begin: Begin, person: Person, chromium: Chrome
) -> None:
    """Neither the button nor the link takes the page's address along."""
    _, url, _ = begin(site)

    for element in ("button", "a"):
        chromium.get(url)
        chromium.find_element(By.TAG_NAME, element).click()
        person.until(lambda driver: driver.find_element(By.ID, "title").text == "Done")

    assert site.referrers == [None, None]


def test_a_word_that_was_wrong(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """If the homeserver's page says that it is done and it is not, the loop waits on, and the button is still there."""
    _, url, thread = begin(site)
    chromium.get(url)
    chromium.find_element(By.ID, "open").click()
    person.until(lambda driver: driver.find_element(By.ID, "title").text == "Done")
    assert thread.is_alive()

    site.is_done = True
    person.until(lambda driver: len(driver.window_handles) == 1)
    chromium.find_element(By.ID, "open").click()

    thread.join(10)
    assert site.requests == [None, {"session": "S1"}, {"session": "S1"}]


def test_in_a_frame(site: Site, begin: Begin, chromium: Chrome, new_site: Callable[[], Site]) -> None:
    """Nobody can put the page into a frame, to have its button pressed unawares."""
    _, url, _ = begin(site)
    chromium.get(new_site().base_url)

    chromium.execute_async_script(
        "const frame = document.createElement('iframe'); frame.onload = arguments[1]; frame.src = arguments[0];"
        "document.documentElement.append(frame)",
        url,
    )

    chromium.switch_to.frame(chromium.find_element(By.TAG_NAME, "iframe"))
    assert chromium.find_elements(By.ID, "open") == []
    chromium.switch_to.default_content()


def test_markup_in_names(new_site: Callable[[], Site], begin: Begin, chromium: Chrome) -> None:
    """What a server calls a stage is text, wherever it stands."""
    site = new_site()
    site.stage = EVIL
    _, url, _ = begin(site)

    chromium.get(url)

    assert EVIL in chromium.find_element(By.ID, "what").text
    assert chromium.title == EVIL
    assert chromium.find_elements(By.TAG_NAME, "img") == []
    assert chromium.execute_script("return window.evil") is None
    assert chromium.execute_script("return document.scripts.length") == 1


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


def luminance(colour: tuple[int, ...]) -> float:
    """Return a colour's relative luminance, as WCAG 2 defines it."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def paper_and_contrast(png: bytes) -> tuple[float, float]:
    """Return the luminance of a picture's background, and the contrast of its strongest ink to that, as WCAG 2 does."""
    colours = Image.open(io.BytesIO(png)).convert("RGB").getcolors(1 << 24)
    assert colours is not None
    paper = luminance(max(colours)[1])  # type: ignore[arg-type]
    inks = [luminance(colour) for _, colour in colours]  # type: ignore[arg-type]
    return paper, max((max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) for ink in inks)


@pytest.mark.parametrize("width", [360, 1280], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable(
    site: Site, begin: Begin, chromium: Chrome, scheme: str, width: int, tmp_path: Path
) -> None:
    """It is drawn without anything from elsewhere, in good contrast on light or dark paper, and fits a phone."""
    _, url, _ = begin(site)
    emulate = chromium.execute_cdp_cmd
    emulate("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    screen = {"width": width, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    emulate("Emulation.setDeviceMetricsOverride", screen)
    chromium.get_log("browser")  # what went before
    try:
        chromium.get(url)
        (tmp_path / f"{scheme}-{width}.png").write_bytes(chromium.get_screenshot_as_png())
        paper, contrast = paper_and_contrast(chromium.get_screenshot_as_png())
        parts = {
            name: paper_and_contrast(chromium.find_element(By.CSS_SELECTOR, name).screenshot_as_png)[1]
            for name in ("h1", "#what", "button", "a")
        }
        asks_network = chromium.execute_script("return performance.getEntriesByType('resource').length")
        room = chromium.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    finally:
        emulate("Emulation.clearDeviceMetricsOverride", {})
        emulate("Emulation.setEmulatedMedia", {"features": []})

    assert paper < 0.05 if scheme == "dark" else paper > 0.9
    assert contrast > 7
    assert {name: ratio for name, ratio in parts.items() if ratio < 4.5} == {}
    assert asks_network == 0
    assert room[0] <= room[1]
    assert [entry for entry in chromium.get_log("browser") if "favicon" not in entry["message"]] == []
