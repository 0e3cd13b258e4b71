"""Ready-made stage callbacks, to be put into the mapping that ``InteractiveAuth`` takes.

What must not be here: prompting (``console``), and anything that waits. A callback with a constant secret never
sends the same wrong secret twice: it raises ``StageFailedError`` when it is asked again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ._checks import check_function, check_required_text, type_error
from ._errors import AuthCancelledError, StageFailedError
from ._types import Stage, StartAuthStage

__all__ = ["Policy", "Secret", "password", "registration_token", "terms"]

#: A secret to send, or a callable that gives one each time; it is passed the Stage if it takes an argument.
Secret = str | Callable[[], str] | Callable[[Stage], str]


class Policy(NamedTuple):
    """A document to be accepted (client-server API, "Terms of service at registration").

    Attributes:
        id: the policy's identifier, like ``"privacy_policy"``.
        version: the document's version, None if the server states none.
        name: the document's title in the language chosen.
        url: where it is to be read; http or https.
        language: the tag of the language chosen, as the server writes it.
    """

    id: str
    version: str | None
    name: str
    url: str
    language: str


def password(user: str | Mapping[str, Any], secret: Secret) -> StartAuthStage:
    """Make a callback for ``m.login.password`` (client-server API, "Password-based").

    Args:
        user: the user id or its local part, or an identifier such as
            ``{"type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org"}``.
        secret: the password, which is tried once; or a callable such as ``getpass.getpass``, which is asked again
            after a wrong one, and passed the ``Stage`` if it takes an argument.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: an argument is empty, or the identifier has no type.
    """
    if isinstance(user, Mapping):
        identifier = dict(user)
        check_required_text("user['type']", identifier.get("type"))
    else:
        identifier = {"type": "m.id.user", "user": check_required_text("user", user)}
    answer = _secret("secret", secret)
    return lambda stage: {"type": stage.type, "identifier": dict(identifier), "password": answer(stage)}


def registration_token(token: Secret) -> StartAuthStage:
    """Make a callback for ``m.login.registration_token`` (client-server API, "Token-authenticated registration").

    Args:
        token: the token, which is tried once; or a callable that is asked again after a wrong one, and passed the
            ``Stage`` if it takes an argument.

    Raises:
        TypeError: ``token`` is neither a str nor callable.
        ValueError: ``token`` is empty.
    """
    answer = _secret("token", token)
    return lambda stage: {"type": stage.type, "token": answer(stage)}


def terms(accept: Callable[[list[Policy]], bool], *, language: str = "en") -> StartAuthStage:
    """Make a callback for ``m.login.terms`` (client-server API, "Terms of service at registration").

    Args:
        accept: is given the policies and returns whether the person accepts all of them; if not,
            ``AuthCancelledError`` ends the attempt.
        language: the language to show them in, a tag such as ``"en"`` or ``"pt-BR"``.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: ``language`` is empty.
    """
    check_function("accept", accept)
    wanted = check_required_text("language", language)

    def answer(stage: Stage) -> dict[str, Any]:
        if not accept(_policies(stage.params.get("policies"), wanted)):
            raise AuthCancelledError("the terms of service were not accepted, and without that there is no account")
        return {"type": stage.type}

    return answer


def _secret(name: str, value: Secret) -> Callable[[Stage], str]:
    """Return a function that gives the secret to send for a stage."""
    if isinstance(value, str):
        constant = check_required_text(name, value)

        def once(stage: Stage) -> str:
            if stage.error is not None:
                raise StageFailedError(stage.type, stage.attempt - 1, stage.error) from stage.error
            return constant

        return once
    if not callable(value):
        raise type_error(name, "a str, or a callable that returns one", value)
    check_function(name, value)
    call: Callable[..., str] = value
    takes_stage = _takes_argument(call)

    def ask(stage: Stage) -> str:
        return check_required_text(f"what {name} returns", call(stage) if takes_stage else call())

    return ask


def _takes_argument(function: Callable[..., str]) -> bool:
    """Return whether a function cannot be called without an argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions have no signature to be read
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is p.empty for p in parameters)


def _policies(value: object, wanted: str) -> list[Policy]:
    """Read the policies of a terms stage; whatever is no document is left out."""
    found = []
    for identifier, policy in (value if isinstance(value, dict) else {}).items():
        if not isinstance(policy, dict):  # Continuwuity puts a "version" beside the policies
            continue
        documents = {tag: text for tag, text in policy.items() if isinstance(text, dict) and _is_document(text)}
        if documents:
            tag = _choose_language(list(documents), wanted)
            version = policy.get("version")
            document = documents[tag]
            stated = version if isinstance(version, str) else None
            found.append(Policy(identifier, stated, document["name"], document["url"], tag))
    return found


def _is_document(text: Mapping[str, Any]) -> bool:
    url = text.get("url")
    return isinstance(text.get("name"), str) and isinstance(url, str) and url.startswith(("https://", "http://"))


def _choose_language(tags: list[str], wanted: str) -> str:
    """Return the tag that comes nearest to the language wanted, else English, else the first."""
    normal = {tag.lower().replace("_", "-"): tag for tag in reversed(tags)}
    exact = wanted.lower().replace("_", "-")
    base = exact.split("-")[0]
    for candidate in (exact, base, "en"):
        if candidate in normal:
            return normal[candidate]
        related = next((tag for key, tag in normal.items() if key.split("-")[0] == candidate), None)
        if related is not None:
            return related
    return tags[0]
