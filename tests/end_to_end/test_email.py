"""Stages that are completed elsewhere, on a real Synapse that sends real mail: polling, waking, giving up, resuming."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
import requests

from interactive_auth import AuthCancelledError, AuthTimeoutError, InteractiveAuth, MatrixError, Stage

if TYPE_CHECKING:
    from conftest import Inbox
    from throwaway_synapse import Synapse

    from interactive_auth import Homeserver
    from interactive_auth.homeserver import RegisterResponse

    Connect = Callable[..., Homeserver]
    InBackground = Callable[[Callable[[], Any]], Future[Any]]
    Whoami = Callable[[Synapse, Any], str]

EMAIL = "m.login.email.identity"
#: Seconds within which a waiting attempt has to notice what it is told; it polls once a minute here.
AT_ONCE = 10.0


class Waiter:
    """A stage callback for what is done elsewhere, that lets the test know when the wait begins."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._called = threading.Event()

    def __call__(self, stage: Stage) -> None:
        self.stages.append(stage)
        self._called.set()

    def await_call(self) -> None:
        """Wait until the callback was called."""
        assert self._called.wait(AT_ONCE)


class Polls:
    """A request that lets the test know when it was polled.

    Attributes:
        sent: the auth dicts that named a stage.
    """

    def __init__(self, request: Callable[[dict[str, Any] | None], RegisterResponse]) -> None:
        self.sent: list[dict[str, Any]] = []
        self._request = request
        self._polled = threading.Event()

    def __call__(self, auth: dict[str, Any] | None) -> RegisterResponse:
        try:
            return self._request(auth)
        finally:
            if auth is not None and "type" in auth:
                self.sent.append(auth)
                self._polled.set()

    def await_poll(self) -> None:
        """Wait until a poll was answered."""
        assert self._polled.wait(AT_ONCE)


def owner(synapse: Synapse, address: str) -> str:
    """Return the user that an email address belongs to."""
    return str(synapse.admin("GET", f"/_synapse/admin/v1/threepid/email/users/{address}")["user_id"])


@pytest.fixture
def homeserver(mail_synapse: Synapse, connect: Connect) -> Homeserver:
    """The Synapse that wants an email address."""
    return connect(mail_synapse.base_url)


def test_polling_finishes_once_the_link_was_opened(
    mail_synapse: Synapse,
    homeserver: Homeserver,
    inbox: Inbox,
    username: str,
    address: str,
    whoami: Whoami,
    in_background: InBackground,
) -> None:
    """The mail is sent, polls before its link is opened are no failures, and one afterwards makes the account."""
    request = homeserver.register(username, "secret")
    polls, waiter = Polls(request), Waiter()
    auth = InteractiveAuth(
        polls,
        {EMAIL: waiter},
        inputs={"email_address": address},
        request_email_token=request.request_email_token,
        poll_interval=0.05,
    )

    outcome = in_background(auth.attempt_auth)
    polls.await_poll()
    inbox.open_link(address)
    account = outcome.result(AT_ONCE)

    assert [(stage.attempt, stage.email_sid) for stage in waiter.stages] == [(1, auth.get_email_sid())]
    assert polls.sent[0]["threepid_creds"] == {
        "sid": auth.get_email_sid(),
        "client_secret": auth.get_client_secret(),
    }
    assert inbox.count(address) == 1
    assert owner(mail_synapse, address) == account["user_id"]
    assert whoami(mail_synapse, account) == f"@{username}:{mail_synapse.server_name}"


def test_another_thread_can_have_it_polled_at_once(
    mail_synapse: Synapse,
    homeserver: Homeserver,
    inbox: Inbox,
    username: str,
    address: str,
    in_background: InBackground,
) -> None:
    """poll() from another thread finishes an attempt that would poll in a minute only."""
    request, waiter = homeserver.register(username, "secret"), Waiter()
    auth = InteractiveAuth(
        request,
        waiter,
        inputs={"email_address": address},
        request_email_token=request.request_email_token,
        poll_interval=60.0,
    )

    outcome = in_background(auth.attempt_auth)
    waiter.await_call()
    inbox.open_link(address)
    auth.poll()
    account = outcome.result(AT_ONCE)

    assert owner(mail_synapse, address) == account["user_id"]


def test_cancel_ends_the_wait_and_another_attempt_goes_on(
    mail_synapse: Synapse,
    homeserver: Homeserver,
    inbox: Inbox,
    username: str,
    address: str,
    in_background: InBackground,
) -> None:
    """cancel() ends the wait at once; a second attempt finishes the same session with the mail sent before."""
    request, waiter = homeserver.register(username, "secret"), Waiter()
    auth = InteractiveAuth(
        request,
        waiter,
        inputs={"email_address": address},
        request_email_token=request.request_email_token,
        poll_interval=60.0,
    )
    outcome = in_background(auth.attempt_auth)
    waiter.await_call()
    session = auth.get_session_id()

    auth.cancel()
    with pytest.raises(AuthCancelledError):
        outcome.result(AT_ONCE)
    inbox.open_link(address)
    second = in_background(auth.attempt_auth)
    poll_until_done(auth, second)

    assert auth.get_session_id() == session
    assert inbox.count(address) == 1
    assert owner(mail_synapse, address) == second.result(0)["user_id"]


