"""Checks of what a caller passes: a wrong argument is named, with what was expected, before anything is sent.

What must not be here: checks of what a server says, which is never a TypeError.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from ._text import is_encodable

#: Client-server API, "POST /register/email/requestToken": what a client secret may be made of.
_CLIENT_SECRET = re.compile(r"[0-9a-zA-Z.=_-]{1,255}")
_COUNTRY = re.compile("[A-Z]{2}")


def type_error(name: str, expected: str, value: object) -> TypeError:
    """Make the error for an argument of a wrong type; it never shows the value, which may be a secret."""
    return TypeError(f"{name} must be {expected}, not {type(value).__name__}")


def check_text(name: str, value: object) -> str | None:
    """Return a string argument; None and an empty string are both None."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise type_error(name, "a str or None", value)
    return _encodable(name, value) or None


def check_required_text(name: str, value: object) -> str:
    """Return a string argument that must be given and not be empty."""
    if not isinstance(value, str):
        raise type_error(name, "a str", value)
    if not value:
        raise ValueError(f"{name} must not be empty")
    return _encodable(name, value)


def check_optional_text(name: str, value: object) -> str | None:
    """Return a string argument that may be None, but not empty: a server would make something up for it."""
    text = check_text(name, value)
    if text is None and value is not None:
        raise ValueError(f"{name} must not be empty")
    return text


def _encodable(name: str, value: str) -> str:
    """Return a text that can be sent: half of a surrogate pair is none."""
    if not is_encodable(value):
        raise ValueError(f"{name} must be text, without lone surrogates")
    return value


def check_bool(name: str, value: object, *, optional: bool = False) -> None:
    """Check that an argument is a bool: a string like "no" would count as true."""
    if not isinstance(value, bool) and not (optional and value is None):
        raise type_error(name, "a bool" + (" or None" if optional else ""), value)


def check_function(name: str, value: object, *, optional: bool = False, expected: str = "callable") -> None:
    """Check that an argument can be called, and blocks when it is."""
    if value is None and optional:
        return
    if not callable(value):
        raise type_error(name, expected + (" or None" if optional else ""), value)
    # A plain function says so itself; inspect takes its time to look behind partials and decorators.
    code = getattr(value, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    called = type(value).__call__
    if flags & inspect.CO_COROUTINE if code is not None else any(map(inspect.iscoroutinefunction, (value, called))):
        raise TypeError(
            f"{name} must be an ordinary function: a coroutine function does nothing when it is called, "
            "but interactive_auth.bots.from_coroutine makes one of it"
        )


def check_takes_one(name: str, value: Callable[..., object], argument: str) -> None:
    """Check that a function can be called with one argument.

    Args:
        name: what the function is called.
        value: the function.
        argument: what it will be given.
    """
    if _plainly_takes_one(value):
        return
    try:
        signature = inspect.signature(value)
    except ValueError:  # some built-in functions have no signature to be read
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(
            f"{name} must take one argument, {argument} ({error}); functools.partial gives it what else it wants"
        ) from None


def _plainly_takes_one(value: Callable[..., object]) -> bool:
    """Return whether a plain function takes one argument for certain; inspect takes its time to say so."""
    function, given = (value, 1) if isinstance(value, FunctionType) else (type(value).__call__, 2)
    while isinstance(function, FunctionType) and "__wrapped__" in function.__dict__:  # a decorator tells of it
        function = function.__dict__["__wrapped__"]
    if not isinstance(function, FunctionType) or "__signature__" in function.__dict__:
        return False
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    return required <= given <= code.co_argcount and code.co_kwonlyargcount == len(function.__kwdefaults__ or ())


def check_country(name: str, value: object) -> str:
    """Return a country of phone numbers: not its name, and not the number that is dialled for it."""
    country = check_required_text(name, value)
    if not _COUNTRY.fullmatch(country):
        raise ValueError(f"{name} must be two upper-case letters (ISO 3166-1 alpha-2), like GB")
    return country


def check_seconds(name: str, value: object, *, zero: bool = True) -> float:
    """Return a number of seconds, 0 or more, or more than 0."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise type_error(name, "a number of seconds", value)
    try:
        seconds = float(value)
    except OverflowError:  # an int of hundreds of digits
        seconds = math.inf
    if not 0 <= seconds < math.inf or not (seconds or zero):
        raise ValueError(f"{name} must be a finite number of seconds, {'0 or more' if zero else 'more than 0'}")
    return seconds


def check_mapping(name: str, value: object) -> Mapping[str, Any]:
    """Return an argument that must be a mapping."""
    if not isinstance(value, Mapping):
        raise type_error(name, "a mapping", value)
    return value


def check_client_secret(value: object) -> str | None:
    """Return a client secret of the specification's alphabet, None if it has to be made."""
    secret = check_text("client_secret", value)
    if secret is not None and not _CLIENT_SECRET.fullmatch(secret):
        raise ValueError("client_secret must be 1 to 255 of the characters 0-9 a-z A-Z . = _ -")
    return secret


def check_identifier(user: object) -> dict[str, Any]:
    """Return the identifier that names a user (client-server API, "Identifier types"), from a name or as it is."""
    if isinstance(user, Mapping):
        identifier = dict(user)
        check_required_text("user['type']", identifier.get("type"))
        return identifier
    if not isinstance(user, str):
        raise type_error("user", "a str or a mapping", user)
    return {"type": "m.id.user", "user": check_required_text("user", user)}
