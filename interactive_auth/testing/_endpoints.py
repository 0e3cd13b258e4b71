"""What the scripted homeserver answers beside User-Interactive Authentication (``testing``), as when a client starts.

What must not be here: what wants authentication, and the state of accounts, which is in ``_accounts``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from ._accounts import Account, Accounts, Caller, Device, error, named, unknown_token
from ._http import ReceivedRequest, Response
from ._paths import APPROVAL, FALLBACK, METADATA, SUBMIT, TOKEN_REQUESTS, UIA, VALIDITY, VERSIONS, matches

APPLICATION_SERVICE = "m.login.application_service"
_PASSWORD, _TOKEN = "m.login.password", "m.login.token"
#: Behind what all are given are the variable parts of the path.
_Answer = Callable[..., Response]


def answer(accounts: Accounts, request: ReceivedRequest, caller: Caller, as_token: str | None) -> Response | None:
    """Answer a request that wants no authentication; None if it is none of these."""
    for (method, endpoint), tell in _FOR_ALL.items():
        if method == request.method and matches(request.path, endpoint):
            return tell(accounts, request, caller, as_token)
    for (method, endpoint), tell in _FOR_ACCOUNTS.items():
        found = matches(request.path, endpoint)
        if found and method == request.method:
            if caller.account is None:
                return missing_token() if request.access_token is None else unknown_token()
            return tell(accounts, request, caller, caller.account, *found.groups())
    return None


def wants_authentication(request: ReceivedRequest) -> bool:
    """Return whether a request is one that wants authentication: all that act, save for those around one."""
    plain = [endpoint for method, endpoint in (*_FOR_ALL, *_FOR_ACCOUNTS) if method == request.method]
    return request.method != "GET" and not any(matches(request.path, each) for each in (*plain, *_AROUND))


def missing_token() -> Response:
    """Make the answer to a request without an access token."""
    return error(401, "M_MISSING_TOKEN", "Missing access token")


def _look_up_name(accounts: Accounts, request: ReceivedRequest, caller: Caller, as_token: str | None) -> Response:
    taken = accounts.is_taken(request.params.get("username", ""))
    return error(400, "M_USER_IN_USE", "User ID already taken.") if taken else Response(200, {"available": True})


def _show_flows(accounts: Accounts, request: ReceivedRequest, caller: Caller, as_token: str | None) -> Response:
    flows: list[dict[str, Any]] = [{"type": _PASSWORD}, {"type": _TOKEN, "get_login_token": True}]
    return Response(200, {"flows": flows + ([] if as_token is None else [{"type": APPLICATION_SERVICE}])})


def _refresh(accounts: Accounts, request: ReceivedRequest, caller: Caller, as_token: str | None) -> Response:
    renewed = accounts.refresh(str(request.body.get("refresh_token")))
    return Response(200, renewed) if renewed else error(401, "M_UNKNOWN_TOKEN", "refresh token does not exist")


def _log_in(accounts: Accounts, request: ReceivedRequest, caller: Caller, as_token: str | None) -> Response:
    body, words = request.body, "Invalid username or password"
    kind = body.get("type")
    if kind == _TOKEN:
        account, words = accounts.take_login_token(str(body.get("token"))), "Invalid login token"
    elif kind == APPLICATION_SERVICE:
        account = accounts.of(named(body)) if caller.is_service else None
    elif kind == _PASSWORD:
        account = accounts.of(named(body))
        if account is not None and not account.deactivated:
            account = accounts.check_password(body)
    else:
        return error(400, "M_UNKNOWN", f"Unknown login type {kind}")
    if account is None:
        return error(403, "M_FORBIDDEN", words)
    if account.deactivated:
        return error(403, "M_USER_DEACTIVATED", "This account has been deactivated")
    return Response(200, {"user_id": account.user_id, **accounts.log_in(account, body)})


def _log_out(accounts: Accounts, request: ReceivedRequest, caller: Caller, account: Account) -> Response:
    everywhere = matches(request.path, "/logout/all")
    accounts.delete_devices(account, [each for each in account.devices if everywhere or each == caller.device_id])
    return Response(200, {})


def _tell_user(accounts: Accounts, request: ReceivedRequest, caller: Caller, account: Account) -> Response:
    device = {} if caller.device_id is None else {"device_id": caller.device_id}
    return Response(200, {"user_id": account.user_id, "is_guest": False, **device})


def _list_devices(accounts: Accounts, request: ReceivedRequest, caller: Caller, account: Account) -> Response:
    return Response(200, {"devices": [_shown(device_id, each) for device_id, each in account.devices.items()]})


def _show_device(
    accounts: Accounts, request: ReceivedRequest, caller: Caller, account: Account, device_id: str
) -> Response:
    device = account.devices.get(device_id)
    return _no_device() if device is None else Response(200, _shown(device_id, device))


def _set_device(
    accounts: Accounts, request: ReceivedRequest, caller: Caller, account: Account, device_id: str
) -> Response:
    device, status = account.devices.get(device_id), 200
    if device is None:
        # An application service makes devices so (v1.17), and nobody else.
        if not caller.is_service:
            return _no_device()
        device, status = accounts.add_device(account, device_id), 201
    device.display_name = request.body.get("display_name", device.display_name)
    return Response(status, {})


def _sync(accounts: Accounts, request: ReceivedRequest, caller: Caller, account: Account) -> Response:
    """Answer with nothing new: at once the first time, else when the client's time is up."""
    timeout = request.params.get("timeout", "0")
    after = int(timeout) / 1000 if "since" in request.params and timeout.isdecimal() else 0.0
    rooms: dict[str, Any] = {"join": {}, "invite": {}, "leave": {}}
    keys: dict[str, Any] = {"device_one_time_keys_count": {}, "device_unused_fallback_key_types": []}
    return Response(200, {"next_batch": secrets.token_urlsafe(6), "rooms": rooms, **keys}, after=after)


