"""The ready-made callbacks for captcha, addresses and pages, where no homeserver is needed to show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from interactive_auth import (
    AuthCancelledError,
    Homeserver,
    InteractiveAuth,
    MatrixError,
    ServerProtocolError,
    Stage,
    console,
    handlers,
)

EMAIL = "m.login.email.identity"
PHONE = "m.login.msisdn"


def challenge(stage: str, **more: Any) -> MatrixError:
    """Make a 401 that asks for one stage."""
    return MatrixError(401, {"flows": [{"stages": [stage]}], "session": "the-session", **more})


@pytest.fixture
def homeserver() -> Homeserver:
    """A homeserver that is never talked to."""
    return Homeserver("https://matrix.example.org")


WRONG: dict[str, tuple[Callable[[Any], object], str]] = {
    "solve": (lambda hs: handlers.recaptcha("response"), "solve must be callable"),
    "notify": (lambda hs: handlers.email("text"), "notify must be callable or None"),
    "ask_address": (lambda hs: handlers.email(ask_address="a@example.org"), "ask_address must be callable or None"),
    "get_code": (lambda hs: handlers.msisdn("123456", hs), "get_code must be callable"),
    "msisdn's homeserver": (lambda hs: handlers.msisdn(input, "https://h"), "homeserver must be a Homeserver"),
    "ask_number": (lambda hs: handlers.msisdn(input, hs, ask_number=("GB", "1")), "ask_number must be callable"),
    "fallback's homeserver": (lambda hs: handlers.fallback("https://h", print), "homeserver must be a Homeserver"),
    "open_url": (lambda hs: handlers.sso(hs, None), "open_url must be callable"),
    "oauth's open_url": (lambda hs: handlers.oauth(None), "open_url must be callable"),
}


@pytest.mark.parametrize(("make", "words"), WRONG.values(), ids=WRONG)
def test_wrong_argument(homeserver: Homeserver, make: Callable[[Any], object], words: str) -> None:
    """A wrong argument is a TypeError that names it, before any stage comes."""
    with pytest.raises(TypeError, match=f"^{words}"):
        make(homeserver)


@pytest.mark.parametrize("params", [{}, *({"public_key": key} for key in (5, None, "", "\ud800"))], ids=ascii)
def test_captcha_without_a_key(params: dict[str, Any]) -> None:
    """A captcha that nobody can load is the server's fault, and the solver is not asked."""
    solved: list[str] = []

    with pytest.raises(ServerProtocolError, match=r"names no public_key for m\.login\.recaptcha"):
        handlers.recaptcha(lambda key: solved.append(key))(Stage("m.login.recaptcha", params))

    assert solved == []


def test_page_without_a_session(homeserver: Homeserver) -> None:
    """A page has no address without a session, and the person is not sent there."""
    opened: list[str] = []

    with pytest.raises(ServerProtocolError, match=r"gave no session, without which com\.example\.magic has no"):
        handlers.fallback(homeserver, opened.append)(Stage("com.example.magic"))

    assert opened == []


def test_address_that_nobody_can_be_asked_for() -> None:
    """A stage without an address among the inputs needs a callable that asks for one, and is told which."""
    with pytest.raises(RuntimeError, match=r"m\.login\.email\.identity needs the address .* \(email_address\)"):
        handlers.email()(Stage(EMAIL))
    phone = handlers.msisdn(input, Homeserver("https://matrix.example.org"))
    with pytest.raises(RuntimeError, match=r"m\.login\.msisdn needs the address .* \(phone_country and"):
        phone(Stage(PHONE))


@pytest.mark.parametrize("given", [b"alice@example.org", 5])
def test_address_that_is_no_text(given: Any) -> None:
    """What ask_address returns must be a str; what is not is told at once, and not asked for again."""
    asked: list[Any] = []

    def do_request(auth: dict[str, Any] | None) -> None:
        raise challenge(EMAIL)

    def ask_address() -> Any:
        asked.append(given)
        return given

    stages = {EMAIL: handlers.email(ask_address=ask_address)}

    with pytest.raises(TypeError, match=r"each part of the address for m\.login\.email\.identity"):
        InteractiveAuth(do_request, stages, request_email_token=lambda *_: {"sid": "1"}).attempt_auth()
    assert asked == [given]


