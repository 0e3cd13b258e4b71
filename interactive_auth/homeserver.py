"""A homeserver over requests: its endpoints that demand User-Interactive Authentication, and those around them.

What must not be here: the loop, prompting, the sending itself (``_transport``), the repeating (``_uia_request``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Literal, TypedDict
from urllib.parse import quote

import requests
from typing_extensions import NotRequired, Self

from ._checks import check_mapping, check_required_text, check_seconds, check_text, type_error
from ._errors import HomeserverConnectionError, MatrixError, ServerProtocolError
from ._transport import Transport, check_base_url, raise_for_matrix_error
from ._types import RequestEmailToken, RequestMsisdnToken
from ._uia_request import UIARequest, encode

__all__ = [
    "Homeserver",
    "HomeserverConnectionError",
    "RegisterResponse",
    "UIARequest",
    "raise_for_matrix_error",
]

_CLIENT = "/_matrix/client/v3"
#: The endpoints whose email and msisdn stages want tokens, and where these are requested (client-server API,
#: "POST /register/email/requestToken" and the like).
_TOKEN_REQUESTS = {
    f"{_CLIENT}/register": f"{_CLIENT}/register",
    f"{_CLIENT}/account/password": f"{_CLIENT}/account/password",
}
#: What a server answers /register/available with for a name that somebody has, or that is set aside.
_TAKEN = frozenset({"M_USER_IN_USE", "M_EXCLUSIVE"})


class RegisterResponse(TypedDict):
    """The answer to a registration (client-server API, "POST /register").

    Attributes:
        user_id: the new account's full user id.
        access_token: absent if ``inhibit_login`` was asked for, like what follows.
        device_id: the device that the account was logged in on.
        refresh_token: present if it was asked for and the server gives one.
        expires_in_ms: milliseconds until the access token expires; absent if it does not.
    """

    user_id: str
    access_token: NotRequired[str]
    device_id: NotRequired[str]
    refresh_token: NotRequired[str]
    expires_in_ms: NotRequired[int]


class Homeserver:
    """A homeserver's client-server API, as far as User-Interactive Authentication goes.

    It may be shared between threads, and is a context manager that closes its connections. TLS is verified;
    proxies and certificate bundles of the environment apply, a netrc file does not; redirects are not followed.

    Args:
        base_url: the homeserver's address, like ``https://matrix.example.org``; plain http only to this machine.
        access_token: the token of the account to act for; None for requests that need none, like a registration.
        session: a ``requests.Session`` to send by, with its adapters, auth, hooks and cookies; it stays open. None
            for one of the homeserver's own.
        timeout: seconds to wait for a connection, and for each piece of an answer.
        allow_insecure_http: whether plain http to other machines is allowed, where anybody on the way can read
            passwords and tokens.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: an argument has a wrong value.
    """

    def __init__(
        self,
        base_url: str,
        *,
        access_token: str | None = None,
        session: requests.Session | None = None,
        timeout: float = 30.0,
        allow_insecure_http: bool = False,
    ) -> None:
        if session is not None and not isinstance(session, requests.Session):
            raise type_error("session", "a requests.Session or None", session)
        if check_seconds("timeout", timeout) == 0:
            raise ValueError("timeout must be more than 0 seconds")
        address = check_base_url(base_url, allow_insecure_http=bool(allow_insecure_http))
        self.access_token = access_token
        self._transport = Transport(address, session, timeout)

    @property
    def base_url(self) -> str:
        """The homeserver's address, without a trailing slash."""
        return self._transport.base_url

    @property
    def access_token(self) -> str | None:
        """The access token; set anew after a fresh login, it is used by the requests made before, too."""
        return self._access_token

    @access_token.setter
    def access_token(self, value: str | None) -> None:
        token = check_text("access_token", value)
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise ValueError("access_token must be printable ASCII without spaces")
        self._access_token = token

    def close(self) -> None:
        """Close the connections; a session that was passed in stays open."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    # Endpoints that demand authentication

    def register(
        self,
        username: str | None = None,
        password: str | None = None,
        *,
        device_id: str | None = None,
        initial_device_display_name: str | None = None,
        inhibit_login: bool | None = None,
        refresh_token: bool | None = None,
        kind: Literal["user", "guest"] | None = None,
    ) -> UIARequest[RegisterResponse]:
        """Make the request that registers an account (client-server API, "POST /register").

        What is None is left out, so that the server decides. An access token is not sent.

        Args:
            username: the local part of the user id; the server makes one up if there is none.
            password: the account's password.
            device_id: the id of the device that is logged in.
            initial_device_display_name: that device's name.
            inhibit_login: whether to log no device in.
            refresh_token: whether to ask for a refresh token.
            kind: "guest" for a guest account, which wants no authentication.
        """
        body = {
            "username": check_text("username", username),
            "password": check_text("password", password),
            "device_id": check_text("device_id", device_id),
            "initial_device_display_name": check_text("initial_device_display_name", initial_device_display_name),
            "inhibit_login": inhibit_login,
            "refresh_token": refresh_token,
        }
        if kind not in (None, "user", "guest"):
            raise ValueError('kind must be "user", "guest" or None')
        given = {name: value for name, value in body.items() if value is not None}
        params = None if kind is None else {"kind": kind}
        return self._request("POST", f"{_CLIENT}/register", given, params, {"user_id": str}, logged_in=False)

    def delete_devices(self, device_ids: Sequence[str]) -> UIARequest[dict[str, Any]]:
        """Make the request that logs devices out and deletes them (client-server API, "POST /delete_devices").

        Args:
            device_ids: the ids of the devices; one that does not exist is no error.
        """
        if isinstance(device_ids, (str, bytes)) or not isinstance(device_ids, Sequence):
            raise type_error("device_ids", "a sequence of str", device_ids)
        devices = [check_required_text("each of device_ids", device) for device in device_ids]
        return self._request("POST", f"{_CLIENT}/delete_devices", {"devices": devices})

    def uia_request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> UIARequest[dict[str, Any]]:
        """Make a request to any other endpoint that demands authentication.

        Args:
            method: the HTTP method.
            path: the path, like ``/_matrix/client/v3/account/deactivate``, percent-encoded.
            body: the body without ``auth``; None for an empty one.
            params: the query's parameters; the server takes a request with others for another request.
        """
        if not check_required_text("path", path).startswith("/") or "?" in path or "#" in path:
            raise ValueError("path must start with a slash, and have no query or fragment")
        query = None if params is None else dict(check_mapping("params", params))
        return self._request(check_required_text("method", method).upper(), path, body, query)

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        params: Mapping[str, str] | None = None,
        required: Mapping[str, type] | None = None,
        *,
        logged_in: bool = True,
    ) -> UIARequest[Any]:
        def send(encoded: str | None) -> dict[str, Any]:
            token = self._access_token if logged_in else None
            return self._transport.send(method, path, body=encoded, params=params, token=token)

        base = _TOKEN_REQUESTS.get(path)
        email: RequestEmailToken | None = None if base is None else partial(self._request_email_token, base)
        msisdn: RequestMsisdnToken | None = None if base is None else partial(self._request_msisdn_token, base)
        return UIARequest(send, body, required or {}, email, msisdn)

    def _request_email_token(
        self, base: str, email: str, client_secret: str, send_attempt: int, session_id: str | None
    ) -> dict[str, Any]:
        body = {"client_secret": client_secret, "email": email, "send_attempt": send_attempt}
        return self._transport.send("POST", f"{base}/email/requestToken", body=encode("email", body))

    def _request_msisdn_token(
        self,
        base: str,
        country: str,
        phone_number: str,
        client_secret: str,
        send_attempt: int,
        session_id: str | None,
    ) -> dict[str, Any]:
        number = {"country": country, "phone_number": phone_number}
        body = {"client_secret": client_secret, **number, "send_attempt": send_attempt}
        return self._transport.send("POST", f"{base}/msisdn/requestToken", body=encode("phone_number", body))

    # What belongs to the stages

    def fallback_url(self, stage_type: str, session: str) -> str:
        """Return the address of the page that does a stage in a browser (client-server API, "Fallback").

        Afterwards the session alone is submitted. It is no proof that the server has such a page.

        Args:
            stage_type: the stage's type.
            session: the UIA session's id.
        """
        stage = quote(check_required_text("stage_type", stage_type), safe="")
        return (
            f"{self.base_url}{_CLIENT}/auth/{stage}/fallback/web"
            f"?session={quote(check_required_text('session', session), safe='')}"
        )

    def username_available(self, name: str) -> bool:
        """Return whether a user name can still be registered (client-server API, "GET /register/available").

        Raises:
            MatrixError: the server refused to say, for example because the name is no valid one.
            ServerProtocolError: the answer does not say.
            HomeserverConnectionError: there was no complete answer.
        """
        params = {"username": check_required_text("name", name)}
        try:
            return self._ask_bool(f"{_CLIENT}/register/available", params, "available")
        except MatrixError as error:
            if error.errcode in _TAKEN:
                return False
            raise

    def registration_token_validity(self, token: str) -> bool:
        """Return whether a registration token is valid now (client-server API, "Token-authenticated registration").

        Raises:
            MatrixError: the server refused to say.
            ServerProtocolError: the answer does not say.
            HomeserverConnectionError: there was no complete answer.
        """
        params = {"token": check_required_text("token", token)}
        try:
            path = "/_matrix/client/v1/register/m.login.registration_token/validity"
            return self._ask_bool(path, params, "valid")
        except MatrixError as error:
            error._conceal([token])
            raise

    def _ask_bool(self, path: str, params: Mapping[str, str], key: str) -> bool:
        value = self._transport.send("GET", path, params=params).get(key)
        if not isinstance(value, bool):
            raise ServerProtocolError(f"{self.base_url} does not say in {key!r} what it was asked for")
        return value
