"""The ready-made stage callbacks: what they submit, whom they ask, and when they give up."""

from __future__ import annotations

import builtins
import functools
import getpass
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from interactive_auth import AuthCancelledError, AuthType, MatrixError, Stage, StageFailedError
from interactive_auth.handlers import Policy, password, registration_token, terms

PASSWORD, SECRET = "m.login.password", "hunter2-hunter2"
WRONG = MatrixError(401, {"errcode": "M_FORBIDDEN", "error": "Wrong"})

#: Either handler with the secret given; both treat it alike.
MAKERS: dict[str, Callable[[Any], Any]] = {
    "password": lambda secret: password("alice", secret),
    "registration_token": registration_token,
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.fixture
def stage() -> Stage:
    """Return a stage asked for the first time."""
    return Stage(PASSWORD)


@pytest.fixture
def again() -> Stage:
    """Return a stage asked for again, after two wrong answers."""
    return Stage(PASSWORD, attempt=3, error=WRONG)


@pytest.fixture
def said() -> list[Any]:
    """Return where a callable under test notes what it was called with."""
    return []


def answered(auth: dict[str, Any]) -> str:
    """Return the secret of an answer of either handler."""
    return auth["password"] if "password" in auth else auth["token"]


@pytest.mark.parametrize(
    ("user", "identifier"),
    [
        ("alice", {"type": "m.id.user", "user": "alice"}),
        ("@alice:example.org", {"type": "m.id.user", "user": "@alice:example.org"}),
        (phone := {"type": "m.id.phone", "country": "GB", "phone": "07700900001"}, phone),
        (MappingProxyType({"type": "m.id.user", "user": "alice"}), {"type": "m.id.user", "user": "alice"}),
    ],
    ids=["name", "user id", "phone", "any mapping"],
)
def test_password(stage: Stage, user: Any, identifier: dict[str, Any]) -> None:
    """A name becomes an m.id.user, an identifier is sent as it is."""
    assert password(user, SECRET)(stage) == {"type": PASSWORD, "identifier": identifier, "password": SECRET}


def test_password_keeps_its_identifier(stage: Stage) -> None:
    """Neither a change of the caller's identifier nor one of an answer changes the next answer."""
    user = {"type": "m.id.user", "user": "alice"}
    handler = password(user, lambda: SECRET)

    user["user"] = "mallory"
    first = handler(stage)
    assert first is not None
    first["identifier"]["user"] = "mallory"

    assert handler(stage) == {
        "type": PASSWORD,
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": SECRET,
    }


@pytest.mark.parametrize("name", [AuthType.REGISTRATION_TOKEN, AuthType.UNSTABLE_REGISTRATION_TOKEN, "org.example.x"])
def test_registration_token(name: str) -> None:
    """The token is sent under the name that the server has for the stage, a draft's too."""
    assert registration_token(SECRET)(Stage(name)) == {"type": name, "token": SECRET}


@makers
def test_constant_is_tried_once(make: Callable[[Any], Any], stage: Stage, again: Stage) -> None:
    """A constant secret that was refused is not sent again: the stage has failed, for the server's reason."""
    handler = make(SECRET)
    assert answered(handler(stage)) == SECRET

    with pytest.raises(StageFailedError) as caught:
        handler(again)

    error = caught.value
    assert (error.stage, error.attempts) == (PASSWORD, 2)
    assert error.__cause__ is WRONG
    assert SECRET not in f"{error}{error!r}{error.args}"


@makers
def test_constant_after_other_trouble(make: Callable[[Any], Any]) -> None:
    """A constant secret is sent as long as nothing has refused it, whatever number the attempt has."""
    assert answered(make(SECRET)(Stage(PASSWORD, attempt=2))) == SECRET


@makers
def test_callable_is_asked_again(make: Callable[[Any], Any], stage: Stage, again: Stage) -> None:
    """A callable without an argument is asked each time, also after a wrong answer."""
    answers = iter(["first-wrong", SECRET])
    handler = make(lambda: next(answers))

    assert [answered(handler(stage)), answered(handler(again))] == ["first-wrong", SECRET]


class Asker:
    """Callables of many kinds; those that must have an argument note it."""

    def __init__(self, said: list[Any]) -> None:
        self.said = said

    def __call__(self, stage: Stage) -> str:
        return self.method(stage)

    def method(self, stage: Stage) -> str:
        self.said.append(stage)
        return SECRET

    def nothing(self) -> str:
        return SECRET

    def optional(self, prompt: str = "Password: ", *more: Any, **options: Any) -> str:
        self.said += [prompt, *more, *options] if prompt != "Password: " else []
        return SECRET

    def positional(self, stage: Stage, /, other: object = None) -> str:
        return self.method(stage)


@makers
@pytest.mark.parametrize(
    "choose",
    [
        lambda asker: asker,
        lambda asker: asker.method,
        lambda asker: asker.positional,
        lambda asker: functools.partial(Asker.method, asker),
        lambda asker: lambda stage: asker.method(stage),
    ],
    ids=["object", "method", "positional", "partial", "lambda"],
)
def test_callable_with_an_argument(
    make: Callable[[Any], Any], choose: Callable[[Asker], Any], again: Stage, said: list[Any]
) -> None:
    """A callable that must have an argument is passed the stage, with the error in it."""
    assert answered(make(choose(Asker(said)))(again)) == SECRET
    assert said == [again]


@makers
@pytest.mark.parametrize(
    "choose",
    [
        lambda asker: asker.nothing,
        lambda asker: asker.optional,
        lambda asker: functools.partial(asker.method, Stage("other")),
        lambda asker: lambda *everything, **options: asker.optional(*everything, **options),
    ],
    ids=["no argument", "default", "partial", "star"],
)
def test_callable_without_an_argument(
    make: Callable[[Any], Any], choose: Callable[[Asker], Any], again: Stage, said: list[Any]
) -> None:
    """A callable that can do without an argument is passed none."""
    assert answered(make(choose(Asker(said)))(again)) == SECRET
    assert again not in said


@makers
def test_getpass_prompts_with_its_own_words(
    make: Callable[[Any], Any], stage: Stage, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """getpass.getpass and input are called without an argument, so that neither prints the stage as its prompt."""

    def fake(prompt: str = "Password: ", stream: Any = None) -> str:
        said.append((prompt, stream))
        return SECRET

    fake.__signature__ = builtins.__import__("inspect").signature(getpass.getpass)  # type: ignore[attr-defined]
    monkeypatch.setattr(getpass, "getpass", fake)

    assert answered(make(getpass.getpass)(stage)) == SECRET
    assert said == [("Password: ", None)]