@pytest.mark.parametrize("medium", ["email", "msisdn"])
def test_address_that_no_message_can_be_sent_to(medium: str) -> None:
    """Where the address is known and the token request is missing, that is what is told."""
    stages = {EMAIL: handlers.email(), PHONE: handlers.msisdn(input, Homeserver("https://matrix.example.org"))}
    inputs = {"email": {"email_address": "a@b.c"}, "msisdn": {"phone_country": "GB", "phone_number": "1"}}

    def do_request(auth: dict[str, Any] | None) -> None:
        raise challenge({"email": EMAIL, "msisdn": PHONE}[medium])

    with pytest.raises(RuntimeError, match=f"there is no token request for .*: give request_{medium}_token to Inter"):
        InteractiveAuth(do_request, stages, inputs=inputs[medium]).attempt_auth()  # type: ignore[arg-type]  # plain dicts


def test_callback_outside_of_an_attempt() -> None:
    """A callback that has a mail sent works only within an attempt, and says so."""
    with pytest.raises(RuntimeError, match=r"^this callback works only when it is called by an InteractiveAuth$"):
        handlers.email(ask_address=lambda: "alice@example.org")(Stage(EMAIL))


def test_refused_addresses_come_to_an_end() -> None:
    """After the third address that the server refuses, its error reaches the caller; each was asked for anew."""
    asked: list[Stage] = []
    refusals = [MatrixError(400, {"errcode": "M_THREEPID_IN_USE", "error": f"refusal {n}"}) for n in (1, 2, 3)]
    left = iter(refusals)

    def do_request(auth: dict[str, Any] | None) -> None:
        raise challenge(EMAIL)

    def request_email_token(*_: object) -> dict[str, str]:
        raise next(left)

    def ask_address(stage: Stage) -> str:
        asked.append(stage)
        return "alice@example.org"

    stages = {EMAIL: handlers.email(ask_address=ask_address)}

    with pytest.raises(MatrixError) as caught:
        InteractiveAuth(do_request, stages, request_email_token=request_email_token).attempt_auth()

    assert caught.value is refusals[2]
    assert [(stage.attempt, stage.error) for stage in asked] == [(1, None), (2, refusals[0]), (3, refusals[1])]


def test_trouble_that_is_not_the_addresses() -> None:
    """An error that another address would not mend reaches the caller at once."""
    asked: list[int] = []

    def do_request(auth: dict[str, Any] | None) -> None:
        raise challenge(PHONE)

    def request_msisdn_token(*_: object) -> dict[str, str]:
        raise MatrixError(500, {})

    def ask_number() -> tuple[str, str]:
        asked.append(1)
        return "GB", "07700900001"

    class Poster:
        def submit_token(self, submit_url: str, sid: str, client_secret: str, token: str) -> bool:
            raise AssertionError("no code was sent")

    stages = {PHONE: handlers.msisdn(lambda: "1", Poster(), ask_number=ask_number)}
    auth = InteractiveAuth(do_request, stages, request_msisdn_token=request_msisdn_token)

    with pytest.raises(MatrixError, match="500"):
        auth.attempt_auth()

    assert asked == [1]


def test_console_without_a_standard_input(homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was started without a standard input is told so, instead of an AttributeError."""
    monkeypatch.setattr("sys.stdin", None)

    with pytest.raises(RuntimeError, match=r"no standard input to ask a person by \(Password of alice \(hidden\)\)"):
        console.handlers(homeserver, user="alice")["m.login.password"](Stage("m.login.password"))


@pytest.mark.parametrize("country", ["United Kingdom", "y", "44", "\ud800"])
def test_country_that_is_none(homeserver: Homeserver, country: str) -> None:
    """A person's mistake is no ValueError: it is asked for again, and three times in a row end the attempt in words."""
    asked: list[str] = []

    def do_request(auth: dict[str, Any] | None) -> None:
        raise challenge(PHONE)

    def ask_number() -> tuple[str, str]:
        asked.append(country)
        return country, "07700900001"

    stages = {PHONE: handlers.msisdn(lambda: "1", homeserver, ask_number=ask_number)}

    with pytest.raises(AuthCancelledError, match=r"no usable address was given for m\.login\.msisdn, 3 times"):
        InteractiveAuth(do_request, stages, request_msisdn_token=lambda *_: {"sid": "1"}).attempt_auth()
    assert asked == 3 * [country]


def test_country_that_is_none_at_the_console(homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who answers everything with y is told what a country is, and not asked for ever."""
    monkeypatch.setattr("builtins.input", lambda prompt: "y")

    def do_request(auth: dict[str, Any] | None) -> None:
        raise challenge(PHONE)

    with pytest.raises(AuthCancelledError, match="nothing usable was entered at 'Country, two letters', 10 times"):
        InteractiveAuth(
            do_request, console.handlers(homeserver), request_msisdn_token=lambda *_: {"sid": "1"}
        ).attempt_auth()
