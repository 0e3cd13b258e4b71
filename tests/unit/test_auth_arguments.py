"""The constructor and the methods: wrong arguments are named at once, and never shown."""

from __future__ import annotations

import functools
import math
import re
from collections import UserDict
from typing import Any

import pytest
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import AuthType, InteractiveAuth, NoAuthFlowFoundError, Stage

EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"


def nothing(*_: Any) -> None:
    """Do nothing, whatever the arguments."""


async def later(*_: Any) -> None:
    """Stand for a caller who forgot that nothing here is asynchronous."""


WRONG_OPTIONS: list[tuple[str, Any, type[Exception], str]] = [
    ("auth_data", [], TypeError, "auth_data must be a mapping, not list"),
    ("auth_data", "{}", TypeError, "auth_data must be a mapping, not str"),
    ("inputs", [], TypeError, "inputs must be a mapping, not list"),
    ("inputs", {"email": "a@b.c"}, ValueError, "inputs has the unknown key 'email'"),
    ("inputs", {"email_address": 5}, TypeError, "inputs['email_address'] must be a str or None, not int"),
    ("inputs", {"phone_country": b"GB"}, TypeError, "inputs['phone_country'] must be a str or None, not bytes"),
    ("inputs", {"phone_number": 7700}, TypeError, "inputs['phone_number'] must be a str or None, not int"),
    ("inputs", {"phone_country": "GB"}, ValueError, "inputs must have both phone_country and phone_number"),
    ("inputs", {"phone_number": "1"}, ValueError, "inputs must have both phone_country and phone_number"),
    (
        "inputs",
        {"phone_number": "1", "phone_country": ""},
        ValueError,
        "inputs must have both phone_country and phone_number",
    ),
    ("session_id", 5, TypeError, "session_id must be a str or None, not int"),
    ("client_secret", 5, TypeError, "client_secret must be a str or None, not int"),
    ("client_secret", "with space", ValueError, "client_secret must be 1 to 255 of the characters"),
    ("client_secret", "x" * 256, ValueError, "client_secret must be 1 to 255 of the characters"),
    ("client_secret", "newline\n", ValueError, "client_secret must be 1 to 255 of the characters"),
    ("email_sid", 5, TypeError, "email_sid must be a str or None, not int"),
    ("msisdn_sid", b"1", TypeError, "msisdn_sid must be a str or None, not bytes"),
    ("supported_stages", "m.login.dummy", TypeError, "supported_stages must be a collection of stage types, not str"),
    ("supported_stages", b"x", TypeError, "supported_stages must be a collection of stage types, not bytes"),
    ("supported_stages", 5, TypeError, "supported_stages must be a collection of stage types, not int"),
    ("supported_stages", iter([]), TypeError, "supported_stages must be a collection of stage types"),
    ("supported_stages", [5], TypeError, "each of supported_stages must be a stage type (str), not int"),
    ("request_email_token", "x", TypeError, "request_email_token must be callable or None, not str"),
    ("request_email_token", later, TypeError, "request_email_token must be an ordinary function"),
    ("request_msisdn_token", 5, TypeError, "request_msisdn_token must be callable or None, not int"),
    ("request_msisdn_token", functools.partial(later), TypeError, "request_msisdn_token must be an ordinary"),
    ("busy_changed", True, TypeError, "busy_changed must be callable or None, not bool"),
    ("busy_changed", later, TypeError, "busy_changed must be an ordinary function"),
    ("id_server", 5, TypeError, "id_server must be a str or None, not int"),
    ("id_server", "id.example", ValueError, "id_server and id_access_token must be given both or neither"),
    ("id_access_token", 5, TypeError, "id_access_token must be a str or None, not int"),
    ("id_access_token", "token", ValueError, "id_server and id_access_token must be given both or neither"),
    ("max_attempts", 0, ValueError, "max_attempts must be 1 or more"),
    ("max_attempts", -1, ValueError, "max_attempts must be 1 or more"),
    ("max_attempts", 1.0, TypeError, "max_attempts must be an int or None, not float"),
    ("max_attempts", True, TypeError, "max_attempts must be an int or None, not bool"),
    ("max_attempts", "3", TypeError, "max_attempts must be an int or None, not str"),
    ("poll_interval", None, TypeError, "poll_interval must be a number of seconds, not NoneType"),
    ("poll_interval", "2", TypeError, "poll_interval must be a number of seconds, not str"),
    ("poll_interval", True, TypeError, "poll_interval must be a number of seconds, not bool"),
    ("poll_interval", -1, ValueError, "poll_interval must be a finite number of seconds, more than 0"),
    ("poll_interval", 0, ValueError, "poll_interval must be a finite number of seconds, more than 0"),
    ("poll_interval", math.nan, ValueError, "poll_interval must be a finite number of seconds"),
    ("poll_interval", 10**400, ValueError, "poll_interval must be a finite number of seconds"),
    ("poll_timeout", 10**400, ValueError, "poll_timeout must be a finite number of seconds"),
    ("poll_timeout", "2", TypeError, "poll_timeout must be a number of seconds, not str"),
    ("poll_timeout", -0.5, ValueError, "poll_timeout must be a finite number of seconds"),
    ("poll_timeout", math.inf, ValueError, "poll_timeout must be a finite number of seconds"),
    ("retry", 3, TypeError, "retry must be a RetryPolicy or None, not int"),
    ("retry", {"retries": 3}, TypeError, "retry must be a RetryPolicy or None, not dict"),
]


