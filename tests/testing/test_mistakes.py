"""Mistakes in a script of the scripted homeserver: what nothing could ever come of is an error where it is written."""

from __future__ import annotations

from typing import Any

import pytest

from interactive_auth import AuthType
from interactive_auth.testing import UIAServer
from interactive_auth.testing._endpoints import ENDPOINTS

from .conftest import EMAIL, post


@pytest.mark.parametrize("name", ["answer", "flow", "requests", "auths", "accounts", "base_url"])
def test_an_unknown_attribute(uia_server: UIAServer, name: str) -> None:
    """An attribute that is not there, or cannot be set, is refused with those that can."""
    with pytest.raises(
        AttributeError, match=rf"UIAServer has no '{name}' to set; a script sets .*answers, as_token, flows"
    ):
        setattr(uia_server, name, {})


def test_attributes_of_a_subclass(uia_server: UIAServer) -> None:
    """A subclass of one's own has attributes of its own."""

    class Mine(UIAServer):
        color: str

    with Mine() as mine:
        mine.color, mine._secret = "red", 42  # type: ignore[attr-defined]  # a private name needs no annotation
        mine.server_name = "example.com"

        assert (mine.color, mine._secret) == ("red", 42)  # type: ignore[attr-defined]  # as above
        assert mine.add_account("alice").user_id == "@alice:example.com"


@pytest.mark.parametrize("stage", ["m.login.emial", "com.example.magic", ""])
def test_an_unknown_stage(uia_server: UIAServer, stage: str) -> None:
    """A stage that nobody has named is refused with those that are known."""
    with pytest.raises(ValueError, match=rf"no stage '{stage}'; known are .*m\.login\.email\.identity"):
        uia_server.complete(stage)


def test_a_stage_that_is_no_text(uia_server: UIAServer) -> None:
    """It names no stage at all."""
    stage: Any = 5
    with pytest.raises(TypeError, match="must be a stage's type, a str, not int"):
        uia_server.complete(stage)


def test_known_stages(uia_server: UIAServer) -> None:
    """Those of the flows, the answers, and the specification are known."""
    uia_server.flows = [["com.example.magic"]]
    uia_server.answers = {"com.example.other": "42"}

    for stage in ("com.example.magic", "com.example.other", EMAIL, AuthType.SSO):
        uia_server.complete(stage)


@pytest.mark.parametrize("name", ["answers", "params"])
def test_a_mistyped_stage(uia_server: UIAServer, name: str) -> None:
    """A name of the specification's kind that it does not have is mistyped, unless a flow has it."""
    mapping: Any = {"m.login.pasword": {"password": "right"}}
    with pytest.raises(
        ValueError, match=rf"{name}: there is no stage 'm\.login\.pasword'; known are .*m\.login\.password"
    ):
        setattr(uia_server, name, mapping)
    with pytest.raises(ValueError, match="there is no stage"):
        UIAServer(**{name: mapping})

    uia_server.flows = [["m.login.pasword"]]
    setattr(uia_server, name, mapping)

    assert getattr(uia_server, name) == mapping


@pytest.mark.parametrize("name", ["answers", "params", "responses"])
@pytest.mark.parametrize("value", [None, "right", [["m.login.password"]]])
def test_mappings_that_are_none(uia_server: UIAServer, name: str, value: Any) -> None:
    """What is not a mapping has nothing for any stage or path."""
    with pytest.raises(TypeError, match=f"{name} must be a mapping, not"):
        setattr(uia_server, name, value)


@pytest.mark.parametrize("name", ["answers", "params"])
def test_a_key_that_is_no_stage(uia_server: UIAServer, name: str) -> None:
    """It is no stage's name."""
    with pytest.raises(TypeError, match=f"{name} must be a stage's type, a str, not int"):
        setattr(uia_server, name, {5: "right"})


@pytest.mark.parametrize("path", ["/regsiter", "gister", "/ONE", "/register/", "https://example.org/register", "/v3"])
def test_an_unknown_path(uia_server: UIAServer, path: str) -> None:
    """A path that no request could have is refused with those that are known, and plans nothing."""
    for plan in (uia_server.fail_next, uia_server.rate_limit_next, uia_server.hang_up_next):
        with pytest.raises(ValueError, match=r"path: no path ends with .*; known are .*/account/password"):
            plan(path=path)
    with pytest.raises(ValueError, match="responses: no path ends with"):
        uia_server.responses = {path: {}}

    assert post(uia_server, "/_matrix/client/v3/register", json={}).status_code == 401


def test_a_path_that_is_no_text(uia_server: UIAServer) -> None:
    """It is not a path."""
    five: Any = 5
    with pytest.raises(TypeError, match="path must be a str, not int"):
        uia_server.hang_up_next(path=five)
    with pytest.raises(TypeError, match="responses must be a str, not int"):
        uia_server.responses = {five: {}}


@pytest.mark.parametrize(
    "path", ["", "/register", "register", "/v3/register", "/_matrix/client/r0/register", "/devices/ONE", "/_mine/x"]
)
def test_known_paths(uia_server: UIAServer, path: str) -> None:
    """Ends and whole paths of what is there are known, with whatever stands in them; so are whole ones of one's own."""
    uia_server.hang_up_next(path=path)
    uia_server.responses = {path: {}}


def test_every_endpoint_is_known(uia_server: UIAServer) -> None:
    """Trouble can be planned for all of them."""
    for endpoint in ENDPOINTS:
        uia_server.fail_next(path=endpoint.replace("{", "").replace("}", ""))
        uia_server.fail_next(path=f"/v3{endpoint.replace('{', '').replace('}', '')}")


@pytest.mark.parametrize("quirks", [None, 5, {"delay": ()}])
def test_quirks_that_are_none(uia_server: UIAServer, quirks: Any) -> None:
    """A homeserver is played by its name, or by quirks."""
    with pytest.raises(TypeError, match="quirks must be a str or Quirks, not"):
        uia_server.quirks = quirks


def test_a_crash(uia_server: UIAServer) -> None:
    """A failure without anything said about it is the homeserver's own."""
    uia_server.fail_next()

    answer = post(uia_server, "/_matrix/client/v3/register", json={})

    assert (answer.status_code, answer.json()["errcode"]) == (500, "M_UNKNOWN")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"errcode": "M_USER_IN_USE"},
            TypeError,
            r'an errcode needs its status, as in fail_next\(400, "M_USER_IN_USE"\)',
        ),
        ({"status": "M_USER_IN_USE"}, TypeError, "status must be an int, not str"),
        ({"status": True}, TypeError, "status must be an int, not bool"),
        ({"status": 200}, ValueError, "status must be an error's, 400 to 599"),
        ({"status": 500, "times": 0}, ValueError, "times must be 1 or more"),
        ({"status": 500, "times": "2"}, TypeError, "times must be an int, not str"),
    ],
)
def test_failures_that_are_none(
    uia_server: UIAServer, arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    """What is no error, or would never be answered, is refused."""
    with pytest.raises(error, match=words):
        uia_server.fail_next(**arguments)


@pytest.mark.parametrize("seconds", ["1", -1])
def test_a_rate_limit_that_is_none(uia_server: UIAServer, seconds: Any) -> None:
    """It takes a number of seconds."""
    with pytest.raises((TypeError, ValueError), match="seconds must be a"):
        uia_server.rate_limit_next(seconds)
