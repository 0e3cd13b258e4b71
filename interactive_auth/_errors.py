"""The exceptions, one tree, divided by what the caller does next.

What must not be here: anything that knows a server, a request or a clock.

::

    InteractiveAuthError            anything this library raises about an authentication
    +-- MatrixError                 the server answered with an error: read ``errcode``
    |   +-- DelegatedAuthError      it leaves accounts to OAuth: the person does it at ``account_management_url``
    +-- NoAuthFlowFoundError        no flow can be walked: other inputs or other handlers
    +-- StageFailedError            one stage was answered wrongly too often: ask for another secret
    +-- AuthTimeoutError            a stage was not completed in time (also a TimeoutError): go on, or wait longer
    +-- AuthCancelledError          cancel() was called: nothing more was sent
    +-- AuthDeferredError           a callback put its stage off: another process goes on with the saved state
    +-- ServerProtocolError         the server broke the rules: report it to its operator
    +-- HomeserverConnectionError   there was no answer (also a ConnectionError): check the network, try again

Misuse by the caller is a TypeError, ValueError or RuntimeError. Every exception can be pickled. No
message, repr or pickle holds a secret: what was sent is cut out of what the server said about it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from ._text import plain, printable, publish, secrets_in, web_url
from ._tracebacks import without_frames

_E = TypeVar("_E", bound="InteractiveAuthError")

#: What can be done after an attempt has ended, in words for both ways to begin one.
GO_ON = "request.authenticate() begins anew, an InteractiveAuth's attempt_auth() goes on in the same session"
#: Shorter strings are not treated as secrets: cutting them out would only garble the server's words.
_SHORTEST_SECRET = 6
#: "Common error codes", ``M_USER_LIMIT_EXCEEDED`` (v1.18, MSC4335), and its name as a draft; each with what
#: stands before the names of its fields.
_USER_LIMIT = {"M_USER_LIMIT_EXCEEDED": "", "ORG.MATRIX.MSC4335_USER_LIMIT_EXCEEDED": "org.matrix.msc4335."}
#: Takes what is hidden by a callback, for as long as the callback runs.
LISTENER: ContextVar[Callable[..., None] | None] = ContextVar("interactive_auth.listener", default=None)


class _Hiding:
    # A class, since the frame of a generator would stand in the error's traceback, with the secrets.
    def __init__(self, secrets: tuple[object, ...]) -> None:
        self._secrets = secrets

    def __enter__(self) -> None:
        listener = LISTENER.get()
        if listener is not None:
            listener(*self._secrets)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, MatrixError):
            error._conceal(*self._secrets)


def hiding(*secrets: object) -> _Hiding:
    """Keep what is sent in a ``with`` block out of the text of what is answered.

    Where a stage's callback is running, it is kept out of all that its attempt is answered later, too: a server may
    quote at any time what it was sent at any other.

    Args:
        *secrets: strings, or auth dicts that hold them; None for nothing.
    """
    return _Hiding(secrets)


def _revive(cls: type[_E], args: tuple[Any, ...], state: dict[str, Any]) -> _E:
    """Rebuild a pickled exception without its constructor, whose arguments a message is made of."""
    error = cls.__new__(cls, *args)
    BaseException.__init__(error, *args)
    error.__dict__.update(state)
    return error


class InteractiveAuthError(Exception):
    """The base of all that this library raises about an authentication.

    Example::

        try:
            request.authenticate(stages)
        except InteractiveAuthError as error:
            print(f"Not done: {error}")
    """

    def _state(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self._state())


class MatrixError(InteractiveAuthError):
    """A homeserver answered a request with an error (client-server API, "Standard error response").

    A ``do_request`` raises it for every answer that is not a success; a 401 that carries ``flows`` is how
    the server asks for authentication.

    Example::

        if response.status_code != 200:
            raise MatrixError(response.status_code, response.json())

    Attributes:
        http_status: the HTTP status code.
        data: the JSON body, ``{}`` if it was not a JSON object. A pickled copy lacks its ``session``.
        errcode: the body's ``errcode``, None if it has none.
        error: the body's ``error``, the server's words for people, None if it has none.
        retry_after: seconds to wait before the next request, None if the server did not say.
        args: the status, and what the body has of ``errcode`` and ``error``: what ``MatrixError(*args)`` takes.
    """

    http_status: int
    data: dict[str, Any]
    errcode: str | None
    error: str | None
    retry_after: float | None

    @without_frames
    def __init__(self, http_status: int, data: Mapping[str, Any], retry_after: float | None = None) -> None:
        """Describe an error response.

        Args:
            http_status: the HTTP status code.
            data: the JSON body; anything but a mapping counts as empty, since servers and proxies send anything.
            retry_after: seconds from a ``Retry-After`` header; None reads the body's ``retry_after_ms``.

        Raises:
            TypeError: ``http_status`` is not an int.
        """
        if not isinstance(http_status, int) or isinstance(http_status, bool):
            raise TypeError(f"http_status must be an int, not {type(http_status).__name__}")
        super().__init__()
        self.http_status = http_status
        self.data = dict(data) if isinstance(data, Mapping) else {}
        errcode, error = self.data.get("errcode"), self.data.get("error")
        self.errcode = errcode if isinstance(errcode, str) else None
        self.error = error if isinstance(error, str) else None
        stated = _seconds(retry_after)
        self.retry_after = self.body_retry_after if stated is None else stated
        self._context = ""
        self._redirect: str | None = None
        session = self.data.get("session")
        self._sent: tuple[object, ...] = (session,) if isinstance(session, str) else ()

    @property
    def args(self) -> tuple[Any, ...]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What those keep of an error that keep nothing else, the result backends of queues for one."""
        clean = self._cleaner()
        words = {"errcode": self.errcode, "error": self.error}
        return self.http_status, {name: printable(clean(text)) for name, text in words.items() if text is not None}

    @property
    def body_retry_after(self) -> float | None:
        """The body's ``retry_after_ms`` in seconds, None if there is none of use (spec: "Rate limiting")."""
        return _seconds(self.data.get("retry_after_ms"), 1000.0)

    def _conceal(self, *sent: object) -> None:
        """Keep what was sent out of the text and the pickle: servers quote it.

        Args:
            *sent: strings, or auth dicts that hold them; looked through only when there is a text to clean.
        """
        self._sent += sent

    def _cleaner(self) -> Callable[[str], str]:
        sent = {secret for sent in self._sent for secret in secrets_in(sent) if len(secret) >= _SHORTEST_SECRET}
        # A server may quote what it was sent as it stood on the wire, in JSON or in a query.
        found = {f for s in sent for f in (s, json.dumps(s)[1:-1], quote(s, safe="", errors="surrogatepass"))}
        secrets = sorted(found, key=len, reverse=True)

        def clean(text: str) -> str:
            for secret in secrets:
                text = text.replace(secret, "[hidden]")
            return text

        return clean

    def _clean(self, text: str) -> str:
        return self._cleaner()(text)

    def _state(self) -> dict[str, Any]:
        state, clean = super()._state(), self._cleaner()  # once: a stranger's body may hold a million texts
        state["data"] = plain({key: value for key, value in self.data.items() if key != "session"}, clean)
        state["error"] = None if self.error is None else clean(self.error)
        state["errcode"] = None if self.errcode is None else clean(self.errcode)
        state["_context"] = clean(self._context)
        state["_sent"] = ()
        state["_redirect"] = None
        return state

    def __str__(self) -> str:
        words = [str(self.http_status)]
        if self.errcode is not None:
            words.append(printable(self._clean(self.errcode), 100))
        text = " ".join(words)
        if self.error is not None:
            text += f": {printable(self._clean(self.error))}"
        if self._context:
            text += f" ({self._clean(self._context)})"
        wait = self.retry_after if self.body_retry_after is None else self.body_retry_after
        if self.http_status == 429 and wait is not None:
            text += f"; again in {wait:.0f} s"
        return text + self._about_limit()

    def _about_limit(self) -> str:
        """Say where an account's limit is explained, and whether it can be raised, as far as the server says so."""
        prefix = _USER_LIMIT.get(self.errcode or "")
        if prefix is None:
            return ""
        raised = {True: "; the limit can be raised", False: "; the limit cannot be raised"}
        upgrade = self.data.get(f"{prefix}can_upgrade", self.data.get(f"{prefix}soft_limit"))
        text = raised[upgrade] if isinstance(upgrade, bool) else ""
        where = web_url(self.data.get(f"{prefix}info_uri"))
        return text if where is None else f"{text}; what it is: {printable(self._clean(where), 500)}"

    def _explain(self, text: str) -> None:
        """Add to the message what the library knows about the error, once: a mock may raise the same one again."""
        if text not in self._context:
            self._context = f"{self._context}; {text}" if self._context else text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class DelegatedAuthError(MatrixError):
    """The homeserver leaves its accounts to an OAuth service, so the endpoint is not there, or not for this client.

    Nothing that a program sends would help: the person does it in a browser (client-server API, "Account management").

    Attributes:
        account_management_url: the page where the person does it, with the action that belongs to the endpoint; None
            if the homeserver names none that may be opened.
    """

    account_management_url: str | None = None

    def __str__(self) -> str:
        left = "this homeserver leaves its accounts to an OAuth service"
        url = self.account_management_url
        way = (
            f"{left}, where the person does it: {printable(url, 1000)}" if url else f"{left}, and names no page for it"
        )
        return f"{super().__str__()}; {way}"


