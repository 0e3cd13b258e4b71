"""What type checkers know about the results: checked by tests/test_typing.py, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests
from typing_extensions import assert_type

from interactive_auth import (
    AuthTimeoutError,
    DelegatedAuthError,
    Flow,
    Homeserver,
    HomeserverConnectionError,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    NoAuthFlowFoundError,
    ResumeState,
    StageFailedError,
    UIARequest,
    raise_for_matrix_error,
)
from interactive_auth.homeserver import AuthMetadata, LoginResponse, RefreshResponse, RegisterResponse, WhoamiResponse


@dataclass
class Account:
    """A response type of the caller's own."""

    user_id: str


def register(auth: dict[str, Any] | None) -> Account:
    """A do_request of the caller's own."""
    response = requests.post("https://matrix.example.org/_matrix/client/v3/register", json={"auth": auth}, timeout=30)
    body = raise_for_matrix_error(response)
    assert_type(body, dict[str, Any])
    return Account(body["user_id"])


def count(auth: dict[str, Any] | None, /) -> int:
    """A do_request with a response that is no object."""
    return len(auth or {})


class Client:
    """A client whose method is a do_request."""

    def delete(self, auth: dict[str, Any] | None) -> None:
        """A do_request without a response."""


def the_response_is_what_do_request_returns() -> None:
    assert_type(InteractiveAuth(register, {}), InteractiveAuth[Account])
    assert_type(InteractiveAuth(register, {}).attempt_auth(), Account)
    assert_type(InteractiveAuth(count, {}).attempt_auth(), int)
    assert_type(InteractiveAuth(lambda auth: "done", {}).attempt_auth(), str)
    explicit: InteractiveAuth[Account] = InteractiveAuth(register, lambda stage: None)
    assert_type(explicit.attempt_auth(), Account)
    bound = InteractiveAuth(Client().delete, {})
    assert_type(bound, InteractiveAuth[None])


def a_request_is_a_do_request() -> None:
    with Homeserver("https://matrix.example.org", access_token="token") as homeserver:
        assert_type(homeserver, Homeserver)
        request = homeserver.register("alice", "secret")
        assert_type(request, UIARequest[RegisterResponse])
        assert_type(request(), RegisterResponse)
        assert_type(request({"type": "m.login.dummy"}), RegisterResponse)
        assert_type(request.authenticate({}), RegisterResponse)
        assert_type(InteractiveAuth(request, {}).attempt_auth(), RegisterResponse)
        assert_type(request.authenticate({})["user_id"], str)
        assert_type(request.authenticate({}).get("access_token"), str | None)
        assert_type(homeserver.delete_devices(["DEVICE"]).authenticate({}), dict[str, Any])
        assert_type(homeserver.uia_request("POST", "/path").authenticate({}), dict[str, Any])
        assert_type(homeserver.username_available("alice"), bool)
        assert_type(homeserver.registration_token_validity("token"), bool)
        assert_type(homeserver.fallback_url("m.login.sso", "session"), str)
        assert_type(homeserver.base_url, str)


def the_calls_around_an_authentication(homeserver: Homeserver) -> None:
    login = homeserver.login("alice", "secret", refresh_token=True)
    assert_type(login, LoginResponse)
    assert_type(login["access_token"], str)
    assert_type(login.get("refresh_token"), str | None)
    assert_type(homeserver.login(token="a-token"), LoginResponse)
    assert_type(homeserver.refresh("a-token"), RefreshResponse)
    assert_type(homeserver.refresh("a-token").get("expires_in_ms"), int | None)
    assert_type(homeserver.whoami(), WhoamiResponse)
    assert_type(homeserver.whoami()["user_id"], str)
    homeserver.logout()
    assert_type(homeserver.auth_metadata(), AuthMetadata | None)
    assert_type((homeserver.auth_metadata() or {}).get("account_management_actions_supported"), list[str] | None)
    assert_type(homeserver.account_management_url("org.matrix.device_delete", "DEVICE"), str | None)
    service = Homeserver("https://matrix.example.org", user_id="@bot:example.org", device_id="DEVICE", retry=None)
    assert_type(service.register("bot", type="m.login.application_service"), UIARequest[RegisterResponse])


def where_the_person_does_it(error: DelegatedAuthError) -> MatrixError:
    assert_type(error.account_management_url, str | None)
    return error


def the_methods_of_an_authentication(auth: InteractiveAuth[Account]) -> None:
    assert_type(auth.get_session_id(), str | None)
    assert_type(auth.get_client_secret(), str)
    assert_type(auth.get_email_sid(), str | None)
    assert_type(auth.get_msisdn_sid(), str | None)
    assert_type(auth.get_stage_params("m.login.terms"), dict[str, Any] | None)
    assert_type(auth.get_chosen_flow(), Flow | None)
    assert_type(auth.get_resume_state(), ResumeState)
    assert_type(auth.get_resume_state()["client_secret"], str)
    auth.set_email_sid("sid")
    auth.set_msisdn_sid("sid")
    auth.submit_auth_dict({"type": "m.login.dummy"}, background=True)
    auth.request_email_token("alice@example.org")
    auth.request_msisdn_token("GB", "07700900001")
    auth.poll()
    auth.cancel()


def what_an_error_tells(auth: InteractiveAuth[Account]) -> None:
    try:
        auth.attempt_auth()
    except MatrixError as error:
        assert_type(error.http_status, int)
        assert_type(error.errcode, str | None)
        assert_type(error.error, str | None)
        assert_type(error.retry_after, float | None)
        assert_type(error.data, dict[str, Any])
    except NoAuthFlowFoundError as error:
        assert_type(error.required_stages, list[str])
        assert_type(error.flows, list[dict[str, list[str]]])
    except StageFailedError as error:
        assert_type(error.stage, str)
        assert_type(error.attempts, int)


def what_an_error_is(late: AuthTimeoutError, lost: HomeserverConnectionError) -> None:
    timeout: TimeoutError = late
    connection: ConnectionError = lost
    errors: list[InteractiveAuthError] = [late, lost]
    print(timeout, connection, errors)
