"""console.handlers for every stage type there is: what the person reads, is asked, and what is sent for it."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from interactive_auth import AuthType, Homeserver, InteractiveAuth, MatrixError, ServerProtocolError, console

SESSION = {"session": "a-session"}
PAGE = "https://matrix.example.org/_matrix/client/v3/auth/{}/fallback/web?session=a-session"
DONE = "When the page says that you are done, this goes on by itself."
PARAMS: dict[str, Any] = {
    AuthType.TERMS: {
        "policies": {"tos": {"version": "1", "en": {"name": "Rules", "url": "https://example.org/rules"}}}
    },
    AuthType.OAUTH: {"url": "https://example.org/approve"},
    AuthType.UNSTABLE_OAUTH: {"url": "https://example.org/approve"},
}
#: The stages that are done on the homeserver's fallback page, and what they are called before a person.
FALLBACK: dict[str, str] = {
    AuthType.RECAPTCHA: "captcha",
    AuthType.SSO: "single sign-on",
    AuthType.UNSTABLE_SSO: "single sign-on",
    "com.example.magic": "com.example.magic",
}


class OneStage:
    """A homeserver that demands one stage, and takes the first answer to it, or the first poll, as its completion.

    Attributes:
        answered: the auth dict that it took.
    """

    def __init__(self, stage: str, params: Mapping[str, Any] | None = None) -> None:
        self._challenge = {**SESSION, "flows": [{"stages": [stage]}], "params": {stage: params or {}}}
        self.answered: dict[str, Any] | None = None

    def __call__(self, auth: dict[str, Any] | None) -> str:
        """Answer a request."""
        if auth is None:
            raise MatrixError(401, self._challenge)
        self.answered = auth
        return "done"


@pytest.fixture
def homeserver() -> Iterator[Homeserver]:
    with Homeserver("https://matrix.example.org") as made:
        yield made


def test_every_stage_type_has_a_callback_of_its_own(homeserver: Homeserver) -> None:
    """All that is asked of a person has its own entry, dummy is not asked, and "*" serves what servers make up."""
    callbacks = console.handlers(homeserver)

    assert set(callbacks) == {stage.value for stage in AuthType if stage is not AuthType.DUMMY} | {"*"}
    assert all(callable(callback) for callback in callbacks.values())


def test_handlers_of_no_homeserver_are_refused_at_once() -> None:
    """A wrong argument is a TypeError where it is passed, not when the stage comes."""
    with pytest.raises(TypeError, match="homeserver must be a Homeserver, not str"):
        console.handlers("https://matrix.example.org")  # type: ignore[arg-type]  # the mistake is what is tested


@pytest.mark.parametrize(
    ("stage", "answers", "prompts", "printed", "sent"),
    [
        pytest.param(
            AuthType.PASSWORD,
            ["alice", "a-password"],
            ["User name: ", "[Password of alice (hidden): ]"],
            ["Step 1 of 1: password"],
            {"identifier": {"type": "m.id.user", "user": "alice"}, "password": "a-password"},
        ),
        *(
            pytest.param(
                stage,
                ["", "a-token"],
                ["[Registration token (hidden): ]", "[Registration token (hidden): ]"],
                ["Step 1 of 1: registration token"],
                {"token": "a-token"},
            )
            for stage in (AuthType.REGISTRATION_TOKEN, AuthType.UNSTABLE_REGISTRATION_TOKEN)
        ),
        pytest.param(
            AuthType.TERMS,
            [" Yes "],
            ["Do you accept? (y/n): "],
            ["Step 1 of 1: terms of service", "Rules:", "https://example.org/rules"],
            {},
        ),
    ],
)
def test_stage_that_is_answered(
    stage: AuthType,
    answers: list[str],
    prompts: list[str],
    printed: list[str],
    sent: dict[str, Any],
    homeserver: Homeserver,
    answer: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The person reads which step it is, and what is typed goes to the server, and nowhere else."""
    server = OneStage(stage, PARAMS.get(stage))
    asked = answer(*answers)

    assert InteractiveAuth(server, console.handlers(homeserver)).attempt_auth() == "done"

    assert server.answered == {"type": stage.value, **sent, **SESSION}
    assert asked == prompts
    assert capsys.readouterr().out.splitlines() == printed


@pytest.mark.parametrize(
    ("stage", "step", "url", "polled", "open_browser"),
    [
        *((stage, step, PAGE.format(stage), SESSION, False) for stage, step in FALLBACK.items()),
        *(
            (stage, "approval", "https://example.org/approve", {"type": "m.oauth", **SESSION}, open_browser)
            for stage in (AuthType.OAUTH, AuthType.UNSTABLE_OAUTH)
            for open_browser in (False, True)
        ),
    ],
)
def test_stage_that_is_done_on_a_page(
    stage: str,
    step: str,
    url: str,
    polled: dict[str, str],
    open_browser: bool,
    homeserver: Homeserver,
    answer: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    said: Callable[[], list[str]],
) -> None:
    """The page's address is printed on a line of its own, opened only if that was wanted, and nobody is asked."""
    server = OneStage(stage, PARAMS.get(stage))
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    asked = answer()
    callbacks = console.handlers(homeserver, open_browser=open_browser)

    assert InteractiveAuth(server, callbacks, poll_interval=0.01, poll_timeout=5.0).attempt_auth() == "done"

    assert server.answered == polled
    assert asked == []
    assert opened == ([url] if open_browser else [])
    assert said() == [f"Step 1 of 1: {step}", "Open this page in a browser:", url, DONE]


