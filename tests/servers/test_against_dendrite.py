"""The scripted homeserver beside a real Dendrite: both are sent the same, step by step, and answer the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.accounts import Account, Person, new_account
from support.dendrite import OPEN, Dendrite, throwaway_dendrite
from support.keys import make_keys
from throwaway_services import captcha_verifier

from interactive_auth.testing import UIAServer

from .sides import ABSENT, Auth, Side

Steps = list[Auth | str | None]


def password_of(name: str, password: str) -> Auth:
    """Make the answer to a password stage; what stands for something else is exchanged."""
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": name},
        "password": password,
    }


RIGHT, WRONG, OTHERS = password_of("NAME", "PASSWORD"), password_of("NAME", "wrong"), password_of("OTHER", "OTHERS")
CAPTCHA: Auth = {"type": "m.login.recaptcha", "response": "the-right-response"}
DUMMY: Auth = {"type": "m.login.dummy"}
#: The session of somebody else, or nobody.
LOST = {"session": "NAME"}

#: What is sent in turn to each endpoint that wants a password.
PASSWORDS: dict[str, Steps] = {
    "wrong password": [ABSENT, WRONG, RIGHT],
    "session alone": [ABSENT, {}, WRONG, {}],
    "unknown session": [LOST, WRONG | LOST, RIGHT | LOST],
    "null": [None],
    "nothing": [{}],
    "unknown stage": [ABSENT, {"type": "x.y.z"}, {"type": "m.login.sso"}, DUMMY, RIGHT],
    "no password": [ABSENT, {"type": "m.login.password", "identifier": RIGHT["identifier"]}, RIGHT],
    "no user": [ABSENT, {"type": "m.login.password", "password": "PASSWORD"}, RIGHT],
    "nothing but the type": [ABSENT, {"type": "m.login.password"}, RIGHT],
    "user without an identifier": [ABSENT, {"type": "m.login.password", "user": "NAME", "password": "PASSWORD"}],
    "user by address": [ABSENT, RIGHT | {"identifier": {"type": "m.id.thirdparty", "medium": "email"}}, RIGHT],
    "user by phone": [ABSENT, RIGHT | {"identifier": {"type": "m.id.phone", "country": "GB"}}, RIGHT],
    "one shot": [RIGHT | {"session": ""}],
    "refused one shot": [WRONG | {"session": ""}, RIGHT],
    "after the success": [ABSENT, RIGHT, {}, WRONG, RIGHT],
    "another user's": [ABSENT, OTHERS],
}
ENDPOINTS: dict[str, tuple[str, str]] = {
    "device": ("DELETE", "/devices/ONE"),
    "devices": ("POST", "/delete_devices"),
    "deactivate": ("POST", "/account/deactivate"),
    "password": ("POST", "/account/password"),
    "keys": ("POST", "/keys/device_signing/upload"),
}
#: What is sent in turn to a registration that wants nothing, and to one that wants a captcha.
NOTHING_WANTED: dict[str, Steps] = {
    "dummy": [ABSENT, DUMMY],
    "one shot": [DUMMY],
    "unknown session": [{"session": "NAME"}, DUMMY],
    "null": [None],
    "nothing": [{}, {}],
    "unknown stage": [ABSENT, {"type": "x.y.z"}, {"type": "m.login.email.identity"}, RIGHT, DUMMY],
    "after the success": [ABSENT, DUMMY, DUMMY, {}],
}
CAPTCHA_WANTED: dict[str, Steps] = {
    "captcha": [ABSENT, CAPTCHA],
    "wrong captcha": [ABSENT, CAPTCHA | {"response": "wrong"}, {}, CAPTCHA],
    "missing response": [ABSENT, {"type": "m.login.recaptcha"}, CAPTCHA],
    "a stage that is not offered": [ABSENT, DUMMY, {}, CAPTCHA],
}


@pytest.fixture(scope="module")
def captcha_dendrite(dendrite_program: str) -> Iterator[Dendrite]:
    """Run a Dendrite that wants a captcha solved."""
    with (
        captcha_verifier(CAPTCHA["response"]) as captcha,
        throwaway_dendrite(dendrite_program, {**OPEN, **captcha}) as running,
    ):
        yield running


@pytest.fixture
def account(dendrite: Dendrite) -> Iterator[Account]:
    """Make an account."""
    with new_account(dendrite) as made:
        yield made


@pytest.fixture
def scripted(uia_server: UIAServer) -> UIAServer:
    """Have the scripted homeserver play Dendrite."""
    uia_server.quirks = "dendrite"
    return uia_server


@pytest.mark.parametrize(
    ("endpoint", "steps"),
    [
        pytest.param(endpoint, steps, id=f"{endpoint}-{name}".replace(" ", "-"))
        for endpoint in ENDPOINTS
        for name, steps in PASSWORDS.items()
        # Without the account there is no access token.
        if (endpoint, name) != ("deactivate", "after the success")
    ],
)
def test_passwords(dendrite: Dendrite, scripted: UIAServer, account: Account, endpoint: str, steps: Steps) -> None:
    """What wants a password is done, and is not, for the same answers and with the same words."""
    scripted.flows = [["m.login.password"]]
    played = scripted.add_account(account.name, account.password, devices=["MINE"])
    scripted.add_account("somebody", "somebodys password")
    bodies: dict[str, Any] = {
        "devices": {"devices": ["ONE"]},
        "password": {"new_password": account.password},
        "keys": make_keys(account.user_id),
    }
    method, path = ENDPOINTS[endpoint]
    with new_account(dendrite) as other:
        names = {"NAME": account.name, "PASSWORD": account.password}
        real = Side(
            dendrite.base_url,
            account.homeserver.access_token,
            {**names, "OTHER": other.name, "OTHERS": other.password},
        )
        like = Side(
            scripted.base_url,
            played.devices["MINE"].access_token,
            {**names, "OTHER": "somebody", "OTHERS": "somebodys password"},
        )

        for side in (real, like):
            for auth in steps:
                side.step(path, bodies.get(endpoint, {}), auth, method)

    assert like.answers == real.answers


@pytest.mark.parametrize("opened", ["device", "devices"])
def test_the_session_of_another_device(dendrite: Dendrite, scripted: UIAServer, account: Account, opened: str) -> None:
    """A session that was opened for a device is for no other; one that was opened otherwise is for any."""
    scripted.flows = [["m.login.password"]]
    played = scripted.add_account(account.name, account.password, devices=["MINE"])
    names = {"NAME": account.name, "PASSWORD": account.password}
    sides = [
        Side(dendrite.base_url, account.homeserver.access_token, dict(names)),
        Side(scripted.base_url, played.devices["MINE"].access_token, dict(names)),
    ]
    method, path = ENDPOINTS[opened]

    for side in sides:
        side.step(path, {}, ABSENT, method)
        side.step("/devices/TWO", {}, RIGHT, "DELETE")

    assert sides[1].answers == sides[0].answers
    assert [status for status, _ in sides[0].answers] == [401, 403 if opened == "device" else 200]


@pytest.mark.parametrize("steps", NOTHING_WANTED.values(), ids=NOTHING_WANTED)
def test_registrations(dendrite: Dendrite, scripted: UIAServer, new: Person, steps: Steps) -> None:
    """An account is made, and is not, for the same answers and with the same words."""
    scripted.flows = [["m.login.dummy"]]

    compare_registrations(dendrite, scripted, new, steps)


def test_a_name_in_use(dendrite: Dendrite, scripted: UIAServer, account: Account) -> None:
    """A name in use is refused when all is done, and not before."""
    scripted.flows = [["m.login.dummy"]]
    scripted.add_account(account.name, account.password)

    compare_registrations(dendrite, scripted, Person(name=account.name), [ABSENT, {}, DUMMY])


@pytest.mark.parametrize("steps", CAPTCHA_WANTED.values(), ids=CAPTCHA_WANTED)
def test_captchas(captcha_dendrite: Dendrite, scripted: UIAServer, new: Person, steps: Steps) -> None:
    """An account is made for a solved captcha, and is not, for the same answers and with the same words."""
    scripted.flows = [["m.login.recaptcha"]]
    scripted.answers = {"m.login.recaptcha": CAPTCHA["response"]}

    compare_registrations(captcha_dendrite, scripted, new, steps)


def compare_registrations(dendrite: Dendrite, scripted: UIAServer, new: Person, steps: Steps) -> None:
    """Send both the same, and fail unless they have answered the same."""
    sides = [Side(url, None, {"NAME": new.name}) for url in (dendrite.base_url, scripted.base_url)]

    for side in sides:
        for auth in steps:
            side.step("/register", {"username": new.name, "password": new.password}, auth)

    assert sides[1].answers == sides[0].answers
