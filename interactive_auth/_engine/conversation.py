"""The conversation with the server: what was said in it so far, what was secret, and the sending of one request.

What must not be here: the loop, the choice of flows, waiting for a stage, and what never changes (``options``).
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Generic, TypeVar

from .._errors import MatrixError
from .._replies import FAILURES, Reply, classify_failure, wait_reason
from .._retry import IS_REPEATED, Retries
from .._text import copied, plain
from .._types import AuthType, DoRequest, Inputs, ResumeState, RetryPolicy, StateChanged
from .handover import Handover
from .marks import Marks
from .misuse import refuse_misuse, warn_of_misuse
from .session import UIASession
from .threepid import Threepid
from .words import auth_for_a_log, for_a_log, standing

T = TypeVar("T")

_log = logging.getLogger("interactive_auth")
_log.addHandler(logging.NullHandler())

#: As many of the last submissions are kept out of the text of errors.
_MOST_SENT = 100
_RESPONSE = "response"
_OAUTH = frozenset({AuthType.OAUTH, AuthType.UNSTABLE_OAUTH})


class Conversation(Generic[T]):
    """What all attempts of one InteractiveAuth have to do with the server.

    Args:
        do_request: sends the request once.
        handover: where to wait before a token request is repeated.
        threepids: the email address and the phone number, by the stage that each completes.
        client_secret: the secret that their tokens are bound to.
        identity_server: ``id_server`` and ``id_access_token``, or empty.
        retry: how a token request is repeated.
        state_changed: is given the state to resume from before each request, and whenever it has changed.

    Attributes:
        session: what the server has said.
        stage: the stage that is being done, None if none is.
        cleanups: what its callback wants to be done when it is over.
        resumed: whether the session was begun elsewhere.
        wrong: how many wrong answers each stage was given in this attempt.
        ended: the name of the error that the last attempt has ended with, empty if none has.
    """

    def __init__(
        self,
        do_request: DoRequest[T],
        handover: Handover,
        threepids: dict[str, Threepid],
        client_secret: str,
        identity_server: Mapping[str, str],
        retry: RetryPolicy | None,
        state_changed: StateChanged | None,
    ) -> None:
        self.session = UIASession()
        self.threepids = threepids
        self.client_secret = client_secret
        self.stage: str | None = None
        self.cleanups = ExitStack()
        self.resumed = False
        self.wrong: dict[str, int] = {}
        self.ended = ""
        self._do_request = do_request
        self._handover = handover
        self._identity_server = identity_server
        self._retry = retry
        self._state_changed = state_changed
        self._saved = ""
        self._responses: defaultdict[str, T] = defaultdict()
        self._failure: Exception | None = None
        self._once = Marks(client_secret)
        self._constants: set[tuple[str | None, str, str]] = set()
        # A server may quote at any time what it was sent at any other. A UIARequest knows its body's secrets.
        self._hidden: tuple[object, ...] = (
            client_secret,
            identity_server.get("id_access_token"),
            getattr(do_request, "_secrets", None),
        )
        # Replaced as a whole, since other threads may look at it.
        self._sent: tuple[object, ...] = ()

    def begin(self) -> None:
        """Note that an attempt has begun: a ``UIARequest`` is not a forgotten one then, though nothing may be sent."""
        self._constants.clear()
        self.wrong.clear()
        request: Any = self._do_request
        if hasattr(request, "_unsent"):
            request._unsent = False

    # What came of it

    def has_succeeded(self) -> bool:
        """Return whether the request has succeeded.

        Raises:
            TypeError: what do_request returned cannot be the response of a success.
        """
        if _RESPONSE not in self._responses:
            return False
        try:
            refuse_misuse(self.response)
        except TypeError:
            self._responses.clear()
            raise
        return True

    @property
    def response(self) -> T:
        """The response of the success."""
        return self._responses[_RESPONSE]

    @property
    def failure(self) -> Exception:
        """The last answer that was not a success."""
        assert self._failure is not None
        return self._failure

    def forget_failure(self) -> None:
        """Let go of the last answer: its attempt is over."""
        self._failure = None

    # Sending

    def send(self, auth: Mapping[str, Any] | None, submitted: str | None = None) -> Reply:
        """Send the request once, and take over what it is answered.

        Args:
            auth: the auth dict, None for a request without one.
            submitted: the stage that it answers; None if it answers none, so that nothing can be rejected.

        Returns:
            What the answer means. It is the ``failure`` unless it is a success.

        Raises:
            TypeError: what do_request returned cannot be the response of a success.
        """
        self.save_state(anyway=True)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("sending the request with %s", auth_for_a_log(auth))
        # A copy: a do_request that changes its argument must not change what is sent again, nor what is the caller's.
        # An empty dict says nothing, and the Conduit family refuses it.
        sent = copied(auth) if auth else None
        # A defaultdict calls and keeps what it gets, without an instruction between, where Ctrl-C would lose a success.
        self._responses.default_factory = partial(self._do_request, sent)
        try:
            self._responses[_RESPONSE]
        except FAILURES as failure:
            self._note(failure)
        except Exception as error:
            warn_of_misuse(error)
            raise
        if self.has_succeeded():
            self._handover.succeed()
            self.session.succeed()
            self._failure = None
            _log.debug("the request has succeeded")
            return Reply.SUCCESS
        before, done = self.session.id, self.session.completed
        with_session = auth is not None and "session" in auth
        reply = self.session.receive(self.failure, submitted, with_session=with_session)
        if before is not None and self.session.id != before:
            self._drop_spent(done)
        self.save_state()
        return reply

    def _note(self, failure: Exception) -> None:
        # An answer is data from here on. Its traceback would keep the frames that it went through, and what they hold.
        failure.__traceback__ = None
        self.conceal(failure)
        self._failure = failure
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("the answer is %s", for_a_log(failure))

    def use_sid(self, stage: AuthType, sid: str) -> None:
        """Go on with the sid of a token request that was made elsewhere."""
        self.threepids[stage].use(sid)
        self.save_state()

    def start_over(self) -> None:
        """Drop the session, which the server no longer knows."""
        done = self.session.completed
        self.session.forget()
        self._drop_spent(done)

    def _drop_spent(self, done: Mapping[str, None]) -> None:
        """Drop the sids that have completed a stage: servers take a validation once."""
        for stage, threepid in self.threepids.items():
            if stage in done:
                threepid.use(None)

    def to_submit(self, auth: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is sent for an auth dict of a callback's, with the session; what it holds is kept secret."""
        named = self.session.named(auth)
        creds = named.get("threepid_creds")
        is_threepid = bool(self._identity_server) and named.get("type") in self.threepids
        if is_threepid and isinstance(creds, Mapping) and "id_server" not in creds:
            named["threepid_creds"] = {**self._identity_server, **creds}
        self.hide(named)
        return named

    def to_poll(self, stage: str) -> dict[str, Any] | None:
        """Return the auth dict that asks whether a stage is done, None without a session to ask about."""
        session = self.session.auth()
        if session is None:
            return None
        if stage in _OAUTH:
            # The specification asks for the session alone; Continuwuity wants the type beside it.
            return {"type": str(AuthType.OAUTH), **session}
        threepid = self.threepids.get(stage)
        if threepid is not None and threepid.sid is not None:
            auth = threepid.auth(self.client_secret)
            auth["threepid_creds"].update(self._identity_server)
            return {**auth, **session}
        return session

    def request_token(self, threepid: Threepid, address: tuple[str, ...]) -> None:
        """Ask the server to send a mail or an SMS, again after trouble as the retry policy allows.

        Raises:
            RuntimeError: the caller gave no way to ask for a token.
            AuthCancelledError: ``cancel()`` was called while waiting to ask again.
            ServerProtocolError: the answer has no usable sid.
            Exception: whatever else the token request raised.
        """
        request = threepid.usable_request()
        since = self._handover.cancels()
        with Retries(self._retry) as retries:
            while True:
                self.save_state(anyway=True)
                # The same number on a repetition: a server that has sent the mail already does not send it twice.
                arguments = (*address, self.client_secret, threepid.send_attempt + 1, self.session.id)
                before = IS_REPEATED.set(True)
                try:
                    reply = request(*arguments)
                    refuse_misuse(reply, f"request_{threepid.medium}_token")
                except FAILURES as failure:
                    failure.__traceback__ = None
                    self.conceal(failure)
                    error = failure
                else:
                    threepid.accept(reply, address)
                    _log.info("a message for %s was requested", threepid.stage)
                    self.save_state()
                    self._handover.raise_if_cancelled(since)
                    return
                finally:
                    IS_REPEATED.reset(before)
                _log.debug("the token request for %s is answered %s", threepid.stage, for_a_log(error))
                meaning = classify_failure(error)
                wait = retries.wait_after(meaning, error)
                self._handover.pause(self.stage, wait, wait_reason(meaning), since)

    # What was secret

    def hide(self, *secrets: object) -> None:
        """Keep what is sent, strings or auth dicts, out of the text of whatever is answered from now on."""
        self._sent = (*self._sent, *secrets)[-_MOST_SENT:]

    def secrets(self) -> tuple[object, ...]:
        """Return what was sent, and must not come to light."""
        return (self.session.id, *self._hidden, *self._sent)

    def conceal(self, error: BaseException) -> None:
        """Keep what was sent out of the text of what was answered."""
        if isinstance(error, MatrixError):
            error._conceal(*self.secrets())

    # What is known

    def stage_params(self, stage: str) -> dict[str, Any] | None:
        """Return what is known about a stage beforehand, None if nothing is: a copy, the caller's to change."""
        params = self.session.params.get(stage)
        known: dict[str, Any] | None = plain(params) if isinstance(params, dict) else None
        threepid = self.threepids.get(stage)
        if threepid is not None and threepid.submit_url is not None:
            return {**(known or {}), "submit_url": threepid.submit_url}
        return known

    def standing(self) -> str:
        """Return where the authentication stands, in words, without a secret."""
        if _RESPONSE in self._responses:
            return "succeeded"
        how = "running" if self._handover.is_running() else self.ended and f"ended with {self.ended}"
        return standing(self.session, self.stage, how or "not begun")

    def may_send(self, stage: str, constant: str) -> bool:
        """Note that a constant is sent, and return whether it may be: once in a session, and never once refused."""
        was_sent = not self.is_first_time(stage, constant)
        here = (self.session.id, stage, constant)
        if here in self._constants or (was_sent and stage in self.session.errors):
            return False
        self._constants.add(here)
        return True

    def is_first_time(self, stage: str, what: str) -> bool:
        """Note that a callback does something once in a session, and return whether it is the first time."""
        return self._once.add(stage, what)

    # Going on in another process

    def save_state(self, *, anyway: bool = False) -> None:
        """Call ``state_changed``, if the state has changed.

        Args:
            anyway: whether a request is about to be sent, so that nothing must be left unsaved.
        """
        if self._state_changed is None:
            return
        state = self.resume_state()
        text = json.dumps(state)
        if anyway or text != self._saved:
            self._state_changed(state)
            self._saved = text

    def resume_state(self) -> ResumeState:
        """Return all that another InteractiveAuth needs to go on."""
        email, phone = self.threepids[AuthType.EMAIL], self.threepids[AuthType.MSISDN]
        progress = self.session.save()
        progress.update(
            {str(stage): each.save() for stage, each in self.threepids.items() if each.send_attempt or each.sid}
        )
        if once := self._once.save():
            progress["once"] = once
        inputs: Inputs = {}
        if email.address:
            inputs["email_address"] = email.address[0]
        if phone.address:
            inputs["phone_country"], inputs["phone_number"] = phone.address
        return {
            "auth_data": self.session.saved_body() or None,
            "inputs": inputs,
            "session_id": self.session.id,
            "client_secret": self.client_secret,
            "email_sid": email.sid,
            "msisdn_sid": phone.sid,
            "progress": progress,
        }

    def restore(self, progress: Mapping[str, Any]) -> None:
        """Take over the ``progress`` of a saved state; unknown and wrong parts count as nothing."""
        self.session.restore(progress)
        corrected = [stage for stage, each in self.threepids.items() if each.restore(progress.get(str(stage)))]
        if not self.session.completed.keys().isdisjoint(corrected):
            # A session keeps what was validated in it, and so would the account.
            _log.info("another address takes another session")
            self.start_over()
        self._once.restore(progress.get("once"))
