"""Homeservers of one configuration each, and ways to ask them what a registration has really done."""

from __future__ import annotations

import itertools
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests
from support.terminal import PACKAGES, TAKE_TERMINAL, Terminal
from throwaway_services import MailServer, SmsGateway, captcha_verifier, mail_server, sms_gateway
from throwaway_synapse import OPEN, SERVER_NAME, TERMS, TOKEN, Config, Synapse, throwaway_synapse

from interactive_auth import Homeserver, Stage, StartAuthStage

#: Ofcom sets these numbers aside: 07700 900000 to 07700 900999.
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def mails() -> Iterator[MailServer]:
    with mail_server(MailServer()) as running:
        yield running


@pytest.fixture(scope="session")
def texts() -> Iterator[SmsGateway]:
    with sms_gateway() as running:
        yield running


@pytest.fixture(scope="session")
def captcha_response() -> str:
    """The only response that the captcha's verifier takes."""
    return "i-am-no-robot"


@pytest.fixture(scope="session")
def captcha_config(captcha_response: str) -> Iterator[Config]:
    with captcha_verifier(captcha_response) as config:
        yield {"enable_registration": True, **config}


@pytest.fixture(scope="session")
def open_server() -> Iterator[Synapse]:
    with throwaway_synapse(OPEN) as running:
        yield running


