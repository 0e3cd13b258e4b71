"""The scripted homeserver: what it asks for, what it finds right, and what is done elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from interactive_auth import (
    AuthType,
    Homeserver,
    Inputs,
    NoAuthFlowFoundError,
    StageFailedError,
    handlers,
)
from interactive_auth.testing import Answer, UIAServer

from .conftest import EMAIL, MSISDN, PATIENCE, QUICKLY, post, refuse

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
