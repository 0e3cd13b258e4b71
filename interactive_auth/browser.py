"""A page on this machine that tells the waiting loop the moment the homeserver's fallback page is done.

Fallback pages end by a message to the page that opened them (client-server API, "Fallback"). That page is served here,
on 127.0.0.1, one for all stages of an attempt. Whatever keeps the message from coming (no popups, a browser on another
machine), the loop finds out by its polls. What must not be here: stages, the homeserver's API, waiting for a stage, and
what the page looks like (``_page``).
"""

from __future__ import annotations

import atexit
import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import _page, handlers
from ._checks import check_function
from ._engine.context import asking
from ._page_server import Place, Server, Visit
from ._text import printable, web_url, whole
from ._text import publish as _publish
from ._tracebacks import without_frames
from ._types import AuthType, Stage
from ._words import refusal_words, stage_name

if TYPE_CHECKING:
    from ._engine.auth import InteractiveAuth

__all__ = ["complete"]

#: Seconds in which the server notices that it is to stop, and for which it waits for the attempt's next stage.
_NOTICE, _GRACE = 0.02, 5.0
#: Browsers that would take over the terminal, where the program is, and run no script.
_TEXT_BROWSERS = frozenset({"www-browser", "links", "links2", "elinks", "lynx", "w3m"})


@without_frames
def complete(
    stage: Stage,
    homeserver: handlers.FallbackPages,
    *,
    open_url: Callable[[str], object] | None = None,
    show: Callable[[str], object] = print,
) -> None:
    """Do a stage on its fallback page in a browser, and go on as soon as that is done: the body of a callback.

    ``InteractiveAuth(request, {"*": functools.partial(browser.complete, homeserver=homeserver)})`` does all stages
    so. It returns at once, and the loop waits. One page leads to the stages one after the other and says how things
    stand. If the attempt ends in a stage with an error, the page's server is gone at once, else five seconds after the
    last stage that was done there, or when the program ends; the page says so. Where that page cannot help, because no
    window may be opened or the browser is on another machine, the person follows the address that is shown, and the
    loop finds out by its next poll.

    Example::

        stages = {"*": functools.partial(browser.complete, homeserver=homeserver)}

    Args:
        stage: the stage that the callback was called with; any for which the homeserver has a page, which are
            recaptcha, terms, registration token and single sign-on on Synapse.
        homeserver: makes the fallback page's address (client-server API, "Fallback").
        open_url: opens the page on this machine, for the first stage and whenever the page is no longer open; None for
            the ``webbrowser`` module. If that finds no browser, or one for the terminal, the address that is shown has
            to do.
        show: is given a text with the fallback page's own address, for a browser on another machine.

    Raises:
        ServerProtocolError: the server gave no session, without which there is no fallback page.
        RuntimeError: it is not called by an ``InteractiveAuth``.
        TypeError: an argument has a wrong type.
        ValueError: the fallback page's address is not an http or https URL.
    """
    check_function("open_url", open_url, optional=True)
    check_function("show", show)
    auth = asking(stage)

    def visit(url: str) -> None:
        if web_url(url) is None:
            raise ValueError(f"the fallback page of {printable(stage.type, 100)} has no http or https address")
        why = "" if stage.error is None else refusal_words(stage.error)
        step = _page.step(stage_name(stage.type), printable(urlsplit(url).hostname or ""), url, why)
        page = before = _page_showing(auth, step)
        if page is None:
            page = _pages[auth] = _Page(step, auth.poll, lambda: _pages.pop(auth, None))
        stage.add_cleanup(partial(_end_step, page, _is_last(stage), sys.exc_info()[1]))
        if before is None:
            page.start()
        show(f"Open this page in a browser:\n{whole(url)}")
        if before is None:
            (open_url or open_here)(page.url)

    handlers.fallback(homeserver, visit)(stage)


def open_here(url: str) -> None:
    """Open a page in this machine's browser, if it has one that leaves the terminal alone."""
    import webbrowser  # slow to import

    with suppress(webbrowser.Error):
        if PurePath(webbrowser.get().name).name in _TEXT_BROWSERS:
            return
    with suppress(webbrowser.Error):
        webbrowser.open(url)


def _page_showing(auth: InteractiveAuth[Any], step: _page.News) -> _Page | None:
    """Return the page of an attempt with its next step, None if no browser has it open any more."""
    page = _pages.get(auth)
    if page is not None and not page.begin_step(step):
        page.close()
        return None
    return page


def _is_last(stage: Stage) -> bool:
    return set(stage.flow) <= {*stage.completed, stage.type, AuthType.DUMMY}


def _end_step(page: _Page, last: bool, before: BaseException | None) -> None:
    """Tell the page that its stage is over; one that ends by an error ends the attempt, too.

    Args:
        page: the page.
        last: whether no other stage was left.
        before: what was being handled when the stage began: ``attempt_auth`` may be called in an ``except``.
    """
    if sys.exc_info()[1] in (None, before):
        page.end_step(_page.DONE if last else _page.NEXT)
    else:
        page.close()


class _Page:
    """The page of an attempt, and the server that it is on.

    Attributes:
        url: where it is opened, once, on this machine. It stands in the browser's command line, which everybody on the
            machine can read, and the page names the session. So the address leads its first visitor on to the page's
            own, which only that browser learns. Whoever comes second is told that somebody was there before, and so
            is the log: a person whose page was taken cannot miss it.
    """

    def __init__(self, step: _page.News, done: Callable[[], None], forget: Callable[[], object]) -> None:
        self._place = Place(step, done)
        self._forget = forget
        self._server = Server(("127.0.0.1", 0), partial(Visit, self._place))
        # A daemon: no page keeps a program from ending.
        self._thread = threading.Thread(target=self._serve, name="interactive_auth.browser", daemon=True)
        self._lock = threading.Lock()
        self._until = math.inf
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}{self._place.door}"

    def start(self) -> None:
        """Serve the page."""
        self._thread.start()

    def begin_step(self, step: _page.News) -> bool:
        """Show a step, and return whether the page is open in a browser, so that somebody sees it."""
        with self._lock:
            if self._is_over():
                return False
            self._until = math.inf
        return self._place.tell(step)

    def end_step(self, news: _page.News) -> None:
        """Show that a step is over, and go away if no other one comes."""
        self._until = time.monotonic() + _GRACE
        self._place.tell(news)

    def close(self) -> None:
        """Take the page away, and wait until it is gone. A browser that has it open notices, and says so."""
        if self._thread.ident is None:  # it was never started
            self._server.server_close()
            self._forget()
            return
        self._until = -math.inf
        self._thread.join()

    def _is_over(self) -> bool:
        return time.monotonic() >= self._until

    def _serve(self) -> None:
        # The thread itself closes, so that a second Ctrl-C in the middle of close() leaves nothing behind.
        self._server.timeout = _NOTICE
        with self._server:
            while True:
                with self._lock:
                    if self._is_over():
                        self._until = -math.inf  # for good
                        break
                self._server.handle_request()
            self._forget()
            self._place.end()


#: The pages there are, each until its server stops.
_pages: dict[InteractiveAuth[Any], _Page] = {}


@atexit.register
def _close_all() -> None:
    for page in list(_pages.values()):
        page.close()


_publish(globals())