@pytest.fixture(scope="session")
def token_server() -> Iterator[Synapse]:
    with throwaway_synapse(TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def terms_server() -> Iterator[Synapse]:
    with throwaway_synapse(OPEN, TERMS) as running:
        yield running


@pytest.fixture(scope="session")
def captcha_server(captcha_config: Config) -> Iterator[Synapse]:
    with throwaway_synapse(captcha_config) as running:
        yield running


@pytest.fixture(scope="session")
def email_server(mails: MailServer) -> Iterator[Synapse]:
    required = {"enable_registration": True, "registrations_require_3pid": ["email"]}
    with throwaway_synapse(required, mails.config()) as running:
        yield running


@pytest.fixture(scope="session")
def phone_server(texts: SmsGateway) -> Iterator[Synapse]:
    required = {"enable_registration": True, "registrations_require_3pid": ["msisdn"]}
    with throwaway_synapse(required, texts.config()) as running:
        yield running


@pytest.fixture
def homeserver_at() -> Iterator[Callable[..., Homeserver]]:
    """Make clients of homeservers, closed after the test."""
    made: list[Homeserver] = []

    def make(server: Synapse, access_token: str | None = None) -> Homeserver:
        made.append(Homeserver(server.base_url, access_token=access_token))
        return made[-1]

    yield make
    for homeserver in made:
        homeserver.close()


@pytest.fixture
def name() -> str:
    """A user name that nobody has."""
    return f"user{secrets.token_hex(4)}"


@pytest.fixture
def user_id(name: str) -> str:
    """The user id that the user name becomes."""
    return f"@{name}:{SERVER_NAME}"


@pytest.fixture
def password() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def web() -> Iterator[requests.Session]:
    """What a person's browser has: it opens the links and the pages that a homeserver names."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def address(name: str) -> str:
    """An email address that nobody has."""
    return f"{name}@example.org"


@pytest.fixture
def number() -> str:
    """A British phone number that nobody has, as it is dialled there."""
    return f"07700900{next(_NUMBERS):03}"


@pytest.fixture
def international(number: str) -> str:
    """The same number as servers keep it."""
    return f"44{number[1:]}"


@pytest.fixture
def seen() -> list[Stage]:
    """The stages that the callbacks of ``watched`` were called with."""
    return []


@pytest.fixture
def watched(seen: list[Stage]) -> Callable[[Mapping[str, StartAuthStage]], dict[str, StartAuthStage]]:
    """Make callbacks that note what they are called with, and go on to the ones given."""

    def watch(callbacks: Mapping[str, StartAuthStage]) -> dict[str, StartAuthStage]:
        def noting(callback: StartAuthStage) -> StartAuthStage:
            def note(stage: Stage) -> Mapping[str, Any] | None:
                seen.append(stage)
                return callback(stage)

            return note

        return {kind: noting(callback) for kind, callback in callbacks.items()}

    return watch


@pytest.fixture
def owner() -> Callable[[Synapse, Mapping[str, Any]], str]:
    """Ask a homeserver whose the access token of a registration's answer is."""

    def ask(server: Synapse, account: Mapping[str, Any]) -> str:
        path = "/_matrix/client/v3/account/whoami"
        return str(server.call("GET", path, access_token=account["access_token"])["user_id"])

    return ask


@pytest.fixture
def exists() -> Callable[[Synapse, str], bool]:
    """Ask a homeserver's administrator whether there is such a user."""

    def ask(server: Synapse, user_id: str) -> bool:
        return bool(server.admin("GET", f"/_synapse/admin/v2/users?user_id={user_id}")["total"])

    return ask


@pytest.fixture
def account_of() -> Callable[[Synapse, str], dict[str, Any]]:
    """Ask a homeserver's administrator about a user: addresses, the version of the terms accepted, and more."""

    def ask(server: Synapse, user_id: str) -> dict[str, Any]:
        return server.admin("GET", f"/_synapse/admin/v2/users/{user_id}")

    return ask


@pytest.fixture
def addresses_of(
    account_of: Callable[[Synapse, str], dict[str, Any]],
) -> Callable[[Synapse, str], set[tuple[str, str]]]:
    """Ask a homeserver's administrator for the (medium, address) pairs of a user."""

    def ask(server: Synapse, user_id: str) -> set[tuple[str, str]]:
        return {(threepid["medium"], threepid["address"]) for threepid in account_of(server, user_id)["threepids"]}

    return ask


@pytest.fixture
def devices_of() -> Callable[[Synapse, Mapping[str, Any]], list[str]]:
    """Ask a homeserver's administrator for the ids of an account's devices."""

    def ask(server: Synapse, account: Mapping[str, Any]) -> list[str]:
        listed = server.admin("GET", f"/_synapse/admin/v2/users/{account['user_id']}/devices")
        return [device["device_id"] for device in listed["devices"]]

    return ask


@pytest.fixture
def new_token() -> Callable[[Synapse], str]:
    """Make a registration token that is good for one account."""

    def make(server: Synapse) -> str:
        token = f"token-{secrets.token_hex(6)}"
        server.add_registration_token(token, uses_allowed=1)
        return token

    return make


@pytest.fixture
def uses_of() -> Callable[[Synapse, str], int]:
    """Ask a homeserver how many accounts were registered with a token."""

    def ask(server: Synapse, token: str) -> int:
        return int(server.admin("GET", f"/_synapse/admin/v1/registration_tokens/{token}")["completed"])

    return ask


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have a person answer what is asked, prompt after prompt; gives the prompts, hidden ones in brackets.

    An answer is a text, or a function that does something and returns one.
    """

    def script(*answers: str | Callable[[], str]) -> list[str]:
        prompts: list[str] = []
        left = iter(answers)

        def reply(prompt: str) -> str:
            prompts.append(prompt)
            answer = next(left, None)
            assert answer is not None, f"nothing more was to be asked, and it was: {prompt}"
            return answer if isinstance(answer, str) else answer()

        monkeypatch.setattr("builtins.input", reply)
        monkeypatch.setattr("getpass.getpass", lambda prompt: reply(f"[{prompt}]"))
        return prompts

    return script


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """Run programs in terminals, which are closed after the test."""
    opened: list[Terminal] = []

    def start(code: str, *arguments: str, columns: int = 120) -> Terminal:
        command = [sys.executable, "-c", TAKE_TERMINAL + code, *arguments]
        opened.append(Terminal(*command, columns=columns, PYTHONPATH=PACKAGES))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()
