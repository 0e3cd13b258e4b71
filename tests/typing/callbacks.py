"""The forms that callbacks may have: checked by tests/test_typing.py, never run."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from typing_extensions import assert_type

from interactive_auth import (
    AuthType,
    BusyChanged,
    DoRequest,
    Homeserver,
    InteractiveAuth,
    RequestEmailToken,
    RequestMsisdnToken,
    ResumeState,
    Stage,
    StartAuthStage,
    Wait,
    console,
    handlers,
)


def do_request(auth: dict[str, Any] | None) -> str:
    return str(auth)


def function(stage: Stage) -> dict[str, Any] | None:
    assert_type(stage.type, str)
    assert_type(stage.params, Mapping[str, Any])
    assert_type(stage.flow, tuple[str, ...])
    assert_type(stage.completed, tuple[str, ...])
    assert_type(stage.attempt, int)
    assert_type(stage.submit_url, str | None)
    assert_type(stage.auth, InteractiveAuth[Any])
    stage.add_cleanup(stage.auth.poll)
    if stage.error is not None:
        assert_type(stage.error.http_status, int)
    return {"type": stage.type} if stage.session else None


def without_answer(stage: Stage) -> None:
    print(stage)


def with_strings(stage: Stage) -> dict[str, str]:
    return {"type": stage.type}


def with_more(question: str, stage: Stage) -> dict[str, str]:
    return {"type": stage.type, "answer": question}


class Answers:
    """An object that is called, and one whose method is."""

    def __call__(self, stage: Stage) -> Mapping[str, object]:
        return {"type": stage.type}

    def method(self, stage: Stage, hint: str = "") -> dict[str, str] | None:
        return {"type": stage.type, "hint": hint} if hint else None


def one_callback_for_all() -> None:
    InteractiveAuth(do_request, function)
    InteractiveAuth(do_request, without_answer)
    InteractiveAuth(do_request, with_strings)
    InteractiveAuth(do_request, partial(with_more, "what?"))
    InteractiveAuth(do_request, Answers())
    InteractiveAuth(do_request, Answers().method)
    InteractiveAuth(do_request, lambda stage: {"type": stage.type, "attempt": stage.attempt})
    InteractiveAuth(do_request, lambda stage: None)


def one_callback_per_stage(homeserver: Homeserver) -> None:
    InteractiveAuth(do_request, {"m.login.terms": function, "m.login.sso": without_answer, "*": Answers()})
    InteractiveAuth(do_request, {"m.login.terms": lambda stage: {"type": stage.type}})
    InteractiveAuth(do_request, {AuthType.TERMS: with_strings, AuthType.SSO: without_answer})
    InteractiveAuth(do_request, {AuthType.TERMS: with_strings, "*": without_answer})
    homeserver.register().authenticate({AuthType.TERMS: lambda stage: {"type": stage.type}})
    by_name = {"m.login.terms": with_strings}
    InteractiveAuth(do_request, by_name)
    by_type = {AuthType.TERMS: with_strings, AuthType.SSO: with_strings}
    InteractiveAuth(do_request, by_type)
    homeserver.register().authenticate(by_type)
    declared: dict[AuthType, StartAuthStage] = {AuthType.TERMS: with_strings, AuthType.SSO: without_answer}
    InteractiveAuth(do_request, declared)
    homeserver.register().authenticate(declared)
    read_only: Mapping[AuthType, Callable[[Stage], None]] = {AuthType.SSO: without_answer}
    InteractiveAuth(do_request, read_only)
    InteractiveAuth(do_request, console.handlers(homeserver))
    stages: dict[str, StartAuthStage] = {AuthType.TERMS: with_strings, "*": Answers().method}
    InteractiveAuth(do_request, stages)


def ready_made(homeserver: Homeserver) -> None:
    assert_type(handlers.password("alice", "secret"), StartAuthStage)
    homeserver.delete_devices(["DEVICE"]).authenticate({AuthType.PASSWORD: handlers.password("alice", getpass.getpass)})
    homeserver.register("alice").authenticate(
        {
            "m.login.password": handlers.password({"type": "m.id.user", "user": "alice"}, lambda: "secret"),
            "m.login.registration_token": handlers.registration_token(lambda stage: f"token {stage.attempt}"),
            "m.login.terms": handlers.terms(lambda policies: all(policy.url for policy in policies), language="de"),
        }
    )


def the_other_callbacks(homeserver: Homeserver) -> None:
    def busy(value: bool) -> None:
        print(value)

    def email(address: str, secret: str, attempt: int, session: str | None) -> dict[str, str]:
        return {"sid": f"{address}{secret}{attempt}{session}"}

    def msisdn(country: str, number: str, secret: str, attempt: int, session: str | None) -> dict[str, str]:
        return {"sid": f"{country}{number}{secret}{attempt}{session}"}

    def wait(value: Wait | None) -> None:
        if value is not None:
            assert_type(value.seconds_left, float | None)

    states: list[ResumeState] = []
    InteractiveAuth(do_request, {}, wait_changed=wait, state_changed=states.append, progress=states[0]["progress"])
    events: list[bool] = []
    InteractiveAuth(do_request, {}, busy_changed=busy, request_email_token=email, request_msisdn_token=msisdn)
    InteractiveAuth(do_request, {}, busy_changed=events.append)
    request = homeserver.register()
    InteractiveAuth(request, {}, request_email_token=request.request_email_token)
    named: tuple[BusyChanged, RequestEmailToken, RequestMsisdnToken, DoRequest[str]] = busy, email, msisdn, do_request
    narrow: InteractiveAuth[str] = InteractiveAuth(do_request, {})
    wide: InteractiveAuth[object] = narrow
    print(wide)
    plain: Callable[[Stage], Mapping[str, Any] | None] = handlers.terms(bool)
    print(named, plain)
