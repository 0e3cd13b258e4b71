"""The shapes that cross the library's border: wire JSON, stage types, options, callback protocols.

What must not be here: behaviour. Nothing in this room decides, sends or waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, TypeVar, cast

from ._errors import MatrixError
from ._text import publish
from ._tracebacks import without_frames

if TYPE_CHECKING:
    from ._engine.auth import InteractiveAuth

T_co = TypeVar("T_co", covariant=True)

#: Why there is a wait: for a stage to be completed, or before the same is sent again, after trouble or a rate limit.
WaitReason = Literal["stage", "retry", "rate_limit"]


class AuthType(str, Enum):
    """The stage types of the specification ("Authentication types"), and the names still used for drafts of them.

    Each member is a ``str`` and can stand wherever a stage type does. Servers may ask for others.
    """

    PASSWORD = "m.login.password"
    RECAPTCHA = "m.login.recaptcha"
    TERMS = "m.login.terms"
    EMAIL = "m.login.email.identity"
    MSISDN = "m.login.msisdn"
    SSO = "m.login.sso"
    DUMMY = "m.login.dummy"
    REGISTRATION_TOKEN = "m.login.registration_token"
    OAUTH = "m.oauth"
    UNSTABLE_SSO = "org.matrix.login.sso"
    UNSTABLE_REGISTRATION_TOKEN = "org.matrix.msc3231.login.registration_token"
    UNSTABLE_OAUTH = "org.matrix.cross_signing_reset"

    def __str__(self) -> str:
        return self._value_

    # What format() makes of such an enum differs between Python 3.11 and 3.12; in a URL only the value is right.
    def __format__(self, format_spec: str) -> str:
        return format(self._value_, format_spec)


class Flow(TypedDict):
    """One way to authenticate: the stages to complete, in the server's order."""

    stages: list[str]


class Inputs(TypedDict, total=False):
    """What the user gave up front; it steers the choice of flow. An empty string is as good as absent.

    Attributes:
        email_address: the address to register or to reset by.
        phone_country: two upper-case letters (ISO 3166-1 alpha-2), the country of ``phone_number``.
        phone_number: the number as dialled in that country.
    """

    email_address: str | None
    phone_country: str | None
    phone_number: str | None


class ResumeState(TypedDict):
    """All that another ``InteractiveAuth`` needs to go on: JSON-able, and made to be passed as keyword arguments.

    It holds secrets: store it as you would store a password.
    """

    auth_data: dict[str, Any] | None
    inputs: Inputs
    session_id: str | None
    client_secret: str
    email_sid: str | None
    msisdn_sid: str | None
    progress: dict[str, Any]


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request that failed without an answer of the server's own is sent again.

    Example::

        request.authenticate(stages, retry=RetryPolicy(retries=5, max_wait=600))

    Attributes:
        retries: how often one request is repeated after connection trouble, a 408, 425, 502, 503 or 504, or the 520 to
            524 and 530 of a proxy; 0 never.
        max_wait: the longest wait, in seconds, that is accepted before a repetition. The answer of a server that asks
            for a longer one is raised.
    """

    retries: int = 3
    max_wait: float = 120.0

    @without_frames
    def __post_init__(self) -> None:
        if not isinstance(self.retries, int) or isinstance(self.retries, bool):
            raise TypeError(f"retries must be an int, not {type(self.retries).__name__}")
        if not isinstance(self.max_wait, (int, float)) or isinstance(self.max_wait, bool):
            raise TypeError(f"max_wait must be a number of seconds, not {type(self.max_wait).__name__}")
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more, not {self.retries}")
        if not 0 <= self.max_wait < math.inf:
            raise ValueError(f"max_wait must be a finite number of seconds, 0 or more, not {self.max_wait}")


@dataclass(frozen=True)
class Wait:
    """How a wait goes on.

    Example::

        def wait_changed(wait):
            print("" if wait is None else f"{wait.reason}: {wait.seconds_left} s")

        request.authenticate(stages, wait_changed=wait_changed)

    Attributes:
        stage: the type of the stage that is awaited or was answered; None before the first stage.
        seconds_left: the seconds until the wait is given up, or until the same is sent again; None if it has no end.
        reason: ``"stage"`` if somebody has to complete the stage, ``"retry"`` after trouble, ``"rate_limit"`` after a
            429.
    """

    stage: str | None
    seconds_left: float | None
    reason: WaitReason


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage callback is told.

    Example::

        def start_auth_stage(stage):
            answer = input(f"{stage.type}, attempt {stage.attempt}: ")
            return {"type": stage.type, "token": answer}

    Attributes:
        type: the stage's type, for example ``"m.login.password"``; a member of ``AuthType`` or a server's own.
        params: what the server says about this stage, ``{}`` if nothing. For ``m.login.msisdn`` it also holds the
            ``submit_url`` of the last token request, if that answered with one.
        flow: the stages of the chosen flow, in order.
        completed: the stages completed so far; may hold stages that are not in ``flow``.
        attempt: 1 the first time, one more for each answer to this stage that was rejected in the session.
        error: the error that rejected the previous answer to this stage, else None.
        email_sid: the sid of the last email token request, None if there was none.
        msisdn_sid: the sid of the last SMS token request, None if there was none.
        submit_url: where a code for this stage is posted (``Homeserver.submit_token``), None if the person follows a
            link instead.
        session: the UIA session's id, None if the server gave none.
        client_secret: the secret that the email and SMS tokens are bound to.
        auth: the ``InteractiveAuth`` that asks: to ``poll()``, to ``cancel()``, to request another mail, or to be
            handed to another thread. It is missing (None) in a stage that was made by hand or was pickled.
    """

    type: str
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)  # a submit_url may hold the client secret
    flow: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()
    attempt: int = 1
    error: MatrixError | None = None
    email_sid: str | None = None
    msisdn_sid: str | None = None
    submit_url: str | None = field(default=None, repr=False)
    session: str | None = field(default=None, repr=False, compare=False)
    client_secret: str = field(default="", repr=False, compare=False)
    # Always there in a stage that a callback is given, where nobody should have to ask whether it is.
    auth: InteractiveAuth[Any] = field(default=cast("InteractiveAuth[Any]", None), repr=False, compare=False)

    @without_frames
    def add_cleanup(self, function: Callable[[], object]) -> None:
        """Have a function called once, when the stage is over, however it ends: completed, rejected or given up.

        Args:
            function: is called without arguments, in the thread of the attempt; the one added last comes first.

        Raises:
            TypeError: ``function`` is not callable.
            RuntimeError: the stage is over, or was made by hand.
        """
        if not callable(function):
            raise TypeError(f"function must be callable, not {type(function).__name__}")
        # Typed as always there, which it is for callbacks.
        auth: InteractiveAuth[Any] | None = self.auth
        if auth is None:
            raise RuntimeError("a stage that was made by hand is never over")
        auth._add_cleanup(self.type, function)

    def __reduce__(self) -> tuple[Any, ...]:
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.compare}
        return _revive_stage, (type(self), shown)


