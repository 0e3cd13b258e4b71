"""What is raised has none of the library's own frames: no secret among their locals, and a short traceback."""

from __future__ import annotations

import dataclasses
import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.public_names import documented
from support.scripted import NewAuth, ScriptedServer, ScriptedUser, challenge

import interactive_auth
from interactive_auth import (
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    RetryPolicy,
    ServerProtocolError,
    Stage,
    StartAuthStage,
    bots,
    handlers,
)
from interactive_auth.testing import UIAServer

PASSWORD, EMAIL = "m.login.password", "m.login.email.identity"
SECRET = "correct horse battery staple"
HOME = str(Path(interactive_auth.__file__).parent)


def frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of an error's traceback, and of all that it was raised from, as error reporters do."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        left += [each.__cause__, each.__context__]
        yield from (frame for frame, _ in traceback.walk_tb(each.__traceback__))


def own(error: BaseException) -> list[str]:
    """Return the names of the library's own functions in the tracebacks of an error."""
    return [each.f_code.co_name for each in frames(error) if each.f_code.co_filename.startswith(HOME)]


WRONG: dict[str, Any] = {"errcode": "M_FORBIDDEN"}


@pytest.mark.parametrize(
    ("answers", "options"),
    [
        (["challenge", MatrixError(500, {})], {}),
        (["challenge", *["wrong"] * 3], {}),
        (["challenge", *[ConnectionError("x")] * 4], {}),
        (["challenge", TimeoutError("x")], {"retry": None}),
        (["challenge", MatrixError(429, {"retry_after_ms": 10**9})], {}),
        (["challenge", ServerProtocolError("x")], {}),
        (["challenge", KeyError("a bug of do_request's")], {}),
        (["challenge", KeyboardInterrupt()], {}),
        (["challenge", *["challenge"] * 30], {"max_attempts": None}),
    ],
    ids=["500", "wrong", "trouble", "no retry", "limit", "protocol", "bug", "Ctrl-C", "no progress"],
)
def test_what_a_request_ends_with(
    new_auth: NewAuth,
    server: ScriptedServer,
    user: ScriptedUser,
    answers: list[Any],
    options: dict[str, Any],
) -> None:
    """However an attempt ends, no frame of the library's stands in the tracebacks of the error and its causes."""
    made = {"challenge": lambda: challenge([PASSWORD]), "wrong": lambda: challenge([PASSWORD], **WRONG)}
    server.will(*[made[answer]() if isinstance(answer, str) else answer for answer in answers])
    user.then_always({"type": PASSWORD, "password": SECRET})

    with pytest.raises(BaseException) as caught:  # noqa: PT011 (any)
        new_auth(**options).attempt_auth()

    assert own(caught.value) == []


def test_the_frames_of_a_callback_stay(server: ScriptedServer) -> None:
    """What a callback raises still shows where in the program that was, right behind the call of attempt_auth()."""
    server.will(challenge([PASSWORD]))

    def ask(stage: Stage) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        InteractiveAuth(server, {PASSWORD: ask}).attempt_auth()

    assert [each.f_code.co_name for each in frames(caught.value)] == ["test_the_frames_of_a_callback_stay", "ask"]


def test_a_ready_made_callback(server: ScriptedServer) -> None:
    """The person's callable stays in the traceback of what it raises; the ready-made callback around it does not."""
    server.will(challenge([PASSWORD]))

    def ask() -> str:
        raise EOFError

    with pytest.raises(EOFError) as caught:
        InteractiveAuth(server, {PASSWORD: handlers.password("alice", ask)}).attempt_auth()

    assert own(caught.value) == []
    assert next(reversed([*frames(caught.value)])).f_code.co_name == "ask"


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_refused_token_request(server: ScriptedServer, user: ScriptedUser, by_hand: bool) -> None:
    """So it is with what a token request ends with, by hand too."""

    def refuse(*_: object) -> dict[str, str]:
        raise MatrixError(400, {"errcode": "M_THREEPID_DENIED"})

    server.will(challenge([EMAIL]))
    auth = InteractiveAuth(server, user, inputs={"email_address": "a@b.c"}, request_email_token=refuse)

    with pytest.raises(MatrixError) as caught:
        auth.request_email_token() if by_hand else auth.attempt_auth()

    assert own(caught.value) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: InteractiveAuth(print, {}).submit_auth_dict({"type": PASSWORD, "password": SECRET}),
        lambda: InteractiveAuth(print, {}).submit_auth_dict({"password": SECRET}),
        lambda: InteractiveAuth(print, {}, client_secret=SECRET, max_attempts=0),
        lambda: Homeserver("ftp://x", access_token=SECRET),
        lambda: setattr(Homeserver("https://example.org"), "access_token", SECRET + " x"),
        lambda: handlers.password(5, SECRET),  # type: ignore[arg-type]  # the mistake
        lambda: handlers.registration_token(SECRET + "\ud800"),
        lambda: Homeserver("https://example.org").register("", SECRET),
        lambda: InteractiveAuth(print, {}).set_email_sid(""),
        lambda: InteractiveAuth(print, {}).set_msisdn_sid(""),
        lambda: InteractiveAuth(print, {}).get_stage_params(""),
        lambda: setattr(InteractiveAuth(print, {}), "poll_interval", 0),
        lambda: setattr(InteractiveAuth(print, {}), "poll_timeout", -1),
        lambda: RetryPolicy(retries=-1),
        lambda: MatrixError("403", {}),  # type: ignore[arg-type]  # the mistake
        lambda: Stage(PASSWORD).add_cleanup(print),
        lambda: bots.check_answer(403, {}, 5),  # type: ignore[arg-type]  # the mistake
        lambda: bots.from_coroutine(5),  # type: ignore[arg-type]  # the mistake
        lambda: setattr(UIAServer.__new__(UIAServer), "answer", 5),
    ],
    ids=range(19),
)
def test_refused_arguments(call: Callable[[], object]) -> None:
    """What is refused where it was given leads to no frame of the library's either, and its objects can be shown."""
    with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError)) as caught:
        call()

    assert own(caught.value) == []


