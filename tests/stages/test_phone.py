"""m.login.msisdn, with a homeserver that demands a phone number and texts that arrive at a stand-in's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests
from throwaway_services import SmsGateway
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, Stage, StageFailedError, StartAuthStage, handlers

MSISDN = "m.login.msisdn"
#: Short intervals, and an end to waiting that is not minutes away.
WAITING: Any = {"poll_interval": 0.1, "poll_timeout": 20.0}

Connect = Callable[..., Homeserver]
Watch = Callable[[Mapping[str, StartAuthStage]], dict[str, StartAuthStage]]
Owner = Callable[[Synapse, Mapping[str, Any]], str]
Addresses = Callable[[Synapse, str], set[tuple[str, str]]]


@pytest.fixture
def inputs(number: str) -> Any:
    return {"phone_country": "GB", "phone_number": number}


def test_msisdn_asks_for_the_code_again_after_a_wrong_one(
    phone_server: Synapse,
    homeserver_at: Connect,
    texts: SmsGateway,
    watched: Watch,
    seen: list[Stage],
    owner: Owner,
    addresses_of: Addresses,
    inputs: Any,
    international: str,
    name: str,
    password: str,
    user_id: str,
) -> None:
    """A wrong code brings the stage back with its error; the one in the SMS makes an account with that number."""
    homeserver = homeserver_at(phone_server)
    guesses: list[Callable[[], str]] = [lambda: "no-such-code", lambda: texts.wait(international)]
    callbacks = {MSISDN: handlers.msisdn(lambda: guesses.pop(0)(), homeserver)}

    account = homeserver.register(name, password).authenticate(watched(callbacks), inputs=inputs, **WAITING)

    assert owner(phone_server, account) == user_id
    assert addresses_of(phone_server, user_id) == {("msisdn", international)}
    assert [(stage.type, stage.attempt) for stage in seen] == [(MSISDN, 1), (MSISDN, 2)]
    assert seen[0].error is None
    assert seen[1].error is not None
    assert (seen[1].error.errcode, seen[1].error.error) == ("M_UNAUTHORIZED", "Unable to get validated threepid")
    assert texts.count(international) == 1


def test_msisdn_gives_up_after_as_many_wrong_codes_as_are_allowed(
    phone_server: Synapse,
    homeserver_at: Connect,
    inputs: Any,
    name: str,
    password: str,
    exists: Callable[[Synapse, str], bool],
    user_id: str,
) -> None:
    """Wrong codes end the attempt after max_attempts, and nothing was registered."""
    homeserver = homeserver_at(phone_server)
    callbacks = {MSISDN: handlers.msisdn(lambda: "no-such-code", homeserver)}

    with pytest.raises(StageFailedError) as caught:
        homeserver.register(name, password).authenticate(callbacks, inputs=inputs, **WAITING)

    assert (caught.value.stage, caught.value.attempts) == (MSISDN, 3)
    assert not exists(phone_server, user_id)


def test_msisdn_asks_for_the_number_and_again_if_the_server_refuses_it(
    phone_server: Synapse,
    homeserver_at: Connect,
    texts: SmsGateway,
    owner: Owner,
    addresses_of: Addresses,
    number: str,
    international: str,
    name: str,
    password: str,
    user_id: str,
) -> None:
    """A number that the server refuses is asked for again, with the reason; the next one gets the SMS."""
    homeserver = homeserver_at(phone_server)
    given = iter([("GB", "abc"), ("GB", number)])
    asked: list[Stage] = []

    def ask_number(stage: Stage) -> tuple[str, str]:
        asked.append(stage)
        return next(given)

    callbacks = {MSISDN: handlers.msisdn(lambda: texts.wait(international), homeserver, ask_number=ask_number)}

    account = homeserver.register(name, password).authenticate(callbacks, **WAITING)

    assert owner(phone_server, account) == user_id
    assert addresses_of(phone_server, user_id) == {("msisdn", international)}
    assert [stage.attempt for stage in asked] == [1, 2]
    assert asked[0].error is None
    assert asked[1].error is not None
    assert (asked[1].error.errcode, asked[1].error.error) == ("M_INVALID_PARAM", "Unable to parse phone number")


def test_sms_is_sent_again_with_a_code_of_its_own(
    phone_server: Synapse,
    homeserver_at: Connect,
    texts: SmsGateway,
    owner: Owner,
    inputs: Any,
    international: str,
    name: str,
    password: str,
    user_id: str,
) -> None:
    """A second request of the SMS brings a new code under the same sid, and that code is the right one."""
    homeserver = homeserver_at(phone_server)
    request = homeserver.register(name, password)
    sids: list[str | None] = []

    def get_code() -> str:
        sids.append(auth.get_msisdn_sid())
        auth.request_msisdn_token()
        sids.append(auth.get_msisdn_sid())
        return texts.wait(international, 2)

    auth = InteractiveAuth(
        request,
        {MSISDN: handlers.msisdn(get_code, homeserver)},
        inputs=inputs,
        request_msisdn_token=request.request_msisdn_token,
        max_attempts=1,
        **WAITING,
    )

    account = auth.attempt_auth()

    assert owner(phone_server, account) == user_id
    assert texts.wait(international, 1) != texts.wait(international, 2)
    assert len(sids) == 2
    assert sids[0] == sids[1]


def test_number_validated_elsewhere_is_found_by_polling(
    phone_server: Synapse,
    homeserver_at: Connect,
    texts: SmsGateway,
    web: requests.Session,
    watched: Watch,
    seen: list[Stage],
    owner: Owner,
    inputs: Any,
    international: str,
    name: str,
    password: str,
    user_id: str,
) -> None:
    """A person who follows a link instead of giving a code is waited for, and asked once."""
    homeserver = homeserver_at(phone_server)

    def follow_link(stage: Stage) -> None:
        body = {"sid": stage.msisdn_sid, "client_secret": stage.client_secret, "token": texts.wait(international)}
        web.post(stage.params["submit_url"], json=body, timeout=30).raise_for_status()

    callbacks = {MSISDN: handlers.msisdn(follow_link, homeserver)}

    account = homeserver.register(name, password).authenticate(watched(callbacks), inputs=inputs, **WAITING)

    assert owner(phone_server, account) == user_id
    assert [(stage.attempt, stage.error) for stage in seen] == [(1, None)]


def test_number_in_use_fails_before_anybody_is_asked(
    phone_server: Synapse,
    homeserver_at: Connect,
    texts: SmsGateway,
    inputs: Any,
    international: str,
    name: str,
    password: str,
) -> None:
    """A number of another account is refused by the token request, before any callback, and no SMS is sent."""
    other = phone_server.add_user(f"{name}-other", password)
    on_other = {"threepids": [{"medium": "msisdn", "address": international}]}
    phone_server.admin("PUT", f"/_synapse/admin/v2/users/{other['user_id']}", on_other)
    called: list[Stage] = []

    with pytest.raises(MatrixError) as caught:
        homeserver_at(phone_server).register(name, password).authenticate(
            {MSISDN: called.append}, inputs=inputs, **WAITING
        )

    assert (caught.value.http_status, caught.value.errcode) == (400, "M_THREEPID_IN_USE")
    assert called == []
    assert texts.count(international) == 0
