"""The recorded answers against the real homeservers: sent what was sent, they answer what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from support.accounts import Person, new_account
from support.keys import make_keys
from throwaway_services import MailServer
from throwaway_synapse import Synapse

from interactive_auth import Homeserver, MatrixError, UIARequest

from .conftest import Run
from .real import REAL, RealScene, Stand
from .recorded import ABSENT, Auth, Row, register, upload_keys
from .test_recorded_answers import TABLES

ROWS = {server: {row.name: row for row in TABLES[server]} for server in REAL}
COMPARED = [
    pytest.param(server, ROWS[server].get(name), scene, id=f"{server}-{name}".replace(" ", "-"))
    for server, scenes in REAL.items()
    for name, scene in scenes.items()
    if isinstance(scene, RealScene)
]


def stand_of(row: Row, server: Synapse, mails: MailServer, stack: ExitStack) -> Stand:
    """Make what a row wants to be there: accounts, or somebody who has none."""
    if row.request is register:
        return Stand.of_newcomer(server, mails, stack.enter_context(Homeserver(server.base_url)), Person())
    return Stand.of_account(mails, *(stack.enter_context(new_account(server)) for _ in range(2)))


def make_request(row: Row, stand: Stand, made: Callable[[Homeserver], UIARequest[Any]]) -> UIARequest[Any]:
    """Make a row's request, with names and keys that are taken there."""
    if row.request is register:
        return stand.homeserver.register(stand.names["alice"], "a password that nobody wants to know")
    if row.request is upload_keys:
        return stand.homeserver.upload_cross_signing_keys(
            **make_keys(f"@{stand.names['alice']}:{stand.server.server_name}")
        )
    return made(stand.homeserver)


@pytest.mark.parametrize(("name", "row", "scene"), COMPARED)
def test_recorded_answer(run: Run, mails: MailServer, name: str, row: Row, scene: RealScene) -> None:
    """What is recorded of a homeserver is what it answers."""
    with ExitStack() as stack:
        stand = stand_of(row, run(name, scene.kind), mails, stack)
        scene.before(stand)
        for number, sent in enumerate(row.sent):
            if number in scene.actions:
                scene.actions[number](stand)
            moved = scene.moved is not None and number < scene.moved[0]
            request = make_request(row, stand, scene.moved[1] if moved and scene.moved else row.request)

            status, told = send(request, None if sent == ABSENT else translated(stand, sent, scene, number))

            recorded = row.replies[number]
            assert (status, stand.recognize(told, recorded.body)) == (recorded.status, recorded.body)


def translated(stand: Stand, sent: Auth | str, scene: RealScene, number: int) -> Auth:
    """Return what is sent; before it is right, with another response to the captcha."""
    auth: Auth = stand.translate(sent)
    return {**auth, "response": "wrong"} if number < scene.right_from and "response" in auth else auth


def send(request: UIARequest[Any], auth: Auth | None) -> tuple[int, dict[str, Any]]:
    """Send one request, and return the answer."""
    try:
        return 200, dict(request(auth))
    except MatrixError as error:
        return error.http_status, dict(error.data)


def test_every_row_is_compared_or_says_why_not() -> None:
    """No recorded answer of a homeserver that can be run is forgotten."""
    assert {server: set(scenes) for server, scenes in REAL.items()} == {
        server: {row.name for row in TABLES[server]} for server in REAL
    }
    assert len(COMPARED) >= 25
