"""The answers to polls, wrong answers and lost sessions, seen again on the real homeservers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from support.accounts import Account, Person, new_account
from support.keys import make_keys
from throwaway_synapse import Synapse

from interactive_auth import MatrixError, handlers

from .conftest import Run
from .polls import LOST_SESSIONS, OTHER_USERS, POLLS, WRONG_ANSWERS, Answered, Meaning, method_of
from .real import Kind
from .test_polls import auth_of

REAL = ("synapse", "dendrite")
SEEN = [answer for answer in (*POLLS, *WRONG_ANSWERS) if answer.server in REAL and answer.unseen is None]
SEEN_LOST = [answer for answer in LOST_SESSIONS if answer.server in REAL and answer.unseen is None]


def name_of(answer: Answered) -> str:
    """Return what a test is called."""
    return f"{answer.server}-{answer.endpoint[1:]}-{answer.stage}-{answer.sent}-{answer.status}"


class Asking:
    """Somebody who sends requests to one endpoint of a real homeserver.

    Attributes:
        new: the account that is to be, or to be somebody else's.
    """

    def __init__(self, account: Account, endpoint: str) -> None:
        self.new = Person()
        self._account = account
        self._endpoint = endpoint
        self._bodies: dict[str, dict[str, Any]] = {
            "/register": {"username": self.new.name, "password": self.new.password},
            "/account/password": {"new_password": account.password},
            "/keys/device_signing/upload": make_keys(account.user_id),
            "/delete_devices": {"devices": ["ONE"]},
        }

    def send(self, auth: dict[str, Any] | None) -> requests.Response:
        """Send a request."""
        body = {**self._bodies.get(self._endpoint, {}), **({} if auth is None else {"auth": auth})}
        token = {"Authorization": f"Bearer {self._account.homeserver.access_token}"}
        return requests.request(
            method_of(self._endpoint),
            f"{self._account.homeserver.base_url}/_matrix/client/v3{self._endpoint}",
            json=body,
            headers={} if self._endpoint == "/register" else token,
            timeout=30,
        )


@pytest.fixture
def server(run: Run, answer: Answered) -> Synapse:
    """Run the homeserver of an answer."""
    kind: Kind = (
        "everything" if answer.server == "synapse" else "captcha" if answer.stage == "m.login.recaptcha" else "open"
    )
    return run(answer.server, kind)


@pytest.fixture
def asking(server: Synapse, answer: Answered) -> Iterator[Asking]:
    """Make somebody who has an account, and cross-signing keys where the first ones want no authentication."""
    with new_account(server) as account:
        if answer.server == "synapse":
            account.homeserver.upload_cross_signing_keys(**make_keys(account.user_id)).authenticate({})
        yield Asking(account, answer.endpoint)


def assert_answered(answered: requests.Response, answer: Answered, words: str | None) -> dict[str, Any]:
    """Fail unless what was answered is what is recorded, and return its body."""
    body: dict[str, Any] = answered.json()
    told = (answered.status_code, body.get("errcode"), body.get("error"), "flows" in body)
    assert told == (answer.status, answer.errcode, words, answer.has_flows)
    return body


@pytest.mark.parametrize("answer", SEEN, ids=name_of)
def test_polls_and_wrong_answers(server: Synapse, asking: Asking, answer: Answered) -> None:
    """A poll, and a wrong answer, are answered as is recorded."""
    session = asking.send(None).json()["session"]
    if answer.errcode == "M_USER_IN_USE":
        server.add_user(asking.new.name, asking.new.password)

    answered = asking.send(auth_of(answer, session))

    body = assert_answered(answered, answer, answer.words)
    assert body.get("session", session) == session


@pytest.mark.parametrize("answer", SEEN_LOST, ids=name_of)
def test_lost_sessions(asking: Asking, answer: Answered) -> None:
    """A session that is not known is answered as is recorded, or taken for one that is."""
    session = f"of-last-week-{asking.new.name}"

    answered = asking.send(auth_of(answer, session))

    body = assert_answered(answered, answer, answer.words and answer.words.replace("{session}", session))
    assert (body.get("session") == session) == (answer.meaning is Meaning.OPEN)


@pytest.mark.parametrize(
    ("server_name", "endpoint", "status", "errcode", "words"), [row for row in OTHER_USERS if row[0] in REAL]
)
def test_the_password_of_another(
    run: Run, server_name: str, endpoint: str, status: int, errcode: str, words: str
) -> None:
    """Somebody else's password is refused as is recorded."""
    with ExitStack() as stack:
        alice, bob = (stack.enter_context(new_account(run(server_name, "open"))) for _ in range(2))
        asking = Asking(alice, endpoint)
        session = asking.send(None).json()["session"]
        identifier = {"type": "m.id.user", "user": bob.name}

        answered = asking.send(
            {"type": "m.login.password", "identifier": identifier, "password": bob.password, "session": session}
        )

    assert (answered.status_code, answered.json()) == (status, {"errcode": errcode, "error": words})


def test_keys_that_another_has_signed(run: Run) -> None:
    """Synapse refuses keys after the authentication in the words that are recorded of it."""
    words = next(answer.words for answer in POLLS if answer.errcode == "M_INVALID_SIGNATURE")
    with new_account(run("synapse", "open")) as account:
        upload = account.homeserver.upload_cross_signing_keys
        upload(**make_keys(account.user_id)).authenticate({})
        keys = make_keys(account.user_id) | {"master_key": make_keys(account.user_id)["master_key"]}

        with pytest.raises(MatrixError) as refused:
            upload(**keys).authenticate({"m.login.password": handlers.password(account.name, account.password)})

    assert (refused.value.http_status, refused.value.errcode) == (400, "M_INVALID_SIGNATURE")
    assert (refused.value.error or "").startswith(str(words))
