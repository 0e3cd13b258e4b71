"""The mails and SMS of the scripted homeserver: who is sent what, and what validates an address."""

from __future__ import annotations

from typing import Any

import pytest

from interactive_auth import (
    Homeserver,
)
from interactive_auth.testing import UIAServer

from .conftest import EMAIL, MSISDN, SECRET, post, refuse


def test_sending_again(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A message is sent again only for a larger number, and keeps its sid; another secret has a sid of its own."""
    sids = [
        homeserver.request_email_token("register", "alice@example.org", secret, attempt)["sid"]
        for secret, attempt in [(SECRET, 1), (SECRET, 1), (SECRET, 2), ("another-secret", 1)]
    ]

    assert [(m.sid, m.client_secret, m.send_attempt) for m in uia_server.messages] == [
        (sids[0], SECRET, 1),
        (sids[0], SECRET, 2),
        (sids[3], "another-secret", 1),
    ]
    assert sids[0] == sids[1] == sids[2] != sids[3]


@pytest.mark.parametrize("body", [{"email": "alice@example.org"}, []], ids=["parts", "no-object"])
def test_a_token_request_that_lacks_parts(uia_server: UIAServer, body: Any) -> None:
    """A token request without its parts is refused with their names, and nothing is sent."""
    answer = post(uia_server, "/_matrix/client/v3/register/email/requestToken", json=body)

    assert (answer.status_code, answer.json()["errcode"]) == (400, "M_MISSING_PARAM")
    assert "'client_secret'" in answer.json()["error"]
    assert uia_server.messages == []


def test_creds_that_are_not_whole(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """Creds without a sid, of nobody, or of another medium validate nothing."""
    uia_server.flows = [[EMAIL]]
    request = homeserver.register("alice")
    sid = homeserver.request_msisdn_token("register", "GB", "07700900001", SECRET)["sid"]
    uia_server.complete(MSISDN)

    for creds in ({}, {"sid": "nobodys", "client_secret": SECRET}, {"sid": sid, "client_secret": SECRET}):
        assert refuse(request, {"type": EMAIL, "threepid_creds": creds}).errcode == "M_UNAUTHORIZED"


def test_codes_of_nobody(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """A code is right for its own SMS alone, and no code is if the script has none."""
    answer = homeserver.request_msisdn_token("register", "GB", "07700900001", SECRET)

    assert not homeserver.submit_token(answer["submit_url"], answer["sid"], SECRET, "123456")
    uia_server.answers = {MSISDN: "123456"}
    assert not homeserver.submit_token(answer["submit_url"], "nobodys", SECRET, "123456")
    assert homeserver.submit_token(answer["submit_url"], answer["sid"], SECRET, "123456")
    assert not post(uia_server, answer["submit_url"][len(uia_server.base_url) :]).json()["success"]


def test_an_address_for_an_account(uia_server: UIAServer, homeserver: Homeserver) -> None:
    """An address is added once somebody has opened the link in its mail, and not before."""
    sid = homeserver.request_email_token("account/3pid", "alice@example.org", SECRET)["sid"]
    request = homeserver.add_threepid(SECRET, sid)

    assert refuse(request, {"type": "m.login.dummy"}).errcode == "M_THREEPID_AUTH_FAILED"
    uia_server.complete(EMAIL)

    assert request({"type": "m.login.dummy"}) == {}
