"""A homeserver that follows a script, on a thread of the test's own: for the tests of programs that authenticate.

It is no mock of this library but a server: whatever the program sends by whatever client goes through a real socket on
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

What must not be here: sessions and stages (``_testing_uia``), and any of the library's own loop.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from typing_extensions import Self

from ._http import HTTPThread, ReceivedRequest, Reply
from ._quirks import Quirks, Refusal, homeservers
from ._threepid import Message
from ._uia import Answer, ScriptedUIA

__all__ = ["Answer", "Message", "Quirks", "ReceivedRequest", "Refusal", "UIAServer", "homeservers"]

_CLIENT = "/_matrix/client"
_TOKEN_REQUEST = re.compile(rf"{_CLIENT}/\w+/(?:register|account/password|account/3pid)/(email|msisdn)/requestToken")
_FALLBACK = re.compile(rf"{_CLIENT}/\w+/auth/([^/]+)/fallback/web")
_APPROVAL = re.compile(r"/approve/([^/]+)")
_SUBMIT = f"{_CLIENT}/unstable/add_threepid/msisdn/submit_token"
_VALIDITY = f"{_CLIENT}/v1/register/m.login.registration_token/validity"
_AVAILABLE = f"{_CLIENT}/v3/register/available"
#: What those may send who have no account, or cannot log in.
_FOR_STRANGERS = ("/register", "/account/password")

_PAGE = b"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>One step</title>
<form method="post"><button id="do">Do it</button></form></html>"""
_DONE_PAGE = b"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Done</title><p>Done.</p><script>
if (window.onAuthDone) window.onAuthDone();
else if (window.opener && window.opener.postMessage) window.opener.postMessage("authDone", "*");
</script></html>"""


class _Planned(NamedTuple):
    path: str
    reply: Reply | None


class UIAServer(ScriptedUIA):
    """A homeserver that asks for what it is told to, and keeps what it was sent; it runs from here until ``close()``.

    A context manager. All attributes may be set at any time, in the middle of a session, too. A request by POST, PUT,
    PATCH or DELETE to any path is one that wants authentication, save for the token requests of emails and SMS, the
    ``submit_url`` of the latter, and the fallback pages, which are there, too; a stage's page has one button.

    Args:
        flows: the flows, each a sequence of stages; empty for none that anybody could go, None for no authentication.
        answers: the right answers by stage. A str is the secret: the password, the registration token, the response
            to a captcha, the code in an SMS, or any value in the auth dict of a stage of one's own. A mapping has the
            fields that the auth dict must have, with their values; a callable is given it and returns whether it is
            right. ``m.login.dummy`` and ``m.login.terms`` need none, email stages are completed by ``complete()``; so
            are all others that are not here.
        params: the stages' parameters, by stage; None for none. Those of terms, captchas and ``m.oauth`` have a
            default, which is fit for use.
        quirks: the homeserver to play, one of the names in ``homeservers``; or quirks of one's own.
        responses: bodies of successes, by how the paths end; for others the specification's.
        access_token: the access token that is known; None if any is, or none.

    Attributes:
        base_url: the server's address, for a ``Homeserver``.
        server_name: what the user ids of registered accounts end with.

    Raises:
        TypeError: a flow is no sequence of stages.
        ValueError: ``quirks`` is not the name of a homeserver.
    """

    server_name = "example.org"

    def __init__(
        self,
        flows: Sequence[Sequence[str]] | None = (("m.login.dummy",),),
        answers: Mapping[str, Answer] | None = None,
        *,
        params: Mapping[str, Mapping[str, Any] | None] | None = None,
        quirks: str | Quirks = "synapse",
        responses: Mapping[str, Mapping[str, Any]] | None = None,
        access_token: str | None = None,
    ) -> None:
        super().__init__(flows, answers or {}, params or {}, quirks)
        self.responses: Mapping[str, Mapping[str, Any]] = responses or {}
        self.access_token: str | None = access_token
        self._received: list[ReceivedRequest] = []
        self._planned: list[_Planned] = []
        self._thread = HTTPThread(self._receive)
        self.base_url: str = self._thread.base_url

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
    def requests(self) -> list[ReceivedRequest]:
        """What the server was sent so far, token requests and pages too, the oldest first."""
        with self._lock:
            return list(self._received)

    @property
    def auths(self) -> list[Any]:
        """The ``auth`` of each request that wanted authentication so far, None for one that had none."""
        return [request.auth for request in self.requests if _wants_authentication(request)]

    def fail_next(
        self, status: int, errcode: str | None = None, error: str = "", *, times: int = 1, path: str = ""
    ) -> None:
        """Answer the next request with an error, whatever it is; no session and no stage is touched by it.

        Args:
            status: the HTTP status code.
            errcode: the Matrix error code; None for an answer that is not a homeserver's, as a proxy's.
            error: the server's words.
            times: how many requests are answered so.
            path: how their paths end; empty for any. Requests to others are answered as ever.
        """
        body = b"<html>" if errcode is None else {"errcode": errcode, "error": error}
        self._plan(Reply(status, body), times, path)

    def rate_limit_next(self, seconds: float = 0.0, *, times: int = 1, path: str = "") -> None:
        """Answer the next request with a 429, as the homeserver that is played does: not all say how long to wait.

        Args:
            seconds: how long to wait.
            times: how many requests are answered so.
            path: how their paths end; empty for any. Requests to others are answered as ever.
        """
        body: dict[str, Any] = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests"}
        if "body" in self.quirks.delay:
            body["retry_after_ms"] = round(seconds * 1000)
        headers = {"Retry-After": str(math.ceil(seconds))} if "header" in self.quirks.delay else {}
        self._plan(Reply(429, body, headers), times, path)

    def hang_up_next(self, *, times: int = 1, path: str = "") -> None:
        """Hang up on the next request, without an answer and without having acted.

        Args:
            times: how many requests are hung up on.
            path: how their paths end; empty for any. Requests to others are answered as ever.
        """
        self._plan(None, times, path)

    def _plan(self, reply: Reply | None, times: int, path: str) -> None:
        with self._lock:
            self._planned += [_Planned(path, reply)] * times

    def _receive(self, request: ReceivedRequest) -> Reply | None:
        with self._lock:
            self._received.append(request)
            planned = next((plan for plan in self._planned if request.path.endswith(plan.path)), None)
            if planned is not None:
                self._planned.remove(planned)
                return planned.reply
            return self._serve(request)

    def _serve(self, request: ReceivedRequest) -> Reply:
        if _wants_authentication(request):
            return self._check_access_token(request) or self._authenticate(request) or self._succeed(request)
        if found := _TOKEN_REQUEST.fullmatch(request.path):
            return self._validations.request(found[1], request.body, f"{self.base_url}{_SUBMIT}")
        if request.path == _SUBMIT:
            return self._validations.submit(request.body, lambda code: self._is_right("m.login.msisdn", code))
        if found := _FALLBACK.fullmatch(request.path):
            pages = self.quirks.pages
            return self._page(request, unquote(found[1]), there=pages is None or unquote(found[1]) in pages)
        if found := _APPROVAL.fullmatch(request.path):
            return self._page(request, unquote(found[1]), there=True)
        return self._look_up(request)

    def _page(self, request: ReceivedRequest, stage: str, *, there: bool) -> Reply:
        """Answer a page that does a stage (client-server API, "Fallback")."""
        session = _query(request, "session")
        if not there or session not in self._sessions:
            return Reply(404, {"errcode": "M_UNKNOWN", "error": "no such page, or no such session"})
        if request.method == "POST":
            self.complete(stage, session=session)
        html = {"Content-Type": "text/html; charset=utf-8"}
        return Reply(200, _DONE_PAGE if request.method == "POST" else _PAGE, html)

    def _look_up(self, request: ReceivedRequest) -> Reply:
        if request.path == _AVAILABLE:
            return Reply(200, {"available": True})
        if request.path == _VALIDITY:
            token = {"token": _query(request, "token")}
            return Reply(200, {"valid": self._is_right("m.login.registration_token", token)})
        return Reply(404, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"})

    def _check_access_token(self, request: ReceivedRequest) -> Reply | None:
        given = request.headers.get("Authorization")
        if self.access_token is None or given == f"Bearer {self.access_token}":
            return None
        if given is None:
            if request.path.endswith(_FOR_STRANGERS):
                return None
            return Reply(401, {"errcode": "M_MISSING_TOKEN", "error": "Missing access token"})
        error = {"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed.", "soft_logout": False}
        return Reply(401, error)

    def _succeed(self, request: ReceivedRequest) -> Reply:
        """Return the success of a request, with the body that the specification has for its endpoint."""
        for end, response in self.responses.items():
            if request.path.endswith(end):
                return Reply(200, dict(response))
        body = request.body if isinstance(request.body, dict) else {}
        if request.path.endswith("/account/3pid/add") and not self._validations.validated(None, body):
            return Reply(400, {"errcode": "M_THREEPID_AUTH_FAILED", "error": "No validated 3pid session found"})
        if request.path.endswith("/account/deactivate"):
            return Reply(200, {"id_server_unbind_result": "success"})
        if request.path.endswith("/login/get_token"):
            return Reply(200, {"login_token": secrets.token_urlsafe(12), "expires_in_ms": 300000})
        return Reply(200, self._account(body) if request.path.endswith("/register") else {})

    def _account(self, body: Mapping[str, Any]) -> dict[str, Any]:
        account = {"user_id": f"@{body.get('username') or secrets.token_hex(6)}:{self.server_name}"}
        if not body.get("inhibit_login"):
            account["access_token"] = secrets.token_urlsafe(12)
            account["device_id"] = body.get("device_id") or secrets.token_hex(5).upper()
        return account


def _wants_authentication(request: ReceivedRequest) -> bool:
    others = (_TOKEN_REQUEST, _FALLBACK, _APPROVAL)
    return (
        request.method != "GET"
        and request.path != _SUBMIT
        and not any(pattern.fullmatch(request.path) for pattern in others)
    )


def _query(request: ReceivedRequest, name: str) -> str:
    return parse_qs(request.query).get(name, [""])[0]
