"""What comes of a request that wants authentication on the scripted homeserver (``testing``), once it has it.

What must not be here: the authentication (``_uia``).
"""

from __future__ import annotations

from urllib.parse import unquote

from ._accounts import Account, Accounts, Caller, error, unknown_token
from ._endpoints import APPLICATION_SERVICE, missing_token
from ._http import ReceivedRequest, Response
from ._paths import matches
from ._quirks import Quirks
from ._threepid import Validations

#: What those may send who have no account, or cannot log in.
_FOR_STRANGERS = ("/register", "/account/password")
#: What an application service need not authenticate for (v1.17).
_FOR_SERVICES = ("/delete_devices", "/devices/{device_id}", "/keys/device_signing/upload", "/account/deactivate")


def needs_nothing(request: ReceivedRequest, caller: Caller) -> bool:
    """Return whether no authentication is wanted, since an application service is asking."""
    return caller.is_service and (
        _registers_for_service(request) or any(matches(request.path, each) for each in _FOR_SERVICES)
    )


def refuse(
    accounts: Accounts, request: ReceivedRequest, caller: Caller, access_token: str | None, quirks: Quirks
) -> Response | None:
    """Return the refusal of what no authentication would help; None for what may go on.

    Args:
        accounts: all accounts.
        request: the request.
        caller: whose it is.
        access_token: an access token that is known beside those of the accounts. None for none: then any is right, or
            none at all, as long as there is no account.
        quirks: those of the homeserver that is played.
    """
    given = request.access_token
    any_is_known = access_token is None and not accounts.known
    known = any_is_known or access_token == given or caller.account is not None or caller.is_service
    if not known and (given is not None or not request.path.endswith(_FOR_STRANGERS)):
        return missing_token() if given is None else unknown_token()
    if not matches(request.path, "/register"):
        return None
    if _registers_for_service(request) and not caller.is_service:
        return missing_token() if given is None else unknown_token()
    return None if quirks.taken_late else _refuse_name(accounts, request, quirks)


def _refuse_name(accounts: Accounts, request: ReceivedRequest, quirks: Quirks) -> Response | None:
    taken = accounts.is_taken(str(request.body.get("username") or ""), _session(request))
    return error(quirks.taken.status, str(quirks.taken.errcode), quirks.taken.error) if taken else None


def succeed(
    accounts: Accounts,
    validations: Validations,
    request: ReceivedRequest,
    caller: Caller,
    server_name: str,
    quirks: Quirks,
) -> Response:
    """Do what was asked for, and return the success that the specification has for its endpoint.

    Args:
        accounts: all accounts.
        validations: the addresses that were validated.
        request: the request.
        caller: whose it is.
        server_name: the part of user ids behind the colon.
        quirks: those of the homeserver that is played.
    """
    body, account = request.body, caller.account
    if matches(request.path, "/register"):
        refusal = _refuse_name(accounts, request, quirks)
        return refusal or Response(200, accounts.register(body, server_name, _session(request)))
    if matches(request.path, "/login/get_token"):
        return Response(200, {"login_token": accounts.make_login_token(account), "expires_in_ms": 300000})
    if matches(request.path, "/account/3pid/add") and not validations.validated(None, body):
        return error(400, "M_THREEPID_AUTH_FAILED", "No validated 3pid session found")
    if matches(request.path, "/account/password") and account is None and request.auth is not None:
        # A forgotten password: the mail says whose it is.
        account = accounts.of(validations.address(request.auth.get("threepid_creds")))
    if account is not None:
        _change(accounts, validations, request, account, caller.device_id)
    return Response(200, quirks.deactivated if matches(request.path, "/account/deactivate") else {})


def _change(
    accounts: Accounts, validations: Validations, request: ReceivedRequest, account: Account, device_id: str | None
) -> None:
    body = request.body
    if matches(request.path, "/account/3pid/add"):
        account.addresses.append(validations.address(body))
    if matches(request.path, "/account/password"):
        keep_all = body.get("logout_devices", True) is False
        accounts.change_password(account, str(body.get("new_password")), device_id, keep_all=keep_all)
    if matches(request.path, "/delete_devices"):
        accounts.delete_devices(account, body.get("devices", ()))
    if found := matches(request.path, "/devices/{device_id}"):
        accounts.delete_devices(account, [unquote(found[1])])
    if matches(request.path, "/account/deactivate"):
        accounts.deactivate(account)


def _registers_for_service(request: ReceivedRequest) -> bool:
    return request.body.get("type") == APPLICATION_SERVICE and matches(request.path, "/register") is not None


def _session(request: ReceivedRequest) -> str | None:
    return None if request.auth is None else request.auth.get("session")
