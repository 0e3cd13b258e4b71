"""m.login.email.identity, with a homeserver that demands an address and mails that really arrive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.accounts import WAITING, Connect, Person, Watched, addresses_of, by_mail, give_address, owner
from throwaway_services import MailServer
from throwaway_synapse import Synapse

from interactive_auth import AuthTimeoutError, InteractiveAuth, MatrixError, Stage, handlers

EMAIL = "m.login.email.identity"


def test_email_polls_until_the_link_was_opened(
    email_server: Synapse,
    connect: Connect,
    mails: MailServer,
    watched: Watched,
    open_link: Callable[..., None],
    new: Person,
) -> None:
    """A poll before the link was opened asks nobody and counts no attempt; one after it makes the account."""
    request = connect(email_server.base_url).register(new.name, new.password)
    polls: list[tuple[Any, str | None]] = []

    def send(auth: dict[str, Any] | None) -> Mapping[str, Any]:
        try:
            return request(auth)
        except MatrixError as error:
            if auth is not None and auth.get("type") == EMAIL:
                polls.append((auth["threepid_creds"], error.errcode))
                open_link()
            raise

    auth = InteractiveAuth(send, watched({EMAIL: handlers.email()}), **by_mail(request, new.address), **WAITING)

    account = auth.attempt_auth()

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    creds = {"sid": auth.get_email_sid(), "client_secret": auth.get_client_secret()}
    assert polls == [(creds, "M_UNAUTHORIZED")]
    assert [(stage.attempt, stage.error, stage.email_sid) for stage in watched.seen] == [(1, None, creds["sid"])]
    assert creds["sid"]
    assert mails.count(new.address) == 1


def test_email_asks_for_the_address_and_again_if_the_server_refuses_it(
    email_server: Synapse, connect: Connect, open_link: Callable[..., None], new: Person
) -> None:
    """An address that the server refuses is asked for again, with the reason; the next one gets the mail."""
    given = iter(["no address at all", new.address])
    asked: list[Stage] = []

    def ask_address(stage: Stage) -> str:
        asked.append(stage)
        return next(given)

    callbacks = {EMAIL: handlers.email(open_link, ask_address=ask_address)}

    account = connect(email_server.base_url).register(new.name, new.password).authenticate(callbacks, **WAITING)

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    assert [stage.attempt for stage in asked] == [1, 2]
    assert asked[0].error is None
    assert asked[1].error is not None
    assert asked[1].error.error == "Unable to parse email address"


def test_email_is_sent_again_on_request(
    email_server: Synapse, connect: Connect, mails: MailServer, open_link: Callable[..., None], new: Person
) -> None:
    """Each request of a mail raises send_attempt, keeps the sid, and a second mail arrives, whose link is good."""
    request = connect(email_server.base_url).register(new.name, new.password)
    assert request.request_email_token is not None
    send_mail = request.request_email_token
    sent: list[tuple[int, str]] = []

    def request_email_token(email: str, secret: str, send_attempt: int, session: str | None) -> Mapping[str, Any]:
        reply = send_mail(email, secret, send_attempt, session)
        sent.append((send_attempt, reply["sid"]))
        return reply

    def ask_again() -> None:
        auth.request_email_token()
        open_link(2)

    auth = InteractiveAuth(
        request,
        {EMAIL: handlers.email(ask_again)},
        inputs={"email_address": new.address},
        request_email_token=request_email_token,
        **WAITING,
    )

    account = auth.attempt_auth()

    assert owner(email_server, account) == new.user_id
    assert [send_attempt for send_attempt, _ in sent] == [1, 2]
    assert {sid for _, sid in sent} == {auth.get_email_sid()}
    assert mails.count(new.address) == 2


def test_wrong_sid_that_a_callback_submits_is_a_rejection(
    email_server: Synapse, connect: Connect, watched: Watched, open_link: Callable[..., None], new: Person
) -> None:
    """A dict with an unknown sid brings the stage back with its error, although the same answer to a poll does not."""

    def submit_wrong_sid(stage: Stage) -> dict[str, Any] | None:
        if stage.error is None:
            creds = {"sid": "no-such-sid", "client_secret": stage.client_secret}
            return {"type": stage.type, "threepid_creds": creds}
        open_link()
        return None

    account = (
        connect(email_server.base_url)
        .register(new.name, new.password)
        .authenticate(watched({EMAIL: submit_wrong_sid}), inputs={"email_address": new.address}, **WAITING)
    )

    assert owner(email_server, account) == new.user_id
    assert [(stage.type, stage.attempt) for stage in watched.seen] == [(EMAIL, 1), (EMAIL, 2)]
    assert watched.errors == [None, ("M_UNAUTHORIZED", "Unable to get validated threepid")]


def test_address_in_use_fails_before_anybody_is_asked(
    email_server: Synapse, connect: Connect, mails: MailServer, new: Person
) -> None:
    """An address of another account is refused by the token request, before any callback, and no mail is sent."""
    other = email_server.add_user(f"{new.name}-other", new.password)
    give_address(email_server, other["user_id"], new.address)
    called: list[Stage] = []

    with pytest.raises(MatrixError) as caught:
        connect(email_server.base_url).register(new.name, new.password).authenticate(
            {EMAIL: called.append}, inputs={"email_address": new.address}, **WAITING
        )

    assert (caught.value.http_status, caught.value.errcode) == (400, "M_THREEPID_IN_USE")
    assert called == []
    assert mails.count(new.address) == 0


def test_link_opened_too_late_is_found_by_another_process(
    email_server: Synapse,
    connect: Connect,
    mails: MailServer,
    watched: Watched,
    open_link: Callable[..., None],
    new: Person,
) -> None:
    """After a timeout the saved state goes on with the same mail: its link makes the account, and none is sent anew."""
    request = connect(email_server.base_url).register(new.name, new.password)
    impatient: Any = {**WAITING, "inputs": {"email_address": new.address}, "poll_timeout": 0}
    first = InteractiveAuth(request, {EMAIL: handlers.email()}, **impatient)
    with pytest.raises(AuthTimeoutError) as caught:
        first.attempt_auth()
    saved = json.dumps(first.get_resume_state())
    open_link()

    account = InteractiveAuth(
        request, watched({EMAIL: handlers.email()}), **WAITING, **json.loads(saved)
    ).attempt_auth()

    assert isinstance(caught.value.__cause__, MatrixError)
    assert caught.value.__cause__.errcode == "M_UNAUTHORIZED"
    assert owner(email_server, account) == new.user_id
    assert [stage.session for stage in watched.seen] == [first.get_session_id()]
    assert mails.count(new.address) == 1
