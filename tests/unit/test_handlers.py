"""The ready-made stage callbacks: what they submit, whom they ask, and when they give up."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from interactive_auth import AuthCancelledError, AuthType, MatrixError, ServerProtocolError, Stage, StageFailedError
from interactive_auth._engine.context import tries_left
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
def test_constant_that_was_not_refused(make: Callable[[Any], Any], stage: Stage, again: Stage) -> None:
    """A constant secret is sent as long as nothing has refused it: an earlier answer's error does not concern it."""
    handler = make(SECRET)

    assert answered(handler(again)) == SECRET
    assert answered(handler(stage)) == SECRET


@makers
def test_callable_is_asked_again(make: Callable[[Any], Any], stage: Stage, again: Stage) -> None:
    """A callable without an argument is asked each time, also after a wrong answer."""
    answers = iter(["first-wrong", SECRET])
    handler = make(lambda: next(answers))

    assert [answered(handler(stage)), answered(handler(again))] == ["first-wrong", SECRET]


class Asker:
    """Callables of many kinds, that note the arguments they are called with."""

    def __init__(self, said: list[Any]) -> None:
        self.said = said

    def __call__(self, stage: Stage) -> str:
        return self.method(stage)

    def method(self, stage: Stage) -> str:
        self.said.append(stage)
        return SECRET

    def nothing(self) -> str:
        return SECRET

    def optional(self, prompt: object = None, *, stream: object = None) -> str:
        self.said += [said for said in (prompt, stream) if said is not None]
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
        lambda asker: lambda *arguments: asker.method(*arguments),
    ],
    ids=["object", "method", "positional", "partial", "lambda", "any number"],
)
def test_callable_with_an_argument(
    make: Callable[[Any], Any], choose: Callable[[Asker], Any], again: Stage, said: list[Any]
) -> None:
    """A callable that must have an argument, or takes any number, is passed the stage, with the error in it."""
    assert answered(make(choose(Asker(said)))(again)) == SECRET
    assert said == [again]


@makers
@pytest.mark.parametrize(
    "choose",
    [
        lambda asker: asker.nothing,
        lambda asker: asker.optional,
        lambda asker: functools.partial(asker.method, Stage("other")),
    ],
    ids=["no argument", "default", "partial"],
)
def test_callable_without_an_argument(
    make: Callable[[Any], Any], choose: Callable[[Asker], Any], again: Stage, said: list[Any]
) -> None:
    """A callable that can do without an argument is passed none."""
    assert answered(make(choose(Asker(said)))(again)) == SECRET
    assert again not in said


@makers
@pytest.mark.parametrize("ask", [getpass.getpass, input], ids=["getpass", "input"])
def test_prompts_are_not_passed_the_stage(
    make: Callable[[Any], Any], ask: Callable[..., str], stage: Stage, said: list[Any]
) -> None:
    """What has the signature of getpass.getpass or input is passed nothing: it would print the stage as its prompt."""

    @functools.wraps(ask)
    def prompt(*arguments: Any) -> str:
        said.append(arguments)
        return SECRET

    assert answered(make(prompt)(stage)) == SECRET
    assert said == [()]


@makers
def test_callable_without_a_signature(make: Callable[[Any], Any], stage: Stage) -> None:
    """A built-in function whose signature cannot be read is passed nothing."""
    assert answered(make(functools.partial(next, iter([SECRET])))(stage)) == SECRET


@makers
@pytest.mark.parametrize("answer", [None, SECRET.encode(), 5, [SECRET]], ids=["None", "bytes", "int", "list"])
def test_callable_that_returns_no_text(make: Callable[[Any], Any], stage: Stage, answer: Any) -> None:
    """A callable that returns no str is named in a TypeError, without what it returned."""
    handler = make(lambda: answer)

    with pytest.raises(TypeError, match=r"what (secret|token) returns must be a str, not ") as caught:
        handler(stage)

    assert SECRET not in str(caught.value)


@makers
def test_callable_that_returns_nothing(make: Callable[[Any], Any], stage: Stage) -> None:
    """An empty secret, as of Enter at a prompt, is asked for again, three times in all; then nobody wants to answer."""
    typed = iter(["", "", SECRET, "", "", "", "never asked for"])
    handler = make(lambda: next(typed))

    assert SECRET in handler(stage).values()
    with pytest.raises(AuthCancelledError, match="gave an empty answer 3 times"):
        handler(stage)

    assert next(typed) == "never asked for"


