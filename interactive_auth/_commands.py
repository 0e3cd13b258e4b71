"""What the command line does: a function for each command, and what they share.

What must not be here: arguments and exit statuses, which are ``__main__``'s, and asking for a stage's answer, which is
``console``'s.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ._access import TRIES, callbacks, logged_in, persist, variable
from ._engine.auth import InteractiveAuth
from ._errors import AuthCancelledError, AuthTimeoutError, DelegatedAuthError, MatrixError, ServerProtocolError
from ._http.endpoints import CLIENT
from ._prompts import ask, ask_secret, ask_yes_no, is_at_terminal, say
from ._text import is_text, printable, web_url
from ._types import AuthType, Inputs, StartAuthStage, Wait
from ._waitline import WaitLine
from ._words import refusal_words
from .homeserver import Homeserver, LoginResponse, UIARequest, WhoamiResponse

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
    name = _new_name(homeserver, options.user)
    stages = callbacks(homeserver, options, name, registration_token=options.token or variable("REGISTRATION_TOKEN"))
    # A device whose access token nobody was shown would stay logged in for ever.
    request = partial(
        homeserver.register, name, initial_device_display_name="interactive_auth", inhibit_login=not options.json
    )
    account = _with_new_password(f"Password for {name}", variable("PASSWORD"), request, stages)
    return Done(account, f"Registered {account['user_id']}")


def change_password(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Change the password."""
    with logged_in(homeserver, options) as (me, stages):
        request = partial(homeserver.change_password, logout_devices=not options.keep_devices)
        response = _with_new_password("New password", variable("NEW_PASSWORD"), request, stages)
    devices = "" if options.keep_devices else ", and its other devices were logged out"
    return Done(response, f"The password of {me['user_id']} was changed{devices}")


