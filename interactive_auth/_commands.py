"""What the command line does: a function for each command, and what they share.

What must not be here: arguments and exit statuses, which are ``__main__``'s, and asking for a stage's answer, which is
``console``'s.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from . import console, handlers
from ._engine.auth import InteractiveAuth
from ._errors import (
    AuthCancelledError,
    AuthTimeoutError,
    DelegatedAuthError,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
)
from ._http.endpoints import CLIENT
from ._prompts import ask, ask_secret, ask_yes_no, is_at_terminal, read, say
from ._text import is_text, printable
from ._types import AuthType, Stage, StartAuthStage, Wait
from ._waitline import WaitLine
from ._words import refusal_words
from .homeserver import Homeserver, LoginResponse, UIARequest, WhoamiResponse

#: How often a person is asked again for what the homeserver does not take.
_TRIES = 3
#: Seconds for which the link in a mail is waited for, and between two looks.
_PATIENCE, _INTERVAL = 600.0, 3.0
#: How the error codes begin by which homeservers refuse a new password (client-server API, "Password-based", Synapse).
_WEAK = ("M_WEAK_PASSWORD", "M_PASSWORD_")


class UsageError(Exception):
    """An argument is wrong; the text is one line for a person."""


class Done(NamedTuple):
    """What came of a command: the homeserver's response, and the same in words."""

    response: Mapping[str, Any]
    words: str


# The commands


