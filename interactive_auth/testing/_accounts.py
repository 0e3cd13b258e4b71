"""The accounts of the scripted homeserver (``testing``): their devices and access tokens, and who is asking.

What must not be here: sessions and stages of User-Interactive Authentication, and the endpoints (``_endpoints``).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._http import ReceivedRequest, Response

#: The milliseconds for which an access token is said to be valid that comes with a refresh token.
_LIFETIME = 3_600_000


def error(status: int, errcode: str, words: str, **more: object) -> Response:
    """Make an answer that is not a success."""
    return Response(status, {"errcode": errcode, "error": words, **more})


def unknown_token() -> Response:
    """Make the answer to an unknown access token."""
    return error(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.", soft_logout=False)


def _secret() -> str:
    return secrets.token_urlsafe(12)


@dataclass
class Device:
    """A device of an account; all of it may be set at any time.

    Attributes:
        display_name: its name for people; None for none.
        access_token: what its requests come with.
        refresh_token: what another access token is given for; None if it has not asked for one.
    """

    display_name: str | None = None
    access_token: str = field(default_factory=_secret, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


@dataclass
class Account:
    """An account; all of it may be set at any time.

    Attributes:
        user_id: the user's whole id.
        password: the password; None if it has none, and nobody can log in with one.
        devices: the devices, by id.
        addresses: the email addresses and phone numbers, by which its password can be reset.
        deactivated: whether nobody can log in any more.
    """

    user_id: str
    password: str | None = field(default=None, repr=False)
    devices: dict[str, Device] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    deactivated: bool = False


class Caller(NamedTuple):
    """Whose request it is.

    Attributes:
        account: the account; None if there is no access token, or it is unknown.
        device_id: its device.
        is_service: whether it comes from the application service, on the account's behalf or its own.
    """

    account: Account | None = None
    device_id: str | None = None
    is_service: bool = False


class Accounts:
    """All accounts, and what becomes of them.

    Attributes:
        known: the accounts, by the name of the user.
    """

    def __init__(self) -> None:
        self.known: dict[str, Account] = {}
        self._issued: set[str] = set()
        self._login_tokens: dict[str, Account] = {}
        self._registrations: dict[str, Account] = {}

    def add(self, user_id: str, password: str | None, devices: Iterable[str], addresses: Iterable[str]) -> Account:
        """Make an account."""
        account = Account(user_id, password, {}, list(addresses))
        for device_id in devices:
            self.add_device(account, device_id)
        self.known[_name(user_id)] = account
        return account

    def identify(self, request: ReceivedRequest, as_token: str | None) -> Caller | Response:
        """Tell whose request it is, by its access token; an application service says it (v1.17, "Identity assertion").

        Returns:
            The caller, or the answer to a request whose access token no longer is anybody's.
        """
        token = request.access_token
        if token is None:
            return Caller()
        if token == as_token:
            return self._assert(request.params.get("user_id"), request.params.get("device_id"))
        for account in self.known.values():
            for device_id, device in list(account.devices.items()):  # the test may add some
                self._issued.add(device.access_token)
                if device.access_token == token:
                    return Caller(account, device_id)
        return unknown_token() if token in self._issued else Caller()

    def _assert(self, user_id: str | None, device_id: str | None) -> Caller | Response:
        account = None if user_id is None else self.of(user_id)
        if account is None and user_id is not None:
            return error(403, "M_FORBIDDEN", f"Application service has not registered this user ({user_id})")
        if account is not None and device_id is not None and device_id not in account.devices:
            words = f"Application service trying to use a device that doesn't exist ('{device_id}' for {user_id})"
            return error(400, "M_UNKNOWN_DEVICE", words)
        return Caller(account, device_id, is_service=True)

    def of(self, user: str) -> Account | None:
        """Find an account by the user's name or id, an email address or a phone number."""
        account = self.known.get(_name(user))
        if account is None:
            return next((each for each in self.known.values() if user in each.addresses), None)
        return account if not user.startswith("@") or user == account.user_id else None

    def check_password(self, given: Mapping[str, Any]) -> Account | None:
        """Return the account of a right password; None if it is wrong, or the user unknown."""
        account, password = self.of(named(given)), given.get("password")
        return account if account is not None and password is not None and account.password == password else None

    # What comes of an authentication

    def is_taken(self, username: str, session: str | None = None) -> bool:
        """Return whether a name is somebody's; that of a session's own registration is not, which may be repeated."""
        account = self.known.get(_name(username))
        return account is not None and (session is None or self._registrations.get(session) is not account)

    def register(self, body: Mapping[str, Any], server_name: str, session: str | None = None) -> dict[str, Any]:
        """Make the account that was asked for, and return what its client is told."""
        name = _name(str(body.get("username") or secrets.token_hex(6)))
        account = self.known.get(name) or self.add(f"@{name}:{server_name}", body.get("password"), (), ())
        if session is not None:
            self._registrations[session] = account
        return {"user_id": account.user_id, **({} if body.get("inhibit_login") else self.log_in(account, body))}

    def change_password(self, account: Account, password: str, keep: str | None, *, keep_all: bool) -> None:
        """Give an account another password, and log out all its devices but one, or none."""
        account.password = password
        self.delete_devices(account, [each for each in account.devices if each != keep and not keep_all])

    def delete_devices(self, account: Account, device_ids: Iterable[str]) -> None:
        """Delete devices, and with them their access tokens."""
        for device_id in device_ids:
            device = account.devices.pop(device_id, None)
            if device is not None:
                self._issued.add(device.access_token)

    def deactivate(self, account: Account) -> None:
        """Deactivate an account."""
        account.deactivated = True
        self.delete_devices(account, list(account.devices))

    def make_login_token(self, account: Account | None) -> str:
        """Make what can be logged in with, once; without an account, by nobody."""
        token = _secret()
        if account is not None:
            self._login_tokens[token] = account
        return token

    def log_in(self, account: Account, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give an account an access token, for a device of its own or a new one; return what its client is told."""
        device_id = str(body.get("device_id") or secrets.token_hex(5).upper())
        name = account.devices[device_id].display_name if device_id in account.devices else None
        self.delete_devices(account, [device_id])
        device = self.add_device(account, device_id)
        device.display_name = name or body.get("initial_device_display_name")
        answer = {"access_token": device.access_token, "device_id": device_id}
        return {**answer, **_renew(device)} if body.get("refresh_token") is True else answer

    def take_login_token(self, token: str) -> Account | None:
        """Return whom a login token is for, which is spent by it."""
        return self._login_tokens.pop(token, None)

    def refresh(self, token: str) -> dict[str, Any] | None:
        """Exchange a refresh token, and return what its client is told; None if it is unknown."""
        for account in self.known.values():
            for device in account.devices.values():
                if device.refresh_token == token:
                    self._issued.add(device.access_token)
                    device.access_token = _secret()
                    return {"access_token": device.access_token, **_renew(device)}
        return None

    def add_device(self, account: Account, device_id: str) -> Device:
        """Make a device, with an access token."""
        device = account.devices[device_id] = Device()
        self._issued.add(device.access_token)
        return device


def _renew(device: Device) -> dict[str, Any]:
    device.refresh_token = _secret()
    return {"refresh_token": device.refresh_token, "expires_in_ms": _LIFETIME}


def _name(user: str) -> str:
    return user.removeprefix("@").partition(":")[0].lower()


def named(given: Mapping[str, Any]) -> str:
    """Return whom an identifier names, or the ``user`` of long ago (client-server API, "Identifier types")."""
    identifier = given.get("identifier")
    parts: Mapping[str, Any] = identifier if isinstance(identifier, dict) else given
    return str(parts.get("user") or parts.get("address") or f"{parts.get('country')} {parts.get('phone')}")