def reset_password(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Set a new password in place of a forgotten one, by a link that is mailed to an address of the account."""
    stages = callbacks(homeserver, options, options.user)
    request = partial(homeserver.change_password, logout_devices=not options.keep_devices)
    say("You will get a mail with a link; the page that it leads to may ask you to confirm.")
    # Without an address the stage asks for it, and for another one if no account has it.
    inputs: Inputs = {"email_address": options.email} if options.email else {}
    response = _with_new_password("New password", variable("NEW_PASSWORD"), request, stages, inputs=inputs)
    devices = "" if options.keep_devices else ", and all devices were logged out"
    return Done(response, f"The password was reset{devices}")


def delete_devices(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Log devices out and delete them."""
    with logged_in(homeserver, options) as (me, stages):
        devices = _choose_devices(homeserver, me, options.device)
        response = homeserver.delete_devices(devices).authenticate(stages)
        return Done(response, f"Logged out of {me['user_id']}: {', '.join(map(printable, devices))}")


def deactivate(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Deactivate the account permanently."""
    with logged_in(homeserver, options) as (me, stages):
        erased = " and what it has written hidden" if options.erase else ""
        user_id = printable(me["user_id"])
        warning = "This cannot be undone, and the name can never be used again."
        if not options.yes and not ask_yes_no(f"Shall {user_id} be deactivated{erased}? {warning}"):
            raise AuthCancelledError(f"{user_id} was left as it is")
        response = homeserver.deactivate_account(erase=options.erase or None).authenticate(stages)
        return Done(response, f"{me['user_id']} was deactivated")


def reset_keys(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Replace the cross-signing keys by those that a client has made and signed."""
    keys = _read_keys(options.keys)
    with logged_in(homeserver, options) as (me, stages):
        response = homeserver.upload_cross_signing_keys(**keys).authenticate(stages)
        return Done(response, f"The cross-signing keys of {me['user_id']} are now those of {options.keys}")


def add_email(homeserver: Homeserver, options: argparse.Namespace) -> Done:
    """Add an email address to the account."""
    with logged_in(homeserver, options) as (me, stages):
        client_secret = secrets.token_hex(16)
        address, reply = _request_mail(homeserver, options.email, client_secret)
        sid, submit_url = reply.get("sid"), reply.get("submit_url")
        if not is_text(sid):
            raise ServerProtocolError(f"{homeserver.base_url} has sent a mail, and says no usable sid")
        say(f"Mail sent to {address}.")
        if submit_url is None:
            say("Open the link in the mail.")
        else:
            if web_url(submit_url) is None:
                raise ServerProtocolError(f"{homeserver.base_url} wants the mail's code at an address that is none")
            _submit_code(homeserver, submit_url, sid, client_secret)
        response = _once_validated(homeserver.add_threepid(client_secret, sid), stages)
        return Done(response, f"{address} was added to {me['user_id']}")


# What they share


def _new_name(homeserver: Homeserver, given: str | None) -> str:
    """Return a name that can be registered, as far as the homeserver says; of a user id, the name in it."""
    tries = 0
    while True:
        tries += 1
        name = (given or ask("User name")).removeprefix("@").partition(":")[0]
        try:
            if homeserver.username_available(name):
                return name
            reason = f"The name {name} is taken."
        except MatrixError as error:
            if error.errcode not in ("M_INVALID_USERNAME", "M_INVALID_PARAM"):
                return name  # the registration itself will tell
            reason = f"The homeserver does not take the name {name}: {refusal_words(error)}."
        if given or tries == TRIES:
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

    def send() -> dict[str, Any]:
        response: dict[str, Any] = make_request(given or _ask_twice(prompt)).authenticate(stages, **options)
        return response

    def is_weak(error: MatrixError) -> str | None:
        is_asked_for = given is None and (error.errcode or "").startswith(_WEAK)
        return f"The homeserver does not take this password: {refusal_words(error)}" if is_asked_for else None

    return persist(send, is_weak)


def _ask_twice(prompt: str) -> str:
    """Ask for a new password; a person at a terminal cannot see what they have typed, and types it twice."""
    while True:
        password = ask_secret(prompt)
        if not is_at_terminal() or ask_secret("Repeat the password") == password:
            return password
        say("The two are not the same.")


def _choose_devices(homeserver: Homeserver, me: LoginResponse | WhoamiResponse, named: Sequence[str]) -> Sequence[str]:
    """Return the devices that are to go, as they were named, or as a person chooses from the account's."""
    own, user_id = me.get("device_id"), printable(me["user_id"])
    devices = homeserver._call("GET", f"{CLIENT}/devices", with_token=True).get("devices")
    listed = devices if isinstance(devices, list) else ()
    known = [device for device in listed if isinstance(device, dict) and is_text(device.get("device_id"))]
    ids = [device["device_id"] for device in known]
    if named:
        if missing := [printable(device) for device in named if device not in ids]:
            raise AuthCancelledError(f"{user_id} has no device {', '.join(missing)}; none was logged out")
        return list(dict.fromkeys(named))
    others = [device for device in known if device["device_id"] != own]
    if not others:
        raise AuthCancelledError("there is no device but the one that this program uses")
    if len(others) < len(known):
        say("This program's own device is not listed.")
    for number, device in enumerate(others, 1):
        name = f" {printable(device['display_name'])}" if is_text(device.get("display_name")) else ""
        say(f"{number}: {printable(device['device_id'])}{name}{_last_seen(device.get('last_seen_ts'))}")
    choices = {device["device_id"]: device["device_id"] for device in others}
    choices |= {str(number): device["device_id"] for number, device in enumerate(others, 1)}
    for _ in range(TRIES):
        answer = ask("Which devices do you want to log out (numbers or ids, or all)")
        chosen = [*choices] if answer == "all" else answer.replace(",", " ").split()
        if all(choice in choices for choice in chosen):
            return list(dict.fromkeys(choices[choice] for choice in chosen))
        say(f"Choose by numbers from 1 to {len(others)}, with spaces between them, or by device ids.")
    raise AuthCancelledError(f"no device was chosen in {TRIES} tries, and none was logged out")


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
        json.dumps(keys, ensure_ascii=False, allow_nan=False).encode()
    except (OSError, ValueError) as error:
        raise UsageError(f"argument --keys: {file} cannot be read as JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"argument --keys: {file} is nested too deeply") from None
    given = {name: keys[name] for name in names if name in keys} if isinstance(keys, dict) else {}
    if not given or not all(isinstance(key, dict) for key in given.values()):
        raise UsageError(f"argument --keys: {file} must hold an object with one or more objects: {', '.join(names)}")
    return given


def _request_mail(homeserver: Homeserver, given: str | None, client_secret: str) -> tuple[str, Mapping[str, Any]]:
    """Have a mail sent to an address that is to be added; return the address and the homeserver's answer."""

    def send() -> tuple[str, Mapping[str, Any]]:
        address = given or ask("Email address to add")
        return address, homeserver.request_email_token("account/3pid", address, client_secret)

    def is_unfit(error: MatrixError) -> str | None:
        is_asked_for = given is None and error.http_status in (400, 403)
        return f"Nothing was sent to that address: {refusal_words(error)}" if is_asked_for else None

    return persist(send, is_unfit)


def _submit_code(homeserver: Homeserver, submit_url: str, sid: str, client_secret: str) -> None:
    for _ in range(TRIES):
        try:
            if homeserver.submit_token(submit_url, sid, client_secret, ask("Code in the mail")):
                return
        except MatrixError as error:
            if error.errcode != "M_SESSION_EXPIRED":  # MSC4183
                raise
            raise AuthCancelledError("the code came too late, and the address was not added: begin again") from error
        say("That code is wrong.")
    raise AuthCancelledError("the code was wrong each time, and the address was not added")


def _once_validated(request: UIARequest[Any], stages: Mapping[str, StartAuthStage]) -> dict[str, Any]:
    """Send a request, again until the address in it was validated by the link in the mail."""
    show, session = WaitLine(), None
    deadline = time.monotonic() + _PATIENCE
    try:
        while True:
            # The refusal did not say which stages are completed; asked by the session alone, the homeserver does.
            auth = InteractiveAuth(request, stages, session_id=session)
            try:
                response: dict[str, Any] = auth.attempt_auth()
                return response
            except MatrixError as error:
                if error.errcode != "M_THREEPID_AUTH_FAILED":
                    raise
                refusal, session = error, auth.get_session_id()
            if (left := deadline - time.monotonic()) <= 0:
                raise AuthTimeoutError(AuthType.EMAIL, _PATIENCE) from refusal
            show(Wait(AuthType.EMAIL, left, "stage"))
            time.sleep(_INTERVAL)
            show(None)  # the next attempt may ask for something
    finally:
        show(None)
