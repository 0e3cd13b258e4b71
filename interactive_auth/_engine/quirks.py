"""How single homeservers say what the specification leaves open, as data: a row for each wording, with who says it.

What must not be here: what follows from it, which is in ``session`` and ``waiting``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .._errors import MatrixError


class Wording(NamedTuple):
    """One way to say something.

    Attributes:
        status: the HTTP status code.
        errcode: the error code.
        words: what the server's words for people contain, in lower case; empty if the error code says it all.
    """

    status: int
    errcode: str
    words: str = ""


#: The session is not known, or has expired.
SESSION_LOST = (
    Wording(400, "M_UNKNOWN", "unknown session id"),  # Synapse
    Wording(400, "M_MISSING_PARAM", "auth.session is missing or unknown"),  # Dendrite
    Wording(400, "M_UNKNOWN", "auth.session is missing or unknown"),  # Dendrite until 2023
    Wording(400, "M_UNKNOWN", "missing or unknown auth.session"),  # Dendrite until 2022
    Wording(400, "M_INVALID_PARAM", "invalid session"),  # Continuwuity
    Wording(403, "M_FORBIDDEN", "uiaa session does not exist"),  # conduwuit, Tuwunel
    Wording(404, "M_NOT_FOUND", "resource not found"),  # Palpo
    Wording(500, "M_UNKNOWN", "unknown db error"),  # Palpo, another version
)

#: A 403 without flows, in answer to a password, means the password, or the user that it came with.
WRONG_PASSWORD = (
    # Dendrite: /account/password and /keys/device_signing/upload
    Wording(403, "M_FORBIDDEN", "username or password was incorrect"),
    Wording(403, "M_FORBIDDEN", "invalid auth"),  # Synapse, to another user's
    Wording(403, "M_FORBIDDEN", "another user's device"),  # Dendrite, to another user's
    Wording(403, "M_FORBIDDEN", "user id and access token mismatch"),  # conduwuit, Tuwunel, to another user's
    Wording(403, "M_FORBIDDEN", "user id does not match"),  # Palpo, to another user's
)

#: The address is not validated yet. Most servers say so in a 401 with flows, which needs no row.
NOT_VALIDATED = (
    Wording(400, "M_THREEPID_AUTH_FAILED"),
    Wording(403, "M_THREEPID_AUTH_FAILED"),
    Wording(400, "M_SESSION_NOT_VALIDATED"),  # Sydent, whose words homeservers hand on
    Wording(403, "M_SESSION_NOT_VALIDATED"),
)

#: The stage cannot be asked about by what a poll sends.
TAKES_NO_POLLS = (
    Wording(400, "M_BAD_JSON", "unknown auth.type"),  # Dendrite, to a session alone
    Wording(501, "M_UNKNOWN", "unknown/unimplemented auth type"),  # Dendrite's /register
)


def says(error: MatrixError, table: Sequence[Wording]) -> bool:
    """Return whether an answer is one of those in a table."""
    said = (error.error or "").lower()
    return any(error.http_status == row.status and error.errcode == row.errcode and row.words in said for row in table)
