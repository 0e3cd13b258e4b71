"""HTTP by requests: one JSON request to one homeserver.

What must not be here: endpoints, anything about authentication stages, and the judging of answers (``_answers``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from .._errors import HomeserverConnectionError, MatrixError
from .._text import shown
from .answers import REDIRECT, Answer, check_answer, check_whole, read_raw, read_response, reason_of
from .deadline import answers_within, bound_answers
from .quiet_log import secretive_log

#: As many connections are kept as threads are expected to share one homeserver.
_POOL = 32
#: As many targets are kept prepared; a program that talks to more at a time prepares some of them again.
_MOST_PREPARED = 64
#: What requests adds and HTTP/1.1 says anyway, and the length, which differs from request to request.
_NEEDLESS = frozenset({"Accept", "Connection", "Content-Length"})
#: No encoding is asked for but the one that ``_answers`` can bound.
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


class Transport(ABC):
    """A homeserver's address and the way to it; safe to share between threads.

    Args:
        base_url: the homeserver's address, checked by ``check_base_url``.
        timeout: seconds to wait for a connection, and for the answer as a whole.
    """

    def __init__(self, base_url: str, timeout: float) -> None:
        self.base_url = base_url
        self.timeout = timeout

    @abstractmethod
    def close(self) -> None:
        """Close the connections that are the transport's own."""

    @abstractmethod
    def _exchange(self, target: Target, body: bytes | None, token: str | None) -> Answer:
        """Send a request, and read the answer."""

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
        try:
            with secretive_log():
                answer = self._exchange(target, None if body is None else body.encode("ascii"), token)
        except (requests.RequestException, HTTPError, OSError) as failure:
            reason = reason_of(failure, self.timeout)
        else:
            try:
                return check_answer(answer, target.method, target.address)
            except MatrixError as error:
                error._conceal(token)
                raise
        # Raised out here it has no context: a requests exception holds the request, and with it what was sent.
        raise HomeserverConnectionError(f"{target.method} {shown(target.address)} got no answer: {reason}")


class SessionTransport(Transport):
    """Sends by the caller's session, to the homeserver in every way as that session would."""

    def __init__(self, base_url: str, timeout: float, session: requests.Session) -> None:
        super().__init__(base_url, timeout)
        self._session = session

    def close(self) -> None:
        """Leave the caller's session open."""

    def _exchange(self, target: Target, body: bytes | None, token: str | None) -> Answer:
        session = self._session
        hooks = session.hooks.get("response") or []
        at_home = _origin(target.address) == _origin(self.base_url)
        request = requests.Request(
            target.method,
            target.address,
            headers=_HEADERS,
            data=body,
            params=dict(target.params),
            # A session with an auth of its own keeps it where no access token has to be sent.
            auth=None if at_home and token is None and session.auth else _Token(token),
            hooks={"response": [*([hooks] if callable(hooks) else hooks), _drop_redirect]},
        )
        # What a session adds to each request, its cookies for one, is for the homeserver and for nobody that it names.
        prepared = session.prepare_request(request) if at_home else request.prepare()
        settings = session.merge_environment_settings(prepared.url or "", {}, True, None, None)
        self._bound(prepared, settings)
        try:
            with answers_within(self.timeout):
                response = session.send(prepared, timeout=self.timeout, allow_redirects=False, **settings)
        except requests.HTTPError as error:
            # A hook of the session's may raise for the very status that asks for authentication.
            if error.response is None:
                raise
            response = error.response
        return read_response(response, self.timeout)

    def _bound(self, request: requests.PreparedRequest, settings: Mapping[str, Any]) -> None:
        adapter = self._session.get_adapter(request.url or "")
        if not isinstance(adapter, HTTPAdapter):
            return  # it has another way to send, or none to a network at all
        pool = adapter.get_connection_with_tls_context(
            request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
        )
        bound_answers(pool)


class _Prepared(NamedTuple):
    request: requests.PreparedRequest
    pool: HTTPConnectionPool
    path: str
    headers: dict[str, str]


class OwnTransport(Transport):
    """Sends by connections of its own, to the effect that a session of requests would, at half the cost.

    The other half is preparing the same request, and reading the same environment, again for each repetition. So
    requests prepares each target and finds its connection pool once, with the proxies and certificates of that time.
    """

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__(base_url, timeout)
        self._timeout = Timeout(connect=timeout, read=timeout)
        self._prepared: dict[Target, _Prepared] = {}
        self._session = requests.Session()
        self._adapter = HTTPAdapter(pool_connections=_MOST_PREPARED, pool_maxsize=_POOL)

    def close(self) -> None:
        """Close the connections."""
        self._prepared.clear()
        for manager in (self._adapter.poolmanager, *self._adapter.proxy_manager.values()):
            # urllib3 only forgets its pools, and the traceback of an error may keep one, and its socket, alive.
            for key in manager.pools.keys():  # noqa: SIM118 (it is no dict)
                manager.pools[key].close()
        self._adapter.close()
        self._session.close()

    def _exchange(self, target: Target, body: bytes | None, token: str | None) -> Answer:
        prepared = self._prepared.get(target) or self._prepare(target)
        cookies = self._session.cookies
        headers = dict(prepared.headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if cookies and (cookie := get_cookie_header(cookies, prepared.request)):
            headers["Cookie"] = cookie
        with answers_within(self.timeout):
            response = prepared.pool.urlopen(
                target.method,
                prepared.path,
                body=body,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        content = None
        try:
            if "Set-Cookie" in response.headers:
                extract_cookies_to_jar(cookies, prepared.request, response)
            content = read_raw(response, response.headers.get("Content-Encoding"), self.timeout)
        finally:
            if content is None:
                response.close()  # what is left of the answer must not be taken for the next one
        answer = Answer(response.status, response.headers, content)
        check_whole(answer)
        return answer

    def _prepare(self, target: Target) -> _Prepared:
        session, adapter = self._session, self._adapter
        plain = requests.Request(
            target.method, target.address, headers=_HEADERS, params=list(target.params), auth=_Token(None)
        )
        request = session.prepare_request(plain)
        url = request.url or ""
        settings = session.merge_environment_settings(url, {}, True, None, None)
        verify, proxies, cert = settings["verify"], settings["proxies"], settings["cert"]
        pool = adapter.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        adapter.cert_verify(pool, url, verify, cert)
        bound_answers(pool)
        headers = {name: str(value) for name, value in request.headers.items() if name not in _NEEDLESS}
        prepared = _Prepared(request, pool, adapter.request_url(request, proxies), headers)
        if len(self._prepared) >= _MOST_PREPARED:
            self._prepared.clear()
        self._prepared[target] = prepared
        return prepared


def open_transport(base_url: str, timeout: float, session: requests.Session | None) -> Transport:
    """Return a transport that sends by ``session``, or by connections of its own if it is None."""
    return OwnTransport(base_url, timeout) if session is None else SessionTransport(base_url, timeout, session)


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()


def _drop_redirect(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Hide where a redirect leads: requests would read its body without any limit to prepare following it."""
    location = response.headers.pop("location", None)
    if location is not None:
        response.headers[REDIRECT] = location
    return response
