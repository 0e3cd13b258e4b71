"""The token requests: mails and SMS that validate an address, and the codes that come with them.

What must not be here: sending, which ``Homeserver`` adds, and the stages that the tokens are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .._checks import check_client_secret, check_required_text, check_text, type_error
from .._errors import MatrixError, ServerProtocolError, hiding
from .._text import printable, shown
from .._tracebacks import without_frames
from .addresses import check_address, may_be_this_machine
from .calls import Calls
from .endpoints import CLIENT, PURPOSES, Purpose


class _WrongCode(NamedTuple):
    """A way to say that a code is wrong.

    Attributes:
        status: the HTTP status code.
        errcode: the error code.
        words: what the server's words are; empty if the error code says it all.
    """

    status: int
    errcode: str
    words: str = ""


#: How servers say it. A bare ``success: false``, whatever the status, needs no row.
_WRONG_CODES = (
    _WrongCode(400, "M_TOKEN_INCORRECT"),  # identity service API since v1.18 (MSC4183)
    _WrongCode(404, "M_NO_VALID_SESSION", "No session could be found with this sid"),  # Sydent
    _WrongCode(200, "M_NO_VALID_SESSION", "No session could be found with this sid"),  # Sydent before 2.4
    _WrongCode(500, "M_UNKNOWN", "Internal Server Error"),  # Sydent, for a code of a strange form
    _WrongCode(400, "M_UNKNOWN", "Error contacting the identity server"),  # Synapse, before a Sydent's 404
)


def _says_wrong_code(error: MatrixError) -> bool:
    if error.errcode is None:
        return error.data.get("success") is False
    said = (error.http_status, error.errcode)
    return any(said == row[:2] and row.words in (error.error or "") for row in _WRONG_CODES)


class TokenRequests(Calls):
    """The token requests of a homeserver."""

    _allow_insecure_http: bool

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
        # Without the access token: the specification wants none, not even where an account adds an address.
        path = f"{CLIENT}/{purpose}/{medium}/requestToken"
        with hiding(secret, given.get("id_access_token")):
            return self._call("POST", path, body)

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
            MatrixError: the server refused for another reason than a wrong code: M_SESSION_EXPIRED if the code came
                too late, so that another one has to be requested, a rate limit, or a proxy's page.
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
            check_address(url.partition("?")[0], allow_insecure_http=self._allow_insecure_http)
        except ValueError as error:
            raise ServerProtocolError(
                f"the server wants the code at an unfit address: {printable(str(error))}"
            ) from None
        # Otherwise a homeserver elsewhere could have its posts arrive at whatever listens on this machine.
        if may_be_this_machine(urlsplit(url).hostname or "") and not may_be_this_machine(
            urlsplit(self.base_url).hostname or ""
        ):
            raise ServerProtocolError("the server wants the code at an address of this machine, where it is not itself")
        with hiding(client_secret, token):
            try:
                answer = self._call("POST", url, body)
            except MatrixError as error:
                if _says_wrong_code(error):
                    return False
                raise
            if answer.get("success") is True:
                return True
            # Sydent says 200 to all, and what is wrong beside it; without a word it is the code.
            refusal = MatrixError(200, answer)
            if refusal.errcode is None or _says_wrong_code(refusal):
                return False
            refusal._context = f"POST {shown(url)}"
            raise refusal
