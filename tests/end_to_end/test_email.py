"""Stages that are completed elsewhere, on a real Synapse that sends real mail: polling, waking, giving up, resuming."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest
from support.accounts import Connect, Person, give_address, owner_of_address
from support.threads import Threads
from throwaway_services import MailServer
from throwaway_synapse import Synapse

from interactive_auth import AuthCancelledError, AuthTimeoutError, Homeserver, InteractiveAuth, MatrixError, Stage

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


@pytest.fixture
def homeserver(email_server: Synapse, connect: Connect) -> Homeserver:
    """The Synapse that wants an email address."""
    return connect(email_server.base_url)


def test_another_thread_can_have_it_polled_at_once(
    email_server: Synapse, homeserver: Homeserver, mails: MailServer, new: Person, threads: Threads
) -> None:
    """poll() from another thread finishes an attempt that would poll in a minute only."""
    request, waiter = homeserver.register(new.name, "secret"), Waiter()
    auth = InteractiveAuth(request, waiter, inputs={"email_address": new.address}, poll_interval=60.0)

    outcome = threads.start(auth.attempt_auth)
    waiter.await_call()
    mails.open_link(new.address)
    auth.poll()
    account = outcome.result(AT_ONCE)

    assert owner_of_address(email_server, new.address) == account["user_id"]


def test_cancel_ends_the_wait_and_another_attempt_goes_on(
    email_server: Synapse, homeserver: Homeserver, mails: MailServer, new: Person, threads: Threads
) -> None:
    """cancel() ends the wait at once; a second attempt finishes the same session with the mail sent before."""
    request, waiter = homeserver.register(new.name, "secret"), Waiter()
    auth = InteractiveAuth(request, waiter, inputs={"email_address": new.address}, poll_interval=60.0)
    outcome = threads.start(auth.attempt_auth)
    waiter.await_call()
    session = auth.get_session_id()

    auth.cancel()
    with pytest.raises(AuthCancelledError):
        outcome.result(AT_ONCE)
    mails.open_link(new.address)
    second = threads.start(auth.attempt_auth)
    poll_until_done(auth, second)

    assert auth.get_session_id() == session
    assert mails.count(new.address) == 1
    assert owner_of_address(email_server, new.address) == second.result(0)["user_id"]


def poll_until_done(auth: InteractiveAuth[Any], outcome: Future[Any]) -> None:
    """Ask for polls until the attempt has ended: one asked for before the attempt has begun does nothing."""
    deadline = time.monotonic() + AT_ONCE
    while not outcome.done() and time.monotonic() < deadline:
        auth.poll()
        time.sleep(0.02)
    outcome.result(AT_ONCE)


def test_a_link_that_nobody_opens_is_a_timeout_and_a_new_mail_goes_on(
    email_server: Synapse, homeserver: Homeserver, mails: MailServer, new: Person
) -> None:
    """After AuthTimeoutError, request_email_token() sends a second mail, and its link finishes the session."""
    request = homeserver.register(new.name, "secret")
    auth = InteractiveAuth(
        request, lambda stage: None, inputs={"email_address": new.address}, poll_interval=0.05, poll_timeout=0.2
    )

    with pytest.raises(AuthTimeoutError) as failed:
        auth.attempt_auth()
    auth.request_email_token()
    mails.open_link(new.address)
    account = auth.attempt_auth()

    assert failed.value.stage == EMAIL
    assert isinstance(failed.value.__cause__, MatrixError)
    assert mails.count(new.address) == 2
    assert owner_of_address(email_server, new.address) == account["user_id"]


def test_a_forgotten_password_is_reset_by_mail(
    email_server: Synapse, homeserver: Homeserver, mails: MailServer, new: Person
) -> None:
    """The password endpoint's own token request is used, and the page behind its link has to be confirmed."""
    email_server.add_user(new.name, "old")
    give_address(email_server, new.user_id, new.address)
    request = homeserver.uia_request("POST", "/_matrix/client/v3/account/password", {"new_password": "new secret"})

    request.authenticate(
        {EMAIL: lambda stage: mails.open_link(new.address)}, inputs={"email_address": new.address}, poll_interval=0.05
    )

    assert email_server.can_log_in(new.name, "new secret")
