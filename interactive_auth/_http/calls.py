"""What is asked beside an authentication: which names and tokens are good, and whose the accounts are.

What must not be here: sending, which ``Homeserver`` adds, logging in and out (``logins``), token requests, and what
demands authentication.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, TypedDict
from urllib.parse import urlsplit

from .._checks import check_optional_text, check_required_text
from .._errors import MatrixError, hiding
from .._tracebacks import without_frames
from .answers import lack_error
from .endpoints import CLIENT

#: What a server answers /register/available with for a name that somebody has, or that is set aside.
_TAKEN = frozenset({"M_USER_IN_USE", "M_EXCLUSIVE"})


class AuthMetadata(TypedDict, total=False):
    """What an OAuth service says of itself (client-server API, "GET /auth_metadata"), as far as it is usable.

    Attributes:
        issuer: the service's name, an address.
        authorization_endpoint: where a person authorises a client.
        token_endpoint: where tokens are given.
        registration_endpoint: where clients make themselves known.
        revocation_endpoint: where tokens are revoked.
        account_management_uri: the page where a person manages the account (v1.18).
        account_management_actions_supported: what can be done there.
        prompt_values_supported: with ``"create"``, a person can be led to making an account.
        response_types_supported: see RFC 8414, as for the rest.
        response_modes_supported: likewise.
        grant_types_supported: likewise.
        code_challenge_methods_supported: likewise.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str
    revocation_endpoint: str
    account_management_uri: str
    account_management_actions_supported: list[str]
    prompt_values_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    grant_types_supported: list[str]
    code_challenge_methods_supported: list[str]


class Calls(ABC):
    """The calls; ``Homeserver`` adds how they are sent, and that they are repeated."""

    @property
    @abstractmethod
    def base_url(self) -> str:
        """The homeserver's address."""

    @abstractmethod
    def _call(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        *,
        with_token: bool = False,
    ) -> dict[str, Any]:
        """Send JSON to a path of the homeserver's, or to a whole address, and return the JSON object of the success.

        Args:
            method: the HTTP method.
            url: the path, or the whole address.
            body: the body, None for no body.
            params: the query's parameters.
            with_token: whether the access token is sent, and for whom an application service acts.
        """

    @abstractmethod
    def _get(self, path: str, *, again: bool = False) -> dict[str, Any]:
        """Send a GET request without an access token, and return the JSON object of the success.

        Args:
            path: the path.
            again: whether it is repeated after trouble.
        """

    # Names and tokens

    @without_frames
    def username_available(self, name: str) -> bool:
        """Return whether a user name can still be registered (client-server API, "GET /register/available").

        Raises:
            MatrixError: the server refused to say, for example because the name is no valid one.
            ServerProtocolError: the answer does not say.
            HomeserverConnectionError: there was no complete answer.
        """
        params = {"username": check_required_text("name", name)}
        try:
            return self._ask_bool(f"{CLIENT}/register/available", params, "available")
        except MatrixError as error:
            if error.errcode in _TAKEN:
                return False
            raise

    @without_frames
    def registration_token_validity(self, token: str) -> bool:
        """Return whether a registration token is valid now (client-server API, "Token-authenticated registration").

        Raises:
            MatrixError: the server refused to say.
            ServerProtocolError: the answer does not say.
            HomeserverConnectionError: there was no complete answer.
        """
        params = {"token": check_required_text("token", token)}
        path = "/_matrix/client/v1/register/m.login.registration_token/validity"
        with hiding(token):
            return self._ask_bool(path, params, "valid")

    def _ask_bool(self, path: str, params: Mapping[str, str], key: str) -> bool:
        value = self._call("GET", path, None, params).get(key)
        if not isinstance(value, bool):
            raise lack_error(f"GET {self.base_url}{path}", key)
        return value

    # Accounts that live elsewhere

    @without_frames
    def auth_metadata(self) -> AuthMetadata | None:
        """Return what the OAuth service that a homeserver leaves its accounts to says of itself.

        Client-server API, "GET /auth_metadata"; of older servers under the name that it had as a draft. The answer is
        not kept: ask again when it may have changed.

        Returns:
            What is usable of it; None if the homeserver keeps its accounts itself.

        Raises:
            MatrixError: the server refused to say.
            ServerProtocolError: the answer describes no OAuth service.
            HomeserverConnectionError: there was no complete answer.
        """
        from .accounts import read_metadata  # most homeservers keep their accounts

        return read_metadata(partial(self._get, again=True), self._host())

    @without_frames
    def account_management_url(self, action: str | None = None, device_id: str | None = None) -> str | None:
        """Return the address of the page where a person manages the account (v1.18, "Account management URL").

        It is a stranger's word: show it before it is opened.

        Args:
            action: what the person is about to do, like ``"org.matrix.device_delete"``; None for the first page. One
                that the service does not list is left out.
            device_id: the device that the action is about.

        Returns:
            The address; None if the homeserver keeps its accounts itself, or names no address that may be opened.

        Raises:
            MatrixError: the server refused to say.
            ServerProtocolError: the answer describes no OAuth service.
            HomeserverConnectionError: there was no complete answer.
            TypeError: an argument has a wrong type.
            ValueError: an argument is empty, or there is a ``device_id`` without an ``action``.
        """
        from .accounts import make_url

        check_optional_text("action", action)
        check_optional_text("device_id", device_id)
        if device_id is not None and action is None:
            raise ValueError("device_id needs an action: what is to be done with the device")
        metadata = self.auth_metadata()
        return None if metadata is None else make_url(metadata, action, device_id)

    def _host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    def _explained(self, error: MatrixError, path: str, devices: object = None) -> MatrixError:
        """Return an error, or in its place the one that says that the accounts live elsewhere."""
        if error.http_status not in (403, 404) or "flows" in error.data:  # those are how authentication goes on
            return error
        from .accounts import explained

        return explained(error, self._get, self._host(), path, devices)
