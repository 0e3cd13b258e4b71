"""A request that is sent again and again: its body, its auth, its token requests, its authentication, its secrets."""

from __future__ import annotations

import json
import math
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.handmade import answered

from interactive_auth import (
    Homeserver,
    HomeserverConnectionError,
    MatrixError,
    ServerProtocolError,
    Stage,
    StageFailedError,
    UIARequest,
)

ADDRESS = "https://matrix.example.org"
REGISTER, PASSWORD_PATH = "/_matrix/client/v3/register", "/_matrix/client/v3/account/password"
OTHER = "/_matrix/client/v3/keys/device_signing/upload"
PASSWORD, ANSWER, TOKEN = "correct horse battery staple", "hunter2-hunter2", "syt_the_access_token"
CLIENT_SECRET = "the-client-secret"
STAGE = "org.example.stage"
CHALLENGE = {"flows": [{"stages": [STAGE]}], "params": {}, "session": "the-session-id"}
USER = {"user_id": "@alice:example.org"}

Answer = tuple[int, Any]
NewRequest = Callable[..., UIARequest[Any]]


class Adapter(BaseAdapter):
    """Records what is sent, and plays the planned answers, the last of them for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.answers: deque[Answer | Exception] = deque([(200, USER)])

    def will(self, *answers: Answer | Exception) -> None:
        """Plan answers: a status and a body each, or an exception to raise."""
        self.answers = deque(answers)

    @property
    def bodies(self) -> list[Any]:
        """The JSON that was sent, in order."""
        return [json.loads(request.body or b"null") for request in self.sent]

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent.append(request)
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answered(request, *answer)

    def close(self) -> None:
        """Have nothing to close."""


@pytest.fixture
def adapter() -> Adapter:
    """Return what takes the place of the network."""
    return Adapter()


@pytest.fixture
def homeserver(adapter: Adapter) -> Iterator[Homeserver]:
    """Return a homeserver behind the adapter, with an access token."""
    with requests.Session() as session:
        session.mount(ADDRESS, adapter)
        yield Homeserver(ADDRESS, session=session, access_token=TOKEN)


@pytest.fixture
def new_request(homeserver: Homeserver) -> NewRequest:
    """Return a maker of requests with the given body."""

    def make(body: Mapping[str, Any] | None = None, path: str = OTHER) -> UIARequest[Any]:
        return homeserver.uia_request("POST", path, body)

    return make


def revealed(error: BaseException | None) -> str:
    """Return all that an exception and those it came from show of themselves, in print and in a pickle."""
    found = ""
    while error is not None:
        assert not isinstance(error, requests.RequestException)
        copy = pickle.loads(pickle.dumps(error))
        found += f"{error}{error!r}{error.args}{pickle.dumps(error)!r}{copy}{vars(copy)}"
        error = error.__cause__ or error.__context__
    return found


@pytest.mark.parametrize("body", [None, {}, {"a": 1}, {"a": 1, "b": {"c": [None, True]}}], ids=repr)
@pytest.mark.parametrize("auth", [None, {}, {"session": "s"}, {"type": "m.login.x", "response": "é"}], ids=repr)
def test_body_and_auth(adapter: Adapter, new_request: NewRequest, body: Any, auth: Any) -> None:
    """The whole body is sent with auth under its key, an empty one too; with None there is no such key."""
    new_request(body)(auth)

    assert adapter.bodies == [{**(body or {})} if auth is None else {**(body or {}), "auth": auth}]


def test_default_is_no_auth(adapter: Adapter, new_request: NewRequest) -> None:
    """Called without an argument the request has no auth."""
    new_request({"a": 1})()

    assert adapter.bodies == [{"a": 1}]


def test_whole_body_is_sent_each_time(adapter: Adapter, new_request: NewRequest) -> None:
    """A request is the same each time, whatever auth it had before, and the auth dict is left as it was."""
    request = new_request({"a": 1})
    auth = {"session": "s"}

    request(auth)
    request(None)
    request(auth)

    assert adapter.bodies == [{"a": 1, "auth": auth}, {"a": 1}, {"a": 1, "auth": auth}]
    assert auth == {"session": "s"}


def test_later_changes_have_no_effect(adapter: Adapter, new_request: NewRequest) -> None:
    """What the caller does to the body afterwards, however deep, does not change the request."""
    keys = ["a"]
    body: dict[str, Any] = {"keys": keys, "more": {"n": 1}}
    request = new_request(body)

    keys.append("b")
    body["more"]["n"] = 2
    body["auth"] = {}
    request(None)

    assert adapter.bodies == [{"keys": ["a"], "more": {"n": 1}}]


def test_any_mapping_will_do(adapter: Adapter, new_request: NewRequest) -> None:
    """Body and auth may be mappings of any kind."""
    new_request(MappingProxyType({"a": 1}))(MappingProxyType({"b": 2}))

    assert adapter.bodies == [{"a": 1, "auth": {"b": 2}}]


def loop() -> dict[str, Any]:
    """Make a body that contains itself."""
    body: dict[str, Any] = {}
    body["body"] = body
    return body


def deep() -> dict[str, Any]:
    """Make a body that is nested more deeply than Python recurses."""
    body: dict[str, Any] = {}
    for _ in range(100_000):
        body = {"body": body}
    return body


BAD_JSON = {
    "list": (["hunter2"], TypeError, "a mapping or None, not list"),
    "text": ("hunter2", TypeError, "a mapping or None, not str"),
    "bytes": ({"a": b"hunter2"}, TypeError, "JSON: .*bytes"),
    "set": ({"a": {"hunter2"}}, TypeError, "JSON: .*set"),
    "key": ({("hunter2",): 1}, TypeError, "JSON: .*tuple"),
    "NaN": ({"a": math.nan}, ValueError, "JSON"),
    "infinity": ({"a": [-math.inf]}, ValueError, "JSON"),
    "loop": (loop(), ValueError, "JSON: Circular"),
    "depth": (deep(), ValueError, "JSON"),
}


@pytest.mark.parametrize(("value", "kind", "words"), BAD_JSON.values(), ids=BAD_JSON)
def test_body_that_is_no_json(new_request: NewRequest, value: Any, kind: type[Exception], words: str) -> None:
    """A body that JSON cannot express is an error when the request is made; it names the body and shows nothing."""
    with pytest.raises(kind, match=f"body must be {words}") as caught:
        new_request(value)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("value", "kind", "words"), BAD_JSON.values(), ids=BAD_JSON)
def test_auth_that_is_no_json(
    adapter: Adapter, new_request: NewRequest, value: Any, kind: type[Exception], words: str
) -> None:
    """An auth dict that JSON cannot express is an error that names it; nothing is sent."""
    request = new_request({})

    with pytest.raises(kind, match=f"auth must be {words}") as caught:
        request(value)

    assert "hunter2" not in str(caught.value)
    assert adapter.sent == []


def test_body_must_have_no_auth(new_request: NewRequest) -> None:
    """A body with an auth of its own is refused."""
    with pytest.raises(ValueError, match="body must have no auth"):
        new_request({"auth": {"type": "m.login.dummy"}})


@pytest.mark.parametrize("answer", [{}, {"user_id": None}, {"user_id": 5}], ids=repr)
def test_registration_without_a_user_id(adapter: Adapter, homeserver: Homeserver, answer: Any) -> None:
    """A success without what the request is made for breaks the protocol; the error names the field."""
    adapter.will((200, answer))

    with pytest.raises(ServerProtocolError, match="no usable user_id"):
        homeserver.register("alice")(None)


@pytest.mark.parametrize("path", [REGISTER, PASSWORD_PATH])
def test_email_token_request(adapter: Adapter, new_request: NewRequest, path: str) -> None:
    """The mail is asked for below the endpoint, with these fields and without the access token."""
    adapter.will((200, {"sid": "sid1"}))
    request = new_request(path=path)
    assert request.request_email_token is not None

    answer = request.request_email_token("alice@example.org", CLIENT_SECRET, 2, "the-session-id")

    assert answer == {"sid": "sid1"}
    assert adapter.sent[0].url == f"{ADDRESS}{path}/email/requestToken"
    assert adapter.sent[0].method == "POST"
    assert adapter.bodies == [{"client_secret": CLIENT_SECRET, "email": "alice@example.org", "send_attempt": 2}]
    assert "Authorization" not in adapter.sent[0].headers


@pytest.mark.parametrize("path", [REGISTER, PASSWORD_PATH])
def test_msisdn_token_request(adapter: Adapter, new_request: NewRequest, path: str) -> None:
    """The SMS is asked for below the endpoint, with these fields and without the access token."""
    adapter.will((200, {"sid": "sid1", "submit_url": "https://matrix.example.org/submit"}))
    request = new_request(path=path)
    assert request.request_msisdn_token is not None

    answer = request.request_msisdn_token("GB", "07700900001", CLIENT_SECRET, 1, None)

    assert answer == {"sid": "sid1", "submit_url": "https://matrix.example.org/submit"}
    assert adapter.sent[0].url == f"{ADDRESS}{path}/msisdn/requestToken"
    number = {"country": "GB", "phone_number": "07700900001"}
    assert adapter.bodies == [{"client_secret": CLIENT_SECRET, **number, "send_attempt": 1}]
    assert "Authorization" not in adapter.sent[0].headers


def test_other_endpoints_have_no_token_requests(new_request: NewRequest, homeserver: Homeserver) -> None:
    """An endpoint whose stages want no tokens has no token requests."""
    for request in (new_request(path=OTHER), homeserver.delete_devices(["D"])):
        assert request.request_email_token is None
        assert request.request_msisdn_token is None


def test_authenticate(adapter: Adapter, new_request: NewRequest) -> None:
    """The request goes through its stages with the whole body each time, and its response is returned."""
    adapter.will((401, CHALLENGE), (200, USER))

    assert new_request({"a": 1}).authenticate({STAGE: lambda stage: {"type": stage.type}}) == USER

    auth = {"type": STAGE, "session": "the-session-id"}
    assert adapter.bodies == [{"a": 1}, {"a": 1, "auth": auth}]


def test_authenticate_passes_options(adapter: Adapter, new_request: NewRequest) -> None:
    """Options go to InteractiveAuth: here the session to go on with, and how many wrong answers are allowed."""
    adapter.will((401, CHALLENGE), (401, {**CHALLENGE, "errcode": "M_FORBIDDEN"}))

    with pytest.raises(StageFailedError, match="rejected once"):
        new_request().authenticate(lambda stage: {"type": stage.type}, session_id="earlier", max_attempts=1)

    assert adapter.bodies[0] == {"auth": {"session": "earlier"}}


def test_authenticate_requests_tokens(adapter: Adapter, homeserver: Homeserver) -> None:
    """Unless another is named, the endpoint's own token request sends the mail."""
    flows = {**CHALLENGE, "flows": [{"stages": ["m.login.email.identity"]}]}
    adapter.will((401, flows), (200, {"sid": "sid1"}), (200, USER))
    stages: list[Stage] = []

    homeserver.register("alice").authenticate(
        lambda stage: stages.append(stage) or {"type": stage.type}, inputs={"email_address": "alice@example.org"}
    )

    assert adapter.sent[1].url == f"{ADDRESS}{REGISTER}/email/requestToken"
    assert stages[0].email_sid == "sid1"


