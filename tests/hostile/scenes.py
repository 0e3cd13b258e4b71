"""What a client does in an exchange with a hostile server: a function for each use of the library.

Shared by the tests here and by the fuzz target, as ``exchanges`` is.
"""

from __future__ import annotations

import copy
import getpass
import io
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from typing import Any
from unittest.mock import patch

import requests

from interactive_auth import (
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    Stage,
    console,
    handlers,
    raise_for_matrix_error,
)

from .exchanges import ADDRESS, CallbackError, Client


def answer(stage: Stage) -> dict[str, Any]:
    """Answer every stage, with its type alone."""
    return {"type": stage.type}


def refuse(stage: Stage) -> dict[str, Any]:
    """Answer the first two stages, and then raise."""
    if len(stage.completed) + stage.attempt > 2:
        raise CallbackError
    return {"type": stage.type}


def read_all(stage: Stage) -> None:
    """Do with a stage what a program may do with it, and wait for it to be done elsewhere."""
    assert copy.deepcopy(stage) == stage or "nan" in repr(stage)
    pickle.dumps(stage)
    json.dumps(dict(stage.params))
    assert stage.client_secret not in repr(stage)


def ready_made(homeserver: Homeserver) -> Mapping[str, Any]:
    """Return the ready-made handlers, with a person who is content with everything."""
    page = handlers.fallback(homeserver, str)
    return {
        "m.login.password": handlers.password("alice", "wrong"),
        "m.login.registration_token": handlers.registration_token(lambda: "a-token"),
        "m.login.recaptcha": handlers.recaptcha(lambda key, url: key[:20] or "solved", homeserver),
        "m.login.terms": handlers.terms(lambda policies: all(policy.url for policy in policies)),
        "m.login.email.identity": handlers.email(read_all, ask_address=lambda: "alice@example.org"),
        "m.login.msisdn": handlers.msisdn(lambda: "123456", homeserver, ask_number=lambda: ("GB", "7700900000")),
        "m.oauth": handlers.oauth(str),
        "*": page,
    }


INPUTS: Any = {"email_address": "alice@example.org", "phone_country": "GB", "phone_number": "7700900000"}


def register(client: Client) -> object:
    """Register by a callback that answers every stage."""
    return client.open(ADDRESS).register("alice", "correct horse").authenticate(answer)


def register_on_a_whim(client: Client) -> object:
    """Register by a callback that raises after a while."""
    return client.open(ADDRESS).register("alice").authenticate(refuse)


def register_ready_made(client: Client) -> object:
    """Register by the ready-made handlers, which are told all that the server says."""
    homeserver = client.open(ADDRESS)
    return homeserver.register("alice").authenticate(ready_made(homeserver), poll_timeout=20)


def register_with_inputs(client: Client) -> object:
    """Register with an address and a number, so that mail and SMS are asked for first."""
    homeserver = client.open(ADDRESS)
    return homeserver.register("alice").authenticate(ready_made(homeserver), inputs=INPUTS, poll_timeout=20)


def register_at_a_console(client: Client) -> object:
    """Register by the console's handlers; nothing may reach the terminal that steers it."""
    homeserver = client.open(ADDRESS)
    shown = io.StringIO()

    def read(prompt: str = "") -> str:
        shown.write(prompt)
        return "y"

    try:
        with redirect_stdout(shown), patch("builtins.input", read), patch.object(getpass, "getpass", read):
            return homeserver.register("alice").authenticate(console.handlers(homeserver), poll_timeout=5)
    finally:
        steering = [c for c in shown.getvalue() if not c.isprintable() and c not in "\n\r"]
        assert not steering, f"these reach the terminal: {steering[:10]!r}"


def wait_for_stages(client: Client) -> object:
    """Delete a device, with every stage done elsewhere."""
    homeserver = client.open(ADDRESS, access_token="the-access-token")
    request = homeserver.delete_device("ABC")
    return request.authenticate(read_all, email_sid="e", msisdn_sid="m", poll_timeout=20)


def come_back(client: Client) -> object:
    """Go on in another process after whatever ended the first attempt."""
    request = client.open(ADDRESS).register("alice")
    auth: InteractiveAuth[Any] = InteractiveAuth(request, answer)
    try:
        return auth.attempt_auth()
    except InteractiveAuthError:
        state = auth.get_resume_state()
    carried = json.loads(json.dumps(state))
    again: InteractiveAuth[Any] = InteractiveAuth(request, answer, **carried)
    assert json.dumps(again.get_resume_state()) == json.dumps(state)
    return again.attempt_auth()


def request_tokens(client: Client) -> object:
    """Ask for a mail and an SMS by hand, and post the code of the latter."""
    homeserver = client.open(ADDRESS)
    request = homeserver.change_password("better horse")
    auth: InteractiveAuth[Any] = InteractiveAuth(
        request, answer, inputs=INPUTS, request_email_token=request.request_email_token,
        request_msisdn_token=request.request_msisdn_token,
    )  # fmt: skip
    auth.request_email_token()
    auth.request_msisdn_token()
    assert auth.get_email_sid()
    params = auth.get_stage_params("m.login.msisdn") or {}
    url = params.get("submit_url") or f"{ADDRESS}/submit"
    return homeserver.submit_token(url, auth.get_msisdn_sid() or "", auth.get_client_secret(), "123456")


def ask_validity(client: Client) -> object:
    """Ask whether a registration token is valid."""
    return client.open(ADDRESS).registration_token_validity("a-token")


def ask_available(client: Client) -> object:
    """Ask whether a user name is free."""
    return client.open(ADDRESS).username_available("alice")


def discover(client: Client) -> object:
    """Find a homeserver by its name."""
    return Homeserver.discover("@alice:example.org").base_url


def discover_by_session(client: Client) -> object:
    """Find a homeserver by its name, by a session of the caller's."""
    return Homeserver.discover("example.org", session=client.session).base_url


def register_by_session(client: Client) -> object:
    """Register by a session of the caller's."""
    return client.open(ADDRESS, session=client.session).register("alice").authenticate(answer)


def register_by_hand(client: Client) -> object:
    """Register by a request that is written by hand, over requests."""

    def do_request(auth: dict[str, Any] | None) -> dict[str, Any]:
        body = {} if auth is None else {"auth": auth}
        # requests reads a Location that it is not to follow, and stumbles. As the cause of another error that would
        # keep alive the response that requests has dropped without closing it.
        with suppress(ValueError):
            response = client.session.post(f"{ADDRESS}/x", json=body, timeout=10, allow_redirects=False, stream=True)
            return raise_for_matrix_error(response)
        raise CallbackError

    try:
        return InteractiveAuth(do_request, answer).attempt_auth()
    except requests.RequestException as error:  # do_request's own, raised once it was repeated as often as is allowed
        raise CallbackError from error


SCENES: Sequence[Callable[[Client], object]] = (
    register,
    register_on_a_whim,
    register_ready_made,
    register_with_inputs,
    register_at_a_console,
    wait_for_stages,
    come_back,
    request_tokens,
    ask_validity,
    ask_available,
    discover,
    discover_by_session,
    register_by_session,
    register_by_hand,
)