class NoAuthFlowFoundError(InteractiveAuthError):
    """No flow that the server offers can be walked with the inputs and handlers given.

    Attributes:
        required_stages: the stages that a flow had to contain because of the inputs given.
        flows: the flows that the server offered, as ``{"stages": [...]}``.
    """

    required_stages: list[str]
    flows: list[dict[str, list[str]]]

    def __init__(
        self, message: str, required_stages: Sequence[str] = (), flows: Iterable[Mapping[str, Sequence[str]]] = ()
    ) -> None:
        super().__init__(message)
        self.required_stages = list(required_stages)
        self.flows = [{"stages": list(flow["stages"])} for flow in flows]


class StageFailedError(InteractiveAuthError):
    """One stage was answered wrongly as often as is allowed; its cause is the last ``MatrixError``.

    Attributes:
        stage: the stage's type, for example ``"m.login.password"``.
        attempts: how many answers to it were rejected in the session.
    """

    stage: str
    attempts: int

    def __init__(
        self, stage: str, attempts: int, error: MatrixError | None = None, *, answered: str | None = None
    ) -> None:
        """Describe a stage that failed.

        Args:
            stage: the stage's type.
            attempts: how many answers to it were rejected in the session.
            error: what rejected the last one.
            answered: the type of the last answer, if it was another one.
        """
        times = "once" if attempts == 1 else f"{attempts} times"
        text = f"{printable(stage, 100)} was rejected {times}"
        if answered is not None and answered != stage:
            text += f", with an answer of the type {printable(answered, 100)}"
        if error is not None:
            text += f"; the server said {error}"
            if error.errcode is None and error.error is None:
                text += " and gave no reason, so do_request may not be sending auth"
        text = text.removesuffix(".")  # some servers end their words with one
        super().__init__(f"{text}. Try again with another answer: {GO_ON}.")
        self.stage = stage
        self.attempts = attempts


