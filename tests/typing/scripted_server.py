"""The scripted homeserver in a user's tests: checked by tests/test_typing.py, never run."""

from __future__ import annotations

from typing import Any

from interactive_auth import AuthType, testing
from interactive_auth.testing import Account, Device, Message, Quirks, ReceivedRequest, Refusal, UIAServer, homeservers


def is_right(auth: dict[str, Any]) -> bool:
    return isinstance(auth["code"], str)


def scripts() -> None:
    UIAServer()
    UIAServer([["m.login.dummy"]], {"m.login.password": "right"}, quirks="dendrite")
    UIAServer(
        ((AuthType.PASSWORD, "com.example.magic"),),
        {AuthType.PASSWORD: "right", "com.example.magic": is_right, "com.example.other": {"code": 42}},
        params={"com.example.magic": {"hint": "6 * 7"}, AuthType.TERMS: None},
        quirks=Quirks(unknown_session=Refusal(410, "M_GONE", "No {session} here"), delay=()),
        responses={"/register": {"user_id": "@alice:example.org"}},
        access_token=None,
        account_management_url="https://account.example.org/",
        as_token="a-token",
    )
    UIAServer(["m.login.dummy"], quirks=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    UIAServer(answers={"m.login.password": 42})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


def test_a_bot(uia_server: testing.UIAServer) -> None:
    uia_server.flows = [["m.login.password"]]
    uia_server.flows = None
    uia_server.answers = {"m.login.password": is_right}
    uia_server.quirks = "tuwunel"
    uia_server.quirks = homeservers["synapse"]
    uia_server.access_token = "a-token"
    uia_server.account_management_url = None
    uia_server.as_token = None
    uia_server.complete("m.login.sso", session="a-session", after=2)
    uia_server.fail_next()
    uia_server.fail_next("M_USER_IN_USE")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uia_server.fail_next(400, "M_USER_IN_USE", "taken", times=2, path="/register")
    uia_server.rate_limit_next(1)
    uia_server.hang_up_next()
    alice: Account = uia_server.add_account("alice", "right", devices=["MINE"], addresses=("alice@example.org",))
    alice.devices["OLD"] = Device(display_name="an old one")
    token: str = uia_server.accounts["alice"].devices["MINE"].access_token
    password: str = alice.password  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    auths: list[dict[str, Any] | None] = uia_server.auths
    uia_server.auths[0]["type"]  # type: ignore[index]  # pyright: ignore[reportOptionalSubscript]
    uia_server.answer = {}  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    uia_server.base_url = token  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    received: list[ReceivedRequest] = uia_server.requests
    body: dict[str, Any] = received[0].body
    content: bytes = received[0].content
    auth: dict[str, Any] | None = received[0].auth
    params: dict[str, str] = received[0].params
    print(password, auths, body, content, auth, params)
    sent: list[Message] = uia_server.messages
    name: str = received[0].headers["Authorization"] + sent[0].address
    uia_server.complete(name, "a-session", 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
