"""Registering on a real Synapse: every stage that needs no mail, right and wrong answers, and coming back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

from interactive_auth import (
    AuthCancelledError,
    HomeserverConnectionError,
    InteractiveAuth,
    MatrixError,
    NoAuthFlowFoundError,
    RetryPolicy,
    Stage,
    StageFailedError,
    handlers,
)

if TYPE_CHECKING:
    from throwaway_synapse import Synapse

    from interactive_auth import Homeserver

    Connect = Callable[..., Homeserver]
    Whoami = Callable[[Synapse, Any], str]

TOKEN = "m.login.registration_token"
TERMS = "m.login.terms"


def uses(synapse: Synapse, token: str) -> tuple[int, int]:
    """Return how often a registration token was used, and is being used."""
    info = synapse.admin("GET", f"/_synapse/admin/v1/registration_tokens/{token}")
    return info["completed"], info["pending"]


def accept(stage: Stage) -> dict[str, Any]:
    """Accept the terms."""
    return {"type": stage.type}


@pytest.fixture
def open_homeserver(connect: Connect, open_synapse: Synapse) -> Homeserver:
    """The Synapse that registers everybody."""
    return connect(open_synapse.base_url)


@pytest.fixture
def token_homeserver(connect: Connect, token_synapse: Synapse) -> Homeserver:
    """The Synapse that wants a registration token, and its terms accepted."""
    return connect(token_synapse.base_url)


def test_dummy_is_submitted_without_asking(
    open_synapse: Synapse, open_homeserver: Homeserver, username: str, whoami: Whoami
) -> None:
    """Where m.login.dummy is all that is wanted, no callback is called, and the account works."""
    account = open_homeserver.register(username, "secret").authenticate(lambda stage: pytest.fail(stage.type))

    assert account["user_id"] == f"@{username}:{open_synapse.server_name}"
    assert whoami(open_synapse, account) == account["user_id"]


def test_an_account_without_login_has_no_access_token(
    open_synapse: Synapse, open_homeserver: Homeserver, username: str
) -> None:
    """With inhibit_login the account exists, and no device is logged in."""
    account = open_homeserver.register(username, "secret", inhibit_login=True).authenticate({})

    devices = open_synapse.admin("GET", f"/_synapse/admin/v2/users/{quote(account['user_id'])}/devices")
    assert "access_token" not in account
    assert devices["devices"] == []


def test_the_terms_are_shown_and_accepted(
    terms_synapse: Synapse, connect: Connect, username: str, whoami: Whoami
) -> None:
    """The terms callback is given the policy with a URL that can be read, and Synapse records the consent."""
    seen: list[handlers.Policy] = []
    stages = {TERMS: handlers.terms(lambda policies: not seen.extend(policies))}

    account = connect(terms_synapse.base_url).register(username, "secret").authenticate(stages)

    user = terms_synapse.admin("GET", f"/_synapse/admin/v2/users/{quote(account['user_id'])}")
    assert [(policy.id, policy.version, policy.name) for policy in seen] == [
        ("privacy_policy", "1.0", "Privacy Policy")
    ]
    assert "forgets everything" in requests.get(seen[0].url, timeout=30).text
    assert user["consent_version"] == "1.0"
    assert whoami(terms_synapse, account) == account["user_id"]


def test_refused_terms_register_nobody(terms_synapse: Synapse, connect: Connect, username: str) -> None:
    """A person who does not accept the terms gets AuthCancelledError and no account."""
    homeserver = connect(terms_synapse.base_url)

    with pytest.raises(AuthCancelledError):
        homeserver.register(username, "secret").authenticate({TERMS: handlers.terms(lambda policies: False)})

    assert homeserver.username_available(username)


def test_token_terms_and_dummy_in_one_flow(
    token_synapse: Synapse, token_homeserver: Homeserver, username: str, token: str, whoami: Whoami
) -> None:
    """Three stages are walked in the server's order, the token is used once, and the account works."""
    asked: list[tuple[str, tuple[str, ...]]] = []

    def ask(stage: Stage) -> dict[str, Any]:
        asked.append((stage.type, stage.completed))
        return {"type": stage.type, "token": token} if stage.type == TOKEN else {"type": stage.type}

    account = token_homeserver.register(username, "secret").authenticate(ask)

    assert asked == [(TOKEN, ()), (TERMS, (TOKEN,))]
    assert uses(token_synapse, token) == (1, 0)
    assert whoami(token_synapse, account) == f"@{username}:{token_synapse.server_name}"


def test_a_wrong_constant_token_fails_and_a_right_one_finishes_the_same_session(
    token_synapse: Synapse, token_homeserver: Homeserver, username: str, token: str, whoami: Whoami
) -> None:
    """After StageFailedError a handler with the right token finishes the session in a second attempt."""
    answer = {TOKEN: handlers.registration_token("wrong")}
    stages = {TOKEN: lambda stage: answer[TOKEN](stage), TERMS: accept}
    auth = InteractiveAuth(token_homeserver.register(username, "secret"), stages)

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
    assert uses(token_synapse, token) == (1, 0)
    assert whoami(token_synapse, account) == account["user_id"]


