"""Mistakes of the caller's are told at once, with the stage or the callback and what to do instead."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
import requests
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

from interactive_auth import (
    AuthTimeoutError,
    Homeserver,
    InteractiveAuth,
    MatrixError,
    Stage,
    browser,
    console,
    handlers,
)

PASSWORD, EMAIL, MSISDN = "m.login.password", "m.login.email.identity", "m.login.msisdn"


# What do_request returns


class HTTPXResponse:
    """A response of another client's."""

    def __init__(self, status_code: object) -> None:
        self.status_code = status_code


class AiohttpResponse:
    """A response of a third one's."""

    def __init__(self, status: object) -> None:
        self.status = status


def response(status: int) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    return made


class Awaitable:
    """What a client on asyncio may return, that is not a coroutine."""

    def __await__(self) -> Any:
        yield


async def later(auth: object = None) -> str:
    """Send nothing until it is awaited."""
    return "done"


def generator() -> Any:
    yield


MISUSES: list[tuple[Callable[[], object], str]] = [
    (later, "returned an awaitable, so nothing was sent"),
    (Awaitable, "returned an awaitable, so nothing was sent"),
    (generator, "returned an awaitable, so nothing was sent"),
    (Future, "returned an awaitable, so nothing was sent"),
    (lambda: response(200), r"returned a requests.Response.*raise_for_matrix_error\(response\)"),
    (lambda: response(401), r"returned a requests.Response.*raise_for_matrix_error\(response\)"),
    (lambda: HTTPXResponse(401), "returned a response with the status 401: raise MatrixError"),
    (lambda: AiohttpResponse(403), "returned a response with the status 403: raise MatrixError"),
    (lambda: {"flows": [], "session": "S1"}, "returned the server's demand for authentication"),
    (lambda: {"flows": [{"stages": []}], "session": None, "params": {}}, "returned the server's demand"),
]


@pytest.mark.parametrize(("make", "said"), MISUSES, ids=[said for _, said in MISUSES])
@pytest.mark.parametrize("when", [0, 1, 2])
def test_what_cannot_be_a_response(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    make: Callable[[], object],
    said: str,
    when: int,
) -> None:
    """It is a TypeError that says what to do, in the foreground and of a poll, and no success is noted."""
    server.will(*[challenge([PASSWORD])] * when, lambda _auth: make(), "done")
    user.will({"type": PASSWORD}, None)
    if when == 1:
        user.will()
    auth = new_auth()

    with pytest.raises(TypeError, match=f"do_request {said}"):
        auth.attempt_auth()

    user.then_always({"type": PASSWORD})
    assert auth.attempt_auth() == "done"


FINE = [None, 0, "", {}, [], {"flows": []}, {"session": "x"}, {"flows": "x", "session": "y"}]
FINE += [HTTPXResponse(status) for status in (200, "401", None)] + [AiohttpResponse(200), AiohttpResponse("done")]


@pytest.mark.parametrize("fine", FINE, ids=range(len(FINE)))
def test_what_may_be_a_response(new_auth: NewAuth, server: ScriptedServer, fine: Any) -> None:
    """Whatever else do_request returns is the response."""
    server.will(fine)

    assert new_auth().attempt_auth() is fine


class CoroutineCall:
    """An object that is called like a function, and then only makes a coroutine."""

    async def __call__(self, auth: object) -> str:
        return "done"


@pytest.mark.parametrize("wrong", [later, CoroutineCall(), functools.partial(later)], ids=["def", "object", "partial"])
@pytest.mark.parametrize("where", ["do_request", "start_auth_stage", "request_email_token", "wait_changed"])
def test_coroutine_functions_are_refused(wrong: Any, where: str) -> None:
    """What does nothing when it is called is refused where it is given."""
    arguments: dict[str, Any] = {"do_request": lambda auth: "done", "start_auth_stage": {}, where: wrong}

    with pytest.raises(TypeError, match=f"^{where} must be an ordinary function"):
        InteractiveAuth(**arguments)


# What do_request raises


