"""The arguments of ``InteractiveAuth`` that never change: checked once, and then only read.

What must not be here: what a server has said, and anything that changes.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Mapping
from typing import NamedTuple, cast

from .._checks import check_function, check_mapping, check_text, type_error
from .._types import StartAuthStage

_INPUTS = ("email_address", "phone_country", "phone_number")
#: The mapping key that serves every stage not named.
_ANY = "*"
_SECRET_LENGTH = 32
_ALPHABET = (string.digits + string.ascii_letters).encode()
#: A letter for each byte; that a few letters stand for five bytes and the others for four costs a hundredth of a bit.
_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


class Handlers(NamedTuple):
    """The stage callbacks, however they were given.

    Attributes:
        by_stage: the callbacks for single stages.
        other: the callback for every other stage, None if there is none.
        handled: the stages there is a callback for, None if there is one for all.
    """

    by_stage: Mapping[str, StartAuthStage]
    other: StartAuthStage | None
    handled: frozenset[str] | None


def check_max_attempts(value: object) -> int | None:
    """Return ``max_attempts``: None or 1 or more."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise type_error("max_attempts", "an int or None", value)
    if value < 1:
        raise ValueError(f"max_attempts must be 1 or more, or None for no limit, not {value}")
    return value


def check_inputs(value: object) -> tuple[tuple[str] | None, tuple[str, str] | None]:
    """Return the email address and the phone number of ``inputs``, None for what was not given."""
    inputs = check_mapping("inputs", {} if value is None else value)
    for key in inputs:
        if key not in _INPUTS:
            raise ValueError(f"inputs has the unknown key {key!r}; it may have {', '.join(_INPUTS)}")
    email, country, number = (check_text(f"inputs[{key!r}]", inputs.get(key)) for key in _INPUTS)
    if (country is None) != (number is None):
        raise ValueError("inputs must have both phone_country and phone_number, or neither")
    return (email,) if email else None, (country, number) if country and number else None


def check_handlers(value: object) -> Handlers:
    """Return the stage callbacks of ``start_auth_stage``: one for all stages, or a mapping by stage type."""
    if not isinstance(value, Mapping):
        if not callable(value):
            raise type_error("start_auth_stage", "callable, or a mapping from stage type to a callable", value)
        check_function("start_auth_stage", value)
        return Handlers({}, cast("StartAuthStage", value), None)
    by_stage = dict(value)
    for stage, handler in by_stage.items():
        if not isinstance(stage, str):
            raise type_error("each key of start_auth_stage", "a stage type (str)", stage)
        check_function(f"start_auth_stage[{str(stage)!r}]", handler)
    other = by_stage.pop(_ANY, None)
    return Handlers(by_stage, other, None if other is not None else frozenset(by_stage))


def check_supported(value: object, handlers: Handlers) -> frozenset[str] | None:
    """Return ``supported_stages``; its default is the keys of the mapping of callbacks, None if there is none."""
    if value is None:
        return frozenset(handlers.by_stage) if handlers.by_stage or handlers.handled is not None else None
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise type_error("supported_stages", "a collection of stage types", value)
    for stage in value:
        if not isinstance(stage, str):
            raise type_error("each of supported_stages", "a stage type (str)", stage)
    return frozenset(value)


def make_client_secret() -> str:
    """Return a new client secret."""
    return secrets.token_bytes(_SECRET_LENGTH).translate(_LETTERS).decode("ascii")
