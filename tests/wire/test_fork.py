"""A process that was forked opens connections of its own, so that nobody reads the answers to somebody else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from interactive_auth import Homeserver

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # Of the server's threads, of which the child uses none.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def fork(homeserver: Homeserver, times: int) -> int:
    """Send so many requests from another process, and return its id; it ends with the number of wrong answers."""
    child = os.fork()
    if child:
        return child
    try:
        wrong = times
        request = homeserver.uia_request("POST", f"/of/{os.getpid()}")
        for _ in range(times):
            wrong -= request(None) == {"path": f"/of/{os.getpid()}"}
        os._exit(wrong)
    finally:  # the tests of the parent must not go on here
        os._exit(99)


def test_forked_processes(server: WireServer) -> None:
    """Parent and children send at the same time, and each is given its own answers."""

    def script(exchange: Exchange) -> None:
        exchange.server.closing.wait(0.01)
        exchange.reply(200, b'{"path": "%s"}' % exchange.path.encode(), {})

    server.script = script
    with Homeserver(server.base_url, timeout=5.0) as homeserver:
        request = homeserver.uia_request("POST", "/of/parent")
        request(None)

        children = [fork(homeserver, 10) for _ in range(3)]
        answers = [request(None) for _ in range(10)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    assert answers == [{"path": "/of/parent"}] * 10
    assert ends == [0, 0, 0]
    assert len(server.connections) == 4