def test_token_request_can_be_replaced(adapter: Adapter, homeserver: Homeserver) -> None:
    """A token request that is named replaces the endpoint's own."""
    flows = {**CHALLENGE, "flows": [{"stages": ["m.login.email.identity"]}]}
    adapter.will((401, flows), (200, USER))
    asked: list[tuple[Any, ...]] = []

    homeserver.register("alice").authenticate(
        lambda stage: {"type": stage.type},
        inputs={"email_address": "alice@example.org"},
        client_secret=CLIENT_SECRET,
        request_email_token=lambda *arguments: asked.append(arguments) or {"sid": "sid2"},
    )

    assert asked == [("alice@example.org", CLIENT_SECRET, 1, "the-session-id")]
    assert [request.url for request in adapter.sent] == [ADDRESS + REGISTER] * 2


ECHO = {"errcode": f"M_{ANSWER}", "error": f"Not {PASSWORD}, {ANSWER}, {TOKEN} or {CLIENT_SECRET}", "session": "the-id"}


@pytest.mark.parametrize("secret", [PASSWORD, ANSWER, TOKEN], ids=["body's password", "auth's password", "token"])
def test_quoted_secrets_are_hidden(adapter: Adapter, homeserver: Homeserver, secret: str) -> None:
    """A server that quotes what the request sent does not bring it to light, in print or in a pickle."""
    adapter.will((403, ECHO))
    request = homeserver.uia_request("POST", PASSWORD_PATH, {"new_password": PASSWORD})

    with pytest.raises(MatrixError) as caught:
        request({"type": "m.login.password", "password": ANSWER})

    assert secret not in revealed(caught.value)


