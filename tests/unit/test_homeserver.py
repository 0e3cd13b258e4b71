"""The homeserver: what each endpoint is sent, what its answer means, and what a caller's own session keeps."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from interactive_auth import Homeserver, HomeserverConnectionError, MatrixError, ServerProtocolError

ADDRESS = "https://matrix.example.org"
CLIENT = f"{ADDRESS}/_matrix/client/v3"
SECRET = "hunter2-hunter2"
TEXTS = dict.fromkeys(("username", "password", "device_id", "initial_device_display_name"), "x")


class Adapter(BaseAdapter):
    """Records what is sent, and plays one answer."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.status, self.body, self.closed = 200, "{}", False

    @property
    def last(self) -> requests.PreparedRequest:
        """The request sent last."""
        return self.sent[-1]

    def will(self, status: int, body: Any) -> None:
        """Plan the answer."""
        self.status, self.body = status, json.dumps(body)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent.append(request)
        response = requests.Response()
        response.status_code, response.raw = self.status, io.BytesIO(self.body.encode())
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def adapter() -> Adapter:
    """Return what takes the place of the network."""
    return Adapter()


@pytest.fixture
def session(adapter: Adapter) -> Iterator[requests.Session]:
    """Return a session whose requests end at the adapter."""
    with requests.Session() as session:
        session.mount(ADDRESS, adapter)
        yield session


@pytest.fixture
def homeserver(session: requests.Session) -> Homeserver:
    """Return a homeserver behind the adapter, with an access token."""
    return Homeserver(ADDRESS, session=session, access_token="token1")


@pytest.mark.parametrize(
    ("arguments", "body", "query"),
    [
        ({}, {}, ""),
        ({"username": "alice"}, {"username": "alice"}, ""),
        ({"kind": "guest"}, {}, "?kind=guest"),
        ({"inhibit_login": False, "refresh_token": True}, {"inhibit_login": False, "refresh_token": True}, ""),
        (TEXTS, TEXTS, ""),
    ],
    ids=["nothing", "name", "guest", "flags", "texts"],
)
def test_register(adapter: Adapter, homeserver: Homeserver, arguments: Any, body: Any, query: str) -> None:
    """What is given is in the body, the kind in the query; the access token is not sent."""
    adapter.will(200, {"user_id": "@alice:example.org", "more": 1})

    assert homeserver.register(**arguments)(None) == {"user_id": "@alice:example.org", "more": 1}

    assert (adapter.last.method, adapter.last.url) == ("POST", f"{CLIENT}/register{query}")
    assert json.loads(adapter.last.body or b"") == body
    assert "Authorization" not in adapter.last.headers


def test_delete_devices(adapter: Adapter, homeserver: Homeserver) -> None:
    """The device ids are in the body, as they were when the request was made, and the access token is sent."""
    devices = ["D1", "D2"]
    request = homeserver.delete_devices(devices)
    devices.append("D3")

    assert request(None) == {}

    assert (adapter.last.method, adapter.last.url) == ("POST", f"{CLIENT}/delete_devices")
    assert json.loads(adapter.last.body or b"") == {"devices": ["D1", "D2"]}
    assert adapter.last.headers["Authorization"] == "Bearer token1"


@pytest.mark.parametrize(("token", "header"), [("token2", "Bearer token2"), (None, None)], ids=["new", "none"])
def test_new_access_token(adapter: Adapter, homeserver: Homeserver, token: str | None, header: str | None) -> None:
    """An access token that is set anew is used by the requests made before; without one none is sent."""
    request = homeserver.delete_devices(["D1"])

    homeserver.access_token = token
    request(None)

    assert homeserver.access_token == token
    assert adapter.last.headers.get("Authorization") == header


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/_matrix/client/v3/devices/a%2Fb", "/_matrix/client/v3/devices/a%2Fb"),
        ("/devices/a b", "/devices/a%20b"),
        ("/devices/ü\r\nX: y", "/devices/%C3%BC%0D%0AX:%20y"),
        ("//evil.example.org/x", "//evil.example.org/x"),
        ("/@evil.example.org", "/@evil.example.org"),
        ("/x%3Fy%23z", "/x%3Fy%23z"),
    ],
)
def test_odd_path(adapter: Adapter, homeserver: Homeserver, path: str, sent: str) -> None:
    """Whatever the path is, it is a path on this homeserver; what must be percent-encoded is."""
    homeserver.uia_request("post", path)(None)

    assert (adapter.last.method, adapter.last.url) == ("POST", ADDRESS + sent)


