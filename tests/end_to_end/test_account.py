"""Endpoints of a logged-in account on a real Synapse, which want the password; and access tokens that are no good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from support.accounts import Account, Connect, Person, new_account
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, Stage, StageFailedError, handlers

PASSWORD = "m.login.password"


@pytest.fixture
def account(open_server: Synapse) -> Iterator[Account]:
    """A new account."""
    with new_account(open_server) as made:
        yield made


@pytest.fixture
def other_device(account: Account) -> str:
    """A second device of that account."""
    return str(account.log_in()["device_id"])


@pytest.fixture
def homeserver(account: Account) -> Homeserver:
    """The Synapse, as the account sees it."""
    return account.homeserver


def test_the_right_password_deletes_a_device(account: Account, homeserver: Homeserver, other_device: str) -> None:
    """A constant password is enough, and only the device named is gone."""
    stages = {PASSWORD: handlers.password(account.name, account.password)}

    answer = homeserver.delete_devices([other_device]).authenticate(stages)

    assert answer == {}
    assert account.devices() == {account.device_id}


def test_a_wrong_password_is_asked_for_again(account: Account, homeserver: Homeserver, other_device: str) -> None:
    """A callable is asked until its password is right, and told what the server said."""
    passwords = ["wrong", account.password]
    heard: list[str | None] = []

    def ask(stage: Stage) -> str:
        heard.append(stage.error and stage.error.errcode)
        return passwords.pop(0)

    homeserver.delete_devices([other_device]).authenticate({PASSWORD: handlers.password(account.name, ask)})

    assert heard == [None, "M_FORBIDDEN"]
    assert account.devices() == {account.device_id}


def test_wrong_passwords_end_the_attempt_and_delete_nothing(
    account: Account, homeserver: Homeserver, other_device: str
) -> None:
    """After max_attempts wrong passwords it is StageFailedError, caused by what the server said the last time."""
    asked: list[int] = []

    def ask(stage: Stage) -> str:
        asked.append(stage.attempt)
        return "wrong"

    request = homeserver.delete_devices([other_device])
    with pytest.raises(StageFailedError) as failed:
        request.authenticate({PASSWORD: handlers.password(account.name, ask)}, max_attempts=2)

    assert asked == [1, 2]
    assert (failed.value.stage, failed.value.attempts) == (PASSWORD, 2)
    assert isinstance(failed.value.__cause__, MatrixError)
    assert failed.value.__cause__.errcode == "M_FORBIDDEN"
    assert account.devices() == {account.device_id, other_device}


def test_the_password_of_somebody_else_is_a_rejection(
    account: Account, homeserver: Homeserver, other_device: str
) -> None:
    """Another user's credentials get a 403 without flows: it counts as a wrong answer, and the session goes on."""
    stranger = Person()
    account.synapse.add_user(stranger.name, stranger.password)
    answers = [
        handlers.password(stranger.name, stranger.password),
        handlers.password(account.name, lambda: account.password),
    ]
    heard: list[int | None] = []

    def answer(stage: Stage) -> Mapping[str, Any] | None:
        heard.append(stage.error and stage.error.http_status)
        return answers.pop(0)(stage)

    homeserver.delete_devices([other_device]).authenticate({PASSWORD: answer})

    assert heard == [None, 403]
    assert account.devices() == {account.device_id}


def test_any_endpoint_can_be_authenticated(account: Account, homeserver: Homeserver, other_device: str) -> None:
    """uia_request serves an endpoint that has no method of its own, here DELETE /devices/{id}."""
    request = homeserver.uia_request("DELETE", f"/_matrix/client/v3/devices/{other_device}")

    request.authenticate({PASSWORD: handlers.password(account.name, account.password)})

    assert account.devices() == {account.device_id}


def test_the_whole_body_is_sent_with_every_request(account: Account, homeserver: Homeserver) -> None:
    """A new password takes effect, though Synapse forgets the body of the first request to this endpoint."""
    request = homeserver.uia_request("POST", "/_matrix/client/v3/account/password", {"new_password": "brand new"})

    request.authenticate({PASSWORD: handlers.password(account.name, account.password)})

    assert account.log_in("brand new")["user_id"] == account.user_id
    assert not account.can_log_in()


def test_an_invalid_access_token_is_raised_before_anybody_is_asked(open_server: Synapse, connect: Connect) -> None:
    """M_UNKNOWN_TOKEN is no demand for authentication: it is raised, and its soft_logout can be read."""
    homeserver = connect(open_server.base_url, access_token="nonsense")

    with pytest.raises(MatrixError) as refused:
        homeserver.delete_devices(["DEVICE"]).authenticate(lambda stage: pytest.fail(stage.type))

    assert (refused.value.http_status, refused.value.errcode) == (401, "M_UNKNOWN_TOKEN")
    assert refused.value.data["soft_logout"] is False
    assert "nonsense" not in f"{refused.value!r}{refused.value}"


def test_a_missing_access_token_is_raised(open_server: Synapse, connect: Connect) -> None:
    """M_MISSING_TOKEN reaches the caller, too."""
    with pytest.raises(MatrixError) as refused:
        connect(open_server.base_url).delete_devices(["DEVICE"]).authenticate({})

    assert refused.value.errcode == "M_MISSING_TOKEN"


def test_a_session_outlives_its_access_token(account: Account, homeserver: Homeserver, other_device: str) -> None:
    """Logged out in the middle, a new attempt after a fresh login finishes the same session."""
    logouts = [lambda: account.call("POST", "logout", {})]

    def answer(stage: Stage) -> dict[str, Any]:
        if logouts:
            logouts.pop()()
        return dict(handlers.password(account.name, account.password)(stage) or {})

    auth = InteractiveAuth(homeserver.delete_devices([other_device]), {PASSWORD: answer})
    with pytest.raises(MatrixError) as refused:
        auth.attempt_auth()
    session = auth.get_session_id()
    fresh = account.log_in()
    homeserver.access_token = fresh["access_token"]
    auth.attempt_auth()

    assert refused.value.errcode == "M_UNKNOWN_TOKEN"
    assert auth.get_session_id() == session
    assert account.devices() == {fresh["device_id"]}
