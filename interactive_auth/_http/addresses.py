"""Addresses of homeservers: what one may look like, and whether it is this machine.

What must not be here: sending.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import requests

from .._checks import check_required_text


def check_base_url(value: object, *, allow_insecure_http: bool) -> str:
    """Return a homeserver's address without a trailing slash; an international name in its ASCII form.

    Raises:
        TypeError: it is no str.
        ValueError: it is no http(s) address, has parts that such an address has not, or is plain http elsewhere than
            on this machine, where passwords and tokens could be read on the way.
    """
    address = check_address(value, allow_insecure_http=allow_insecure_http)
    if "_matrix" in address.lower().split("/")[3:]:
        raise ValueError(
            "base_url must be the homeserver's address alone, without /_matrix, like https://matrix.example.org"
        )
    return address.rstrip("/")


def check_address(value: object, *, allow_insecure_http: bool) -> str:
    """Return an address that something may be sent to; an international name in its ASCII form.

    Raises:
        TypeError: it is no str.
        ValueError: see ``check_base_url``.
    """
    text = check_required_text("base_url", value)
    if any(c.isspace() for c in text):
        raise ValueError("base_url must have no white space")
    unfit = (
        "base_url must be an http:// or https:// address with a host, like https://matrix.example.org; "
        "Homeserver.discover takes a server name or a user id"
    )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None  # the error's text may quote a password
    strange = "\\" in text or not text.isprintable()
    twice = host in ("http", "https") and parts.netloc.endswith(":")
    if host is None or port == 0 or parts.scheme not in ("http", "https") or strange or twice:
        raise ValueError(unfit)
    if parts.username is not None or "?" in text or "#" in text:
        raise ValueError("base_url must have no user name, password, query or fragment")
    ascii_host = _ascii_host(host, parts.netloc)
    if ascii_host is None:
        raise ValueError("base_url has a host that cannot be looked up, by its form alone")
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ValueError(
            f"base_url is plain http to {host}, where secrets can be read on the way: "
            "use https, or allow_insecure_http=True"
        )
    if ascii_host == host:
        return text
    return text.replace(parts.netloc, ascii_host if port is None else f"{ascii_host}:{port}", 1)


def _ascii_host(name: str, netloc: str) -> str | None:
    """Return a name as it is looked up, None if it cannot be; requests would say so in the middle of a request."""
    if name.startswith("*"):
        return None
    try:
        if "[" in netloc:
            ipaddress.ip_address(name.partition("%")[0])  # Python 3.10 takes anything in brackets
            return name
        found = name.encode("idna").decode("ascii")  # labels neither empty nor too long
    except ValueError:
        return None
    if name.isascii():
        return name
    # requests takes names by the newer rules (IDNA 2008), which have some letters differ that the older ones have not,
    # and know no emojis, under which homeservers live all the same.
    with suppress(requests.exceptions.InvalidURL):
        prepared = requests.Request("GET", f"https://{name}").prepare()
        found = urlsplit(prepared.url or "").hostname or found
    return found


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine for certain, so that plain http to it is read by nobody on the way."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_be_this_machine(host: str) -> bool:
    """Return whether a host may be this machine in any form that a system's resolver takes, like ``127.1`` or ``0``."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(name))
        except (OSError, ValueError):
            return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    # What is sent to the unspecified address arrives here as well.
    return mapped.is_loopback or mapped.is_unspecified
