"""The website of a server name, whose port is 443, on a port that a test may have."""

from __future__ import annotations

from typing import Any

import pytest
from urllib3.util import connection


def stand_at_443(monkeypatch: pytest.MonkeyPatch, base_url: str) -> str:
    """Lead what is sent to any host to this machine, and there from port 443 to a server of the test's own.

    Args:
        monkeypatch: undoes it after the test.
        base_url: the server's address.

    Returns:
        The server name that has it for a website; its port is another one.
    """
    port = int(base_url.rpartition(":")[2])
    connect = connection.create_connection

    def redirected(address: tuple[str, int], *arguments: Any, **named: Any) -> Any:
        return connect(("127.0.0.1", port if address[1] == 443 else address[1]), *arguments, **named)

    monkeypatch.setattr(connection, "create_connection", redirected)
    return base_url.removeprefix("https://")
