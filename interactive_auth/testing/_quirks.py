"""How homeservers differ in User-Interactive Authentication, as data for the scripted one (``testing``).

What must not be here: behaviour. Each value is what the named homeserver's source says, or what it was seen to answer;
``tests/servers`` holds its recorded answers against this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal


@dataclass(frozen=True)
class Refusal:
    """An answer that is no success.

    Attributes:
        status: the HTTP status code.
        errcode: the Matrix error code.
        error: the server's words, in which ``{session}`` and ``{type}`` stand for what was sent.
        flows: whether flows, parameters and session are in the body, as in every 401 that offers another try.
    """

    status: int
    errcode: str
    error: str
    flows: bool = False


def _again(errcode: str, error: str) -> Refusal:
    return Refusal(401, errcode, error, flows=True)


@dataclass(frozen=True)
class Quirks:
    """What one homeserver does its own way; the defaults are those of Synapse, and where it has none, the usual ones.

    Attributes:
        unknown_session: the answer to a session that is not known; None if it is taken for a new one.
        one_stage_needs_no_session: whether the session does not matter to a flow of one stage.
        keeps_refused_one_shots: whether the session that the refusal of an answer without a session names is kept.
        session_ends: whether a session is forgotten once the request has succeeded.
        one_request: the answer if a session is used for another method, path or query; None if nobody looks.
        unknown_stage: the answer to a stage that no flow has; None if it is left unanswered: a plain 401.
        unoffered: the stages that are completed by their type although no flow has them.
        session_alone: the answer to a session without a stage; None if it is asked whether all is done.
        session_alone_completes: whether that can be the last request.
        repeats_error: whether an earlier stage's error is in the answer to a session without a stage.
        null_auth: the answer to an ``auth`` of null; None if it is as good as absent.
        empty_auth: the answer to an ``auth`` of ``{}``; None if it is as good as absent.
        wrong: the answers to a wrong answer, or to an address that is not validated yet, by stage; ``"*"`` for others.
        missing: the answers to one that lacks a part, by stage; ``"*"`` for others; else it is as good as wrong.
        identifiers: the types of identifiers that passwords may come with.
        flat_user: whether a password may come with ``user`` instead of an identifier, as long ago.
        no_params: what ``params`` is if there are none.
        completed: when ``completed`` is in a 401: ``"always"``; ``"later"``, not in the first one; or ``"filled"``,
            only if it is not empty.
        completed_sorted: whether it is in the order of the alphabet, and not in that of completion.
        completed_twice: whether a stage that is answered twice is in it twice.
        checks_again: whether the answer to a completed stage is looked at.
        spends_creds: whether validated ``threepid_creds`` work once only.
        delay: where a rate limit states how long it lasts: ``"body"``, ``"header"``, both, or nowhere.
        pages: the stages that have a fallback page; None for all.
        policies: what the ``m.login.terms`` stage asks to accept, if the test does not say.
        endpoints: the quirks of some endpoints, by how their paths end.
    """

    unknown_session: Refusal | None = Refusal(400, "M_UNKNOWN", "Unknown session ID: {session}")
    one_stage_needs_no_session: bool = False
    keeps_refused_one_shots: bool = True
    session_ends: bool = True
    one_request: Refusal | None = None
    unknown_stage: Refusal | None = Refusal(400, "M_INVALID_PARAM", "Invalid login submission")
    unoffered: tuple[str, ...] = ()
    session_alone: Refusal | None = None
    session_alone_completes: bool = True
    repeats_error: bool = False
    null_auth: Refusal | None = None
    empty_auth: Refusal | None = None
    wrong: Mapping[str, Refusal] = field(default_factory=dict)
    missing: Mapping[str, Refusal] = field(default_factory=dict)
    identifiers: tuple[str, ...] = ("m.id.user", "m.id.thirdparty", "m.id.phone")
    flat_user: bool = False
    no_params: Literal["object", "null", "absent"] = "object"
    completed: Literal["always", "later", "filled"] = "later"
    completed_sorted: bool = False
    completed_twice: bool = False
    checks_again: bool = True
    spends_creds: bool = False
    delay: tuple[Literal["body", "header"], ...] = ("body", "header")
    pages: tuple[str, ...] | None = None
    policies: Mapping[str, Any] = field(
        default_factory=lambda: {
            "privacy_policy": {"version": "1.0", "en": {"name": "Privacy Policy", "url": "https://example.org/privacy"}}
        }
    )
    endpoints: Mapping[str, Quirks] = field(default_factory=dict)

    def at(self, path: str) -> Quirks:
        """Return the quirks of an endpoint."""
        return next((quirks for end, quirks in self.endpoints.items() if path.endswith(end)), self)


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
)

_DENDRITE_WORDS = "The username or password was incorrect or the account does not exist."
#: The endpoints for passwords and keys.
_DENDRITE_BARE = Quirks(
    unknown_session=None,
    unknown_stage=None,
    wrong={"*": Refusal(403, "M_FORBIDDEN", _DENDRITE_WORDS)},
    missing={"*": Refusal(401, "M_BAD_JSON", "A username must be supplied.")},
    flat_user=True,
    no_params="null",
    completed="always",
    pages=("m.login.recaptcha",),
)
_DENDRITE_REGISTER = replace(
    _DENDRITE_BARE,
    unknown_stage=Refusal(501, "M_UNKNOWN", "unknown/unimplemented auth type"),
    wrong={"*": Refusal(401, "M_BAD_JSON", "Invalid captcha response")},
    missing={"*": Refusal(400, "M_BAD_JSON", "Captcha response is required")},
    no_params="object",
)
_DENDRITE = replace(
    _DENDRITE_BARE,
    unknown_session=Refusal(400, "M_MISSING_PARAM", "The auth.session is missing or unknown."),
    one_stage_needs_no_session=True,
    unknown_stage=Refusal(400, "M_BAD_JSON", "Unknown auth.type: {type}"),
    session_alone=Refusal(400, "M_BAD_JSON", "Unknown auth.type: "),
    null_auth=Refusal(400, "M_BAD_JSON", "Unknown auth.type: "),
    empty_auth=Refusal(400, "M_BAD_JSON", "Unknown auth.type: "),
    wrong={"*": _again("M_FORBIDDEN", "The username or password was incorrect")},
    missing={"*": _again("M_BAD_JSON", "A username must be supplied.")},
    no_params="object",
    endpoints={
        "/account/password": _DENDRITE_BARE,
        "/keys/device_signing/upload": _DENDRITE_BARE,
        "/register": _DENDRITE_REGISTER,
    },
)

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
    },
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

#: The homeservers whose ways are known, by name.
homeservers: Mapping[str, Quirks] = MappingProxyType(
    {
        "synapse": _SYNAPSE,
        "dendrite": _DENDRITE,
        "conduwuit": _CONDUWUIT,
        "continuwuity": replace(_CONTINUWUITY, endpoints={"/register": replace(_CONTINUWUITY, no_params="object")}),
        "tuwunel": replace(_TUWUNEL, endpoints={"/register": replace(_TUWUNEL, no_params="absent")}),
    }
)
