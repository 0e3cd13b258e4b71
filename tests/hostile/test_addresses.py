"""Addresses that a server names, over the real transport: single answers that once hurt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interactive_auth import (
    Homeserver,
    HomeserverConnectionError,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
)

from .exchanges import Client, play
from .scenes import discover, discover_by_session
from .strategies import wire

LONG = "p" * 5000


@pytest.mark.parametrize("scene", [discover, discover_by_session])
@pytest.mark.parametrize("location", ["https://[", "https://\x1b[2J/", "https://[::1]:port/", "//[", "https://[v1.x]/"])
def test_redirect_to_what_is_no_address(scene: Any, location: str) -> None:
    """A well-known document that redirects to what cannot be read as an address leads to no homeserver."""
    ended = play(scene, [wire(302, [("Location", location)], b"{}")])

    assert isinstance(ended, InteractiveAuthError)


@pytest.mark.parametrize("scene", [discover, discover_by_session])
def test_redirect_to_a_long_address(scene: Any) -> None:
    """An address that a redirect names is cut in the message."""
    answers = [wire(302, [("Location", f"https://example.org/{LONG}")], b"{}"), wire(200, [], b"[]")]

    ended = play(scene, answers)

    assert isinstance(ended, ServerProtocolError)
    assert len(str(ended)) < 1000


def test_long_base_url() -> None:
    """An address that a well-known document names is cut in the message."""
    well_known = json.dumps({"m.homeserver": {"base_url": f"https://example.org/{LONG}"}}).encode()

    ended = play(discover, [wire(200, [], well_known), wire(200, [], b"{}")])

    assert isinstance(ended, ServerProtocolError)
    assert len(str(ended)) < 1000


def submit(client: Client) -> object:
    """Post a code to an address that a server has named."""
    url = f"http://127.0.0.1:8008/submit?\x1b[2J{LONG}"
    return client.open("http://127.0.0.1:8008").submit_token(url, "the-sid", "a-secret", "123456")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(b"", HomeserverConnectionError), (wire(403, [], b"<"), MatrixError), (wire(200, [], b"<"), ServerProtocolError)],
)
def test_submit_url_in_a_message(answer: bytes, kind: type[InteractiveAuthError]) -> None:
    """The query of an address that a server has named is no part of a message."""
    ended = play(submit, [answer])

    assert isinstance(ended, kind)
    assert "POST http://127.0.0.1:8008/submit" in str(ended)
    assert "2J" not in str(ended)
    assert len(str(ended)) < 1000


def test_code_for_an_unfit_address() -> None:
    """An address that a code is not sent to is cut in the message."""
    with Homeserver("https://example.org") as homeserver, pytest.raises(ServerProtocolError) as caught:
        homeserver.submit_token("http://" + "a." * 2000 + "org/", "the-sid", "a-secret", "123456")

    assert len(str(caught.value)) < 1000
