"""The examples of the specification's OpenAPI files (v1.19): each request is sent as it stands there, each answer read.

The files are registration, password_management, account_deactivation, administrative_contact, device_management,
cross_signing, login_token, registration_tokens, login, refresh, logout, whoami and oauth_server_metadata, with the
definitions that they name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.wire import Reply, serve

from interactive_auth import Homeserver, MatrixError, UIARequest
from interactive_auth.homeserver import Purpose

TESTS = Path(__file__).parents[1]
CLIENT = "/_matrix/client/v3"
#: definitions/auth_response: what wants authentication is answered with it.
CHALLENGE = {
    "flows": [{"stages": ["example.type.foo"]}],
    "params": {"example.type.baz": {"example_key": "foobar"}},
    "session": "xxxxxxyz",
    "completed": [],
}
#: definitions/auth_data, as it is sent then.
ANSWER = {"type": "example.type.foo", "example_credential": "verypoorsharedsecret"}
#: definitions/errors/rate_limited.
LIMITED = (429, {"errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests", "retry_after_ms": 2000})


def error(status: int, errcode: str, words: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """Make an answer that is an error."""
    return status, {"errcode": errcode, "error": words, **more}


class Example(NamedTuple):
    """An endpoint with its examples.

    Attributes:
        call: makes the request, or sends it.
        path: where it is sent, after the method.
        body: what is sent; None for nothing.
        answer: the example of the success.
        errors: those of the errors.
        returned: what is returned, if not the answer.
    """

    call: Callable[[Homeserver], Any]
    path: str
    body: dict[str, Any] | None
    answer: dict[str, Any]
    errors: tuple[tuple[int, dict[str, Any]], ...] = (LIMITED,)
    returned: Any = ...


_KEYS: dict[str, Any] = {
    "master_key": {
        "user_id": "@alice:example.com",
        "usage": ["master"],
        "keys": {"ed25519:base64+master+public+key": "base64+master+public+key"},
    },
    "self_signing_key": {
        "user_id": "@alice:example.com",
        "usage": ["self_signing"],
        "keys": {"ed25519:base64+self+signing+public+key": "base64+self+signing+master+public+key"},
        "signatures": {
            "@alice:example.com": {"ed25519:base64+master+public+key": "signature+of+self+signing+key"},
        },
    },
    "user_signing_key": {
        "user_id": "@alice:example.com",
        "usage": ["user_signing"],
        "keys": {"ed25519:base64+user+signing+public+key": "base64+user+signing+master+public+key"},
        "signatures": {
            "@alice:example.com": {"ed25519:base64+master+public+key": "signature+of+user+signing+key"},
        },
    },
}
_PERSON: dict[str, Any] = {
    "username": "cheeky_monkey",
    "password": "ilovebananas",
    "device_id": "GHTYAJCE",
    "initial_device_display_name": "Jungle Phone",
    "inhibit_login": False,
    "refresh_token": True,
}
_ACCOUNT = {"user_id": "@cheeky_monkey:matrix.org", "access_token": "abc123", "device_id": "GHTYAJCE"}

#: The eight endpoints that demand authentication.
AUTHENTICATED = {
    "register": Example(
        lambda h: h.register(**_PERSON, kind="user"),
        f"POST {CLIENT}/register?kind=user",
        _PERSON,
        _ACCOUNT,
        (
            error(400, "M_USER_IN_USE", "Desired user ID is already taken."),
            error(403, "M_FORBIDDEN", "Registration is disabled"),
            LIMITED,
        ),
    ),
    "password": Example(
        lambda h: h.change_password("ihatebananas", logout_devices=True),
        f"POST {CLIENT}/account/password",
        {"new_password": "ihatebananas", "logout_devices": True},
        {},
    ),
    "deactivate": Example(
        lambda h: h.deactivate_account(id_server="example.org", erase=False),
        f"POST {CLIENT}/account/deactivate",
        {"id_server": "example.org", "erase": False},
        {"id_server_unbind_result": "success"},
    ),
    "3pid": Example(
        lambda h: h.add_threepid("d0nt-T3ll", "abc123987"),
        f"POST {CLIENT}/account/3pid/add",
        {"client_secret": "d0nt-T3ll", "sid": "abc123987"},
        {},
    ),
    "device": Example(lambda h: h.delete_device("QBUAZIFURK"), f"DELETE {CLIENT}/devices/QBUAZIFURK", {}, {}, ()),
    "devices": Example(
        lambda h: h.delete_devices(["QBUAZIFURK", "AUIECTSRND"]),
        f"POST {CLIENT}/delete_devices",
        {"devices": ["QBUAZIFURK", "AUIECTSRND"]},
        {},
        (),
    ),
    "keys": Example(
        lambda h: h.upload_cross_signing_keys(**_KEYS),
        f"POST {CLIENT}/keys/device_signing/upload",
        _KEYS,
        {},
        (
            error(400, "M_INVALID_SIGNATURE", "Invalid signature"),
            error(403, "M_FORBIDDEN", "Key ID in use"),
        ),
    ),
    "login token": Example(
        lambda h: h.get_login_token(),
        "POST /_matrix/client/v1/login/get_token",
        {},
        {"login_token": "<opaque string>", "expires_in_ms": 120000},
    ),
}

_EXTRA = {"next_link": "https://example.org/congratulations.html"}
_MAIL = {"client_secret": "monkeys_are_GREAT", "email": "alice@example.org", "send_attempt": 1, **_EXTRA}
_SMS = {
    "client_secret": "monkeys_are_GREAT",
    "country": "GB",
    "phone_number": "07700900001",
    "send_attempt": 1,
    **_EXTRA,
}
_SENT = {"sid": "123abc", "submit_url": "https://example.org/path/to/submitToken"}
_DENIED = error(403, "M_THREEPID_DENIED", "Third-party identifier is not allowed")
_IN_USE = error(400, "M_THREEPID_IN_USE", "The specified address is already in use")


def mail(purpose: Purpose, *errors: tuple[int, dict[str, Any]]) -> Example:
    """Make the example of a mail."""
    return Example(
        lambda h: h.request_email_token(purpose, "alice@example.org", "monkeys_are_GREAT", **_EXTRA),
        f"POST {CLIENT}/{purpose}/email/requestToken",
        _MAIL,
        _SENT,
        (*errors, _DENIED),
    )


def sms(purpose: Purpose, *errors: tuple[int, dict[str, Any]]) -> Example:
    """Make the example of an SMS."""
    return Example(
        lambda h: h.request_msisdn_token(purpose, "GB", "07700900001", "monkeys_are_GREAT", **_EXTRA),
        f"POST {CLIENT}/{purpose}/msisdn/requestToken",
        _SMS,
        _SENT,
        (*errors, _DENIED),
    )


_METADATA = {
    "issuer": "https://account.example.com/",
    "authorization_endpoint": "https://account.example.com/oauth2/auth",
    "token_endpoint": "https://account.example.com/oauth2/token",
    "registration_endpoint": "https://account.example.com/oauth2/clients/register",
    "revocation_endpoint": "https://account.example.com/oauth2/revoke",
    "response_types_supported": ["code"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "response_modes_supported": ["query", "fragment"],
    "code_challenge_methods_supported": ["S256"],
    "account_management_uri": "https://account.example.com/manage",
    "account_management_actions_supported": [
        "org.matrix.profile",
        "org.matrix.devices_list",
        "org.matrix.device_view",
        "org.matrix.device_delete",
        "org.matrix.account_deactivate",
        "org.matrix.cross_signing_reset",
    ],
}
_LOGIN = {
    "type": "m.login.password",
    "identifier": {"type": "m.id.user", "user": "cheeky_monkey"},
    "password": "ilovebananas",
    "initial_device_display_name": "Jungle Phone",
}

#: What surrounds them.
AROUND = {
    "mail register": mail("register", _IN_USE),
    "mail password": mail("account/password", error(400, "M_THREEPID_NOT_FOUND", "Email not found")),
    "mail 3pid": mail("account/3pid", error(400, "M_THREEPID_IN_USE", "Third-party identifier already in use")),
    "sms register": sms("register", _IN_USE),
    "sms password": sms("account/password", error(400, "M_THREEPID_NOT_FOUND", "Phone number not found")),
    "sms 3pid": sms("account/3pid", error(400, "M_THREEPID_IN_USE", "Third-party identifier already in use")),
    "available": Example(
        lambda h: h.username_available("my_cool_localpart"),
        f"GET {CLIENT}/register/available?username=my_cool_localpart",
        None,
        {"available": True},
        (LIMITED,),
        True,
    ),
    "validity": Example(
        lambda h: h.registration_token_validity("fBVFdqVE"),
        "GET /_matrix/client/v1/register/m.login.registration_token/validity?token=fBVFdqVE",
        None,
        {"valid": True},
        (error(403, "M_FORBIDDEN", "Registration is not enabled on this homeserver."), LIMITED),
        True,
    ),
    "login": Example(
        lambda h: h.login("cheeky_monkey", "ilovebananas", initial_device_display_name="Jungle Phone"),
        f"POST {CLIENT}/login",
        _LOGIN,
        {
            **_ACCOUNT,
            "well_known": {
                "m.homeserver": {"base_url": "https://example.org"},
                "m.identity_server": {"base_url": "https://id.example.org"},
            },
        },
        (error(400, "M_UNKNOWN", "Bad login type."), (403, {"errcode": "M_FORBIDDEN"}), LIMITED),
    ),
    "refresh": Example(
        lambda h: h.refresh("some_token"),
        f"POST {CLIENT}/refresh",
        {"refresh_token": "some_token"},
        {"access_token": "a_new_token", "expires_in_ms": 60000, "refresh_token": "another_new_token"},
        (error(401, "M_UNKNOWN_TOKEN", "Soft logged out", soft_logout=True), LIMITED),
    ),
    "logout": Example(lambda h: h.logout(), f"POST {CLIENT}/logout", {}, {}, (), None),
    "whoami": Example(
        lambda h: h.whoami(),
        f"GET {CLIENT}/account/whoami",
        None,
        {"user_id": "@joe:example.org", "device_id": "ABC1234"},
        (
            error(401, "M_UNKNOWN_TOKEN", "Unrecognised access token."),
            error(403, "M_FORBIDDEN", "Application service has not registered this user."),
            LIMITED,
        ),
    ),
    "metadata": Example(lambda h: h.auth_metadata(), "GET /_matrix/client/v1/auth_metadata", None, _METADATA, ()),
    "no metadata": Example(
        lambda h: h.username_available("my_cool_localpart"),
        f"GET {CLIENT}/register/available?username=my_cool_localpart",
        None,
        {"available": True},
        (error(404, "M_UNRECOGNIZED", "Legacy authentication is in use on this homeserver."),),
        True,
    ),
}


def send(example: Example, homeserver: Homeserver) -> None:
    """Send the request of an example once."""
    made = example.call(homeserver)
    if isinstance(made, UIARequest):
        made()


def told(sent: Any) -> str:
    """Return where a request was sent."""
    return f"{sent.method} {sent.path}" + (f"?{sent.query}" if sent.query else "")


@pytest.mark.parametrize("example", AUTHENTICATED.values(), ids=AUTHENTICATED)
def test_what_demands_authentication(example: Example) -> None:
    """The request is sent as the example has it, again with the auth dict of the example, and the answer returned."""
    answers = [Reply(401, CHALLENGE), Reply(200, example.answer)]
    with serve(lambda sent: answers.pop(0)) as wire, Homeserver(wire.base_url, access_token="a-token") as homeserver:
        request: UIARequest[Any] = example.call(homeserver)

        response = request.authenticate({"example.type.foo": lambda stage: ANSWER})

    assert response == example.answer
    assert [told(sent) for sent in wire.sent] == [example.path] * 2
    assert [sent.body for sent in wire.sent] == [
        example.body,
        {**(example.body or {}), "auth": {**ANSWER, "session": "xxxxxxyz"}},
    ]


@pytest.mark.parametrize("example", AROUND.values(), ids=AROUND)
def test_what_surrounds_it(example: Example) -> None:
    """The request is sent as the example has it, and what it is answered is returned."""
    with (
        serve(lambda sent: Reply(200, example.answer)) as wire,
        Homeserver(wire.base_url, access_token="a-token") as homeserver,
    ):
        returned = example.call(homeserver)

    (sent,) = wire.sent
    assert returned == (example.answer if example.returned is ... else example.returned)
    assert told(sent) == example.path
    assert sent.body == (example.body or {})


ERRORS = [
    (name, example, answer)
    for name, example in {**AUTHENTICATED, **AROUND}.items()
    for answer in (example.errors if name in AROUND else (*example.errors, (401, CHALLENGE)))
]


@pytest.mark.parametrize(
    ("name", "example", "answer"), ERRORS, ids=[f"{name}-{answer[0]}" for name, _, answer in ERRORS]
)
def test_errors(name: str, example: Example, answer: tuple[int, dict[str, Any]]) -> None:
    """Each error of the examples is a MatrixError that holds it."""
    status, body = answer
    with (
        serve(lambda sent: Reply(status, body) if told(sent) == example.path else Reply(404, {})) as wire,
        Homeserver(wire.base_url, access_token="a-token", retry=None) as homeserver,
        pytest.raises(MatrixError) as caught,
    ):
        send(example, homeserver)

    assert (caught.value.http_status, caught.value.data) == (status, body)
    assert (caught.value.errcode, caught.value.error) == (body.get("errcode"), body.get("error"))
    assert caught.value.retry_after == (2.0 if status == 429 else None)


def test_names_that_are_taken() -> None:
    """Of a name that cannot be had the example is an error, and it is a no."""
    for errcode in ("M_USER_IN_USE", "M_EXCLUSIVE"):
        body = {"errcode": errcode, "error": "Desired user ID is already taken."}
        with (
            serve(lambda sent, body=body: Reply(400, body)) as wire,  # type: ignore[misc]  # the default binds it
            Homeserver(wire.base_url) as homeserver,
        ):
            assert homeserver.username_available("my_cool_localpart") is False


#: Identity service API, "POST /validate/email/submitToken" and its twin for phones, in whose way a submit_url answers.
_CODE = {"sid": "1234", "client_secret": "monkeys_are_GREAT", "token": "atoken"}


@pytest.mark.parametrize("success", [True, False])
def test_a_code(success: bool) -> None:
    """A code is posted as the example has it."""
    with serve(lambda sent: Reply(200, {"success": success})) as wire, Homeserver(wire.base_url) as homeserver:
        right = homeserver.submit_token(f"{wire.base_url}/submitToken", "1234", "monkeys_are_GREAT", "atoken")

    assert right is success
    assert [sent.body for sent in wire.sent] == [_CODE]


def test_the_table_names_tests_that_exist() -> None:
    """What ../README.rst says is shown by a test is."""
    text = (TESTS / "README.rst").read_text("utf-8")
    table = text.partition("\nThe specification\n")[2].partition("\nThe heavy ones\n")[0]
    named = set(re.findall(r"``(test_\w+)``", table))
    there = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", file.read_text())}

    assert len(named) > 40
    assert named - there == set()