@pytest.mark.parametrize(
    ("name", "value", "kind", "named"), WRONG_OPTIONS, ids=[f"{i} {row[0]}" for i, row in enumerate(WRONG_OPTIONS)]
)
def test_wrong_option(new_auth: NewAuth, name: str, value: Any, kind: type[Exception], named: str) -> None:
    """A wrong option is a TypeError or ValueError that names it, before anything is sent."""
    with pytest.raises(kind, match=f"^{re.escape(named)}"):
        new_auth(**{name: value})


@pytest.mark.parametrize(
    ("do_request", "start_auth_stage", "named"),
    [
        (None, nothing, "do_request must be callable, not NoneType"),
        ("x", nothing, "do_request must be callable, not str"),
        (later, nothing, "do_request must be an ordinary function"),
        (nothing, None, "start_auth_stage must be callable, or a mapping"),
        (nothing, "x", "start_auth_stage must be callable, or a mapping"),
        (nothing, later, "start_auth_stage must be an ordinary function"),
        (nothing, {5: nothing}, "each key of start_auth_stage must be a stage type (str), not int"),
        (nothing, {"m.login.dummy": None}, "start_auth_stage['m.login.dummy'] must be callable, not NoneType"),
        (nothing, {AuthType.SSO: later}, "start_auth_stage['m.login.sso'] must be an ordinary function"),
        (nothing, {"*": "x"}, "start_auth_stage['*'] must be callable, not str"),
    ],
)
def test_wrong_callbacks(do_request: Any, start_auth_stage: Any, named: str) -> None:
    """A callback that cannot be called, or would do nothing when called, is named at once."""
    with pytest.raises(TypeError, match=f"^{re.escape(named)}"):
        InteractiveAuth(do_request, start_auth_stage)


