"""Asking a person by a callable of the caller's, and again where the answer is empty, late, or an address is refused.

What must not be here: single stages, which are in ``handlers``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ._checks import check_country, check_function, check_required_text, type_error
from ._engine.context import (
    asking,
    can_send_again,
    is_made_by_hand,
    knows_address,
    may_send,
    refreshed,
)
from ._errors import AuthCancelledError, DelegatedAuthError, MatrixError, StageFailedError, hiding
from ._types import AuthType, Stage

T = TypeVar("T")
#: A callable that asks a person; it is passed the Stage if it takes an argument.
Asker = Callable[[], T] | Callable[[Stage], T]
#: A secret to send, or a callable that gives one each time.
Secret = str | Callable[[], str] | Callable[[Stage], str]

#: How often a person is asked for the same before an empty answer, or the refusal of an address, ends the attempt.
_TRIES = 3


def secret_of(name: str, value: Secret) -> Callable[[Stage], str]:
    """Return a function that gives the secret to send for a stage."""
    if isinstance(value, str):
        constant = check_required_text(name, value)
        sent_by_hand = False

        def once(stage: Stage) -> str:
            nonlocal sent_by_hand
            if is_made_by_hand(stage):
                # The error may be about another secret that was tried before.
                refused = sent_by_hand and stage.error is not None
                sent_by_hand = True
            else:
                refused = not may_send(stage, constant)
            if refused:
                raise StageFailedError(stage.type, max(stage.attempt - 1, 1), stage.error) from stage.error
            return constant

        return once
    if not callable(value):
        raise type_error(name, "a str, or a callable that returns one", value)
    check_function(name, value)
    ask = fit(value, 1)

    def answer(stage: Stage) -> str:
        given = read_answer(name, partial(ask, stage))
        if given is None:
            raise type_error(f"what {name} returns", "a str", given)
        return given

    return answer


def read_answer(name: str, ask: Callable[[], Any]) -> str | None:
    """Ask a person, again for as long as the answer is empty; None is theirs to give.

    Raises:
        AuthCancelledError: it was empty each time.
        TypeError: it is neither a str nor None.
    """
    for _ in range(_TRIES):
        answer = ask()
        if answer is None:
            return None
        if not isinstance(answer, str):
            raise type_error(f"what {name} returns", "a str", answer)
        if answer:
            return check_required_text(f"what {name} returns", answer)
    raise AuthCancelledError(f"{name} gave an empty answer {_TRIES} times, so nothing was sent")


def fit(function: Callable[..., Any], most: int) -> Callable[..., Any]:
    """Return a function of ``most`` arguments that passes on the leading ones that ``function`` requires."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions have no signature to be read
        return lambda *_: function()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return function
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(p.kind in positional and p.default is p.empty for p in parameters)
    return function if count == most else lambda *arguments: function(*arguments[:count])


def request_token_asking(
    stage: Stage,
    kind: AuthType,
    ask: Callable[..., Any] | None,
    read: Callable[[Any], tuple[str, ...]],
) -> Stage:
    """Ask for an address and have the token sent there, again if the server refuses the address."""
    if ask is None and (is_made_by_hand(stage) or not knows_address(stage, kind)):
        keys, argument = ("email_address", "ask_address")
        if kind is AuthType.MSISDN:
            keys, argument = ("phone_country and phone_number", "ask_number")
        raise RuntimeError(f"{kind} needs the address among the inputs ({keys}), or {argument}, a callable that asks")
    auth, asked, tries = asking(stage), stage, 0
    fitted = None if ask is None else fit(ask, 1)
    while True:
        tries += 1
        # An address that is known was not written to for want of a token request, which is told here.
        address = () if fitted is None else _ask_address(kind, partial(fitted, asked), read)
        try:
            if kind is AuthType.EMAIL:
                auth.request_email_token(*address)
            else:
                auth.request_msisdn_token(*address)
            return refreshed(stage, kind)
        except MatrixError as error:
            # No other address helps where accounts live elsewhere.
            if tries == _TRIES or error.http_status not in (400, 403) or isinstance(error, DelegatedAuthError):
                raise
            asked = replace(stage, attempt=tries + 1, error=error)


def _ask_address(kind: AuthType, ask: Callable[[], Any], read: Callable[[Any], tuple[str, ...]]) -> tuple[str, ...]:
    """Ask for an address, again for as long as a part of it is empty, or cannot be sent."""
    why = "it was empty"
    for _ in range(_TRIES):
        given = read(ask())
        for part in given:
            if not isinstance(part, str):
                raise type_error(f"each part of the address for {kind}", "a str", part)
        if not given or not all(given):
            continue
        try:
            if kind is AuthType.MSISDN:
                check_country("the country of a phone number", given[0])
            for part in given:
                check_required_text("an address", part)
        except ValueError as error:  # a person's mistake, and not the program's
            why = str(error)
        else:
            return given
    raise AuthCancelledError(f"no usable address was given for {kind}, {_TRIES} times, so nothing was sent: {why}")


def submit_code(
    stage: Stage,
    kind: AuthType,
    get_code: Callable[[Stage], Any],
    submit: Callable[[str, str, str, str], bool],
) -> Mapping[str, Any] | None:
    """Ask for the code of a mail or an SMS, post it, and return what is submitted for the stage then.

    A code that has come too late (M_SESSION_EXPIRED, MSC4183) is worth nothing, so another message is sent.

    Args:
        stage: what the callback was called with.
        kind: the stage whose message it is; a callback may stand under another key.
        get_code: returns the code, None if the person follows a link instead.
        submit: posts the code.

    Returns:
        The auth dict, after a wrong code, too: the server's refusal counts the attempt and brings the stage back. None
        if the loop has to wait.
    """
    late = 0
    while True:
        code = read_answer("get_code", partial(get_code, stage))
        fresh = refreshed(stage, kind)  # the message may have been sent once more meanwhile
        sid = fresh.email_sid if kind is AuthType.EMAIL else fresh.msisdn_sid
        if fresh.submit_url is None or code is None or sid is None:
            return None
        try:
            with hiding(code):
                submit(fresh.submit_url, sid, stage.client_secret, code)
        except MatrixError as error:
            late += 1
            if error.errcode != "M_SESSION_EXPIRED" or late == _TRIES or not can_send_again(stage, kind):
                raise
            why = error
        else:
            return {"type": str(kind), "threepid_creds": {"sid": sid, "client_secret": stage.client_secret}}
        auth = asking(stage)
        (auth.request_email_token if kind is AuthType.EMAIL else auth.request_msisdn_token)()
        stage = replace(refreshed(stage, kind), error=why)
