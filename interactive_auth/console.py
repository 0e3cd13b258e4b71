"""Stage callbacks that ask a person, in a terminal or in a notebook cell.

What must not be here: waiting, polling, and any import of a notebook's libraries. Everything is asked by ``input``
and ``getpass.getpass``, which a notebook replaces by its own, and shown by ``print``; no secret is ever echoed. A wait
is one line that is written anew.
"""

from __future__ import annotations

import getpass
import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from . import handlers as ready
from ._checks import check_text, type_error
from ._engine.context import asking, can_send_again
from ._errors import DelegatedAuthError, MatrixError
from ._text import printable
from ._types import AuthType, Stage, StartAuthStage, Wait
from .homeserver import Homeserver

__all__ = ["handlers"]

#: What a stage is called before a person.
_NAMES: Mapping[str, str] = {
    AuthType.PASSWORD: "password",
    AuthType.RECAPTCHA: "captcha",
    AuthType.TERMS: "terms of service",
    AuthType.EMAIL: "email address",
    AuthType.MSISDN: "phone number",
    AuthType.SSO: "single sign-on",
    AuthType.UNSTABLE_SSO: "single sign-on",
    AuthType.REGISTRATION_TOKEN: "registration token",
    AuthType.UNSTABLE_REGISTRATION_TOKEN: "registration token",
    AuthType.OAUTH: "approval",
    AuthType.UNSTABLE_OAUTH: "approval",
}

#: Seconds of a wait before a repetition that nobody has to be told about.
_SHORTEST = 1.0
#: What brings the link or the code, and what a wait is for, where it is not for a page in the browser.
_MESSAGES: Mapping[str, str] = {AuthType.EMAIL: "mail", AuthType.MSISDN: "SMS"}
_AWAITED: Mapping[str, str] = {kind: f"the link in the {name} to be opened" for kind, name in _MESSAGES.items()}


def handlers(
    homeserver: Homeserver, *, user: str | None = None, language: str = "en", open_browser: bool = False
) -> dict[str, StartAuthStage]:
    """Make a mapping of callbacks for all stages, that asks the person at the terminal or the notebook.

    While an attempt waits it shows one line, which is written anew every second by a carriage return, in a terminal,
    a pipe and a notebook alike, for example ``email address, 287 s left: waiting for the link in the mail to be
    opened``. The seconds are those until ``poll_timeout``, or until a request that the server has put off is sent
    again; without a ``poll_timeout`` it says for how long it waits. When the wait is over, the line is ended.

    Args:
        homeserver: makes the addresses of pages, and posts codes.
        user: the user name for password stages; None asks for it.
        language: the language to show terms in.
        open_browser: whether to open pages in this machine's browser, and go on as soon as they are done there (see
            ``browser.complete``); their address is shown anyway. Nobody is asked to press Enter then.

    Raises:
        TypeError: an argument has a wrong type.
        RuntimeError: later, when a stage comes: there is no standard input to ask a person by.
    """
    if not isinstance(homeserver, Homeserver):
        raise type_error("homeserver", "a Homeserver", homeserver)
    person = _Person(homeserver, check_text("user", user), bool(open_browser))
    page = person.browse if open_browser else person.page
    token = ready.registration_token(person.token)
    callbacks: dict[str, StartAuthStage] = {
        AuthType.PASSWORD: person.password,
        AuthType.RECAPTCHA: page,
        AuthType.TERMS: ready.terms(person.accept, language=language),
        AuthType.EMAIL: person.email,
        AuthType.MSISDN: ready.msisdn(person.text, homeserver, ask_number=person.number),
        AuthType.SSO: page,
        AuthType.UNSTABLE_SSO: page,
        AuthType.REGISTRATION_TOKEN: token,
        AuthType.UNSTABLE_REGISTRATION_TOKEN: token,
        AuthType.OAUTH: person.approve,
        AuthType.UNSTABLE_OAUTH: person.approve,
        "*": page,
    }
    return _Handlers({str(stage): _announced(callback) for stage, callback in callbacks.items()})


class _Handlers(dict[str, StartAuthStage]):
    """The callbacks; an ``InteractiveAuth`` that is given them tells them how its waits go on, too."""

    def __init__(self, callbacks: Mapping[str, StartAuthStage]) -> None:
        super().__init__(callbacks)
        self.wait_changed = _Line()

    def __or__(self, other: Any, /) -> Any:
        return _Handlers({**self, **other})  # a dict's own would give a plain dict, whose waits nobody is told of


