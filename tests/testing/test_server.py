"""The scripted homeserver: what it asks for, what it finds right, what it does on command, and what it keeps."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

import interactive_auth
from interactive_auth import (
    AuthType,
    Homeserver,
    HomeserverConnectionError,
    Inputs,
    InteractiveAuthOptions,
    MatrixError,
    NoAuthFlowFoundError,
    RetryPolicy,
    StageFailedError,
    UIARequest,
    handlers,
)
from interactive_auth.testing import Answer, UIAServer

EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"
SECRET = "a-secret-of-the-clients-own-making"
PATIENCE = 10.0
#: Nothing here has to be waited for.
QUICKLY = InteractiveAuthOptions(poll_interval=0.01, poll_timeout=PATIENCE)


@pytest.fixture
def homeserver(uia_server: UIAServer) -> Iterator[Homeserver]:
    """Make a client of the scripted homeserver, with an access token."""
    with Homeserver(uia_server.base_url, access_token="an-access-token") as made:
        yield made


@pytest.fixture
def stranger(uia_server: UIAServer) -> Iterator[Homeserver]:
    """Make a client without an access token."""
    with Homeserver(uia_server.base_url) as made:
        yield made


def refuse(request: UIARequest[Any], auth: dict[str, Any] | None = None) -> MatrixError:
    """Send a request, and return its refusal."""
    with pytest.raises(MatrixError) as caught:
        request(auth)
    return caught.value


def post(uia_server: UIAServer, path: str, **sent: Any) -> requests.Response:
    """Post something by another client."""
    return requests.post(f"{uia_server.base_url}{path}", timeout=PATIENCE, **sent)


# What is asked for, and what is right


def test_a_sign_up_with_everything(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """All stages of the specification that a registration can have, by the library's own handlers."""
    uia_server.flows = [
        ["m.login.registration_token", "m.login.recaptcha", "m.login.terms", EMAIL, MSISDN, "m.login.dummy"]
    ]
    uia_server.answers = {"m.login.registration_token": "a-token", "m.login.recaptcha": "a-response", MSISDN: "123456"}
    codes = iter(["654321", "123456"])
    inputs: Inputs = {"email_address": "alice@example.org", "phone_country": "GB", "phone_number": "07700900001"}

    account = homeserver.register("alice", "a password").authenticate(
        {
            "m.login.registration_token": handlers.registration_token("a-token"),
            "m.login.recaptcha": handlers.recaptcha(lambda key: "a-response" if key == "a-site-key" else None),
            "m.login.terms": handlers.terms(bool),
            EMAIL: handlers.email(lambda: uia_server.complete(EMAIL)),
            MSISDN: handlers.msisdn(lambda: next(codes), homeserver),
        },
        inputs=inputs,
        **QUICKLY,
    )

    assert account["user_id"] == "@alice:example.org"
    assert {(message.medium, message.address) for message in uia_server.messages} == {
        ("email", "alice@example.org"),
        ("msisdn", "GB 07700900001"),
    }
    types = [auth and auth["type"] for auth in uia_server.auths]
    stages = [
        "m.login.registration_token",
        "m.login.recaptcha",
        "m.login.terms",
        EMAIL,
        MSISDN,
        MSISDN,
        "m.login.dummy",
    ]
    assert types == [None, *stages]


@pytest.mark.parametrize(
    "answer",
    ["42", {"code": "42"}, {"code": "42", "type": "com.example.magic"}, lambda auth: auth["code"] == "42"],
    ids=["value", "field", "fields", "function"],
)
def test_right_answers(uia_server: UIAServer, homeserver: Homeserver, answer: Answer) -> None:
    """What is right is said by a value, by fields or by a function; all else is wrong, and the stage stays open."""
    uia_server.flows = [["com.example.magic"]]
    uia_server.answers = {"com.example.magic": answer}
    request = homeserver.delete_devices(["ONE"])

    refused = refuse(request, {"type": "com.example.magic", "code": "41"})

    assert (refused.http_status, refused.errcode, refused.data["completed"]) == (401, "M_FORBIDDEN", [])
    assert request({"type": "com.example.magic", "code": "42", "session": refused.data["session"]}) == {}


