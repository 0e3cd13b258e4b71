"""UIARequest: one request to an endpoint that demands authentication, ready to be sent again and again.

What must not be here: the endpoints themselves, which are in ``homeserver``, and HTTP.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from typing_extensions import Unpack

from .._checks import type_error
from .._engine.auth import InteractiveAuth
from .._errors import hiding
from .._text import is_encodable, printable
from .._tracebacks import forget_frames, without_frames
from .._types import InteractiveAuthOptions, RequestEmailToken, RequestMsisdnToken, StageCallbacks, StageType
from .answers import lack_error

R = TypeVar("R", bound=Mapping[str, Any])

#: Sends a JSON body to the endpoint, and returns the JSON object of its success.
Send = Callable[[str], dict[str, Any]]
#: The body's fields that are secrets, for the messages of errors.
_SECRET_FIELDS = frozenset({"password", "new_password", "client_secret", "id_access_token", "access_token", "token"})


class UIARequest(Generic[R]):
    """A request that a homeserver may answer with a demand for authentication; made by ``Homeserver``.

    It is a ``do_request``: called with an auth dict it sends the whole body with that dict under ``auth``, since
    servers differ in what they remember of a request; called with None it sends the body without that key.

    Example::

        request = homeserver.change_password("a new password")
        request.authenticate({"m.login.password": handlers.password("alice", getpass.getpass)})

    Args:
        name: the method and the address, for messages.
        send: sends the JSON body, and returns the JSON object of the success.
        body: the body without ``auth``.
        required: the fields that the success must have, and their types.
        request_email_token: see the attribute.
        request_msisdn_token: see the attribute.

    Attributes:
        request_email_token: has the homeserver send the mail that this endpoint's email stage wants; None if its
            stages need none.
        request_msisdn_token: likewise the SMS.
    """

    _unsent = False  # until it is whole

    def __init__(
        self,
        name: str,
        send: Send,
        body: Mapping[str, Any] | None,
        required: Mapping[str, type],
        request_email_token: RequestEmailToken | None = None,
        request_msisdn_token: RequestMsisdnToken | None = None,
    ) -> None:
        self.request_email_token = request_email_token
        self.request_msisdn_token = request_msisdn_token
        self._name = name
        self._send = send
        self._required = required
        fields = {} if body is None else body
        if not isinstance(fields, Mapping):
            raise type_error("body", "a mapping or None", body)
        if "auth" in fields:
            raise ValueError("body must have no auth: the authentication puts it there")
        # Encoded once: what the caller changes later must not change the request in the middle of a session.
        self._head = check_encodable("body", encode("body", dict(fields)))[:-1]
        self._secrets = tuple(v for k, v in fields.items() if k in _SECRET_FIELDS and isinstance(v, str))
        self._times = 0
        self._unsent = True

    def __repr__(self) -> str:
        times = {0: "not sent yet", 1: "sent once"}.get(self._times, f"sent {self._times} times")
        return f"<{type(self).__name__} {self._name}, {times}>"

    def __del__(self) -> None:
        if self._unsent:
            warnings.warn(
                f"{self!r} was dropped: nothing happens before its authenticate() is called, or an InteractiveAuth's "
                "attempt_auth()",
                RuntimeWarning,
                stacklevel=2,
            )

    @without_frames
    def __call__(self, auth: Mapping[str, Any] | None = None) -> R:
        """Send the request once.

        Args:
            auth: the auth dict, None for a request without one.

        Returns:
            The JSON object of the success.

        Raises:
            MatrixError: the homeserver answered with an error; a 401 with ``flows`` asks for authentication.
            ServerProtocolError: the success lacks a field that the specification requires.
            HomeserverConnectionError: there was no complete answer.
            TypeError: ``auth`` is not a mapping, or cannot be written as JSON.
        """
        self._unsent = False
        if auth is not None and not isinstance(auth, Mapping):
            raise type_error("auth", "a mapping or None", auth)
        separator = "" if self._head == "{" else ", "
        added = "" if auth is None else f'{separator}"auth": {encode("auth", dict(auth))}'
        self._times += 1
        with hiding(*self._secrets, auth):
            response = self._send(f"{self._head}{added}}}")
        for name, kind in self._required.items():
            if not isinstance(response.get(name), kind):
                raise lack_error(self._name, name)
        return cast("R", response)

    def authenticate(self, start_auth_stage: StageCallbacks[StageType], **options: Unpack[InteractiveAuthOptions]) -> R:
        """Send the request, go through its authentication, and return the response.

        Args:
            start_auth_stage: called for each stage, or a mapping from stage type to callables.
            **options: the other arguments of ``InteractiveAuth``.

        Returns:
            The JSON object of the success.

        Raises:
            InteractiveAuthError: what ``InteractiveAuth.attempt_auth`` raises.
            TypeError: an argument has a wrong type.
            ValueError: an argument has a wrong value.
        """
        self._unsent = False
        try:
            auth = InteractiveAuth(self, start_auth_stage, **options)
            del options, start_auth_stage  # a Ctrl-C comes through here, and error reporters look at locals
            return auth.attempt_auth()
        except BaseException as error:
            forget_frames(error)
            raise


def encode(name: str, value: object) -> str:
    """Return ``value`` as JSON in ASCII.

    Raises:
        TypeError: it holds something that JSON has not.
        ValueError: it holds a number that JSON has not, or itself.
    """
    try:
        return json.dumps(value, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"{name} must be JSON: {printable(str(error))}") from None
    except ValueError as error:
        raise ValueError(f"{name} must be JSON: {printable(str(error))}") from None
    except RecursionError:
        raise ValueError(f"{name} must be JSON that is not nested so deeply") from None


def check_encodable(name: str, encoded: str) -> str:
    """Return JSON that every server can read: half of a surrogate pair, which JSON can express, is not text.

    Raises:
        ValueError: it has one.
    """
    if "\\ud" in encoded and not is_encodable(json.dumps(json.loads(encoded), ensure_ascii=False)):
        raise ValueError(f"{name} must be text, without lone surrogates")
    return encoded