@makers
def test_callable_that_raises(make: Callable[[Any], Any], stage: Stage) -> None:
    """What a callable raises reaches the caller unchanged."""
    trouble = EOFError("no more input")

    def ask() -> str:
        raise trouble

    with pytest.raises(EOFError) as caught:
        make(ask)(stage)

    assert caught.value is trouble


async def later() -> str:
    """Be of no use to synchronous code."""
    return SECRET


WRONG_ARGUMENTS: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "user None": (lambda: password(None, SECRET), TypeError, "user must be a str"),
    "user bytes": (lambda: password(b"alice", SECRET), TypeError, "user must be a str"),
    "user list": (lambda: password(["alice"], SECRET), TypeError, "user must be .*mapping"),
    "user empty": (lambda: password("", SECRET), ValueError, "user must not be empty"),
    "no type": (lambda: password({"user": "alice"}, SECRET), TypeError, r"user\['type'\] must be a str"),
    "empty type": (lambda: password({"type": ""}, SECRET), ValueError, r"user\['type'\] must not be empty"),
    "secret None": (lambda: password("alice", None), TypeError, "secret must be a str, or a callable"),
    "secret bytes": (lambda: password("alice", SECRET.encode()), TypeError, "secret must be a str, or a callable"),
    "secret empty": (lambda: password("alice", ""), ValueError, "secret must not be empty"),
    "secret async": (lambda: password("alice", later), TypeError, "secret must be an ordinary function"),
    "token None": (lambda: registration_token(None), TypeError, "token must be a str, or a callable"),
    "token list": (lambda: registration_token([SECRET]), TypeError, "token must be a str, or a callable"),
    "token empty": (lambda: registration_token(""), ValueError, "token must not be empty"),
    "accept None": (lambda: terms(None), TypeError, "accept must be callable"),
    "accept True": (lambda: terms(True), TypeError, "accept must be callable"),
    "accept async": (lambda: terms(later), TypeError, "accept must be an ordinary function"),
    "language None": (lambda: terms(bool, language=None), TypeError, "language must be a str"),
    "language empty": (lambda: terms(bool, language=""), ValueError, "language must not be empty"),
}