class AiohttpError(Exception):
    """What another client raises for an error response."""

    status = 401


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (requests.HTTPError("401 Unauthorized", response=response(401)), 401),
        (requests.HTTPError("409 Conflict", response=response(409)), 409),
        (AiohttpError(), 401),
    ],
    ids=["requests", "a refusal", "another client"],
)
def test_raise_for_status(new_auth: NewAuth, server: ScriptedServer, error: Exception, status: int) -> None:
    """What a response's own check raises passes unchanged, and a warning names what the library can read."""
    server.will(error)

    with pytest.warns(RuntimeWarning) as warned, pytest.raises(type(error)) as caught:
        new_auth().attempt_auth()
    assert [str(warning.message) for warning in warned] == [
        f"do_request raised {type(error).__name__} for an answer with the status {status}, which may ask for "
        "authentication: end it with `return raise_for_matrix_error(response)` in place of raise_for_status(), or "
        "raise MatrixError(status, body)"
    ]

    assert caught.value is error
    assert vars(caught.value).keys() <= {"response", "request"}


@pytest.mark.parametrize("error", [KeyError("x"), requests.HTTPError("without a response"), requests.HTTPError()])
def test_other_errors_need_no_word(new_auth: NewAuth, server: ScriptedServer, error: Exception) -> None:
    """What is not about an answer passes unchanged, and without a warning."""
    server.will(error)

    with pytest.raises(type(error)) as caught:
        new_auth().attempt_auth()

    assert caught.value is error


# What is not a callback


@pytest.mark.parametrize("made", ["password", "registration_token", "recaptcha", "terms", "email", "msisdn", "oauth"])
def test_a_maker_of_callbacks(made: str) -> None:
    """A function that makes callbacks is not one: it has to be called first."""
    stages: Any = {PASSWORD: getattr(handlers, made)}

    with pytest.raises(TypeError, match=rf"^start_auth_stage\['{PASSWORD}'\] is handlers\.{made} itself, .* call it"):
        InteractiveAuth(lambda auth: auth, stages)


def test_a_maker_of_mappings() -> None:
    """So it is with the one that makes a whole mapping."""
    maker: Any = console.handlers

    with pytest.raises(TypeError, match=r"^start_auth_stage is console\.handlers itself, .* call it"):
        Homeserver("https://example.org").register().authenticate(maker)


class Answering:
    """What can be called without being a function."""

    def __call__(self, stage: Any, more: Any = None, *, keep: bool = False) -> None: ...

    def two(self, stage: Any, more: Any) -> None: ...


@functools.wraps(lambda stage, more: None)
def decorated(*arguments: Any) -> None: ...


@pytest.mark.parametrize(
    "callback",
    [
        browser.complete,
        lambda: None,
        lambda stage, more: None,
        lambda *, stage: None,
        lambda stage, *, more: None,
        Answering().two,
        decorated,
        type("Mute", (), {"__call__": lambda self: None})(),
    ],
    ids=range(8),
)
def test_a_callback_of_other_arguments(callback: Any) -> None:
    """A callback is given one argument, and what cannot take it is refused at once, with the way out."""
    with pytest.raises(TypeError, match=r"must take one argument, the stage .*functools\.partial"):
        InteractiveAuth(lambda auth: auth, {PASSWORD: callback})
    with pytest.raises(TypeError, match=r"^do_request must take one argument, the auth dict or None "):
        InteractiveAuth(callback, {})


@pytest.mark.parametrize(
    "callback",
    [
        dict,
        lambda stage, more=None: None,
        lambda *_: None,
        functools.partial(browser.complete, homeserver=None),
        print,
        str.title,
        Answering(),
        Answering().__call__,
        lambda stage, *, more=None: None,
    ],
    ids=range(9),
)
def test_callbacks_that_take_one_argument(callback: Any) -> None:
    """Whatever can be called so is fine, and what does not say how it can be called is tried."""
    assert InteractiveAuth(callback, {PASSWORD: callback, "*": callback}).get_chosen_flow() is None


# What callbacks return


