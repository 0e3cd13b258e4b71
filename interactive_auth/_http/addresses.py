"""Addresses of homeservers: what one may look like, and whether it is this machine.

What must not be here: sending.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from .._checks import check_required_text


def check_base_url(value: object, *, allow_insecure_http: bool) -> str:
    """Return a homeserver's address without a trailing slash.

    Raises:
        TypeError: it is no str.
        ValueError: it is no http(s) address, has parts that such an address has not, or is plain http elsewhere than
            on this machine, where passwords and tokens could be read on the way.
    """
    text = check_required_text("base_url", value)
    unfit = "base_url must be an http:// or https:// address with a host, like https://matrix.example.org"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None  # the error's text may quote a password
    strange = any(c in " \\" or not c.isprintable() for c in text)
    if (
        host is None
        or port == 0
        or parts.scheme not in ("http", "https")
        or strange
        or not _is_host(host, parts.netloc)
    ):
        raise ValueError(unfit)
    if parts.username is not None or "?" in text or "#" in text:
        raise ValueError("base_url must have no user name, password, query or fragment")
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ValueError(
            f"base_url is plain http to {host}, where secrets can be read on the way: "
            "use https, or allow_insecure_http=True"
        )
    return text.rstrip("/")


def _is_host(name: str, netloc: str) -> bool:
    """Return whether a name can be looked up, as far as its form goes; requests would say so in the middle of it."""
    try:
        if "[" in netloc:
            ipaddress.ip_address(name.partition("%")[0])  # Python 3.10 takes anything in brackets
        else:
            name.encode("idna")  # labels neither empty nor too long
    except ValueError:
        return False
    return not name.startswith("*")


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
