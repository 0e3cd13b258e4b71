"""Ready-made stage callbacks, to be put into the mapping that ``InteractiveAuth`` takes.

What must not be here: prompting (``console``), opening a browser, and anything that waits. Whatever a person has to
be asked is asked by a callable of the caller's, which is passed the ``Stage`` if it takes an argument. A callback with
a constant secret never sends the same wrong secret twice: asked again it raises ``StageFailedError``. A URL that a
server names is handed on only if it is http or https.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from ._asking import Asker, Secret, fit, read_answer, request_token_asking, secret_of, submit_code
from ._checks import check_function, check_identifier, check_required_text, type_error
from ._engine.context import is_first_time
from ._errors import AuthCancelledError, ServerProtocolError
from ._policies import Policy, read_policies
from ._text import is_text, printable, web_url
from ._text import publish as _publish
from ._tracebacks import without_frames
from ._types import AuthType, Stage, StartAuthStage

__all__ = [
    "Asker",
    "CodeSubmitter",
    "FallbackPages",
    "Policy",
    "Secret",
    "Solver",
    "email",
    "fallback",
    "msisdn",
    "oauth",
    "password",
    "recaptcha",
    "registration_token",
    "sso",
    "terms",
]

#: Solves a captcha, from its site key and perhaps the address of its page.
Solver = Callable[[str], str | None] | Callable[[str, str], str | None]


class FallbackPages(Protocol):
    """What knows the address of a stage's fallback page; a ``Homeserver`` does."""

    def fallback_url(self, stage_type: str, session: str) -> str:
        """Return the address of the page that does a stage in a browser."""
        ...


class CodeSubmitter(Protocol):
    """What can post the code of an SMS or a mail; a ``Homeserver`` can."""

    def submit_token(self, submit_url: str, sid: str, client_secret: str, token: str) -> bool:
        """Post a code, and return whether it was right."""
        ...


@without_frames
def password(user: str | Mapping[str, Any], secret: Secret) -> StartAuthStage:
    """Make a callback for ``m.login.password`` (client-server API, "Password-based").

    Example::

        stages = {"m.login.password": handlers.password("alice", getpass.getpass)}

    Args:
        user: the user id or its local part; or an identifier ("Identifier types"): of type ``m.id.user`` with
            ``user``, ``m.id.thirdparty`` with ``medium`` and ``address``, or ``m.id.phone`` with ``country`` and
            ``phone``.
        secret: the password, which is tried once; or a callable such as ``getpass.getpass``, which is asked again
            after a wrong one, and passed the ``Stage`` if it takes an argument.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: an argument is empty, or the identifier has no type.
    """
    identifier = check_identifier(user)
    answer = secret_of("secret", secret)
    return without_frames(lambda stage: {"type": stage.type, "identifier": dict(identifier), "password": answer(stage)})


@without_frames
def registration_token(token: Secret) -> StartAuthStage:
    """Make a callback for ``m.login.registration_token`` (client-server API, "Token-authenticated registration").

    Example::

        stages = {"m.login.registration_token": handlers.registration_token(lambda: input("Token: "))}

    Args:
        token: the token, which is tried once; or a callable that is asked again after a wrong one, and passed the
            ``Stage`` if it takes an argument.

    Raises:
        TypeError: ``token`` is neither a str nor callable.
        ValueError: ``token`` is empty.
    """
    answer = secret_of("token", token)
    return without_frames(lambda stage: {"type": stage.type, "token": answer(stage)})


@without_frames
def recaptcha(solve: Solver, homeserver: FallbackPages | None = None) -> StartAuthStage:
    """Make a callback for ``m.login.recaptcha`` (client-server API, "Google ReCaptcha").

    Example::

        stages = {"m.login.recaptcha": handlers.recaptcha(lambda site_key: input(f"Response for {site_key}: "))}

    Args:
        solve: ``(site_key)`` or ``(site_key, fallback_url)`` returns the captcha's response; None if the person does
            the captcha on the fallback page, so that the loop waits. It is called again after a wrong one.
        homeserver: makes the fallback URL; without it that argument is empty.

    Raises:
        TypeError: ``solve`` is not callable.
    """
    check_function("solve", solve)
    fitted = fit(solve, 2)

    @without_frames
    def answer(stage: Stage) -> dict[str, Any] | None:
        key = stage.params.get("public_key")
        if not is_text(key):
            raise ServerProtocolError(
                f"the server names no public_key for {printable(stage.type, 100)}, without which it is not solved"
            )
        url = homeserver.fallback_url(stage.type, stage.session) if homeserver and stage.session else ""
        response = read_answer("solve", partial(fitted, key, url))
        return None if response is None else {"type": stage.type, "response": response}

    return answer


