"""What other homeservers really answer, played by a local server: what reaches the caller, and what was sent for it.

Each row of the tables is a test; what Synapse answers is tested against Synapse, save for what it does rarely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from support.wire import Reply, Wire

from interactive_auth import Homeserver, InteractiveAuthError, Stage, StartAuthStage

from . import conduwuit, continuwuity, dendrite, palpo, synapse, tuwunel
from .conftest import TurnedClock
from .recorded import ABSENT, CLIENT_SECRET, Auth, Row

TABLES = {
    "dendrite": dendrite.ROWS,
    "conduwuit": conduwuit.ROWS,
    "continuwuity": continuwuity.ROWS,
    "tuwunel": tuwunel.ROWS,
    "palpo": palpo.ROWS,
    "synapse": synapse.ROWS,
}
IDS = {f"{server}-{row.name}".replace(" ", "-"): row for server, rows in TABLES.items() for row in rows}
ROWS = [pytest.param(row, id=name) for name, row in IDS.items()]

Asked = list[tuple[str, int, str | None]]


def make_callbacks(answers: Mapping[str, tuple[Auth | None, ...]], asked: Asked) -> dict[str, StartAuthStage]:
    """Make callbacks that return the answers of a row one by one, and note what they were told."""

    def make(left: Iterator[Auth | None]) -> StartAuthStage:
        def callback(stage: Stage) -> Auth | None:
            asked.append((stage.type, stage.attempt, None if stage.error is None else stage.error.errcode))
            return next(left)

        return callback

    return {stage: make(iter(left)) for stage, left in answers.items()}


def run(row: Row, wire: Wire, asked: Asked) -> Any:
    """Drive a row's request, and return the response or the error."""
    with Homeserver(wire.base_url, access_token="an-access-token") as homeserver:
        options = {"client_secret": CLIENT_SECRET, **row.options}
        try:
            return row.request(homeserver).authenticate(make_callbacks(row.answers, asked), **options)
        except InteractiveAuthError as raised:
            return raised


@pytest.mark.parametrize("row", ROWS)
def test_recorded_answers(row: Row, play: Callable[[tuple[Reply, ...]], Wire], clock: TurnedClock) -> None:
    """A server's recorded answers lead the caller to the response, or to the error that says what happened."""
    wire, asked = play(row.replies), Asked()

    outcome = run(row, wire, asked)

    bodies = [dict(sent.body) for sent in wire.sent]
    auths = tuple(body.pop("auth", ABSENT) for body in bodies)
    assert auths == row.sent
    # What is absent must be absent: some servers refuse an auth that is null or empty, and one answers it with a 500.
    assert None not in auths
    assert {} not in auths
    assert bodies == [bodies[0]] * len(bodies)
    assert {(sent.method, sent.path) for sent in wire.sent} == {(wire.sent[0].method, wire.sent[0].path)}
    assert tuple(asked) == row.asked
    if row.raises is None:
        assert outcome == row.replies[-1].body
    else:
        assert type(outcome) is row.raises
        assert {name: getattr(outcome, name) for name in row.says} == row.says
        assert {name: getattr(outcome.__cause__, name) for name in row.cause} == row.cause
    if row.waited is not None:
        assert tuple(round(seconds, 6) for seconds in clock.waits) == row.waited
