"""Homeservers of one configuration each, and ways to ask them what a registration has really done."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests
from support.accounts import Person, Watched
from support.programs import OpenTerminal
from support.terminal import PACKAGES, TAKE_TERMINAL
from support.threads import wait_until
from throwaway_services import MailServer, SmsGateway, captcha_verifier
from throwaway_synapse import TOKEN, Config, Synapse, throwaway_synapse


@pytest.fixture(scope="session")
def captcha_response() -> str:
    """The only response that the captcha's verifier takes."""
    return "i-am-no-robot"


@pytest.fixture(scope="session")
def captcha_config(captcha_response: str) -> Iterator[Config]:
    with captcha_verifier(captcha_response) as config:
        yield {"enable_registration": True, **config}


@pytest.fixture(scope="session")
def token_server() -> Iterator[Synapse]:
    with throwaway_synapse(TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def captcha_server(captcha_config: Config) -> Iterator[Synapse]:
    with throwaway_synapse(captcha_config) as running:
        yield running


@pytest.fixture(scope="session")
def phone_server(texts: SmsGateway) -> Iterator[Synapse]:
    required = {"enable_registration": True, "registrations_require_3pid": ["msisdn"]}
    with throwaway_synapse(required, texts.config()) as running:
        yield running


@pytest.fixture
def web() -> Iterator[requests.Session]:
    """What a person's browser has: it opens the links and the pages that a homeserver names."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def watched() -> Watched:
    """Make callbacks that note what they are called with."""
    return Watched()


@pytest.fixture
def open_link(mails: MailServer, web: requests.Session, new: Person) -> Callable[..., None]:
    """Open the link in a mail; Synapse may send one before it knows its link."""

    def visit(number: int = 1) -> None:
        link = mails.wait_for_link(new.address, number)
        wait_until(lambda: web.get(link, timeout=30).ok)

    return visit


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Return the lines that a person was told so far; what was written anew or erased since is not among them."""

    def read() -> list[str]:
        out, err = capsys.readouterr()
        assert err == ""
        lines = [line.rpartition("\r")[2] for line in out.removesuffix("\n").split("\n")]
        return lines if lines[-1] else lines[:-1]  # a wait that was over at once was not even shown

    return read


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have a person answer what is asked, prompt after prompt; gives the prompts, hidden ones in brackets.

    An answer is a text, or a function that does something and returns one, or None for Enter alone.
    """

    def script(*answers: str | Callable[[], str | None]) -> list[str]:
        prompts: list[str] = []
        left = iter(answers)

        def reply(prompt: str) -> str:
            prompts.append(prompt)
            answer = next(left, None)
            assert answer is not None, f"nothing more was to be asked, and it was: {prompt}"
            return answer if isinstance(answer, str) else answer() or ""

        monkeypatch.setattr("builtins.input", reply)
        monkeypatch.setattr("getpass.getpass", lambda prompt: reply(f"[{prompt}]"))
        return prompts

    return script


@pytest.fixture
def open_terminal(open_terminal: OpenTerminal) -> OpenTerminal:
    """Run code in terminals, which are closed after the test."""
    return lambda code, *arguments, **options: open_terminal(
        "-c", TAKE_TERMINAL + code, *arguments, PYTHONPATH=PACKAGES, **options
    )
