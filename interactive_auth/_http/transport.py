"""HTTP by requests: one JSON request to one homeserver, and its answer.

Everything is sent by ``requests.Session.send``, so that whoever stands between requests and the network (a mock, a
recorder, an instrumentation) sees it. What must not be here: endpoints, anything about authentication stages, and the
judging of answers (``answers``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from http.client import parse_headers
from traceback import walk_tb
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from requests.cookies import get_cookie_header
from urllib3.exceptions import HTTPError

from .._errors import HomeserverConnectionError, hiding
from .._text import shown
from .adapter import open_session
from .addresses import may_be_this_machine
from .answers import REDIRECT, RawResponse, check_answer, read_response, refuse_interim
from .quiet_log import quiet_log
from .reasons import no_answer

#: As many targets are kept prepared; a program that talks to more at a time prepares some of them again.
_MOST_PREPARED = 64
#: What requests adds and HTTP/1.1 says anyway, what differs from request to request.
_NEEDLESS = ("Accept", "Connection", "Content-Length", "Cookie")
#: No encoding is asked for but the one that every server has.
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}


class _Token(AuthBase):
    """Sends the access token, or nothing; being there at all keeps requests from asking netrc for credentials."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Target(NamedTuple):
    """Where a request goes.

    Attributes:
        method: the HTTP method.
        address: the whole address, without the query.
        params: the query's parameters, as pairs.
    """

    method: str
    address: str
    params: tuple[tuple[str, str], ...]


#: A request that is ready to be sent, and the settings of its session that it is sent with.
_Prepared = tuple[requests.PreparedRequest, Mapping[str, Any]]


