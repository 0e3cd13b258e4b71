"""Email addresses and phone numbers on their way through a session: the token request's bookkeeping.

What must not be here: the sending of the request, waiting, any decision about flows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._errors import ServerProtocolError
from .._text import is_text, web_url
from .._types import AuthType


class Threepid:
    """One third-party identifier, and the validation of it that the server was asked for.

    Attributes:
        stage: the stage that it completes.
        address: the leading arguments of the token request: (email,) or (country, phone number); None if unknown.
        sid: the id of the validation session, None before the first token request.
        send_attempt: how many token requests have succeeded; a larger number makes the server send again.
        submit_url: where a code is to be posted, None if the person follows a link instead.
        request: sends the token request; None if the caller gave no way to.
    """

    __slots__ = ("address", "request", "send_attempt", "sid", "stage", "submit_url")

    def __init__(
        self,
        stage: AuthType,
        address: tuple[str, ...] | None,
        sid: str | None,
        request: Callable[..., Mapping[str, Any]] | None,
    ) -> None:
        self.stage = stage
        self.address = address
        self.sid = sid
        self.send_attempt = 0
        self.submit_url: str | None = None
        self.request = request

    @property
    def medium(self) -> str:
        """What the methods and arguments for it have in their names."""
        return "email" if self.stage is AuthType.EMAIL else "msisdn"

    def usable_request(self) -> Callable[..., Mapping[str, Any]]:
        """Return the token request.

        Raises:
            RuntimeError: the caller gave none.
        """
        if self.request is None:
            argument = f"request_{self.medium}_token"
            raise RuntimeError(
                f"there is no token request for {self.stage}: give {argument} to InteractiveAuth or authenticate()"
            )
        return self.request

    def use(self, sid: str | None) -> None:
        """Go on with another validation session, of which nothing is known but its sid; None for none."""
        self.sid = sid
        self.submit_url = None

    def accept(self, reply: object, address: tuple[str, ...]) -> None:
        """Take over the answer to a token request for ``address``.

        Raises:
            ServerProtocolError: it has no usable ``sid``, so the stage could never be completed with it.
        """
        answer: Mapping[str, object] = reply if isinstance(reply, Mapping) else {}
        sid = answer.get("sid")
        if not is_text(sid):
            raise ServerProtocolError(
                f"the answer to the token request for {self.stage} has no usable sid, so the stage cannot be completed"
            )
        self.address = address
        self.sid = sid
        self.send_attempt += 1
        self.submit_url = web_url(answer.get("submit_url"))

    def save(self) -> dict[str, Any]:
        """Return what a resumed session needs beside address and sid."""
        return {
            "address": list(self.address or ()),
            "send_attempt": self.send_attempt,
            "submit_url": self.submit_url,
        }

    def restore(self, saved: object) -> bool:
        """Take over what ``save`` returned; whatever is not of its form counts as nothing.

        Returns:
            Whether it is of another address than the one given now, so that nothing of it is taken.
        """
        if not isinstance(saved, Mapping):
            return False
        if self.address is not None and saved.get("address") not in (None, [], list(self.address)):
            self.use(None)  # it is the sid of the address that was given then
            return True
        attempts = saved.get("send_attempt")
        if isinstance(attempts, int) and not isinstance(attempts, bool) and attempts > 0:
            self.send_attempt = attempts
        self.submit_url = web_url(saved.get("submit_url"))
        return False

    def auth(self, client_secret: str) -> dict[str, Any]:
        """Return the auth dict that asks whether the validation is done.

        The specification wants ``threepid_creds`` for that ("Email-based (identity / homeserver)"): a session alone
        never completes such a stage.
        """
        return {"type": str(self.stage), "threepid_creds": {"sid": self.sid, "client_secret": client_secret}}
