"""The code of an SMS, posted to the address that the server named: what is right, what is wrong, what is trouble."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.wire import Reply, Wire, serve

from interactive_auth import Homeserver, MatrixError, ServerProtocolError

SECRET = "a-secret-of-the-clients-own-making"
CODE = "123456"
GRANTED = Reply(200, {"success": True})


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Run a server that finds every code right."""
    with serve(lambda sent: GRANTED) as running:
        yield running


@pytest.fixture
def homeserver(wire: Wire) -> Iterator[Homeserver]:
    """Make a homeserver object with an access token, which is none of the identity server's business."""
    with Homeserver(wire.base_url, access_token="an-access-token") as made:
        yield made


def test_what_is_sent(wire: Wire, homeserver: Homeserver) -> None:
    """The three fields are posted to the whole address, its query too, and no access token."""
    url = f"{wire.base_url}/elsewhere/submitToken?lang=en%20GB"

    assert homeserver.submit_token(url, "a-sid", SECRET, CODE) is True

    (sent,) = wire.sent
    assert (sent.method, sent.path, sent.query) == ("POST", "/elsewhere/submitToken", "lang=en%20GB")
    assert sent.body == {"sid": "a-sid", "client_secret": SECRET, "token": CODE}
    assert "Authorization" not in sent.headers


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"success": False}),
        (200, {}),
        (200, {"success": "true"}),
        (200, {"success": False, "errcode": "M_NO_VALID_SESSION", "error": "No session could be found with this sid"}),
        (400, {"success": False}),
        (400, {"errcode": "M_TOKEN_INCORRECT", "error": "In words of its own"}),
        (400, {"errcode": "M_UNKNOWN", "error": "Error contacting the identity server"}),
        (404, {"errcode": "M_NO_VALID_SESSION", "error": "No session could be found with this sid"}),
        (500, {"errcode": "M_UNKNOWN", "error": "Internal Server Error"}),
    ],
    ids=["false", "silence", "no-boolean", "sydent-200", "400-false", "v1.18", "synapse", "sydent", "sydent-500"],
)
def test_a_wrong_code(wire: Wire, homeserver: Homeserver, status: int, body: dict[str, Any]) -> None:
    """However a server says that a code is wrong, it is False, and can be asked for again."""
    wire.answer = lambda sent: Reply(status, body)

    assert homeserver.submit_token(f"{wire.base_url}/submitToken", "a-sid", SECRET, CODE) is False


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"errcode": "M_SESSION_EXPIRED", "error": "This validation session has expired"}),
        (400, {"errcode": "M_INVALID_PARAM", "error": "No such sid"}),
        (200, {"success": False, "errcode": "M_SESSION_EXPIRED", "error": "This validation session has expired"}),
        (200, {"success": False, "errcode": "M_INVALID_PARAM", "error": "The token doesn't match"}),
        (400, {"errcode": "M_UNKNOWN", "error": "Something else"}),
        (500, {"errcode": "M_UNKNOWN", "error": "Internal server error"}),
        (404, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}),
        (404, b"<html>nginx</html>"),
        (500, {}),
    ],
    ids=["expired", "invalid", "expired-200", "invalid-200", "unknown", "crash", "no-endpoint", "proxy", "silence"],
)
def test_trouble_with_a_code(wire: Wire, homeserver: Homeserver, status: int, body: Any) -> None:
    """What is no word about the code is raised, so that nobody is asked for another code in vain."""
    wire.answer = lambda sent: Reply(status, body)

    with pytest.raises(MatrixError) as caught:
        homeserver.submit_token(f"{wire.base_url}/submitToken?secret={SECRET}", "a-sid", SECRET, CODE)

    assert caught.value.http_status == status
    assert f"POST {wire.base_url}/submitToken" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(wire.sent) == 1


def test_too_many_codes(wire: Wire) -> None:
    """A rate limit is no wrong code: it is raised, with the wait, and without the code in its text."""
    body = {"errcode": "M_LIMIT_EXCEEDED", "error": f"Too many of {CODE} for {SECRET}", "retry_after_ms": 2500}
    wire.answer = lambda sent: Reply(429, body)
    homeserver = Homeserver(wire.base_url, retry=None)

    with homeserver, pytest.raises(MatrixError) as caught:
        homeserver.submit_token(f"{wire.base_url}/submitToken", "a-sid", SECRET, CODE)

    assert (caught.value.http_status, caught.value.errcode, caught.value.retry_after) == (429, "M_LIMIT_EXCEEDED", 2.5)
    assert CODE not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_redirect(wire: Wire, homeserver: Homeserver) -> None:
    """A code is never sent on to where a redirect leads."""
    wire.answer = lambda sent: Reply(307, {}, {"Location": f"{wire.base_url}/elsewhere"})

    with pytest.raises(MatrixError, match="redirect"):
        homeserver.submit_token(f"{wire.base_url}/submitToken", "a-sid", SECRET, CODE)

    assert [sent.path for sent in wire.sent] == ["/submitToken"]


@pytest.mark.parametrize(
    "url",
    [
        "http://identity.example/submitToken",
        "http://127.0.0.1.identity.example/submitToken",
        "ftp://127.0.0.1/submitToken",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://user:secret@identity.example/submitToken",
        "//identity.example/submitToken",
        "submitToken",
    ],
)
def test_an_unfit_address(wire: Wire, homeserver: Homeserver, url: str) -> None:
    """An address that a code may not be sent to, plain http above all, is the server's fault, and nothing is sent."""
    with pytest.raises(ServerProtocolError, match="unfit address"):
        homeserver.submit_token(url, "a-sid", SECRET, CODE)

    assert wire.sent == []
