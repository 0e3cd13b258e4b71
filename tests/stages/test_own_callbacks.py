"""What a program's own callbacks can do on a real homeserver, with public names alone, and how their waits go."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.accounts import WAITING, Connect, Person, addresses_of, exists, owner
from support.threads import Threads
from throwaway_services import MailServer, SmsGateway
from throwaway_synapse import Synapse

from interactive_auth import (
    AuthCancelledError,
    AuthDeferredError,
    AuthTimeoutError,
    InteractiveAuth,
    MatrixError,
    Stage,
    Wait,
    handlers,
)

EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"
#: Seconds that no test lasts.
NEVER = 600.0


def test_the_mail_is_requested_by_the_callback(
    email_server: Synapse, connect: Connect, mails: MailServer, open_link: Callable[..., None], new: Person
) -> None:
    """With authenticate(), stage.auth is the callback's way to the token request, to another mail, and to a poll."""

    def ask(stage: Stage) -> None:
        stage.auth.request_email_token(new.address)
        stage.auth.request_email_token()
        open_link(2)
        stage.auth.poll()

    account = (
        connect(email_server.base_url)
        .register(new.name, new.password)
        .authenticate({EMAIL: ask}, poll_interval=NEVER, poll_timeout=20.0)
    )

    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", new.address)}
    assert mails.count(new.address) == 2


def test_the_code_is_posted_by_the_callback(
    phone_server: Synapse, connect: Connect, texts: SmsGateway, new: Person
) -> None:
    """stage.submit_url says where; a wrong code is False, and the right one in another submission makes the account."""
    homeserver = connect(phone_server.base_url)
    posted: list[bool] = []

    def ask(stage: Stage) -> Mapping[str, Any]:
        for code in ("no-such-code", texts.wait(new.international)):
            assert stage.submit_url is not None
            sid, secret = stage.msisdn_sid or "", stage.client_secret
            posted.append(homeserver.submit_token(stage.submit_url, sid, secret, code))
        return {"type": stage.type, "threepid_creds": {"sid": sid, "client_secret": secret}}

    inputs: Any = {"phone_country": "GB", "phone_number": new.number}
    account = homeserver.register(new.name, new.password).authenticate({MSISDN: ask}, inputs=inputs)

    assert owner(phone_server, account) == new.user_id
    assert addresses_of(phone_server, new.user_id) == {("msisdn", new.international)}
    assert posted == [False, True]


def test_a_wait_for_a_mail_that_nobody_requested(email_server: Synapse, connect: Connect, new: Person) -> None:
    """It is told by a warning at its beginning, and by the error at its end, both with what would help."""
    request = connect(email_server.base_url).register(new.name, new.password)

    with (
        pytest.warns(UserWarning, match=r"stage\.auth\.request_email_token\(\)"),
        pytest.raises(AuthTimeoutError, match="no message was requested that could complete it"),
    ):
        request.authenticate({EMAIL: lambda stage: None}, poll_interval=0.1, poll_timeout=0.3)

    assert not exists(email_server, new.user_id)


def test_the_last_poll_comes_at_the_deadline(
    email_server: Synapse, connect: Connect, open_link: Callable[..., None], new: Person
) -> None:
    """A link that is opened after the last regular poll, and before the time is up, is not too late."""
    request = connect(email_server.base_url).register(new.name, new.password)
    polls = 0

    def send(auth: dict[str, Any] | None) -> Any:
        nonlocal polls
        polls += auth is not None
        return request(auth)

    auth = InteractiveAuth(
        send,
        {EMAIL: handlers.email(open_link)},
        inputs={"email_address": new.address},
        request_email_token=request.request_email_token,
        poll_interval=NEVER,
        poll_timeout=0.5,
    )

    assert owner(email_server, auth.attempt_auth()) == new.user_id
    assert polls == 1


def test_a_resumed_attempt_polls_at_once(
    email_server: Synapse, connect: Connect, open_link: Callable[..., None], new: Person
) -> None:
    """Whoever comes back after the link was opened does not wait for the interval."""
    request = connect(email_server.base_url).register(new.name, new.password)
    options: Any = {"poll_interval": NEVER, "poll_timeout": None}
    first = InteractiveAuth(
        request, {EMAIL: lambda stage: stage.auth.cancel()}, inputs={"email_address": new.address}, **options
    )
    with pytest.raises(AuthCancelledError):
        first.attempt_auth()
    open_link()
    begun = time.monotonic()

    account = InteractiveAuth(request, {EMAIL: handlers.email()}, **options, **first.get_resume_state()).attempt_auth()

    assert owner(email_server, account) == new.user_id
    assert time.monotonic() - begun < 20.0


