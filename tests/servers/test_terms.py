"""The terms of service as other homeservers write them, which is not always as the specification does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.wire import Reply, Wire

from interactive_auth import Homeserver, handlers

from .recorded import REGISTERED, challenge, typed

_URL = "https://example.org/privacy"
_DOCUMENT = {"name": "Privacy Policy", "url": _URL}
#: Continuwuity puts a version beside the documents, and none into them.
_CONTINUWUITY = {"version": "latest", "privacy_policy": {"en": _DOCUMENT}}
_SPECIFIED = {"privacy_policy": {"version": "1.2", "en": _DOCUMENT, "pt-BR": {"name": "Privacidade", "url": _URL}}}
_JUNK = {"version": None, "other": 5, "empty": {}, "unsafe": {"en": {"name": "Files", "url": "file:///etc/passwd"}}}

POLICY = handlers.Policy("privacy_policy", None, "Privacy Policy", _URL, "en")


@pytest.mark.parametrize(
    ("params", "policies"),
    [
        ({"m.login.terms": {"policies": _CONTINUWUITY}}, [POLICY]),
        ({"m.login.terms": {"policies": _SPECIFIED}}, [POLICY._replace(version="1.2")]),
        ({"m.login.terms": {"policies": {**_JUNK, **_CONTINUWUITY}}}, [POLICY]),
        ({"m.login.terms": {"policies": None}}, []),
        ({"m.login.terms": None}, []),
        (None, []),
    ],
    ids=["stray-version", "as-specified", "junk-beside", "policies-null", "stage-null", "params-null"],
)
def test_policies(
    play: Callable[[tuple[Reply, ...]], Wire],
    params: dict[str, Any] | None,
    policies: list[handlers.Policy],
) -> None:
    """Whatever is a policy is shown, whatever is none does no harm, and the acceptance is sent."""
    wire, shown = play((challenge("m.login.terms", params=params), REGISTERED)), []

    def accept(found: list[handlers.Policy]) -> bool:
        shown.append(found)
        return True

    with Homeserver(wire.base_url) as homeserver:
        response = homeserver.register("alice", "a password").authenticate({"m.login.terms": handlers.terms(accept)})

    assert response == REGISTERED.body
    assert shown == [policies]
    assert wire.sent[-1].body["auth"] == typed("m.login.terms")
