"""The fallback pages of the scripted homeserver, in a real browser: they tell who opened them, as a homeserver's do."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By

from interactive_auth import Homeserver
from interactive_auth.testing import Quirks, UIAServer

from .conftest import PATIENCE, Person


@pytest.mark.parametrize("stage", ["m.login.sso", "com.example.magic"])
def test_the_button_ends_the_wait(uia_server: UIAServer, person: Person, stage: str) -> None:
    """The page's message has the loop go on at once: no poll could have found out in that time."""
    uia_server.flows = [[stage]]
    uia_server.quirks = Quirks()  # of no homeserver in particular, which has a page for every stage
    steps = {stage: lambda chromium: chromium.find_element(By.ID, "do").click()}

    with Homeserver(uia_server.base_url) as homeserver:
        callback = person.callback(homeserver, steps)
        account = homeserver.register("alice").authenticate(
            {"*": callback}, poll_interval=10 * PATIENCE, poll_timeout=PATIENCE
        )

    assert account["user_id"] == "@alice:example.org"
    assert [auth and auth.keys() for auth in uia_server.auths] == [None, {"session"}]
    for step in person.done:
        step.result(PATIENCE)
