"""What all attempts of one InteractiveAuth share, and the sending of single requests.

What must not be here: the loop, the choice of flows, the waiting for a stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Generic, Protocol, TypeVar

from .._errors import MatrixError
from .._text import plain
from .._types import BusyChanged, DoRequest, RetryPolicy
from .handover import Handover
from .options import Handlers
from .replies import FAILURES, Reply, classify_failure
from .retry import Retries
from .session import UIASession
from .threepid import Threepid

T = TypeVar("T")

#: As many of the last submissions are kept out of the text of errors.
_MOST_SUBMITTED = 32
#: Seconds from one sign of life of a wait to the next.
_SHOW_EVERY = 1.0


class WaitLine(Protocol):
    """What shows a person that a wait goes on."""

    def show(self, left: float | None, *, retrying: bool) -> None:
        """Show how long the wait may last: at its beginning, and every second.

        Args:
            left: the seconds left, None if it has no end.
            retrying: whether it is a wait before the same is sent again, and not one for the stage.
        """
        ...

    def end(self) -> None:
        """Be done with it: the wait is over."""
        ...


class Shared(Generic[T]):
    """The checked arguments of an InteractiveAuth, and the state that outlives an attempt.

    Attributes:
        threepids: the email address and the phone number, by the stage that each completes.
        identity_server: ``id_server`` and ``id_access_token``, or empty.
        secret: the client secret.
        response: the response, in a list of its own since it may be anything; empty before the success.
        failure: the last answer that was no success; empty when none is needed any more. No function may give it a
            name of its own: the traceback leads to the function's frame, which would keep the answer, of many
            megabytes perhaps, until the garbage collector comes.
        wait_line: shows the waits of the stage that is being done to a person, None if nobody cares.
        after_stage: what a stage's callback wants to be done when the stage is over, however it ends.
    """

    def __init__(
        self,
        *,
        do_request: DoRequest[T],
        handlers: Handlers,
        supported: frozenset[str] | None,
        threepids: dict[str, Threepid],
        identity_server: dict[str, str],
        secret: str,
        busy_changed: BusyChanged | None,
        max_attempts: int | None,
        poll_interval: float,
        poll_timeout: float | None,
        retry: RetryPolicy | None,
    ) -> None:
        self.do_request = do_request
        self.handlers = handlers
        self.supported = supported
        self.threepids = threepids
        self.identity_server = identity_server
        self.secret = secret
        self.busy_changed = busy_changed
        self.max_attempts = max_attempts
        self.poll_interval = poll_interval
        self.poll_timeout = poll_timeout
        self.retry = retry
        self.session = UIASession()
        self.handover = Handover()
        self.response: list[T] = []
        self.failure: list[Exception] = []
        # A server may quote at any time what it was sent at any other. A UIARequest knows its body's secrets.
        self._hidden: tuple[object, ...] = (getattr(do_request, "_secrets", None),)
        # Replaced as a whole, since other threads may look at it.
        self._submitted: tuple[dict[str, Any], ...] = ()
        self.wait_line: WaitLine | None = None
        self.after_stage = ExitStack()

    def show_wait(self, left: float | None, *, retrying: bool = False) -> float:
        """Show that a wait goes on, if anybody cares, and return when that is due again."""
        if self.wait_line is None:
            return math.inf
        due = self.handover.clock.monotonic() + _SHOW_EVERY
        self.wait_line.show(left, retrying=retrying)
        return due

    def end_wait(self) -> None:
        """Show that a wait is over."""
        if self.wait_line is not None:
            self.wait_line.end()

    def pause(self, seconds: float) -> None:
        """Wait before the same is sent again, whatever is submitted meanwhile.

        Raises:
            AuthCancelledError: the attempt was cancelled.
        """
        if self.wait_line is None or seconds <= _SHOW_EVERY:
            self.handover.pause(seconds)
            return
        clock = self.handover.clock
        until = clock.monotonic() + seconds
        try:
            while (left := until - clock.monotonic()) > 0:
                self.show_wait(left, retrying=True)
                self.handover.pause(min(left, _SHOW_EVERY))
        finally:
            self.end_wait()

    def session_auth(self) -> dict[str, Any] | None:
        """Return the auth dict that only names the session, None if there is none to name."""
        return {"session": self.session.session} if self.session.session else None

    def with_session(self, auth: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of ``auth`` that names the session, unless it names one of its own."""
        named = dict(auth)
        if named.get("session") is None:
            named.pop("session", None)
            named.update(self.session_auth() or {})
        self._remember(named)
        return named

    def also_sent(self, secret: str) -> None:
        """Keep what a callback has sent by itself out of the text of what is answered."""
        self._remember({"secret": secret})

    def _remember(self, auth: dict[str, Any]) -> None:
        self._submitted = (*self._submitted, auth)[-_MOST_SUBMITTED:]

    def exchange(self, auth: dict[str, Any] | None, submitted: str | None) -> Reply:
        """Send the request once, and take over what it is answered.

        Args:
            auth: the auth dict, None for a request without one.
            submitted: the stage that it answers; None if it answers none, so that nothing can be rejected.

        Returns:
            What the answer means. It is the ``failure`` unless it is a success.
        """
        try:
            # A copy: a do_request that changes its argument must not change what is sent again. An empty dict says
            # nothing, and the Conduit family refuses it.
            self.response.append(self.do_request(dict(auth) if auth else None))
        except FAILURES as failure:
            self.conceal(failure)
            self.failure[:] = [failure]
            with_session = auth is not None and "session" in auth
            return self.session.receive(failure, submitted, with_session=with_session)
        self.handover.succeed()
        return Reply.SUCCESS

    def conceal(self, error: Exception) -> None:
        """Keep what was sent out of the text of what was answered."""
        if isinstance(error, MatrixError):
            id_token = self.identity_server.get("id_access_token")
            error._conceal(self.session.session, self.secret, id_token, *self._hidden, *self._submitted)

    def stage_params(self, stage: str) -> dict[str, Any] | None:
        """Return what is known about a stage beforehand, None if nothing is: a copy, the caller's to change."""
        params = self.session.params.get(stage)
        known: dict[str, Any] | None = plain(params) if isinstance(params, dict) else None
        threepid = self.threepids.get(stage)
        if threepid is not None and threepid.submit_url is not None:
            return {**(known or {}), "submit_url": threepid.submit_url}
        return known

    def request_token(self, threepid: Threepid, address: tuple[str, ...]) -> None:
        """Ask the server to send a mail or an SMS, again after trouble as the retry policy allows.

        Raises:
            RuntimeError: the caller gave no way to ask for a token.
            AuthCancelledError: the attempt was cancelled while waiting to ask again.
            ServerProtocolError: the answer has no usable sid.
            Exception: whatever else the token request raised.
        """
        if threepid.request is None:
            raise RuntimeError(f"there is no token request for {threepid.stage}: give one to the constructor")
        with Retries(self.retry) as retries:
            while True:
                # The same number on a repetition: a server that has sent the mail already does not send it twice.
                arguments = (*address, self.secret, threepid.send_attempt + 1, self.session.session)
                try:
                    reply = threepid.request(*arguments)
                except FAILURES as failure:
                    error = failure
                else:
                    threepid.accept(reply, address)
                    self.handover.check()
                    return
                self.conceal(error)
                self.pause(retries.wait_after(classify_failure(error), error))