def poll_until_done(auth: InteractiveAuth[Any], outcome: Future[Any]) -> None:
    """Ask for polls until the attempt has ended: one asked for before the attempt has begun does nothing."""
    deadline = time.monotonic() + AT_ONCE
    while not outcome.done() and time.monotonic() < deadline:
        auth.poll()
        time.sleep(0.02)
    outcome.result(AT_ONCE)


def test_a_link_that_nobody_opens_is_a_timeout_and_a_new_mail_goes_on(
    mail_synapse: Synapse, homeserver: Homeserver, inbox: Inbox, username: str, address: str
) -> None:
    """After AuthTimeoutError, request_email_token() sends a second mail, and its link finishes the session."""
    request = homeserver.register(username, "secret")
    auth = InteractiveAuth(
        request,
        lambda stage: None,
        inputs={"email_address": address},
        request_email_token=request.request_email_token,
        poll_interval=0.05,
        poll_timeout=0.2,
    )

    with pytest.raises(AuthTimeoutError) as failed:
        auth.attempt_auth()
    auth.request_email_token()
    inbox.open_link(address)
    account = auth.attempt_auth()

    assert failed.value.stage == EMAIL
    assert isinstance(failed.value.__cause__, MatrixError)
    assert inbox.count(address) == 2
    assert owner(mail_synapse, address) == account["user_id"]


def test_another_process_can_wait_for_the_mail(
    mail_synapse: Synapse, connect: Connect, inbox: Inbox, username: str, address: str
) -> None:
    """A state saved as JSON carries sid and client secret, so that no second mail is needed."""
    request = connect(mail_synapse.base_url).register(username, "secret")
    first = InteractiveAuth(
        request,
        lambda stage: first.cancel(),
        inputs={"email_address": address},
        request_email_token=request.request_email_token,
    )
    with pytest.raises(AuthCancelledError):
        first.attempt_auth()
    state = json.loads(json.dumps(first.get_resume_state()))
    inbox.open_link(address)

    again = connect(mail_synapse.base_url).register(username, "secret")
    second = InteractiveAuth(
        again,
        lambda stage: second.poll(),
        request_email_token=again.request_email_token,
        poll_interval=60.0,
        **state,
    )
    account = second.attempt_auth()

    assert second.get_session_id() == first.get_session_id()
    assert inbox.count(address) == 1
    assert owner(mail_synapse, address) == account["user_id"]


def test_an_address_in_use_is_refused_before_anybody_is_asked(
    mail_synapse: Synapse, homeserver: Homeserver, inbox: Inbox, username: str, address: str
) -> None:
    """The token request's M_THREEPID_IN_USE reaches the caller, and no callback is called."""
    mail_synapse.admin(
        "PUT",
        f"/_synapse/admin/v2/users/@{username}:{mail_synapse.server_name}",
        {"threepids": [{"medium": "email", "address": address}]},
    )

    with pytest.raises(MatrixError) as refused:
        homeserver.register(f"{username}-2", "secret").authenticate(
            lambda stage: pytest.fail(stage.type), inputs={"email_address": address}
        )

    assert refused.value.errcode == "M_THREEPID_IN_USE"
    assert inbox.count(address) == 0


def test_a_forgotten_password_is_reset_by_mail(
    mail_synapse: Synapse, homeserver: Homeserver, inbox: Inbox, username: str, address: str
) -> None:
    """The password endpoint's own token request is used, and the page behind its link has to be confirmed."""
    user_id = f"@{username}:{mail_synapse.server_name}"
    threepids = [{"medium": "email", "address": address}]
    mail_synapse.admin("PUT", f"/_synapse/admin/v2/users/{user_id}", {"password": "old", "threepids": threepids})
    request = homeserver.uia_request("POST", "/_matrix/client/v3/account/password", {"new_password": "new secret"})

    def confirm(stage: Stage) -> None:
        url = inbox.link(address)
        page = requests.get(url, timeout=AT_ONCE).text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        requests.post(url, data=fields, timeout=AT_ONCE).raise_for_status()

    request.authenticate({EMAIL: confirm}, inputs={"email_address": address}, poll_interval=0.05)

    identifier = {"type": "m.id.user", "user": username}
    login = {"type": "m.login.password", "identifier": identifier, "password": "new secret"}
    assert mail_synapse.call("POST", "/_matrix/client/v3/login", login)["user_id"] == user_id