@pytest.mark.parametrize("ending", ["completed", "cancelled", "timed out", "refused"])
def test_a_cleanup_is_called_once(
    email_server: Synapse, connect: Connect, open_link: Callable[..., None], new: Person, ending: str
) -> None:
    """What a callback has opened for its stage is closed once, after the wait, however that ends."""
    events: list[str] = []

    def ask(stage: Stage) -> None:
        stage.add_cleanup(lambda: events.append("closed"))
        events.append("opened")
        if ending == "completed":
            open_link()
        elif ending == "refused":
            email_server.add_user(new.name, new.password)
        elif ending == "cancelled":
            stage.auth.cancel()

    def told(wait: Wait | None) -> None:
        if not events or events[-1] != "waited":
            events.append("waited")

    request = connect(email_server.base_url).register(new.name, new.password)
    inputs: Any = {"email_address": new.address}
    errors: dict[str, type[Exception]] = {
        "cancelled": AuthCancelledError,
        "timed out": AuthTimeoutError,
        "refused": MatrixError,
    }

    if ending == "completed":
        request.authenticate({EMAIL: ask}, inputs=inputs, wait_changed=told, **WAITING)
    else:
        with pytest.raises(errors[ending]):
            request.authenticate({EMAIL: ask}, inputs=inputs, wait_changed=told, poll_interval=0.1, poll_timeout=0.5)

    assert events == ["opened", *([] if ending == "cancelled" else ["waited"]), "closed"]


def test_a_request_that_is_put_off_unsent_is_not_a_forgotten_one(
    email_server: Synapse, connect: Connect, new: Person, recwarn: pytest.WarningsRecorder
) -> None:
    """A page that only shows what the next stage is sends nothing, and nobody is warned of that."""
    homeserver = connect(email_server.base_url)

    def put_off(stage: Stage) -> None:
        raise AuthDeferredError(stage.type)

    state: Any = {"inputs": {"email_address": new.address}}
    for _ in range(2):
        auth = InteractiveAuth(homeserver.register(new.name, new.password), {EMAIL: put_off}, **state)
        with pytest.raises(AuthDeferredError):
            auth.attempt_auth()
        state = auth.get_resume_state()
        del auth
        gc.collect()

    assert [str(warning.message) for warning in recwarn] == []


def test_a_wait_is_told_of_from_its_beginning_to_its_end(
    email_server: Synapse, connect: Connect, open_link: Callable[..., None], new: Person, threads: Threads
) -> None:
    """A progress bar hears at once for what and for how long, then about each second, and None when it is over."""
    told: list[Wait | None] = []

    def hear(wait: Wait | None) -> None:
        told.append(wait)
        if len(told) == 3:
            threads.start(open_link)

    request = connect(email_server.base_url).register(new.name, new.password)
    account = request.authenticate(
        {EMAIL: handlers.email()}, inputs={"email_address": new.address}, wait_changed=hear, **WAITING
    )

    assert owner(email_server, account) == new.user_id
    assert told.pop() is None
    waits = [wait for wait in told if wait is not None]
    assert len(waits) == len(told) >= 3
    assert {(wait.stage, wait.reason) for wait in waits} == {(EMAIL, "stage")}
    left = [wait.seconds_left or 0.0 for wait in waits]
    assert 19.0 < left[0] <= 20.0
    assert all(0.5 < before - after < 3.0 for before, after in itertools.pairwise(left))


def test_a_state_is_saved_before_each_request_and_goes_on_without_a_word_of_the_servers(
    email_server: Synapse, connect: Connect, mails: MailServer, open_link: Callable[..., None], new: Person
) -> None:
    """The last state that state_changed was given is enough to go on with, even without what the server had said."""
    request = connect(email_server.base_url).register(new.name, new.password)
    states: list[Any] = []
    first = InteractiveAuth(
        request,
        {EMAIL: handlers.email()},
        inputs={"email_address": new.address},
        state_changed=states.append,
        poll_timeout=0,
    )
    with pytest.raises(AuthTimeoutError):
        first.attempt_auth()
    open_link()

    account = InteractiveAuth(request, {EMAIL: handlers.email()}, **states[-1] | {"auth_data": None}).attempt_auth()

    assert owner(email_server, account) == new.user_id
    # Before the first request nothing is known but the client secret, with which the mail is requested.
    assert states[0]["session_id"] is None
    assert len({state["client_secret"] for state in states}) == 1
    assert states[-1]["session_id"] == first.get_session_id()
    assert states[-1]["email_sid"] == first.get_email_sid()
    assert mails.count(new.address) == 1