class AuthTimeoutError(InteractiveAuthError, TimeoutError):
    """A stage was not completed within ``poll_timeout``; its cause is what the last poll was answered.

    Attributes:
        stage: the stage's type, for example ``"m.login.email.identity"``.
    """

    stage: str

    def __init__(self, stage: str, seconds: float, error: BaseException | None = None, *, why: str = "") -> None:
        """Describe a wait that was in vain.

        Args:
            stage: the stage's type.
            seconds: how long it was waited for.
            error: what the last poll was answered.
            why: what may be the reason.
        """
        said = f"; the last poll was answered {error}" if isinstance(error, MatrixError) else ""
        reason = f"; {why}" if why else ""
        super().__init__(
            f"{printable(stage, 100)} was not completed within {seconds:g} seconds{said}{reason}. "
            f"poll_timeout says how long to wait; {GO_ON}."
        )
        self.stage = stage


class AuthCancelledError(InteractiveAuthError):
    """``cancel()`` was called, or a person declined; ``attempt_auth()`` would go on in the same session."""


class AuthDeferredError(InteractiveAuthError):
    """A stage callback raises it to put its stage off; the attempt ends with it.

    What was given to ``state_changed`` is all that another ``InteractiveAuth`` needs to go on, in another process for
    example: a web page for each stage, or a queue of tasks.

    Example::

        def start_auth_stage(stage):
            raise AuthDeferredError(stage.type)
    """


class ServerProtocolError(InteractiveAuthError):
    """The server broke the protocol's rules, in a way that no other answer of the client's would mend."""


class HomeserverConnectionError(InteractiveAuthError, ConnectionError):
    """The homeserver was not reached, or the connection failed before its answer was complete."""


def _seconds(value: object, unit: float = 1.0) -> float | None:
    """Return a server's delay in seconds, None for anything that is not a delay."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        seconds = float(value) / unit
    except OverflowError:  # a JSON integer of hundreds of digits
        return None
    return seconds if 0 <= seconds < math.inf else None


publish(globals())