class Transport:
    """A homeserver's address and the way to it; safe to share between threads.

    Args:
        base_url: the homeserver's address, checked by ``check_base_url``.
        timeout: seconds to wait for a connection, and for the answer as a whole.
        session: the caller's session to send by, None for one of the library's own.
    """

    def __init__(self, base_url: str, timeout: float, session: requests.Session | None) -> None:
        self.base_url = base_url
        self.timeout = timeout
        self._origin = _origin(base_url)
        self._prepared: dict[Target, _Prepared] = {}
        # How the session sends to an origin, and what of the session that was found from.
        self._settings: dict[tuple[str, str], tuple[object, Mapping[str, Any]]] = {}
        self._is_own = session is None
        self._session = open_session() if session is None else session
        self._process = os.getpid()

    def close(self) -> None:
        """Close the connections that are the library's own; they are opened again when they are needed."""
        self._prepared.clear()
        self._settings.clear()
        if self._is_own:
            self._session.close()

    def target(self, method: str, url: str, params: Mapping[str, str] | None = None) -> Target:
        """Make a target.

        Args:
            method: the HTTP method.
            url: the path below ``base_url``, percent-encoded, or a whole address elsewhere.
            params: the query's parameters.
        """
        address = self.base_url + url if url.startswith("/") else url
        return Target(method, address, tuple((params or {}).items()))

    def send(self, target: Target, body: str | None = None, token: str | None = None) -> dict[str, Any]:
        """Send one request, and return the JSON body of its success.

        Args:
            target: where it goes.
            body: the JSON to send, None for no body.
            token: the access token, None to send none.

        Raises:
            MatrixError: the answer is an error.
            ServerProtocolError: the answer is a success without a JSON object.
            HomeserverConnectionError: there was no complete answer.
        """
        told = f"{target.method} {shown(target.address)}"
        try:
            with quiet_log():
                answer = self._exchange(target, None if body is None else body.encode("ascii"), token)
        except (requests.RequestException, HTTPError, OSError) as failure:
            text = no_answer(failure, told, self.timeout, _sent(target, body, token))
        else:
            with hiding(token):
                return check_answer(answer, told)
        # Raised out here it has no context: a requests exception holds the request, and with it what was sent.
        raise HomeserverConnectionError(text)

    def _exchange(self, target: Target, body: bytes | None, token: str | None) -> RawResponse:
        # All that the caller may have changed of a session since the last request counts.
        request, settings = (self._copy if self._is_own else self._prepare)(target, body, token)
        try:
            response = self._session.send(request, timeout=self.timeout, allow_redirects=False, **settings)
        except requests.HTTPError as error:
            # A hook of the session's may raise for the very status that asks for authentication.
            if error.response is None:
                raise
            response = error.response
        except (TypeError, ValueError) as error:
            if not _is_of_head(error):  # a hook of the session's may raise what it likes
                raise
            raise OSError("the head of the answer cannot be read") from None
        return read_response(response, self.timeout, bounded=self._is_own)

    def _copy(self, target: Target, body: bytes | None, token: str | None) -> _Prepared:
        """Prepare a request of the library's own session: by requests the first time, then from what came of that."""
        if self._process != os.getpid():
            # A forked process would read the answers to its parent's requests, and the parent those to its own. The
            # cookies are left behind: another thread may have held their lock when the process was forked.
            self._session, self._process = open_session(), os.getpid()
        prepared = self._prepared.get(target)
        if prepared is None:
            prepared = self._prepare(target, None, None)
            for name in _NEEDLESS:
                prepared[0].headers.pop(name, None)
            if len(self._prepared) >= _MOST_PREPARED:
                self._prepared.clear()
            self._prepared[target] = prepared
        model, settings = prepared
        request = requests.PreparedRequest()
        request.method, request.url, request.hooks = model.method, model.url, model.hooks
        request.headers = model.headers.copy()
        if body is not None or target.method not in ("GET", "HEAD"):
            request.headers["Content-Length"] = str(len(body or b""))
        request.body = body
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        cookies = self._session.cookies
        if cookies and self._is_at_home(target) and (cookie := get_cookie_header(cookies, request)):
            request.headers["Cookie"] = cookie
        return request, settings

    def _prepare(self, target: Target, body: bytes | None, token: str | None) -> _Prepared:
        """Prepare a request as the session would."""
        session = self._session
        at_home = self._is_at_home(target)
        hooks = session.hooks.get("response") or []
        theirs = [hooks] if callable(hooks) else hooks
        request = requests.Request(
            target.method,
            target.address,
            headers=_HEADERS,
            data=body,
            params=dict(target.params),
            # A session with an auth of its own keeps it where no access token has to be sent.
            auth=None if at_home and token is None and session.auth else _Token(token),
            hooks=None if self._is_own else {"response": [refuse_interim, *theirs, _hide_redirect]},
        )
        # What a session adds to each request, its cookies for one, is for the homeserver and for nobody that it names.
        prepared = session.prepare_request(request) if at_home else request.prepare()
        return prepared, self._settings_for(target.address, at_home=at_home)

    def _settings_for(self, address: str, *, at_home: bool) -> Mapping[str, Any]:
        """Return proxies and certificates, for which requests would read the whole environment each time."""
        session, origin = self._session, _origin(address)
        basis = (session.trust_env, session.verify, session.cert, dict(session.proxies or {}))
        known = self._settings.get(origin)
        if known is not None and known[0] == basis:
            return known[1]
        found = session.merge_environment_settings(address, {}, True, None, None)
        if not at_home:
            found["cert"] = None
        # A session's own proxies are its owner's word; those of the environment are meant for other machines.
        if not session.proxies and may_be_this_machine(urlsplit(address).hostname or ""):
            # A proxy elsewhere would be told the access token, and would look for the homeserver on its own machine.
            found["proxies"] = {}
        if len(self._settings) >= _MOST_PREPARED:
            self._settings.clear()
        self._settings[origin] = basis, found
        return found

    def _is_at_home(self, target: Target) -> bool:
        return _origin(target.address) == self._origin


def _sent(target: Target, body: str | None, token: str | None) -> str:
    """Return all that was sent, as a person reads it and as it stood on the wire."""
    return f"{target.params} {token} {body} {json.dumps(json.loads(body or '0'), ensure_ascii=False)}"


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()


def _hide_redirect(response: requests.Response, *_: Any, **__: Any) -> None:
    """Hide where a redirect leads: requests would read its body without any limit to prepare following it."""
    location = response.headers.pop("location", None)
    if location is not None:
        response.headers[REDIRECT] = location


def _is_of_head(error: Exception) -> bool:
    """Return whether an error comes from the parser for mail, which ``http.client`` gives an answer's fields to.

    It decodes a ``boundary*`` by whatever codec a server names, and lets what goes wrong there pass.
    """
    return any(frame.f_code is parse_headers.__code__ for frame, _ in walk_tb(error.__traceback__))
