"""The arguments of ``InteractiveAuth`` that never change: checked once, and then only read.

What must not be here: what a server has said, and anything that changes.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, cast

from .._checks import (
    check_country,
    check_function,
    check_mapping,
    check_seconds,
    check_takes_one,
    check_text,
    type_error,
)
from .._text import printable
from .._types import BusyChanged, RetryPolicy, StartAuthStage

_INPUTS = ("email_address", "phone_country", "phone_number")
#: The mapping key that serves every stage not named.
_ANY = "*"
#: The modules whose functions make callbacks.
_MAKERS = ("interactive_auth.handlers", "interactive_auth.console")
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

    def find(self, stage: str) -> StartAuthStage:
        """Return the callback of a stage that has one."""
        return cast("StartAuthStage", self.by_stage.get(stage, self.other))

    def source(self, stage: str) -> str:
        """Return what the answer to a stage is called in messages."""
        if self.handled is None and not self.by_stage and self.other is not None:
            return f"what start_auth_stage returned for {printable(stage, 100)}"
        key = stage if stage in self.by_stage else _ANY
        return f"what start_auth_stage[{printable(key, 100)!r}] returned for {printable(stage, 100)}"


class Options(NamedTuple):
    """What an attempt obeys.

    Attributes:
        handlers: the stage callbacks.
        supported: the stages to prefer, None for all alike.
        busy_changed: is told when a foreground request begins and ends, None if nobody cares.
        max_attempts: how many wrong answers to one stage are allowed, None for no limit.
        poll_interval: seconds from one poll to the next.
        poll_timeout: seconds of waiting for one stage, None for no end.
        retry: how a request is repeated, None for never.
    """

    handlers: Handlers
    supported: frozenset[str] | None
    busy_changed: BusyChanged | None
    max_attempts: int | None
    poll_interval: float
    poll_timeout: float | None
    retry: RetryPolicy | None


def check_max_attempts(value: object) -> int | None:
    """Return ``max_attempts``: None or 1 or more."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise type_error("max_attempts", "an int or None", value)
    if value < 1:
        raise ValueError(f"max_attempts must be 1 or more, or None for no limit, not {value}")
    return value


def check_poll_interval(value: object) -> float:
    """Return ``poll_interval``: seconds, more than 0."""
    return check_seconds("poll_interval", value, zero=False)


def check_poll_timeout(value: object) -> float | None:
    """Return ``poll_timeout``: seconds, None for no end."""
    return None if value is None else check_seconds("poll_timeout", value)


def check_inputs(value: object) -> tuple[tuple[str] | None, tuple[str, str] | None]:
    """Return the email address and the phone number of ``inputs``, None for what was not given."""
    if value is None:
        return None, None
    inputs = check_mapping("inputs", value)
    for key in inputs:
        if key not in _INPUTS:
            raise ValueError(f"inputs has the unknown key {key!r}; it may have {', '.join(_INPUTS)}")
    email, country, number = (check_text(f"inputs[{key!r}]", inputs.get(key)) for key in _INPUTS)
    if (country is None) != (number is None):
        raise ValueError("inputs must have both phone_country and phone_number, or neither")
    if country is not None:
        check_country("inputs['phone_country']", country)
    return (email,) if email else None, (country, number) if country and number else None


def check_identity_server(id_server: object, id_access_token: object) -> dict[str, str]:
    """Return the identity server's name and the access token for it, which go together; {} if there is none."""
    if id_server is None and id_access_token is None:
        return {}
    identity = {"id_server": id_server, "id_access_token": id_access_token}
    given = {name: text for name, value in identity.items() if (text := check_text(name, value))}
    if len(given) == 1:
        raise ValueError("id_server and id_access_token must be given both or neither")
    return given


def _check_callback(name: str, value: Any, *, expected: str = "callable") -> None:
    check_function(name, value, expected=expected)
    module, made = getattr(value, "__module__", None), getattr(value, "__qualname__", ".")
    if module in _MAKERS and "." not in made:
        made = f"{module.removeprefix('interactive_auth.')}.{made}"
        raise TypeError(f"{name} is {made} itself, which makes callbacks: call it, and give what it returns")
    check_takes_one(name, value, "the stage")


def check_handlers(value: object) -> Handlers:
    """Return the stage callbacks of ``start_auth_stage``: one for all stages, or a mapping by stage type."""
    if not isinstance(value, Mapping):
        _check_callback("start_auth_stage", value, expected="callable, or a mapping from stage type to a callable")
        return Handlers({}, cast("StartAuthStage", value), None)
    by_stage = {}
    for stage, handler in value.items():
        if not isinstance(stage, str):
            raise type_error("each key of start_auth_stage", "a stage type (str)", stage)
        _check_callback(f"start_auth_stage[{str(stage)!r}]", handler)
        by_stage[str(stage)] = handler
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