def test_a_callable_is_asked_again_after_a_wrong_token(
    token_synapse: Synapse, token_homeserver: Homeserver, username: str, token: str, whoami: Whoami
) -> None:
    """The second time, the callable learns what was wrong with its first answer, and its second one is used."""
    tokens = ["wrong", token]
    heard: list[tuple[int, str | None]] = []

    def answer(stage: Stage) -> str:
        heard.append((stage.attempt, stage.error and stage.error.error))
        return tokens.pop(0)

    stages = {TOKEN: handlers.registration_token(answer), TERMS: accept}
    account = token_homeserver.register(username, "secret").authenticate(stages)

    assert heard == [(1, None), (2, "Invalid registration token")]
    assert uses(token_synapse, token) == (1, 0)
    assert whoami(token_synapse, account) == account["user_id"]


def test_a_used_up_token_is_no_longer_valid(token_homeserver: Homeserver, username: str, token: str) -> None:
    """registration_token_validity is True for a token that can be used, and False afterwards and for any other."""
    before = token_homeserver.registration_token_validity(token)

    stages = {TOKEN: handlers.registration_token(token), TERMS: accept}
    token_homeserver.register(username, "secret").authenticate(stages)

    assert before is True
    assert token_homeserver.registration_token_validity(token) is False
    assert token_homeserver.registration_token_validity("wrong") is False


def test_a_stage_without_a_callback_is_refused_before_anybody_is_asked(
    token_homeserver: Homeserver, username: str
) -> None:
    """A mapping that lacks a stage of the only flow is NoAuthFlowFoundError, which names that stage."""
    with pytest.raises(NoAuthFlowFoundError, match=r"no handler for m\.login\.terms") as failed:
        token_homeserver.register(username, "secret").authenticate({TOKEN: lambda stage: pytest.fail(stage.type)})

    assert failed.value.flows == [{"stages": [TOKEN, TERMS, "m.login.dummy"]}]


def test_a_state_saved_as_json_finishes_in_another_object(
    token_synapse: Synapse, connect: Connect, username: str, token: str, whoami: Whoami
) -> None:
    """What an attempt that crashed had completed is not asked for again by the one that goes on from its state."""

    def crash(stage: Stage) -> None:
        raise ZeroDivisionError

    first = InteractiveAuth(
        connect(token_synapse.base_url).register(username, "secret"),
        {TOKEN: handlers.registration_token(token), TERMS: crash},
    )
    with pytest.raises(ZeroDivisionError):
        first.attempt_auth()
    state = json.loads(json.dumps(first.get_resume_state()))

    second = InteractiveAuth(
        connect(token_synapse.base_url).register(username, "secret"),
        {TOKEN: lambda stage: pytest.fail("asked again"), TERMS: accept},
        **state,
    )
    account = second.attempt_auth()

    assert second.get_session_id() == first.get_session_id()
    assert uses(token_synapse, token) == (1, 0)
    assert whoami(token_synapse, account) == f"@{username}:{token_synapse.server_name}"


def test_an_unknown_session_starts_over(
    token_synapse: Synapse, token_homeserver: Homeserver, username: str, token: str, whoami: Whoami
) -> None:
    """A session that Synapse does not know (any more) is replaced by a new one, without an error."""
    stages = {TOKEN: handlers.registration_token(token), TERMS: accept}
    auth = InteractiveAuth(token_homeserver.register(username, "secret"), stages, session_id="forgotten")

    account = auth.attempt_auth()

    assert auth.get_session_id() not in (None, "forgotten")
    assert whoami(token_synapse, account) == account["user_id"]


def test_after_the_success_nothing_more_is_sent(
    open_synapse: Synapse, open_homeserver: Homeserver, username: str
) -> None:
    """A second attempt after the success is a RuntimeError, and logs no second device in."""
    auth = InteractiveAuth(open_homeserver.register(username, "secret"), {})
    account = auth.attempt_auth()

    with pytest.raises(RuntimeError):
        auth.attempt_auth()

    devices = open_synapse.admin("GET", f"/_synapse/admin/v2/users/{quote(account['user_id'])}/devices")
    assert [device["device_id"] for device in devices["devices"]] == [account["device_id"]]


def test_a_taken_user_name_is_told_from_a_free_one(open_homeserver: Homeserver, username: str) -> None:
    """A taken name is M_USER_IN_USE before anybody is asked, and username_available knows it beforehand."""
    free = open_homeserver.username_available(username)
    open_homeserver.register(username, "secret").authenticate({})

    with pytest.raises(MatrixError) as refused:
        open_homeserver.register(username, "other").authenticate(lambda stage: pytest.fail(stage.type))

    assert free is True
    assert (refused.value.http_status, refused.value.errcode) == (400, "M_USER_IN_USE")
    assert open_homeserver.username_available(username) is False


def test_an_invalid_user_name_is_an_error_of_its_own(open_homeserver: Homeserver) -> None:
    """A name that nobody can have is M_INVALID_USERNAME, and not just unavailable."""
    with pytest.raises(MatrixError) as refused:
        open_homeserver.username_available("Not A Name")

    assert refused.value.errcode == "M_INVALID_USERNAME"


def test_a_closed_port_is_a_connection_error(connect: Connect, closed_url: str, username: str) -> None:
    """A server that is not there is tried as often as the retry policy says, then HomeserverConnectionError."""
    request = connect(closed_url).register(username, "secret")
    sent: list[object] = []

    def do_request(auth: dict[str, Any] | None) -> object:
        sent.append(auth)
        return request(auth)

    with pytest.raises(HomeserverConnectionError, match="refused") as failed:
        InteractiveAuth(do_request, {}, retry=RetryPolicy(retries=1)).attempt_auth()

    assert sent == [None, None]
    assert isinstance(failed.value, ConnectionError)