def _revive_stage(cls: type[Stage], values: dict[str, Any]) -> Stage:
    return cls(**values)


class DoRequest(Protocol[T_co]):
    """Send the request once, with ``auth`` under the body's ``auth`` key, or without that key when it is None.

    Returns the response of a success; raises ``MatrixError`` for an error response. Connection trouble may be left to
    the client's own exceptions if these are the built-in ones or those of requests. Any other exception is taken for a
    mistake of the function's own, and ends the attempt unchanged, even in the middle of waiting.
    """

    def __call__(self, auth: dict[str, Any] | None, /) -> T_co: ...


class StartAuthStage(Protocol):
    """Answer one stage: the auth dict to submit, or None if the stage will be completed elsewhere."""

    def __call__(self, stage: Stage, /) -> Mapping[str, Any] | None: ...


#: A stage's type as a key: str or AuthType, in which a mapping's type is invariant.
StageType = TypeVar("StageType", bound=str)
#: One callback for all stages, or a mapping from stage type to callbacks.
StageCallbacks = StartAuthStage | Mapping[StageType, StartAuthStage]


class RequestEmailToken(Protocol):
    """Ask the server to send the mail; returns its answer, a mapping with ``sid``."""

    def __call__(
        self, email: str, client_secret: str, send_attempt: int, session_id: str | None, /
    ) -> Mapping[str, Any]: ...


class RequestMsisdnToken(Protocol):
    """Ask the server to send the SMS; returns its answer, a mapping with ``sid`` and perhaps ``submit_url``."""

    def __call__(
        self, country: str, phone_number: str, client_secret: str, send_attempt: int, session_id: str | None, /
    ) -> Mapping[str, Any]: ...


class BusyChanged(Protocol):
    """Hear that a foreground request begins (True) or has ended (False)."""

    def __call__(self, busy: bool, /) -> object: ...


class WaitChanged(Protocol):
    """Hear how a wait goes on: at its beginning, about every second, and None at its end."""

    def __call__(self, wait: Wait | None, /) -> object: ...


class StateChanged(Protocol):
    """Save the state that an attempt could be resumed from, should the program end."""

    def __call__(self, state: ResumeState, /) -> object: ...


class InteractiveAuthOptions(TypedDict, total=False):
    """The keyword arguments of ``InteractiveAuth``, for functions that pass them on."""

    auth_data: Mapping[str, Any] | None
    inputs: Inputs | None
    session_id: str | None
    client_secret: str | None
    email_sid: str | None
    msisdn_sid: str | None
    supported_stages: Collection[str] | None
    request_email_token: RequestEmailToken | None
    request_msisdn_token: RequestMsisdnToken | None
    busy_changed: BusyChanged | None
    id_server: str | None
    id_access_token: str | None
    wait_changed: WaitChanged | None
    state_changed: StateChanged | None
    progress: Mapping[str, Any] | None
    max_attempts: int | None
    poll_interval: float
    poll_timeout: float | None
    retry: RetryPolicy | None


publish(globals())
