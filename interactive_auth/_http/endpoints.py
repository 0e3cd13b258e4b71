"""The eight endpoints of the client-server API that demand User-Interactive Authentication, as data and methods.

What must not be here: sending, and what belongs to single stages. Every method only makes a request; nothing is sent
before it is called or authenticated. The whole body goes with every repetition, since servers remember different
parts of it: Synapse answers keys/device_signing/upload with ``auth`` alone 200, and changes nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict
from urllib.parse import quote, unquote

from typing_extensions import NotRequired

from .._checks import (
    check_bool,
    check_client_secret,
    check_mapping,
    check_optional_text,
    check_required_text,
    type_error,
)
from .._text import is_encodable
from .._tracebacks import without_frames
from .uia_request import UIARequest

CLIENT = "/_matrix/client/v3"
#: The type of a login or a registration by an application service.
APPLICATION_SERVICE = "m.login.application_service"

#: Where a token is requested for (client-server API, the six "requestToken" endpoints).
Purpose = Literal["register", "account/password", "account/3pid"]
PURPOSES: tuple[Purpose, ...] = ("register", "account/password", "account/3pid")
#: The endpoints whose email and msisdn stages want tokens. For account/3pid/add the token is no stage of its
#: authentication but a part of its body.
PURPOSE_OF_PATH: Mapping[str, Purpose] = {
    f"{CLIENT}/register": "register",
    f"{CLIENT}/account/password": "account/password",
    f"{CLIENT}/account/3pid/add": "account/3pid",
}

#: Segments of a path that are resolved before it is sent (RFC 3986, section 5.2.4), percent-encoded or not.
_DOTS = frozenset({".", ".."})


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


class DeactivateResponse(TypedDict, total=False):
    """The answer to a deactivation (client-server API, "POST /account/deactivate").

    Attributes:
        id_server_unbind_result: "success" or "no-support", whether the identity server has forgotten the account.
    """

    id_server_unbind_result: str


class LoginTokenResponse(TypedDict):
    """The answer to a request for a login token (client-server API, "POST /login/get_token").

    Attributes:
        login_token: the token for a login of type ``m.login.token``; good for one use.
        expires_in_ms: milliseconds until it expires.
    """

    login_token: str
    expires_in_ms: NotRequired[int]


class Endpoints(ABC):
    """The makers of requests; ``Homeserver`` adds how they are sent."""

    @abstractmethod
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
        """Make a request.

        Args:
            method: the HTTP method.
            path: the path, percent-encoded.
            body: the body without ``auth``.
            params: the query's parameters.
            required: the fields that a success must have, and their types.
            logged_in: whether to send the access token, if there is one.
        """

    @without_frames
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
        type: Literal["m.login.application_service"] | None = None,
    ) -> UIARequest[RegisterResponse]:
        """Make the request that registers an account (client-server API, "POST /register").

        What is None is left out, so that the server decides. An access token is not sent, unless it is that of an
        application service.

        Args:
            username: the local part of the user id; the server makes one up if there is none.
            password: the account's password.
            device_id: the id of the device that is logged in.
            initial_device_display_name: that device's name.
            inhibit_login: whether to log no device in.
            refresh_token: whether to ask for a refresh token.
            kind: "guest" for a guest account, which wants no authentication.
            type: ``"m.login.application_service"`` for an account in the namespace of an application service, whose
                access token is sent then; it wants no authentication. With ``inhibit_login`` no device is made, as
                homeservers want it that leave their accounts to OAuth (application service API, v1.17).
        """
        check_bool("inhibit_login", inhibit_login, optional=True)
        check_bool("refresh_token", refresh_token, optional=True)
        body = {
            "type": type,
            "username": check_optional_text("username", username),
            "password": check_optional_text("password", password),
            "device_id": check_optional_text("device_id", device_id),
            "initial_device_display_name": check_optional_text(
                "initial_device_display_name", initial_device_display_name
            ),
            "inhibit_login": inhibit_login,
            "refresh_token": refresh_token,
        }
        if kind not in (None, "user", "guest"):
            raise ValueError('kind must be "user", "guest" or None')
        if type not in (None, APPLICATION_SERVICE):
            raise ValueError(f'type must be "{APPLICATION_SERVICE}" or None')
        params = None if kind is None else {"kind": kind}
        given, required = given_fields(body), {"user_id": str}
        return self._request("POST", f"{CLIENT}/register", given, params, required, logged_in=type is not None)

    @without_frames
    def change_password(self, new_password: str, *, logout_devices: bool | None = None) -> UIARequest[dict[str, Any]]:
        """Make the request that changes a password (client-server API, "POST /account/password").

        Without an access token it resets a forgotten one: the server then wants an email or msisdn stage.

        Args:
            new_password: the new password.
            logout_devices: whether to log the account's other devices out; None for the server's default, which is
                to do so.
        """
        password = check_required_text("new_password", new_password)
        check_bool("logout_devices", logout_devices, optional=True)
        body = given_fields({"new_password": password, "logout_devices": logout_devices})
        return self._request("POST", f"{CLIENT}/account/password", body)

    @without_frames
    def deactivate_account(
        self, *, id_server: str | None = None, erase: bool | None = None
    ) -> UIARequest[DeactivateResponse]:
        """Make the request that ends the account for good (client-server API, "POST /account/deactivate").

        Args:
            id_server: the identity server to forget the account's addresses; None for the homeserver's choice.
            erase: whether to hide what the account has written, as far as the server can.
        """
        check_bool("erase", erase, optional=True)
        body = {"id_server": check_optional_text("id_server", id_server), "erase": erase}
        return self._request("POST", f"{CLIENT}/account/deactivate", given_fields(body))

    @without_frames
    def add_threepid(self, client_secret: str, sid: str) -> UIARequest[dict[str, Any]]:
        """Make the request that adds an address to the account (client-server API, "POST /account/3pid/add").

        The address must have been validated first, with ``Homeserver.request_email_token("account/3pid", ...)`` or
        its twin for phones. One that is not validated yet is a ``MatrixError``; once it is, another
        ``attempt_auth()`` goes on in the same session.

        Args:
            client_secret: the secret that the token was requested with.
            sid: what the token request answered.
        """
        body = {
            "client_secret": check_client_secret(check_required_text("client_secret", client_secret)),
            "sid": check_required_text("sid", sid),
        }
        return self._request("POST", f"{CLIENT}/account/3pid/add", body)

    @without_frames
    def delete_device(self, device_id: str) -> UIARequest[dict[str, Any]]:
        """Make the request that logs one device out (client-server API, "DELETE /devices/{deviceId}").

        Args:
            device_id: the device's id; one that does not exist is no error.
        """
        if check_required_text("device_id", device_id) in _DOTS:
            raise ValueError("device_id must not be . or ..: in an address it would lead elsewhere")
        device = quote(device_id, safe="")
        return self._request("DELETE", f"{CLIENT}/devices/{device}", None)

    @without_frames
    def delete_devices(self, device_ids: Sequence[str]) -> UIARequest[dict[str, Any]]:
        """Make the request that logs devices out and deletes them (client-server API, "POST /delete_devices").

        Args:
            device_ids: the ids of the devices; one that does not exist is no error.
        """
        if isinstance(device_ids, (str, bytes)) or not isinstance(device_ids, Sequence):
            raise type_error("device_ids", "a sequence of str", device_ids)
        devices = [check_required_text("each of device_ids", device) for device in device_ids]
        return self._request("POST", f"{CLIENT}/delete_devices", {"devices": devices})

    @without_frames
    def upload_cross_signing_keys(
        self,
        *,
        master_key: Mapping[str, Any] | None = None,
        self_signing_key: Mapping[str, Any] | None = None,
        user_signing_key: Mapping[str, Any] | None = None,
    ) -> UIARequest[dict[str, Any]]:
        """Make the request that sets cross-signing keys (client-server API, "POST /keys/device_signing/upload").

        Servers want authentication only if keys are replaced.

        Args:
            master_key: the signed master key, as the specification's CrossSigningKey.
            self_signing_key: the signed self-signing key.
            user_signing_key: the signed user-signing key.

        Raises:
            ValueError: no key is given: servers answer that with a success that changes nothing.
        """
        keys = {"master_key": master_key, "self_signing_key": self_signing_key, "user_signing_key": user_signing_key}
        given = {name: dict(check_mapping(name, key)) for name, key in keys.items() if key is not None}
        if not given:
            raise ValueError("at least one of master_key, self_signing_key and user_signing_key must be given")
        return self._request("POST", f"{CLIENT}/keys/device_signing/upload", given)

    @without_frames
    def get_login_token(self) -> UIARequest[LoginTokenResponse]:
        """Make the request for a token that logs another device in (client-server API, "POST /login/get_token").

        Synapse gives one a minute and answers more with a 429, which the retry policy waits for.
        """
        path = "/_matrix/client/v1/login/get_token"
        return self._request("POST", path, {}, None, {"login_token": str})

    @without_frames
    def uia_request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> UIARequest[dict[str, Any]]:
        """Make a request to any other endpoint that demands authentication.

        Args:
            method: the HTTP method.
            path: the path, like ``/_matrix/client/v3/account/deactivate``, percent-encoded.
            body: the body without ``auth``; None for an empty one. Fields that are None are sent as null.
            params: the query's parameters; the server takes a request with others for another request.
        """
        if not check_required_text("path", path).startswith("/") or "?" in path or "#" in path:
            raise ValueError("path must start with a slash, and have no query or fragment")
        if any(unquote(segment) in _DOTS for segment in path.split("/")):
            raise ValueError("path must have no segment . or ..: it would lead elsewhere")
        if not (check_required_text("method", method).isascii() and method.isalpha()):
            raise ValueError("method must be the name of an HTTP method")
        query = None if params is None else dict(check_mapping("params", params))
        for name, value in (query or {}).items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise type_error("params", "a mapping from str to str", value if isinstance(name, str) else name)
            if not is_encodable(name + value):
                raise ValueError("params must be text, without lone surrogates")
        return self._request(method.upper(), path, body, query)


def given_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
