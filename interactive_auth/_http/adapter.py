"""The way of the library's own session to the network: what makes it cheap, and bounded in time.

It has no ``send`` of its own: whoever replaces that of requests' adapters, to mock it or to trace it, is asked here as
well. What must not be here: anything that a session of the caller's sends by.
"""

from __future__ import annotations

from collections.abc import Generator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPResponse

from .pools import bounded_pools

#: As many connections are kept as threads are expected to share one homeserver.
_CONNECTIONS = 32
#: Characters of cookies, far more than a homeserver or a proxy in front of it sets; all of them are sent each time.
_MOST_COOKIES = 16 * 1024
#: As many ways to other machines are remembered; there are hardly ever more than one or two.
_MOST_POOLS = 16


class BoundedAdapter(HTTPAdapter):
    """Sends by pools that are found once, and whose answers have to be complete within the request's timeout."""

    def __init__(self) -> None:
        self._pools: dict[Any, HTTPConnectionPool] = {}
        super().__init__(pool_connections=_MOST_POOLS, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = bounded_pools(self.poolmanager.pool_classes_by_scheme)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            manager.pool_classes_by_scheme = bounded_pools(manager.pool_classes_by_scheme)
        return manager

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,
        proxies: dict[str, str] | None = None,
        cert: Any = None,
    ) -> HTTPConnectionPool:
        url = urlsplit(request.url or "")
        key = (url.scheme, url.netloc, verify, cert, *(proxies or {}).items())
        pool = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
            super().cert_verify(pool, request.url or "", verify, cert)
            if len(self._pools) >= _MOST_POOLS:
                self._close_pools()
            self._pools[key] = pool
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing, since it was done when the pool was found; it looks for files each time."""

    def request_url(self, request: requests.PreparedRequest, proxies: dict[str, str] | None) -> str:
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        # As requests does it, but without looking for cookies where there are none, nor for the encoding of a text;
        # urllib3's headers do not mind the case either.
        headers = resp.headers
        response = _Response()
        response.status_code = resp.status
        response.headers = headers if isinstance(resp, HTTPResponse) else CaseInsensitiveDict(headers)
        response.raw, response.reason = resp, resp.reason or ""
        response.url, response.request = req.url or "", req
        response.connection = self
        if "Set-Cookie" in headers:
            extract_cookies_to_jar(response.cookies, req, resp)
        return response

    def close(self) -> None:
        self._close_pools()
        super().close()

    def _close_pools(self) -> None:
        # urllib3 only forgets its pools, and the traceback of an error may keep one, and its socket, alive.
        while self._pools:
            self._pools.popitem()[1].close()


class _Jar(RequestsCookieJar):
    """Cookies that are not looked for where there are none, and forgotten where they are too many."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        if "Set-Cookie" in response.info():
            super().extract_cookies(response, request)
            if sum(len(cookie.name) + len(cookie.value or "") for cookie in self) > _MOST_COOKIES:
                self.clear()


class _Response(requests.Response):
    """A response as requests makes it, from the fields of another one: they are many, and a jar takes its time."""

    _FIELDS = vars(requests.Response())
    _POLICY = DefaultCookiePolicy()

    def __init__(self) -> None:
        vars(self).update(self._FIELDS)
        self.history = []
        self.cookies = RequestsCookieJar(self._POLICY)


class _Session(requests.Session):
    """A session that follows no redirect, and does not read the body of one to prepare it."""

    def resolve_redirects(self, *_: Any, **__: Any) -> Generator[requests.Response, None, None]:
        yield from ()


def open_session() -> requests.Session:
    """Return a session of the library's own."""
    session = _Session()
    adapter = BoundedAdapter()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    jar: CookieJar = _Jar()
    session.cookies = jar  # type: ignore[assignment]  # a jar of its own: requests names one class
    return session
