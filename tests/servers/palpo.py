"""What Palpo answers: 403 beside flows, no errcode for a wrong password, sessions that it gives and does not keep.

From its source (palpo-im/palpo, crates/server/src/uiaa.rs, error.rs, routing/client/{register,account,device}.rs and
key/device_signing.rs), as of 2026; it was not run.
"""

from __future__ import annotations

from support.wire import Reply

from interactive_auth import MatrixError, StageFailedError

from .recorded import (
    ABSENT,
    ASKED,
    DEACTIVATED,
    DONE,
    NEW_SESSION,
    OLD_SESSION,
    REGISTERED,
    RIGHT,
    WRONG,
    Row,
    challenge,
    change_password,
    deactivate,
    delete_device,
    delete_devices,
    error,
    password,
    register,
    typed,
    upload_keys,
)

_CHALLENGE = challenge(params=None)
#: /account/password: the refusal of an answer is another first challenge.
_AGAIN = challenge(params=None, session=NEW_SESSION)
_TOKEN = challenge("m.login.registration_token", params=None)
_WRONG_TOKEN = Reply(403, {**_TOKEN.body, "errcode": "M_FORBIDDEN", "error": "Invalid registration token."})
_BARE_REFUSAL = error(401, "M_UNAUTHORIZED", "wrong username or password.")
_ASKED_TOKEN = ("m.login.registration_token", 1, None)
_GIVEN_TOKEN = {"type": "m.login.registration_token", "token": "a-token"}
_SENT_TOKEN = typed("m.login.registration_token", token="a-token")
#: DELETE /devices/{deviceId}, which keeps no session, so that no answer in one is ever right.
_UNKEPT = challenge(params=None, errcode="M_UNAUTHORIZED", error="Missing authentication data")
_UNKEPT_REFUSAL = challenge(
    params=None, session=NEW_SESSION, errcode="M_FORBIDDEN", error="Invalid authentication data"
)

ROWS = (
    Row(
        name="right password",
        request=change_password,
        replies=(_CHALLENGE, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password()),
    ),
    Row(
        name="wrong password without an errcode in another session",
        request=change_password,
        replies=(_CHALLENGE, _AGAIN, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, None)),
        sent=(ABSENT, password("wrong"), password(session=NEW_SESSION)),
    ),
    Row(
        name="wrong password without an errcode three times",
        request=change_password,
        replies=(_CHALLENGE, _AGAIN, _CHALLENGE, _AGAIN),
        answers={"m.login.password": (WRONG, WRONG, WRONG)},
        asked=(ASKED, ("m.login.password", 2, None), ("m.login.password", 3, None)),
        sent=(ABSENT, password("wrong"), password("wrong", NEW_SESSION), password("wrong")),
        raises=StageFailedError,
        says={"stage": "m.login.password", "attempts": 3},
        cause={"http_status": 401, "errcode": None},
    ),
    Row(
        name="wrong password without flows",
        request=upload_keys,
        replies=(_CHALLENGE, _BARE_REFUSAL, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_UNAUTHORIZED")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="wrong password to deactivate",
        request=deactivate,
        replies=(_CHALLENGE, error(401, "M_FORBIDDEN", "Authentication failed."), DEACTIVATED),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="wrong token as forbidden beside the flows",
        request=register,
        replies=(_TOKEN, _WRONG_TOKEN, REGISTERED),
        answers={"m.login.registration_token": (_GIVEN_TOKEN, _GIVEN_TOKEN)},
        asked=(_ASKED_TOKEN, ("m.login.registration_token", 2, "M_FORBIDDEN")),
        sent=(
            ABSENT,
            typed("m.login.registration_token", token="a-token"),
            typed("m.login.registration_token", token="a-token"),
        ),
    ),
    Row(
        name="registration by dummy",
        request=register,
        replies=(challenge("m.login.dummy", params=None), REGISTERED),
        sent=(ABSENT, typed("m.login.dummy")),
    ),
    Row(
        name="no session at all",
        request=delete_devices,
        replies=(challenge(params=None, session=...), _BARE_REFUSAL, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_UNAUTHORIZED")),
        sent=(ABSENT, password("wrong", None), password(session=None)),
    ),
    Row(
        name="session given and not stored",
        request=delete_device,
        replies=(_UNKEPT, _UNKEPT_REFUSAL),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password()),
        options={"max_attempts": 1},
        raises=StageFailedError,
        says={"stage": "m.login.password", "attempts": 1},
        cause={"http_status": 401, "errcode": "M_FORBIDDEN"},
    ),
    Row(
        name="password of another user",
        request=upload_keys,
        replies=(_CHALLENGE, error(403, "M_FORBIDDEN", "User ID does not match."), DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="unknown session",
        request=register,
        replies=(
            error(404, "M_NOT_FOUND", "resource not found"),
            challenge("m.login.dummy", params=None, session=NEW_SESSION),
            REGISTERED,
        ),
        sent=({"session": OLD_SESSION}, ABSENT, typed("m.login.dummy", NEW_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="unknown session as a fault of the database",
        request=register,
        replies=(
            error(500, "M_UNKNOWN", "unknown db error"),
            challenge("m.login.dummy", params=None, session=NEW_SESSION),
            REGISTERED,
        ),
        sent=({"session": OLD_SESSION}, ABSENT, typed("m.login.dummy", NEW_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="unknown session silently replaced",
        request=change_password,
        replies=(_AGAIN, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": OLD_SESSION}, password(session=NEW_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="passwords left to OAuth",
        request=change_password,
        replies=(error(403, "M_FORBIDDEN", "Password changes are handled by the delegated authentication service."),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 403, "errcode": "M_FORBIDDEN"},
    ),
)
