"""What many sign-ups in one process leave behind: nothing."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.accounts import Person
from throwaway_synapse import Synapse

import interactive_auth
from interactive_auth import Homeserver, MatrixError

#: What the library may hold more after the 200th sign-up than after the 50th; an object kept for each is far more.
MAY_GROW = 10_000


@pytest.fixture
def library_memory() -> Iterator[Memory]:
    """The memory that the library has allocated and still holds."""
    tracemalloc.start()
    yield Memory()
    tracemalloc.stop()


class Memory:
    """Reads what tracemalloc has traced."""

    def held(self) -> int:
        """Return the bytes held."""
        gc.collect()
        by_library = tracemalloc.Filter(True, str(Path(interactive_auth.__file__).parent / "*"))
        snapshot = tracemalloc.take_snapshot().filter_traces([by_library])
        return sum(statistic.size for statistic in snapshot.statistics("filename"))


def open_sockets() -> set[Any]:
    """Return the addresses of this process's sockets; those of before may be closed meanwhile from their other end."""
    return {socket.laddr for socket in psutil.Process().net_connections("inet")}


def test_200_sign_ups_leave_no_socket_thread_or_memory_behind(
    open_server: Synapse, new: Person, library_memory: Memory
) -> None:
    """After 200 sign-ups the process has the sockets and threads of before, and no more memory than after 50."""
    gc.collect()
    before, threads = open_sockets(), threading.enumerate()

    with Homeserver(open_server.base_url) as homeserver:
        for number in range(50):
            homeserver.register(f"{new.name}-{number}", "secret").authenticate({})
        after_50, connected = library_memory.held(), open_sockets() - before
        for number in range(50, 200):
            homeserver.register(f"{new.name}-{number}", "secret").authenticate({})
        after_200, still_connected = library_memory.held(), open_sockets() - before
    gc.collect()
    left = open_sockets()

    assert open_server.admin("GET", f"/_synapse/admin/v2/users?name={new.name}-&limit=1")["total"] == 200
    assert after_50 > 0
    assert after_200 - after_50 < MAY_GROW
    assert len(still_connected) == len(connected) == 1
    assert left <= before
    assert threading.enumerate() == threads


def test_a_closed_homeserver_has_no_socket_open(open_server: Synapse, new: Person) -> None:
    """Leaving the with block closes the connections at once, even while an error of theirs is held."""
    gc.collect()
    before = open_sockets()

    with Homeserver(open_server.base_url) as homeserver, pytest.raises(MatrixError) as refused:
        homeserver.register(new.name, "secret")(None)
    left = open_sockets()

    assert refused.value.http_status == 401
    assert left <= before
