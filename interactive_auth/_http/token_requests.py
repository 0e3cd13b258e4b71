"""The token requests: mails and SMS that validate an address, and the codes that come with them.

What must not be here: sending, which ``Homeserver`` adds, and the stages that the tokens are for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .._checks import check_client_secret, check_required_text, check_text, type_error
from .._errors import MatrixError, ServerProtocolError, hiding
from .._text import printable
from .._tracebacks import without_frames
from .addresses import check_base_url, may_be_this_machine
from .endpoints import CLIENT, PURPOSES, Purpose

#: What servers answer a wrong code with, if not 200 and ``success: false``: Synapse before a real Sydent 400, Sydent
#: itself 404 or 500.
_WRONG_CODE = frozenset({400, 404, 500})


class TokenRequests(ABC):
    """The token requests of a homeserver; ``Homeserver`` adds how they are sent."""

    _allow_insecure_http: bool

    @property
    @abstractmethod
    def base_url(self) -> str:
        """The homeserver's address."""

    @abstractmethod
    def _post(self, url: str, body: Mapping[str, Any], *, with_token: bool) -> dict[str, Any]:
        """Post JSON to a path of the homeserver's or to a whole address, and return the JSON object of the success."""

    @without_frames
    def request_email_token(
        self,
        purpose: Purpose,
        email: str,
        client_secret: str,
        send_attempt: int = 1,
        session_id: str | None = None,
        *,
        next_link: str | None = None,
        id_server: str | None = None,
        id_access_token: str | None = None,
    ) -> dict[str, Any]:
        """Have a mail sent that validates an address (client-server API, the "requestToken" endpoints).

        ``InteractiveAuth`` calls it, through ``UIARequest.request_email_token``, for email stages; what is added to
        every call there can be bound with ``functools.partial``. For ``add_threepid`` it is called by hand.

        Args:
            purpose: "register", "account/password" or "account/3pid": the endpoint that the validation is for.
            email: the address.
            client_secret: a secret of the client's own making.
            send_attempt: 1, and a larger number to have the mail sent once more.
            session_id: not sent: the endpoints do not ask for it.
            next_link: where the mail's link leads the browser in the end.
            id_server: the identity server to send the mail, instead of the homeserver; with ``id_access_token``.
            id_access_token: the access token for ``id_server``.

        Returns:
            The JSON object of the answer, with ``sid``.

        Raises:
            MatrixError: the server refused, for example because the address is in use, or not known.
            ServerProtocolError: the answer is no JSON object.
            HomeserverConnectionError: there was no complete answer.
            TypeError: an argument has a wrong type.
            ValueError: an argument has a wrong value.
        """
        body = {"email": check_required_text("email", email)}
        extra = {"next_link": next_link, "id_server": id_server, "id_access_token": id_access_token}
        return self._request_token(purpose, "email", body, client_secret, send_attempt, extra)

    @without_frames
    def request_msisdn_token(
        self,
        purpose: Purpose,
        country: str,
        phone_number: str,
        client_secret: str,
        send_attempt: int = 1,
        session_id: str | None = None,
        *,
        next_link: str | None = None,
        id_server: str | None = None,
        id_access_token: str | None = None,
    ) -> dict[str, Any]:
        """Have an SMS sent that validates a phone number; see ``request_email_token``.

        Args:
            purpose: "register", "account/password" or "account/3pid": the endpoint that the validation is for.
            country: two upper-case letters (ISO 3166-1 alpha-2).
            phone_number: the number as dialled in that country.
            client_secret: a secret of the client's own making.
            send_attempt: 1, and a larger number to have the SMS sent once more.
            session_id: not sent: the endpoints do not ask for it.
            next_link: where a link in the SMS leads the browser in the end.
            id_server: the identity server to send the SMS, instead of the homeserver; with ``id_access_token``.
            id_access_token: the access token for ``id_server``.

        Returns:
            The JSON object of the answer, with ``sid`` and perhaps ``submit_url``, for ``submit_token``.

        Raises:
            MatrixError: the server refused, for example because the number is in use, or not known.
            ServerProtocolError: the answer is no JSON object.
            HomeserverConnectionError: there was no complete answer.
            TypeError: an argument has a wrong type.
            ValueError: an argument has a wrong value.
        """
        number = check_required_text("phone_number", phone_number)
        body = {"country": check_required_text("country", country), "phone_number": number}
        extra = {"next_link": next_link, "id_server": id_server, "id_access_token": id_access_token}
        return self._request_token(purpose, "msisdn", body, client_secret, send_attempt, extra)

    def _request_token(
        self,
        purpose: Purpose,
        medium: str,
        address: Mapping[str, str],
        client_secret: str,
        send_attempt: int,
        extra: Mapping[str, str | None],
    ) -> dict[str, Any]:
        if purpose not in PURPOSES:
            raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}")
        if not isinstance(send_attempt, int) or isinstance(send_attempt, bool):
            raise type_error("send_attempt", "an int", send_attempt)
        given = {name: text for name, value in extra.items() if (text := check_text(name, value)) is not None}
        if ("id_server" in given) != ("id_access_token" in given):
            raise ValueError("id_server and id_access_token must be given both or neither")
        secret = check_client_secret(check_required_text("client_secret", client_secret))
        body = {"client_secret": secret, **address, "send_attempt": send_attempt, **given}
        # Only adding an address is done by an account; the others are for those who cannot log in.
        path = f"{CLIENT}/{purpose}/{medium}/requestToken"
        with hiding(secret, given.get("id_access_token")):
            return self._post(path, body, with_token=purpose == "account/3pid")

    @without_frames
    def submit_token(self, submit_url: str, sid: str, client_secret: str, token: str) -> bool:
        """Post the code of an SMS or a mail to the ``submit_url`` of a token request (identity service API).

        Args:
            submit_url: the address that the token request answered with.
            sid: the sid that it answered with.
            client_secret: the secret that it was made with.
            token: the code that the person has received.

        Returns:
            Whether the code was right; if not, ask for it again.

        Raises:
            MatrixError: the server refused for another reason than a wrong code, a rate limit for example.
            ServerProtocolError: ``submit_url`` is no address that a code may be sent to.
            HomeserverConnectionError: there was no complete answer.
            TypeError: an argument has a wrong type.
            ValueError: an argument is empty.
        """
        url = check_required_text("submit_url", submit_url)
        body = {
            "sid": check_required_text("sid", sid),
            "client_secret": check_required_text("client_secret", client_secret),
            "token": check_required_text("token", token),
        }
        try:
            check_base_url(url.partition("?")[0], allow_insecure_http=self._allow_insecure_http)
        except ValueError as error:
            raise ServerProtocolError(
                f"the server wants the code at an unfit address: {printable(str(error))}"
            ) from None
        # Otherwise a homeserver elsewhere could have its posts arrive at whatever listens on this machine.
        if may_be_this_machine(urlsplit(url).hostname or "") and not may_be_this_machine(
            urlsplit(self.base_url).hostname or ""
        ):
            raise ServerProtocolError("the server wants the code at an address of this machine, where it is not itself")
        try:
            with hiding(client_secret, token):
                return self._post(url, body, with_token=False).get("success") is True
        except MatrixError as error:
            if error.http_status in _WRONG_CODE:
                return False
            raise
