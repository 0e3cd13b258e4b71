"""What Tuwunel answers: conduwuit's ways, stages of its own, and mails that it refuses as forbidden until opened."""

from __future__ import annotations

from support.wire import Reply

from interactive_auth import MatrixError, NoAuthFlowFoundError

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
    delete_devices,
    email_creds,
    error,
    password,
    register,
    typed,
    upload_keys,
)

_CHALLENGE = challenge()
_LOST = error(403, "M_FORBIDDEN", "UIAA session does not exist.")
#: A registration that wants no terms has no params.
_EMAIL = challenge("m.login.email.identity", params=...)
_PENDING = challenge(
    "m.login.email.identity", params=..., errcode="M_FORBIDDEN", error="Email address has not been validated."
)
_LIMITED = error(429, "M_LIMIT_EXCEEDED", "Too many requests.")
_OAUTH = {"m.oauth": {"url": "https://matrix.example.org/account"}}
_UNAPPROVED = {"errcode": "M_FORBIDDEN", "error": "OAuth cross-signing reset not approved for this session."}
_JWT = {"type": "org.matrix.login.jwt", "token": "a-json-web-token"}

ROWS = (
    Row(
        name="wrong password",
        request=delete_devices,
        replies=(_CHALLENGE, challenge(errcode="M_FORBIDDEN", error="Invalid username or password."), DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="params absent",
        request=register,
        replies=(challenge("m.login.dummy", params=...), REGISTERED),
        sent=(ABSENT, typed("m.login.dummy")),
    ),
    Row(
        name="missing parts of a stage",
        request=delete_devices,
        replies=(_CHALLENGE, error(404, "M_UNRECOGNIZED", "Identifier type not recognized.")),
        answers={"m.login.password": ({"type": "m.login.password"},)},
        asked=(ASKED,),
        sent=(ABSENT, typed("m.login.password")),
        raises=MatrixError,
        says={"http_status": 404, "errcode": "M_UNRECOGNIZED"},
    ),
    Row(
        name="unknown stage type asked for again",
        request=delete_devices,
        replies=(_CHALLENGE, _CHALLENGE, DONE),
        answers={"m.login.password": ({"type": "com.example.x"}, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, None)),
        sent=(ABSENT, typed("com.example.x"), password()),
    ),
    Row(
        name="unknown session",
        request=delete_devices,
        replies=(_LOST, challenge(session=NEW_SESSION), DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": OLD_SESSION}, ABSENT, password(session=NEW_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="unknown session in answer to a password",
        request=delete_devices,
        replies=(_CHALLENGE, _LOST, challenge(session=NEW_SESSION), DONE),
        answers={"m.login.password": (RIGHT, RIGHT)},
        asked=(ASKED, ASKED),
        sent=(ABSENT, password(), ABSENT, password(session=NEW_SESSION)),
    ),
    Row(
        name="unknown session while waiting",
        request=register,
        replies=(
            _EMAIL,
            _LOST,
            challenge("m.login.email.identity", params=..., session=NEW_SESSION),
            REGISTERED,
        ),
        answers={"m.login.email.identity": (None, None)},
        asked=(("m.login.email.identity", 1, None), ("m.login.email.identity", 1, None)),
        sent=(ABSENT, email_creds(), ABSENT, email_creds(NEW_SESSION)),
        options={"inputs": {"email_address": EMAIL}},
    ),
    Row(
        name="session alone completes",
        request=delete_devices,
        replies=(DONE,),
        sent=({"session": SESSION},),
        options={"session_id": SESSION},
    ),
    Row(
        name="password of another user",
        request=delete_devices,
        replies=(_CHALLENGE, error(403, "M_FORBIDDEN", "User ID and access token mismatch."), DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="email pending",
        request=register,
        replies=(_EMAIL, _PENDING, _PENDING, REGISTERED),
        answers={"m.login.email.identity": (None,)},
        asked=(("m.login.email.identity", 1, None),),
        sent=(ABSENT, email_creds(), email_creds(), email_creds()),
        waited=(2.0, 2.0, 2.0),
        options={"inputs": {"email_address": EMAIL}},
    ),
    Row(
        name="no usable flow",
        request=delete_devices,
        replies=(Reply(401, {"flows": [], "session": SESSION, "params": {}}),),
        answers={"m.login.password": (RIGHT,)},
        sent=(ABSENT,),
        raises=NoAuthFlowFoundError,
        says={"flows": [], "required_stages": []},
    ),
    Row(
        name="m.oauth",
        request=upload_keys,
        replies=(challenge("m.oauth", params=_OAUTH), challenge("m.oauth", params=_OAUTH, **_UNAPPROVED), DONE),
        answers={"m.oauth": (None,)},
        asked=(("m.oauth", 1, None),),
        sent=(ABSENT, typed("m.oauth"), typed("m.oauth")),
    ),
    Row(
        name="stage of its own",
        request=delete_devices,
        replies=(challenge("org.matrix.login.jwt"), DONE),
        answers={"org.matrix.login.jwt": (_JWT,)},
        asked=(("org.matrix.login.jwt", 1, None),),
        sent=(ABSENT, {**_JWT, "session": SESSION}),
    ),
    Row(
        name="stage of its own without a callback",
        request=delete_devices,
        replies=(challenge("org.matrix.login.jwt"),),
        answers={"m.login.password": (RIGHT,)},
        sent=(ABSENT,),
        raises=NoAuthFlowFoundError,
        says={"flows": [{"stages": ["org.matrix.login.jwt"]}]},
    ),
    Row(
        name="rate limit without a delay",
        request=delete_devices,
        replies=(_CHALLENGE, _LIMITED, _LIMITED, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password(), password(), password()),
        waited=(2.0, 4.0),
    ),
)
