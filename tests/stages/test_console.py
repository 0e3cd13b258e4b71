"""console.handlers, with a person who answers what is asked, against real homeservers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse

from interactive_auth import AuthCancelledError, Homeserver, InteractiveAuth, StageFailedError, console

Connect = Callable[..., Homeserver]
Owner = Callable[[Synapse, Mapping[str, Any]], str]
Answer = Callable[..., list[str]]
Devices = Callable[[Synapse, Mapping[str, Any]], list[str]]


@pytest.fixture(scope="module")
def token_and_terms_server() -> Iterator[Synapse]:
    with throwaway_synapse(TOKEN, TERMS) as running:
        yield running


def test_token_and_terms(
    token_and_terms_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    owner: Owner,
    account_of: Callable[[Synapse, str], dict[str, Any]],
    new_token: Callable[[Synapse], str],
    uses_of: Callable[[Synapse, str], int],
    name: str,
    password: str,
    user_id: str,
) -> None:
    """The person reads the steps, why a token was wrong, and the policy's address on a line of its own."""
    homeserver = homeserver_at(token_and_terms_server)
    token = new_token(token_and_terms_server)
    prompts = answer("no-such-token", token, "y")

    account = homeserver.register(name, password).authenticate(console.handlers(homeserver))

    assert owner(token_and_terms_server, account) == user_id
    assert uses_of(token_and_terms_server, token) == 1
    assert account_of(token_and_terms_server, user_id)["consent_version"] == "1.0"
    assert prompts == ["[Registration token: ]", "[Registration token: ]", "Do you accept? (y/N) "]
    assert capsys.readouterr().out.splitlines() == [
        "Step 1 of 3: registration token",
        "Step 1 of 3: registration token",
        "The server said: Invalid registration token",
        "Step 2 of 3: terms of service",
        "Privacy Policy:",
        f"{token_and_terms_server.base_url}/_matrix/consent?v=1.0",
    ]


def test_declined_terms_end_the_attempt(
    terms_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    name: str,
    password: str,
    exists: Callable[[Synapse, str], bool],
    user_id: str,
) -> None:
    """Enter alone does not accept the terms: the attempt is over, and nobody was registered."""
    homeserver = homeserver_at(terms_server)
    prompts = answer("")

    with pytest.raises(AuthCancelledError):
        homeserver.register(name, password).authenticate(console.handlers(homeserver))

    assert prompts == ["Do you accept? (y/N) "]
    assert not exists(terms_server, user_id)


def test_password_wrong_then_right(
    open_server: Synapse,
    homeserver_at: Connect,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    devices_of: Devices,
    name: str,
    password: str,
) -> None:
    """The password is asked for without an echo, again after a wrong one, and what it was for is done."""
    account = open_server.add_user(name, password)
    homeserver = homeserver_at(open_server, account["access_token"])
    prompts = answer("a-wrong-password", password)

    homeserver.delete_device(account["device_id"]).authenticate(console.handlers(homeserver, user=name))

    assert devices_of(open_server, account) == []
    assert prompts == ["[Password: ]", "[Password: ]"]
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "Step 1 of 1: password",
        "Step 1 of 1: password",
        "The server said: Invalid username or password",
    ]
    assert printed.err == ""


def test_password_of_a_user_who_is_asked_for(
    open_server: Synapse, homeserver_at: Connect, answer: Answer, devices_of: Devices, name: str, password: str
) -> None:
    """Without a user name it is asked for first, and again if the line is empty."""
    account = open_server.add_user(name, password)
    homeserver = homeserver_at(open_server, account["access_token"])
    prompts = answer("", f" {name} ", password)

    homeserver.delete_device(account["device_id"]).authenticate(console.handlers(homeserver))

    assert devices_of(open_server, account) == []
    assert prompts == ["User name: ", "User name: ", "[Password: ]"]


def test_three_wrong_passwords_fail_the_stage(
    open_server: Synapse, homeserver_at: Connect, answer: Answer, devices_of: Devices, name: str, password: str
) -> None:
    """The person is asked as often as max_attempts says, and the device stays."""
    account = open_server.add_user(name, password)
    homeserver = homeserver_at(open_server, account["access_token"])
    prompts = answer("one", "two", "three")

    with pytest.raises(StageFailedError) as caught:
        homeserver.delete_device(account["device_id"]).authenticate(console.handlers(homeserver, user=name))

    assert (caught.value.stage, caught.value.attempts) == ("m.login.password", 3)
    assert len(prompts) == 3
    assert devices_of(open_server, account) == [account["device_id"]]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(EOFError(), id="closed"),
        pytest.param(NotImplementedError("raw_input was called, but this frontend does not support it"), id="kernel"),
    ],
)
def test_no_standard_input_at_a_hidden_prompt_ends_the_attempt_at_once(
    error: Exception,
    token_server: Synapse,
    homeserver_at: Connect,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    password: str,
    exists: Callable[[Synapse, str], bool],
    user_id: str,
) -> None:
    """Where nobody can be asked the first prompt is a RuntimeError that names it: nothing is submitted or awaited."""
    homeserver = homeserver_at(token_server)
    request = homeserver.register(name, password)
    sent: list[object] = []

    def send(auth: dict[str, Any] | None) -> Mapping[str, Any]:
        sent.append(auth)
        return request(auth)

    def fail(prompt: str) -> str:
        raise error

    monkeypatch.setattr("getpass.getpass", fail)

    with pytest.raises(RuntimeError, match=r"no standard input .*\(Registration token\)") as caught:
        InteractiveAuth(send, console.handlers(homeserver)).attempt_auth()

    assert not isinstance(caught.value, NotImplementedError)
    assert sent == [None]
    assert not exists(token_server, user_id)


@pytest.mark.parametrize(
    "error", [pytest.param(EOFError(), id="closed"), pytest.param(NotImplementedError(), id="kernel")]
)
def test_no_standard_input_at_an_open_prompt_ends_the_attempt_at_once(
    error: Exception,
    terms_server: Synapse,
    homeserver_at: Connect,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    password: str,
    exists: Callable[[Synapse, str], bool],
    user_id: str,
) -> None:
    """The same holds for what is asked by input(): no terms are accepted on behalf of nobody."""
    homeserver = homeserver_at(terms_server)

    def fail(prompt: str) -> str:
        raise error

    monkeypatch.setattr("builtins.input", fail)

    with pytest.raises(RuntimeError, match=r"no standard input .*\(Do you accept"):
        homeserver.register(name, password).authenticate(console.handlers(homeserver))

    assert not exists(terms_server, user_id)
