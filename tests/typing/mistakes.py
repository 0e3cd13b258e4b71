"""What type checkers must refuse, each with the code of its error: checked by tests/test_typing.py, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, RetryPolicy, Stage, handlers


def do_request(auth: dict[str, Any] | None) -> str:
    return str(auth)


def no_argument() -> str:
    return ""


def stage_type(stage: str) -> dict[str, str]:
    return {"type": stage}


async def coroutine(stage: Stage) -> dict[str, str]:
    return {"type": stage.type}


def wrong_callbacks(homeserver: Homeserver) -> None:
    InteractiveAuth(no_argument, {})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InteractiveAuth(do_request, stage_type)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InteractiveAuth(do_request, coroutine)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InteractiveAuth(do_request, lambda stage: stage.type)  # pyright: ignore[reportArgumentType]  # the mistake
    InteractiveAuth(do_request, {"m.login.terms": stage_type})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    InteractiveAuth(do_request, {1: lambda stage: None})  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportUnknownLambdaType]
    InteractiveAuth(do_request)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    homeserver.register().authenticate(no_argument)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    homeserver.register().authenticate({"m.login.terms": {"type": "m.login.terms"}})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


def wrong_options(homeserver: Homeserver) -> None:
    InteractiveAuth(do_request, {}, "session")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    InteractiveAuth(do_request, {}, max_attempts="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InteractiveAuth(do_request, {}, retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InteractiveAuth(do_request, {}, inputs={"email": "alice@example.org"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    InteractiveAuth(do_request, {}, timeout=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    homeserver.register().authenticate({}, timeout=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    homeserver.register().authenticate({}, poll_interval=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_arguments() -> None:
    Homeserver(b"https://matrix.example.org")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Homeserver("https://matrix.example.org", "token")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Homeserver("https://matrix.example.org").register(kind="bot")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    handlers.password("alice", b"secret")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    handlers.registration_token(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    handlers.terms(lambda: True)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]
    RetryPolicy(retries="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    MatrixError("401", {})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_uses(auth: InteractiveAuth[str], stage: Stage, homeserver: Homeserver) -> Mapping[str, str]:
    stage.type = "m.login.terms"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    homeserver.base_url = "https://elsewhere.example.org"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    auth.set_email_sid(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    auth.submit_auth_dict("m.login.dummy")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    homeserver.register().authenticate({})["device"].strip()  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownMemberType]
    homeserver.register().authenticate({})["access_token"].strip()  # pyright: ignore[reportTypedDictNotRequiredAccess]  # the mistake
    auth.attempt_auth().user_id()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return auth.attempt_auth()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
