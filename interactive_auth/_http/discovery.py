"""From a server name to a homeserver's address (client-server API, "Server discovery", "Well-known URIs").

What must not be here: anything that sends credentials or a body.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from urllib.parse import urljoin, urlsplit

import requests

from .._errors import MatrixError, ServerProtocolError
from .._text import printable, shown
from .._types import RetryPolicy
from .addresses import check_base_url, may_be_this_machine
from .repeating import repeat
from .transport import Transport

#: As many redirects of the well-known document are followed; it is public, and asked for without credentials.
_REDIRECTS = 30
#: The redirects that there are (MSC4402, as for the document of servers); 300 and 304 lead nowhere.
_MOVED = frozenset({301, 302, 303, 307, 308})


def discover_base_url(
    server_name: str, session: requests.Session | None, timeout: float, retry: RetryPolicy | None
) -> str:
    """Return the address of the homeserver of ``server_name``.

    A server name without the document is taken for the homeserver's own address, as clients commonly do.

    Raises:
        ServerProtocolError: what was found there is no homeserver.
        HomeserverConnectionError: there was no complete answer.
        ValueError: ``server_name`` is none.
    """
    if not server_name or any(c in server_name for c in "/?#@\\ "):
        raise ValueError(
            "server_name_or_user_id must be a server name like example.org or a user id like @alice:example.org, "
            "without https:// and a path"
        )
    own = check_base_url(f"https://{server_name}", allow_insecure_http=False)
    # The port of a server name is where other homeservers connect to; the document is the website's.
    asked = own[: own.rindex(":")] if urlsplit(own).port is not None else own
    try:
        with closing(Transport(asked, timeout, session)) as transport:
            base_url = _well_known(transport, retry) or own
        # The specification wants the address tried before it is trusted.
        with closing(Transport(base_url, timeout, session)) as transport:
            target = transport.target("GET", "/_matrix/client/versions")
            versions = repeat(retry, lambda: transport.send(target)).get("versions")
    except MatrixError as error:
        raise ServerProtocolError(f"there is no homeserver for {server_name}: {error}") from None
    if not isinstance(versions, list):
        named = shown(base_url)
        raise ServerProtocolError(f"{named}, named by {server_name}, is no homeserver: it states no versions")
    return base_url


def _well_known(transport: Transport, retry: RetryPolicy | None) -> str | None:
    """Return the address that the document names, None if there is no document."""
    address = f"{transport.base_url}/.well-known/matrix/client"
    for _ in range(_REDIRECTS):
        target = transport.target("GET", address)
        try:
            document = repeat(retry, partial(transport.send, target))
        except MatrixError as error:
            if error.http_status == 404:
                return None
            moved = _https_target(address, error)
            if moved is None:
                raise
            _refuse_this_machine(moved, transport.base_url)
            address = moved
        else:
            break
    else:
        raise ServerProtocolError(f"{transport.base_url} redirects its well-known document in circles")
    homeserver = document.get("m.homeserver")
    try:
        named = homeserver.get("base_url") if isinstance(homeserver, dict) else None
        base_url = check_base_url(named, allow_insecure_http=False)
    except (TypeError, ValueError) as error:
        raise ServerProtocolError(f"{shown(address)} names no homeserver: {printable(str(error))}") from None
    _refuse_this_machine(base_url, transport.base_url)
    return base_url


def _refuse_this_machine(named: str, asked: str) -> None:
    """Refuse to be led to what listens on this machine by a website that is not on it."""
    if _is_here(named) and not _is_here(asked):
        raise ServerProtocolError(f"{asked} names an address of this machine, where it is not itself: {shown(named)}")


def _is_here(address: str) -> bool:
    return may_be_this_machine(urlsplit(address).hostname or "")


def _https_target(address: str, error: MatrixError) -> str | None:
    """Return where a redirect leads (MSC4402), None if it is none, or not to be followed."""
    location = error._redirect
    if error.http_status not in _MOVED or not location:
        return None
    try:
        target = urljoin(address, location)
        return target if urlsplit(target).scheme == "https" else None
    except ValueError:  # half of an IPv6 address
        return None
