"""Registering on a real Synapse: every stage that needs no mail, right and wrong answers, and coming back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.accounts import Connect, Person, devices_of, owner, uses_of
from throwaway_synapse import Synapse

from interactive_auth import (
    Homeserver,
    HomeserverConnectionError,
    InteractiveAuth,
    MatrixError,
    NoAuthFlowFoundError,
    RetryPolicy,
    Stage,
    StageFailedError,
    handlers,
)

TOKEN = "m.login.registration_token"
TERMS = "m.login.terms"


def accept(stage: Stage) -> dict[str, Any]:
    """Accept the terms."""
    return {"type": stage.type}


@pytest.fixture
def open_homeserver(connect: Connect, open_server: Synapse) -> Homeserver:
    """The Synapse that registers everybody."""
    return connect(open_server.base_url)


@pytest.fixture
def token_homeserver(connect: Connect, token_and_terms_server: Synapse) -> Homeserver:
    """The Synapse that wants a registration token, and its terms accepted."""
    return connect(token_and_terms_server.base_url)


def test_token_terms_and_dummy_in_one_flow(
    token_and_terms_server: Synapse, token_homeserver: Homeserver, new: Person, token: str
) -> None:
    """Three stages are walked in the server's order, the token is used once, and the account works."""
    asked: list[tuple[str, tuple[str, ...]]] = []

    def ask(stage: Stage) -> dict[str, Any]:
        asked.append((stage.type, stage.completed))
        return {"type": stage.type, "token": token} if stage.type == TOKEN else {"type": stage.type}

    account = token_homeserver.register(new.name, "secret").authenticate(ask)

    assert asked == [(TOKEN, ()), (TERMS, (TOKEN,))]
    assert uses_of(token_and_terms_server, token) == (1, 0)
    assert owner(token_and_terms_server, account) == new.user_id


def test_a_wrong_constant_token_fails_and_a_right_one_finishes_the_same_session(
    token_and_terms_server: Synapse, token_homeserver: Homeserver, new: Person, token: str
) -> None:
    """After StageFailedError a handler with the right token finishes the session in a second attempt."""
    answer = {TOKEN: handlers.registration_token("wrong")}
    stages = {TOKEN: lambda stage: answer[TOKEN](stage), TERMS: accept}
    auth = InteractiveAuth(token_homeserver.register(new.name, "secret"), stages)

    with pytest.raises(StageFailedError) as failed:
        auth.attempt_auth()
    session = auth.get_session_id()
    answer[TOKEN] = handlers.registration_token(token)
    account = auth.attempt_auth()

    assert (failed.value.stage, failed.value.attempts) == (TOKEN, 1)
    assert isinstance(failed.value.__cause__, MatrixError)
    assert failed.value.__cause__.errcode == "M_UNAUTHORIZED"
    assert session is not None
    assert auth.get_session_id() == session
    assert uses_of(token_and_terms_server, token) == (1, 0)
    assert owner(token_and_terms_server, account) == account["user_id"]


def test_a_used_up_token_is_no_longer_valid(token_homeserver: Homeserver, new: Person, token: str) -> None:
    """registration_token_validity is True for a token that can be used, and False afterwards and for any other."""
    before = token_homeserver.registration_token_validity(token)

    stages = {TOKEN: handlers.registration_token(token), TERMS: accept}
    token_homeserver.register(new.name, "secret").authenticate(stages)

    assert before is True
    assert token_homeserver.registration_token_validity(token) is False
    assert token_homeserver.registration_token_validity("wrong") is False


def test_a_stage_without_a_callback_is_refused_before_anybody_is_asked(
    token_homeserver: Homeserver, new: Person
) -> None:
    """A mapping that lacks a stage of the only flow is NoAuthFlowFoundError, which names that stage."""
    with pytest.raises(NoAuthFlowFoundError, match=r"no handler for m\.login\.terms") as failed:
        token_homeserver.register(new.name, "secret").authenticate({TOKEN: lambda stage: pytest.fail(stage.type)})

    assert failed.value.flows == [{"stages": [TOKEN, TERMS, "m.login.dummy"]}]


