"""console.handlers, with a person who answers what is asked, against real homeservers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.accounts import Connect, Person, account_of, devices_of, exists, new_token, owner, uses_of
from throwaway_synapse import Synapse

from interactive_auth import AuthCancelledError, InteractiveAuth, StageFailedError, console

Answer = Callable[..., list[str]]


def test_token_and_terms(
    token_and_terms_server: Synapse, connect: Connect, answer: Answer, capsys: pytest.CaptureFixture[str], new: Person
) -> None:
    """The person reads the steps, why a token was wrong, and the policy's address on a line of its own."""
    homeserver = connect(token_and_terms_server.base_url)
    token = new_token(token_and_terms_server)
    prompts = answer("no-such-token", token, "y")

    account = homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver))

    assert owner(token_and_terms_server, account) == new.user_id
    assert uses_of(token_and_terms_server, token) == (1, 0)
    assert account_of(token_and_terms_server, new.user_id)["consent_version"] == "1.0"
    assert prompts == ["[Registration token (hidden): ]", "[Registration token (hidden): ]", "Do you accept? (y/n): "]
    assert capsys.readouterr().out.splitlines() == [
        "Step 1 of 2: registration token",
        "That registration token is not valid, or it was used up. The server said: Invalid registration token",
        "Step 1 of 2 again: registration token (2 tries left)",
        "Step 2 of 2: terms of service",
        "Privacy Policy:",
        f"{token_and_terms_server.base_url}/_matrix/consent?v=1.0",
    ]


def test_declined_terms_end_the_attempt(terms_server: Synapse, connect: Connect, answer: Answer, new: Person) -> None:
    """Enter alone decides nothing; n declines the terms: the attempt is over, and nobody was registered."""
    homeserver = connect(terms_server.base_url)
    prompts = answer("", "n")

    with pytest.raises(AuthCancelledError):
        homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver))

    assert prompts == ["Do you accept? (y/n): ", "Do you accept? (y/n): "]
    assert not exists(terms_server, new.user_id)


def test_password_wrong_then_right(
    open_server: Synapse, connect: Connect, answer: Answer, capsys: pytest.CaptureFixture[str], new: Person
) -> None:
    """The password is asked for without an echo, again after a wrong one, and what it was for is done."""
    account = open_server.add_user(new.name, new.password)
    homeserver = connect(open_server.base_url, access_token=account["access_token"])
    prompts = answer("a-wrong-password", new.password)

    homeserver.delete_device(account["device_id"]).authenticate(console.handlers(homeserver, user=new.name))

    assert devices_of(open_server, account["user_id"]) == []
    assert prompts == 2 * [f"[Password of {new.name} (hidden): ]"]
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "Step 1 of 1: password",
        "The user name or the password is wrong. The server said: Invalid username or password",
        "Step 1 of 1 again: password (2 tries left)",
    ]
    assert printed.err == ""


def test_password_of_a_user_who_is_asked_for(
    open_server: Synapse, connect: Connect, answer: Answer, new: Person
) -> None:
    """Without a user name it is asked for first, and again if the line is empty."""
    account = open_server.add_user(new.name, new.password)
    homeserver = connect(open_server.base_url, access_token=account["access_token"])
    prompts = answer("", f" {new.name} ", new.password)

    homeserver.delete_device(account["device_id"]).authenticate(console.handlers(homeserver))

    assert devices_of(open_server, account["user_id"]) == []
    assert prompts == ["User name: ", "User name: ", f"[Password of {new.name} (hidden): ]"]


def test_a_mistyped_user_name_is_changed(
    open_server: Synapse, connect: Connect, answer: Answer, said: Callable[[], list[str]], new: Person
) -> None:
    """After a wrong password the name stays, and Enter alone in the password's place asks for another one."""
    account = open_server.add_user(new.name, new.password)
    homeserver = connect(open_server.base_url, access_token=account["access_token"])
    prompts = answer("nobody", new.password, "", new.name, new.password)

    homeserver.delete_device(account["device_id"]).authenticate(console.handlers(homeserver))

    assert devices_of(open_server, account["user_id"]) == []
    assert prompts == [
        "User name: ",
        "[Password of nobody (hidden): ]",
        "[Password of nobody (hidden): ]",
        "User name: ",
        f"[Password of {new.name} (hidden): ]",
    ]
    assert said()[2:] == ["Step 1 of 1 again: password (2 tries left)", "Enter alone changes the user name."]


def test_three_wrong_passwords_fail_the_stage(
    open_server: Synapse, connect: Connect, answer: Answer, new: Person
) -> None:
    """The person is asked as often as max_attempts says, and the device stays."""
    account = open_server.add_user(new.name, new.password)
    homeserver = connect(open_server.base_url, access_token=account["access_token"])
    prompts = answer("one", "two", "three")

    with pytest.raises(StageFailedError) as caught:
        homeserver.delete_device(account["device_id"]).authenticate(console.handlers(homeserver, user=new.name))

    assert (caught.value.stage, caught.value.attempts) == ("m.login.password", 3)
    assert len(prompts) == 3
    assert devices_of(open_server, account["user_id"]) == [account["device_id"]]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(EOFError(), id="closed"),
        pytest.param(NotImplementedError("raw_input was called, but this frontend does not support it"), id="kernel"),
    ],
)
def test_no_standard_input_at_a_hidden_prompt_ends_the_attempt_at_once(
    error: Exception, token_server: Synapse, connect: Connect, monkeypatch: pytest.MonkeyPatch, new: Person
) -> None:
    """Where nobody can be asked the first prompt is a RuntimeError that names it: nothing is submitted or awaited."""
    homeserver = connect(token_server.base_url)
    request = homeserver.register(new.name, new.password)
    sent: list[object] = []

    def send(auth: dict[str, Any] | None) -> Mapping[str, Any]:
        sent.append(auth)
        return request(auth)

    def fail(prompt: str) -> str:
        raise error

    monkeypatch.setattr("getpass.getpass", fail)

    with pytest.raises(RuntimeError, match=r"no standard input .*\(Registration token \(hidden\)\)") as caught:
        InteractiveAuth(send, console.handlers(homeserver)).attempt_auth()

    assert not isinstance(caught.value, NotImplementedError)
    assert sent == [None]
    assert not exists(token_server, new.user_id)


@pytest.mark.parametrize(
    "error", [pytest.param(EOFError(), id="closed"), pytest.param(NotImplementedError(), id="kernel")]
)
def test_no_standard_input_at_an_open_prompt_ends_the_attempt_at_once(
    error: Exception, terms_server: Synapse, connect: Connect, monkeypatch: pytest.MonkeyPatch, new: Person
) -> None:
    """The same holds for what is asked by input(): no terms are accepted on behalf of nobody."""
    homeserver = connect(terms_server.base_url)

    def fail(prompt: str) -> str:
        raise error

    monkeypatch.setattr("builtins.input", fail)

    with pytest.raises(RuntimeError, match=r"no standard input .*\(Do you accept"):
        homeserver.register(new.name, new.password).authenticate(console.handlers(homeserver))

    assert not exists(terms_server, new.user_id)
