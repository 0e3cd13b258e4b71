"""A person at a console whose mail brings a code, and one whose account lives elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.wire import Reply, Sent, Wire, serve

from interactive_auth import DelegatedAuthError, Homeserver, console

TOKEN_REQUEST = "/_matrix/client/v3/register/email/requestToken"
EMAIL = "m.login.email.identity"


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Run a homeserver whose mails bring codes, the second of which comes in time."""
    posted: list[str] = []

    def answer(sent: Sent) -> Reply:
        if sent.path == TOKEN_REQUEST:
            return Reply(200, {"sid": "a-sid", "submit_url": f"{running.base_url}/submit"})
        if sent.path == "/submit":
            posted.append(sent.body["token"])
            late = {"errcode": "M_SESSION_EXPIRED", "error": "Too late"}
            return Reply(400, late) if len(posted) == 1 else Reply(200, {"success": sent.body["token"] == "222222"})
        body: dict[str, Any] = {"flows": [{"stages": [EMAIL]}], "session": "a-session"}
        if "threepid_creds" not in sent.body.get("auth", {}):
            return Reply(401, body)
        right = posted[-1:] == ["222222"]
        return Reply(200, {"user_id": "@alice:example.org"}) if right else Reply(401, {**body, "error": "Not yet"})

    with serve(answer) as running:
        yield running


def test_a_mail_with_a_code(wire: Wire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The code is asked for, a late one is replaced, a wrong one asked for again, and none is shown."""
    typed, prompts = iter(["alice@example.org", "111111", "", "333333", "222222"]), list[str]()

    def read(prompt: str) -> str:
        prompts.append(prompt)
        return next(typed)

    monkeypatch.setattr("builtins.input", read)

    with Homeserver(wire.base_url) as homeserver:
        account = homeserver.register("alice", "a password").authenticate(console.handlers(homeserver))

    assert account["user_id"] == "@alice:example.org"
    code = "Code in the mail: "
    assert prompts == ["Email address: ", code, code, code, code]
    assert [sent.body["send_attempt"] for sent in wire.sent if sent.path == TOKEN_REQUEST] == [1, 2]
    said = capsys.readouterr().out
    assert "That code came too late. Another mail was sent." in said.splitlines()
    assert "111111" not in said


def test_an_account_that_lives_elsewhere(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person whose mail cannot be requested here is told where to go, the address on a line of its own."""
    own = wire.answer

    def answer(sent: Sent) -> Reply:
        if sent.path == TOKEN_REQUEST:
            return Reply(404, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"})
        if sent.path == "/_matrix/client/v1/auth_metadata":
            page = f"{wire.base_url}/account" if with_page else None
            return Reply(200, {"issuer": wire.base_url, "account_management_uri": page})
        return own(sent)

    wire.answer = answer
    monkeypatch.setattr("builtins.input", lambda prompt: "alice@example.org")

    for with_page in (True, False):
        with Homeserver(wire.base_url) as homeserver, pytest.raises(DelegatedAuthError):
            homeserver.register("alice", "a password").authenticate(console.handlers(homeserver))
        told = ["This homeserver leaves its accounts to another service. Do it there, in a browser:"]
        page = [*told, f"{wire.base_url}/account"] if with_page else []
        assert capsys.readouterr().out.splitlines() == ["Step 1 of 1: email address", *page]
