"""Logging in and out, refreshing, and who somebody is: what is sent, what comes of it, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.handmade import answered

from interactive_auth import Homeserver, MatrixError, ServerProtocolError

ADDRESS = "https://matrix.example.org"
SECRET = "hunter2-hunter2"
LOGGED_IN = {"user_id": "@alice:example.org", "access_token": "fresh-token", "device_id": "DEVICE"}


class Answers(BaseAdapter):
    """Gives one answer to everything, and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.status, self.body = 200, dict[str, Any](LOGGED_IN)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent.append(request)
        return answered(request, self.status, self.body)

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def answers() -> Answers:
    """Return what takes the place of the network."""
    return Answers()


@pytest.fixture
def connect(answers: Answers) -> Iterator[Callable[..., Homeserver]]:
    """Make homeservers behind the answers."""
    with requests.Session() as session:
        session.mount(ADDRESS, answers)
        yield lambda **options: Homeserver(ADDRESS, session=session, **{"access_token": "old-token", **options})


ALICE = {"type": "m.id.user", "user": "alice"}
MAIL = {"type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org"}


@pytest.mark.parametrize(
    ("arguments", "options", "body", "token"),
    [
        (("alice", SECRET), {}, {"type": "m.login.password", "identifier": ALICE, "password": SECRET}, None),
        ((MAIL, SECRET), {}, {"type": "m.login.password", "identifier": MAIL, "password": SECRET}, None),
        ((), {"token": SECRET}, {"type": "m.login.token", "token": SECRET}, None),
        (
            ("alice",),
            {"type": "m.login.application_service"},
            {"type": "m.login.application_service", "identifier": ALICE},
            "Bearer old-token",
        ),
        (
            (),
            {"token": SECRET, "device_id": "D", "initial_device_display_name": "bot", "refresh_token": True},
            {
                "type": "m.login.token",
                "token": SECRET,
                "device_id": "D",
                "initial_device_display_name": "bot",
                "refresh_token": True,
            },
            None,
        ),
    ],
    ids=["password", "address", "token", "service", "everything"],
)
def test_login(
    answers: Answers, connect: Callable[..., Homeserver], arguments: Any, options: Any, body: Any, token: str | None
) -> None:
    """What is given is sent, an application service's token alone with it; the new token is set."""
    homeserver = connect()

    assert homeserver.login(*arguments, **options) == LOGGED_IN

    (sent,) = answers.sent
    assert (sent.method, sent.url) == ("POST", f"{ADDRESS}/_matrix/client/v3/login")
    assert json.loads(sent.body or b"") == body
    assert sent.headers.get("Authorization") == token
    assert homeserver.access_token == "fresh-token"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ValueError, "a login of the type m.login.password takes user and password alone"),
        ({"user": "alice"}, ValueError, "takes user and password alone"),
        ({"user": "alice", "password": SECRET, "token": SECRET}, ValueError, "m.login.token takes token alone"),
        ({"user": "alice", "password": SECRET, "type": "m.login.application_service"}, ValueError, "takes user alone"),
        ({"user": "alice", "password": SECRET, "type": "m.login.sso"}, ValueError, "type must be one of"),
        ({"user": "", "password": SECRET}, ValueError, "user must not be empty"),
        ({"user": "alice", "password": ""}, ValueError, "password must not be empty"),
        ({"user": 5, "password": SECRET}, TypeError, "user must be a str or a mapping"),
        ({"user": {"user": "alice"}, "password": SECRET}, TypeError, r"user\['type'\] must be a str"),
        ({"user": "alice", "password": SECRET.encode()}, TypeError, "password must be a str or None"),
        ({"token": SECRET, "refresh_token": "yes"}, TypeError, "refresh_token must be a bool or None"),
    ],
)
def test_wrong_login(
    answers: Answers, connect: Callable[..., Homeserver], arguments: Any, error: type[Exception], words: str
) -> None:
    """A wrong argument, one too many or too few, is named before anything is sent."""
    with pytest.raises(error, match=words) as caught:
        connect().login(**arguments)

    assert SECRET not in str(caught.value)
    assert answers.sent == []


def test_refused_login(answers: Answers, connect: Callable[..., Homeserver]) -> None:
    """A wrong password is raised, without it in the text, and the token stays what it was."""
    answers.status, answers.body = 403, {"errcode": "M_FORBIDDEN", "error": f"{SECRET} is wrong"}
    homeserver = connect()

    with pytest.raises(MatrixError, match=r"403 M_FORBIDDEN: \[hidden\] is wrong"):
        homeserver.login("alice", SECRET)

    assert homeserver.access_token == "old-token"


@pytest.mark.parametrize("name", ["user_id", "access_token", "device_id"])
@pytest.mark.parametrize("value", [None, 5, "", ["x"]], ids=repr)
def test_login_that_lacks_something(
    answers: Answers, connect: Callable[..., Homeserver], name: str, value: Any
) -> None:
    """A success without what it has to have is the server's fault, and nothing is set."""
    answers.body[name] = value
    homeserver = connect()

    with pytest.raises(ServerProtocolError, match=f"login was answered with success, but there is no usable {name}"):
        homeserver.login("alice", SECRET)

    assert homeserver.access_token == "old-token"


def test_token_that_cannot_be_sent(answers: Answers, connect: Callable[..., Homeserver]) -> None:
    """A token that no header can hold is the server's fault."""
    answers.body["access_token"] = "not\na token"

    with pytest.raises(ServerProtocolError, match="gave an access token that cannot be sent"):
        connect().login("alice", SECRET)