def test_a_stage_without_an_answer(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A stage that the script has no answer for says so, and nobody looks for the mistake elsewhere."""
    uia_server.flows = [["m.login.password"]]

    with pytest.raises(StageFailedError, match=r"no answer to m\.login\.password is right: the script has none"):
        homeserver.delete_devices(["ONE"]).authenticate({"m.login.password": handlers.password("alice", "right")})


def test_no_authentication(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """Without flows at all the first request succeeds."""
    uia_server.flows = None

    assert homeserver.delete_devices(["ONE"]).authenticate({}) == {}
    assert uia_server.auths == [None]


@pytest.mark.parametrize("flows", ["m.login.password", ["m.login.password"]])
def test_a_flow_that_is_none(uia_server: UIAServer, flows: Any) -> None:
    """A stage where a flow should be is a mistake in the script, and said at once."""
    with pytest.raises(TypeError, match="each a sequence of stages"):
        uia_server.flows = flows
    with pytest.raises(TypeError, match="each a sequence of stages"):
        UIAServer(flows)


def test_names_of_stages(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A stage may be named by the library's own names."""
    uia_server.flows = ((AuthType.REGISTRATION_TOKEN, AuthType.DUMMY),)
    uia_server.answers = {AuthType.REGISTRATION_TOKEN: "a-token"}

    handler = handlers.registration_token("a-token")

    assert homeserver.register("alice").authenticate({AuthType.REGISTRATION_TOKEN: handler})
    assert uia_server.completed(uia_server.sessions[0]) == ["m.login.registration_token", "m.login.dummy"]


def test_flows_that_change(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """The script may change in the middle of a session."""
    uia_server.flows = [["m.login.password"]]

    def change(stage: object) -> dict[str, Any]:
        uia_server.flows = [["com.example.magic"]]
        return {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": "right"}

    uia_server.quirks = "conduwuit"  # which finds no fault with the stage that is gone
    with pytest.raises(NoAuthFlowFoundError, match=r"com\.example\.magic"):
        homeserver.delete_devices(["ONE"]).authenticate({"m.login.password": change})


def test_params(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """The parameters of a stage are those of the script, none, or such that a handler can work with them."""
    uia_server.flows = [["m.login.terms", "m.login.recaptcha", "com.example.magic"]]
    uia_server.params = {"m.login.recaptcha": None, "com.example.magic": {"hint": "6 * 7"}}

    params = refuse(homeserver.delete_devices(["ONE"])).data["params"]

    assert set(params) == {"m.login.terms", "com.example.magic"}
    assert params["com.example.magic"] == {"hint": "6 * 7"}
    assert "privacy_policy" in params["m.login.terms"]["policies"]


@pytest.mark.parametrize("auth", ["a-token", ["a-token"], {"type": 5}, {"type": "m.login.dummy", "session": ["one"]}])
def test_an_auth_that_is_no_auth_dict(uia_server: UIAServer, auth: Any) -> None:
    """What is no auth dict at all is no answer to anything."""
    answer = post(uia_server, "/_matrix/client/v3/register", json={"auth": auth})

    assert (answer.status_code, answer.json()["errcode"]) == (400, "M_BAD_JSON")


# What is done elsewhere


def test_after_some_polls(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A link can be opened after a number of polls, said beforehand, so that no test has to sleep."""
    uia_server.flows = [[EMAIL]]
    uia_server.complete(EMAIL, after=3)
    inputs: Inputs = {"email_address": "alice@example.org"}

    homeserver.register("alice").authenticate({EMAIL: handlers.email()}, inputs=inputs, **QUICKLY)

    assert len(uia_server.auths) == 1 + 3 + 1


def test_a_page_that_is_visited_after_some_polls(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """So can a stage without a message, in the session that comes first."""
    uia_server.flows = [["m.login.sso"]]
    uia_server.complete("m.login.sso", after=2)

    homeserver.register("alice").authenticate({"m.login.sso": lambda stage: None}, **QUICKLY)

    assert len(uia_server.auths) == 1 + 2 + 1


def test_one_session_of_two(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A stage is completed in the session that is named, and in no other; without a name in the newest."""
    uia_server.flows = [["m.login.sso", "m.login.dummy"]]
    request = homeserver.register("alice")
    old, new = (refuse(request).data["session"] for _ in range(2))
    assert uia_server.sessions == [old, new]

    uia_server.complete("m.login.sso", session=old)
    uia_server.complete("m.login.sso", session=old)
    assert uia_server.completed(old) == ["m.login.sso"]
    assert refuse(request, {"session": new}).data["completed"] == []
    assert refuse(request, {"session": old}).data["completed"] == ["m.login.sso"]
    uia_server.complete("m.login.sso")
    refuse(request, {"session": new})

    assert (uia_server.completed(old), uia_server.completed(new)) == (["m.login.sso"], ["m.login.sso"])
    with pytest.raises(KeyError, match="of-last-week"):
        uia_server.complete("m.login.sso", session="of-last-week")


@pytest.mark.parametrize("stage", ["m.login.sso", "m.login.recaptcha", "m.login.terms"])
def test_a_page(uia_server: UIAServer, homeserver: Homeserver, stage: str) -> None:
    """A stage's fallback page has a button; once it is pressed the page tells its opener, and the loop goes on."""
    uia_server.flows = [[stage]]
    pages: list[str] = []

    def visit(url: str) -> None:
        pages.extend([requests.get(url, timeout=PATIENCE).text, requests.post(url, timeout=PATIENCE).text])

    homeserver.register("alice").authenticate({stage: handlers.fallback(homeserver, visit)}, **QUICKLY)

    assert "<button" in pages[0]
    assert "authDone" not in pages[0]
    assert 'postMessage("authDone"' in pages[1]


def test_the_page_of_another_session(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A page of a session that is not known is not there."""
    assert requests.get(homeserver.fallback_url("m.login.sso", "of-last-week"), timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize("quirks", ["synapse", "continuwuity", "tuwunel"])
@pytest.mark.parametrize("stage", ["m.oauth", "org.matrix.cross_signing_reset"])
def test_an_approval(uia_server: UIAServer, homeserver: Homeserver, stage: str, quirks: str) -> None:
    """The account page that m.oauth names approves the reset."""
    uia_server.flows = [[stage]]
    uia_server.quirks = quirks

    def approve(url: str) -> None:
        assert requests.post(url, timeout=PATIENCE).ok

    keys = homeserver.upload_cross_signing_keys(master_key={"keys": {"ed25519:key": "key"}})

    assert keys.authenticate({stage: handlers.oauth(approve)}, **QUICKLY) == {}


# Mails and SMS


def test_sending_again(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A message is sent again only for a larger number, and keeps its sid; another secret has a sid of its own."""
    sids = [
        homeserver.request_email_token("register", "alice@example.org", secret, attempt)["sid"]
        for secret, attempt in [(SECRET, 1), (SECRET, 1), (SECRET, 2), ("another-secret", 1)]
    ]

    assert [(m.sid, m.client_secret, m.send_attempt) for m in uia_server.messages] == [
        (sids[0], SECRET, 1),
        (sids[0], SECRET, 2),
        (sids[3], "another-secret", 1),
    ]
    assert sids[0] == sids[1] == sids[2] != sids[3]


@pytest.mark.parametrize("body", [{"email": "alice@example.org"}, []], ids=["parts", "no-object"])
def test_a_token_request_that_lacks_parts(uia_server: UIAServer, body: Any) -> None:
    """A token request without its parts is refused with their names, and nothing is sent."""
    answer = post(uia_server, "/_matrix/client/v3/register/email/requestToken", json=body)

    assert (answer.status_code, answer.json()["errcode"]) == (400, "M_MISSING_PARAM")
    assert "'client_secret'" in answer.json()["error"]
    assert uia_server.messages == []


def test_creds_that_are_not_whole(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """Creds without a sid, of nobody, or of another medium validate nothing."""
    uia_server.flows = [[EMAIL]]
    request = homeserver.register("alice")
    sid = homeserver.request_msisdn_token("register", "GB", "07700900001", SECRET)["sid"]
    uia_server.complete(MSISDN)

    for creds in ({}, {"sid": "nobodys", "client_secret": SECRET}, {"sid": sid, "client_secret": SECRET}):
        assert refuse(request, {"type": EMAIL, "threepid_creds": creds}).errcode == "M_UNAUTHORIZED"


def test_codes_of_nobody(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A code is right for its own SMS alone, and no code is if the script has none."""
    answer = homeserver.request_msisdn_token("register", "GB", "07700900001", SECRET)

    assert not homeserver.submit_token(answer["submit_url"], answer["sid"], SECRET, "123456")
    uia_server.answers = {MSISDN: "123456"}
    assert not homeserver.submit_token(answer["submit_url"], "nobodys", SECRET, "123456")
    assert homeserver.submit_token(answer["submit_url"], answer["sid"], SECRET, "123456")
    assert not post(uia_server, answer["submit_url"][len(uia_server.base_url) :]).json()["success"]


def test_an_address_for_an_account(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """An address is added once somebody has opened the link in its mail, and not before."""
    sid = homeserver.request_email_token("account/3pid", "alice@example.org", SECRET)["sid"]
    request = homeserver.add_threepid(SECRET, sid)

    assert refuse(request, {"type": "m.login.dummy"}).errcode == "M_THREEPID_AUTH_FAILED"
    uia_server.complete(EMAIL)

    assert request({"type": "m.login.dummy"}) == {}


# Trouble on command


def test_failures(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """What fails fails as often as planned, where it was planned, and touches no session."""
    uia_server.fail_next(400, "M_USER_IN_USE", "User ID already taken.", path="/register", times=2)
    request = homeserver.register("alice")

    for _ in range(2):
        assert homeserver.deactivate_account().authenticate({}) == {"id_server_unbind_result": "success"}
        assert refuse(request).errcode == "M_USER_IN_USE"

    assert request.authenticate({})["user_id"] == "@alice:example.org"


def test_a_proxys_failure(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A failure without an errcode is not a homeserver's."""
    uia_server.fail_next(502)

    refused = refuse(homeserver.register("alice"))

    assert (refused.http_status, refused.data) == (502, {})


def test_hanging_up(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A client that is hung up on has no answer, and has reached the server all the same."""
    uia_server.hang_up_next()
    request = homeserver.register("alice")

    with pytest.raises(HomeserverConnectionError):
        request.authenticate({}, retry=None)

    assert uia_server.auths == [None]
    assert uia_server.sessions == []
    assert request.authenticate({}, retry=None)["user_id"] == "@alice:example.org"


def test_trouble_that_passes(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A rate limit is waited for, and the request is sent again."""
    uia_server.rate_limit_next(0.01, times=2)

    homeserver.register("alice").authenticate({}, retry=RetryPolicy(retries=0))

    assert uia_server.auths[:3] == [None, None, None]


def test_expired_sessions(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """Sessions that are expired are unknown, with all that was completed in them."""
    uia_server.flows = [["m.login.terms", "m.login.dummy"]]
    request = homeserver.register("alice")
    session = refuse(request).data["session"]

    uia_server.expire_sessions()

    refused = refuse(request, {"session": session})
    assert (refused.http_status, refused.errcode) == (400, "M_UNKNOWN")
    assert uia_server.sessions == []


def test_access_tokens(uia_server: UIAServer, homeserver: Homeserver, stranger: Homeserver) -> None:
    """The access token that is known is wanted, save of those who have none yet, or have forgotten their password."""
    uia_server.access_token = "another-access-token"
    uia_server.flows = None

    assert refuse(homeserver.delete_devices(["ONE"])).errcode == "M_UNKNOWN_TOKEN"
    assert refuse(stranger.delete_devices(["ONE"])).errcode == "M_MISSING_TOKEN"
    assert stranger.change_password("a new one")(None) == {}
    assert stranger.register("alice")(None)["user_id"] == "@alice:example.org"
    homeserver.access_token = "another-access-token"
    assert homeserver.delete_devices(["ONE"])(None) == {}


def test_a_script_that_fails(uia_server: UIAServer, homeserver: Homeserver, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in the script is told to the client and to the log; the server goes on."""
    uia_server.flows = [["com.example.magic"]]
    uia_server.answers = {"com.example.magic": lambda auth: auth["misspelt"] == "42"}
    request = homeserver.delete_devices(["ONE"])

    with caplog.at_level(logging.ERROR):
        refused = refuse(request, {"type": "com.example.magic"})

    assert (refused.http_status, refused.error) == (500, "the script of the server failed: KeyError: 'misspelt'")
    assert "misspelt" in caplog.text
    assert refuse(request).http_status == 401


# What comes of it


def test_accounts(uia_server: UIAServer, stranger: Homeserver) -> None:
    """A registration makes the account that was asked for."""
    uia_server.flows = None

    whole = stranger.register("alice", device_id="MINE")(None)
    brief = stranger.register("alice", inhibit_login=True)(None)
    nameless = [stranger.register()(None)["user_id"] for _ in range(2)]

    assert (set(whole), whole["device_id"]) == ({"user_id", "access_token", "device_id"}, "MINE")
    assert brief == {"user_id": "@alice:example.org"}
    assert len(set(nameless)) == 2


def test_other_responses(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """An endpoint's success is the specification's, or the script's."""
    uia_server.flows = None
    assert set(homeserver.get_login_token()(None)) == {"login_token", "expires_in_ms"}

    uia_server.responses = {"/get_token": {"login_token": "mine"}}

    assert homeserver.get_login_token()(None) == {"login_token": "mine"}


def test_questions_before_a_registration(uia_server: UIAServer, stranger: Homeserver) -> None:
    """Names are free, a token is valid if it is the right answer, and other questions have no answer."""
    uia_server.answers = {"m.login.registration_token": "a-token"}

    assert stranger.username_available("alice")
    assert stranger.registration_token_validity("a-token")
    assert not stranger.registration_token_validity("another")
    assert requests.get(f"{uia_server.base_url}/_matrix/client/v3/sync", timeout=PATIENCE).status_code == 404


def test_what_was_received(uia_server: UIAServer) -> None:
    """A request is kept as it arrived, whatever it was."""
    post(uia_server, "/a%20path?x=1", data=b"\xff", headers={"X-Mine": "yes"})
    post(uia_server, "/a%20path", json={"auth": {"type": "m.login.dummy"}})
    requests.get(f"{uia_server.base_url}/", timeout=PATIENCE)
    for method in ("PUT", "PATCH", "DELETE"):
        assert requests.request(method, uia_server.base_url, timeout=PATIENCE).status_code == 401

    first, second, third, *others = uia_server.requests
    assert (first.method, first.path, first.query, first.body) == ("POST", "/a%20path", "x=1", b"\xff")
    assert (first.headers["x-mine"], first.auth) == ("yes", None)
    assert second.auth == {"type": "m.login.dummy"}
    assert (third.method, third.body, third.auth) == ("GET", None, None)
    assert [request.method for request in others] == ["PUT", "PATCH", "DELETE"]
    assert uia_server.auths == [None, {"type": "m.login.dummy"}, None, None, None]


def test_many_at_once(uia_server: UIAServer) -> None:
    """Sign-ups at the same time have sessions of their own."""
    uia_server.flows = [["m.login.registration_token", "m.login.terms", "m.login.dummy"]]
    uia_server.answers = {"m.login.registration_token": "a-token"}
    stages = {
        "m.login.registration_token": handlers.registration_token(lambda: "a-token"),
        "m.login.terms": handlers.terms(bool),
    }

    def sign_up(number: int) -> str:
        with Homeserver(uia_server.base_url) as homeserver:
            return homeserver.register(f"user{number}").authenticate(stages)["user_id"]

    with ThreadPoolExecutor(8) as pool:
        accounts = list(pool.map(sign_up, range(40)))

    assert accounts == [f"@user{number}:example.org" for number in range(40)]
    assert len(uia_server.sessions) == 40
    assert len(uia_server.auths) == 40 * 4


# Coming and going


def test_nothing_is_left() -> None:
    """A closed server has hung up on clients that were still connected, and has left neither port nor thread."""
    before = threading.active_count()
    with (
        UIAServer() as server,
        socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2]))) as idle,
    ):
        assert server.base_url in repr(server)
        requests.get(server.base_url, timeout=PATIENCE)
        server.close()

        idle.settimeout(PATIENCE)
        assert idle.recv(1) == b""

    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(server.base_url, timeout=PATIENCE)


def test_a_client_that_leaves_early(uia_server: UIAServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A client that hangs up before its answer does no harm, and nothing is printed about it."""
    port = int(uia_server.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as early:
        early.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        early.sendall(b"POST /_matrix/client/v3/register HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n{")

    assert post(uia_server, "/_matrix/client/v3/register", json={}).status_code == 401
    uia_server.close()
    assert capsys.readouterr() == ("", "")


def test_a_part_of_the_package() -> None:
    """The module is an attribute of the package, as the others are."""
    assert interactive_auth.testing.UIAServer is UIAServer
