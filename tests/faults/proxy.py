"""A TCP proxy on this machine that does to each HTTP exchange what a plan says.

It runs in a thread of its own. What must not be here: which faults there are, and when (``kinds``).
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from .kinds import Act, Fault

T = TypeVar("T")

#: Seconds, longer than anything takes that works, so that what hangs fails.
PATIENCE = 60.0
_LAST_CHUNK = b"0\r\n\r\n"
#: Makes closing a socket send a reset.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Exchange:
    """A request that a client has sent, or could not send.

    Attributes:
        fault: what happened to it, None if the server's answer came back.
        asked: method and path, empty for a connection that was refused.
        session: the UIA session that it named.
        status: the status of the server's answer, None if the server has not got the request.
    """

    fault: Fault | None
    asked: str = ""
    session: str | None = None
    status: int | None = None


class Proxy:
    """The proxy; made by ``faulty_proxy``.

    Attributes:
        base_url: its address.
        exchanges: what went through it so far, in order.
        plan: says what happens to the next exchange; may be replaced between two exchanges by ``follow``.
    """

    def __init__(self, upstream: int, draw: random.Random) -> None:
        self.exchanges: list[Exchange] = []
        self._upstream = upstream
        self._draw = draw
        self._plan: Callable[[], Fault | None] = lambda: None
        self._next: Fault | None = None
        self._server: asyncio.Server | None = None
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))  # bound and not listening, so that nobody takes it while it refuses
        self._port = self._held.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self._port}"
        self._loop = asyncio.new_event_loop()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._abandoned: list[asyncio.Task[bytes]] = []
        self._thread = threading.Thread(target=self._loop.run_forever)

    def follow(self, plan: Callable[[], Fault | None]) -> None:
        """Do as this plan says from the next exchange on."""
        self._plan = plan
        self._run(self._arm())

    def note_refusal(self) -> None:
        """Go on after a connection was refused, which nobody but the client can see; otherwise do nothing."""
        if self._server is None:
            self.exchanges.append(Exchange(self._next))
            self._run(self._arm())

    def start(self) -> None:
        self._thread.start()
        self._run(self._arm())

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        self._held.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _arm(self) -> None:
        """Decide about the next exchange; whether its connection is refused has to be known before it comes."""
        self._next = self._plan()
        refuses = self._next is not None and self._next.act is Act.REFUSE
        if refuses and self._server is not None:
            self._server.close()
            self._server = None
        elif not refuses and self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, reuse_address=True)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections, *self._abandoned)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone, as it may
        finally:
            del self._connections[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass on a request and its answer, or do what was decided; return whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        fault = self._next
        reset_unread = fault is not None and fault.act is Act.RESET and not fault.handled
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length and not reset_unread else b""
        handled = fault is None or fault.handled
        if fault is not None and fault.act is Act.ABANDON:
            self._abandoned.append(asyncio.create_task(self._ask_server(head, body)))
        answer = await self._ask_server(head, body) if handled else b""
        auth = json.loads(body).get("auth") if body else None
        asked = b" ".join(head.split(b" ", 2)[:2]).decode()
        status = int(answer.split(b" ", 2)[1]) if handled else None
        self.exchanges.append(Exchange(fault, asked, (auth or {}).get("session"), status))
        await self._arm()
        goes_on = self._server is not None
        if fault is not None and fault.act is Act.ANSWER:
            lines = [f"HTTP/1.1 {fault.status} Injected", f"Content-Length: {len(fault.body)}"]
            lines += [f"{name}: {value}" for name, value in fault.headers().items()]
            answer = "\r\n".join([*lines, "", ""]).encode() + fault.body
        if fault is None or fault.act is Act.ANSWER:
            # Told beforehand that the connection ends, the client does not run into its end with the next request.
            writer.write(answer if goes_on else answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            await writer.drain()
            return goes_on
        await self._fail(fault.act, answer, reader, writer)
        return False

    async def _ask_server(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            writer.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body)
            answer = await reader.read()
        finally:
            writer.close()
        return re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", answer, count=1)

    async def _fail(self, act: Act, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if act in (Act.RESET, Act.ABANDON):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            return
        body_at = answer.find(b"\r\n\r\n") + 4
        if act is Act.CUT_HEAD:
            writer.write(answer[: self._draw.randrange(1, body_at - 2)])
        elif act is Act.CUT_BODY:
            # Before the last chunk, which says only that this was all: without it the answer would still be whole.
            writer.write(answer[: self._draw.randrange(body_at, max(body_at + 1, len(answer) - len(_LAST_CHUNK)))])
        else:
            if act is Act.STALL_HALFWAY:
                writer.write(answer[: len(answer) // 2])
            await asyncio.wait_for(reader.read(), PATIENCE)  # until the client has had enough


@contextmanager
def faulty_proxy(upstream: int, draw: random.Random) -> Iterator[Proxy]:
    """Run a proxy to a port of this machine; it lets everything through until it is told what to follow."""
    proxy = Proxy(upstream, draw)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
