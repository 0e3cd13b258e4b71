"""The homeservers that the scripted one can play (``testing``), as data.

What must not be here: behaviour. Each value is what the named homeserver's source says, or what it was seen to answer;
``tests/servers`` holds its recorded answers against this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ._quirks import Quirks, Refusal


def _again(errcode: str, error: str) -> Refusal:
    return Refusal(401, errcode, error, flows=True)


_UNRECOGNIZED = Refusal(404, "M_UNRECOGNIZED", "Unrecognized request")
_SYNAPSE_THREEPID = _again("M_UNAUTHORIZED", "Unable to get validated threepid")
_SYNAPSE = Quirks(
    session_ends=False,
    one_request=Refusal(403, "M_UNKNOWN", "Requested operation has changed during the UI authentication session."),
    wrong={
        "*": _again("M_FORBIDDEN", "Invalid username or password"),
        "m.login.registration_token": _again("M_UNAUTHORIZED", "Invalid registration token"),
        "m.login.recaptcha": _again("M_UNAUTHORIZED", "Captcha authentication failed"),
        "m.login.email.identity": _SYNAPSE_THREEPID,
        "m.login.msisdn": _SYNAPSE_THREEPID,
        # Its page does it, and nothing else.
        "m.login.sso": Refusal(400, "M_INVALID_PARAM", "Invalid login submission"),
    },
    missing={
        "m.login.password": Refusal(400, "M_INVALID_PARAM", "Invalid login submission"),
        "m.login.registration_token": _again("M_MISSING_PARAM", "Missing registration token"),
        "m.login.recaptcha": _again("M_CAPTCHA_NEEDED", "Captcha response is required"),
    },
    flat_user=True,
    unoffered=("m.login.dummy",),
    completed_sorted=True,
    spends_creds=True,
    pages=("m.login.recaptcha", "m.login.terms", "m.login.sso", "m.login.registration_token", "m.oauth"),
    # Not even registered as endpoints, save for two.
    delegated={
        "/keys/device_signing/upload": None,
        "/register": Refusal(
            403,
            "M_FORBIDDEN",
            "Registration has been disabled. Only m.login.application_service registrations are allowed.",
        ),
        **dict.fromkeys(("/register/available", "/requestToken", "/login", "/logout", "/logout/all"), _UNRECOGNIZED),
        **dict.fromkeys(("/refresh", "*"), _UNRECOGNIZED),
    },
)

# What v0.13.8 was seen to answer.
_DENDRITE_WRONG = "The username or password was incorrect or the account does not exist."
#: The endpoints for passwords and keys. What was right in a session stays so for five minutes, and is of no use.
_DENDRITE_BARE = Quirks(
    unknown_session=None,
    session_ends=False,
    session_alone_completes=False,
    unknown_stage=None,
    wrong={"*": Refusal(403, "M_FORBIDDEN", _DENDRITE_WRONG)},
    other_user=None,
    missing={"*": Refusal(401, "M_BAD_JSON", "A username must be supplied.")},
    no_password=Refusal(401, "M_BAD_JSON", "A password must be supplied."),
    identifiers=("m.id.user",),
    flat_user=True,
    no_params="null",
    completed="always",
    taken=Refusal(400, "M_USER_IN_USE", "Desired user ID is already taken."),
    taken_late=True,
    deactivated={},
    pages=("m.login.recaptcha",),
)
#: A session alone is answered with the account that was made in it, for five minutes.
_DENDRITE_REGISTER = replace(
    _DENDRITE_BARE,
    session_alone_completes=True,
    unknown_stage=Refusal(501, "M_UNKNOWN", "unknown/unimplemented auth type"),
    unoffered=("m.login.dummy",),
    wrong={"*": Refusal(401, "M_BAD_JSON", "invalid captcha response")},
    missing={"*": Refusal(400, "M_BAD_JSON", "captcha response is required")},
    no_params="object",
)
_DENDRITE = replace(
    _DENDRITE_BARE,
    # No flow has two stages, so nobody is told so; after v0.13.8 it would be M_MISSING_PARAM.
    unknown_session=Refusal(400, "M_UNKNOWN", "The auth.session is missing or unknown."),
    one_stage_needs_no_session=True,
    session_ends=True,
    unknown_stage=Refusal(400, "M_BAD_JSON", "Unknown auth.type: {type}"),
    session_alone=Refusal(400, "M_BAD_JSON", "Unknown auth.type: "),
    null_auth=Refusal(400, "M_BAD_JSON", "Unknown auth.type: "),
    empty_auth=Refusal(400, "M_BAD_JSON", "Unknown auth.type: "),
    wrong={"*": _again("M_FORBIDDEN", _DENDRITE_WRONG)},
    other_user=Refusal(403, "M_FORBIDDEN", "unable to delete devices for other user"),
    missing={"*": _again("M_BAD_JSON", "A username must be supplied.")},
    no_password=_again("M_BAD_JSON", "A password must be supplied."),
    no_params="object",
)
_DENDRITE_ENDPOINTS = {
    "/account/password": _DENDRITE_BARE,
    "/keys/device_signing/upload": _DENDRITE_BARE,
    "/register": _DENDRITE_REGISTER,
    "/devices/{device_id}": replace(
        _DENDRITE,
        one_request=Refusal(403, "M_FORBIDDEN", "session and device mismatch"),
        other_user=Refusal(403, "M_FORBIDDEN", "Cannot delete another user's device"),
    ),
    # The real one ends the account of whoever has the password.
    "/account/deactivate": replace(_DENDRITE, other_user=None),
}

_CONDUWUIT = Quirks(
    unknown_session=Refusal(403, "M_FORBIDDEN", "UIAA session does not exist."),
    keeps_refused_one_shots=False,
    unknown_stage=None,
    unoffered=("m.login.dummy",),
    empty_auth=Refusal(400, "M_BAD_JSON", "missing field `session`"),
    wrong={
        "*": _again("M_FORBIDDEN", "Invalid username or password."),
        "m.login.registration_token": _again("M_FORBIDDEN", "Invalid registration token."),
    },
    other_user=Refusal(403, "M_FORBIDDEN", "User ID and access token mismatch."),
    missing={"m.login.password": Refusal(405, "M_UNRECOGNIZED", "Identifier type not recognized.")},
    identifiers=("m.id.user",),
    no_params="null",
    completed="filled",
    completed_twice=True,
    delay=(),
    pages=(),
)

_CONTINUWUITY = Quirks(
    unknown_session=Refusal(400, "M_INVALID_PARAM", "Invalid session"),
    unknown_stage=Refusal(400, "M_INVALID_PARAM", "No flows include the supplied stage"),
    session_alone_completes=False,
    repeats_error=True,
    empty_auth=Refusal(400, "M_BAD_JSON", "missing field `session`"),
    wrong={
        "*": _again("M_FORBIDDEN", "Invalid identifier or password"),
        "m.login.registration_token": _again("M_FORBIDDEN", "Invalid registration token"),
        "m.login.recaptcha": _again("M_FORBIDDEN", "ReCaptcha verification failed"),
        "m.login.email.identity": _again(
            "M_THREEPID_AUTH_FAILED", "No validation session exists with this ID and secret"
        ),
        "m.oauth": _again("M_FORBIDDEN", "No OAuth ticket available"),
    },
    other_user=_again("M_INVALID_PARAM", "User ID mismatch"),
    missing={"m.login.password": _again("M_UNRECOGNIZED", "Identifier type not recognized")},
    identifiers=("m.id.user", "m.id.thirdparty"),
    no_params="null",
    completed="filled",
    checks_again=False,
    spends_creds=True,
    delay=(),
    pages=(),
    policies={
        "version": "latest",
        "privacy_policy": {"en": {"name": "Privacy Policy", "url": "https://example.org/privacy"}},
    },
    # It is said to clients that have logged in by OAuth, to which a registration does not belong.
    delegated={
        "/keys/device_signing/upload": None,
        "/register": None,
        "*": Refusal(403, "M_FORBIDDEN", "Clients authorized with OAuth cannot use this route."),
    },
)
_TUWUNEL = replace(
    _CONDUWUIT,
    unoffered=("m.login.dummy", "m.login.terms"),
    wrong={
        **_CONDUWUIT.wrong,
        "m.login.email.identity": _again("M_FORBIDDEN", "Email address has not been validated."),
        "m.oauth": _again("M_FORBIDDEN", "OAuth cross-signing reset not approved for this session."),
    },
    missing={"m.login.password": Refusal(404, "M_UNRECOGNIZED", "Identifier type not recognized.")},
    no_params="object",
    pages=("m.login.sso", "m.oauth"),
)

_PALPO_TOKEN = Refusal(403, "M_FORBIDDEN", "Invalid registration token.", flows=True)
#: It also means a session that is not known, and an identifier of another type.
_PALPO_AGAIN = Refusal(401, None, flows=True)
_PALPO_FAILED = Refusal(401, "M_FORBIDDEN", "Authentication failed.")
_PALPO = Quirks(
    # Since 2026 a 500 M_UNKNOWN, "unknown db error", if it is a POST.
    unknown_session=Refusal(404, "M_NOT_FOUND", "resource not found"),
    keeps_refused_one_shots=False,
    unknown_stage=None,
    unoffered=("m.login.dummy",),
    empty_auth=Refusal(400, None),
    wrong={
        "m.login.password": Refusal(401, "M_UNAUTHORIZED", "wrong username or password."),
        "m.login.registration_token": _PALPO_TOKEN,
    },
    other_user=Refusal(403, "M_FORBIDDEN", "User ID does not match."),
    missing={"m.login.password": Refusal(401, "M_UNAUTHORIZED", "identifier type not recognized.")},
    identifiers=("m.id.user",),
    no_params="null",
    completed="filled",
    completed_twice=True,
    pages=("m.login.dummy", "m.login.terms"),
    delegated={
        "/account/password": Refusal(
            403, "M_FORBIDDEN", "Password changes are handled by the delegated authentication service."
        )
    },
)
_PALPO_PASSWORD = replace(
    _PALPO,
    unknown_session=_PALPO_AGAIN,
    renews_session=True,
    wrong={"*": _PALPO_AGAIN},
    other_user=_PALPO_AGAIN,
    missing={"*": _PALPO_AGAIN},
)
_PALPO_DEACTIVATE = replace(
    _PALPO,
    unknown_session=_PALPO_FAILED,
    wrong={"*": _PALPO_FAILED},
    other_user=_PALPO_FAILED,
    missing={"*": _PALPO_FAILED},
)

#: The homeservers whose ways are known, by name.
homeservers: Mapping[str, Quirks] = MappingProxyType(
    {
        "synapse": _SYNAPSE,
        "dendrite": replace(_DENDRITE, endpoints=_DENDRITE_ENDPOINTS),
        "conduwuit": _CONDUWUIT,
        "continuwuity": replace(_CONTINUWUITY, endpoints={"/register": replace(_CONTINUWUITY, no_params="object")}),
        "tuwunel": replace(_TUWUNEL, endpoints={"/register": replace(_TUWUNEL, no_params="absent")}),
        "palpo": replace(
            _PALPO, endpoints={"/account/password": _PALPO_PASSWORD, "/account/deactivate": _PALPO_DEACTIVATE}
        ),
    }
)