@pytest.mark.parametrize(("stage", "step"), FALLBACK.items())
def test_page_in_this_machine_s_browser(
    stage: str,
    step: str,
    homeserver: Homeserver,
    answer: Callable[..., list[str]],
    web: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A page of this machine's own is opened, whose word polls at once: nobody has to press Enter."""
    server = OneStage(stage)

    def be_done(url: str) -> None:
        page = web.get(url, timeout=30)
        site = urlsplit(page.url)
        web.post(page.url, headers={"Origin": f"{site.scheme}://{site.netloc}"}, timeout=30).raise_for_status()

    monkeypatch.setattr("webbrowser.open", be_done)
    asked = answer()
    callbacks = console.handlers(homeserver, open_browser=True)

    assert InteractiveAuth(server, callbacks, poll_interval=600.0, poll_timeout=5.0).attempt_auth() == "done"

    assert server.answered == SESSION
    assert asked == []
    lines = [f"Step 1 of 1: {step}", "Open this page in a browser:", PAGE.format(stage)]
    assert capsys.readouterr().out.splitlines()[:3] == lines


def test_no_browser_on_this_machine(
    homeserver: Homeserver,
    answer: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where no browser is found, the address that was printed has to do."""

    def fail(url: str) -> None:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr("webbrowser.open", fail)
    asked = answer()
    callbacks = console.handlers(homeserver, open_browser=True)

    server = OneStage(AuthType.OAUTH, PARAMS[AuthType.OAUTH])

    assert InteractiveAuth(server, callbacks, poll_interval=0.01).attempt_auth() == "done"

    assert asked == []
    assert "https://example.org/approve" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("stage", "inputs", "lines"),
    [
        (
            AuthType.EMAIL,
            {"email_address": "alice@example.org"},
            ["Step 1 of 1: email address", "Mail sent to alice@example.org.", "Open the link in the mail."],
        ),
        (
            AuthType.MSISDN,
            {"phone_country": "GB", "phone_number": "07700900001"},
            ["Step 1 of 1: phone number", "SMS sent to 07700900001 (GB).", "Open the link in the SMS."],
        ),
    ],
)
def test_stage_that_is_done_by_a_link(
    stage: AuthType,
    inputs: Any,
    lines: list[str],
    homeserver: Homeserver,
    answer: Callable[..., list[str]],
    said: Callable[[], list[str]],
) -> None:
    """A server that names nowhere to send a code to gets a person who opens a link, and the polls find out."""
    server = OneStage(stage)
    asked = answer()

    done = InteractiveAuth(
        server,
        console.handlers(homeserver),
        inputs=inputs,
        request_email_token=lambda *arguments: {"sid": "a-sid"},
        request_msisdn_token=lambda *arguments: {"sid": "a-sid"},
        client_secret="a-secret",
        poll_interval=0.01,
        poll_timeout=5.0,
    ).attempt_auth()

    assert done == "done"
    creds = {"sid": "a-sid", "client_secret": "a-secret"}
    assert server.answered == {"type": stage.value, "threepid_creds": creds, **SESSION}
    assert asked == []
    place = "address" if stage is AuthType.EMAIL else "number"
    hint = f"To send it again, or to change the {place}, interrupt this cell and run it again."
    assert said() == [*lines, hint]


def test_mail_that_nobody_can_send_again(
    homeserver: Homeserver, answer: Callable[..., list[str]], said: Callable[[], list[str]]
) -> None:
    """Where there is no token request, as after a resume with the sid alone, nothing of the kind is offered."""
    server = OneStage(AuthType.EMAIL)
    answer()
    options: Any = {"email_sid": "a-sid", "poll_interval": 0.01, "poll_timeout": 5.0}

    assert InteractiveAuth(server, console.handlers(homeserver), **options).attempt_auth() == "done"

    assert said() == ["Step 1 of 1: email address", "Open the link in the mail."]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", 5, None])
def test_approval_at_an_address_that_is_no_web_page(
    url: object, homeserver: Homeserver, answer: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that names no http(s) page gets nobody to open it, and is told to have broken the protocol."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    asked = answer()
    callbacks = console.handlers(homeserver, open_browser=True)

    with pytest.raises(ServerProtocolError, match=r"m\.oauth"):
        InteractiveAuth(OneStage(AuthType.OAUTH, {"url": url}), callbacks).attempt_auth()

    assert (asked, opened) == ([], [])


def test_servers_words_cannot_steer_the_terminal(
    homeserver: Homeserver, answer: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters in a reason, a policy's name or its address are not printed as they are."""
    stage = "m.login.registration_token"
    challenge = {**SESSION, "flows": [{"stages": [stage, AuthType.TERMS.value]}]}
    document = {"name": "Rules\x1b[2J", "url": "https://example.org/\x1b[2J\nStep 9 of 9: password"}
    params = {"params": {AuthType.TERMS.value: {"policies": {"tos": {"version": "1", "en": document}}}}}
    replies: list[dict[str, Any]] = [
        challenge,
        {**challenge, "errcode": "M_UNAUTHORIZED", "error": "No\x1b]0;title\x07\nStep 9 of 9: password"},
        {**challenge, **params, "completed": [stage]},
    ]

    def send(auth: dict[str, Any] | None) -> str:
        if replies:
            raise MatrixError(401, replies.pop(0))
        return "done"

    answer("wrong", "right", "y")

    assert InteractiveAuth(send, console.handlers(homeserver)).attempt_auth() == "done"

    out = capsys.readouterr().out
    assert [character for character in out if ord(character) < 32 and character != "\n"] == []
    assert "Step 9 of 9: password" not in out.splitlines()
