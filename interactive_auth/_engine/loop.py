"""One attempt: request, classify, merge, choose, ask, submit, until the server has acted or something ends it.

What must not be here: HTTP, printing, prompting, and the rules of the protocol, which are in ``session`` (what a reply
means) and ``flows`` (what comes next).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .._errors import MatrixError, ServerProtocolError, StageFailedError
from .._replies import Reply, wait_reason
from .._retry import Retries
from .._text import printable
from .._types import AuthType
from .context import ask, check_answer
from .conversation import Conversation
from .flows import Needs, Stages, choose_flow, count_open, next_stage
from .handover import Handover, Submission
from .options import Options
from .waiting import Waiting
from .words import for_a_log

if TYPE_CHECKING:
    from .auth import InteractiveAuth

T = TypeVar("T")

_log = logging.getLogger("interactive_auth")

#: Consecutive requests that brought the flow no nearer to its end, polls aside, before the server is given up.
_MOST_IDLE = 20
_UNDECIDED = (Reply.CHALLENGE, Reply.REJECTION)


class Attempt(Generic[T]):
    """One call of ``attempt_auth()``: what it counts ends with it, what it learns stays in the conversation.

    Args:
        auth: what its callbacks are told has called them.
        options: what it obeys.
        conversation: what it talks to the server by.
        handover: what other threads talk to it by.
    """

    def __init__(
        self, auth: InteractiveAuth[T], options: Options, conversation: Conversation[T], handover: Handover
    ) -> None:
        self._auth = auth
        self._options = options
        self._conversation = conversation
        self._handover = handover
        self._session = conversation.session
        self._restarted = False
        self._last_wrong: str | None = None
        self._waits: dict[str, Waiting[T]] = {}
        # How near the chosen flow has come to its end in this attempt, and the requests since then.
        self._nearest = math.inf
        self._idle = 0
        self._was_told_why = False

    def run(self) -> None:
        """Drive the request to its success, or raise what ends the attempt."""
        if self._conversation.has_succeeded():
            return  # Ctrl-C or a busy_changed that raised came between the server's answer and the caller
        self._conversation.begin()
        try:
            self._conversation.cleanups.close()  # what a Ctrl-C at the wrong instant has left of the attempt before
            self._go_on()
        finally:
            self._conversation.forget_failure()
            self._conversation.cleanups.close()

    def _go_on(self) -> None:
        asked_again = False
        reply = Reply.CHALLENGE if self._session.flows else self._send(self._session.auth())
        while reply is not Reply.SUCCESS:
            self._handover.raise_if_cancelled()
            if reply is Reply.SESSION_LOST:
                reply = self._start_over()
                continue
            flow = self._choose()
            stage = next_stage(flow, self._session.completed)
            if stage is not None:
                asked_again = False
                self._request_tokens(flow)
                reply = self._submit_dummy() if stage == AuthType.DUMMY else self._do_stage(stage)
            elif not asked_again:
                # A server may not have noticed that nothing is left to do: ask once more, with the session alone.
                asked_again = True
                reply = self._send(self._session.auth())
            else:
                raise ServerProtocolError(
                    "every stage of the flow is completed, and the server still asks for authentication: "
                    "begin anew, without the saved session"
                ) from self._conversation.failure

    def _start_over(self) -> Reply:
        if self._restarted:
            raise self._conversation.failure
        self._restarted = True
        _log.info("the server has lost the session, starting over")
        self._conversation.start_over()
        return self._send(None)

    def _choose(self) -> Stages:
        session, threepids = self._session, self._conversation.threepids
        given = {stage for stage, threepid in threepids.items() if threepid.address or threepid.sid}
        needs = Needs(self._options.supported, self._options.handlers.handled, given)
        flow = choose_flow(session.flows, session.completed, needs, session.chosen)
        session.choose(flow)
        self._conversation.save_state()
        left = count_open(flow, session.completed)
        if left < self._nearest:
            self._nearest, self._idle, self._was_told_why = left, 0, False
        return flow

    def _request_tokens(self, flow: Stages) -> None:
        """Have the mail and the SMS sent before anybody is asked anything, so that a bad address fails early."""
        for stage, threepid in self._conversation.threepids.items():
            due = stage in flow and stage not in self._session.completed and threepid.sid is None
            if due and threepid.address is not None and threepid.request is not None:
                self._conversation.request_token(threepid, threepid.address)

    def _send(self, auth: Mapping[str, Any] | None, submitted: str | None = None) -> Reply:
        """Send a request in the foreground, again after trouble as the retry policy allows."""
        busy_changed = self._options.busy_changed or _ignore
        with Retries(self._options.retry) as retries:
            while True:
                self._handover.raise_if_cancelled()
                self._check_progress()
                try:
                    busy_changed(True)
                    reply = self._conversation.send(auth, submitted)
                finally:
                    busy_changed(False)
                if reply is Reply.SUCCESS:
                    return reply
                if reply is not Reply.TRANSIENT:  # the retry policy has a limit for those
                    self._count_idle()
                    self._explain_refusal(reply, retries.first)
                if reply in _UNDECIDED or reply is Reply.SESSION_LOST:
                    return reply
                wait = retries.wait_after(reply, self._conversation.failure)
                self._handover.pause(self._conversation.stage, wait, wait_reason(reply))

    def _explain_refusal(self, reply: Reply, lost: Exception | None) -> None:
        """Say of a refusal that it may be about what was carried out already, where an answer was lost before."""
        error = self._conversation.failure
        refused = reply in (Reply.REJECTION, Reply.FAILURE, Reply.LOGGED_OUT)
        if refused and lost is not None and isinstance(error, MatrixError):
            error._explain(f"an answer to the same was lost before, so it may have been carried out: {for_a_log(lost)}")

    def _count_idle(self) -> None:
        self._idle += 1
        self._was_told_why = self._was_told_why or _says_why(self._conversation.failure)

    def _check_progress(self) -> None:
        if self._idle >= _MOST_IDLE:
            text = f"{self._idle} requests in a row have brought the authentication no nearer to its end"
            if not self._was_told_why:
                text += "; the server gave no reason, so do_request may not be sending auth"
            raise ServerProtocolError(text) from self._conversation.failure

    def _submit_dummy(self) -> Reply:
        # The loop has answered by itself, so no answer of the caller's is rejected.
        reply = self._send(self._conversation.to_submit({"type": str(AuthType.DUMMY)}))
        if reply in _UNDECIDED and AuthType.DUMMY not in self._session.completed:
            error = self._conversation.failure
            assert isinstance(error, MatrixError), "only a server's answer is a challenge, or a rejection"
            error._explain("to m.login.dummy, which wants nothing but auth in the body: does do_request send it?")
            raise error
        return reply

    def _do_stage(self, stage: str) -> Reply:
        name = printable(stage, 100)
        self._conversation.stage = stage
        _log.info("stage %s begins, attempt %d", name, self._session.rejections.get(stage, 0) + 1)
        try:
            with self._conversation.cleanups:
                reply = self._ask_and_submit(stage)
        finally:
            self._conversation.stage = None
        if reply is Reply.SUCCESS or stage in self._session.completed:
            _log.info("stage %s is completed", name)
        return reply

    def _ask_and_submit(self, stage: str) -> Reply:
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
            outcome = self._waiting(stage).run(submission, may_restart=not self._restarted)
            if not isinstance(outcome, Submission):
                # A server may open a new stage for each that it completes, and with each the time begins anew.
                self._idle += 1
                return outcome
            submission = outcome
        return self._submit(stage, submission)

    def _ask(self, stage: str) -> None:
        """Call the stage's callback; what it returns is submitted as if it had called submit_auth_dict."""
        # The choice of the flow has ruled out a stage without a callback.
        handlers = self._options.handlers
        answer = ask(self._auth, stage, handlers.find(stage))
        self._handover.raise_if_cancelled()
        if answer is not None:
            self._handover.submit(Submission(check_answer(answer, stage, partial(handlers.source, stage))))

    def _waiting(self, stage: str) -> Waiting[T]:
        if stage not in self._waits:
            self._waits[stage] = Waiting(
                self._options, self._conversation, self._handover, stage, poll_at_once=self._conversation.resumed
            )
        return self._waits[stage]

    def _submit(self, stage: str, submission: Submission) -> Reply:
        auth = self._conversation.to_submit(submission.auth)
        kind = auth.get("type")
        if kind is None:  # a session alone is no answer
            return self._send(auth)
        # An answer of a type that is not in the flow is the callback's way to do the stage it was asked for.
        submitted = kind if kind in (self._session.chosen or ()) else stage
        reply = self._send(auth, submitted)
        if reply is Reply.REJECTION:
            self._count_wrong(submitted, kind)
        return reply

    def _count_wrong(self, stage: str, answered: str) -> None:
        error = cast("MatrixError", self._conversation.failure)  # nothing else is a rejection
        _log.info("stage %s: the answer was rejected: %s", printable(stage, 100), error)
        if stage == self._last_wrong and _says_why(error):
            self._idle -= 1  # max_attempts bounds wrong answers to one stage, and None is the caller's choice
        self._last_wrong = stage
        count = self._conversation.wrong.get(stage, 0) + 1
        self._conversation.wrong[stage] = count
        most = self._options.max_attempts
        if most is not None and count >= most:
            # A server may open a new session, and so count anew, with each rejection.
            wrong = max(count, self._session.rejections[stage])
            raise StageFailedError(stage, wrong, error, answered=answered) from error


def _says_why(error: Exception) -> bool:
    return not isinstance(error, MatrixError) or error.errcode is not None or error.error is not None


def _ignore(busy: bool) -> None:
    """Do nothing: nobody cares whether a request is on its way."""
