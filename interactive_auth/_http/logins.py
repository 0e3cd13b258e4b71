"""Logging in and out, and who somebody is: what surrounds an authentication, and demands none.

What must not be here: sending, which ``Homeserver`` adds. All the state there is, is the access token.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast

from typing_extensions import NotRequired

from .._checks import check_bool, check_identifier, check_optional_text, check_required_text
from .._errors import ServerProtocolError, hiding
from .._tracebacks import without_frames
from .answers import lack_error
from .calls import Calls
from .endpoints import APPLICATION_SERVICE, CLIENT, given_fields

LoginType = Literal["m.login.password", "m.login.token", "m.login.application_service"]

#: What each type of login takes.
_LOGINS: Mapping[str, set[str]] = {
    "m.login.password": {"user", "password"},
    "m.login.token": {"token"},
    APPLICATION_SERVICE: {"user"},
}
#: The fields of the answers that are looked at, and their types.
_KINDS: Mapping[str, type] = {
    "user_id": str,
    "access_token": str,
    "device_id": str,
    "refresh_token": str,
    "expires_in_ms": int,
    "is_guest": bool,
}


class LoginResponse(TypedDict):
    """The answer to a login (client-server API, "POST /login").

    Attributes:
        user_id: the full user id.
        access_token: the access token.
        device_id: the device that was logged in on.
        refresh_token: present if it was asked for and the server gives one.
        expires_in_ms: milliseconds until the access token expires; absent if it does not.
    """

    user_id: str
    access_token: str
    device_id: str
    refresh_token: NotRequired[str]
    expires_in_ms: NotRequired[int]


class RefreshResponse(TypedDict):
    """The answer to a refresh (client-server API, "POST /refresh").

    Attributes:
        access_token: the new access token.
        refresh_token: the refresh token for the next time; absent if the old one goes on.
        expires_in_ms: milliseconds until the access token expires; absent if it does not.
    """

    access_token: str
    refresh_token: NotRequired[str]
    expires_in_ms: NotRequired[int]


class WhoamiResponse(TypedDict):
    """Whose an access token is (client-server API, "GET /account/whoami").

    Attributes:
        user_id: the full user id.
        device_id: the device; absent for an application service that acts for none.
        is_guest: whether it is a guest's.
    """

    user_id: str
    device_id: NotRequired[str]
    is_guest: NotRequired[bool]


class Logins(Calls):
    """Logging in and out; ``Homeserver`` adds how it is sent, and that it is repeated."""

    @abstractmethod
    def _set_access_token(self, token: str | None) -> None:
        """Go on with another access token, or with none.

        Raises:
            ValueError: it cannot be sent.
        """

    @without_frames
    def login(
        self,
        user: str | Mapping[str, Any] | None = None,
        password: str | None = None,
        *,
        token: str | None = None,
        type: LoginType | None = None,
        device_id: str | None = None,
        initial_device_display_name: str | None = None,
        refresh_token: bool | None = None,
    ) -> LoginResponse:
        """Log in, and go on with the new access token (client-server API, "POST /login").

        It demands no User-Interactive Authentication. Repeated after trouble, it may make a device that nobody knows
        of, unless ``device_id`` names one.

        Args:
            user: the user id or its local part; or an identifier ("Identifier types"), such as one of an email address.
            password: the password.
            token: a login token, from ``get_login_token()`` or a single sign-on, instead of user and password.
            type: how; None for what follows from the rest. For ``"m.login.application_service"`` the access token is
                sent, which has to be the service's.
            device_id: the device to log in on; None for a new one.
            initial_device_display_name: a new device's name.
            refresh_token: whether to ask for a refresh token.

        Returns:
            The answer; what it holds of ``access_token`` is set already.

        Raises:
            MatrixError: the server refused: M_FORBIDDEN for a wrong password.
            DelegatedAuthError: it has no such login, since it leaves its accounts to an OAuth service.
            ServerProtocolError: the answer lacks what it has to have.
            HomeserverConnectionError: there was no complete answer.
            TypeError: an argument has a wrong type.
            ValueError: an argument has a wrong value, or is one too many or too few.
        """
        check_bool("refresh_token", refresh_token, optional=True)
        kind = type or ("m.login.password" if token is None else "m.login.token")
        fields: dict[str, Any] = {
            "type": kind,
            "identifier": None if user is None else check_identifier(user),
            "password": check_optional_text("password", password),
            "token": check_optional_text("token", token),
            "device_id": check_optional_text("device_id", device_id),
            "initial_device_display_name": check_optional_text(
                "initial_device_display_name", initial_device_display_name
            ),
            "refresh_token": refresh_token,
        }
        if kind not in _LOGINS:
            raise ValueError(f"type must be one of {', '.join(_LOGINS)}, or None")
        given = {"user": user, "password": password, "token": token}
        if {name for name, value in given.items() if value is not None} != _LOGINS[kind]:
            raise ValueError(
                f"a login of the type {kind} takes {' and '.join(sorted(_LOGINS[kind], reverse=True))} alone"
            )
        with hiding(password, token):
            answer = self._call("POST", f"{CLIENT}/login", given_fields(fields), with_token=kind == APPLICATION_SERVICE)
        response = _checked(f"POST {self.base_url}{CLIENT}/login", answer, "user_id", "access_token", "device_id")
        self._take_over(response["access_token"])
        return cast("LoginResponse", response)

    @without_frames
    def refresh(self, refresh_token: str) -> RefreshResponse:
        """Exchange a refresh token, and go on with the new access token (client-server API, "POST /refresh").

        Args:
            refresh_token: what the last login, registration or refresh has answered.

        Returns:
            The answer; what it holds of ``access_token`` is set already. Keep its ``refresh_token`` for the next time.

        Raises:
            MatrixError: the server refused: with M_UNKNOWN_TOKEN only a login helps.
            DelegatedAuthError: the homeserver leaves its accounts to an OAuth service.
            ServerProtocolError: the answer lacks what it has to have.
            HomeserverConnectionError: there was no complete answer.
            TypeError: ``refresh_token`` is not a str.
            ValueError: ``refresh_token`` is empty.
        """
        token = check_required_text("refresh_token", refresh_token)
        with hiding(token):
            answer = self._call("POST", f"{CLIENT}/refresh", {"refresh_token": token})
        response = _checked(f"POST {self.base_url}{CLIENT}/refresh", answer, "access_token")
        self._take_over(response["access_token"])
        return cast("RefreshResponse", response)

    @without_frames
    def logout(self) -> None:
        """Log the device out, and forget the access token (client-server API, "POST /logout").

        Raises:
            MatrixError: the server refused: M_UNKNOWN_TOKEN if it was logged out already.
            DelegatedAuthError: the homeserver leaves its accounts to an OAuth service.
            ServerProtocolError: the answer is no JSON object.
            HomeserverConnectionError: there was no complete answer.
        """
        self._call("POST", f"{CLIENT}/logout", {}, with_token=True)
        self._set_access_token(None)

    @without_frames
    def whoami(self) -> WhoamiResponse:
        """Return whose the access token is (client-server API, "GET /account/whoami").

        Raises:
            MatrixError: the server refused: M_UNKNOWN_TOKEN if the access token is no longer valid.
            ServerProtocolError: the answer lacks what it has to have.
            HomeserverConnectionError: there was no complete answer.
        """
        answer = self._call("GET", f"{CLIENT}/account/whoami", with_token=True)
        return cast("WhoamiResponse", _checked(f"GET {self.base_url}{CLIENT}/account/whoami", answer, "user_id"))

    def _take_over(self, token: str) -> None:
        try:
            self._set_access_token(token)
        except ValueError:
            raise ServerProtocolError(f"{self.base_url} gave an access token that cannot be sent") from None


def _checked(told: str, answer: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """Return an answer whose fields have their types; what is not required and has another one is left out.

    Raises:
        ServerProtocolError: it lacks a required field.
    """
    checked = dict(answer)
    for field, kind in _KINDS.items():
        value = answer.get(field)
        if type(value) is kind and value != "":
            continue
        if field in required:
            raise lack_error(told, field)
        checked.pop(field, None)
    return checked
