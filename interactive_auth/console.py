"""Stage callbacks that ask a person, in a terminal or in a notebook cell.

What must not be here: waiting, polling, any import of a notebook's libraries, and how a person is asked and told, which
is in ``_prompts``; a wait is shown by ``_waitline``, mails and SMS are ``_messages``. No secret is ever echoed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from . import handlers as ready
from ._checks import check_text, type_error
from ._engine.context import asking, tries_left
from ._errors import DelegatedAuthError
from ._messages import Messages
from ._prompts import TRIES, ask, ask_secret, ask_yes_no, nothing_usable, read_secret, say, say_refusal
from ._text import printable, whole
from ._text import publish as _publish
from ._tracebacks import without_frames
from ._types import AuthType, Stage, StartAuthStage
from ._waitline import ENTER, LOOK, WaitLine
from ._words import stage_name, tries_in_words
from .homeserver import Homeserver

__all__ = ["handlers"]

#: What a person is told of a wrong answer, beside the server's own words, which are for programmers at times.
_WRONG: Mapping[str, str] = {
    AuthType.PASSWORD: "The user name or the password is wrong.",
    AuthType.REGISTRATION_TOKEN: "That registration token is not valid, or it was used up.",
    AuthType.UNSTABLE_REGISTRATION_TOKEN: "That registration token is not valid, or it was used up.",
    AuthType.EMAIL: "That code is wrong.",
    AuthType.MSISDN: "That code is wrong.",
}


@without_frames
def handlers(
    homeserver: Homeserver, *, user: str | None = None, language: str = "en", open_browser: bool = False
) -> dict[str, StartAuthStage]:
    """Make a mapping of callbacks for all stages, that asks the person at the terminal or the notebook.

    What is said and asked goes to the terminal, also if standard output is a file. What was typed before a question
    stands is dropped. A script may answer by a pipe, line by line. Ctrl-D ends the attempt.

    While an attempt waits it shows one line, such as ``Waiting for the link in the mail (gives up in 4:56)``, and takes
    it away when the wait is over. The time is that until ``poll_timeout``, or until a request that the server has put
    off is sent again; without a ``poll_timeout`` it says for how long it has waited. Nobody has to press a key. In a
    terminal Enter looks at once whether the stage is done; r sends a mail or an SMS again, and c changes where it goes.
    In a notebook the cell is interrupted and run again for that.

    Example::

        homeserver.register("alice", "a password").authenticate(console.handlers(homeserver))

    Args:
        homeserver: makes the addresses of pages, and posts codes.
        user: the user name for password stages; None asks for it, and lets the person change it after a wrong
            password.
        language: the language to show terms in.
        open_browser: whether to open pages in this machine's browser, and go on as soon as they are done there (see
            ``browser.complete``); their address is shown anyway.

    Raises:
        TypeError: an argument has a wrong type.
        AuthCancelledError: later, when a stage comes: the person has ended the input, declined the terms, or entered
            nothing usable ten times.
        RuntimeError: later, too: there is no standard input to ask a person by.
    """
    if not isinstance(homeserver, Homeserver):
        raise type_error("homeserver", "a Homeserver", homeserver)
    line = WaitLine()
    person = _Person(homeserver, check_text("user", user), bool(open_browser), line)
    messages = Messages(homeserver, line)
    page = person.browse if open_browser else person.page
    token = ready.registration_token(person.token)
    callbacks: dict[str, StartAuthStage] = {
        AuthType.PASSWORD: person.password,
        AuthType.RECAPTCHA: page,
        AuthType.TERMS: ready.terms(person.accept, language=language),
        AuthType.EMAIL: messages.email,
        AuthType.MSISDN: messages.msisdn,
        AuthType.SSO: page,
        AuthType.UNSTABLE_SSO: page,
        AuthType.REGISTRATION_TOKEN: token,
        AuthType.UNSTABLE_REGISTRATION_TOKEN: token,
        AuthType.OAUTH: person.approve,
        AuthType.UNSTABLE_OAUTH: person.approve,
        "*": page,
    }
    return _Handlers({str(stage): _announced(callback) for stage, callback in callbacks.items()}, line)


class _Handlers(dict[str, StartAuthStage]):
    """The callbacks; an ``InteractiveAuth`` that is given them tells them how its waits go on, too."""

    def __init__(self, callbacks: Mapping[str, StartAuthStage], wait_changed: WaitLine) -> None:
        super().__init__(callbacks)
        self.wait_changed = wait_changed

    def __or__(self, other: Any, /) -> Any:
        # A dict's own would give a plain dict, whose waits nobody is told of.
        return _Handlers({**self, **other}, self.wait_changed)


class _Person:
    """The person at the screen."""

    def __init__(self, homeserver: Homeserver, user: str | None, open_browser: bool, line: WaitLine) -> None:
        self._homeserver = homeserver
        self._given_user = user
        self._user: str | None = None
        self._open_browser = open_browser
        self._line = line

    def password(self, stage: Stage) -> Mapping[str, Any] | None:
        user, password = self._credentials()
        return ready.password(user, lambda: password)(stage)

    def _credentials(self) -> tuple[str, str]:
        if self._given_user is not None:
            return self._given_user, ask_secret(f"Password of {self._given_user}")
        if self._user is not None:
            say("Enter alone changes the user name.")
        for _ in range(TRIES):
            user = self._user = self._user or ask("User name")
            if password := read_secret(f"Password of {printable(user)}"):
                return user, password
            self._user = None
        raise nothing_usable("Password")

    def token(self, stage: Stage) -> str:
        return ask_secret("Registration token")

    def accept(self, policies: list[ready.Policy]) -> bool:
        for policy in policies:
            say(f"{printable(policy.name)}:\n{whole(policy.url)}")
        return ask_yes_no("Do you accept them all?" if len(policies) > 1 else "Do you accept?")

    def browse(self, stage: Stage) -> None:
        from . import browser  # brings a server, and is rarely wanted

        browser.complete(stage, self._homeserver, show=say)
        self._wait_for_page(stage)

    def page(self, stage: Stage) -> None:
        ready.fallback(self._homeserver, partial(self.visit, stage))(stage)

    def approve(self, stage: Stage) -> None:
        ready.oauth(partial(self.visit, stage))(stage)

    def visit(self, stage: Stage, url: str) -> None:
        say(f"Open this page in a browser:\n{whole(url)}")
        if self._open_browser:
            from . import browser

            browser.open_here(url)
        self._wait_for_page(stage)

    def _wait_for_page(self, stage: Stage) -> None:
        say("When the page says that you are done, this goes on by itself.")
        self._line.offer(stage, LOOK, {ENTER: asking(stage).poll})


def _announced(callback: StartAuthStage) -> StartAuthStage:
    """Return the callback with lines before it that say which stage it is, and why it is asked again."""

    def announced(stage: Stage) -> Mapping[str, Any] | None:
        if stage.error is not None:
            say_refusal(stage.error, _WRONG.get(stage.type, f"The step {stage_name(stage.type)} was not accepted."))
        # m.login.dummy is nothing that a person does.
        steps = [each for each in stage.flow if each != AuthType.DUMMY]
        number = steps.index(stage.type) + 1 if stage.type in steps else 1
        again = "" if stage.error is None else " again"
        say(f"Step {number} of {max(len(steps), 1)}{again}: {stage_name(stage.type)}{_tries(stage)}")
        try:
            return callback(stage)
        except DelegatedAuthError as error:
            if error.account_management_url is not None:
                say("This homeserver leaves its accounts to another service. Do it there, in a browser:")
                say(whole(error.account_management_url))
            raise

    return announced


def _tries(stage: Stage) -> str:
    """Return how many tries are left after a wrong answer, as the end of a line."""
    left = None if stage.error is None else tries_left(stage)
    return "" if left is None else f" ({tries_in_words(left)})"


_publish(globals())