def test_client_secret_in_a_body_is_hidden(adapter: Adapter, homeserver: Homeserver) -> None:
    """Nor does a server that quotes the client secret with which an address is added."""
    adapter.will((403, ECHO))

    with pytest.raises(MatrixError) as caught:
        homeserver.add_threepid(CLIENT_SECRET, "sid")(None)

    assert CLIENT_SECRET not in revealed(caught.value)


def test_client_secret_is_hidden(adapter: Adapter, new_request: NewRequest) -> None:
    """A server that quotes a token request does not bring the client secret to light."""
    adapter.will((400, ECHO))
    request = new_request(path=REGISTER).request_email_token
    assert request is not None

    with pytest.raises(MatrixError) as caught:
        request("alice@example.org", CLIENT_SECRET, 1, None)

    assert CLIENT_SECRET not in revealed(caught.value)


@pytest.mark.parametrize(
    "failure",
    [requests.ConnectionError, requests.ReadTimeout, requests.exceptions.SSLError],
    ids=lambda kind: kind.__name__,
)
def test_connection_errors_hold_no_request(
    adapter: Adapter, homeserver: Homeserver, failure: type[requests.RequestException]
) -> None:
    """A connection error has nothing of the request that failed, which requests' own errors hold."""
    request = requests.Request("POST", ADDRESS, data=PASSWORD).prepare()
    adapter.will(failure(f"no route for {PASSWORD}", request=request))

    with pytest.raises(HomeserverConnectionError) as caught:
        homeserver.register("alice", PASSWORD)({"type": STAGE, "password": ANSWER})

    assert PASSWORD not in revealed(caught.value)
    assert ANSWER not in revealed(caught.value)


