"""m.login.msisdn, with a homeserver that demands a phone number and texts that arrive at a stand-in's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from support.accounts import WAITING, Connect, Person, Watched, addresses_of, exists, give_address, owner
from throwaway_services import MailServer, SmsGateway
from throwaway_synapse import Synapse, throwaway_synapse

from interactive_auth import AuthDeferredError, InteractiveAuth, MatrixError, Stage, StageFailedError, handlers

EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"


@pytest.fixture
def inputs(new: Person) -> Any:
    return {"phone_country": "GB", "phone_number": new.number}


def test_msisdn_asks_for_the_code_again_after_a_wrong_one(
    phone_server: Synapse, connect: Connect, texts: SmsGateway, watched: Watched, inputs: Any, new: Person
) -> None:
    """A wrong code brings the stage back with its error; the one in the SMS makes an account with that number."""
    homeserver = connect(phone_server.base_url)
    guesses: list[Callable[[], str]] = [lambda: "no-such-code", lambda: texts.wait(new.international)]
    callbacks = {MSISDN: handlers.msisdn(lambda: guesses.pop(0)(), homeserver)}

    account = homeserver.register(new.name, new.password).authenticate(watched(callbacks), inputs=inputs, **WAITING)

    assert owner(phone_server, account) == new.user_id
    assert addresses_of(phone_server, new.user_id) == {("msisdn", new.international)}
    assert [(stage.type, stage.attempt) for stage in watched.seen] == [(MSISDN, 1), (MSISDN, 2)]
    assert watched.errors == [None, ("M_UNAUTHORIZED", "Unable to get validated threepid")]
    assert texts.count(new.international) == 1


def test_msisdn_gives_up_after_as_many_wrong_codes_as_are_allowed(
    phone_server: Synapse, connect: Connect, inputs: Any, new: Person
) -> None:
    """Wrong codes end the attempt after max_attempts, and nothing was registered."""
    homeserver = connect(phone_server.base_url)
    callbacks = {MSISDN: handlers.msisdn(lambda: "no-such-code", homeserver)}

    with pytest.raises(StageFailedError) as caught:
        homeserver.register(new.name, new.password).authenticate(callbacks, inputs=inputs, **WAITING)

    assert (caught.value.stage, caught.value.attempts) == (MSISDN, 3)
    assert not exists(phone_server, new.user_id)


def test_msisdn_asks_for_the_number_and_again_if_the_server_refuses_it(
    phone_server: Synapse, connect: Connect, texts: SmsGateway, new: Person
) -> None:
    """A number that the server refuses is asked for again, with the reason; the next one gets the SMS."""
    homeserver = connect(phone_server.base_url)
    given = iter([("GB", "abc"), ("GB", new.number)])
    asked: list[Stage] = []

    def ask_number(stage: Stage) -> tuple[str, str]:
        asked.append(stage)
        return next(given)

    callbacks = {MSISDN: handlers.msisdn(lambda: texts.wait(new.international), homeserver, ask_number=ask_number)}

    account = homeserver.register(new.name, new.password).authenticate(callbacks, **WAITING)

    assert owner(phone_server, account) == new.user_id
    assert addresses_of(phone_server, new.user_id) == {("msisdn", new.international)}
    assert [stage.attempt for stage in asked] == [1, 2]
    assert asked[0].error is None
    assert asked[1].error is not None
    assert (asked[1].error.errcode, asked[1].error.error) == ("M_INVALID_PARAM", "Unable to parse phone number")


def test_sms_is_sent_again_with_a_code_of_its_own(
    phone_server: Synapse, connect: Connect, texts: SmsGateway, inputs: Any, new: Person
) -> None:
    """A second request of the SMS brings a new code under the same sid, and that code is the right one."""
    homeserver = connect(phone_server.base_url)
    request = homeserver.register(new.name, new.password)
    sids: list[str | None] = []

    def get_code() -> str:
        sids.append(auth.get_msisdn_sid())
        auth.request_msisdn_token()
        sids.append(auth.get_msisdn_sid())
        return texts.wait(new.international, 2)

    auth = InteractiveAuth(
        request,
        {MSISDN: handlers.msisdn(get_code, homeserver)},
        inputs=inputs,
        max_attempts=1,
        **WAITING,
    )

    account = auth.attempt_auth()

    assert owner(phone_server, account) == new.user_id
    assert texts.wait(new.international, 1) != texts.wait(new.international, 2)
    assert len(sids) == 2
    assert sids[0] == sids[1]


def test_number_validated_elsewhere_is_found_by_polling(
    phone_server: Synapse,
    connect: Connect,
    texts: SmsGateway,
    web: requests.Session,
    watched: Watched,
    inputs: Any,
    new: Person,
) -> None:
    """A person who follows a link instead of giving a code is waited for, and asked once."""
    homeserver = connect(phone_server.base_url)

    def follow_link(stage: Stage) -> None:
        body = {"sid": stage.msisdn_sid, "client_secret": stage.client_secret, "token": texts.wait(new.international)}
        web.post(stage.submit_url or "", json=body, timeout=30).raise_for_status()

    callbacks = {MSISDN: handlers.msisdn(follow_link, homeserver)}

    account = homeserver.register(new.name, new.password).authenticate(watched(callbacks), inputs=inputs, **WAITING)

    assert owner(phone_server, account) == new.user_id
    assert [(stage.attempt, stage.error) for stage in watched.seen] == [(1, None)]


def test_code_is_typed_on_a_later_page(
    phone_server: Synapse, connect: Connect, texts: SmsGateway, inputs: Any, new: Person
) -> None:
    """The saved state knows where codes are posted, and why the last one was refused; one SMS and one session do."""
    homeserver = connect(phone_server.base_url)
    states: list[Any] = [{"inputs": inputs}]
    shown: list[tuple[int, str | None]] = []

    def page(*typed: str) -> InteractiveAuth[Any]:
        left = list(typed)

        def get_code(stage: Stage) -> str:
            shown.append((stage.attempt, stage.error and stage.error.error))
            if not left:
                raise AuthDeferredError(stage.type)
            return left.pop()

        return InteractiveAuth(
            homeserver.register(new.name, new.password),
            {MSISDN: handlers.msisdn(get_code, homeserver)},
            state_changed=lambda state: states.append(json.loads(json.dumps(state))),
            **states[-1],
        )

    for typed in ([], ["no-such-code"], []):
        with pytest.raises(AuthDeferredError):
            page(*typed).attempt_auth()
    account = page(texts.wait(new.international)).attempt_auth()

    assert owner(phone_server, account) == new.user_id
    assert addresses_of(phone_server, new.user_id) == {("msisdn", new.international)}
    words = "Unable to get validated threepid"
    assert shown == [(1, None), (1, None), (2, words), (2, words), (2, words)]
    assert texts.count(new.international) == 1
    assert len({state["session_id"] for state in states[1:]} - {None}) == 1


def test_number_in_use_fails_before_anybody_is_asked(
    phone_server: Synapse, connect: Connect, texts: SmsGateway, inputs: Any, new: Person
) -> None:
    """A number of another account is refused by the token request, before any callback, and no SMS is sent."""
    other = phone_server.add_user(f"{new.name}-other", new.password)
    give_address(phone_server, other["user_id"], new.international, "msisdn")
    called: list[Stage] = []

    with pytest.raises(MatrixError) as caught:
        connect(phone_server.base_url).register(new.name, new.password).authenticate(
            {MSISDN: called.append}, inputs=inputs, **WAITING
        )

    assert (caught.value.http_status, caught.value.errcode) == (400, "M_THREEPID_IN_USE")
    assert called == []
    assert texts.count(new.international) == 0


@pytest.fixture(scope="module")
def both_server(texts: SmsGateway, mails: MailServer) -> Iterator[Synapse]:
    """Run a homeserver that demands a phone number and an email address."""
    required = {"enable_registration": True, "registrations_require_3pid": ["msisdn", "email"]}
    with throwaway_synapse(required, texts.config(), mails.config()) as running:
        yield running


def test_number_is_corrected_after_it_was_validated(
    both_server: Synapse,
    connect: Connect,
    texts: SmsGateway,
    mails: MailServer,
    open_link: Callable[..., None],
    inputs: Any,
    new: Person,
) -> None:
    """A session keeps what it has validated, so the other number takes a new one; the mail serves there, too."""
    homeserver, other = connect(both_server.base_url), Person()
    request = homeserver.register(new.name, new.password)

    def later(stage: Stage) -> None:
        raise AuthDeferredError(stage.type)

    read_first = handlers.msisdn(lambda: texts.wait(new.international), homeserver)
    inputs = {**inputs, "email_address": new.address}
    first = InteractiveAuth(request, {MSISDN: read_first, EMAIL: later}, inputs=inputs, **WAITING)
    with pytest.raises(AuthDeferredError):
        first.attempt_auth()
    state: Any = first.get_resume_state()
    state["inputs"]["phone_number"] = other.number
    open_link()

    read_other = handlers.msisdn(lambda: texts.wait(other.international), homeserver)
    second = InteractiveAuth(request, {MSISDN: read_other, EMAIL: handlers.email()}, **state, **WAITING)
    account = second.attempt_auth()

    assert owner(both_server, account) == new.user_id
    assert addresses_of(both_server, new.user_id) == {("email", new.address), ("msisdn", other.international)}
    assert second.get_session_id() != first.get_session_id()
    assert (texts.count(new.international), texts.count(other.international), mails.count(new.address)) == (1, 1, 1)
