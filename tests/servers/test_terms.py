"""The terms of service as other homeservers write them, which is not always as the specification does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.wire import Reply, Wire

from interactive_auth import Homeserver, ServerProtocolError, handlers

from .recorded import REGISTERED, challenge, typed

_URL = "https://example.org/privacy"
_DOCUMENT = {"name": "Privacy Policy", "url": _URL}
#: Continuwuity puts a version beside the documents, and none into them.
_CONTINUWUITY = {"version": "latest", "privacy_policy": {"en": _DOCUMENT}}
_SPECIFIED = {"privacy_policy": {"version": "1.2", "en": _DOCUMENT, "pt-BR": {"name": "Privacidade", "url": _URL}}}
_JUNK = {"other": 5, "empty": {}, "unsafe": {"en": {"name": "Files", "url": "file:///etc/passwd"}}}

POLICY = handlers.Policy("privacy_policy", None, "Privacy Policy", _URL, "en")


@pytest.mark.parametrize(
    ("params", "policies"),
    [
        ({"m.login.terms": {"policies": _CONTINUWUITY}}, [POLICY]),
        ({"m.login.terms": {"policies": _SPECIFIED}}, [POLICY._replace(version="1.2")]),
    ],
    ids=["stray-version", "as-specified"],
)
def test_policies(
    play: Callable[[tuple[Reply, ...]], Wire],
    params: dict[str, Any],
    policies: list[handlers.Policy],
) -> None:
    """All policies are shown, and the acceptance is sent."""
    wire, shown = play((challenge("m.login.terms", params=params), REGISTERED)), []

    def accept(found: list[handlers.Policy]) -> bool:
        shown.append(found)
        return True

    with Homeserver(wire.base_url) as homeserver:
        response = homeserver.register("alice", "a password").authenticate({"m.login.terms": handlers.terms(accept)})

    assert response == REGISTERED.body
    assert shown == [policies]
    assert wire.sent[-1].body["auth"] == typed("m.login.terms")


@pytest.mark.parametrize(
    "params",
    [
        *({"m.login.terms": {"policies": {**_CONTINUWUITY, name: junk}}} for name, junk in _JUNK.items()),
        {"m.login.terms": {"policies": None}},
        {"m.login.terms": None},
        None,
    ],
    ids=[*_JUNK, "policies-null", "stage-null", "params-null"],
)
def test_policies_that_cannot_be_shown(
    play: Callable[[tuple[Reply, ...]], Wire], params: dict[str, Any] | None
) -> None:
    """Nobody is asked to accept what they are not shown, and nothing is accepted."""
    wire, shown = play((challenge("m.login.terms", params=params), REGISTERED)), []
    stages = {"m.login.terms": handlers.terms(lambda policies: shown.append(policies) or True)}

    with Homeserver(wire.base_url) as homeserver, pytest.raises(ServerProtocolError, match="nobody accepts unseen"):
        homeserver.register("alice", "a password").authenticate(stages)

    assert shown == []
    assert len(wire.sent) == 1
