"""The scripted homeserver beside a real Synapse: both are sent the same, step by step, and answer the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import requests
from throwaway_services import MailServer, captcha_verifier, mail_server
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse

from interactive_auth.testing import UIAServer

from .sides import ABSENT, Auth, Side

PASSWORD, SECRET = "correct horse battery staple", "a-secret-of-the-clients-own-making"
#: Stands in the steps for the person who opens the mail's link.
LINK = "the link is opened"

RIGHT: Auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "NAME"}, "password": PASSWORD}
WRONG: Auth = {**RIGHT, "password": "wrong"}
TOKEN_RIGHT: Auth = {"type": "m.login.registration_token", "token": "the-right-token"}
CAPTCHA_RIGHT: Auth = {"type": "m.login.recaptcha", "response": "the-right-response"}
TERMS_RIGHT: Auth = {"type": "m.login.terms"}
EMAIL: Auth = {"type": "m.login.email.identity", "threepid_creds": {"sid": "SID", "client_secret": SECRET}}
DUMMY: Auth = {"type": "m.login.dummy"}

#: What is sent in turn, to the deletion of devices and to the registration.
DELETIONS: dict[str, list[Auth | str]] = {
    "wrong password": [ABSENT, WRONG, RIGHT],
    "session alone": [ABSENT, {}, WRONG, {}],
    "unknown session": [{**RIGHT, "session": "of-last-week"}, {"session": "of-last-week"}],
    "empty session": [{"session": ""}],
    "unknown stage": [ABSENT, {"type": "x.y.z"}, {"type": "m.login.sso"}, RIGHT],
    "a stage that is not offered": [ABSENT, DUMMY, {}, RIGHT],
    "missing parts": [ABSENT, {"type": "m.login.password", "password": PASSWORD}, RIGHT],
    "user without an identifier": [ABSENT, {"type": "m.login.password", "user": "NAME", "password": PASSWORD}],
    "one shot": [{**RIGHT, "session": ""}],
    "refused one shot": [{**WRONG, "session": ""}, RIGHT],
    "after the success": [ABSENT, RIGHT, {}, WRONG, RIGHT],
}
REGISTRATIONS: dict[str, list[Auth | str]] = {
    "all": [ABSENT, TOKEN_RIGHT, CAPTCHA_RIGHT, TERMS_RIGHT, EMAIL, {}, LINK, EMAIL],
    "all, the other way round": [ABSENT, LINK, EMAIL, TERMS_RIGHT, CAPTCHA_RIGHT, TOKEN_RIGHT],
    "wrong token": [ABSENT, {**TOKEN_RIGHT, "token": "wrong"}, {"type": TOKEN_RIGHT["type"]}, TOKEN_RIGHT, {}],
    "wrong captcha": [ABSENT, {**CAPTCHA_RIGHT, "response": "wrong"}, {"type": CAPTCHA_RIGHT["type"]}, CAPTCHA_RIGHT],
    "a stage twice": [ABSENT, TERMS_RIGHT, TERMS_RIGHT, CAPTCHA_RIGHT, {**CAPTCHA_RIGHT, "response": "wrong"}],
    "mail twice": [ABSENT, EMAIL, LINK, EMAIL, EMAIL],
}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    """Run the mail server that the homeserver sends by."""
    with mail_server(MailServer()) as running:
        yield running


@pytest.fixture(scope="module")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a homeserver that demands all that a registration can be demanded, save for a phone number."""
    demanded = {"registrations_require_3pid": ["email"], **mails.config()}
    with (
        captcha_verifier(CAPTCHA_RIGHT["response"]) as captcha,
        throwaway_synapse(TOKEN, TERMS, captcha, demanded) as it,
    ):
        it.add_registration_token(TOKEN_RIGHT["token"])
        yield it


@pytest.fixture
def name() -> str:
    """A user name that nobody has."""
    return f"user{next(_numbers)}"


@pytest.fixture
def scripted(uia_server: UIAServer) -> UIAServer:
    """Make the scripted homeserver find right what the real one does."""
    uia_server.quirks = "synapse"
    uia_server.answers = {
        "m.login.password": PASSWORD,
        "m.login.registration_token": TOKEN_RIGHT["token"],
        "m.login.recaptcha": CAPTCHA_RIGHT["response"],
    }
    return uia_server


@pytest.mark.parametrize("steps", DELETIONS.values(), ids=DELETIONS)
def test_deletions(synapse: Synapse, scripted: UIAServer, name: str, steps: list[Auth | str]) -> None:
    """Devices are deleted, and are not, for the same answers and with the same words."""
    account = synapse.add_user(name, PASSWORD)
    scripted.flows = [["m.login.password"]]
    sides = [Side(url, account["access_token"], {"NAME": name}) for url in (synapse.base_url, scripted.base_url)]

    for side in sides:
        for auth in steps:
            side.step("/delete_devices", {"devices": ["ONE"]}, auth)

    assert sides[1].answers == sides[0].answers


@pytest.mark.parametrize("steps", REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_registrations(
    synapse: Synapse, mails: MailServer, scripted: UIAServer, name: str, steps: list[Auth | str]
) -> None:
    """An account is made, and is not, for the same answers and with the same words."""
    body = {"username": name, "password": PASSWORD}
    address = f"{name}@example.org"
    sides = [Side(url, None, {}) for url in (synapse.base_url, scripted.base_url)]
    demanded = sides[0].post("/register", body).json()
    scripted.flows = [flow["stages"] for flow in demanded["flows"]]
    scripted.params = demanded["params"]
    request = {"email": address, "client_secret": SECRET + name, "send_attempt": 1}
    for side in sides:
        side.names["SID"] = side.post("/register/email/requestToken", request).json()["sid"]
        side.names[SECRET] = SECRET + name
    real, played = sides

    for auth in steps:
        if auth == LINK:
            assert requests.get(mails.wait_for_link(address), timeout=30).ok
            scripted.complete("m.login.email.identity")
            continue
        for side in sides:
            side.step("/register", body, auth)

    assert played.answers == real.answers
