"""HTTP by requests: one JSON request to one homeserver, and what can go wrong with its answer.

What must not be here: endpoints, and anything about authentication stages.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from ._checks import check_required_text, type_error
from ._errors import HomeserverConnectionError, MatrixError, ServerProtocolError, printable

#: The largest body that is read, in bytes; real answers to these endpoints stay far below.
MAX_BODY = 8 * 1024 * 1024
_CHUNK = 64 * 1024
#: Where a response keeps what its Location header said.
_REDIRECT = "X-Interactive-Auth-Redirect"
#: As many connections are kept as threads are expected to share one homeserver.
_POOL = 32


class _Token(AuthBase):
    """Sends the access token, or nothing; being there at all keeps requests from asking netrc for credentials."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """A homeserver's address and the connections to it; safe to share between threads.

    Args:
        base_url: the homeserver's address, checked by ``check_base_url``.
        session: the caller's session, which then stays open; None for one of its own.
        timeout: seconds to wait for a connection, and for each piece of the answer.
    """

    def __init__(self, base_url: str, session: requests.Session | None, timeout: float) -> None:
        self.base_url = base_url
        self.timeout = timeout
        self._owned = session is None
        self._session = requests.Session() if session is None else session
        if self._owned:
            for scheme in ("https://", "http://"):
                self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=_POOL))

    def close(self) -> None:
        """Close the connections, unless the session is the caller's."""
        if self._owned:
            self._session.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        body: str | None = None,
        params: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        """Send one request, and return the JSON body of its success.

        Args:
            method: the HTTP method.
            url: the path below ``base_url``, percent-encoded, or a whole address elsewhere.
            body: the JSON to send, None for no body.
            params: the query's parameters.
            token: the access token, None to send none.

        Raises:
            MatrixError: the answer is an error.
            ServerProtocolError: the answer is a success without a JSON object.
            HomeserverConnectionError: there was no complete answer.
        """
        session = self._session
        address = self.base_url + url if url.startswith("/") else url
        request = requests.Request(
            method,
            address,
            headers={} if body is None else {"Content-Type": "application/json"},
            data=None if body is None else body.encode("ascii"),
            params=params,
            # A session with an auth of its own keeps it where no access token has to be sent.
            auth=None if token is None and session.auth else _Token(token),
            hooks={"response": [*session.hooks.get("response", []), _drop_redirect]},
        )
        try:
            prepared = session.prepare_request(request)
            settings = session.merge_environment_settings(prepared.url or "", {}, True, None, None)
            with session.send(prepared, timeout=self.timeout, allow_redirects=False, **settings) as response:
                content = _read(response)
        except (requests.RequestException, OSError) as failure:
            reason = self._reason(failure)
        else:
            return _check(response, content, method, address)
        # Raised out here it has no context: a requests exception holds the request, and with it what was sent.
        raise HomeserverConnectionError(f"{method} {address} got no answer: {reason}")

    def _reason(self, failure: BaseException) -> str:
        """Say why a request failed, without the URL that requests and urllib3 put into their messages."""
        if isinstance(failure, requests.Timeout):
            return f"nothing was received within {self.timeout:g} seconds"
        cause: BaseException | None = failure
        while cause is not None:
            failure = cause
            inner = (getattr(cause, "reason", None), *cause.args, cause.__cause__)
            cause = next((error for error in inner if isinstance(error, BaseException)), None)
        plain = isinstance(failure, (OSError, http.client.HTTPException))
        if plain and not isinstance(failure, requests.RequestException) and str(failure):
            return printable(str(failure), 200)
        return type(failure).__name__


def check_base_url(value: object, *, allow_insecure_http: bool) -> str:
    """Return a homeserver's address without a trailing slash.

    Raises:
        TypeError: it is no str.
        ValueError: it is no http(s) address, has parts that such an address has not, or is plain http elsewhere than
            on this machine, where passwords and tokens could be read on the way.
    """
    text = check_required_text("base_url", value)
    try:
        parts = urlsplit(text)
        host = parts.hostname
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        host, port_is_valid = None, False
    if host is None or not port_is_valid or parts.scheme not in ("http", "https"):
        raise ValueError("base_url must be an http:// or https:// address with a host, like https://matrix.example.org")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("base_url must have no user name, password, query or fragment")
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ValueError(
            f"base_url is plain http to {host}, where secrets can be read on the way: "
            "use https, or allow_insecure_http=True"
        )
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def raise_for_matrix_error(response: requests.Response) -> dict[str, Any]:
    """Return a homeserver's answer, or raise it: the last line of a ``do_request`` written over requests.

    Args:
        response: the answer; of one that is streamed, the body is read here, up to a limit.

    Returns:
        The JSON object of a success (2xx).

    Raises:
        MatrixError: the answer is no success; with its status, body and the seconds of its ``Retry-After``.
        ServerProtocolError: a success whose body is no JSON object, or is too large.
        TypeError: ``response`` is no ``requests.Response``.
    """
    if not isinstance(response, requests.Response):
        raise type_error("response", "a requests.Response", response)
    request: requests.PreparedRequest | None = response.request
    url = urlsplit(response.url or "")
    # Neither the query nor a user name of the URL is fit for a message.
    address = f"{url.scheme}://{url.hostname}{'' if url.port is None else f':{url.port}'}{url.path}"
    return _check(response, _read(response), (request and request.method) or "the request to", address)


def _read(response: requests.Response) -> bytes | None:
    """Read a body, None if it is larger than any answer of a homeserver's."""
    chunks, size = [], 0
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _check(response: requests.Response, content: bytes | None, method: str, address: str) -> dict[str, Any]:
    """Return the JSON object of a success, raise everything else."""
    status = response.status_code
    body, flaw = _parse(content)
    kind = printable(response.headers.get("Content-Type", "no content type"), 100)
    told = f"{method} {address} was answered {status} with {flaw}, {kind}" if flaw else ""
    if 200 <= status < 300:
        if flaw:
            raise ServerProtocolError(f"{told}: is this the address of a homeserver?")
        return body
    error = MatrixError(status, body, _retry_after(response.headers.get("Retry-After")))
    if 300 <= status < 400:
        told = f"{method} {address} was answered with a redirect, which is never followed"
        error._redirect = response.headers.get(_REDIRECT)
    error._context = told
    raise error


def _parse(content: bytes | None) -> tuple[dict[str, Any], str]:
    """Return the JSON object of a body, and what is wrong with it; an empty string if nothing is."""
    if content is None:
        return {}, f"a body of more than {MAX_BODY} bytes"
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # no JSON, not in Unicode, a number of 5,000 digits, or nested too deeply
        return {}, f"a body that is not JSON ({len(content)} bytes)"
    if not isinstance(value, dict):
        return {}, f"JSON that is not an object ({len(content)} bytes)"
    return value, ""


def _retry_after(header: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header (RFC 9110, section 10.2.3), None if it has no sense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _drop_redirect(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Hide where a redirect leads: requests would read its body without any limit to prepare following it."""
    location = response.headers.pop("location", None)
    if location is not None:
        response.headers[_REDIRECT] = location
    return response
