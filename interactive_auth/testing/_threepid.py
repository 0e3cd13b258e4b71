"""The mails and SMS of the scripted homeserver (``testing``): who was sent what, and which addresses are validated.

What must not be here: sessions, stages, HTTP.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ._http import Response

#: The stages that an address completes, and the medium that it is reached by.
MEDIA: Mapping[str, str] = {"m.login.email.identity": "email", "m.login.msisdn": "msisdn"}
_ADDRESS = {"email": ("email",), "msisdn": ("country", "phone_number")}


@dataclass(frozen=True)
class Message:
    """A mail or an SMS that the homeserver has sent.

    Attributes:
        medium: "email" or "msisdn".
        address: the email address; or country and phone number with a space between them.
        sid: the validation session's id.
        client_secret: the secret that it was requested with.
        send_attempt: the number that it was requested with.
    """

    medium: str
    address: str
    sid: str
    client_secret: str
    send_attempt: int


class Validation:
    """What became of an address.

    Attributes:
        messages: the messages that it was sent.
        validated: whether somebody has opened the link, or posted the code.
        due: how many more questions find it not validated; None if nobody is about to validate it.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.validated = False
        self.due: int | None = None

    def ask(self) -> bool:
        """Return whether it is validated by now."""
        if self.due is not None:
            self.validated = self.validated or self.due == 0
            self.due = None if self.validated else self.due - 1
        return self.validated


class Validations:
    """All addresses, by medium, address and client secret.

    Attributes:
        messages: all messages that were sent.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._found: dict[tuple[str, str, str], Validation] = {}
        self._early: dict[str, int] = {}

    def request(self, medium: str, given: Mapping[str, Any], submit_url: str) -> Response:
        """Answer a token request (client-server API, the "requestToken" endpoints)."""
        lacking = [key for key in ("client_secret", *_ADDRESS[medium], "send_attempt") if key not in given]
        if lacking:
            return Response(400, {"errcode": "M_MISSING_PARAM", "error": f"Missing params: {lacking}"})
        address, secret = " ".join(str(given[key]) for key in _ADDRESS[medium]), str(given["client_secret"])
        found = self._found.setdefault((medium, address, secret), Validation())
        # Only a larger number has it sent again.
        if not found.messages or given["send_attempt"] > found.messages[-1].send_attempt:
            sid = found.messages[0].sid if found.messages else secrets.token_urlsafe(12)
            found.messages.append(Message(medium, address, sid, secret, given["send_attempt"]))
            self.messages.append(found.messages[-1])
        if medium in self._early:
            found.due = self._early.pop(medium)
        answer = {"sid": found.messages[0].sid}
        return Response(200, answer if medium == "email" else {**answer, "submit_url": submit_url})

    def complete(self, medium: str, after: int) -> None:
        """Have the address of the last message validated; without any message, that of the first one to come."""
        sent = [message for message in self.messages if message.medium == medium]
        if sent:
            self._find(sent[-1].sid, sent[-1].client_secret).due = after
        else:
            self._early[medium] = after

    def submit(self, given: dict[str, Any], is_right: Callable[[dict[str, Any]], bool]) -> Response:
        """Answer the code of an SMS (identity service API, "submitToken")."""
        found = self._find(given.get("sid"), given.get("client_secret"))
        right = bool(found.messages) and is_right(given)
        found.validated = found.validated or right
        return Response(200, {"success": right})

    def validated(self, medium: str | None, creds: Mapping[str, Any], *, spend: bool = False) -> bool:
        """Return whether ``threepid_creds`` are those of an address that is validated.

        Args:
            medium: the medium that the address must be of; None for any.
            creds: a mapping with ``sid`` and ``client_secret``.
            spend: whether they are worth nothing from now on.
        """
        found = self._find(creds.get("sid"), creds.get("client_secret"))
        right = found.ask() and medium in (None, found.messages[0].medium)
        if right and spend:
            found.validated = False
        return right

    def address(self, creds: object) -> str:
        """Return the address that ``threepid_creds`` are about; empty for those of nobody."""
        given = creds if isinstance(creds, dict) else {}
        messages = self._find(given.get("sid"), given.get("client_secret")).messages
        return messages[-1].address if messages else ""

    def _find(self, sid: object, secret: object) -> Validation:
        for found in self._found.values():
            if found.messages[0].sid == sid and found.messages[0].client_secret == secret:
                return found
        return Validation()
