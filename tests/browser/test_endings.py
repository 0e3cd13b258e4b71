"""How a wait with a page ends, and that nothing is left of the page then; and what there is where it cannot help."""

from __future__ import annotations

import signal
import threading
import webbrowser
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from interactive_auth import AuthTimeoutError, InteractiveAuth, MatrixError, ServerProtocolError, browser

from .conftest import GRACE
from .site import STAGE, Begin, Site, ends_within, is_gone, serving

ENDS: dict[str, tuple[dict[str, float], Callable[[InteractiveAuth[Any]], None]]] = {
    "cancelled": ({}, lambda auth: auth.cancel()),
    "timed out": ({"poll_timeout": 0.05}, lambda auth: None),
    "done elsewhere": ({"poll_interval": 0.05}, lambda auth: None),
}


@pytest.mark.parametrize(("options", "end"), ENDS.values(), ids=ENDS)
def test_the_page_goes_away(
    site: Site, begin: Begin, options: dict[str, float], end: Callable[[InteractiveAuth[Any]], None]
) -> None:
    """However the wait ends, the page's server is gone soon after; a poll of the loop's own ends it, too."""
    site.is_done = False
    auth, url, thread = begin(site, **options)

    site.is_done = True
    end(auth)
    thread.join(10)

    assert not thread.is_alive()
    assert ends_within(GRACE + 5, lambda: is_gone(url))


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
    assert ends_within(GRACE + 5, lambda: is_gone(opened[1]))


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
        page = thread._target.__self__  # type: ignore[attr-defined]  # threading's own, which has no type
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


@pytest.mark.parametrize("name", ["w3m", "/usr/bin/lynx", "www-browser"])
def test_a_browser_for_the_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine's browser is one for the terminal none is opened: the program is in that terminal."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.get", lambda: webbrowser.GenericBrowser(name))
    monkeypatch.setattr("webbrowser.open", opened.append)

    browser.open_here("http://127.0.0.1/")

    assert opened == []


def test_a_browser_with_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other browser is opened."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.get", lambda: webbrowser.GenericBrowser("xdg-open"))
    monkeypatch.setattr("webbrowser.open", opened.append)

    browser.open_here("http://127.0.0.1/")

    assert opened == ["http://127.0.0.1/"]


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


def test_the_end_of_the_process(site: Site, begin: Begin) -> None:
    """What runs at the end of the process takes every page away."""
    auth, url, _ = begin(site)

    browser._close_all()

    assert is_gone(url)
    auth.cancel()
