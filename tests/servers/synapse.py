"""What Synapse answers only after hours, by accident or when its configuration changes under a session."""

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
    Row,
    challenge,
    change_password,
    delete_devices,
    email_creds,
    error,
    password,
    register,
    typed,
)

_CHALLENGE = challenge()
_PENDING = {"errcode": "M_UNAUTHORIZED", "error": "Unable to get validated threepid"}
_LIMITED = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 9989}
_BOTH = ("m.login.recaptcha", "m.login.email.identity")
_SOLVED = {"type": "m.login.recaptcha", "response": "a-response"}

ROWS = (
    Row(
        name="unknown session",
        request=delete_devices,
        replies=(
            error(400, "M_UNKNOWN", f"Unknown session ID: {OLD_SESSION}"),
            challenge(session=NEW_SESSION),
            DONE,
        ),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": OLD_SESSION}, ABSENT, password(session=NEW_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="another 400 of the same code",
        request=delete_devices,
        replies=(error(400, "M_UNKNOWN", "Unknown login type com.example.x"),),
        sent=({"session": OLD_SESSION},),
        options={"session_id": OLD_SESSION},
        raises=MatrixError,
        says={"http_status": 400, "error": "Unknown login type com.example.x"},
    ),
    Row(
        name="request changed in the session",
        request=delete_devices,
        replies=(
            _CHALLENGE,
            error(403, "M_UNKNOWN", "Requested operation has changed during the UI authentication session."),
        ),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password()),
        raises=MatrixError,
        says={"http_status": 403, "errcode": "M_UNKNOWN"},
    ),
    Row(
        name="email pending",
        request=register,
        replies=(
            challenge("m.login.email.identity"),
            challenge("m.login.email.identity", completed=[], **_PENDING),
            REGISTERED,
        ),
        answers={"m.login.email.identity": (None,)},
        asked=(("m.login.email.identity", 1, None),),
        sent=(ABSENT, email_creds(), email_creds()),
        waited=(2.0, 2.0),
        options={"inputs": {"email_address": EMAIL}},
    ),
    Row(
        name="error beside a completed stage",
        request=register,
        replies=(
            challenge(*_BOTH),
            challenge(*_BOTH, completed=["m.login.recaptcha"], errcode="M_CAPTCHA_NEEDED", error="Captcha is required"),
            REGISTERED,
        ),
        answers={"m.login.recaptcha": (_SOLVED,), "m.login.email.identity": (None,)},
        asked=(("m.login.recaptcha", 1, None), ("m.login.email.identity", 1, None)),
        sent=(ABSENT, {**_SOLVED, "session": SESSION}, email_creds()),
        options={"inputs": {"email_address": EMAIL}, "max_attempts": 1},
    ),
    Row(
        name="completed in another order and beyond the flow",
        request=register,
        replies=(
            challenge(*_BOTH, "m.login.dummy"),
            challenge(*_BOTH, "m.login.dummy", completed=["m.login.email.identity", "m.login.terms", _BOTH[0]]),
            REGISTERED,
        ),
        answers={"m.login.recaptcha": (_SOLVED,), "m.login.email.identity": ()},
        asked=(("m.login.recaptcha", 1, None),),
        sent=(ABSENT, {**_SOLVED, "session": SESSION}, typed("m.login.dummy")),
        options={"inputs": {"email_address": EMAIL}},
    ),
    Row(
        name="no flow for the user",
        request=delete_devices,
        replies=(Reply(401, {"session": SESSION, "flows": [], "params": {}}),),
        answers={"m.login.password": (RIGHT,)},
        sent=(ABSENT,),
        raises=NoAuthFlowFoundError,
        says={"flows": []},
    ),
    Row(
        name="rate limit with the body's word before the header's",
        request=delete_devices,
        replies=(
            _CHALLENGE,
            Reply(429, _LIMITED, {"Retry-After": "10"}),
            DONE,
        ),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password(), password()),
        waited=(9.989,),
    ),
    Row(
        name="rate limit with the header alone",
        request=delete_devices,
        replies=(_CHALLENGE, error(429, "M_LIMIT_EXCEEDED", "Too Many Requests", **{"Retry-After": "10"}), DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password(), password()),
        waited=(10.0,),
    ),
    Row(
        name="endpoint not there under delegation",
        request=change_password,
        replies=(error(404, "M_UNRECOGNIZED", "Unrecognized request"),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 404, "errcode": "M_UNRECOGNIZED"},
    ),
    Row(
        name="crash under delegation",
        request=change_password,
        replies=(error(500, "M_UNKNOWN", "UIA shouldn't be used when auth is delegated"),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 500, "errcode": "M_UNKNOWN"},
    ),
    Row(
        name="success without any authentication",
        request=delete_devices,
        replies=(DONE,),
        sent=(ABSENT,),
    ),
)
