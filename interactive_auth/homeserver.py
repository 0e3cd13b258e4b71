"""A homeserver over requests: its address, its endpoints (from ``_http.endpoints``), and what belongs to single stages.

What must not be here: the loop, prompting, sending (``_http.transport``), repeating (``_http.repeating``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any
from urllib.parse import quote

import requests
from typing_extensions import Self

from ._checks import check_bool, check_optional_text, check_required_text, check_seconds, type_error
from ._errors import HomeserverConnectionError, MatrixError, ServerProtocolError
from ._http.addresses import check_base_url
from ._http.answers import raise_for_matrix_error
from ._http.calls import AuthMetadata
from ._http.endpoints import (
    CLIENT,
    PURPOSE_OF_PATH,
    DeactivateResponse,
    Endpoints,
    LoginTokenResponse,
    Purpose,
    RegisterResponse,
    given_fields,
)
from ._http.logins import LoginResponse, Logins, RefreshResponse, WhoamiResponse
from ._http.repeating import repeat
from ._http.token_requests import TokenRequests
from ._http.transport import Target, Transport
from ._http.uia_request import UIARequest, check_encodable, encode
from ._text import publish as _publish
from ._tracebacks import without_frames
from ._types import RetryPolicy

__all__ = [
    "AuthMetadata",
    "DeactivateResponse",
    "Homeserver",
    "HomeserverConnectionError",
    "LoginResponse",
    "LoginTokenResponse",
    "Purpose",
    "RefreshResponse",
    "RegisterResponse",
    "UIARequest",
    "WhoamiResponse",
    "raise_for_matrix_error",
]
_RETRY = RetryPolicy()


class Homeserver(Endpoints, Logins, TokenRequests):
    """A homeserver's client-server API, as far as User-Interactive Authentication goes.

    It may be shared between threads, and with forked processes, which open connections of their own. It is a context
    manager that closes its connections. TLS is verified; proxies and certificate bundles of the environment apply, as
    they are at the first request, but no proxy is asked for this machine; a netrc file does not; redirects are not
    followed.

    Everything is sent by ``requests.Session.send``, so what stands between requests and the network (``responses``,
    requests-mock, vcrpy, an instrumentation) sees every request.

    Example::

        with Homeserver("https://matrix.example.org") as homeserver:
            account = homeserver.register("alice", "a password").authenticate(console.handlers(homeserver))
        print(account["user_id"])

    Args:
        base_url: the homeserver's address, like ``https://matrix.example.org``; plain http only to this machine.
        access_token: the token of the account to act for; None for requests that need none, like a registration.
        session: a ``requests.Session`` to send by, with its adapters, auth, hooks, cookies and proxies; nothing of it
            is changed, and it stays open. None for one of the homeserver's own, which skips interim answers (1xx), and
            has connections of its own after a fork. With a session of the caller's, those two are the caller's to see
            to; an interim answer but 100 is a
            ``HomeserverConnectionError`` there, after which the connection is not used again.
        timeout: seconds to wait for a connection, and for an answer as a whole. With a session of the caller's they
            are counted anew for each piece of the status, the headers and the trailers, so a server that drips them
            is waited for as long as it does; the body has to come within them as a whole, and is limited in size,
            by either session. urllib3-future in place of urllib3 has the same limit.
        allow_insecure_http: whether plain http to other machines is allowed, where anybody on the way can read
            passwords and tokens.
        user_id: the user for whom an application service acts, whose access token it is (application service API,
            "Identity assertion"): it goes with every request that carries the access token, save for registrations.
            None for whom the token belongs to; an application service's is that of its own user, for whom a homeserver
            does what was meant for another one, and says nothing.
        device_id: the device that it acts as (v1.17).
        retry: how often the calls that are no UIA requests are repeated, and how long they wait at most; those have a
            policy of their own in ``InteractiveAuth``. None for never, not even after a 429.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: an argument has a wrong value.
    """

    @without_frames
    def __init__(
        self,
        base_url: str,
        *,
        access_token: str | None = None,
        session: requests.Session | None = None,
        timeout: float = 30.0,
        allow_insecure_http: bool = False,
        user_id: str | None = None,
        device_id: str | None = None,
        retry: RetryPolicy | None = _RETRY,
    ) -> None:
        if session is not None and not isinstance(session, requests.Session):
            raise type_error("session", "a requests.Session or None", session)
        if not 0 < check_seconds("timeout", timeout) <= threading.TIMEOUT_MAX:
            raise ValueError("timeout must be more than 0 seconds, and not more than a system can wait")
        check_bool("allow_insecure_http", allow_insecure_http)
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise type_error("retry", "a RetryPolicy or None", retry)
        identity = {
            "user_id": check_optional_text("user_id", user_id),
            "device_id": check_optional_text("device_id", device_id),
        }
        address = check_base_url(base_url, allow_insecure_http=allow_insecure_http)
        self.access_token = access_token
        self._allow_insecure_http = allow_insecure_http
        self._identity: dict[str, str] = given_fields(identity)
        self._retry = retry
        self._transport = Transport(address, timeout, session)

    @classmethod
    @without_frames
    def discover(
        cls,
        server_name_or_user_id: str,
        *,
        access_token: str | None = None,
        session: requests.Session | None = None,
        timeout: float = 30.0,
        user_id: str | None = None,
        device_id: str | None = None,
        retry: RetryPolicy | None = _RETRY,
    ) -> Self:
        """Find the homeserver of a server name (client-server API, "Server discovery").

        The document is asked for at the host name, without its port, which is that of another API. Redirects to https
        are followed. Where there is no document, the server name is taken for the homeserver's address.

        Args:
            server_name_or_user_id: a server name like ``"example.org"``, or a user id like ``"@alice:example.org"``.
            access_token: see the constructor, as for what follows.
            session: a session to send by.
            timeout: seconds, for each of the requests.
            user_id: see the constructor.
            device_id: likewise.
            retry: likewise; it is for the requests of the discovery, too.

        Raises:
            ServerProtocolError: what was found there is no homeserver.
            HomeserverConnectionError: there was no complete answer.
            TypeError: an argument has a wrong type.
            ValueError: an argument has a wrong value.
        """
        from ._http.discovery import discover_base_url  # wanted by few programs, and by those only once

        text = check_required_text("server_name_or_user_id", server_name_or_user_id)
        server_name = text.partition(":")[2] if text.startswith("@") else text
        return cls(
            discover_base_url(server_name, session, timeout, retry),
            access_token=access_token,
            session=session,
            timeout=timeout,
            user_id=user_id,
            device_id=device_id,
            retry=retry,
        )

    @property
    def base_url(self) -> str:
        """The homeserver's address, without a trailing slash."""
        return self._transport.base_url

    @property
    def access_token(self) -> str | None:
        """The access token; set anew after a fresh login, it is used by the requests made before, too."""
        return self._access_token

    @access_token.setter
    @without_frames
    def access_token(self, value: str | None) -> None:
        token = check_optional_text("access_token", value)
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise ValueError("access_token must be printable ASCII without spaces")
        self._access_token = token

    def _set_access_token(self, token: str | None) -> None:
        self.access_token = token

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
        target = self._target(method, path, params, with_token=logged_in)

        devices = body.get("devices") if isinstance(body, Mapping) else None

        def send(encoded: str) -> dict[str, Any]:
            try:
                return self._transport.send(target, encoded, self._access_token if logged_in else None)
            except MatrixError as error:
                refusal = error
            raise self._explained(refusal, path, devices)

        name = f"{target.method} {target.address}"
        purpose = PURPOSE_OF_PATH.get(path)
        if purpose is None:
            return UIARequest(name, send, body, required or {})
        email = partial(self.request_email_token, purpose)
        msisdn = partial(self.request_msisdn_token, purpose)
        return UIARequest(name, send, body, required or {}, email, msisdn)

    def _target(self, method: str, url: str, params: Mapping[str, str] | None, *, with_token: bool) -> Target:
        # Without the token it would be nobody's assertion, and a registration is not yet anybody's.
        asserted = with_token and url != f"{CLIENT}/register"
        return self._transport.target(method, url, {**self._identity, **(params or {})} if asserted else params)

    def _call(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        *,
        with_token: bool = False,
    ) -> dict[str, Any]:
        encoded = None if body is None else check_encodable("the request", encode("the request", body))
        target = self._target(method, url, params, with_token=with_token)
        try:
            return repeat(
                self._retry, lambda: self._transport.send(target, encoded, self._access_token if with_token else None)
            )
        except MatrixError as error:
            refusal = error
        raise self._explained(refusal, url) if url.startswith("/") else refusal

    def _get(self, path: str, *, again: bool = False) -> dict[str, Any]:
        target = self._transport.target("GET", path)
        return repeat(self._retry if again else None, partial(self._transport.send, target))

    # What belongs to the stages

    @without_frames
    def fallback_url(self, stage_type: str, session: str) -> str:
        """Return the address of the page that does a stage in a browser (client-server API, "Fallback").

        Afterwards the session alone is submitted. It is no proof that the server has such a page.

        Args:
            stage_type: the stage's type.
            session: the UIA session's id.

        Raises:
            ServerProtocolError: the server has named a stage that no address can have.
            TypeError: an argument has a wrong type.
            ValueError: an argument is empty, or has lone surrogates.
        """
        stage = quote(check_required_text("stage_type", stage_type), safe="")
        if stage in (".", ".."):  # a browser would open another page
            raise ServerProtocolError(f"a stage of type {stage} has no page")
        return (
            f"{self.base_url}{CLIENT}/auth/{stage}/fallback/web"
            f"?session={quote(check_required_text('session', session), safe='')}"
        )


for _offered in (Homeserver, UIARequest, raise_for_matrix_error):
    _offered.__module__ = "interactive_auth"  # which offers them too, and imports this room when it is asked for them
_publish(globals())
