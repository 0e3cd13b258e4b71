"""Options, and how they are passed on: checked by tests/test_typing.py, never run."""

from __future__ import annotations

import json
from typing import Any

from typing_extensions import Unpack

from interactive_auth import AuthType, Homeserver, Inputs, InteractiveAuth, InteractiveAuthOptions, RetryPolicy
from interactive_auth.homeserver import RegisterResponse


def do_request(auth: dict[str, Any] | None) -> str:
    return str(auth)


def every_option(inputs: Inputs) -> None:
    InteractiveAuth(
        do_request,
        {},
        auth_data={"flows": [{"stages": ["m.login.dummy"]}]},
        inputs={"email_address": "alice@example.org", "phone_country": "GB", "phone_number": "07700900001"},
        session_id="session",
        client_secret="secret",
        email_sid="sid",
        msisdn_sid="sid",
        supported_stages=["m.login.terms", AuthType.EMAIL],
        request_email_token=None,
        request_msisdn_token=None,
        busy_changed=None,
        id_server="id.example.org",
        id_access_token="token",
        max_attempts=None,
        poll_interval=1,
        poll_timeout=None,
        retry=RetryPolicy(retries=5, max_wait=10),
    )
    InteractiveAuth(do_request, {}, inputs=inputs, supported_stages={AuthType.TERMS}, retry=None)
    InteractiveAuth(do_request, {}, inputs={}, supported_stages=("m.login.terms",), poll_timeout=0.5)


def a_state_is_made_to_be_passed(auth: InteractiveAuth[str], saved: str) -> None:
    InteractiveAuth(do_request, {}, **auth.get_resume_state())
    InteractiveAuth(do_request, {}, poll_interval=1.0, **auth.get_resume_state())
    InteractiveAuth(do_request, {}, **json.loads(saved))


def options_can_be_passed_on(homeserver: Homeserver, **options: Unpack[InteractiveAuthOptions]) -> RegisterResponse:
    return homeserver.register("alice").authenticate({}, **options)


def options_can_be_kept(homeserver: Homeserver) -> None:
    options: InteractiveAuthOptions = {"max_attempts": 1, "poll_interval": 0.5, "retry": None}
    homeserver.delete_devices(("DEVICE",)).authenticate({}, **options)
    options_can_be_passed_on(homeserver, session_id="session")
