"""The scripted homeserver's side of User-Interactive Authentication (``testing``): sessions, stages, answers.

What must not be here: HTTP, and how single homeservers differ, which is data in ``_homeservers``.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._checks import type_error
from .._tracebacks import without_frames
from ._accounts import Account, Accounts, Caller
from ._homeservers import homeservers
from ._http import ReceivedRequest, Response
from ._names import check_stage, check_stages
from ._quirks import Quirks, Refusal
from ._threepid import MEDIA, Message, Validations

#: The right answer to a stage: its secret, or fields that the auth dict must have, or a function that looks at it.
Answer = str | Mapping[str, Any] | Callable[[dict[str, Any]], bool]

#: The key of an auth dict that the secret of a stage stands under.
_SECRETS: Mapping[str, str] = {
    "m.login.password": "password",
    "m.login.recaptcha": "response",
    "m.login.registration_token": "token",
    "org.matrix.msc3231.login.registration_token": "token",
}
#: The stages that are completed by their type alone, and those that are done on a page, where no answer is wrong.
_BY_TYPE = frozenset({"m.login.dummy", "m.login.terms"})
_ELSEWHERE = frozenset({"m.login.sso", "org.matrix.login.sso", "m.oauth", "org.matrix.cross_signing_reset"})
_OAUTH = frozenset({"m.oauth", "org.matrix.cross_signing_reset"})
_NO_ANSWER = Refusal(401, "M_FORBIDDEN", "no answer to {type} is right: the script has none for it", flows=True)
_WRONG = Refusal(401, "M_FORBIDDEN", "Wrong answer", flows=True)


class _Session:
    """One session.

    Attributes:
        id: its id.
        operation: the request that it is for.
        kept: whether the server knows it.
        completed: the stages that are completed, in their order.
        due: the stages that somebody is about to complete, and how many more requests find them open.
        error: what refused the last answer.
    """

    def __init__(self, id: str, operation: tuple[str, str, str], *, kept: bool = True) -> None:
        self.id = id
        self.operation = operation
        self.kept = kept
        self.completed: list[str] = []
        self.due: dict[str, int] = {}
        self.error: Refusal | None = None

    def come_due(self) -> None:
        """Complete what is due, before a request is answered."""
        self.completed += [stage for stage, left in self.due.items() if left == 0 and stage not in self.completed]
        self.due = {stage: left - 1 for stage, left in self.due.items() if left > 0}


class ScriptedUIA:
    """What is asked for and what is right, and the state that the requests have led to; ``UIAServer`` sends it.

    All attributes may be set at any time, in the middle of a session, too.
    """

    _base_url: str

    def __init__(
        self,
        flows: Sequence[Sequence[str]] | None,
        answers: Mapping[str, Answer],
        params: Mapping[str, Mapping[str, Any] | None],
        quirks: str | Quirks,
    ) -> None:
        self._accounts = Accounts()
        self.flows = flows
        self.answers = answers
        self.params = params
        self.quirks = quirks
        self._lock = threading.RLock()  # callables of the script may call back
        self._sessions: dict[str, _Session] = {}
        self._early: dict[str, int] = {}
        self._validations = Validations()

    @property
    def flows(self) -> Sequence[Sequence[str]] | None:
        """The flows, each a sequence of stages; empty for none that can be gone, None for no authentication."""
        return self._flows

    @flows.setter
    @without_frames
    def flows(self, value: Sequence[Sequence[str]] | None) -> None:
        if isinstance(value, str) or any(isinstance(flow, str) for flow in value or ()):
            raise TypeError("flows must be a sequence of flows, each a sequence of stages")
        self._flows = None if value is None else [[str(stage) for stage in flow] for flow in value]

    @property
    def answers(self) -> Mapping[str, Answer]:
        """The right answers by stage; see ``UIAServer``."""
        return self._answers

    @answers.setter
    @without_frames
    def answers(self, value: Mapping[str, Answer]) -> None:
        check_stages("answers", value, self._offered())
        self._answers = value

    @property
    def params(self) -> Mapping[str, Mapping[str, Any] | None]:
        """The stages' parameters; see ``UIAServer``."""
        return self._params

    @params.setter
    @without_frames
    def params(self, value: Mapping[str, Mapping[str, Any] | None]) -> None:
        check_stages("params", value, self._offered())
        self._params = value

    def _offered(self) -> list[str]:
        return [stage for flow in self.flows or () for stage in flow]

    @property
    def quirks(self) -> Quirks:
        """The quirks of the homeserver that is played; set by its name in ``homeservers``, or to some of one's own."""
        return self._quirks

    @quirks.setter
    @without_frames
    def quirks(self, value: str | Quirks) -> None:
        if not isinstance(value, (str, Quirks)):
            raise type_error("quirks", "a str or Quirks", value)
        if isinstance(value, str) and value not in homeservers:
            raise ValueError(f"quirks must be one of {', '.join(homeservers)}, or Quirks, not {value!r}")
        self._quirks = homeservers[value] if isinstance(value, str) else value

    @property
    def sessions(self) -> list[str]:
        """The ids of the sessions that the server knows, the oldest first."""
        with self._lock:
            return list(self._sessions)

    @property
    def messages(self) -> list[Message]:
        """The mails and SMS that were sent, the oldest first."""
        with self._lock:
            return list(self._validations.messages)

    @without_frames
    def completed(self, session: str) -> list[str]:
        """Return the stages that are completed in a session, in the order in which they were.

        Raises:
            KeyError: the server does not know the session.
        """
        with self._lock:
            return list(self._sessions[session].completed)

    @without_frames
    def complete(self, stage: str, *, session: str | None = None, after: int = 0) -> None:
        """Do a stage elsewhere than in the client, as a person would: on its page, or by the link in a mail or SMS.

        The client learns of it by the next request that it sends.

        Args:
            stage: the stage's type. An email or msisdn stage is completed by the address of its last message, or of
                the first one to come.
            session: the session's id; None for the newest one, or for the first one to come.
            after: how many more requests are to find the stage open.

        Raises:
            KeyError: the server does not know the session.
            ValueError: there is no such stage.
        """
        with self._lock:
            stage = check_stage("stage", stage, (*self._offered(), *self.answers))
            if stage in MEDIA:
                self._validations.complete(MEDIA[stage], after)
            elif session is None and not self._sessions:
                self._early[stage] = after
            else:
                found = self._sessions[list(self._sessions)[-1] if session is None else session]
                if after == 0 and stage not in found.completed:
                    found.completed.append(stage)
                else:
                    found.due[stage] = after

    def expire_sessions(self) -> None:
        """Forget all sessions, as servers do after hours, some at their restart."""
        with self._lock:
            self._sessions.clear()

    def _authenticate(self, request: ReceivedRequest, caller: Caller) -> Response | None:
        """Return the answer to a request that wants authentication; None if it has it."""
        quirks, flows = self.quirks.at(request.path), self.flows
        if flows is None:
            return None
        operation = (request.method, request.path, request.query)
        auth = request.body.get("auth", {})
        if not auth:
            refusal = None if "auth" not in request.body else quirks.null_auth if auth is None else quirks.empty_auth
            if refusal is not None:
                return self._refuse(refusal, {})
            return self._challenge(self._open(operation), quirks, first=True)
        if not isinstance(auth, dict) or not all(isinstance(auth.get(key, ""), str) for key in ("type", "session")):
            return Response(400, {"errcode": "M_BAD_JSON", "error": "auth is not an auth dict"})
        stage, known = auth.get("type"), self._sessions.get(auth.get("session") or "")
        if stage is None and quirks.session_alone is not None:
            return self._refuse(quirks.session_alone, auth)
        session = known or self._enter(auth, operation, quirks)
        if isinstance(session, Refusal):
            return self._refuse(session, auth, self._open(operation) if session.flows else None, quirks)
        bound = self.quirks.at(session.operation[1]).one_request is not None
        if bound and session.operation != operation and quirks.one_request is not None:
            return self._refuse(quirks.one_request, auth)
        session.come_due()
        error = self._answer_stage(session, auth, quirks, caller.account)
        if error is not None and known is None and not quirks.keeps_refused_one_shots:
            self._sessions.pop(session.id, None)
        if error is not None and quirks.renews_session:
            self._sessions.pop(session.id, None)
            session = self._open(operation)
        if error is not None and not error.flows:
            return self._refuse(error, auth)
        done = any(set(flow) <= set(session.completed) for flow in flows)
        if not done or (stage is None and not quirks.session_alone_completes):
            return self._challenge(session, quirks) if error is None else self._refuse(error, auth, session, quirks)
        if quirks.session_ends:
            self._sessions.pop(session.id, None)
        return None

    def _open(self, operation: tuple[str, str, str], id: str = "") -> _Session:
        session = _Session(id or secrets.token_urlsafe(18), operation)
        session.due, self._early = self._early, {}
        self._sessions[session.id] = session
        return session

    def _enter(self, auth: Mapping[str, Any], operation: tuple[str, str, str], quirks: Quirks) -> _Session | Refusal:
        """Return what stands for a session that the server does not know."""
        id = auth.get("session") or ""
        if quirks.one_stage_needs_no_session and quirks.unknown_session is not None:
            alone = any(list(flow) == [auth.get("type")] for flow in self.flows or ())
            return _Session(id, operation, kept=False) if alone else quirks.unknown_session
        if id and quirks.unknown_session is not None:
            return quirks.unknown_session
        return self._open(operation, id)

    def _answer_stage(
        self, session: _Session, auth: dict[str, Any], quirks: Quirks, asking: Account | None
    ) -> Refusal | None:
        """Complete the stage that is answered, or return what is wrong with the answer."""
        stage = auth.get("type")
        if stage is None:
            return session.error if quirks.repeats_error else None
        offered = self._offered()
        if stage in _OAUTH:  # one stage of two names, under either of which clients answer it
            stage = next((each for each in offered if each in _OAUTH), stage)
        if stage not in offered and stage not in quirks.unoffered:
            return quirks.unknown_stage
        if stage in session.completed and not quirks.checks_again:
            return session.error
        session.error = self._judge(session, stage, auth, quirks, asking)
        done = session.error is None and (stage not in _ELSEWHERE or stage in self.answers)
        if done and (stage not in session.completed or quirks.completed_twice):
            session.completed.append(stage)
        return session.error

    def _judge(
        self, session: _Session, stage: str, auth: dict[str, Any], quirks: Quirks, asking: Account | None
    ) -> Refusal | None:
        wrong = quirks.wrong.get(stage) or quirks.wrong.get("*") or _WRONG
        if not _is_whole(stage, auth, quirks):
            if quirks.no_password is not None and stage == "m.login.password" and _names_user(auth, quirks):
                return quirks.no_password
            return quirks.missing.get(stage) or quirks.missing.get("*") or wrong
        if stage in MEDIA:
            spend = quirks.spends_creds
            right = self._validations.validated(MEDIA[stage], auth["threepid_creds"], spend=spend)
            return None if right else wrong
        if stage in self.answers:
            return None if self._is_right(stage, auth) else wrong
        if stage == "m.login.password" and self._accounts.known:
            account = self._accounts.check_password(auth)
            another = account is not None and asking is not None and account is not asking
            return wrong if account is None else quirks.other_user if another else None
        if stage in _ELSEWHERE:
            refusal = quirks.wrong.get(stage)
            return None if refusal is None or (refusal.flows and stage in session.completed) else refusal
        return None if stage in _BY_TYPE or stage in session.completed else _NO_ANSWER

    def _is_right(self, stage: str, auth: dict[str, Any]) -> bool:
        answer = self.answers.get(stage)
        if answer is None or callable(answer):
            return answer is not None and answer(auth)
        if isinstance(answer, str):
            key = "token" if stage == "m.login.msisdn" else _SECRETS.get(stage)
            return answer in auth.values() if key is None else auth.get(key) == answer
        return all(key in auth and auth[key] == value for key, value in answer.items())

    def _challenge(self, session: _Session, quirks: Quirks, *, first: bool = False) -> Response:
        flows = [{"stages": stages} for stages in self.flows or ()]
        body: dict[str, Any] = {"flows": flows, "session": session.id}
        found = {each: self._params_of(each, session, quirks) for stages in self.flows or () for each in stages}
        params = {stage: value for stage, value in found.items() if value is not None}
        if params or quirks.no_params != "absent":
            body["params"] = params or ({} if quirks.no_params == "object" else None)
        completed = sorted(session.completed) if quirks.completed_sorted else list(session.completed)
        if completed or quirks.completed == "always" or (quirks.completed == "later" and not first):
            body["completed"] = completed if session.kept else None
        return Response(401, body)

    def _refuse(
        self, error: Refusal, auth: Mapping[str, Any], session: _Session | None = None, quirks: Quirks | None = None
    ) -> Response:
        """Answer with an error; in a session that goes on, its flows are beside it."""
        body = {} if session is None or quirks is None else self._challenge(session, quirks).body
        return Response(error.status, {**body, **_words(error, auth)})

    def _params_of(self, stage: str, session: _Session, quirks: Quirks) -> Mapping[str, Any] | None:
        if stage in self.params:
            return self.params[stage]
        if stage == "m.login.terms":
            return {"policies": quirks.policies}
        if stage == "m.login.recaptcha":
            return {"public_key": "a-site-key"}
        return {"url": f"{self._base_url}/approve/{stage}?session={session.id}"} if stage in _OAUTH else None


def _is_whole(stage: str, auth: Mapping[str, Any], quirks: Quirks) -> bool:
    """Return whether an auth dict has the parts that the specification wants for its stage."""
    if stage in MEDIA:
        creds = auth.get("threepid_creds")
        return isinstance(creds, dict) and {"sid", "client_secret"} <= creds.keys()
    if stage == "m.login.password" and not _names_user(auth, quirks):
        return False
    return stage not in _SECRETS or isinstance(auth.get(_SECRETS[stage]), str)


def _names_user(auth: Mapping[str, Any], quirks: Quirks) -> bool:
    """Return whether an answer to a password stage says whose password it is, in a way that is understood."""
    identifier = auth.get("identifier")
    kind = identifier.get("type") if isinstance(identifier, dict) else None
    return kind in quirks.identifiers or (quirks.flat_user and "user" in auth)


def _words(error: Refusal, auth: Mapping[str, Any]) -> dict[str, str]:
    if error.errcode is None:
        return {}
    words = error.error.replace("{session}", str(auth.get("session"))).replace("{type}", str(auth.get("type")))
    return {"errcode": error.errcode, "error": words}
