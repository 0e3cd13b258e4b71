"""The scripted homeserver against the recorded answers: sent the same, it answers the same, whomever it plays."""

from __future__ import annotations

from typing import Any

import pytest

from interactive_auth import Homeserver, MatrixError, UIARequest
from interactive_auth.testing import UIAServer, homeservers

from .recorded import CLIENT_SECRET, REGISTERED, SESSION, SID, Auth, Row
from .recorded import EMAIL as ADDRESS
from .scenes import RIGHT, SCENES, Scene
from .test_recorded_answers import TABLES

ROWS = {server: {row.name: row for row in rows} for server, rows in TABLES.items()}
PLAYED = [
    pytest.param(server, ROWS[server].get(name), scene, id=f"{server}-{name}".replace(" ", "-"))
    for server, scenes in SCENES.items()
    for name, scene in scenes.items()
    if isinstance(scene, Scene)
]
Answered = tuple[int, dict[str, Any]]


class Play:
    """A row that is sent to the scripted homeserver, whose ids are exchanged for those of the row.

    Attributes:
        ids: what the homeserver calls what the row calls otherwise.
    """

    def __init__(self, homeserver: Homeserver) -> None:
        self.ids: dict[str, str] = {}
        self._homeserver = homeserver

    def send(self, request: UIARequest[Any], auth: Auth | str | None) -> Answered:
        """Send one request, and return the answer in the homeserver's own ids."""
        try:
            return 200, request(None if auth is None or isinstance(auth, str) else self._translate(auth))
        except MatrixError as error:
            return error.http_status, dict(error.data)

    def open(self, request: UIARequest[Any], before: tuple[Auth | None, ...]) -> None:
        """Do what comes before the row: the token request, and what makes its session known."""
        answer = self._homeserver.request_email_token("register", ADDRESS, CLIENT_SECRET)
        self.ids[SID] = answer["sid"]
        for auth in before:
            _, body = self.send(request, auth)
            self.ids[SESSION] = body["session"]

    def expect(self, recorded: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
        """Return a recorded body with the homeserver's own ids; a session that is met for the first time is any."""
        if "session" not in recorded or "session" not in answered:
            return recorded
        return {**recorded, "session": self.ids.setdefault(recorded["session"], answered["session"])}

    def _translate(self, auth: Auth) -> Auth:
        translated = dict(auth)
        if "session" in auth:
            translated["session"] = self.ids.get(auth["session"], auth["session"])
        if "threepid_creds" in auth:
            translated["threepid_creds"] = {**auth["threepid_creds"], "sid": self.ids[SID]}
        return translated


def prepare(server: UIAServer, row: Row) -> None:
    """Have the homeserver ask for what it asks for in a row."""
    challenges = [reply.body for reply in row.replies if reply.status == 401 and "flows" in reply.body]
    flows = challenges[0]["flows"] if challenges else [{"stages": ["m.login.password"]}]
    server.flows = [flow["stages"] for flow in flows]
    server.params = {**(challenges[0].get("params") or {})} if challenges else {}
    server.responses = {"/register": REGISTERED.body}


@pytest.mark.parametrize(("name", "row", "scene"), PLAYED)
def test_recorded_answer(uia_server: UIAServer, name: str, row: Row, scene: Scene) -> None:
    """What a homeserver was seen to answer is what the scripted one answers that plays it."""
    uia_server.quirks = homeservers[name]
    uia_server.answers = RIGHT
    prepare(uia_server, row)
    with Homeserver(uia_server.base_url, access_token="an-access-token") as homeserver:
        play = Play(homeserver)
        play.open(row.request(homeserver), scene.before)

        for number in range(scene.first, len(row.sent)):
            if number in scene.actions:
                scene.actions[number](uia_server)
            uia_server.answers = RIGHT if number >= scene.right_from else dict.fromkeys(RIGHT, lambda auth: False)
            moved = scene.moved is not None and number >= scene.moved[0]
            request = scene.moved[1](homeserver) if moved and scene.moved else row.request(homeserver)
            status, body = play.send(request, row.sent[number])

            recorded = row.replies[number]
            expected = play.expect(recorded.body, body)
            if recorded.status == 429:  # the words were not recorded of all
                body["error"] = expected["error"]
            assert (status, body) == (recorded.status, expected)


def test_every_row_is_a_scene_or_says_why_not() -> None:
    """No recorded answer is forgotten, and most are played."""
    assert {server: set(scenes) for server, scenes in SCENES.items()} == {
        server: set(rows) for server, rows in ROWS.items()
    }
    assert len(PLAYED) >= 50


def test_every_homeserver_is_known() -> None:
    """The homeservers whose answers were recorded are those that can be played."""
    assert set(homeservers) == set(TABLES)