def test_params(adapter: Adapter, homeserver: Homeserver) -> None:
    """The query is encoded, and is what it was when the request was made."""
    params = {"a": "1&b=2", "ü": "x y"}
    request = homeserver.uia_request("POST", "/x", {}, params)

    params["c"] = "3"
    request(None)

    assert adapter.last.url == f"{ADDRESS}/x?a=1%26b%3D2&%C3%BC=x+y"


def test_fallback_url(homeserver: Homeserver) -> None:
    """Stage and session are percent-encoded, so that neither can lead elsewhere."""
    url = homeserver.fallback_url("../é&stage", "a/b?c=d&e#f g+h%")

    assert url == f"{CLIENT}/auth/..%2F%C3%A9%26stage/fallback/web?session=a%2Fb%3Fc%3Dd%26e%23f%20g%2Bh%25"


@pytest.mark.parametrize(
    ("status", "body", "available"),
    [
        (200, {"available": True}, True),
        (200, {"available": False}, False),
        (400, {"errcode": "M_USER_IN_USE"}, False),
        (400, {"errcode": "M_EXCLUSIVE"}, False),
    ],
    ids=["free", "said in words", "in use", "reserved"],
)
def test_username_available(adapter: Adapter, homeserver: Homeserver, status: int, body: Any, available: bool) -> None:
    """A name can be had or not; it is asked for without the access token."""
    adapter.will(status, body)

    assert homeserver.username_available("al&ice") is available

    assert (adapter.last.method, adapter.last.url) == ("GET", f"{CLIENT}/register/available?username=al%26ice")
    assert adapter.last.body is None
    assert "Authorization" not in adapter.last.headers


@pytest.mark.parametrize("valid", [True, False])
def test_registration_token_validity(adapter: Adapter, homeserver: Homeserver, valid: bool) -> None:
    """A registration token is valid or not; it is asked for without the access token."""
    adapter.will(200, {"valid": valid})

    assert homeserver.registration_token_validity("a/b c") is valid

    path = "/_matrix/client/v1/register/m.login.registration_token/validity"
    assert (adapter.last.method, adapter.last.url) == ("GET", f"{ADDRESS}{path}?token=a%2Fb+c")
    assert "Authorization" not in adapter.last.headers