def test_a_state_saved_as_json_finishes_in_another_object(
    token_and_terms_server: Synapse, connect: Connect, new: Person, token: str
) -> None:
    """What an attempt that crashed had completed is not asked for again by the one that goes on from its state."""

    def crash(stage: Stage) -> None:
        raise ZeroDivisionError

    first = InteractiveAuth(
        connect(token_and_terms_server.base_url).register(new.name, "secret"),
        {TOKEN: handlers.registration_token(token), TERMS: crash},
    )
    with pytest.raises(ZeroDivisionError):
        first.attempt_auth()
    state = json.loads(json.dumps(first.get_resume_state()))

    second = InteractiveAuth(
        connect(token_and_terms_server.base_url).register(new.name, "secret"),
        {TOKEN: lambda stage: pytest.fail("asked again"), TERMS: accept},
        **state,
    )
    account = second.attempt_auth()

    assert second.get_session_id() == first.get_session_id()
    assert uses_of(token_and_terms_server, token) == (1, 0)
    assert owner(token_and_terms_server, account) == new.user_id


def test_an_unknown_session_starts_over(
    token_and_terms_server: Synapse, token_homeserver: Homeserver, new: Person, token: str
) -> None:
    """A session that Synapse does not know (any more) is replaced by a new one, without an error."""
    stages = {TOKEN: handlers.registration_token(token), TERMS: accept}
    auth = InteractiveAuth(token_homeserver.register(new.name, "secret"), stages, session_id="forgotten")

    account = auth.attempt_auth()

    assert auth.get_session_id() not in (None, "forgotten")
    assert owner(token_and_terms_server, account) == account["user_id"]


def test_after_the_success_nothing_more_is_sent(open_server: Synapse, open_homeserver: Homeserver, new: Person) -> None:
    """A second attempt after the success is a RuntimeError, and logs no second device in."""
    auth = InteractiveAuth(open_homeserver.register(new.name, "secret"), {})
    account = auth.attempt_auth()

    with pytest.raises(RuntimeError):
        auth.attempt_auth()

    assert devices_of(open_server, account["user_id"]) == [account["device_id"]]


def test_a_taken_user_name_is_told_from_a_free_one(open_homeserver: Homeserver, new: Person) -> None:
    """A taken name is M_USER_IN_USE before anybody is asked, and username_available knows it beforehand."""
    free = open_homeserver.username_available(new.name)
    open_homeserver.register(new.name, "secret").authenticate({})

    with pytest.raises(MatrixError) as refused:
        open_homeserver.register(new.name, "other").authenticate(lambda stage: pytest.fail(stage.type))

    assert free is True
    assert (refused.value.http_status, refused.value.errcode) == (400, "M_USER_IN_USE")
    assert open_homeserver.username_available(new.name) is False


def test_an_invalid_user_name_is_an_error_of_its_own(open_homeserver: Homeserver) -> None:
    """A name that nobody can have is M_INVALID_USERNAME, and not just unavailable."""
    with pytest.raises(MatrixError) as refused:
        open_homeserver.username_available("Not A Name")

    assert refused.value.errcode == "M_INVALID_USERNAME"


def test_a_closed_port_is_a_connection_error(connect: Connect, closed_url: str, new: Person) -> None:
    """A server that is not there is tried as often as the retry policy says, then HomeserverConnectionError."""
    request = connect(closed_url).register(new.name, "secret")
    sent: list[object] = []

    def do_request(auth: dict[str, Any] | None) -> object:
        sent.append(auth)
        return request(auth)

    with pytest.raises(HomeserverConnectionError, match="refused") as failed:
        InteractiveAuth(do_request, {}, retry=RetryPolicy(retries=1)).attempt_auth()

    assert sent == [None, None]
    assert isinstance(failed.value, ConnectionError)
