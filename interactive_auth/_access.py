"""For whom a command acts, and what is known of their secrets before anybody is asked.

What must not be here: what the commands do (``_commands``), and arguments and exit statuses (``__main__``).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from . import console, handlers
from ._errors import AuthCancelledError, InteractiveAuthError, MatrixError
from ._http.endpoints import CLIENT
from ._prompts import ask, ask_secret, read, say
from ._text import printable
from ._types import AuthType, Stage, StartAuthStage
from ._words import refusal_words, tries_in_words
from .homeserver import Homeserver, LoginResponse, WhoamiResponse

T = TypeVar("T")

#: How often a person is asked again for what the homeserver does not take.
TRIES = 3


def persist(send: Callable[[], T], explain: Callable[[MatrixError], str | None]) -> T:
    """Ask a person for something and send it, again for as long as the homeserver refuses it and there are tries left.

    Args:
        send: asks and sends.
        explain: says what a refusal means; None for one that another answer would not change.
    """
    left = TRIES
    while True:
        left -= 1
        try:
            return send()
        except MatrixError as error:
            words = explain(error)
            if words is None:
                raise
        if not left:
            raise AuthCancelledError(f"{words} (that was the last of {TRIES} tries)")
        say(f"{words} ({tries_in_words(left)})")


def variable(name: str) -> str | None:
    """Return what a script gives by a variable."""
    return os.environ.get(f"MATRIX_{name}") or None


def callbacks(
    homeserver: Homeserver,
    options: argparse.Namespace,
    user: str | None,
    password: str | None = None,
    registration_token: str | None = None,
) -> dict[str, StartAuthStage]:
    """Return console's callbacks, the secrets that are known already being tried first."""
    asking = console.handlers(homeserver, user=user, open_browser=options.open_browser)
    known: dict[str, StartAuthStage] = {}
    if user is not None and password is not None:
        known[AuthType.PASSWORD] = handlers.password(user, password)
    if registration_token is not None:
        token = handlers.registration_token(registration_token)
        known |= dict.fromkeys((AuthType.REGISTRATION_TOKEN, AuthType.UNSTABLE_REGISTRATION_TOKEN), token)
    return asking | {stage: _first(callback, asking[stage]) for stage, callback in known.items()}


def _first(known: StartAuthStage, asked: StartAuthStage) -> StartAuthStage:
    """Return a callback that answers with what is known, and asks the person when that was refused."""

    def answer(stage: Stage) -> Mapping[str, Any] | None:
        return (known if stage.error is None else asked)(stage)

    return answer


@contextmanager
def logged_in(
    homeserver: Homeserver, options: argparse.Namespace
) -> Iterator[tuple[LoginResponse | WhoamiResponse, Mapping[str, StartAuthStage]]]:
    """Act for the person: by an access token, or logged in for as long as the block lasts.

    Yields:
        Whose the access token is, and the callbacks for the stages.
    """
    token, password = options.token or variable("ACCESS_TOKEN"), variable("PASSWORD")
    source = f" of --token-file {options.token_file}" if options.token else " of MATRIX_ACCESS_TOKEN" if token else ""
    if token is None and not _takes_passwords(homeserver):
        say("This homeserver has no login by password. Give an access token: clients show it in their settings.")
        token = ask_secret("Access token")
    if token is not None:
        homeserver.access_token = token
        try:
            me = homeserver.whoami()
        except MatrixError as error:
            if error.errcode != "M_UNKNOWN_TOKEN":
                raise
            raise AuthCancelledError(f"the homeserver refused the access token{source}: {error}") from None
        _check_owner(me["user_id"], options.user)
        yield me, callbacks(homeserver, options, me["user_id"], password)
        return
    account, password = _log_in(homeserver, options.user, password)
    try:
        yield account, callbacks(homeserver, options, account["user_id"], password)
    finally:
        _log_out(homeserver)


def _check_owner(user_id: str, wanted: str | None) -> None:
    """Refuse to act for another account than the one that is meant."""
    if wanted and wanted not in (user_id, user_id.removeprefix("@").partition(":")[0]):
        owner = printable(user_id)
        raise AuthCancelledError(f"the access token is that of {owner}, and --user says {wanted}: nothing was done")


def _takes_passwords(homeserver: Homeserver) -> bool:
    flows = homeserver._get(f"{CLIENT}/login", again=True).get("flows")
    listed = flows if isinstance(flows, list) else ()
    return any(isinstance(flow, dict) and flow.get("type") == AuthType.PASSWORD for flow in listed)


def _log_in(homeserver: Homeserver, user: str | None, password: str | None) -> tuple[LoginResponse, str]:
    name = ""

    def send() -> tuple[LoginResponse, str]:
        nonlocal name
        name = user or (read(f"User name (Enter keeps {name}): ") or name if name else ask("User name"))
        secret = password or ask_secret(f"Password of {name}")
        return homeserver.login(name, secret, initial_device_display_name="interactive_auth"), secret

    def is_refused(error: MatrixError) -> str | None:
        if error.errcode != "M_FORBIDDEN":
            return None
        if password is not None:
            raise AuthCancelledError(f"the homeserver refused the password of MATRIX_PASSWORD: {error}") from None
        return f"The homeserver refused the login: {refusal_words(error)}"

    return persist(send, is_refused)


def _log_out(homeserver: Homeserver) -> None:
    try:
        homeserver.logout()
    except KeyboardInterrupt:
        say("This program's own device, interactive_auth, may still be logged in.")
        raise
    except InteractiveAuthError as error:
        # A deactivated account's devices, and one that was deleted, are logged out already.
        if not (isinstance(error, MatrixError) and error.errcode == "M_UNKNOWN_TOKEN"):
            say(f"This program's own device, interactive_auth, is still logged in: {error}")
