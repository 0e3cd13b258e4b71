"""What the server has said so far in one UIA session: merging its replies and telling them apart.

What must not be here: I/O, a clock, threads, waiting. Replies come in as exceptions and leave as a ``Reply``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._errors import MatrixError
from .._text import is_text
from .._types import AuthType
from .flows import Stages, read_flows
from .replies import Reply, classify_failure

#: The access token's 401s (client-server API, "Soft logout", "Account locking"); the UIA session outlives them.
_LOGGED_OUT = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_LOCKED"})


class _Lost(NamedTuple):
    status: int
    errcode: str
    words: str


#: How each server says that it does not know the session; the specification leaves it open.
_SESSION_LOST = (
    _Lost(400, "M_UNKNOWN", "unknown session id"),  # Synapse
    _Lost(400, "M_MISSING_PARAM", "auth.session is missing or unknown"),  # Dendrite
    _Lost(400, "M_UNKNOWN", "auth.session is missing or unknown"),  # Dendrite until 2023
    _Lost(400, "M_INVALID_PARAM", "invalid session"),  # Continuwuity
    _Lost(403, "M_FORBIDDEN", "uiaa session does not exist"),  # conduwuit, Tuwunel
)


class UIASession:
    """One session's state, as the server's replies have made it.

    Attributes:
        flows: the flows offered last.
        params: the stages' parameters given last, by stage type.
        session: the session's id, None if none is known.
        completed: the stages completed, in the server's order; a dict for its order and its membership test.
        chosen: the flow being walked, None before the first choice.
        rejections: how many answers to each stage were rejected in the session.
        errors: what rejected the last answer to each stage.
    """

    __slots__ = ("chosen", "completed", "errors", "flows", "params", "rejections", "session")

    def __init__(self, session: str | None = None) -> None:
        self.chosen: Stages | None = None
        self.flows: tuple[Stages, ...] = ()
        self.params: dict[str, Any] = {}
        self.session = session
        self.completed: dict[str, None] = {}
        self.rejections: dict[str, int] = {}
        self.errors: dict[str, MatrixError] = {}

    def forget(self) -> None:
        """Drop a session that the server no longer knows; the chosen flow stays the one that is preferred."""
        self.flows = ()
        self._leave()

    def _leave(self) -> None:
        self.session = None
        self.completed = {}
        self.rejections = {}
        self.errors = {}

    def merge(self, body: Mapping[str, Any]) -> None:
        """Take over what a 401's body says; what is absent, null, empty or of a wrong type keeps its old value."""
        session, completed, params = body.get("session"), body.get("completed"), body.get("params")
        if is_text(session) and session != self.session:
            # The answer to a request that named no session opens one: nothing was done in another one.
            if self.session is not None:
                self._leave()
            self.session = session
        if isinstance(completed, list):
            self.completed = dict.fromkeys(stage for stage in completed if isinstance(stage, str))
        if isinstance(params, dict):
            self.params = params
        self.flows = read_flows(body.get("flows")) or self.flows

    def save(self) -> dict[str, Any]:
        """Return what a resumed session needs beside the body of a 401."""
        chosen = self.chosen if self.chosen in self.flows else None
        return {"chosen": list(chosen or ()), "rejections": dict(self.rejections)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what ``save`` returned; anything else counts as nothing."""
        chosen, rejections = saved.get("chosen"), saved.get("rejections")
        self.chosen = next((flow for flow in self.flows if list(flow) == chosen), None)
        if isinstance(rejections, dict):
            self.rejections = {k: n for k, n in rejections.items() if isinstance(k, str) and isinstance(n, int)}

    def receive(self, error: Exception, submitted: str | None = None, *, with_session: bool = False) -> Reply:
        """Tell what an unsuccessful answer means, and take over what it says.

        Args:
            error: what ``do_request`` raised, one of ``FAILURES``.
            submitted: the stage that the request answered; None for a poll, or a request that answered none.
            with_session: whether the request named a session.
        """
        if not isinstance(error, MatrixError):
            return classify_failure(error)
        if error.http_status == 401:
            return self._receive_401(error, submitted)
        if with_session and _says_session_lost(error):
            return Reply.SESSION_LOST
        if error.http_status == 403 and error.errcode == "M_FORBIDDEN" and submitted == AuthType.PASSWORD:
            # Dendrite's /account/password and /keys/device_signing/upload answer a wrong password so.
            return self._reject(submitted, error) if not _has_flows(error) else Reply.FAILURE
        if submitted is not None:
            # Whatever is wrong now, it is not what was wrong with the answer before.
            self.errors.pop(submitted, None)
        return classify_failure(error)

    def _receive_401(self, error: MatrixError, submitted: str | None) -> Reply:
        challenge = _has_flows(error)
        if not challenge and (error.errcode in _LOGGED_OUT or not self.flows):
            return Reply.LOGGED_OUT if error.errcode in _LOGGED_OUT else Reply.FAILURE
        self.merge(error.data)
        # Synapse repeats an errcode beside the stage it has completed: that is no rejection.
        blamed = not challenge or error.errcode is not None or error.error is not None
        if submitted is not None and submitted not in self.completed and blamed:
            return self._reject(submitted, error)
        if submitted is not None:
            self.errors.pop(submitted, None)
        return Reply.CHALLENGE

    def _reject(self, stage: str, error: MatrixError) -> Reply:
        self.rejections[stage] = self.rejections.get(stage, 0) + 1
        self.errors[stage] = error
        return Reply.REJECTION


def _has_flows(error: MatrixError) -> bool:
    return isinstance(error.data.get("flows"), list)


def _says_session_lost(error: MatrixError) -> bool:
    said = (error.error or "").lower()
    return any(
        error.http_status == row.status and error.errcode == row.errcode and row.words in said for row in _SESSION_LOST
    )
