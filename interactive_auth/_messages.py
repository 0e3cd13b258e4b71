"""Mails and SMS as a person deals with them: where one goes, that it goes again or elsewhere, its link or its code.

What must not be here: waiting, other stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from . import handlers as ready
from ._engine.context import asking, can_send_again, refreshed
from ._errors import MatrixError, ServerProtocolError
from ._prompts import TRIES, ask, is_asked_elsewhere, nothing_usable, read, say, say_refusal
from ._text import printable
from ._types import AuthType, Stage
from ._waitline import ENTER, LOOK, WaitLine
from .homeserver import Homeserver

#: What brings the link or the code, and where it goes.
_MESSAGES: Mapping[str, str] = {AuthType.EMAIL: "mail", AuthType.MSISDN: "SMS"}
_PLACES: Mapping[str, str] = {AuthType.EMAIL: "address", AuthType.MSISDN: "number"}
#: As often another address or number is asked for before the one before stays.
_CHANGES = 3


class Messages:
    """What the console asks a person for the stages that a mail or an SMS completes.

    Args:
        homeserver: posts codes.
        line: reads the keys that are pressed while the attempt waits for a link.
    """

    def __init__(self, homeserver: Homeserver, line: WaitLine) -> None:
        self._homeserver = homeserver
        self._line = line
        #: The sid of the mail or the SMS that was waited for last.
        self._awaited: str | None = None

    def address(self, stage: Stage) -> str:
        """Ask for an email address."""
        _say_why_refused(stage, AuthType.EMAIL)
        return ask("Email address")

    def number(self, stage: Stage) -> tuple[str, str]:
        """Ask for a country and a phone number."""
        _say_why_refused(stage, AuthType.MSISDN)
        return _ask_number()

    def email(self, stage: Stage) -> Mapping[str, Any] | None:
        """Answer the stage of a mail."""
        code = partial(self.code, AuthType.EMAIL)
        answer = ready.email(ask_address=self.address, get_code=code, homeserver=self._homeserver)(stage)
        if answer is None:
            self.follow(AuthType.EMAIL, stage)
        return answer

    def msisdn(self, stage: Stage) -> Mapping[str, Any] | None:
        """Answer the stage of an SMS."""
        code = partial(self.code, AuthType.MSISDN)
        answer = ready.msisdn(code, self._homeserver, ask_number=self.number)(stage)
        if answer is None:
            self.follow(AuthType.MSISDN, stage)
        return answer

    def code(self, kind: AuthType, stage: Stage) -> str | None:
        """Ask for the code of a message, which may be sent again, or elsewhere; None if it brings a link."""
        message = _MESSAGES[kind]
        if refreshed(stage, kind).submit_url is None:
            return None
        if stage.error is not None and stage.error.errcode == "M_SESSION_EXPIRED":
            say(f"That code came too late. Another {message} was sent.")
        _say_sent(kind, stage)
        for _ in range(TRIES):
            choices = self._choices(kind, stage)
            if choices:
                say(_hint(kind))
            answer = read(f"Code in the {message}: ")
            if (choose := choices.get(answer.lower())) is None and answer:
                return answer
            if choose is not None:
                choose()
                if refreshed(stage, kind).submit_url is None:  # this one brings a link
                    return None
        raise nothing_usable(f"Code in the {message}")

    def follow(self, kind: AuthType, stage: Stage) -> None:
        """Have the person open the link in a message; the loop waits for it."""
        _say_sent(kind, stage)
        say(f"Open the link in the {_MESSAGES[kind]}.")
        choices = self._choices(kind, stage)
        sid = stage.auth.get_email_sid() if kind is AuthType.EMAIL else stage.auth.get_msisdn_sid()
        if choices and is_asked_elsewhere():
            # A notebook has no keys while a cell runs, so a person who comes back is asked.
            if self._awaited == sid:
                say(f"{_hint(kind)}, Enter: go on waiting")
                choices.get(read("What now? ").lower(), stage.auth.poll)()
            else:
                say(f"To send it again, or to change the {_PLACES[kind]}, interrupt this cell and run it again.")
        self._awaited = sid
        hint = f"({_hint(kind)}, Enter: look now)" if choices else LOOK
        self._line.offer(stage, hint, {ENTER: asking(stage).poll, **choices})

    def _choices(self, kind: AuthType, stage: Stage) -> dict[str, Callable[[], object]]:
        """Return what can be done about a message that was sent, by the letter to type."""
        if not can_send_again(stage, kind):
            return {}
        return {"r": partial(_send_again, kind, stage), "c": partial(_change, kind, stage)}


def _say_why_refused(stage: Stage, kind: AuthType) -> None:
    if stage.error is not None:
        say_refusal(stage.error, f"Nothing was sent to that {_PLACES[kind]}.")


def _say_sent(kind: AuthType, stage: Stage) -> None:
    where = _address(kind, stage)
    message = _MESSAGES[kind]
    if where:
        say(f"{message[0].upper()}{message[1:]} sent to {where}.")


def _address(kind: AuthType, stage: Stage) -> str:
    """Return where a message was sent to, empty if that is not known, as after a resume by the sid alone."""
    inputs = asking(stage).get_resume_state()["inputs"]
    if kind is AuthType.EMAIL:
        return printable(inputs.get("email_address") or "")
    number, country = inputs.get("phone_number"), inputs.get("phone_country")
    return printable(f"{number} ({country})") if number else ""


def _hint(kind: AuthType) -> str:
    return f"r: send it again, c: change the {_PLACES[kind]}"


def _ask_number() -> tuple[str, str]:
    return _ask_country(), _ask_digits()


def _ask_country() -> str:
    """Ask for a country until it is one, as a token request has it."""
    prompt = "Country, two letters"
    for _ in range(TRIES):
        country = ask(prompt).upper()
        if len(country) == 2 and country.isascii() and country.isalpha():
            return country
        say("A country is given by two letters: GB for the United Kingdom, DE for Germany, US for the United States.")
    raise nothing_usable(prompt)


def _ask_digits() -> str:
    for _ in range(TRIES):
        number = ask("Phone number")
        if any(character.isdigit() for character in number):
            return number
        say("A phone number has digits.")
    raise nothing_usable("Phone number")


def _send(kind: AuthType, stage: Stage, *address: str) -> Exception | None:
    """Have a message sent; return why it was not, after which the one before is still good."""
    auth = asking(stage)
    send = auth.request_email_token if kind is AuthType.EMAIL else auth.request_msisdn_token
    try:
        send(*address)
    except (MatrixError, ServerProtocolError, ConnectionError, TimeoutError) as error:
        return error
    return None


def _send_again(kind: AuthType, stage: Stage) -> None:
    refusal = _send(kind, stage)
    if refusal is None:
        say(f"Sent again to {_address(kind, stage)}.")
    else:
        say_refusal(refusal, "It was not sent again; the one before is still good.")


def _change(kind: AuthType, stage: Stage) -> None:
    """Ask for another address or number, and have the message sent there."""
    before = _address(kind, stage)
    for _ in range(_CHANGES):
        given = read(f"New {_PLACES[kind]} (Enter keeps it): ")
        if not given:
            return
        refusal = _send(kind, stage, *((given,) if kind is AuthType.EMAIL else (_ask_country(), given)))
        if refusal is None:
            _say_sent(kind, stage)
            return
        say_refusal(refusal, f"Nothing was sent to that {_PLACES[kind]}.")
    say(f"It stays with {before}.")