class _Person:
    """The person at the screen."""

    def __init__(self, homeserver: Homeserver, user: str | None, open_browser: bool) -> None:
        self._homeserver = homeserver
        self._user = user
        self._open_browser = open_browser

    def password(self, stage: Stage) -> Mapping[str, Any] | None:
        user = self._user or _ask("User name: ")
        return ready.password(user, lambda: _ask_secret("Password: "))(stage)

    def token(self, stage: Stage) -> str:
        return _ask_secret("Registration token: ")

    def accept(self, policies: list[ready.Policy]) -> bool:
        for policy in policies:
            print(f"{printable(policy.name)}:")
            print(printable(policy.url, 2000))
        return _read(input, "Do you accept? (y/N) ").strip().lower() in ("y", "yes")

    def address(self, stage: Stage) -> str:
        _say_why(stage)
        return _ask("Email address: ")

    def email(self, stage: Stage) -> Mapping[str, Any] | None:
        code = partial(self.code, AuthType.EMAIL)
        answer = ready.email(ask_address=self.address, get_code=code, homeserver=self._homeserver)(stage)
        if answer is None:
            self.follow(AuthType.EMAIL, stage)
        return answer

    def number(self, stage: Stage) -> tuple[str, str]:
        _say_why(stage)
        return _ask("Country of the phone number, two letters: ").upper(), _ask("Phone number: ")

    def text(self, stage: Stage) -> str | None:
        if stage.submit_url is not None:
            return self.code(AuthType.MSISDN, stage)
        self.follow(AuthType.MSISDN, stage)
        return None

    def code(self, kind: AuthType, stage: Stage) -> str:
        late = stage.error is not None and stage.error.errcode == "M_SESSION_EXPIRED"
        if late:
            print("That code came too late. Another one was sent.", flush=True)
        while not (code := _read_or_resend(stage, kind, f"Code in the {_MESSAGES[kind]}")):
            pass
        return code

    def follow(self, kind: AuthType, stage: Stage) -> None:
        _read_or_resend(stage, kind, f"Open the link in the {_MESSAGES[kind]}, then press Enter")
        stage.auth.poll()

    def browse(self, stage: Stage) -> None:
        from . import browser  # brings a server, and is rarely wanted

        browser.complete(stage, self._homeserver)

    def page(self, stage: Stage) -> None:
        ready.fallback(self._homeserver, partial(self.visit, stage))(stage)

    def approve(self, stage: Stage) -> None:
        ready.oauth(partial(self.visit, stage))(stage)

    def visit(self, stage: Stage, url: str) -> None:
        print("Open this page in a browser:")
        print(printable(url, 2000))
        if self._open_browser:
            from . import browser

            browser.open_here(url)
        _read(input, "When the page says that you are done, press Enter: ")
        stage.auth.poll()


def _announced(callback: StartAuthStage) -> StartAuthStage:
    """Return the callback with a line before it that says which stage it is, and why it is asked again."""

    def announced(stage: Stage) -> Mapping[str, Any] | None:
        number = stage.flow.index(stage.type) + 1 if stage.type in stage.flow else 1
        print(f"Step {number} of {max(len(stage.flow), 1)}: {_name(stage.type)}", flush=True)
        _say_why(stage)
        try:
            return callback(stage)
        except DelegatedAuthError as error:
            if error.account_management_url is not None:
                print("This homeserver leaves its accounts to another service. Do it there, in a browser:")
                print(printable(error.account_management_url, 2000), flush=True)
            raise

    return announced


def _name(stage: str) -> str:
    return _NAMES.get(stage, printable(stage, 100))


class _Line:
    """The one line that shows how a wait goes on: terminals, pipes and notebooks all know how to write it anew."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._width = 0

    def __call__(self, wait: Wait | None) -> None:
        if wait is not None:
            self._show(wait)
        elif self._begun is not None:
            self._begun = None
            self._print("\n")

    def _show(self, wait: Wait) -> None:
        most = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be written anew
        now = time.monotonic()
        if self._begun is None:
            if wait.reason != "stage" and (wait.seconds_left or 0.0) <= _SHORTEST:
                return
            self._begun, self._width = now, 0
            self._print("\r" + " " * most)  # in a pipe the prompt that was answered still stands there
        left = wait.seconds_left
        seconds = f"{now - self._begun:.0f} s so far" if left is None else f"{math.ceil(left)} s left"
        # Other letters may be two columns wide.
        name = "" if wait.stage is None else _name(wait.stage).encode("ascii", "backslashreplace").decode() + ", "
        line = f"{name}{seconds}: waiting for {_awaited(wait)}"
        self._print("\r" + line.ljust(self._width)[:most])
        self._width = len(line)

    def _print(self, text: str) -> None:
        # The wait does not depend on whether it is seen: the terminal may have been closed.
        with suppress(OSError, ValueError):
            print(text, end="", flush=True)


def _awaited(wait: Wait) -> str:
    if wait.reason != "stage":
        return "the time to ask the server again"
    return _AWAITED.get(wait.stage or "", "the page to be done")


def _say_why(stage: Stage) -> None:
    if stage.error is not None:
        _say(stage.error)


def _say(error: MatrixError) -> None:
    # A notebook keeps what is printed, and a server may quote the password.
    said = error._clean(error.error or error.errcode or str(error))
    print(f"The server said: {printable(said)}", flush=True)


def _ask(prompt: str) -> str:
    """Read a line, again for as long as it is empty."""
    while not (answer := _read(input, prompt).strip()):
        pass
    return answer


def _ask_secret(prompt: str) -> str:
    """Read a line without showing it, again for as long as it is empty."""
    while not (answer := _read(getpass.getpass, prompt)):
        pass
    return answer


def _read_or_resend(stage: Stage, kind: AuthType, prompt: str) -> str:
    """Read a line, and have the mail or the SMS sent again for each "r", if that is possible."""
    if not can_send_again(stage, kind):
        return _read(input, f"{prompt}: ").strip()
    auth = asking(stage)
    send_again = auth.request_email_token if kind is AuthType.EMAIL else auth.request_msisdn_token
    while (answer := _read(input, f"{prompt} (r and Enter sends it again): ").strip()) == "r":
        try:
            send_again()
        except MatrixError as error:  # what was sent before is still good
            _say(error)
        else:
            print("Sent again.", flush=True)
    return answer


def _read(read: Callable[[str], str], prompt: str) -> str:
    """Read a line, or say that there is nobody to ask."""
    try:
        if sys.stdin is not None:  # as it is when the program was started with it closed
            return read(prompt)
    except (EOFError, NotImplementedError):  # at its end; a kernel whose front end has none
        pass
    raise RuntimeError(
        f"there is no standard input to ask a person by ({prompt.strip(' :')}): "
        "run it in a terminal, or give callbacks that do not ask"
    )