@pytest.mark.parametrize(
    ("extra", "kept"),
    [
        ({"refresh_token": "next", "expires_in_ms": 60000}, {"refresh_token": "next", "expires_in_ms": 60000}),
        ({"refresh_token": 5, "expires_in_ms": "soon", "well_known": {}}, {"well_known": {}}),
        ({"refresh_token": "", "expires_in_ms": True}, {}),
    ],
)
def test_refresh(answers: Answers, connect: Callable[..., Homeserver], extra: Any, kept: Any) -> None:
    """A refresh sets the new token; what has another type than it should is left out. No token is sent but its own."""
    answers.body = {"access_token": "fresh-token", **extra}
    homeserver = connect()

    assert homeserver.refresh(SECRET) == {"access_token": "fresh-token", **kept}

    (sent,) = answers.sent
    assert (sent.url, json.loads(sent.body or b"")) == (
        f"{ADDRESS}/_matrix/client/v3/refresh",
        {"refresh_token": SECRET},
    )
    assert "Authorization" not in sent.headers
    assert homeserver.access_token == "fresh-token"


def test_logout(answers: Answers, connect: Callable[..., Homeserver]) -> None:
    """A logout is the device's own, and its token is forgotten; one that was refused is not."""
    homeserver = connect()
    answers.status, answers.body = 401, {"errcode": "M_UNKNOWN_TOKEN"}
    with pytest.raises(MatrixError, match="M_UNKNOWN_TOKEN"):
        homeserver.logout()
    assert homeserver.access_token == "old-token"

    answers.status, answers.body = 200, {}
    homeserver.logout()

    assert answers.sent[-1].url == f"{ADDRESS}/_matrix/client/v3/logout"
    assert answers.sent[-1].headers["Authorization"] == "Bearer old-token"
    assert homeserver.access_token is None


def test_whoami(answers: Answers, connect: Callable[..., Homeserver]) -> None:
    """Whose the token is, is what the server says, as far as it is usable."""
    answers.body = {"user_id": "@alice:example.org", "device_id": 5, "is_guest": False}

    assert connect().whoami() == {"user_id": "@alice:example.org", "is_guest": False}

    (sent,) = answers.sent
    assert (sent.method, sent.url) == ("GET", f"{ADDRESS}/_matrix/client/v3/account/whoami")


# For whom an application service acts


SERVICE = {"user_id": "@bot:example.org", "device_id": "A B"}
ASSERTED = "?user_id=%40bot%3Aexample.org&device_id=A+B"


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda homeserver: homeserver.whoami(), "account/whoami"),
        (lambda homeserver: homeserver.logout(), "logout"),
        (lambda homeserver: homeserver.delete_device("OLD")(), "devices/OLD"),
        (lambda homeserver: homeserver.delete_devices(["OLD"])(), "delete_devices"),
        (lambda homeserver: homeserver.change_password("new")(), "account/password"),
        (lambda homeserver: homeserver.deactivate_account()(), "account/deactivate"),
        (lambda homeserver: homeserver.add_threepid("secret", "sid")(), "account/3pid/add"),
        (lambda homeserver: homeserver.upload_cross_signing_keys(master_key={})(), "keys/device_signing/upload"),
        (lambda homeserver: homeserver.uia_request("POST", "/_matrix/client/v3/x")(), "x"),
        (lambda homeserver: homeserver.login("alice", type="m.login.application_service"), "login"),
    ],
)
def test_whom_a_service_acts_for(answers: Answers, connect: Callable[..., Homeserver], call: Any, path: str) -> None:
    """Every request with the service's token says for whom it is."""
    call(connect(**SERVICE))

    assert answers.sent[-1].url == f"{ADDRESS}/_matrix/client/v3/{path}{ASSERTED}"


def test_parameters_of_a_service(answers: Answers, connect: Callable[..., Homeserver]) -> None:
    """What a request says by itself wins, and stands beside it."""
    request = connect(**SERVICE).uia_request("POST", "/x", None, {"user_id": "@other:example.org", "a": "b"})

    request()

    assert answers.sent[-1].url == f"{ADDRESS}/x?user_id=%40other%3Aexample.org&device_id=A+B&a=b"


def test_what_is_nobody_s(answers: Answers, connect: Callable[..., Homeserver]) -> None:
    """A request without the token, and a registration, say nothing of that."""
    homeserver = connect(**SERVICE)
    answers.body.update(available=True, sid="x")

    homeserver.username_available("alice")
    homeserver.request_email_token("account/3pid", "a@example.org", "secret")
    homeserver.login("alice", SECRET)
    homeserver.register("alice", SECRET)()
    assert not any("Authorization" in sent.headers for sent in answers.sent)
    homeserver.register("alice", type="m.login.application_service", inhibit_login=True)()

    assert answers.sent[-1].headers["Authorization"] == "Bearer fresh-token"
    assert json.loads(answers.sent[-1].body or b"") == {
        "type": "m.login.application_service",
        "username": "alice",
        "inhibit_login": True,
    }
    assert not any("user_id" in (sent.url or "") for sent in answers.sent)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"user_id": ""}, ValueError, "user_id must not be empty"),
        ({"device_id": 5}, TypeError, "device_id must be a str or None"),
        ({"retry": 3}, TypeError, "retry must be a RetryPolicy or None"),
    ],
)
def test_wrong_options(connect: Callable[..., Homeserver], options: Any, error: type[Exception], words: str) -> None:
    """A wrong argument of a homeserver is named."""
    with pytest.raises(error, match=words):
        connect(**options)


def test_wrong_type_of_registration(connect: Callable[..., Homeserver]) -> None:
    """There is one other way to register."""
    with pytest.raises(ValueError, match=r'type must be "m\.login\.application_service" or None'):
        connect().register("alice", type="m.login.password")  # type: ignore[arg-type]  # the mistake
