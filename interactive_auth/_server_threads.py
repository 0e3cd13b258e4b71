"""The threads of a server on this machine, one a connection: no program waits for them, and no server loses them.

What must not be here: what is served.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from typing import Any


class ServerThreads(ThreadingMixIn, TCPServer):
    """A server that takes its open connections with it; browsers open some that they never use.

    The standard library would either let an open connection keep the program from ending, or close the server without
    waiting for the threads.
    """

    #: What the threads are called.
    thread_name: str | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        self._connections: set[socket.socket] = set()
        self._exchanges: list[threading.Thread] = []
        super().__init__(*args, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        arguments = (request, client_address)
        exchange = threading.Thread(
            target=self.process_request_thread, args=arguments, name=self.thread_name, daemon=True
        )
        exchange.start()
        self._exchanges = [*filter(threading.Thread.is_alive, self._exchanges), exchange]

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Hang up on everybody who is still connected, and wait for the threads."""
        for connection in self._connections.copy():
            with suppress(OSError):  # the other side was quicker
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()
        for exchange in self._exchanges:
            exchange.join()