@pytest.mark.parametrize(
    ("name", "value"),
    [("client_secret", "my secret!"), ("inputs", {"email_address": ["hunter22"]}), ("id_access_token", 5)],
)
def test_a_wrong_value_is_not_shown(new_auth: NewAuth, name: str, value: Any) -> None:
    """The error does not show a value that may be a secret."""
    with pytest.raises((TypeError, ValueError)) as caught:
        new_auth(**{name: value})

    assert "my secret" not in str(caught.value)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"auth_data": None, "inputs": None, "supported_stages": None, "retry": None, "max_attempts": None},
        {"auth_data": UserDict({}), "inputs": UserDict({"email_address": None})},
        {"session_id": "", "client_secret": "", "email_sid": "", "msisdn_sid": ""},
        {"inputs": {"email_address": "", "phone_country": "", "phone_number": ""}},
        {"inputs": {"phone_country": None, "phone_number": None}},
        {"id_server": "id.example", "id_access_token": "token"},
        {"id_server": "", "id_access_token": None},
        {"supported_stages": []},
        {"supported_stages": {"m.login.dummy": 1}},
        {"supported_stages": (AuthType.DUMMY, "x")},
        {"poll_interval": 0.01, "poll_timeout": 0},
        {"poll_timeout": None},
        {"client_secret": "a.=_-" + "9" * 250},
    ],
    ids=lambda options: ", ".join(options),
)
def test_right_options(new_auth: NewAuth, options: dict[str, Any]) -> None:
    """Nothing given, empty strings, any mapping and any collection are right."""
    assert new_auth(**options).get_session_id() is None


def test_a_client_secret_is_made(new_auth: NewAuth) -> None:
    """A missing client secret is 32 random characters, the same for the life of the object."""
    auth, other = new_auth(), new_auth(client_secret="")

    assert re.fullmatch(r"[0-9a-zA-Z]{32}", auth.get_client_secret())
    assert auth.get_client_secret() == auth.get_client_secret()
    assert auth.get_client_secret() != other.get_client_secret()


def test_client_secrets_use_the_whole_alphabet(new_auth: NewAuth) -> None:
    """Each of the 62 characters occurs, at the ends too."""
    secrets = [new_auth().get_client_secret() for _ in range(2000)]

    assert len(set("".join(secrets))) == len({secret[0] for secret in secrets}) == 62
    assert len({secret[-1] for secret in secrets}) == 62


def test_ids_given_are_kept(new_auth: NewAuth) -> None:
    """What identifies an earlier session is used as it is."""
    auth = new_auth(session_id="S9", client_secret="my-secret", email_sid="e", msisdn_sid="m")

    assert auth.get_session_id() == "S9"
    assert auth.get_client_secret() == "my-secret"
    assert (auth.get_email_sid(), auth.get_msisdn_sid()) == ("e", "m")


def test_nothing_is_known_at_first(new_auth: NewAuth) -> None:
    """Before anything was answered there is neither session nor flow nor sid."""
    auth = new_auth()

    assert auth.get_session_id() is None
    assert auth.get_chosen_flow() is None
    assert auth.get_stage_params("m.login.terms") is None
    assert (auth.get_email_sid(), auth.get_msisdn_sid()) == (None, None)


def test_sids_can_be_set(new_auth: NewAuth) -> None:
    """The sid of a token request made elsewhere can be set."""
    auth = new_auth()

    auth.set_email_sid("e")
    auth.set_msisdn_sid("m")

    assert (auth.get_email_sid(), auth.get_msisdn_sid()) == ("e", "m")


