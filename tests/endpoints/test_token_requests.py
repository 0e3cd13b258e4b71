"""The six token requests as they stand on the wire: path, body, access token, and the numbering of repetitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interactive_auth import Homeserver, Inputs, InteractiveAuth, MatrixError, UIARequest
from interactive_auth.homeserver import Purpose
from interactive_auth.testing import UIAServer

SECRET = "a-secret-of-the-clients-own-making"
ACCESS_TOKEN = "an-access-token"
PURPOSES: tuple[Purpose, ...] = ("register", "account/password", "account/3pid")
MEDIA: dict[str, dict[str, str]] = {
    "email": {"email": "alice@example.org"},
    "msisdn": {"country": "GB", "phone_number": "07700900001"},
}
EXTRA = {
    "next_link": "https://app.example/done",
    "id_server": "identity.example",
    "id_access_token": "a-token-for-identity.example",
}
#: The endpoints whose own stages want tokens, and what they want them for.
ENDPOINTS: dict[Purpose, Callable[[Homeserver], UIARequest[Any]]] = {
    "register": lambda homeserver: homeserver.register("alice", "a password"),
    "account/password": lambda homeserver: homeserver.change_password("a password"),
    "account/3pid": lambda homeserver: homeserver.add_threepid("a-secret", "a-sid"),
}


@pytest.fixture
def server(uia_server: UIAServer) -> UIAServer:
    """Run a server that demands an address and a number."""
    uia_server.flows = [["m.login.email.identity", "m.login.msisdn"]]
    return uia_server


@pytest.fixture
def homeserver(server: UIAServer) -> Iterator[Homeserver]:
    """Make a homeserver object with an access token."""
    with Homeserver(server.base_url, access_token=ACCESS_TOKEN) as made:
        yield made


def send(homeserver: Homeserver, purpose: Purpose, medium: str, *rest: Any, **extra: Any) -> dict[str, Any]:
    """Send one of the six token requests."""
    if medium == "email":
        return homeserver.request_email_token(purpose, MEDIA["email"]["email"], SECRET, *rest, **extra)
    country, number = MEDIA["msisdn"].values()
    return homeserver.request_msisdn_token(purpose, country, number, SECRET, *rest, **extra)


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_is_sent(server: UIAServer, homeserver: Homeserver, purpose: Purpose, medium: str) -> None:
    """Everything given is sent to the endpoint of its purpose; none of them is told who asks."""
    answer = send(homeserver, purpose, medium, 7, "a-session", **EXTRA)

    (sent,) = server.requests
    assert answer["sid"] == server.messages[0].sid
    assert (sent.method, sent.path) == ("POST", f"/_matrix/client/v3/{purpose}/{medium}/requestToken")
    assert sent.body == {"client_secret": SECRET, "send_attempt": 7, **MEDIA[medium], **EXTRA}
    assert "Authorization" not in sent.headers


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_is_left_out(server: UIAServer, homeserver: Homeserver, purpose: Purpose, medium: str) -> None:
    """What is not given is not sent, not even as null; the first attempt has the number one."""
    send(homeserver, purpose, medium)

    assert server.requests[0].body == {"client_secret": SECRET, "send_attempt": 1, **MEDIA[medium]}


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("half", ["id_server", "id_access_token"])
def test_half_an_identity_server(server: UIAServer, homeserver: Homeserver, medium: str, half: str) -> None:
    """An identity server without its access token, or the other way round, is refused before anything is sent."""
    with pytest.raises(ValueError, match="both or neither"):
        send(homeserver, "register", medium, **{half: "half"})

    assert server.requests == []


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_request_knows_its_token_requests(server: UIAServer, homeserver: Homeserver, purpose: Purpose) -> None:
    """The token requests that come with a request go to the endpoint that its own path calls for."""
    request = ENDPOINTS[purpose](homeserver)
    assert request.request_email_token is not None
    assert request.request_msisdn_token is not None

    request.request_email_token("alice@example.org", SECRET, 2, "a-session")
    request.request_msisdn_token("GB", "07700900001", SECRET, 3, "a-session")

    paths = [f"/_matrix/client/v3/{purpose}/{medium}/requestToken" for medium in MEDIA]
    assert [sent.path for sent in server.requests] == paths
    assert [sent.body["send_attempt"] for sent in server.requests] == [2, 3]


def test_requests_without_token_requests(homeserver: Homeserver) -> None:
    """A request whose endpoint has no such tokens offers none."""
    request = homeserver.delete_devices(["ONE"])

    assert (request.request_email_token, request.request_msisdn_token) == (None, None)


def test_sending_again(server: UIAServer, homeserver: Homeserver) -> None:
    """Each mail and text that was sent raises the number of the next one; one that was refused does not."""
    request = homeserver.register("alice", "a password")
    auth = InteractiveAuth(
        request,
        {},
        client_secret=SECRET,
        inputs={"email_address": "alice@example.org", "phone_country": "GB", "phone_number": "07700900001"},
    )

    auth.request_email_token()
    server.fail_next(400, "M_THREEPID_DENIED", times=2)
    with pytest.raises(MatrixError, match="M_THREEPID_DENIED"):
        auth.request_email_token()
    with pytest.raises(MatrixError, match="M_THREEPID_DENIED"):
        auth.request_msisdn_token()
    for _ in range(2):
        auth.request_email_token()
        auth.request_msisdn_token()

    numbers = {
        medium: [sent.body["send_attempt"] for sent in server.requests if f"/{medium}/" in sent.path]
        for medium in MEDIA
    }
    assert numbers == {"email": [1, 2, 2, 3], "msisdn": [1, 1, 2]}
    assert {sent.body["client_secret"] for sent in server.requests} == {SECRET}


def test_both_are_sent_before_anybody_is_asked(server: UIAServer, homeserver: Homeserver) -> None:
    """With an address and a number given, mail and text are on their way when the first callback is called."""
    asked: list[list[str]] = []

    def decline(stage: object) -> None:
        asked.append([sent.path.rpartition("/v3/")[2] for sent in server.requests])
        raise KeyboardInterrupt

    stages = dict.fromkeys(["m.login.email.identity", "m.login.msisdn"], decline)
    inputs: Inputs = {"email_address": "alice@example.org", "phone_country": "GB", "phone_number": "07700900001"}
    with pytest.raises(KeyboardInterrupt):
        homeserver.register("alice", "a password").authenticate(stages, inputs=inputs)

    assert asked == [["register", "register/email/requestToken", "register/msisdn/requestToken"]]