def _shown(device_id: str, device: Device) -> dict[str, Any]:
    seen = {"last_seen_ip": "127.0.0.1", "last_seen_ts": 1_700_000_000_000}
    return {"device_id": device_id, "display_name": device.display_name, **seen}


def _no_device() -> Response:
    return error(404, "M_NOT_FOUND", "No device found")


def _always(body: Mapping[str, Any]) -> _Answer:
    return lambda *call: Response(200, dict(body))


_CAPABILITIES = {
    "m.change_password": {"enabled": True},
    "m.get_login_token": {"enabled": True},
    "m.room_versions": {"default": "12", "available": {"12": "stable"}},
}
_VERSIONS = {"versions": [f"v1.{minor}" for minor in range(1, 20)], "unstable_features": {}}
_FOR_ALL: Mapping[tuple[str, str], _Answer] = {
    ("GET", VERSIONS): _always(_VERSIONS),
    ("GET", "/login"): _show_flows,
    ("POST", "/login"): _log_in,
    ("POST", "/refresh"): _refresh,
    ("GET", "/register/available"): _look_up_name,
}
#: What takes an access token.
_FOR_ACCOUNTS: Mapping[tuple[str, str], _Answer] = {
    ("GET", "/account/whoami"): _tell_user,
    ("POST", "/logout"): _log_out,
    ("POST", "/logout/all"): _log_out,
    ("GET", "/devices"): _list_devices,
    ("GET", "/devices/{device_id}"): _show_device,
    ("PUT", "/devices/{device_id}"): _set_device,
    ("GET", "/sync"): _sync,
    ("GET", "/capabilities"): _always({"capabilities": _CAPABILITIES}),
    ("POST", "/user/{user_id}/filter"): _always({"filter_id": "0"}),
    ("POST", "/keys/upload"): _always({"one_time_key_counts": {}}),
    ("POST", "/keys/query"): _always({"device_keys": {}, "failures": {}}),
    ("PUT", "/presence/{user_id}/status"): _always({}),
}
#: What is a part of an authentication, or comes before one, whoever asks.
_AROUND = (*TOKEN_REQUESTS, FALLBACK, APPROVAL, SUBMIT)
ENDPOINTS = tuple(
    dict.fromkeys((*UIA, *_AROUND, VALIDITY, METADATA, *(each for _, each in (*_FOR_ALL, *_FOR_ACCOUNTS))))
)
