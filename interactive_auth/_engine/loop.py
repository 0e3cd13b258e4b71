"""One attempt: request, classify, merge, choose, ask, submit, until the server has acted or something ends it.

What must not be here: HTTP, printing, prompting, and the rules of the protocol, which are in ``_session`` (what a
reply means) and ``_flows`` (what comes next).
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar, cast

from .._checks import check_mapping
from .._errors import MatrixError, ServerProtocolError, StageFailedError
from .._types import AuthType, Stage, StartAuthStage
from .context import CURRENT
from .conversation import Shared
from .flows import Needs, Stages, choose_flow, count_open, next_stage
from .handover import Submission
from .replies import Reply
from .retry import Retries
from .waiting import Waiting

T = TypeVar("T")

#: Consecutive requests that brought the flow no nearer to its end, polls aside, before the server is given up.
_MOST_IDLE = 20
_UNDECIDED = (Reply.CHALLENGE, Reply.REJECTION)


class Attempt(Generic[T]):
    """One call of ``attempt_auth()``: what it counts ends with it, what it learns stays in ``shared``."""

    def __init__(self, shared: Shared[T]) -> None:
        self._shared = shared
        self._session = shared.session
        self._handover = shared.handover
        self._restarted = False
        self._wrong: dict[str, int] = {}
        self._last_wrong: str | None = None
        self._waited: dict[str, float] = {}
        # How near the chosen flow has come to its end in this attempt, and the requests since then.
        self._nearest = math.inf
        self._idle = 0

    def run(self) -> T:
        """Drive the request to its response, or raise what ends the attempt."""
        if self._shared.response:
            # Ctrl-C or a busy_changed that raised came between the server's answer and the caller.
            return self._shared.response[0]
        try:
            return self._go_on()
        finally:
            self._shared.failure.clear()

    def _go_on(self) -> T:
        asked_again = False
        reply = Reply.CHALLENGE if self._session.flows else self._send(self._shared.session_auth())
        while reply is not Reply.SUCCESS:
            self._handover.check()
            if reply is Reply.SESSION_LOST:
                reply = self._start_over()
                continue
            flow = self._choose()
            stage = next_stage(flow, self._session.completed)
            if stage is not None:
                asked_again = False
                self._request_tokens(flow)
                reply = self._submit_dummy() if stage == AuthType.DUMMY else self._do_stage_to_its_end(stage)
            elif not asked_again:
                # A server may not have noticed that nothing is left to do: ask once more, with the session alone.
                asked_again = True
                reply = self._send(self._shared.session_auth())
            else:
                raise ServerProtocolError(
                    "every stage of the flow is completed, and the server still asks for authentication"
                ) from self._shared.failure[0]
        return self._shared.response[0]

    def _start_over(self) -> Reply:
        if self._restarted:
            raise self._shared.failure[0]
        self._restarted = True
        self._session.forget()
        return self._send(None)

    def _choose(self) -> Stages:
        session, threepids = self._session, self._shared.threepids
        given = {stage for stage, threepid in threepids.items() if threepid.address or threepid.sid}
        needs = Needs(self._shared.supported, self._shared.handlers.handled, given)
        session.chosen = choose_flow(session.flows, session.completed, needs, session.chosen)
        left = count_open(session.chosen, session.completed)
        if left < self._nearest:
            self._nearest, self._idle = left, 0
        return session.chosen

    def _request_tokens(self, flow: Stages) -> None:
        """Have the mail and the SMS sent before anybody is asked anything, so that a bad address fails early."""
        for stage, threepid in self._shared.threepids.items():
            due = stage in flow and stage not in self._session.completed and threepid.sid is None
            if due and threepid.address is not None and threepid.request is not None:
                self._shared.request_token(threepid, threepid.address)

    def _send(self, auth: dict[str, object] | None, submitted: str | None = None) -> Reply:
        """Send a request in the foreground, again after trouble as the retry policy allows."""
        with Retries(self._shared.retry) as retries:
            while True:
                self._handover.check()
                self._check_progress()
                self._set_busy(True)
                try:
                    reply = self._shared.exchange(auth, submitted)
                finally:
                    self._set_busy(False)
                if reply is Reply.SUCCESS:
                    return reply
                if reply is not Reply.TRANSIENT:  # the retry policy has a limit for those
                    self._idle += 1
                if reply in _UNDECIDED or reply is Reply.SESSION_LOST:
                    return reply
                self._shared.pause(retries.wait_after(reply, self._shared.failure[0]))

    def _check_progress(self) -> None:
        if self._idle >= _MOST_IDLE:
            raise ServerProtocolError(
                f"{self._idle} requests in a row have brought the authentication no nearer to its end"
            ) from self._shared.failure[0]

    def _set_busy(self, busy: bool) -> None:
        if self._shared.busy_changed is not None:
            self._shared.busy_changed(busy)

    def _submit_dummy(self) -> Reply:
        # It is no answer that anybody has thought of, so nothing counts as rejected.
        reply = self._send(self._shared.with_session({"type": str(AuthType.DUMMY)}))
        if reply in _UNDECIDED and AuthType.DUMMY not in self._session.completed:
            raise self._shared.failure[0]
        return reply

    def _do_stage_to_its_end(self, stage: str) -> Reply:
        try:
            with self._shared.after_stage:
                reply = self._do_stage(stage)
        finally:
            self._shared.wait_line = None
        return reply

    def _do_stage(self, stage: str) -> Reply:
        submission = self._handover.take_submission()
        if submission is not None and submission.background:
            # It came before the stage was asked for, and what comes of it does not stand for an answer.
            reply = self._waiting(stage).send_background(submission)
            if reply is not None:
                return reply
            submission = None
        if submission is None:
            self._ask(stage)
            submission = self._handover.take_submission()
        if submission is None or submission.background:
            self._check_progress()
            outcome = self._wait(stage, submission)
            if not isinstance(outcome, Submission):
                # A server may open a new stage for each that it completes, and with each the time begins anew.
                self._idle += 1
                return outcome
            submission = outcome
        return self._submit(stage, submission)

    def _ask(self, stage: str) -> None:
        """Call the stage's callback; what it returns is submitted as if it had called submit_auth_dict."""
        shared, session = self._shared, self._session
        # The choice of the flow has ruled out a stage without a callback.
        callback = cast("StartAuthStage", shared.handlers.by_stage.get(stage, shared.handlers.other))
        told = Stage(
            type=stage,
            params=shared.stage_params(stage) or {},
            flow=session.chosen or (),
            completed=tuple(session.completed),
            attempt=session.rejections.get(stage, 0) + 1,
            error=session.errors.get(stage),
            email_sid=shared.threepids[AuthType.EMAIL].sid,
            msisdn_sid=shared.threepids[AuthType.MSISDN].sid,
            session=session.session,
            client_secret=shared.secret,
        )
        before = CURRENT.set(shared)
        try:
            answer = callback(told)
        except MatrixError as error:  # of a request of the callback's own, to which a server may quote other ones
            shared.conceal(error)
            raise
        finally:
            CURRENT.reset(before)
        self._handover.check()
        if answer is not None:
            self._handover.submit(Submission(dict(check_mapping("what start_auth_stage returns", answer))))

    def _waiting(self, stage: str) -> Waiting[T]:
        return Waiting(self._shared, stage, self._waited.get(stage, 0.0), may_restart=not self._restarted)

    def _wait(self, stage: str, background: Submission | None) -> Submission | Reply:
        waiting = self._waiting(stage)
        try:
            return waiting.run(background)
        finally:
            self._waited[stage] = self._waited.get(stage, 0.0) + waiting.seconds()

    def _submit(self, stage: str, submission: Submission) -> Reply:
        auth = self._shared.with_session(submission.auth)
        kind = auth.get("type")
        # An answer of a type that is not in the flow is the callback's way to do the stage it was asked for.
        submitted = kind if isinstance(kind, str) and kind in (self._session.chosen or ()) else stage
        reply = self._send(auth, submitted)
        if reply is Reply.REJECTION:
            self._count_wrong(submitted)
        return reply

    def _count_wrong(self, stage: str) -> None:
        if stage == self._last_wrong:
            self._idle -= 1  # max_attempts bounds wrong answers to one stage, and None is the caller's choice
        self._last_wrong = stage
        self._wrong[stage] = self._wrong.get(stage, 0) + 1
        most = self._shared.max_attempts
        if most is not None and self._wrong[stage] >= most:
            # A server may open a new session, and so count anew, with each rejection.
            wrong = max(self._wrong[stage], self._session.rejections[stage])
            error = cast("MatrixError", self._shared.failure[0])  # nothing else is a rejection
            raise StageFailedError(stage, wrong, error) from error
