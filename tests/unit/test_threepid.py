"""An email address or phone number and its validation: what a token request's answer changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interactive_auth import AuthType, ServerProtocolError
from interactive_auth._engine.threepid import Threepid


@pytest.fixture
def phone() -> Threepid:
    """Return a phone number for which nothing was requested yet."""
    return Threepid(AuthType.MSISDN, ("GB", "07700900001"), None, None)


def test_accept_takes_over_the_sid(phone: Threepid) -> None:
    """A usable answer sets sid, address and submit_url, and counts."""
    phone.accept({"sid": "s1", "submit_url": "https://hs.example/submit"}, ("DE", "0301"))

    assert (phone.sid, phone.address, phone.send_attempt) == ("s1", ("DE", "0301"), 1)
    assert phone.submit_url == "https://hs.example/submit"


@pytest.mark.parametrize(
    "reply",
    [None, [], "s1", {}, {"sid": None}, {"sid": ""}, {"sid": 5}, {"SID": "s1"}],
    ids=repr,
)
def test_without_a_usable_sid(phone: Threepid, reply: Any) -> None:
    """An answer without a usable sid breaks the rules, and changes nothing."""
    with pytest.raises(ServerProtocolError, match=r"token request for m\.login\.msisdn has no usable sid"):
        phone.accept(reply, ("DE", "0301"))

    assert (phone.sid, phone.address, phone.send_attempt) == (None, ("GB", "07700900001"), 0)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://hs.example/x", True),
        ("http://hs.example/x", True),
        ("HTTPS://hs.example/x", True),
        pytest.param("https://hs.example/".ljust(8000, "x"), True, id="8000"),
        pytest.param("https://hs.example/".ljust(8001, "x"), False, id="8001"),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        (" https://hs.example/x", False),
        ("", False),
        (None, False),
        (["https://hs.example"], False),
    ],
    ids=repr,
)
def test_only_web_addresses_are_kept(phone: Threepid, value: Any, kept: bool) -> None:
    """A submit_url of another kind than http(s) counts as none."""
    phone.accept({"sid": "s1", "submit_url": value}, ("GB", "1"))

    assert phone.submit_url == (value if kept else None)


def test_a_second_answer_forgets_the_first_url(phone: Threepid) -> None:
    """The submit_url belongs to its own token request only."""
    phone.accept({"sid": "s1", "submit_url": "https://hs.example/x"}, ("GB", "1"))
    phone.accept({"sid": "s2"}, ("GB", "1"))

    assert (phone.sid, phone.submit_url, phone.send_attempt) == ("s2", None, 2)


def test_save_and_restore(phone: Threepid) -> None:
    """What is saved survives JSON, and is restored in another object."""
    phone.accept({"sid": "s1", "submit_url": "https://hs.example/x"}, ("GB", "1"))
    other = Threepid(AuthType.MSISDN, None, "s1", None)

    other.restore(json.loads(json.dumps(phone.save())))

    assert (other.send_attempt, other.submit_url) == (1, "https://hs.example/x")


@pytest.mark.parametrize(
    "saved",
    [None, [], "x", {}, {"send_attempt": "5"}, {"send_attempt": -1, "submit_url": "file:///x"}, {"send_attempt": None}],
    ids=repr,
)
def test_restoring_nonsense(phone: Threepid, saved: Any) -> None:
    """What was not saved by this library counts as nothing."""
    phone.restore(saved)

    assert (phone.send_attempt, phone.submit_url) == (0, None)


def test_auth_names_the_validation() -> None:
    """The auth dict has threepid_creds with sid and client secret, but no session."""
    email = Threepid(AuthType.EMAIL, ("a@example.org",), "s1", None)

    assert email.auth("secret") == {
        "type": "m.login.email.identity",
        "threepid_creds": {"sid": "s1", "client_secret": "secret"},
    }