@pytest.mark.parametrize(
    ("method", "arguments", "kind", "named"),
    [
        ("set_email_sid", ("",), ValueError, "sid must not be empty"),
        ("set_email_sid", (None,), TypeError, "sid must be a str, not NoneType"),
        ("set_msisdn_sid", ("",), ValueError, "sid must not be empty"),
        ("set_msisdn_sid", (5,), TypeError, "sid must be a str, not int"),
        ("get_stage_params", (None,), TypeError, "login_type must be a str, not NoneType"),
        ("get_stage_params", ("",), ValueError, "login_type must not be empty"),
        ("submit_auth_dict", (None,), TypeError, "auth_data must be a mapping, not NoneType"),
        ("submit_auth_dict", ([("type", "x")],), TypeError, "auth_data must be a mapping, not list"),
        ("request_email_token", (5,), TypeError, "email must be a str, not int"),
        ("request_email_token", ("",), ValueError, "email must not be empty"),
        ("request_email_token", (), ValueError, "email must be given, since inputs had no email_address"),
        (
            "request_msisdn_token",
            (),
            ValueError,
            "country and phone_number must be given, since inputs had no phone number",
        ),
        ("request_msisdn_token", ("GB",), ValueError, "country and phone_number must be given both or neither"),
        ("request_msisdn_token", (None, "1"), ValueError, "country and phone_number must be given both or neither"),
        ("request_msisdn_token", (5, "1"), TypeError, "country must be a str, not int"),
        ("request_msisdn_token", ("GB", ""), ValueError, "phone_number must not be empty"),
        ("request_email_token", ("a@b.c",), RuntimeError, "there is no token request for m.login.email.identity"),
        ("request_msisdn_token", ("GB", "1"), RuntimeError, "there is no token request for m.login.msisdn"),
    ],
)
def test_wrong_method_argument(
    new_auth: NewAuth, method: str, arguments: tuple[Any, ...], kind: type[Exception], named: str
) -> None:
    """A wrong argument of a method is named, too."""
    with pytest.raises(kind, match=f"^{re.escape(named)}"):
        getattr(new_auth(), method)(*arguments)


def test_one_callback_serves_all_stages(server: ScriptedServer, user: ScriptedUser) -> None:
    """A mapping is looked up by stage type, "*" serves every stage not named."""
    server.will(challenge(["a", AuthType.SSO]), challenge(["a", AuthType.SSO], completed=["a"]), "done")
    asked: list[Stage] = []
    user.will({"type": AuthType.SSO})

    def star(stage: Stage) -> dict[str, Any]:
        asked.append(stage)
        return {"type": stage.type}

    assert InteractiveAuth(server, {"*": star, AuthType.SSO: user}).attempt_auth() == "done"
    assert [stage.type for stage in asked] == ["a"]
    assert user.types == ["m.login.sso"]


def test_a_mapping_rules_flows_out(server: ScriptedServer) -> None:
    """Without "*", a flow with a stage that the mapping lacks is never chosen, before anyone is asked."""
    server.will(challenge(["a", "b"], ["c"]))
    user: dict[str, Any] = {"a": pytest.fail, "d": pytest.fail}

    with pytest.raises(NoAuthFlowFoundError, match=r"a -> b: there is no handler for b \| c: there is no handler"):
        InteractiveAuth(server, user).attempt_auth()


@pytest.mark.parametrize(
    ("handlers", "flows", "chosen"),
    [
        (["a", "b"], [["c"], ["a", "b"]], ["a", "b"]),
        (["a", "b", "*"], [["c"], ["a", "b"]], ["a", "b"]),
        (["*"], [["c"], ["a", "b"]], ["c"]),
        ([EMAIL], [[MSISDN], [EMAIL]], [EMAIL]),
        (["*", EMAIL], [[MSISDN], [EMAIL]], [EMAIL]),
        ([], [["c"], ["m.login.dummy"]], ["m.login.dummy"]),
    ],
    ids=["keys", "keys before star", "star alone", "email named", "email named beside star", "nothing handled"],
)
def test_the_keys_are_supported(
    server: ScriptedServer, handlers: list[str], flows: list[list[str]], chosen: list[str]
) -> None:
    """The keys of a mapping are the default of supported_stages."""
    server.will(challenge(*flows), "done")
    auth = InteractiveAuth(server, {stage: lambda stage: {"type": stage.type} for stage in handlers})

    auth.attempt_auth()

    assert auth.get_chosen_flow() == {"stages": chosen}


def test_supported_stages_win_over_the_keys(server: ScriptedServer) -> None:
    """Given supported_stages steer the choice, a mapping's keys still rule flows out."""
    server.will(challenge(["a"], ["b"], ["c"]), "done")
    handlers: dict[str, Any] = {stage: lambda stage: {"type": stage.type} for stage in ("a", "b")}
    auth = InteractiveAuth(server, handlers, supported_stages=["b", "c"])

    auth.attempt_auth()

    assert auth.get_chosen_flow() == {"stages": ["b"]}
