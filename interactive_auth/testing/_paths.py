"""The endpoints of the scripted homeserver (``testing``), by what their paths end with.

What must not be here: what they answer.
"""

from __future__ import annotations

import re

#: Client-server API: what wants authentication, by what the paths end with.
UIA = (
    "/register",
    "/account/password",
    "/account/deactivate",
    "/account/3pid/add",
    "/devices/{device_id}",
    "/delete_devices",
    "/keys/device_signing/upload",
    "/login/get_token",
)
TOKEN_REQUESTS = tuple(
    f"{purpose}/{medium}/requestToken"
    for purpose in ("/register", "/account/password", "/account/3pid")
    for medium in ("email", "msisdn")
)
FALLBACK, APPROVAL = "/auth/{stage}/fallback/web", "/approve/{stage}"
SUBMIT = "/add_threepid/msisdn/submit_token"
VERSIONS, METADATA = "/versions", "/auth_metadata"
VALIDITY = "/register/m.login.registration_token/validity"
_PART = re.compile(r"\{\w+\}")


def matches(path: str, endpoint: str) -> re.Match[str] | None:
    """Match a path with an endpoint's, whatever its version; the groups are its variable parts."""
    versions = "" if endpoint == VERSIONS else r"/\w+(?:/org\.[\w.]+)?"
    prefix = "" if endpoint == APPROVAL else f"/_matrix/client{versions}"
    return re.fullmatch(prefix + _PART.sub("([^/]+)", endpoint), path)


def ends_with(endpoint: str, path: str) -> bool:
    """Return whether paths of an endpoint end with ``path``, in which more than a variable part must stand."""
    given = path.removeprefix("/").split("/")
    parts = list(zip(given, f"/_matrix/client/{{version}}{endpoint}".split("/")[-len(given) :], strict=False))
    return (
        len(parts) == len(given)
        and all(part and (part == known or _PART.fullmatch(known)) for part, known in parts)
        and any(not _PART.fullmatch(known) for _, known in parts)
    )