ASKING = {
    "name": lambda homeserver: homeserver.username_available(SECRET),
    "token": lambda homeserver: homeserver.registration_token_validity(SECRET),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("body", [{}, {"available": "yes", "valid": 1}, {"available": None}], ids=repr)
def test_answer_that_does_not_say(
    adapter: Adapter, homeserver: Homeserver, ask: Callable[[Homeserver], bool], body: Any
) -> None:
    """A success without the bool that was asked for breaks the protocol; the error names the server."""
    adapter.will(200, body)

    with pytest.raises(ServerProtocolError, match=ADDRESS):
        ask(homeserver)


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_refusal_to_say(adapter: Adapter, homeserver: Homeserver, ask: Callable[[Homeserver], bool]) -> None:
    """Any other error is the server's own."""
    adapter.will(400, {"errcode": "M_INVALID_USERNAME", "error": "No such name"})

    with pytest.raises(MatrixError, match="400 M_INVALID_USERNAME: No such name"):
        ask(homeserver)


def test_quoted_registration_token_is_hidden(adapter: Adapter, homeserver: Homeserver) -> None:
    """A server that quotes the registration token does not bring it to light."""
    adapter.will(403, {"errcode": "M_FORBIDDEN", "error": f"{SECRET} is not known here"})

    with pytest.raises(MatrixError) as caught:
        homeserver.registration_token_validity(SECRET)

    assert str(caught.value).startswith("403 M_FORBIDDEN: [hidden] is not known here (GET https://")


def test_repr_has_no_secret(homeserver: Homeserver) -> None:
    """The repr has the address, and not the token."""
    assert repr(homeserver) == f"<Homeserver {ADDRESS}>"


def test_own_session_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving the context closes the homeserver's own session, whatever went wrong in it."""
    closed: list[requests.Session] = []
    monkeypatch.setattr(requests.Session, "close", lambda session: closed.append(session))

    with pytest.raises(KeyError), Homeserver(ADDRESS):
        raise KeyError

    assert len(closed) == 1


def test_callers_session_stays_open(adapter: Adapter, session: requests.Session) -> None:
    """Leaving the context leaves a session that was passed in open."""
    with Homeserver(ADDRESS, session=session):
        pass

    assert not adapter.closed


def test_callers_session_is_used_as_it_is(adapter: Adapter, session: requests.Session) -> None:
    """Its headers, cookies, parameters and hooks apply, and it is unchanged after."""
    seen: list[int] = []
    session.headers["User-Agent"] = "my-bot/1.0"
    session.cookies.set("who", "me")
    session.params = {"a": "b"}
    session.hooks["response"].append(lambda response, *_, **__: seen.append(response.status_code))
    before = (dict(session.headers), list(session.hooks["response"]), session.auth, session.verify)

    Homeserver(ADDRESS, session=session, access_token="token1").delete_devices([])(None)

    assert adapter.last.headers["User-Agent"] == "my-bot/1.0"
    assert adapter.last.headers["Cookie"] == "who=me"
    assert (adapter.last.url or "").endswith("/delete_devices?a=b")
    assert seen == [200]
    assert before == (dict(session.headers), list(session.hooks["response"]), session.auth, session.verify)


def test_hook_that_reads_the_answer(adapter: Adapter, session: requests.Session) -> None:
    """A hook may read the answer, to log it for example, and leaves it to be read once more."""
    seen: list[bytes] = []
    session.hooks["response"].append(lambda response, *_, **__: seen.append(response.content))
    adapter.will(200, {"a": 1})

    assert Homeserver(ADDRESS, session=session).uia_request("POST", "/x")(None) == {"a": 1}

    assert seen == [b'{"a": 1}']


def test_hook_that_is_no_list(session: requests.Session) -> None:
    """A hook that is set where requests takes one function as well as a list is called."""
    seen: list[int] = []
    session.hooks["response"] = lambda response, *_, **__: seen.append(response.status_code)

    Homeserver(ADDRESS, session=session).uia_request("POST", "/x")(None)

    assert seen == [200]


def test_hook_that_raises_for_status(adapter: Adapter, session: requests.Session) -> None:
    """A hook that raises for an error status does not turn the server's demand into connection trouble."""
    session.hooks["response"].append(lambda response, *_, **__: response.raise_for_status())
    adapter.will(401, {"flows": [], "session": "s"})

    with pytest.raises(MatrixError) as caught:
        Homeserver(ADDRESS, session=session).uia_request("POST", "/x")(None)

    assert caught.value.http_status == 401


def test_hook_that_raises_without_a_response(session: requests.Session) -> None:
    """What a hook raises of its own accord is connection trouble."""

    def refuse(*_: Any, **__: Any) -> None:
        raise requests.HTTPError("not this one")

    session.hooks["response"].append(refuse)

    with pytest.raises(HomeserverConnectionError, match="got no answer: HTTPError"):
        Homeserver(ADDRESS, session=session).uia_request("POST", "/x")(None)


def test_callers_auth_is_replaced_by_the_token(adapter: Adapter, session: requests.Session) -> None:
    """A session's own auth is used where no access token has to be sent, and gives way where one has."""
    session.auth = ("user", "pass")
    adapter.will(200, {"user_id": "@alice:example.org"})
    homeserver = Homeserver(ADDRESS, session=session, access_token="token1")

    homeserver.register()(None)
    homeserver.delete_devices([])(None)

    assert [sent.headers["Authorization"] for sent in adapter.sent] == ["Basic dXNlcjpwYXNz", "Bearer token1"]


THIS_MACHINE = [
    "127.0.0.1",
    "127.8.9.10:8448",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
    "[::]",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0",
]


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_code_for_this_machine(adapter: Adapter, session: requests.Session, host: str) -> None:
    """A homeserver elsewhere cannot have a code sent to what listens on this machine, in whatever form it names it."""
    for scheme in ("https", "http"):
        session.mount(f"{scheme}://{host.lower()}/", adapter)
        homeserver = Homeserver(ADDRESS, session=session, allow_insecure_http=True)

        with pytest.raises(ServerProtocolError, match=r"address of this machine|unfit address"):
            homeserver.submit_token(f"{scheme}://{host}/code", "sid", "secret", "code")

    assert adapter.sent == []


@pytest.mark.parametrize("host", ["127.0.0.2", "128.0.0.1", "[fe80::1]", "localhost.example.org", "1.2.3.4"])
@pytest.mark.parametrize("home", ["http://127.0.0.1:8008", "http://localhost"])
def test_code_for_another_machine(adapter: Adapter, session: requests.Session, host: str, home: str) -> None:
    """One on this machine may, and anywhere else."""
    adapter.body = '{"success": true}'
    session.mount(f"https://{host}/", adapter)

    assert Homeserver(home, session=session).submit_token(f"https://{host}/code", "sid", "secret", "code")


@pytest.mark.parametrize("stage", [".", ".."])
def test_page_that_would_be_another(stage: str) -> None:
    """A stage whose name a browser would resolve has no page."""
    with pytest.raises(ServerProtocolError, match="has no page"):
        Homeserver(ADDRESS).fallback_url(stage, "session")