@without_frames
def terms(accept: Callable[[list[Policy]], bool], *, language: str = "en") -> StartAuthStage:
    """Make a callback for ``m.login.terms`` (client-server API, "Terms of service at registration").

    Example::

        stages = {"m.login.terms": handlers.terms(lambda policies: input(f"Accept {policies}? ") == "yes")}

    Args:
        accept: is given the policies and returns whether the person accepts all of them; if not,
            ``AuthCancelledError`` ends the attempt. It is not called for terms of which one or more cannot be shown
            (no name, no http(s) address, none at all): those are a ``ServerProtocolError``, since nobody accepts
            unseen.
        language: the language to show them in, a tag such as ``"en"`` or ``"pt-BR"``; for want of it a related one
            is taken, else English, else whatever there is.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: ``language`` is empty.
    """
    check_function("accept", accept)
    wanted = check_required_text("language", language)

    @without_frames
    def answer(stage: Stage) -> dict[str, Any]:
        accepted: bool | None = accept(read_policies(stage.params.get("policies"), wanted))
        if accepted is None:
            kind = printable(stage.type, 100)
            raise TypeError(f"what accept returned for {kind} must be true or false, not None: does it lack a return?")
        if not accepted:
            raise AuthCancelledError("the terms of service were not accepted, and the server insists on them")
        return {"type": stage.type}

    return answer


@without_frames
def email(
    notify: Asker[object] | None = None,
    *,
    ask_address: Asker[str] | None = None,
    get_code: Asker[str | None] | None = None,
    homeserver: CodeSubmitter | None = None,
) -> StartAuthStage:
    """Make a callback for ``m.login.email.identity`` (client-server API, "Email-based").

    The mail has been sent by then if the address is among the ``inputs``. The loop polls until its link was opened;
    a mail that brings a code instead is one whose token request was answered with a ``submit_url``.

    Example::

        stages = {"m.login.email.identity": handlers.email(lambda: print("Open the link in the mail."))}

    Args:
        notify: is called when there is a mail to wait for, once for each mail, also if the attempt is resumed.
        ask_address: returns the address, if none is among the ``inputs``; called again, with ``stage.error``, if the
            server refuses it.
        get_code: returns the code of a mail that brings one; see ``msisdn``. Without it such a mail is a warning, and
            the loop waits in case there is a link in it as well.
        homeserver: posts the code to the server's ``submit_url``; goes with ``get_code``.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: there is only one of ``get_code`` and ``homeserver``.
    """
    check_function("notify", notify, optional=True)
    check_function("ask_address", ask_address, optional=True)
    check_function("get_code", get_code, optional=True)
    if (get_code is None) != (homeserver is None):
        raise ValueError("get_code and homeserver must be given both or neither: one asks for a code, one posts it")
    if homeserver is not None:
        _check_submitter(homeserver)
    fitted = None if notify is None else fit(notify, 1)

    @without_frames
    def answer(stage: Stage) -> Mapping[str, Any] | None:
        if stage.email_sid is None:
            stage = request_token_asking(stage, AuthType.EMAIL, ask_address, lambda value: (value,))
        # A resumed attempt comes here again, with the mail of the one before.
        if fitted is not None and is_first_time(stage, f"mail {stage.email_sid}"):
            fitted(stage)
        if get_code is not None and homeserver is not None and stage.submit_url is not None:
            return submit_code(stage, AuthType.EMAIL, fit(get_code, 1), homeserver.submit_token)
        if stage.submit_url is not None:
            warnings.warn(
                "the mail brings a code, and nobody is asked for it: give get_code and homeserver to handlers.email",
                RuntimeWarning,
                stacklevel=2,
            )
        return None

    return answer


