"""Accounts that a homeserver leaves to an OAuth service: what it says of that, and how it refuses what it left.

What must not be here: sending, and everything else of OAuth. It is imported when it is first asked for, since most
programs talk to homeservers that keep their accounts. The metadata are a stranger's word: of each field only what has
its type is kept, and of addresses what a client may open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from .._errors import DelegatedAuthError, HomeserverConnectionError, MatrixError, ServerProtocolError
from .._text import is_text, printable, web_url
from .addresses import may_be_this_machine
from .calls import AuthMetadata
from .endpoints import CLIENT

#: Sends a GET request to a path of the homeserver's, without an access token, and returns the JSON object.
Get = Callable[[str], dict[str, Any]]

#: Where the metadata are: since v1.15, and before that under the draft's name (MSC2965).
_PATHS = ("/_matrix/client/v1/auth_metadata", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata")
#: Longer addresses are for no person, and of longer lists nobody needs the end.
_LONGEST, _MOST = 1000, 100
#: What an action was called in the drafts of MSC4191, in which services may still list it.
_DRAFTS = {
    "org.matrix.devices_list": "org.matrix.sessions_list",
    "org.matrix.device_view": "org.matrix.session_view",
    "org.matrix.device_delete": "org.matrix.session_end",
}
#: The action that does what an endpoint would have done (v1.18, "Account management URL actions"); a person has their
#: addresses and password in the profile. There is none for a registration, nor for a login.
_ACTION_OF_PATH: Mapping[str, str] = {
    f"{CLIENT}/account/password": "org.matrix.profile",
    f"{CLIENT}/account/password/email/requestToken": "org.matrix.profile",
    f"{CLIENT}/account/password/msisdn/requestToken": "org.matrix.profile",
    f"{CLIENT}/account/3pid/add": "org.matrix.profile",
    f"{CLIENT}/account/3pid/email/requestToken": "org.matrix.profile",
    f"{CLIENT}/account/3pid/msisdn/requestToken": "org.matrix.profile",
    f"{CLIENT}/account/deactivate": "org.matrix.account_deactivate",
    f"{CLIENT}/delete_devices": "org.matrix.devices_list",
    f"{CLIENT}/logout": "org.matrix.devices_list",
    "/_matrix/client/v1/login/get_token": "org.matrix.devices_list",
    f"{CLIENT}/keys/device_signing/upload": "org.matrix.cross_signing_reset",
}
_DEVICE = re.compile(re.escape(f"{CLIENT}/devices/") + "([^/]+)")


class _Refusal(NamedTuple):
    """A way to refuse what was left to an OAuth service.

    Attributes:
        status: the HTTP status code.
        errcode: the error code.
        words: what the server's words contain, in lower case; empty if the code says it all.
    """

    status: int
    errcode: str
    words: str = ""


_ROWS = (
    _Refusal(404, "M_UNRECOGNIZED"),  # Synapse, whose endpoints are not there then
    _Refusal(403, "M_FORBIDDEN", "only m.login.application_service registrations are allowed"),  # Synapse
    _Refusal(403, "M_FORBIDDEN", "clients authorized with oauth cannot use this route"),  # Continuwuity
    _Refusal(403, "M_FORBIDDEN", "handled by the delegated authentication service"),  # Palpo
    _Refusal(403, "M_FORBIDDEN", "registration has been disabled"),  # Synapse and all of the Conduit family
    _Refusal(403, "M_FORBIDDEN", "registration is disabled"),  # Dendrite, and the specification's example
)
#: What means something else: Tuwunel says it of an identifier in the middle of an authentication.
_OTHERWISE = "identifier type not recognized"
#: The flow of a login by single sign-on that stands before an OAuth service (v1.18, MSC3824), and its name as a draft.
_PREFERS_OAUTH = ("oauth_aware_preferred", "org.matrix.msc3824.delegated_oidc_compatibility")


def read_metadata(get: Get, homeserver: str) -> AuthMetadata | None:
    """Ask for the metadata, and read them.

    Args:
        get: sends a request.
        homeserver: the homeserver's host name.

    Returns:
        What is usable of them; None if the homeserver keeps its accounts itself.

    Raises:
        MatrixError: the homeserver refused to say.
        ServerProtocolError: what it says are no metadata.
        HomeserverConnectionError: there was no complete answer.
    """
    for path in _PATHS:
        try:
            found = get(path)
        except MatrixError as error:
            if error.http_status != 404:
                raise
            continue
        metadata = _read(found, homeserver)
        if not ("issuer" in metadata or "account_management_uri" in metadata):
            raise ServerProtocolError(
                f"the answer to GET {path} has no usable issuer, so it describes no OAuth service"
            )
        return metadata
    return None


def _read(found: Mapping[str, Any], homeserver: str) -> AuthMetadata:
    metadata: dict[str, Any] = {}
    for name in AuthMetadata.__annotations__:
        value = found.get(name)
        if name.endswith("_supported"):
            if isinstance(value, list):
                metadata[name] = [item for item in value[:_MOST] if is_text(item) and len(item) <= _LONGEST]
        elif (url := _page(value, homeserver)) is not None:
            metadata[name] = url
    return cast("AuthMetadata", metadata)


def _page(value: object, homeserver: str) -> str | None:
    """Return an address that a person may open, and read as it is."""
    url = web_url(value)
    if url is None or len(url) > _LONGEST or printable(url, _LONGEST) != url or " " in url:
        return None
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # half of an IPv6 address
        return None
    return url if host and (may_be_this_machine(homeserver) or not may_be_this_machine(host)) else None


def make_url(metadata: AuthMetadata, action: str | None, device_id: str | None) -> str | None:
    """Return the address of the page for an action, None if the service names none.

    An action that the service does not list is left out, so that the page is the account's first one. Where it lists
    none at all, it was made before there were lists.
    """
    page = metadata.get("account_management_uri")
    listed = metadata.get("account_management_actions_supported")
    if page is None or action is None:
        return page
    given = action
    if listed is not None and action not in listed:
        given = _DRAFTS.get(action, "")
        if given not in listed:
            return page
    parts = urlsplit(page)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("action", given)]
    if device_id is not None:
        query.append(("device_id", device_id))
    return urlunsplit(parts._replace(query=urlencode(query)))


def _action_of(path: str, devices: object) -> tuple[str | None, str | None]:
    """Return the action that does what a request would have done, and the id of the device that it is about."""
    if device := _DEVICE.fullmatch(path):
        return "org.matrix.device_delete", unquote(device[1])
    if path == f"{CLIENT}/delete_devices" and isinstance(devices, list) and len(devices) == 1 and is_text(devices[0]):
        return "org.matrix.device_delete", devices[0]
    return _ACTION_OF_PATH.get(path), None


def explained(error: MatrixError, get: Get, homeserver: str, path: str, devices: object = None) -> MatrixError:
    """Return the error that says that a homeserver leaves its accounts to an OAuth service, or the one that was given.

    Args:
        error: what a request was refused with; nothing is asked unless it is such a refusal.
        get: sends a request.
        homeserver: the homeserver's host name.
        path: the path of the request.
        devices: the ids of the devices that it was about.
    """
    said = (error.error or "").lower()
    rows = (row for row in _ROWS if error.http_status == row.status and error.errcode == row.errcode)
    if _OTHERWISE in said or not any(row.words in said for row in rows):
        return error
    try:
        metadata = read_metadata(get, homeserver)
        if metadata is None:
            if path == f"{CLIENT}/register" and _prefers_oauth(get):
                error._explain("accounts are made by single sign-on here: log in by m.login.sso, in a browser")
            return error
    except (MatrixError, ServerProtocolError, HomeserverConnectionError):
        return error  # the refusal is the news; that the homeserver says no more is not
    delegated = DelegatedAuthError(error.http_status, error.data, error.retry_after)
    delegated.account_management_url = make_url(metadata, *_action_of(path, devices))
    delegated._context = error._context
    delegated._conceal(*error._sent)
    return delegated


def _prefers_oauth(get: Get) -> bool:
    flows = get(f"{CLIENT}/login").get("flows")
    return any(
        isinstance(flow, dict) and any(flow.get(name) is True for name in _PREFERS_OAUTH)
        for flow in (flows if isinstance(flows, list) else ())
    )
