"""InteractiveAuth: the public face of the loop, its arguments and methods.

What must not be here: HTTP, printing, prompting, and the loop itself, which is in ``loop``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from .._checks import (
    check_client_secret,
    check_country,
    check_function,
    check_mapping,
    check_required_text,
    check_takes_one,
    check_text,
    type_error,
)
from .._text import publish
from .._tracebacks import forget_frames, without_frames
from .._types import (
    AuthType,
    BusyChanged,
    DoRequest,
    Flow,
    Inputs,
    RequestEmailToken,
    RequestMsisdnToken,
    ResumeState,
    RetryPolicy,
    StageCallbacks,
    StageType,
    StateChanged,
    WaitChanged,
)
from .context import check_answer
from .conversation import Conversation
from .handover import Handover, Submission
from .loop import Attempt
from .options import (
    Options,
    check_handlers,
    check_identity_server,
    check_inputs,
    check_max_attempts,
    check_poll_interval,
    check_poll_timeout,
    check_supported,
    make_client_secret,
)
from .threepid import Threepid

T_co = TypeVar("T_co", covariant=True)


class InteractiveAuth(Generic[T_co]):
    """Repeat a request until its User-Interactive Authentication is done.

    It implements the client's side of the client-server API's "User-Interactive Authentication API". Everything
    runs in the thread that calls ``attempt_auth()``, the callbacks too; the other methods may be called from any
    thread and from within callbacks.

    Example::

        auth = InteractiveAuth(homeserver.delete_device("OLD"), console.handlers(homeserver))
        auth.attempt_auth()

    Args:
        do_request: sends the request once. It is given the dict to put under the body's ``auth`` key, or None: then
            the body must have no such key. It returns the response, or raises ``MatrixError`` for an error response.
            Connection trouble (the built-in ConnectionError and TimeoutError, and those of requests) is retried.
        start_auth_stage: called with a ``Stage`` for each stage to do. It returns the auth dict to submit, without
            ``session``, or None if the stage will be completed elsewhere. Or a mapping from stage type to such a
            callable, with ``"*"`` for all stages not named: then a flow with any other stage is never chosen.
        auth_data: the JSON body of an earlier 401, which saves the first request.
        inputs: ``email_address``, ``phone_country`` and ``phone_number``, which steer the choice of flow.
        session_id: the UIA session to go on with; wins over the one in ``auth_data``.
        client_secret: the secret that ``email_sid`` and ``msisdn_sid`` belong to; None has one made.
        email_sid: the sid of an earlier email token request.
        msisdn_sid: the sid of an earlier SMS token request.
        progress: what the library itself knows of an earlier attempt, from ``get_resume_state()``.
        supported_stages: the stages to prefer; None for the keys of a mapping, else for all alike. A flow with an
            email or msisdn stage whose input is not given is chosen only if that stage is named here.
        request_email_token: ``(email, client_secret, send_attempt, session_id)`` has a mail sent: ``sid``.
        request_msisdn_token: ``(country, phone_number, client_secret, send_attempt, session_id)``, likewise for SMS.
            Both, if not given, are the attributes of these names of ``do_request``, as a ``UIARequest`` has them.
        busy_changed: called with True before each foreground request and with False after it.
        wait_changed: called with a ``Wait`` at the beginning of each wait and about every second, and with None at its
            end; not given, the attribute of that name of ``start_auth_stage``, if it has one.
        state_changed: called with ``get_resume_state()`` before each request and at each change: save it there.
        id_server: the identity server that made the sids, if the homeserver did not; needs ``id_access_token``.
        id_access_token: the access token for ``id_server``.
        max_attempts: how many wrong answers to one stage an attempt allows; None for no limit.
        poll_interval: seconds from one poll to the next, more than 0; an attribute, to be set between attempts.
        poll_timeout: seconds of waiting allowed for one stage; None waits for ever, 0 polls once. An attribute, too.
        retry: how a request is repeated after trouble and rate limits; None never repeats one.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: an argument has a wrong value.
    """

    @without_frames
    def __init__(
        self,
        do_request: DoRequest[T_co],
        start_auth_stage: StageCallbacks[StageType],
        *,
        auth_data: Mapping[str, Any] | None = None,
        inputs: Inputs | None = None,
        session_id: str | None = None,
        client_secret: str | None = None,
        email_sid: str | None = None,
        msisdn_sid: str | None = None,
        supported_stages: Collection[str] | None = None,
        request_email_token: RequestEmailToken | None = None,
        request_msisdn_token: RequestMsisdnToken | None = None,
        busy_changed: BusyChanged | None = None,
        id_server: str | None = None,
        id_access_token: str | None = None,
        wait_changed: WaitChanged | None = None,
        state_changed: StateChanged | None = None,
        progress: Mapping[str, Any] | None = None,
        max_attempts: int | None = 3,
        poll_interval: float = 2.0,
        poll_timeout: float | None = 300.0,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008 (frozen)
    ) -> None:
        check_function("do_request", do_request)
        check_takes_one("do_request", do_request, "the auth dict or None")
        handlers = check_handlers(start_auth_stage)
        # What a request or a mapping of callbacks brings along need not be named again.
        request_email_token = request_email_token or getattr(do_request, "request_email_token", None)
        request_msisdn_token = request_msisdn_token or getattr(do_request, "request_msisdn_token", None)
        wait_changed = wait_changed or getattr(start_auth_stage, "wait_changed", None)
        for name, function in (
            ("request_email_token", request_email_token),
            ("request_msisdn_token", request_msisdn_token),
            ("busy_changed", busy_changed),
            ("wait_changed", wait_changed),
            ("state_changed", state_changed),
        ):
            check_function(name, function, optional=True)
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise type_error("retry", "a RetryPolicy or None", retry)
        self._options = Options(
            handlers=handlers,
            supported=check_supported(supported_stages, handlers),
            busy_changed=busy_changed,
            max_attempts=check_max_attempts(max_attempts),
            poll_interval=check_poll_interval(poll_interval),
            poll_timeout=check_poll_timeout(poll_timeout),
            retry=retry,
        )
        email, phone = check_inputs(inputs)
        email_sid, msisdn_sid = check_text("email_sid", email_sid), check_text("msisdn_sid", msisdn_sid)
        self._handover = Handover(wait_changed)
        self._conversation = Conversation(
            do_request,
            self._handover,
            {
                AuthType.EMAIL: Threepid(AuthType.EMAIL, email, email_sid, request_email_token),
                AuthType.MSISDN: Threepid(AuthType.MSISDN, phone, msisdn_sid, request_msisdn_token),
            },
            check_client_secret(client_secret) or make_client_secret(),
            check_identity_server(id_server, id_access_token),
            retry,
            state_changed,
        )
        session = self._conversation.session
        if auth_data is not None:
            session.merge(check_mapping("auth_data", auth_data))
        if (named := check_text("session_id", session_id)) is not None:
            session.enter(named)
        if progress is not None:
            self._conversation.restore(check_mapping("progress", progress))
        self._conversation.resumed = session.id is not None

    @property
    def poll_interval(self) -> float:
        """Seconds from one poll to the next; a running attempt keeps the one that it has begun with."""
        return self._options.poll_interval

    @poll_interval.setter
    @without_frames
    def poll_interval(self, value: float) -> None:
        self._options = self._options._replace(poll_interval=check_poll_interval(value))

    @property
    def poll_timeout(self) -> float | None:
        """Seconds of waiting that an attempt allows for one stage, None for no end; as ``poll_interval``."""
        return self._options.poll_timeout

    @poll_timeout.setter
    @without_frames
    def poll_timeout(self, value: float | None) -> None:
        self._options = self._options._replace(poll_timeout=check_poll_timeout(value))

    def __repr__(self) -> str:
        made = hasattr(self, "_conversation")  # or it is shown in the traceback of a refused argument
        return f"<{type(self).__name__}: {self._conversation.standing() if made else 'not made'}>"

    def attempt_auth(self) -> T_co:
        """Send the request until it succeeds, and return the response.

        After any error, a timeout, ``cancel()`` or Ctrl-C it may be called again, and goes on in the same session.

        Returns:
            What ``do_request`` returned.

        Raises:
            MatrixError: the server refused the request itself, or the access token.
            NoAuthFlowFoundError: no flow fits the inputs and callbacks.
            StageFailedError: a stage was answered wrongly ``max_attempts`` times.
            AuthTimeoutError: a stage was not completed within ``poll_timeout``.
            AuthCancelledError: ``cancel()`` was called.
            ServerProtocolError: the server broke the rules.
            RuntimeError: an attempt is running already, or the request has succeeded.
            Exception: whatever a callback raised, unchanged.
        """
        try:
            self._handover.run(Attempt(self, self._options, self._conversation, self._handover).run)
            response = self._conversation.response
        except BaseException as error:
            if not self._handover.is_running():
                self._conversation.cleanups.close()  # if Ctrl-C has kept that from being done
                self._conversation.ended = type(error).__name__
            forget_frames(error)
            raise
        # Nothing is called from here on, so no Ctrl-C can come between.
        self._handover.delivered = True
        return response

    @without_frames
    def submit_auth_dict(self, auth_data: Mapping[str, Any], background: bool = False) -> None:
        """Hand an auth dict to the running attempt, which sends it; this returns at once.

        From within a callback it does what returning the dict does. After the success it does nothing.

        Args:
            auth_data: the auth dict; ``session`` is added if it has none.
            background: whether a refusal is only logged, and the attempt goes on waiting.

        Raises:
            TypeError: ``auth_data`` is not a mapping.
            ValueError: it has no ``type``, and more than a ``session``.
            RuntimeError: no attempt is running, or the dict submitted before is still unsent.
        """
        answer = check_answer(auth_data, self._conversation.stage, lambda: "auth_data", returned=False)
        self._handover.submit(Submission(answer, bool(background)))

    def poll(self) -> None:
        """Have a waiting attempt ask the server at once whether the stage is done; without an attempt, do nothing."""
        self._handover.ask_poll()

    def cancel(self) -> None:
        """End the running attempt with ``AuthCancelledError``; without one, do nothing.

        A waiting attempt ends at once, a request on its way is awaited: if it succeeds, its response is returned.
        """
        self._handover.cancel()

    def get_session_id(self) -> str | None:
        """Return the UIA session's id, None as long as the server gave none."""
        return self._conversation.session.id

    def get_client_secret(self) -> str:
        """Return the secret that the email and SMS tokens are bound to."""
        return self._conversation.client_secret

    def get_email_sid(self) -> str | None:
        """Return the sid of the last email token request, None if there was none."""
        return self._conversation.threepids[AuthType.EMAIL].sid

    @without_frames
    def set_email_sid(self, sid: str) -> None:
        """Use the sid of an email token request made elsewhere, with the same client secret.

        Raises:
            TypeError: ``sid`` is not a str.
            ValueError: ``sid`` is empty.
        """
        self._conversation.use_sid(AuthType.EMAIL, check_required_text("sid", sid))

    def get_msisdn_sid(self) -> str | None:
        """Return the sid of the last SMS token request, None if there was none."""
        return self._conversation.threepids[AuthType.MSISDN].sid

    @without_frames
    def set_msisdn_sid(self, sid: str) -> None:
        """Use the sid of an SMS token request made elsewhere, with the same client secret.

        Raises:
            TypeError: ``sid`` is not a str.
            ValueError: ``sid`` is empty.
        """
        self._conversation.use_sid(AuthType.MSISDN, check_required_text("sid", sid))

    @without_frames
    def get_stage_params(self, login_type: str) -> dict[str, Any] | None:
        """Return a copy of what the server said about a stage (its ``params``), None if it said nothing."""
        return self._conversation.stage_params(check_required_text("login_type", login_type))

    def get_chosen_flow(self) -> Flow | None:
        """Return the flow that is being walked, None before one was chosen."""
        chosen = self._conversation.session.chosen
        return None if chosen is None else {"stages": list(chosen)}

    @without_frames
    def request_email_token(self, email: str | None = None) -> None:
        """Have the mail sent, or sent again; repeated after trouble as ``retry`` allows.

        Args:
            email: the address; None for the one used last, or of ``inputs``.

        Raises:
            RuntimeError: the constructor was given no ``request_email_token``.
            ValueError: no address is known.
            MatrixError: the server refused, for example because the address is in use.
            ServerProtocolError: the answer has no usable sid.
            AuthCancelledError: ``cancel()`` was called while this waited to ask again.
        """
        threepid = self._conversation.threepids[AuthType.EMAIL]
        address = threepid.address if email is None else (check_required_text("email", email),)
        if address is None:
            raise ValueError("email must be given, since inputs had no email_address")
        self._conversation.request_token(threepid, address)

    @without_frames
    def request_msisdn_token(self, country: str | None = None, phone_number: str | None = None) -> None:
        """Have the SMS sent, or sent again; repeated after trouble as ``retry`` allows.

        Args:
            country: the number's country, two upper-case letters; None, like ``phone_number``, for the last one.
            phone_number: the number as dialled in that country.

        Raises:
            RuntimeError: the constructor was given no ``request_msisdn_token``.
            ValueError: no number is known, only half of one was given, or ``country`` is not a country.
            MatrixError: the server refused, for example because the number is in use.
            ServerProtocolError: the answer has no usable sid.
            AuthCancelledError: ``cancel()`` was called while this waited to ask again.
        """
        threepid = self._conversation.threepids[AuthType.MSISDN]
        address = threepid.address
        if country is not None or phone_number is not None:
            if country is None or phone_number is None:
                raise ValueError("country and phone_number must be given both or neither")
            address = (check_country("country", country), check_required_text("phone_number", phone_number))
        if address is None:
            raise ValueError("country and phone_number must be given, since inputs had no phone number")
        self._conversation.request_token(threepid, address)

    def get_resume_state(self) -> ResumeState:
        """Return all that another InteractiveAuth needs to go on, in another process or after a crash.

        Returns:
            JSON, for ``InteractiveAuth(do_request, start_auth_stage, **state)``: secret, though without a password.
        """
        return self._conversation.resume_state()

    def __deepcopy__(self, memo: object) -> InteractiveAuth[T_co]:
        # dataclasses.asdict(stage) copies what a Stage holds; its attempt cannot be copied, and need not be.
        return self

    def _add_cleanup(self, stage: str, function: Callable[[], object]) -> None:
        if self._conversation.stage != stage:
            raise RuntimeError(f"stage {stage} is over, so nothing can be done when it is")
        self._conversation.cleanups.callback(function)


publish(globals())