@without_frames
def msisdn(
    get_code: Asker[str | None],
    homeserver: CodeSubmitter,
    *,
    ask_number: Asker[tuple[str, str]] | None = None,
) -> StartAuthStage:
    """Make a callback for ``m.login.msisdn`` (client-server API, "Phone number/MSISDN-based").

    The SMS has been sent by then if the phone number is among the ``inputs``.

    Example::

        stages = {"m.login.msisdn": handlers.msisdn(lambda: input("Code of the SMS: "), homeserver)}

    Args:
        get_code: returns the code of the SMS; called again, with ``stage.error``, after a wrong one, and after one
            that came too late, for which another SMS was sent. None if the person follows a link in the SMS, so that
            the loop waits.
        homeserver: posts the code to the server's ``submit_url``.
        ask_number: returns (country, phone number), if none is among the ``inputs``; called again, with
            ``stage.error``, if the server refuses it.

    Raises:
        TypeError: an argument has a wrong type.
    """
    check_function("get_code", get_code)
    check_function("ask_number", ask_number, optional=True)
    _check_submitter(homeserver)
    fitted = fit(get_code, 1)

    @without_frames
    def answer(stage: Stage) -> Mapping[str, Any] | None:
        if stage.msisdn_sid is None:
            stage = request_token_asking(stage, AuthType.MSISDN, ask_number, tuple)
        return submit_code(stage, AuthType.MSISDN, fitted, homeserver.submit_token)

    return answer


def _check_submitter(homeserver: object) -> None:
    if not callable(getattr(homeserver, "submit_token", None)):
        raise type_error("homeserver", "a Homeserver", homeserver)


@without_frames
def fallback(homeserver: FallbackPages, open_url: Callable[[str], object]) -> StartAuthStage:
    """Make a callback for any stage that a browser can do (client-server API, "Fallback").

    The loop polls until the page reports the stage as done to the server. Not every server has a page for every
    stage: Synapse has them for recaptcha, terms, registration token, single sign-on and m.oauth.

    Example::

        stages = {"*": handlers.fallback(homeserver, webbrowser.open)}

    Args:
        homeserver: makes the fallback URL.
        open_url: shows the URL to the person, or opens it.

    Raises:
        TypeError: an argument has a wrong type.
    """
    if not callable(getattr(homeserver, "fallback_url", None)):
        raise type_error("homeserver", "a Homeserver", homeserver)
    check_function("open_url", open_url)

    @without_frames
    def answer(stage: Stage) -> None:
        if stage.session is None:
            kind = printable(stage.type, 100)
            raise ServerProtocolError(f"the server gave no session, without which {kind} has no fallback page")
        open_url(homeserver.fallback_url(stage.type, stage.session))

    return answer


@without_frames
def sso(homeserver: FallbackPages, open_url: Callable[[str], object]) -> StartAuthStage:
    """Make a callback for ``m.login.sso`` (client-server API, "Single Sign-On"), which is done on its fallback page.

    Example::

        stages = {"m.login.sso": handlers.sso(homeserver, webbrowser.open)}

    Args:
        homeserver: makes the fallback URL.
        open_url: shows the URL to the person, or opens it.

    Raises:
        TypeError: an argument has a wrong type.
    """
    return fallback(homeserver, open_url)


@without_frames
def oauth(open_url: Callable[[str], object]) -> StartAuthStage:
    """Make a callback for ``m.oauth`` and ``org.matrix.cross_signing_reset`` (client-server API, "OAuth").

    The loop polls until the person has approved the request at the account's page.

    Example::

        stages = {"m.oauth": handlers.oauth(lambda url: print("Approve it there:", url))}

    Args:
        open_url: shows the URL to the person, or opens it.

    Raises:
        TypeError: ``open_url`` is not callable.
    """
    check_function("open_url", open_url)

    @without_frames
    def answer(stage: Stage) -> None:
        url = web_url(stage.params.get("url"))
        if url is None:
            kind = printable(stage.type, 100)
            raise ServerProtocolError(f"the server names no http(s) url for {kind}, where it would be approved")
        open_url(url)

    return answer


_publish(globals())
