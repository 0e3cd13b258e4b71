"""What a stage's callback is told, what it may return, and what the ready-made ones may ask of the attempt.

What must not be here: anything that only the loop may do. ``handlers``, ``console`` and ``browser`` import of the
engine nothing but this room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .._checks import type_error
from .._errors import LISTENER, hiding
from .._text import printable
from .._types import AuthType, Stage, StartAuthStage

if TYPE_CHECKING:
    from .auth import InteractiveAuth

#: What an answer has beside its type (client-server API, "Authentication types").
_FIELDS: Mapping[str, tuple[str, ...]] = {
    AuthType.PASSWORD: ("identifier", "password"),
    AuthType.RECAPTCHA: ("response",),
    AuthType.EMAIL: ("threepid_creds",),
    AuthType.MSISDN: ("threepid_creds",),
    AuthType.REGISTRATION_TOKEN: ("token",),
    AuthType.UNSTABLE_REGISTRATION_TOKEN: ("token",),
}
#: The stages that are hardly ever completed but by an answer.
ANSWERED = frozenset(_FIELDS) - {AuthType.EMAIL, AuthType.MSISDN}


def ask(auth: InteractiveAuth[Any], stage: str, callback: StartAuthStage) -> Mapping[str, Any] | None:
    """Call the callback of a stage, and return what it returns.

    Args:
        auth: who asks.
        stage: the stage's type.
        callback: the callback.

    Raises:
        Exception: whatever the callback raises, unchanged.
    """
    conversation = auth._conversation
    session, threepids = conversation.session, conversation.threepids
    threepid = threepids.get(stage)
    told = Stage(
        type=stage,
        params=conversation.stage_params(stage) or {},
        flow=session.chosen or (),
        completed=tuple(session.completed),
        attempt=session.rejections.get(stage, 0) + 1,
        error=session.errors.get(stage),
        email_sid=threepids[AuthType.EMAIL].sid,
        msisdn_sid=threepids[AuthType.MSISDN].sid,
        submit_url=None if threepid is None else threepid.submit_url,
        session=session.id,
        client_secret=conversation.client_secret,
        auth=auth,
    )
    with hiding(*conversation.secrets()):  # a request of the callback's own may be answered with earlier ones
        before = LISTENER.set(conversation.hide)
        try:
            return callback(told)
        finally:
            LISTENER.reset(before)
            conversation.save_state()


def check_answer(
    answer: object, stage: str | None, source: Callable[[], str], *, returned: bool = True
) -> dict[str, Any]:
    """Return a copy of what is to be submitted for a stage.

    Args:
        answer: what a callback has returned, or a thread has submitted.
        stage: the stage that is being done, None if none is.
        source: says where it comes from, for messages.
        returned: whether a callback has returned it, and might as well have returned None.

    Raises:
        TypeError: it is not a mapping.
        ValueError: it has no type, and is more than a session.
    """
    if not isinstance(answer, Mapping):
        raise type_error(source(), "a mapping, or None to wait for the stage" if returned else "a mapping", answer)
    given = dict(answer)
    kind = given.get("type")
    is_named = isinstance(kind, str) and kind != ""
    if not is_named and (kind is not None or not given.keys() <= {"session", "type"}):
        name = printable(stage, 100) if stage else "the stage"
        fields = "".join(f', "{field}": ...' for field in _FIELDS.get(stage or "", ()))
        raise ValueError(
            f"{source()} has no type, so no server would know what it answers. An answer to {name} looks like "
            f'{{"type": "{name}"{fields}}}'
        )
    return given


def is_made_by_hand(stage: Stage) -> bool:
    """Return whether no attempt has made a stage, but somebody who calls a callback without one."""
    return cast("object", stage.auth) is None


def asking(stage: Stage) -> InteractiveAuth[Any]:
    """Return the attempt that has called a callback.

    Raises:
        RuntimeError: there is none: the stage was made by hand.
    """
    if is_made_by_hand(stage):
        raise RuntimeError("this callback works only when it is called by an InteractiveAuth")
    return stage.auth


def is_first_time(stage: Stage, what: str) -> bool:
    """Return whether a callback does something for the first time in a session, also if that was resumed.

    Args:
        stage: what the callback was called with.
        what: what is done, for example the secret that is sent.
    """
    return is_made_by_hand(stage) or stage.auth._conversation.is_first_time(stage.type, what)


def may_send(stage: Stage, constant: str) -> bool:
    """Return whether a constant secret may be sent: once in an attempt, and once refused not even when it is resumed.

    Args:
        stage: what the callback was called with.
        constant: the secret.
    """
    return asking(stage)._conversation.may_send(stage.type, constant)


def tries_left(stage: Stage) -> int | None:
    """Return how many wrong answers to a stage are left before it has failed, None if there is no limit.

    Args:
        stage: what the callback was called with.
    """
    if is_made_by_hand(stage):
        return None
    most = stage.auth._options.max_attempts
    return None if most is None else most - stage.auth._conversation.wrong.get(stage.type, 0)


def refreshed(stage: Stage, kind: AuthType) -> Stage:
    """Return a stage with what a token request made meanwhile has changed.

    Args:
        stage: what the callback was called with.
        kind: the stage whose address it is; a callback may stand under another key.
    """
    conversation = asking(stage)._conversation
    return replace(
        stage,
        params=conversation.stage_params(kind) or {},
        email_sid=conversation.threepids[AuthType.EMAIL].sid,
        msisdn_sid=conversation.threepids[AuthType.MSISDN].sid,
        submit_url=conversation.threepids[kind].submit_url,
    )


def can_send_again(stage: Stage, kind: AuthType) -> bool:
    """Return whether a mail or an SMS can be requested again.

    Args:
        stage: what the callback was called with.
        kind: the stage whose address it is; a callback may stand under another key.
    """
    return knows_address(stage, kind) and asking(stage)._conversation.threepids[kind].request is not None


def knows_address(stage: Stage, kind: AuthType) -> bool:
    """Return whether the address or number is known that a message would be sent to."""
    return asking(stage)._conversation.threepids[kind].address is not None
