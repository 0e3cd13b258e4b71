"""Every way through an authentication, against a homeserver that quotes every secret it was ever sent, in every way.

No secret comes to light: not in a log record (all loggers at DEBUG), not in what is printed, not in the repr or str of
a public object, not in the text, repr, args, notes, pickle or traceback of an error and of all that led to it. Only
``MatrixError.data`` and ``Stage.params`` hold what the server said as it is, since they are made for that.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import pytest
import requests

from interactive_auth import InteractiveAuthError, console, handlers, raise_for_matrix_error

from .canaries import CANARIES
from .hostile import TROUBLES, Hostile

# The server wants the code of its mails, as it does for those of its SMS; here links are followed.
pytestmark = pytest.mark.filterwarnings("ignore:the mail brings a code:RuntimeWarning")

if TYPE_CHECKING:
    from ..wire.conftest import Received, WireServer
    from .conftest import Witness, World

PASSWORD, EMAIL, PHONE = "m.login.password", "m.login.email.identity", "m.login.msisdn"
TOKEN, CAPTCHA = "m.login.registration_token", "m.login.recaptcha"
INPUTS = {"email_address": "alice@example.org"}
NUMBER = {"phone_country": "GB", "phone_number": "07700900001"}
IDENTITY = {"id_server": "id.example.org", "id_access_token": CANARIES["identity token"]}


#: Seconds in which a request has to be answered, where that is about to be too long.
PATIENCE = {"silence": 0.5}


class Path(NamedTuple):
    """A way through an authentication.

    Attributes:
        stage: the stage that the server wants.
        where: the request that is answered badly.
        secrets: the names of the secrets that the server has got by then, beside the session.
        go: goes the way.
    """

    stage: str
    where: Callable[[Received], bool]
    secrets: set[str]
    go: Callable[[World], Any]


def auth_of(received: Received) -> dict[str, Any]:
    """Return the auth dict of a request."""
    auth: dict[str, Any] = (received.json if received.body else {}).get("auth") or {}
    return auth


def first(received: Received) -> bool:
    return not auth_of(received)


def submission(received: Received) -> bool:
    return "type" in auth_of(received)


def harmless(received: Received) -> bool:
    return "harmless" in auth_of(received)


def to(end: str) -> Callable[[Received], bool]:
    """Make the condition that a request goes to a path that ends so."""
    return lambda received: received.path.partition("?")[0].endswith(end)


def register(world: World) -> Any:
    return world.homeserver.register("alice", CANARIES["password"])


def password() -> dict[str, Any]:
    return {PASSWORD: handlers.password("alice", CANARIES["password"])}


def token(value: Any = CANARIES["registration token"]) -> dict[str, Any]:
    return {TOKEN: handlers.registration_token(value)}


def mail(world: World) -> Any:
    return world.attempt(register(world), {EMAIL: handlers.email()}, inputs=INPUTS, **IDENTITY)


def after_a_poll(world: World) -> Any:
    """Submit what holds no secret, after a poll that did."""
    request = register(world)

    def send(auth_dict: Any) -> Any:
        polled = "threepid_creds" in (auth_dict or {})
        try:
            return request(auth_dict)
        finally:
            if polled:
                auth.submit_auth_dict({"type": EMAIL, "harmless": True})

    options = {"request_email_token": request.request_email_token, "inputs": INPUTS, "poll_timeout": 0.5, **IDENTITY}
    auth = world.auth(send, {EMAIL: handlers.email()}, **options)
    return auth.attempt_auth()


def sms(world: World) -> Any:
    stages = {PHONE: handlers.msisdn(lambda: CANARIES["code"], world.homeserver)}
    return world.attempt(register(world), stages, inputs=NUMBER)


def one_after_the_other(world: World) -> Any:
    answers = iter([CANARIES["registration token"], *["another token"] * 9])
    return world.attempt(register(world), token(lambda: next(answers)), max_attempts=5)


def background(world: World) -> Any:
    """Submit in the background, and wait until the time is up."""

    def answer(stage: Any) -> None:
        auth.submit_auth_dict({"type": PASSWORD, "password": CANARIES["password"]}, background=True)

    auth = world.auth(world.homeserver.delete_devices(["D"]), {PASSWORD: answer})
    return auth.attempt_auth()


def cancelled(world: World) -> Any:
    """Be cancelled while an answer is on its way, whatever comes back."""
    request = world.homeserver.delete_devices(["D"])

    def send(auth_dict: Any) -> Any:
        try:
            return request(auth_dict)
        finally:
            if auth_dict:
                auth.cancel()

    auth = world.auth(send, password())
    return auth.attempt_auth()


def by_a_person(world: World) -> Any:
    """Be asked at a console, and be told what was wrong."""
    with patch("getpass.getpass", return_value=CANARIES["password"]):
        asking = console.handlers(world.homeserver, user="alice")[PASSWORD]
        return world.attempt(world.homeserver.delete_devices(["D"]), {PASSWORD: asking})


def by_hand(world: World) -> Any:
    """Send by a function of one's own."""
    address = f"{world.homeserver.base_url}/x"
    headers = {"Authorization": f"Bearer {CANARIES['access token']}"}

    def send(auth: Any) -> Any:
        body = {"auth": auth}
        with suppress(requests.RequestException):
            answer = requests.post(address, json=body, headers=headers, timeout=0.5, allow_redirects=False, stream=True)
            return raise_for_matrix_error(answer)
        raise ConnectionError("there was no answer")  # what requests says of it is not the library's to answer for

    return world.attempt(send, password())