def test_repr_has_no_secret(homeserver: Homeserver) -> None:
    """Neither the request nor its token requests show a secret; what it would do, and whether it was sent, it shows."""
    request = homeserver.register("alice", PASSWORD)

    shown = f"{request!r}{request.request_email_token!r}{request.request_msisdn_token!r}"
    assert PASSWORD not in shown
    assert TOKEN not in shown
    assert repr(request).endswith("POST https://matrix.example.org/_matrix/client/v3/register, not sent yet>")


def test_repr_counts(adapter: Adapter, homeserver: Homeserver) -> None:
    """A request says how often it was sent."""
    request = homeserver.delete_device("ONE")

    request()
    assert repr(request).endswith("DELETE https://matrix.example.org/_matrix/client/v3/devices/ONE, sent once>")
    request()
    assert repr(request).endswith("sent 2 times>")


def test_a_request_that_is_dropped_unsent(homeserver: Homeserver) -> None:
    """A request whose authenticate() was forgotten is warned of where it is dropped, with what is missing."""
    with pytest.warns(RuntimeWarning, match=r"v3/account/password, not sent yet> was dropped: .* authenticate\(\)"):
        homeserver.change_password(PASSWORD)


@pytest.mark.filterwarnings("error")
def test_what_is_no_dropped_request(adapter: Adapter, homeserver: Homeserver, recwarn: pytest.WarningsRecorder) -> None:
    """A request that was sent, authenticated, or never came to be is dropped in silence."""
    request = homeserver.delete_device("ONE")
    request()
    del request
    homeserver.delete_device("TWO").authenticate({})
    with pytest.raises(TypeError):
        homeserver.delete_device("THREE").authenticate(5)  # type: ignore[arg-type, type-var]  # the mistake
    with pytest.raises(TypeError):
        homeserver.uia_request("POST", "/x", [1])  # type: ignore[arg-type]  # the mistake

    assert [str(each.message) for each in recwarn] == []


def test_a_demand_that_is_no_refusal(adapter: Adapter, new_request: NewRequest) -> None:
    """A server that asks for authentication with a 200 breaks the protocol; the caller has made no mistake."""
    adapter.will((200, {**CHALLENGE, **USER}))

    with pytest.raises(ServerProtocolError, match="answered 200 with a demand for authentication, as a success"):
        new_request().authenticate({})
