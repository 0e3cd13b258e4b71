"""From a server name to a homeserver's address (client-server API, "Server discovery", "Well-known URIs").

What must not be here: anything that sends credentials or a body.
"""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urljoin, urlsplit

import requests

from .._errors import MatrixError, ServerProtocolError
from .._text import printable, shown
from .addresses import check_base_url
from .transport import Transport

#: As many redirects of the well-known document are followed; it is public, and asked for without credentials.
_REDIRECTS = 5


def discover_base_url(server_name: str, session: requests.Session | None, timeout: float) -> str:
    """Return the address of the homeserver of ``server_name``.

    A server name without the document is taken for the homeserver's own address, as clients commonly do.

    Raises:
        ServerProtocolError: what was found there is no homeserver.
        HomeserverConnectionError: there was no complete answer.
        ValueError: ``server_name`` is none.
    """
    if not server_name or any(c in server_name for c in "/?#@\\ "):
        raise ValueError("server_name_or_user_id must be a server name like example.org or a user id")
    asked = check_base_url(f"https://{server_name}", allow_insecure_http=False)
    try:
        with closing(Transport(asked, timeout, session)) as transport:
            base_url = _well_known(transport)
        # The specification wants the address tried before it is trusted.
        with closing(Transport(base_url, timeout, session)) as transport:
            versions = transport.send(transport.target("GET", "/_matrix/client/versions")).get("versions")
    except MatrixError as error:
        raise ServerProtocolError(f"there is no homeserver for {server_name}: {error}") from None
    if not isinstance(versions, list):
        named = shown(base_url)
        raise ServerProtocolError(f"{named}, named by {server_name}, is no homeserver: it states no versions")
    return base_url


def _well_known(transport: Transport) -> str:
    address = f"{transport.base_url}/.well-known/matrix/client"
    for _ in range(_REDIRECTS):
        try:
            document = transport.send(transport.target("GET", address))
        except MatrixError as error:
            if error.http_status == 404:
                return transport.base_url
            target = _https_target(address, error._redirect)
            if target is None:
                raise
            address = target
        else:
            break
    else:
        raise ServerProtocolError(f"{transport.base_url} redirects its well-known document in circles")
    homeserver = document.get("m.homeserver")
    try:
        base_url = homeserver.get("base_url") if isinstance(homeserver, dict) else None
        return check_base_url(base_url, allow_insecure_http=False)
    except (TypeError, ValueError) as error:
        raise ServerProtocolError(f"{shown(address)} names no homeserver: {printable(str(error))}") from None


def _https_target(address: str, location: str | None) -> str | None:
    """Return where a redirect leads, None if it is not to be followed."""
    try:
        target = urljoin(address, location or "")
        return target if location and urlsplit(target).scheme == "https" else None
    except ValueError:  # half of an IPv6 address
        return None
