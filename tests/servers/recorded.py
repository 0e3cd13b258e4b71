"""What a row of recorded answers says: which request, which replies, what the program answers, what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.wire import Reply

from interactive_auth import Homeserver, InteractiveAuthError, UIARequest

#: Stands among the auth dicts sent for a request whose body had no ``auth`` at all.
ABSENT = "absent"

Auth = dict[str, Any]
MakeRequest = Callable[[Homeserver], UIARequest[Any]]

SESSION = "the-session"
OLD_SESSION = "the-session-of-last-week"
NEW_SESSION = "another-session"
#: What the player of the rows uses for the parts that a program makes up.
CLIENT_SECRET = "a-secret-of-the-clients-own-making"
SID = "a-sid"
EMAIL = "alice@example.org"

DONE = Reply(200, {})
DEACTIVATED = Reply(200, {"id_server_unbind_result": "success"})
REGISTERED = Reply(200, {"user_id": "@alice:example.org", "access_token": "a-token", "device_id": "DEVICE"})


@dataclass(frozen=True)
class Row:
    """One situation, as a server answers it.

    Attributes:
        name: what the test is called.
        request: makes the request that is authenticated.
        replies: what the server answers, one by one; a further request is a failure.
        sent: the ``auth`` of each request, ABSENT if there was none.
        answers: what the program's callbacks return, by stage type, one by one; None waits.
        asked: what each callback was told: the stage's type, its attempt, the errcode of its error.
        raises: the error that the caller gets; None if the last reply's body is returned.
        says: attributes of that error.
        cause: attributes of that error's cause.
        waited: the seconds of each pause and wait, by the clock that the test turns.
        options: further arguments of ``authenticate``.
    """

    name: str
    request: MakeRequest
    replies: tuple[Reply, ...]
    sent: tuple[Auth | str, ...]
    answers: Mapping[str, tuple[Auth | None, ...]] = field(default_factory=dict)
    asked: tuple[tuple[str, int, str | None], ...] = ()
    raises: type[InteractiveAuthError] | None = None
    says: Mapping[str, Any] = field(default_factory=dict)
    cause: Mapping[str, Any] = field(default_factory=dict)
    waited: tuple[float, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def delete_devices(homeserver: Homeserver) -> UIARequest[Any]:
    """Make the request most rows are about."""
    return homeserver.delete_devices(["ONE"])


def delete_device(homeserver: Homeserver) -> UIARequest[Any]:
    """Make the request that is sent by DELETE."""
    return homeserver.delete_device("ONE")


def change_password(homeserver: Homeserver) -> UIARequest[Any]:
    """Make the request that changes a password."""
    return homeserver.change_password("an entirely new one")


def deactivate(homeserver: Homeserver) -> UIARequest[Any]:
    """Make the request that deactivates the account."""
    return homeserver.deactivate_account()


def upload_keys(homeserver: Homeserver) -> UIARequest[Any]:
    """Make the request that resets cross-signing keys."""
    return homeserver.upload_cross_signing_keys(master_key={"keys": {"ed25519:key": "key"}})


def register(homeserver: Homeserver) -> UIARequest[Any]:
    """Make the request that registers an account."""
    return homeserver.register("alice", "correct horse battery staple")


def password(secret: str = "right", session: str | None = SESSION) -> Auth:
    """Make an answer to a password stage, as it is sent; without a session, as a callback returns it."""
    user = {"type": "m.id.user", "user": "alice"}
    auth: Auth = {"type": "m.login.password", "identifier": user, "password": secret}
    return auth if session is None else {**auth, "session": session}


#: What a callback for password stages returns, the first time and the second.
WRONG, RIGHT = password("wrong", None), password("right", None)
#: The right password of somebody else.
OTHERS: Auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "bob"}, "password": "bobs"}
ASKED = ("m.login.password", 1, None)


def typed(stage: str, session: str = SESSION, **fields: Any) -> Auth:
    """Make an answer to any stage, as it is sent."""
    return {"type": stage, **fields, "session": session}


def email_creds(session: str = SESSION) -> Auth:
    """Make the answer to an email stage that a poll sends."""
    return typed("m.login.email.identity", session, threepid_creds={"sid": SID, "client_secret": CLIENT_SECRET})


def challenge(*stages: str, **fields: Any) -> Reply:
    """Make a 401 with one flow; a field that is ... is left out."""
    body = {"flows": [{"stages": list(stages or ("m.login.password",))}], "session": SESSION, "params": {}, **fields}
    return Reply(401, {name: value for name, value in body.items() if value is not ...})


def error(status: int, errcode: str, text: str = "", **headers: str) -> Reply:
    """Make an error without flows."""
    return Reply(status, {"errcode": errcode, "error": text}, headers)
