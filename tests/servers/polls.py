"""What a poll, a wrong answer and a lost session are answered, for each homeserver, and what each answer means.

What must not be here: what the loop makes of it. Sources are named by project and file; what Synapse and Dendrite
v0.13.8 answer was seen, and ``test_real_polls`` sees it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Literal

PASSWORD, TOKEN, EMAIL, OAUTH, SSO = (
    "m.login.password",
    "m.login.registration_token",
    "m.login.email.identity",
    "m.oauth",
    "m.login.sso",
)


class Meaning(Enum):
    """What an answer says about the stage that is awaited, or was answered."""

    OPEN = "a challenge: the stage is not done yet"
    NOT_VALIDATED = "a challenge with an error: not validated, or not approved, yet"
    NO_POLLS = "the homeserver takes no polls for this stage"
    REFUSED = "the request itself is refused, and waiting does not help"
    LOST = "the homeserver does not know the session"
    REPLACED = "another session stands for the one that was named"
    WRONG = "the answer is wrong, and another may be given"


OPEN, NOT_VALIDATED, NO_POLLS, REFUSED = Meaning.OPEN, Meaning.NOT_VALIDATED, Meaning.NO_POLLS, Meaning.REFUSED
LOST, REPLACED, WRONG = Meaning.LOST, Meaning.REPLACED, Meaning.WRONG
_KEYS, _SIGN_UP, _NEW_PASSWORD = "/keys/device_signing/upload", "/register", "/account/password"
#: What is sent: the session alone; the stage's type beside it; ``threepid_creds``; or an answer that is wrong.
Sent = Literal["session", "type", "creds", "wrong"]


@dataclass(frozen=True)
class Answered:
    """One answer.

    Attributes:
        stage: the stage that is awaited, or answered.
        sent: what was sent.
        meaning: what the answer means.
        status: the HTTP status code.
        errcode: the Matrix error code; None for none.
        words: the server's words, in which ``{session}`` stands for the one that was sent; None for none.
        server: the homeserver, one of ``testing.homeservers``.
        source: where it is from, a file of that homeserver's source, or "seen".
        endpoint: what the path ends with.
        flows: whether flows are beside it; None for what is usual, in a 401 alone.
        unlike: why the scripted homeserver does not answer so; None if it does.
        unseen: why no homeserver that these tests run answers so; None if it does, or is of a project that they do not
            run.
    """

    stage: str
    sent: Sent
    meaning: Meaning
    status: int
    errcode: str | None = None
    words: str | None = None
    server: str = ""
    source: str = "seen"
    endpoint: str = "/delete_devices"
    flows: bool | None = None
    unlike: str | None = None
    unseen: str | None = None

    @property
    def has_flows(self) -> bool:
        """Whether flows are beside it."""
        return self.status == 401 if self.flows is None else self.flows


_NEVER = "the scripted one offers the stage, as Dendrite never does"
_VERSION = "the words of another version"
_AFTERWARDS = "it comes after the authentication; fail_next() plays it"
_UNVALIDATED = "Unable to get validated threepid"
_NO_SESSION = "UIAA session does not exist."
_BAD_LOGIN = "The username or password was incorrect or the account does not exist."
_MAS = "it takes an account service (MAS) beside the homeserver"
_SIGN_ON = "it takes single sign-on by another account"
_NO_FLOW = "no flow has two stages"
_ONE_STAGE = "it does where the flow has one stage; see test_against_dendrite"
_LOST_WORDS = "The auth.session is missing or unknown."

_SYNAPSE = partial(Answered, server="synapse")
_DENDRITE = partial(Answered, server="dendrite", source="clientapi/auth/user_interactive.go")
_DENDRITE_BARE = partial(_DENDRITE, source="clientapi/routing/password.go", endpoint=_NEW_PASSWORD)
_DENDRITE_REGISTER = partial(_DENDRITE, source="clientapi/routing/register.go", endpoint=_SIGN_UP)
_CONDUWUIT = partial(Answered, server="conduwuit", source="src/service/uiaa/mod.rs")
_CONTINUWUITY = partial(Answered, server="continuwuity", source="src/service/uiaa/mod.rs")
_TUWUNEL = partial(Answered, server="tuwunel", source="src/service/uiaa/mod.rs")
_PALPO = partial(Answered, server="palpo", source="crates/server/src/uiaa.rs", endpoint=_SIGN_UP)
_PALPO_PASSWORD = partial(_PALPO, source="routing/client/account/password.rs", endpoint=_NEW_PASSWORD)

POLLS = (
    _SYNAPSE(SSO, "session", OPEN, 401),
    _SYNAPSE(EMAIL, "creds", NOT_VALIDATED, 401, "M_UNAUTHORIZED", _UNVALIDATED),
    _SYNAPSE("m.login.msisdn", "creds", NOT_VALIDATED, 401, "M_UNAUTHORIZED", _UNVALIDATED),
    # An address is never found to be validated by a session alone.
    _SYNAPSE(EMAIL, "session", OPEN, 401),
    _SYNAPSE(OAUTH, "type", OPEN, 401, endpoint=_KEYS, unseen=_MAS),
    _SYNAPSE(
        SSO,
        "session",
        REFUSED,
        403,
        "M_FORBIDDEN",
        "Invalid auth",
        unlike="another account has signed on; fail_next() plays it",
        unseen=_SIGN_ON,
    ),
    _SYNAPSE(
        EMAIL, "creds", REFUSED, 400, "M_USER_IN_USE", "User ID already taken.", endpoint=_SIGN_UP, unlike=_AFTERWARDS
    ),
    _SYNAPSE(
        EMAIL,
        "creds",
        REFUSED,
        400,
        "M_THREEPID_IN_USE",
        "email is already in use",
        source="rest/client/register.py",
        endpoint=_SIGN_UP,
        unlike=_AFTERWARDS,
        unseen="the address has to be taken between its validation and the last poll",
    ),
    _SYNAPSE(
        SSO,
        "session",
        REFUSED,
        400,
        "M_INVALID_SIGNATURE",
        "Invalid signature on self_signing key",
        endpoint=_KEYS,
        unlike=_AFTERWARDS,
        unseen="it comes after single sign-on; what is said after a password is the same, see test_real_polls",
    ),
    _DENDRITE(SSO, "session", NO_POLLS, 400, "M_BAD_JSON", "Unknown auth.type: "),
    _DENDRITE(EMAIL, "creds", NO_POLLS, 400, "M_BAD_JSON", f"Unknown auth.type: {EMAIL}", unlike=_NEVER),
    _DENDRITE(OAUTH, "type", NO_POLLS, 400, "M_BAD_JSON", f"Unknown auth.type: {OAUTH}", unlike=_NEVER),
    _DENDRITE_BARE(SSO, "session", OPEN, 401),
    _DENDRITE_REGISTER(SSO, "session", OPEN, 401),
    _DENDRITE_REGISTER(EMAIL, "creds", NO_POLLS, 501, "M_UNKNOWN", "unknown/unimplemented auth type", unlike=_NEVER),
    _CONDUWUIT(SSO, "session", OPEN, 401),
    _CONDUWUIT(OAUTH, "type", OPEN, 401),
    # What refused the last answer in the session is beside it, too.
    _CONTINUWUITY(SSO, "session", OPEN, 401),
    _CONTINUWUITY(
        EMAIL,
        "creds",
        NOT_VALIDATED,
        401,
        "M_THREEPID_AUTH_FAILED",
        "No validation session exists with this ID and secret",
    ),
    _CONTINUWUITY(
        EMAIL,
        "creds",
        NOT_VALIDATED,
        401,
        "M_THREEPID_AUTH_FAILED",
        "Validation failed. Did you use the link that was sent to you?",
        source="src/service/threepid/mod.rs",
        unlike=_VERSION,
    ),
    _CONTINUWUITY(OAUTH, "type", NOT_VALIDATED, 401, "M_FORBIDDEN", "No OAuth ticket available", endpoint=_KEYS),
    _TUWUNEL(SSO, "session", OPEN, 401),
    _TUWUNEL(EMAIL, "creds", NOT_VALIDATED, 401, "M_FORBIDDEN", "Email address has not been validated."),
    _TUWUNEL(
        OAUTH,
        "type",
        NOT_VALIDATED,
        401,
        "M_FORBIDDEN",
        "OAuth cross-signing reset not approved for this session.",
        endpoint=_KEYS,
    ),
    _PALPO(SSO, "session", OPEN, 401),
    # Stages that it does not have stay open for ever.
    _PALPO(OAUTH, "type", OPEN, 401),
    _PALPO_PASSWORD(SSO, "session", OPEN, 401),
)

WRONG_ANSWERS = (
    _SYNAPSE(PASSWORD, "wrong", WRONG, 401, "M_FORBIDDEN", "Invalid username or password"),
    _SYNAPSE(TOKEN, "wrong", WRONG, 401, "M_UNAUTHORIZED", "Invalid registration token"),
    _DENDRITE(PASSWORD, "wrong", WRONG, 401, "M_FORBIDDEN", _BAD_LOGIN),
    _DENDRITE_BARE(PASSWORD, "wrong", WRONG, 403, "M_FORBIDDEN", _BAD_LOGIN),
    _DENDRITE_BARE(PASSWORD, "wrong", WRONG, 403, "M_FORBIDDEN", _BAD_LOGIN, endpoint=_KEYS),
    _DENDRITE_REGISTER("m.login.recaptcha", "wrong", WRONG, 401, "M_BAD_JSON", "invalid captcha response", flows=False),
    _CONDUWUIT(PASSWORD, "wrong", WRONG, 401, "M_FORBIDDEN", "Invalid username or password."),
    _CONDUWUIT(TOKEN, "wrong", WRONG, 401, "M_FORBIDDEN", "Invalid registration token."),
    _CONTINUWUITY(PASSWORD, "wrong", WRONG, 401, "M_FORBIDDEN", "Invalid identifier or password"),
    _CONTINUWUITY(TOKEN, "wrong", WRONG, 401, "M_FORBIDDEN", "Invalid registration token"),
    _TUWUNEL(PASSWORD, "wrong", WRONG, 401, "M_FORBIDDEN", "Invalid username or password."),
    _TUWUNEL(TOKEN, "wrong", WRONG, 401, "M_FORBIDDEN", "Invalid registration token."),
    _PALPO(TOKEN, "wrong", WRONG, 403, "M_FORBIDDEN", "Invalid registration token.", flows=True),
    _PALPO_PASSWORD(PASSWORD, "wrong", REPLACED, 401),
    _PALPO(
        PASSWORD,
        "wrong",
        WRONG,
        401,
        "M_UNAUTHORIZED",
        "wrong username or password.",
        source="routing/client/key/device_signing.rs",
        endpoint=_KEYS,
        flows=False,
    ),
    _PALPO(
        PASSWORD,
        "wrong",
        WRONG,
        401,
        "M_FORBIDDEN",
        "Authentication failed.",
        source="routing/client/account.rs",
        endpoint="/account/deactivate",
        flows=False,
    ),
)

LOST_SESSIONS = (
    _SYNAPSE(SSO, "session", LOST, 400, "M_UNKNOWN", "Unknown session ID: {session}"),
    # It goes on in a session that it does not know, where the flow has one stage, and no flow has more.
    _DENDRITE(PASSWORD, "wrong", OPEN, 401, "M_FORBIDDEN", _BAD_LOGIN, unlike=_ONE_STAGE),
    _DENDRITE(PASSWORD, "wrong", LOST, 400, "M_UNKNOWN", _LOST_WORDS, unseen=_NO_FLOW),
    _DENDRITE(PASSWORD, "wrong", LOST, 400, "M_MISSING_PARAM", _LOST_WORDS, unlike=_VERSION, unseen=_VERSION),
    _DENDRITE(
        PASSWORD,
        "wrong",
        LOST,
        400,
        "M_UNKNOWN",
        "missing or unknown auth.session",
        unlike=_VERSION,
        unseen=_VERSION,
    ),
    _DENDRITE_BARE(SSO, "session", OPEN, 401),
    _DENDRITE_REGISTER(SSO, "session", OPEN, 401),
    _CONDUWUIT(SSO, "session", LOST, 403, "M_FORBIDDEN", _NO_SESSION),
    _CONTINUWUITY(SSO, "session", LOST, 400, "M_INVALID_PARAM", "Invalid session"),
    _TUWUNEL(SSO, "session", LOST, 403, "M_FORBIDDEN", _NO_SESSION),
    _PALPO(SSO, "session", LOST, 404, "M_NOT_FOUND", "resource not found"),
    _PALPO(SSO, "session", LOST, 500, "M_UNKNOWN", "unknown db error", unlike=_VERSION),
    _PALPO_PASSWORD(SSO, "session", REPLACED, 401),
)

#: The answers to the right password of somebody else: server, endpoint, status, errcode, words.
OTHER_USERS = (
    ("synapse", "/delete_devices", 403, "M_FORBIDDEN", "Invalid auth"),
    ("dendrite", "/delete_devices", 403, "M_FORBIDDEN", "unable to delete devices for other user"),
    ("dendrite", "/devices/ONE", 403, "M_FORBIDDEN", "Cannot delete another user's device"),
    ("conduwuit", "/delete_devices", 403, "M_FORBIDDEN", "User ID and access token mismatch."),
    ("continuwuity", "/delete_devices", 401, "M_INVALID_PARAM", "User ID mismatch"),
    ("tuwunel", "/delete_devices", 403, "M_FORBIDDEN", "User ID and access token mismatch."),
    ("palpo", "/keys/device_signing/upload", 403, "M_FORBIDDEN", "User ID does not match."),
)

#: What no homeserver that the tests run answers.
UNSEEN = [answer for answer in (*POLLS, *WRONG_ANSWERS, *LOST_SESSIONS) if answer.unseen is not None]


def method_of(endpoint: str) -> str:
    """Return the HTTP method of an endpoint."""
    return "DELETE" if endpoint.startswith("/devices/") else "POST"