@pytest.mark.parametrize(("call", "kind", "words"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument(call: Callable[[], object], kind: type[Exception], words: str) -> None:
    """A wrong argument is named when the callback is made, with what was expected, and without its value."""
    with pytest.raises(kind, match=f"^{words}") as caught:
        call()

    assert SECRET not in str(caught.value)


def document(name: str, tag: str = "en") -> dict[str, Any]:
    """Make one language's entry of a policy."""
    return {tag: {"name": name, "url": f"https://example.org/{tag}/{name}"}}


@pytest.fixture
def read(said: list[Any]) -> Callable[..., list[Policy]]:
    """Return a function that gives the policies that a person is shown."""

    def show(policies: Any, **options: Any) -> list[Policy]:
        handler = terms(lambda policies: said.append(policies) or True, **options)
        assert handler(Stage("m.login.terms", params={"policies": policies})) == {"type": "m.login.terms"}
        return said.pop()

    return show


def test_terms(read: Callable[..., list[Policy]]) -> None:
    """Each policy is shown with its id, version, title, address and language, in the server's order."""
    policies = {
        "terms": {"version": "1.2", **document("Terms")},
        "privacy": {"version": "3", **document("Datenschutz", "de")},
    }

    assert read(policies) == [
        Policy("terms", "1.2", "Terms", "https://example.org/en/Terms", "en"),
        Policy("privacy", "3", "Datenschutz", "https://example.org/de/Datenschutz", "de"),
    ]


@pytest.mark.parametrize("refusal", [False, 0, ""], ids=repr)
def test_refused_terms(refusal: Any) -> None:
    """If the terms are not accepted, AuthCancelledError ends the attempt, and nothing is submitted."""
    handler = terms(lambda policies: refusal)

    with pytest.raises(AuthCancelledError, match="terms of service were not accepted"):
        handler(Stage("m.login.terms", params={"policies": {"terms": document("Terms")}}))


def test_terms_without_an_answer() -> None:
    """A function that forgets to return is told apart from a no."""
    handler = terms(lambda policies: None)  # type: ignore[arg-type, return-value]  # the mistake is what is tested

    with pytest.raises(TypeError, match=r"what accept returned for m\.login\.terms must be true or false, not None"):
        handler(Stage("m.login.terms", params={"policies": {"terms": document("Terms")}}))


@pytest.mark.parametrize(
    ("wanted", "offered", "shown"),
    [
        ("en", ["de", "en"], "en"),
        ("pt-BR", ["en", "pt", "pt-BR"], "pt-BR"),
        ("pt-BR", ["en", "pt-PT", "pt"], "pt"),
        ("pt-BR", ["en", "pt-PT"], "pt-PT"),
        ("pt", ["en", "pt-BR"], "pt-BR"),
        ("PT_br", ["en", "pt-BR"], "pt-BR"),
        ("pt-BR", ["en", "pt_br"], "pt_br"),
        ("fr", ["de", "en"], "en"),
        ("fr", ["de", "en-GB"], "en-GB"),
        ("fr", ["de", "it"], "de"),
        ("p", ["pt", "en"], "en"),
        ("en", ["EN", "en"], "EN"),
        ("en", [""], ""),
    ],
)
def test_language(read: Callable[..., list[Policy]], wanted: str, offered: list[str], shown: str) -> None:
    """The nearest language is shown: the tag itself, its language, a relative, else English, else the first."""
    policies = {"terms": {tag: {"name": f"<{tag}>", "url": "https://example.org"} for tag in offered}}

    assert [policy.language for policy in read(policies, language=wanted)] == [shown]


GOOD = document("Terms")
MALFORMED = {
    "absent": None,
    "list": [GOOD],
    "text": "terms",
    "stray version": {"version": "1"},
    "null": {"terms": None},
    "no language": {"terms": {"version": "1"}},
    "empty name": {"terms": {"en": {"name": "", "url": "https://example.org"}}},
    "no name": {"terms": {"en": {"url": "https://example.org"}}},
    "no url": {"terms": {"en": {"name": "Terms"}}},
    "url null": {"terms": {"en": {"name": "Terms", "url": None}}},
    "script": {"terms": {"en": {"name": "Terms", "url": "javascript:alert(1)"}}},
    "no web": {"terms": {"en": {"name": "Terms", "url": "httpx://example.org"}}},
    "file": {"terms": {"en": {"name": "Terms", "url": "file:///etc/passwd"}}},
    "relative": {"terms": {"en": {"name": "Terms", "url": "/terms"}}},
    "surrogate in an id": {"\ud800": GOOD},
    "surrogate in a language": {"terms": {"\ud800": {"name": "Terms", "url": "https://example.org"}}},
    "surrogate in a name": {"terms": {"en": {"name": "\ud800", "url": "https://example.org"}}},
    "surrogate in a url": {"terms": {"en": {"name": "Terms", "url": "https://example.org/\ud800"}}},
}


@pytest.mark.parametrize("policies", MALFORMED.values(), ids=MALFORMED)
def test_malformed_policies(said: list[Any], policies: Any) -> None:
    """What is no document at a web address, or cannot be shown, is an error: nobody accepts unseen."""
    handler = terms(lambda policies: said.append(policies) or True)

    with pytest.raises(ServerProtocolError, match="nobody accepts unseen"):
        handler(Stage("m.login.terms", params={"policies": policies}))

    assert said == []


@pytest.mark.parametrize("name", [name for name, value in MALFORMED.items() if isinstance(value, dict)])
def test_one_policy_that_cannot_be_shown(said: list[Any], name: str) -> None:
    """One of several is named, and a version that stands beside them is none."""
    handler = terms(lambda policies: said.append(policies) or True)
    stage = Stage("m.login.terms", params={"policies": {"good": GOOD, **MALFORMED[name]}})

    if name == "stray version":
        assert handler(stage) == {"type": "m.login.terms"}
        assert [policy.id for policy in said.pop()] == ["good"]
        return
    with pytest.raises(ServerProtocolError, match=r"the policy (terms|\\ud800) of the terms cannot be shown"):
        handler(stage)
    assert said == []


@pytest.mark.parametrize("version", [None, 1, ["1"]], ids=repr)
def test_version_that_is_no_text(read: Callable[..., list[Policy]], version: Any) -> None:
    """A version that is no string counts as none."""
    assert read({"terms": {"version": version, **GOOD}})[0].version is None


def test_terms_without_params() -> None:
    """A server that says nothing about its terms has nobody accept them."""
    with pytest.raises(ServerProtocolError, match="names no policy"):
        terms(bool)(Stage("m.login.terms"))


def test_tries_of_a_stage_made_by_hand() -> None:
    """Nobody counts them."""
    assert tries_left(Stage(PASSWORD)) is None
