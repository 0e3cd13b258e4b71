"""What Dendrite v0.13.8 answers: one code for most endpoints, another for passwords and keys, a third for registration.

``test_real_rows`` compares it with a real one.
"""

from __future__ import annotations

from interactive_auth import MatrixError, StageFailedError

from .recorded import (
    ABSENT,
    ASKED,
    DONE,
    NEW_SESSION,
    OLD_SESSION,
    OTHERS,
    REGISTERED,
    RIGHT,
    SESSION,
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

_CHALLENGE = challenge(completed=[])
_WRONG = "The username or password was incorrect or the account does not exist."
_REFUSAL = challenge(completed=[], errcode="M_FORBIDDEN", error=_WRONG)
#: Beside a session that it does not know, which it sends back as it came.
_REFUSAL_UNKNOWN = challenge(completed=None, errcode="M_FORBIDDEN", error=_WRONG)
#: The endpoints for passwords and keys.
_BARE = challenge(completed=[], params=None)
_BARE_REFUSAL = error(403, "M_FORBIDDEN", _WRONG)
_CAPTCHA = challenge("m.login.recaptcha", completed=[], params={"m.login.recaptcha": {"public_key": "a-site-key"}})
_SOLVED = {"type": "m.login.recaptcha", "response": "a-response"}
_NO_PASSWORD = {key: value for key, value in RIGHT.items() if key != "password"}
_ASKED_CAPTCHA = ("m.login.recaptcha", 1, None)

ROWS = (
    Row(
        name="right password",
        request=delete_device,
        replies=(_CHALLENGE, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password()),
    ),
    Row(
        name="wrong password",
        request=delete_devices,
        replies=(_CHALLENGE, _REFUSAL, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="session empty and completed null",
        request=delete_devices,
        replies=(_CHALLENGE, challenge(session="", completed=None, errcode="M_FORBIDDEN"), DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="session lost and completed null",
        request=delete_devices,
        replies=(_CHALLENGE, _REFUSAL_UNKNOWN, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="missing parts of a stage",
        request=delete_devices,
        replies=(
            _CHALLENGE,
            challenge(completed=[], errcode="M_BAD_JSON", error="A username must be supplied."),
            DONE,
        ),
        answers={"m.login.password": ({"type": "m.login.password"}, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_BAD_JSON")),
        sent=(ABSENT, typed("m.login.password"), password()),
    ),
    Row(
        name="no password",
        request=delete_devices,
        replies=(
            _CHALLENGE,
            challenge(completed=[], errcode="M_BAD_JSON", error="A password must be supplied."),
            DONE,
        ),
        answers={"m.login.password": (_NO_PASSWORD, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_BAD_JSON")),
        sent=(ABSENT, {**_NO_PASSWORD, "session": SESSION}, password()),
    ),
    Row(
        name="unknown stage type",
        request=delete_devices,
        replies=(_CHALLENGE, error(400, "M_BAD_JSON", "Unknown auth.type: com.example.x")),
        answers={"m.login.password": ({"type": "com.example.x"},)},
        asked=(ASKED,),
        sent=(ABSENT, typed("com.example.x")),
        raises=MatrixError,
        says={"http_status": 400, "errcode": "M_BAD_JSON"},
    ),
    Row(
        name="session alone refused",
        request=delete_devices,
        replies=(error(400, "M_BAD_JSON", "Unknown auth.type: "),),
        sent=({"session": OLD_SESSION},),
        options={"session_id": OLD_SESSION},
        raises=MatrixError,
        says={"http_status": 400, "errcode": "M_BAD_JSON"},
    ),
    Row(
        name="session alone not needed with flows in hand",
        request=delete_devices,
        replies=(DONE,),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(password(session=OLD_SESSION),),
        options={"session_id": OLD_SESSION, "auth_data": _CHALLENGE.body},
    ),
    Row(
        name="session alone refused while waiting",
        request=delete_devices,
        replies=(
            challenge("com.example.elsewhere", completed=[]),
            error(400, "M_BAD_JSON", "Unknown auth.type: "),
            error(400, "M_BAD_JSON", "Unknown auth.type: "),
            DONE,
        ),
        answers={"com.example.elsewhere": (None,)},
        asked=(("com.example.elsewhere", 1, None),),
        sent=(ABSENT, {"session": SESSION}, {"session": SESSION}, {"session": SESSION}),
        waited=(2.0, 2.0, 2.0),
    ),
    # Neither v0.13.8 nor what came after it, which says M_MISSING_PARAM, has a flow for which it would.
    Row(
        name="unknown session",
        request=delete_devices,
        replies=(
            error(400, "M_UNKNOWN", "The auth.session is missing or unknown."),
            challenge(session=NEW_SESSION, completed=[]),
            DONE,
        ),
        answers={"m.login.password": (RIGHT, RIGHT)},
        asked=(ASKED, ASKED),
        sent=(password(session=OLD_SESSION), ABSENT, password(session=NEW_SESSION)),
        options={"session_id": OLD_SESSION, "auth_data": _CHALLENGE.body},
    ),
    Row(
        name="session of another device",
        request=delete_device,
        replies=(_CHALLENGE, error(403, "M_FORBIDDEN", "session and device mismatch")),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password()),
        raises=MatrixError,
        says={"http_status": 403, "errcode": "M_FORBIDDEN"},
    ),
    Row(
        name="password of another user",
        request=delete_devices,
        replies=(_CHALLENGE, error(403, "M_FORBIDDEN", "unable to delete devices for other user"), DONE),
        answers={"m.login.password": (OTHERS, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, {**OTHERS, "session": SESSION}, password()),
    ),
    Row(
        name="password of another user to delete one device",
        request=delete_device,
        replies=(_CHALLENGE, error(403, "M_FORBIDDEN", "Cannot delete another user's device"), DONE),
        answers={"m.login.password": (OTHERS, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, {**OTHERS, "session": SESSION}, password()),
    ),
    Row(
        name="deactivated",
        request=deactivate,
        replies=(_CHALLENGE, _REFUSAL, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="first keys with authentication",
        request=upload_keys,
        replies=(_BARE, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password()),
    ),
    Row(
        name="params null",
        request=change_password,
        replies=(_BARE, DONE),
        answers={"m.login.password": (RIGHT,)},
        asked=(ASKED,),
        sent=(ABSENT, password()),
    ),
    Row(
        name="wrong password without flows",
        request=change_password,
        replies=(_BARE, _BARE_REFUSAL, DONE),
        answers={"m.login.password": (WRONG, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password()),
    ),
    Row(
        name="wrong password without flows three times",
        request=upload_keys,
        replies=(_BARE, _BARE_REFUSAL, _BARE_REFUSAL, _BARE_REFUSAL),
        answers={"m.login.password": (WRONG, WRONG, WRONG)},
        asked=(ASKED, ("m.login.password", 2, "M_FORBIDDEN"), ("m.login.password", 3, "M_FORBIDDEN")),
        sent=(ABSENT, password("wrong"), password("wrong"), password("wrong")),
        raises=StageFailedError,
        says={"stage": "m.login.password", "attempts": 3},
        cause={"http_status": 403, "errcode": "M_FORBIDDEN"},
    ),
    Row(
        name="missing parts of a stage without flows",
        request=upload_keys,
        replies=(_BARE, error(401, "M_BAD_JSON", "A username must be supplied."), DONE),
        answers={"m.login.password": ({"type": "m.login.password"}, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, "M_BAD_JSON")),
        sent=(ABSENT, typed("m.login.password"), password()),
    ),
    Row(
        name="unknown stage type asked for again",
        request=change_password,
        replies=(_BARE, _BARE, DONE),
        answers={"m.login.password": ({"type": "com.example.x"}, RIGHT)},
        asked=(ASKED, ("m.login.password", 2, None)),
        sent=(ABSENT, typed("com.example.x"), password()),
    ),
    Row(
        name="forbidden before anything was submitted",
        request=change_password,
        replies=(error(403, "M_FORBIDDEN", "Password login is disabled"),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 403, "errcode": "M_FORBIDDEN"},
    ),
    Row(
        name="registration by dummy",
        request=register,
        replies=(challenge("m.login.dummy", completed=[]), REGISTERED),
        sent=(ABSENT, typed("m.login.dummy")),
    ),
    Row(
        name="wrong captcha without flows",
        request=register,
        replies=(_CAPTCHA, error(401, "M_BAD_JSON", "invalid captcha response"), REGISTERED),
        answers={"m.login.recaptcha": (_SOLVED, _SOLVED)},
        asked=(_ASKED_CAPTCHA, ("m.login.recaptcha", 2, "M_BAD_JSON")),
        sent=(ABSENT, {**_SOLVED, "session": SESSION}, {**_SOLVED, "session": SESSION}),
    ),
    Row(
        name="missing captcha",
        request=register,
        replies=(_CAPTCHA, error(400, "M_BAD_JSON", "captcha response is required")),
        answers={"m.login.recaptcha": ({"type": "m.login.recaptcha"},)},
        asked=(_ASKED_CAPTCHA,),
        sent=(ABSENT, typed("m.login.recaptcha")),
        raises=MatrixError,
        says={"http_status": 400, "errcode": "M_BAD_JSON"},
    ),
    Row(
        name="unknown stage type at registration",
        request=register,
        replies=(_CAPTCHA, error(501, "M_UNKNOWN", "unknown/unimplemented auth type")),
        answers={"m.login.recaptcha": ({"type": "com.example.x"},)},
        asked=(_ASKED_CAPTCHA,),
        sent=(ABSENT, typed("com.example.x")),
        raises=MatrixError,
        says={"http_status": 501, "errcode": "M_UNKNOWN"},
    ),
    Row(
        name="unknown session silently adopted",
        request=register,
        replies=(challenge("m.login.dummy", session=OLD_SESSION, completed=[]), REGISTERED),
        sent=({"session": OLD_SESSION}, typed("m.login.dummy", OLD_SESSION)),
        options={"session_id": OLD_SESSION},
    ),
    Row(
        name="no registration",
        request=register,
        replies=(error(403, "M_FORBIDDEN", 'Registration is disabled on "throwaway.localhost"'),),
        sent=(ABSENT,),
        raises=MatrixError,
        says={"http_status": 403, "errcode": "M_FORBIDDEN"},
    ),
)
