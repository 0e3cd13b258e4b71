"""What conduwuit answers: null for want of parameters, and sessions that it gives without keeping them."""

from __future__ import annotations

from interactive_auth import MatrixError

from .recorded import (
    ABSENT,
    ASKED,
    DONE,
    NEW_SESSION,
    OLD_SESSION,
    REGISTERED,
    RIGHT,
    SESSION,
    WRONG,
    Row,
    challenge,
    delete_devices,
    error,
    password,
    register,
    typed,
    upload_keys,
)

_CHALLENGE = challenge(params=None)
_WRONG = {"errcode": "M_FORBIDDEN", "error": "Invalid username or password."}
_REFUSAL = challenge(params=None, **_WRONG)
_LOST = error(403, "M_FORBIDDEN", "UIAA session does not exist.")
_TOKEN = {"type": "m.login.registration_token", "token": "a-token"}
_ASKED_TOKEN = ("m.login.registration_token", 1, None)

ROWS = (
    Row(
        name="wrong password",
        request=delete_devices,
        replies=(_CHALLENGE, _REFUSAL, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="first keys without authentication",
        request=upload_keys,
        replies=(DONE,),
        sent=(ABSENT,),
    ),
    Row(
        name="no session at all",
        request=delete_devices,
        replies=(challenge(session=...), DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password(session=None)),
    ),
    Row(
        name="session given and not stored",
        request=delete_devices,
        replies=(
            challenge(session=...),
            challenge(params=None, session=OLD_SESSION, **_WRONG),
            _LOST,
            challenge(params=None, session=NEW_SESSION),
            DONE,
        ),
        answers={"m.login.password": (WRONG, RIGHT, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN"), ASKED),
        sent=(
            ABSENT,
            password("wrong", None),
            password(session=OLD_SESSION),
            ABSENT,
            password(session=NEW_SESSION),
        ),
    ),
    Row(
        name="session replaced in the refusal",
        request=delete_devices,
        replies=(_CHALLENGE, challenge(session=NEW_SESSION, errcode="M_FORBIDDEN"), DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password(session=NEW_SESSION)),
    ),
    Row(
        name="unknown session",
        request=delete_devices,
        replies=(_LOST, challenge(params=None, session=NEW_SESSION), DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": OLD_SESSION}, ABSENT, password(session=NEW_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="unknown session twice",
        request=delete_devices,
        replies=(_LOST, _CHALLENGE, _LOST),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": OLD_SESSION}, ABSENT, password()),
        options={"session_id": OLD_SESSION},
        raises=MatrixError,
        says={"http_status": 403, "errcode": "M_FORBIDDEN", "error": "UIAA session does not exist."},
    ),
    Row(
        name="identifier of another type",
        request=delete_devices,
        replies=(_CHALLENGE, error(405, "M_UNRECOGNIZED", "Identifier type not recognized.")),
        answers={"m.login.password": ({"type": "m.login.password", "identifier": {"type": "m.id.phone"}},)},
        asked=(ASKED,),
        sent=(ABSENT, typed("m.login.password", identifier={"type": "m.id.phone"})),
        raises=MatrixError,
        says={"http_status": 405, "errcode": "M_UNRECOGNIZED"},
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
        name="session alone unchanged",
        request=delete_devices,
        replies=(_CHALLENGE, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=({"session": SESSION}, password()),
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
        name="completed twice over",
        request=register,
        replies=(
            challenge("m.login.registration_token", "m.login.dummy", params=None),
            challenge(
                "m.login.registration_token",
                "m.login.dummy",
                params=None,
                completed=["m.login.registration_token", "m.login.registration_token"],
            ),
            REGISTERED,
        ),
        answers={"m.login.registration_token": (_TOKEN,)},
        asked=(_ASKED_TOKEN,),
        sent=(ABSENT, {**_TOKEN, "session": SESSION}, typed("m.login.dummy")),
    ),
    Row(
        name="wrong token",
        request=register,
        replies=(
            challenge("m.login.registration_token", params=None),
            challenge(
                "m.login.registration_token",
                params=None,
                errcode="M_FORBIDDEN",
                error="Invalid registration token.",
            ),
            REGISTERED,
        ),
        answers={"m.login.registration_token": (_TOKEN, _TOKEN)},
        asked=(_ASKED_TOKEN, ("m.login.registration_token", 2, "M_FORBIDDEN")),
        sent=(ABSENT, {**_TOKEN, "session": SESSION}, {**_TOKEN, "session": SESSION}),
    ),
)