def register(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Make an account."""
    try:
        homeserver.username_available("alice")  # any name will do: whether anybody may register is asked for
    except MatrixError as error:
        if isinstance(error, DelegatedAuthError) or error.errcode == "M_FORBIDDEN":
            raise
    name = _new_name(homeserver, options.user and options.user.removeprefix("@").partition(":")[0])
    stages = _stages(homeserver, options, name, registration_token=options.token or _variable("REGISTRATION_TOKEN"))
    # A device whose access token nobody was shown would stay logged in for ever.
    request = partial(
        homeserver.register, name, initial_device_display_name="interactive_auth", inhibit_login=not options.json
    )
    account = _with_new_password(f"Password for {name}", _variable("PASSWORD"), request, stages)
    return Done(account, f"Registered {account['user_id']}")


def change_password(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Change the password."""
    with _logged_in(homeserver, options) as (me, stages):
        request = partial(homeserver.change_password, logout_devices=not options.keep_devices)
        response = _with_new_password("New password", _variable("NEW_PASSWORD"), request, stages)
    devices = "" if options.keep_devices else ", and its other devices were logged out"
    return Done(response, f"The password of {me['user_id']} was changed{devices}")


def reset_password(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Set a new password in place of a forgotten one, by a link that is mailed to an address of the account."""
    address = options.email or ask("Email address of the account")
    stages = _stages(homeserver, options, options.user)
    request = partial(homeserver.change_password, logout_devices=not options.keep_devices)
    response = _with_new_password(
        "New password", _variable("NEW_PASSWORD"), request, stages, inputs={"email_address": address}
    )
    devices = "" if options.keep_devices else ", and all devices were logged out"
    return Done(response, f"The password was reset{devices}")


def delete_devices(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Log devices out and delete them."""
    with _logged_in(homeserver, options) as (me, stages):
        devices = _choose_devices(homeserver, me.get("device_id"), options.device)
        response = homeserver.delete_devices(devices).authenticate(stages)
        return Done(response, f"Devices of {me['user_id']} that were logged out: {', '.join(map(printable, devices))}")


def deactivate(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """End the account for good."""
    with _logged_in(homeserver, options) as (me, stages):
        erased = " and what it has written hidden" if options.erase else ""
        question = f"Shall {me['user_id']} be deactivated{erased}? It cannot be undone, nor the name used again."
        if not options.yes and not ask_yes_no(question):
            raise AuthCancelledError(f"{me['user_id']} was left as it is")
        response = homeserver.deactivate_account(erase=options.erase or None).authenticate(stages)
        return Done(response, f"{me['user_id']} was deactivated")


def reset_keys(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Replace the cross-signing keys by those that a client has made and signed."""
    keys = _read_keys(options.keys)
    with _logged_in(homeserver, options) as (me, stages):
        response = homeserver.upload_cross_signing_keys(**keys).authenticate(stages)
        return Done(response, f"The cross-signing keys of {me['user_id']} are now those of {options.keys}")


def add_email(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Add an email address to the account."""
    with _logged_in(homeserver, options) as (me, stages):
        address = options.email or ask("Email address to add")
        client_secret = secrets.token_hex(16)
        reply = homeserver.request_email_token("account/3pid", address, client_secret)
        sid, submit_url = reply.get("sid"), reply.get("submit_url")
        if not is_text(sid):
            raise ServerProtocolError(f"{homeserver.base_url} has sent a mail, and says no usable sid")
        say(f"Mail sent to {address}.")
        if is_text(submit_url):
            _submit_code(homeserver, submit_url, sid, client_secret)
        response = _once_validated(homeserver.add_threepid(client_secret, sid), stages)
        return Done(response, f"{address} was added to {me['user_id']}")


# What they share


def _stages(
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


def _new_name(homeserver: Homeserver, given: str | None) -> str:
    """Return a name that can be registered, as far as the homeserver says."""
    tries = 0
    while True:
        tries += 1
        name = given or ask("User name")
        try:
            if homeserver.username_available(name):
                return name
            reason = f"The name {name} is taken."
        except MatrixError as error:
            if error.errcode not in ("M_INVALID_USERNAME", "M_INVALID_PARAM"):
                return name  # the registration itself will tell
            reason = f"The homeserver does not take the name {name}: {refusal_words(error)}."
        if given is not None or tries == _TRIES:
            raise AuthCancelledError(f"{reason} Nothing was registered")
        say(f"{reason} Choose another one.")


def _with_new_password(
    prompt: str,
    given: str | None,
    make_request: Callable[[str], UIARequest[Any]],
    stages: Mapping[str, StartAuthStage],
    **options: Any,
) -> dict[str, Any]:
    """Ask for a new password, again where the homeserver finds it too weak, and send the request."""
    tries = 0
    while True:
        tries += 1
        password = given or _ask_twice(prompt)
        try:
            response: dict[str, Any] = make_request(password).authenticate(stages, **options)
            return response
        except MatrixError as error:
            if not (error.errcode or "").startswith(_WEAK) or given is not None or tries == _TRIES:
                raise
            say(f"The homeserver does not take this password: {refusal_words(error)}")


def _ask_twice(prompt: str) -> str:
    """Ask for a new password; a person at a terminal cannot see what they have typed, and types it twice."""
    while True:
        password = ask_secret(prompt)
        if not is_at_terminal() or ask_secret("The same once more") == password:
            return password
        say("The two are not the same.")


@contextmanager
def _logged_in(
    homeserver: Homeserver, options: argparse.Namespace
) -> Iterator[tuple[LoginResponse | WhoamiResponse, Mapping[str, StartAuthStage]]]:
    """Act for the person: by an access token, or logged in for as long as the block lasts.

    Yields:
        Whose the access token is, and the callbacks for the stages.
    """
    token, password = options.token or _variable("ACCESS_TOKEN"), _variable("PASSWORD")
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
        yield me, _stages(homeserver, options, me["user_id"], password)
        return
    account, password = _log_in(homeserver, options.user, password)
    try:
        yield account, _stages(homeserver, options, account["user_id"], password)
    finally:
        _log_out(homeserver)


def _takes_passwords(homeserver: Homeserver) -> bool:
    flows = homeserver._get(f"{CLIENT}/login", again=True).get("flows")
    listed = flows if isinstance(flows, list) else ()
    return any(isinstance(flow, dict) and flow.get("type") == AuthType.PASSWORD for flow in listed)


def _log_in(homeserver: Homeserver, user: str | None, password: str | None) -> tuple[LoginResponse, str]:
    tries, name = 0, user or ask("User name")
    while True:
        tries += 1
        secret = password or ask_secret(f"Password of {name}")
        try:
            account = homeserver.login(name, secret, initial_device_display_name="interactive_auth")
        except MatrixError as error:
            if error.errcode != "M_FORBIDDEN" or tries == _TRIES:
                raise
            if password is not None:
                raise AuthCancelledError(f"the homeserver refused the password of MATRIX_PASSWORD: {error}") from None
            say(f"The homeserver refused it: {refusal_words(error)}")
            name = user or read(f"User name (Enter keeps {name}): ") or name
        else:
            return account, secret


def _log_out(homeserver: Homeserver) -> None:
    try:
        homeserver.logout()
    except InteractiveAuthError as error:
        # A deactivated account's devices, and one that was deleted, are logged out already.
        if not (isinstance(error, MatrixError) and error.errcode == "M_UNKNOWN_TOKEN"):
            say(f"This program's own device, interactive_auth, is still logged in: {error}")


def _choose_devices(homeserver: Homeserver, own: str | None, named: Sequence[str]) -> Sequence[str]:
    """Return the devices that are to go, as they were named, or as a person chooses from the account's."""
    devices = homeserver._call("GET", f"{CLIENT}/devices", with_token=True).get("devices")
    listed = devices if isinstance(devices, list) else ()
    known = [device for device in listed if isinstance(device, dict) and is_text(device.get("device_id"))]
    ids = [device["device_id"] for device in known]
    if named:
        if missing := [printable(device) for device in named if device not in ids]:
            raise AuthCancelledError(f"the account has no device {', '.join(missing)}; none was logged out")
        return named
    others = [device for device in known if device["device_id"] != own]
    if not others:
        raise AuthCancelledError("there is no device but the one that this program uses")
    if len(others) < len(known):
        say("The device that this program uses itself is left out.")
    for number, device in enumerate(others, 1):
        name = f" {printable(device['display_name'])}" if is_text(device.get("display_name")) else ""
        say(f"{number}: {printable(device['device_id'])}{name}{_last_seen(device.get('last_seen_ts'))}")
    choices = {device["device_id"]: device["device_id"] for device in others}
    choices |= {str(number): device["device_id"] for number, device in enumerate(others, 1)}
    for _ in range(_TRIES):
        answer = ask("Which are to be logged out (numbers or ids with spaces between them, or all)")
        chosen = [*choices] if answer == "all" else answer.split()
        if all(choice in choices for choice in chosen):
            return list(dict.fromkeys(choices[choice] for choice in chosen))
        say(f"That is not a choice of numbers from 1 to {len(others)}, or of ids.")
    raise AuthCancelledError("no device was chosen, and none was logged out")


def _last_seen(milliseconds: object) -> str:
    """Return when a device was last seen, as far as a server's milliseconds are a date that there is."""
    if not isinstance(milliseconds, int):
        return ""
    with suppress(OverflowError, ValueError, OSError):
        return f", last seen {datetime.fromtimestamp(milliseconds / 1000, timezone.utc):%Y-%m-%d}"
    return ""


def _read_keys(file: Path) -> dict[str, Any]:
    """Read signed public keys, as a client makes them for the upload."""
    names = ("master_key", "self_signing_key", "user_signing_key")
    try:
        keys = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"argument --keys: {file} cannot be read as JSON: {error}") from None
    if not isinstance(keys, dict) or not any(name in keys for name in names):
        raise UsageError(f"argument --keys: {file} must hold an object with one or more of {', '.join(names)}")
    return {name: keys[name] for name in names if name in keys}


def _submit_code(homeserver: Homeserver, submit_url: str, sid: str, client_secret: str) -> None:
    for _ in range(_TRIES):
        if homeserver.submit_token(submit_url, sid, client_secret, ask("Code in the mail")):
            return
        say("That code is wrong.")
    raise AuthCancelledError("the code was wrong each time, and the address was not added")


def _once_validated(request: UIARequest[Any], stages: Mapping[str, StartAuthStage]) -> dict[str, Any]:
    """Send a request, again until the address in it was validated by the link in the mail."""
    auth = InteractiveAuth(request, stages)
    show = WaitLine()
    deadline = time.monotonic() + _PATIENCE
    try:
        while True:
            try:
                response: dict[str, Any] = auth.attempt_auth()  # goes on in the same session, and asks nobody twice
                return response
            except MatrixError as error:
                if error.errcode != "M_THREEPID_AUTH_FAILED":
                    raise
                refusal = error
            if (left := deadline - time.monotonic()) <= 0:
                raise AuthTimeoutError(AuthType.EMAIL, _PATIENCE) from refusal
            show(Wait(AuthType.EMAIL, left, "stage"))
            time.sleep(_INTERVAL)
    finally:
        show(None)


def _variable(name: str) -> str | None:
    return os.environ.get(f"MATRIX_{name}") or None