def without_a_loop(world: World) -> Any:
    request = world.homeserver.change_password(CANARIES["new password"])
    return request({"type": PASSWORD, "password": CANARIES["password"]})


def mail_by_hand(world: World) -> Any:
    secret = CANARIES["client secret"]
    return world.homeserver.request_email_token("account/3pid", "alice@example.org", secret, **IDENTITY)


def code_by_hand(world: World) -> Any:
    url = f"{world.homeserver.base_url}/code?client_secret={CANARIES['client secret']}"
    return world.homeserver.submit_token(url, "sid1", CANARIES["client secret"], CANARIES["code"])


def validity(world: World) -> Any:
    return world.homeserver.registration_token_validity(CANARIES["registration token"])


PATHS = {
    "first request": Path(PASSWORD, first, {"password"}, lambda world: world.attempt(register(world), password())),
    "password": Path(
        PASSWORD,
        submission,
        {"password", "access token"},
        lambda world: world.attempt(world.homeserver.delete_devices(["D"]), password()),
    ),
    "new password": Path(
        PASSWORD,
        submission,
        {"password", "new password", "access token"},
        lambda world: world.attempt(world.homeserver.change_password(CANARIES["new password"]), password()),
    ),
    "address": Path(
        PASSWORD,
        submission,
        {"password", "client secret", "access token"},
        lambda world: world.attempt(
            world.homeserver.add_threepid(CANARIES["client secret"], "sid1"), password(), client_secret=None
        ),
    ),
    "registration token": Path(
        TOKEN,
        submission,
        {"password", "registration token"},
        lambda world: world.attempt(register(world), token()),
    ),
    "one after the other": Path(TOKEN, submission, {"registration token"}, one_after_the_other),
    "captcha": Path(
        CAPTCHA,
        submission,
        {"captcha"},
        lambda world: world.attempt(register(world), {CAPTCHA: handlers.recaptcha(lambda key: CANARIES["captcha"])}),
    ),
    "mail request": Path(EMAIL, to("/requestToken"), {"client secret", "password"}, mail),
    "poll": Path(EMAIL, submission, {"client secret", "password", "identity token"}, mail),
    "after a poll": Path(EMAIL, harmless, {"client secret", "password", "identity token"}, after_a_poll),
    "SMS request": Path(PHONE, to("/requestToken"), {"client secret", "password"}, sms),
    "code": Path(PHONE, to("/code"), {"client secret", "password", "code"}, sms),
    "right code": Path(PHONE, submission, {"client secret", "password", "code"}, sms),
    "person": Path(PASSWORD, submission, {"password", "access token"}, by_a_person),
    "background": Path(PASSWORD, submission, {"password", "access token"}, background),
    "cancelled": Path(PASSWORD, submission, {"password", "access token"}, cancelled),
    "by hand": Path(PASSWORD, submission, {"password", "access token"}, by_hand),
    "without a loop": Path(PASSWORD, submission, {"password", "new password", "access token"}, without_a_loop),
    "mail request by hand": Path(EMAIL, to("/requestToken"), {"client secret", "identity token"}, mail_by_hand),
    "code by hand": Path(EMAIL, to("/code"), {"client secret", "code"}, code_by_hand),
    "validity": Path(TOKEN, to("/validity"), {"registration token"}, validity),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", PATHS)
def test_no_secret_comes_to_light(
    way: str,
    world: Callable[[float], World],
    server: WireServer,
    witness: Witness,
    draw: random.Random,
    sized: Callable[[int, int], int],
) -> None:
    """Whatever is answered badly, and however it quotes, what comes of it shows no secret."""
    path, seen = PATHS[way], []
    for trouble in ["none", *draw.sample(sorted(TROUBLES), sized(6, len(TROUBLES)))]:
        where = (lambda received: False) if trouble == "none" else path.where
        hostile = Hostile(server, path.stage, where, TROUBLES.get(trouble, TROUBLES["error"]))

        try:
            path.go(world(PATIENCE.get(trouble, 10.0)))
        except (InteractiveAuthError, ConnectionError) as error:
            witness.errors.append(error)

        assert (hostile.troubled > 0) == (trouble != "none"), trouble
        assert hostile.known >= path.secrets
        shown = witness.seen()
        if (way, trouble) != ("by hand", "broken header"):  # there urllib3 works, and logs, for somebody else
            seen += [f"{trouble}: {where}" for where in shown]
    assert "urllib3.connectionpool" in witness.loggers
    if seen:
        pytest.fail("\n".join(seen), pytrace=False)
