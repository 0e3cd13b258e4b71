"""What the console asks for of messages where a person gives nothing of use, or the server nothing to choose."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from interactive_auth import AuthCancelledError, AuthType, Homeserver, MatrixError, _messages, console
from interactive_auth._waitline import WaitLine

HOMESERVER = Homeserver("https://matrix.example.org")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person is told."""
    told: list[str] = []
    monkeypatch.setattr(_messages, "say", told.append)
    return told


def test_numbers_without_digits(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    """They are asked for again, and not for ever."""
    monkeypatch.setattr(_messages, "ask", lambda prompt: "none")

    with pytest.raises(AuthCancelledError, match="nothing usable was entered at 'Phone number'"):
        _messages._ask_digits()

    assert set(said) == {"A phone number has digits."}


def test_addresses_that_the_server_refuses(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    """After three of them the one before stays, and the person is told so."""
    monkeypatch.setattr(_messages, "read", lambda prompt: "a@example.org")
    monkeypatch.setattr(_messages, "_address", lambda kind, stage: "before@example.org")
    monkeypatch.setattr(_messages, "_send", lambda kind, stage, *address: MatrixError(400, {"error": "No"}))

    _messages._change(AuthType.EMAIL, SimpleNamespace())  # type: ignore[arg-type]  # nothing of the stage is looked at

    assert said == ["It stays with before@example.org."]


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Callable[..., str | None]:
    """Ask for the code of a mail, with what can be done about it, what is typed, and where codes are posted."""

    def ask(choices: dict[str, Callable[[], object]], typed: str, *submit_urls: str | None) -> str | None:
        urls = iter([*submit_urls, *([submit_urls[-1]] * 20)])
        stage: Any = SimpleNamespace(error=None)
        monkeypatch.setattr(_messages, "refreshed", lambda stage, kind: SimpleNamespace(submit_url=next(urls)))
        monkeypatch.setattr(_messages, "_say_sent", lambda kind, stage: None)
        monkeypatch.setattr(_messages.Messages, "_choices", lambda self, kind, stage: choices)
        monkeypatch.setattr(_messages, "read", lambda prompt: typed)
        return _messages.Messages(HOMESERVER, WaitLine()).code(AuthType.EMAIL, stage)

    return ask


def test_no_code_at_all(code: Callable[..., str | None], said: list[str]) -> None:
    """Where the mail cannot be sent again nothing is offered, and empty lines end the question."""
    with pytest.raises(AuthCancelledError, match="Code in the mail"):
        code({}, "", "https://matrix.example.org/submit")

    assert said == []


def test_a_next_mail_that_brings_a_link(code: Callable[..., str | None]) -> None:
    """The one that was sent again may bring a link instead, which the loop waits for."""
    again: list[None] = []

    assert code({"r": lambda: again.append(None)}, "R", "https://matrix.example.org/submit", None) is None
    assert again == [None]


def test_passwords_that_are_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty lines change the user name, and end the question in the end."""
    monkeypatch.setattr(console, "ask", lambda prompt: "alice")
    monkeypatch.setattr(console, "read_secret", lambda prompt: "")

    with pytest.raises(AuthCancelledError, match="Password"):
        console._Person(HOMESERVER, None, False, WaitLine())._credentials()
