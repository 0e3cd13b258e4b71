"""What the server has said so far in one UIA session: merging its replies and telling them apart.

What must not be here: I/O, a clock, threads, waiting. Replies come in as exceptions and leave as a ``Reply``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._errors import MatrixError
from .._replies import Reply, classify_failure
from .._text import encodable, is_text, plain
from .._types import AuthType
from .flows import Stages, read_flows
from .quirks import NOT_VALIDATED, SESSION_LOST, WRONG_PASSWORD, Wording, says

#: The access token's 401s (client-server API, "Soft logout", "Account locking"); the UIA session outlives them.
_LOGGED_OUT = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_LOCKED"})
#: What means, without flows, that the answer to a stage was wrong.
_WRONG_ANSWERS: Mapping[str, Sequence[Wording]] = {
    AuthType.PASSWORD: WRONG_PASSWORD,
    AuthType.EMAIL: NOT_VALIDATED,
    AuthType.MSISDN: NOT_VALIDATED,
}
#: As many stages are remembered of flows that are not walked any more.
_MOST_STAGES = 32


class UIASession:
    """One session's state, as the server's replies have made it.

    Attributes:
        flows: the flows offered last.
        params: the stages' parameters given last, by stage type.
        id: the session's id, None if none is known.
        completed: the stages completed, in the server's order; a dict for its order and its membership test.
        chosen: the flow being walked, None before the first choice.
        rejections: how many answers to each stage were rejected in the session.
        errors: what rejected the last answer to each stage of the chosen flow.
    """

    __slots__ = ("chosen", "completed", "errors", "flows", "id", "params", "rejections")

    def __init__(self, id: str | None = None) -> None:
        self.chosen: Stages | None = None
        self.flows: tuple[Stages, ...] = ()
        self.params: dict[str, Any] = {}
        self.id = id
        self.completed: dict[str, None] = {}
        self.rejections: dict[str, int] = {}
        self.errors: dict[str, MatrixError] = {}

    def choose(self, flow: Stages) -> None:
        """Walk a flow; what rejected answers to stages of others is forgotten."""
        self.chosen = flow
        if self.errors:
            self.errors = {stage: error for stage, error in self.errors.items() if stage in flow}
        if len(self.rejections) > _MOST_STAGES:
            self.rejections = {stage: count for stage, count in self.rejections.items() if stage in flow}

    def forget(self) -> None:
        """Drop a session that the server no longer knows; the chosen flow stays the one that is preferred."""
        self.flows = ()
        self._leave()

    def succeed(self) -> None:
        """Let go of what the server has said but the walked flow: it has acted, and nothing more is asked."""
        flow = self.chosen or ()
        self.flows = ()
        self.params = {stage: params for stage, params in self.params.items() if stage in flow}
        self.errors = {}

    def _leave(self) -> None:
        self.id = None
        self.completed = {}
        self.rejections = {}
        self.errors = {}

    def enter(self, id: str) -> None:
        """Go on in a session; nothing that was done in another one counts in it."""
        if self.id not in (None, id):
            self._leave()
        self.id = id

    def auth(self) -> dict[str, Any] | None:
        """Return the auth dict that only names the session, None if there is none to name."""
        return {"session": self.id} if self.id else None

    def named(self, auth: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of ``auth`` that names the session, unless it names one of its own."""
        named = dict(auth)
        if named.get("type") is None:
            named.pop("type", None)
        if named.get("session") is None:
            named.pop("session", None)
            named.update(self.auth() or {})
        return named

    def merge(self, body: Mapping[str, Any]) -> None:
        """Take over what a 401's body says; what is absent, null, empty or of a wrong type keeps its old value."""
        session, completed, params = body.get("session"), body.get("completed"), body.get("params")
        if is_text(session):
            self.enter(session)
        if isinstance(completed, list):
            self.completed = dict.fromkeys(stage for stage in completed if is_text(stage))
        if isinstance(params, dict):
            self.params = params
        self.flows = read_flows(body.get("flows")) or self.flows

    def saved_body(self) -> dict[str, Any]:
        """Return what the server has said as the body of a 401, to be merged by another process; {} if nothing."""
        if not self.flows:
            return {}
        return {
            "flows": [{"stages": list(flow)} for flow in self.flows],
            "params": plain(self.params, encodable),
            "completed": list(self.completed),
        }

    def save(self) -> dict[str, Any]:
        """Return what a resumed session needs beside the body of a 401; copies first, as the attempt may go on."""
        saved: dict[str, Any] = {}
        if self.chosen is not None and self.chosen in self.flows:
            saved["flow"] = list(self.chosen)
        if self.rejections:
            saved["rejections"] = dict(self.rejections)
        if self.errors:
            saved["errors"] = {stage: list(error.args) for stage, error in self.errors.copy().items()}
        return saved

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what ``save`` returned; whatever is not of its form counts as nothing."""
        chosen, rejections, errors = saved.get("flow"), saved.get("rejections"), saved.get("errors")
        self.chosen = next((flow for flow in self.flows if list(flow) == chosen), None)
        if isinstance(rejections, Mapping):
            self.rejections = {k: n for k, n in rejections.items() if isinstance(k, str) and _is_count(n)}
        if isinstance(errors, Mapping):
            self.errors = {
                stage: MatrixError(*error)
                for stage, error in errors.items()
                if stage in self.rejections and _is_error(error)
            }

    def receive(self, error: Exception, submitted: str | None = None, *, with_session: bool = False) -> Reply:
        """Tell what an unsuccessful answer means, and take over what it says.

        Args:
            error: what ``do_request`` raised, one of ``FAILURES``.
            submitted: the stage that the request answered; None for a poll, or a request that answered none.
            with_session: whether the request named a session.
        """
        if not isinstance(error, MatrixError):
            return classify_failure(error)
        if error.http_status == 401 and not _has_flows(error) and (error.errcode in _LOGGED_OUT or not self.flows):
            return Reply.LOGGED_OUT if error.errcode in _LOGGED_OUT else Reply.FAILURE
        # Palpo refuses a wrong answer with a 403 that is a challenge all the same.
        if error.http_status == 401 or (error.http_status == 403 and submitted is not None and _has_flows(error)):
            return self._challenge(error, submitted)
        if with_session and says(error, SESSION_LOST):
            return Reply.SESSION_LOST
        if submitted is not None and says(error, _WRONG_ANSWERS.get(submitted, ())):
            return self._reject(submitted, error)
        if submitted is not None:
            # Whatever is wrong now, it is not what was wrong with the answer before.
            self.errors.pop(submitted, None)
        return classify_failure(error)

    def _challenge(self, error: MatrixError, submitted: str | None) -> Reply:
        rejected = self.rejections.get(submitted or "", 0)
        self.merge(error.data)
        if submitted is None:
            return Reply.CHALLENGE
        if submitted in self.completed:
            # Synapse repeats an errcode beside the stage that it has completed.
            self.errors.pop(submitted, None)
            return Reply.CHALLENGE
        # Palpo opens a new session with each refusal, but the person's next answer is not the first one.
        self.rejections[submitted] = max(rejected, self.rejections.get(submitted, 0))
        return self._reject(submitted, error)

    def _reject(self, stage: str, error: MatrixError) -> Reply:
        self.rejections[stage] = self.rejections.get(stage, 0) + 1
        self.errors[stage] = error
        return Reply.REJECTION


def _has_flows(error: MatrixError) -> bool:
    return isinstance(error.data.get("flows"), list)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_error(value: object) -> bool:
    """Return whether a value is the ``args`` of a MatrixError, as JSON has them."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and isinstance(value[0], int)
        and not isinstance(value[0], bool)
        and isinstance(value[1], Mapping)
    )