@pytest.mark.parametrize("answer", ["hunter22", b"x", 5, ["type"], True], ids=repr)
@pytest.mark.parametrize(
    ("keys", "source"),
    [
        (None, "what start_auth_stage returned for m.login.password"),
        (PASSWORD, "what start_auth_stage['m.login.password'] returned for m.login.password"),
        ("*", "what start_auth_stage['*'] returned for m.login.password"),
    ],
    ids=["function", "mapping", "other"],
)
def test_a_callback_that_returns_no_dict(server: ScriptedServer, answer: Any, keys: str | None, source: str) -> None:
    """The stage and the callback are named, and what was returned, a secret perhaps, is not."""
    server.will(challenge([PASSWORD]))

    def callback(stage: Stage) -> Any:
        return answer

    others: dict[str, Any] = {"m.login.sso": callback}
    callbacks: Any = callback if keys is None else {**others, keys: callback}

    with pytest.raises(TypeError) as caught:
        InteractiveAuth(server, callbacks).attempt_auth()

    assert str(caught.value).startswith(f"{source} must be a mapping, or None to wait for the stage, not ")
    assert "hunter22" not in str(caught.value)


# Token requests


def test_the_token_requests_of_the_request_itself(server: ScriptedServer) -> None:
    """A request that brings its token requests along, as a UIARequest does, need not have them named."""
    request = Homeserver("https://example.org").register("alice")

    auth = InteractiveAuth(request, {})

    threepids = auth._conversation.threepids
    assert threepids[EMAIL].request is request.request_email_token
    assert threepids[MSISDN].request is request.request_msisdn_token


def test_token_requests_that_are_given_win(server: ScriptedServer) -> None:
    """What is named wins over what the request brings along."""
    asked: list[str] = []

    class Request:
        def __call__(self, auth: object) -> str:
            return "done"

        def request_email_token(self, *_: object) -> dict[str, str]:
            raise AssertionError

        request_msisdn_token = None

    auth = InteractiveAuth(Request(), {}, request_email_token=lambda email, *_: asked.append(email) or {"sid": "e"})
    auth.request_email_token("a@b.c")

    assert asked == ["a@b.c"]
    with pytest.raises(RuntimeError, match="there is no token request for"):
        auth.request_msisdn_token("GB", "1")


@pytest.mark.parametrize(
    ("make", "said"), [(later, "returned an awaitable"), (lambda: response(200), "returned a requests.Response")]
)
def test_what_cannot_be_a_token_reply(new_auth: NewAuth, make: Callable[[], Any], said: str) -> None:
    """A token request that sends nothing, or looks at nothing, is the caller's mistake and not the server's."""
    with pytest.raises(TypeError, match=f"^request_email_token {said}"):
        new_auth(request_email_token=lambda *_: make()).request_email_token("a@b.c")


@pytest.mark.parametrize("stage", [EMAIL, MSISDN])
def test_a_wait_for_a_message_that_nobody_requested(
    new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, stage: str
) -> None:
    """It is warned of at once, with the next step, and the deadline says so, too."""
    server.then_always(challenge([stage]))
    user.then_always(None)
    auth = new_auth(supported_stages=[stage], poll_timeout=4)

    request = "email" if stage == EMAIL else "msisdn"
    with (
        pytest.warns(UserWarning, match=rf"^waiting for {stage}, but no message .*\.request_{request}_token\(\)"),
        pytest.raises(AuthTimeoutError, match="no message was requested"),
    ):
        auth.attempt_auth()


@pytest.mark.parametrize("country", ["+49", "United Kingdom", "gb", "GBR", "G1"])
def test_a_country_that_is_none(new_auth: NewAuth, country: str) -> None:
    """A country is two upper-case letters, in inputs and by hand."""
    with pytest.raises(ValueError, match=r"^inputs\['phone_country'\] must be two upper-case letters"):
        new_auth(inputs={"phone_country": country, "phone_number": "1"})
    with pytest.raises(ValueError, match=r"^country must be two upper-case letters"):
        new_auth(request_msisdn_token=lambda *_: {"sid": "s"}).request_msisdn_token(country, "1")


# Cancelling what is done by hand


def test_cancel_ends_a_token_request_by_hand(new_auth: NewAuth, clock: Any) -> None:
    """A token request that waits for a rate limit, in no attempt, is ended by cancel()."""

    def request(*_: object) -> dict[str, str]:
        raise MatrixError(429, {"retry_after_ms": 60_000})

    auth = new_auth(request_email_token=request)
    clock.at(5, auth.cancel)

    with pytest.raises(Exception, match="the authentication was cancelled"):
        auth.request_email_token("a@b.c")

    assert clock.elapsed == 5