@pytest.mark.parametrize(
    ("callback", "stage"),
    [
        (handlers.password("alice", lambda: 5), PASSWORD),  # type: ignore[arg-type, return-value]  # the mistake
        (handlers.registration_token(lambda: ""), "m.login.registration_token"),
        (handlers.recaptcha(lambda key: None), "m.login.recaptcha"),
        (handlers.terms(bool), "m.login.terms"),
        (handlers.email(), EMAIL),
        (handlers.msisdn(lambda: None, Homeserver("https://example.org")), "m.login.msisdn"),
        (handlers.sso(Homeserver("https://example.org"), print), "m.login.sso"),
        (handlers.oauth(print), "m.oauth"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_ready_made_callback_by_hand(callback: StartAuthStage, stage: str) -> None:
    """Called with a stage that was made by hand, as in a test, a ready-made callback leaves no frame, either."""
    with pytest.raises((InteractiveAuthError, TypeError, RuntimeError)) as caught:
        callback(Stage(stage))

    assert own(caught.value) == []


#: They see to their frames themselves: the one decorates what must not be called after the success, the others
#: drop what they were given first, or are coroutine functions.
BY_THEMSELVES = {"InteractiveAuth.attempt_auth", "UIARequest.authenticate", "bots.attempt_auth"}


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(value.__init__ if inspect.isclass(value) else value, id=name)
        for name, value in documented()
        if "Raises:" in (inspect.getdoc(value) or "") and not name.endswith(tuple(BY_THEMSELVES))
    ],
)
def test_what_may_raise(function: Callable[..., Any]) -> None:
    """Every public function whose documentation tells of errors takes the library's frames out of them."""
    assert getattr(function, "__wrapped__", None) is not None


def test_a_group_of_errors(server: ScriptedServer) -> None:
    """Errors that a callback has collected are cleaned one by one."""

    class GroupError(Exception):
        def __init__(self, *exceptions: Exception) -> None:
            super().__init__("several")
            self.exceptions = exceptions

    def ask(stage: Stage) -> None:
        try:
            Homeserver.__init__.__wrapped__(Homeserver.__new__(Homeserver), "ftp://x")  # type: ignore[attr-defined]  # wraps() sets it
        except ValueError as error:
            raise GroupError(error) from None

    server.will(challenge([PASSWORD]))

    with pytest.raises(GroupError) as caught:
        InteractiveAuth(server, ask).attempt_auth()

    assert own(caught.value.exceptions[0]) == []


def test_a_cause_of_the_callers(server: ScriptedServer) -> None:
    """An error that came while another one was handled shows that one as it was, without the library's frames in it."""
    server.will(MatrixError(500, {}), MatrixError(502, {}))
    auth = InteractiveAuth(server, {}, retry=None)

    def fall_back() -> None:
        try:
            auth.attempt_auth()
        except MatrixError:
            auth.attempt_auth()

    with pytest.raises(MatrixError) as caught:
        fall_back()

    assert caught.value.__context__ is not None
    assert own(caught.value) == []
    assert "fall_back" in [each.f_code.co_name for each in frames(caught.value)]


def test_what_is_read(server: ScriptedServer, user: ScriptedUser) -> None:
    """A failed stage, with its cause, is a screen of text that ends in the message and its public name."""
    server.will(challenge([PASSWORD]), *[challenge([PASSWORD], **WRONG)] * 3)
    user.then_always({"type": PASSWORD, "password": SECRET})

    with pytest.raises(interactive_auth.StageFailedError) as caught:
        InteractiveAuth(server, user).attempt_auth()

    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    assert len(lines) <= 10
    assert lines[-1].startswith("interactive_auth.StageFailedError: m.login.password was rejected 3 times")


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """An error that refuses to have attributes set."""

    exceptions: None = None


class ListingError(Exception):
    """An error that has something of its own by the name that a group's members have."""

    @property
    def exceptions(self) -> list[Exception]:
        raise LookupError("not loaded")


@pytest.mark.parametrize("error", [FrozenError(), ListingError()], ids=["frozen", "listing"])
def test_errors_of_other_kinds(new_auth: NewAuth, server: ScriptedServer, user: ScriptedUser, error: Exception) -> None:
    """Whatever a callback raises arrives as it is."""
    server.will(challenge([PASSWORD]))
    user.will(error)

    with pytest.raises(type(error)) as caught:
        new_auth().attempt_auth()

    assert caught.value is error
    assert own(error) == []
