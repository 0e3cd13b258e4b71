"""A homeserver that follows a script, on a thread of the test's own: for the tests of programs that authenticate.

It is not a mock of this library but a server: what the program sends, by any client, goes through a real socket on
127.0.0.1, and is answered as the specification ("User-Interactive Authentication API") and the quirks of the
homeserver that it plays demand. With pytest, the fixture ``uia_server`` is one such server for each test::

    from interactive_auth import Homeserver, handlers

    def test_a_mistyped_token(uia_server):
        uia_server.flows = [["m.login.registration_token", "m.login.terms"]]
        uia_server.answers = {"m.login.registration_token": "right"}
        typed = iter(["wrong", "right"])
        stages = {
            "m.login.registration_token": handlers.registration_token(lambda: next(typed)),
            "m.login.terms": handlers.terms(bool),
        }

        with Homeserver(uia_server.base_url) as homeserver:
            account = homeserver.register("alice").authenticate(stages)

        assert account["user_id"] == "@alice:example.org"
        assert [auth and auth.get("token") for auth in uia_server.auths] == [None, "wrong", "right", None]

A whole bot can be tested so, which logs in by itself, whatever client it uses::

    def test_my_bot(uia_server):
        uia_server.add_account("bot", "right", devices=["OLD"])
        uia_server.flows = [["m.login.password"]]

        my_bot.main(uia_server.base_url, "bot", "right")

        assert "OLD" not in uia_server.accounts["bot"].devices

What must not be here: sessions and stages (``_uia``), accounts (``_accounts``), and any of the library's own loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from typing_extensions import Self

from .._checks import check_mapping, check_seconds
from .._text import publish as _publish
from .._tracebacks import without_frames
from ._accounts import Account, Device, error
from ._endpoints import APPLICATION_SERVICE, answer, wants_authentication
from ._homeservers import homeservers
from ._http import HTTPThread, ReceivedRequest, Response
from ._names import check_attribute, check_int, check_path
from ._outcomes import needs_nothing, refuse, succeed
from ._pages import DONE_PAGE, PAGE
from ._paths import APPROVAL, FALLBACK, METADATA, SUBMIT, TOKEN_REQUESTS, VALIDITY, matches
from ._quirks import Quirks, Refusal
from ._threepid import Message
from ._uia import Answer, ScriptedUIA

__all__ = [
    "Account",
    "Answer",
    "Device",
    "Message",
    "Quirks",
    "ReceivedRequest",
    "Refusal",
    "UIAServer",
    "homeservers",
]

_ACTIONS = ("profile", "devices_list", "device_view", "device_delete", "account_deactivate", "cross_signing_reset")


class _Planned(NamedTuple):
    path: str
    response: Response | None


class UIAServer(ScriptedUIA):
    """A homeserver that asks for what it is told to, and keeps what it was sent; it runs from here until ``close()``.

    A context manager. All attributes may be set at any time, in the middle of a session, too; one that does not exist
    is an error. A request by POST, PUT, PATCH or DELETE to any path is one that wants authentication, save for those
    around one, which are there, too: the token requests of emails and SMS and the ``submit_url`` of the latter, the
    fallback pages (a stage's page has one button), login, refresh and logout, devices, and what clients ask when they
    start; ``/sync`` has nothing new to tell. What is authenticated is done: a deleted device is gone, and its access
    token with it; a new password is the one to log in with; a deactivated account cannot.

    Example::

        with UIAServer(flows=[["m.login.terms"]]) as server:
            Homeserver(server.base_url).register("alice").authenticate({"m.login.terms": handlers.terms(bool)})

    Args:
        flows: the flows, each a sequence of stages; empty for none that anybody could go, None for no authentication.
        answers: the right answers by stage. A str is the secret: the password, the registration token, the response
            to a captcha, the code in an SMS, or any value in the auth dict of a stage of one's own. A mapping has the
            fields that the auth dict must have, with their values; a callable is given it and returns whether it is
            right. ``m.login.dummy`` and ``m.login.terms`` need none, a password that is not here is right if it is the
            account's, email stages are completed by ``complete()``; so are all others that are not here.
        params: the stages' parameters, by stage; None for none. Those of terms, captchas and ``m.oauth`` have a
            default, which is fit for use.
        quirks: the homeserver to play, one of the names in ``homeservers``; or quirks of one's own.
        responses: bodies of successes, by how the paths end; for others the specification's.
        access_token: an access token that is known beside those of the accounts. None for none: then any is right, or
            none at all, as long as there is no account.
        account_management_url: where people manage their accounts if the homeserver leaves them to OAuth, as some of
            ``homeservers`` can: then its endpoints refuse, as its do; None if they are the homeserver's own.
        as_token: the access token of an application service, which may act for all accounts; None for none.

    Attributes:
        server_name: what the ids of users end with.

    Raises:
        TypeError: a flow is not a sequence of stages.
        ValueError: ``quirks`` is not the name of a homeserver; ``answers``, ``params`` or ``responses`` name a stage
            or a path that cannot be there.
    """

    server_name: str = "example.org"
    access_token: str | None
    account_management_url: str | None
    as_token: str | None

    @without_frames
    def __init__(
        self,
        flows: Sequence[Sequence[str]] | None = (("m.login.dummy",),),
        answers: Mapping[str, Answer] | None = None,
        *,
        params: Mapping[str, Mapping[str, Any] | None] | None = None,
        quirks: str | Quirks = "synapse",
        responses: Mapping[str, Mapping[str, Any]] | None = None,
        access_token: str | None = None,
        account_management_url: str | None = None,
        as_token: str | None = None,
    ) -> None:
        super().__init__(flows, answers or {}, params or {}, quirks)
        self.responses = responses or {}
        self.access_token = access_token
        self.account_management_url = account_management_url
        self.as_token = as_token
        self._received: list[ReceivedRequest] = []
        self._planned: list[_Planned] = []
        self._thread = HTTPThread(self._receive)
        self._base_url = self._thread.base_url

    if TYPE_CHECKING:
        pass  # type checkers find unknown attributes themselves, unless a class has this method
    else:

        @without_frames
        def __setattr__(self, name: str, value: object) -> None:
            check_attribute(type(self), name)
            super().__setattr__(name, value)

    def close(self) -> None:
        """Stop, and hang up on everybody who is still connected."""
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    @property
    def base_url(self) -> str:
        """The server's address, for a ``Homeserver``."""
        return self._base_url

    @property
    def responses(self) -> Mapping[str, Mapping[str, Any]]:
        """The bodies of successes, by how the paths end."""
        return self._responses

    @responses.setter
    @without_frames
    def responses(self, value: Mapping[str, Mapping[str, Any]]) -> None:
        responses = check_mapping("responses", value)
        self._responses = {check_path("responses", path): body for path, body in responses.items()}

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What the server was sent so far, token requests and pages too, the oldest first."""
        with self._lock:
            return list(self._received)

    @property
    def auths(self) -> list[dict[str, Any] | None]:
        """The ``auth`` of each request that wanted authentication so far, None for one that had none."""
        return [request.auth for request in self.requests if wants_authentication(request)]

    @property
    def accounts(self) -> dict[str, Account]:
        """The accounts, registered ones too, by the name of the user; each may be changed at any time."""
        with self._lock:
            return dict(self._accounts.known)

    @without_frames
    def add_account(
        self, name: str, password: str | None = None, *, devices: Iterable[str] = (), addresses: Iterable[str] = ()
    ) -> Account:
        """Make an account, whose name is taken then.

        Args:
            name: the name of the user, as in ``"alice"``.
            password: the password; None for an account that has none.
            devices: the ids of its devices; each has an access token.
            addresses: its email addresses and phone numbers.
        """
        if isinstance(devices, str) or isinstance(addresses, str):
            raise TypeError("devices and addresses must be several strings, not a str")
        with self._lock:
            return self._accounts.add(f"@{name}:{self.server_name}", password, devices, addresses)

    @without_frames
    def fail_next(
        self, status: int | None = None, errcode: str | None = None, error: str = "", *, times: int = 1, path: str = ""
    ) -> None:
        """Answer the next request with an error, whatever it is; no session and no stage is touched by it.

        Args:
            status: the HTTP status code; None for a homeserver that has crashed: 500, M_UNKNOWN.
            errcode: the Matrix error code; None for an answer that is not a homeserver's, as a proxy's.
            error: the server's words.
            times: how many requests are answered so.
            path: how their paths end; empty for any. Requests to others are answered as ever.

        Raises:
            TypeError: there is an errcode without a status.
            ValueError: the status is not an error's; or no path ends so.
        """
        if status is None:
            if errcode is not None:
                raise TypeError('an errcode needs its status, as in fail_next(400, "M_USER_IN_USE")')
            status, errcode, error = 500, "M_UNKNOWN", "Internal server error"
        check_int("status", status)
        if not 400 <= status < 600:
            raise ValueError("status must be an error's, 400 to 599")
        body = b"<html>" if errcode is None else {"errcode": errcode, "error": error}
        self._plan(Response(status, body), times, path)

    @without_frames
    def rate_limit_next(self, seconds: float = 0.0, *, times: int = 1, path: str = "") -> None:
        """Answer the next request with a 429, as the homeserver that is played does: not all say how long to wait.

        Args:
            seconds: how long to wait.
            times: how many requests are answered so.
            path: how their paths end; empty for any. Requests to others are answered as ever.

        Raises:
            ValueError: no path ends so.
        """
        seconds = check_seconds("seconds", seconds)
        body: dict[str, Any] = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests"}
        if "body" in self.quirks.delay:
            body["retry_after_ms"] = round(seconds * 1000)
        headers = {"Retry-After": str(math.ceil(seconds))} if "header" in self.quirks.delay else {}
        self._plan(Response(429, body, headers), times, path)

    @without_frames
    def hang_up_next(self, *, times: int = 1, path: str = "") -> None:
        """Hang up on the next request, without an answer and without having acted.

        Args:
            times: how many requests are hung up on.
            path: how their paths end; empty for any. Requests to others are answered as ever.

        Raises:
            ValueError: no path ends so.
        """
        self._plan(None, times, path)

    def _plan(self, response: Response | None, times: int, path: str) -> None:
        planned = _Planned(check_path("path", path), response)
        check_int("times", times)
        if times < 1:
            raise ValueError("times must be 1 or more")
        with self._lock:
            self._planned += [planned] * times

    def _receive(self, request: ReceivedRequest) -> Response | None:
        with self._lock:
            self._received.append(request)
            planned = next((plan for plan in self._planned if request.path.endswith(plan.path)), None)
            if planned is not None:
                self._planned.remove(planned)
                return planned.response
            response = self._serve(request)
            scripted = next((body for end, body in self.responses.items() if request.path.endswith(end)), None)
            return response if scripted is None or response.status >= 400 else Response(200, dict(scripted))

    def _serve(self, request: ReceivedRequest) -> Response:
        if refusal := self._delegated(request):
            return refusal
        caller = self._accounts.identify(request, self.as_token)
        if isinstance(caller, Response):
            return caller
        if response := answer(self._accounts, request, caller, self.as_token):
            return response
        if wants_authentication(request):
            return (
                refuse(self._accounts, request, caller, self.access_token, self.quirks)
                or (None if needs_nothing(request, caller) else self._authenticate(request, caller))
                or succeed(self._accounts, self._validations, request, caller, self.server_name, self.quirks)
            )
        for endpoint in TOKEN_REQUESTS:
            if matches(request.path, endpoint):
                medium = endpoint.split("/")[-2]
                submit_url = f"{self.base_url}/_matrix/client/unstable{SUBMIT}"
                return self._validations.request(medium, request.body, submit_url)
        if matches(request.path, SUBMIT):
            return self._validations.submit(request.body, lambda code: self._is_right("m.login.msisdn", code))
        if found := matches(request.path, FALLBACK):
            pages = self.quirks.pages
            return self._page(request, unquote(found[1]), there=pages is None or unquote(found[1]) in pages)
        if found := matches(request.path, APPROVAL):
            return self._page(request, unquote(found[1]), there=True)
        return self._look_up(request)

    def _delegated(self, request: ReceivedRequest) -> Response | None:
        """Return the refusal of a homeserver that leaves its accounts to OAuth, if it refuses this."""
        if self.account_management_url is None or request.body.get("type") == APPLICATION_SERVICE:
            return None
        refusals = self.quirks.delegated
        ends = [end for end in refusals if request.path.endswith(end)]
        refusal = refusals[ends[0]] if ends else refusals.get("*") if wants_authentication(request) else None
        return None if refusal is None else self._refuse(refusal, {})

    def _page(self, request: ReceivedRequest, stage: str, *, there: bool) -> Response:
        """Answer a page that does a stage (client-server API, "Fallback")."""
        session = request.params.get("session", "")
        if not there or session not in self._sessions:
            return error(404, "M_UNKNOWN", "no such page, or no such session")
        if request.method == "POST":
            self.complete(stage, session=session)
        html = {"Content-Type": "text/html; charset=utf-8"}
        return Response(200, DONE_PAGE if request.method == "POST" else PAGE, html)

    def _look_up(self, request: ReceivedRequest) -> Response:
        if matches(request.path, VALIDITY):
            token = {"token": request.params.get("token", "")}
            return Response(200, {"valid": self._is_right("m.login.registration_token", token)})
        url = self.account_management_url
        if matches(request.path, METADATA) and url is not None:
            actions = [f"org.matrix.{action}" for action in _ACTIONS]
            places = {"issuer": f"{self.base_url}/", "account_management_uri": url}
            return Response(200, {**places, "account_management_actions_supported": actions})
        return error(404, "M_UNRECOGNIZED", "Unrecognized request")


_publish(globals())
