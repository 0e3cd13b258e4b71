"""What Continuwuity answers: a stale error beside the flows, its own codes, and a typed m.oauth that it insists on."""

from __future__ import annotations

from interactive_auth import MatrixError

from .recorded import (
    ABSENT,
    ASKED,
    DONE,
    EMAIL,
    NEW_SESSION,
    OLD_SESSION,
    REGISTERED,
    RIGHT,
    SESSION,
    WRONG,
    Row,
    challenge,
    change_password,
    delete_devices,
    email_creds,
    error,
    password,
    register,
    typed,
    upload_keys,
)

_CHALLENGE = challenge(params=None)
_STALE = {"errcode": "M_FORBIDDEN", "error": "Invalid identifier or password"}
_UNRECOGNIZED = {"errcode": "M_UNRECOGNIZED", "error": "Identifier type not recognized"}
_PENDING = {"errcode": "M_THREEPID_AUTH_FAILED", "error": "No validation session exists with this ID and secret"}
#: It states no delay, neither in the body nor in a header.
_LIMITED = error(429, "M_LIMIT_EXCEEDED", "Too many requests")
_OAUTH = {"m.oauth": {"url": "https://account.example.org/?action=org.matrix.cross_signing_reset"}}
_UNAPPROVED = {"errcode": "M_FORBIDDEN", "error": "No OAuth ticket available"}
_ASKED_EMAIL = ("m.login.email.identity", 1, None)

ROWS = (
    Row(
        name="wrong password",
        request=change_password,
        replies=(_CHALLENGE, challenge(params=None, **_STALE), DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="missing parts of a stage",
        request=delete_devices,
        replies=(_CHALLENGE, challenge(params=None, **_UNRECOGNIZED), DONE),
        answers={"m.login.password": ({"type": "m.login.password"}, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_UNRECOGNIZED")),
        sent=(ABSENT, typed("m.login.password"), password()),
    ),
    Row(
        name="unknown stage type",
        request=delete_devices,
        replies=(_CHALLENGE, error(400, "M_INVALID_PARAM", "No flows include the supplied stage")),
        answers={"m.login.password": ({"type": "com.example.x"},)},
        asked=(ASKED,),
        sent=(ABSENT, typed("com.example.x")),
        raises=MatrixError,
        says={"http_status": 400, "errcode": "M_INVALID_PARAM"},
    ),
    Row(
        name="unknown session",
        request=delete_devices,
        replies=(
            error(400, "M_INVALID_PARAM", "Invalid session"),
            challenge(session=NEW_SESSION, params=None),
            DONE,
        ),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": OLD_SESSION}, ABSENT, password(session=NEW_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="session alone with a stale error",
        request=delete_devices,
        replies=(challenge(params=None, **_STALE), DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": SESSION}, password()),
        options={"session_id": SESSION},
    ),
    Row(
        name="password of another user",
        request=delete_devices,
        replies=(_CHALLENGE, challenge(params=None, errcode="M_INVALID_PARAM", error="User ID mismatch"), DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_INVALID_PARAM")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="email pending",
        request=register,
        replies=(
            challenge("m.login.email.identity"),
            challenge("m.login.email.identity", **_PENDING),
            challenge("m.login.email.identity", **_PENDING),
            REGISTERED,
        ),
        answers={"m.login.email.identity": (None,)},
        asked=(_ASKED_EMAIL,),
        sent=(ABSENT, email_creds(), email_creds(), email_creds()),
        waited=(2.0, 2.0, 2.0),
        options={"inputs": {"email_address": EMAIL}},
    ),
    Row(
        name="rate limit without a delay",
        request=delete_devices,
        replies=(_LIMITED, _LIMITED, _CHALLENGE, _LIMITED, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, ABSENT, ABSENT, password(), password()),
        waited=(2.0, 4.0, 2.0),
    ),
    Row(
        name="rate limit without a delay that does not end",
        request=delete_devices,
        replies=(_LIMITED,) * 7,
        sent=(ABSENT,) * 7,
        raises=MatrixError,
        says={"http_status": 429, "errcode": "M_LIMIT_EXCEEDED", "retry_after": None},
        waited=(2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
    ),
    Row(
        name="rate limit without a delay while waiting",
        request=register,
        replies=(challenge("m.login.email.identity"), _LIMITED, _LIMITED, _LIMITED, REGISTERED),
        answers={"m.login.email.identity": (None,)},
        asked=(_ASKED_EMAIL,),
        sent=(ABSENT, email_creds(), email_creds(), email_creds(), email_creds()),
        waited=(2.0, 2.0, 4.0, 8.0),
        options={"inputs": {"email_address": EMAIL}},
    ),
    Row(
        name="m.oauth with its type",
        request=upload_keys,
        replies=(challenge("m.oauth", params=_OAUTH), challenge("m.oauth", params=_OAUTH, **_UNAPPROVED), DONE),
        answers={"m.oauth": (None,)},
        asked=(("m.oauth", 1, None),),
        sent=(ABSENT, typed("m.oauth"), typed("m.oauth")),
        waited=(2.0, 2.0),
    ),
    Row(
        name="endpoint not for clients with OAuth",
        request=delete_devices,
        replies=(error(403, "M_FORBIDDEN", "Clients authorized with OAuth cannot use this route."),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 403, "error": "Clients authorized with OAuth cannot use this route."},
    ),
    Row(
        name="endpoint not there with OAuth",
        request=change_password,
        replies=(error(404, "M_UNRECOGNIZED", "Interactive authentication is disabled"),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 404, "errcode": "M_UNRECOGNIZED"},
    ),
    Row(
        name="no usable flow",
        request=register,
        replies=(error(403, "M_FORBIDDEN", "Registration has been disabled."),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 403, "errcode": "M_FORBIDDEN"},
    ),
)
