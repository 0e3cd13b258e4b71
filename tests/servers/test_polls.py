"""The answers to polls, wrong answers and lost sessions: each homeserver has its own, and the scripted one has them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from interactive_auth.testing import UIAServer, homeservers

from .polls import EMAIL, LOST_SESSIONS, OTHER_USERS, POLLS, UNSEEN, WRONG_ANSWERS, Answered, Meaning, method_of
from .recorded import CLIENT_SECRET, SID

PLAYED = [
    pytest.param(answer, id=f"{answer.server}-{answer.endpoint[1:]}-{answer.stage}-{answer.sent}-{answer.status}")
    for answer in (*POLLS, *WRONG_ANSWERS)
    if answer.unlike is None
]
PLAYED_LOST = [
    pytest.param(answer, id=f"{answer.server}-{answer.endpoint[1:]}")
    for answer in LOST_SESSIONS
    if answer.unlike is None
]
CREDS = {"sid": SID, "client_secret": CLIENT_SECRET}
IDENTIFIER = {"type": "m.id.user", "user": "alice"}
WRONG: dict[str, dict[str, Any]] = {
    "m.login.password": {"identifier": IDENTIFIER, "password": "wrong"},
    "m.login.registration_token": {"token": "wrong"},
    "m.login.recaptcha": {"response": "wrong"},
}


def post(uia_server: UIAServer, answer: Answered, auth: dict[str, Any] | None) -> requests.Response:
    """Send a request that wants authentication."""
    body = {} if auth is None else {"auth": auth}
    return requests.post(f"{uia_server.base_url}/_matrix/client/v3{answer.endpoint}", json=body, timeout=10)


def auth_of(answer: Answered, session: str) -> dict[str, Any]:
    """Make what is sent."""
    if answer.sent == "session":
        return {"session": session}
    fields: dict[str, Any] = {"creds": {"threepid_creds": CREDS}, "wrong": WRONG.get(answer.stage, {})}.get(
        answer.sent, {}
    )
    return {"type": answer.stage, "session": session, **fields}


def play(uia_server: UIAServer, answer: Answered) -> None:
    """Have the homeserver play another that awaits a stage, and then one more."""
    uia_server.quirks = answer.server
    uia_server.flows = [[answer.stage, "com.example.rest"]]
    uia_server.answers = dict.fromkeys(WRONG, "right")


@pytest.mark.parametrize("answer", PLAYED)
def test_polls_and_wrong_answers(uia_server: UIAServer, answer: Answered) -> None:
    """A poll, and a wrong answer, are answered as that homeserver answers them."""
    play(uia_server, answer)
    session = post(uia_server, answer, None).json()["session"]

    answered = post(uia_server, answer, auth_of(answer, session))

    body = answered.json()
    assert (answered.status_code, body.get("errcode"), body.get("error")) == (
        answer.status,
        answer.errcode,
        answer.words,
    )
    assert ("flows" in body) == answer.has_flows
    assert (body.get("session", session) != session) == (answer.meaning is Meaning.REPLACED)


@pytest.mark.parametrize("answer", PLAYED_LOST)
def test_lost_sessions(uia_server: UIAServer, answer: Answered) -> None:
    """A session that is not known is answered as that homeserver answers it, or adopted, or replaced."""
    play(uia_server, answer)

    answered = post(uia_server, answer, auth_of(answer, "of-last-week"))

    body = answered.json()
    words = None if answer.words is None else answer.words.replace("{session}", "of-last-week")
    assert (answered.status_code, body.get("errcode"), body.get("error")) == (answer.status, answer.errcode, words)
    assert ("flows" in body) == answer.has_flows
    adopted = body.get("session") == "of-last-week"
    assert adopted == (answer.meaning is Meaning.OPEN)


@pytest.mark.parametrize(("server", "endpoint", "status", "errcode", "words"), OTHER_USERS)
def test_the_password_of_another(
    uia_server: UIAServer, server: str, endpoint: str, status: int, errcode: str, words: str
) -> None:
    """Somebody else's password is right, and of no use; the session goes on with one's own."""
    uia_server.quirks = server
    uia_server.flows = [["m.login.password"]]
    uia_server.add_account("bob", "bobs")
    uia_server.add_account("alice", "alices", devices=["MINE"])
    url = f"{uia_server.base_url}/_matrix/client/v3{endpoint}"
    headers = {"Authorization": f"Bearer {uia_server.accounts['alice'].devices['MINE'].access_token}"}
    method = method_of(endpoint)
    session = requests.request(method, url, json={}, headers=headers, timeout=10).json()["session"]

    def send(user: str, password: str) -> requests.Response:
        identifier = {"type": "m.id.user", "user": user}
        auth = {"type": "m.login.password", "identifier": identifier, "password": password, "session": session}
        return requests.request(method, url, json={"auth": auth}, headers=headers, timeout=10)

    answered = send("bob", "bobs")

    assert (answered.status_code, answered.json()["errcode"], answered.json()["error"]) == (status, errcode, words)
    assert send("alice", "alices").status_code == 200


def test_nobody_looks_at_dendrites_other_endpoints(uia_server: UIAServer) -> None:
    """Dendrite changes a password for whatever right password, also somebody else's."""
    uia_server.quirks = "dendrite"
    uia_server.flows = [["m.login.password"]]
    uia_server.add_account("bob", "bobs")
    alice = uia_server.add_account("alice", "alices", devices=["MINE"])
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "bob"}, "password": "bobs"}

    answered = requests.post(
        f"{uia_server.base_url}/_matrix/client/v3/account/password",
        json={"new_password": "a new one", "auth": auth},
        headers={"Authorization": f"Bearer {alice.devices['MINE'].access_token}"},
        timeout=10,
    )

    assert answered.status_code == 200
    assert alice.password == "a new one"


def test_every_homeserver_has_its_answers() -> None:
    """No family is forgotten, in any of the tables, and each that can validate an email says how it does not yet."""
    for table in (POLLS, WRONG_ANSWERS, LOST_SESSIONS):
        assert {answer.server for answer in table} == set(homeservers)
    assert {server for server, *_ in OTHER_USERS} == set(homeservers)
    assert {answer.server for answer in UNSEEN} == {"synapse", "dendrite"}
    emails = {answer.server for answer in POLLS if answer.stage == EMAIL}
    assert emails == {"synapse", "dendrite", "continuwuity", "tuwunel"}
    assert len(PLAYED) + len(PLAYED_LOST) >= 35
