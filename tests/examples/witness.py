"""A proxy before a homeserver that notes when each request was under way; each takes a while, on the way and back.

What must not be here: what should have happened, which is the tests' affair.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

T = TypeVar("T")

#: Seconds, longer than anything takes that works, so that what hangs fails.
PATIENCE = 60.0
#: Seconds that a request takes on the way at most, and its answer on the way back.
SLOWNESS = 0.15


@dataclass
class Seen:
    """A request.

    Attributes:
        path: its path.
        body: its body.
        port: its client's.
        begun: when it came.
        ended: when its answer had gone back, or its client had gone.
        status: of the answer that went back; None if the client had gone.
    """

    path: str
    body: dict[str, Any]
    port: int
    begun: float
    ended: float = math.inf
    status: int | None = None

    @property
    def session(self) -> str | None:
        """The UIA session that it named."""
        session: str | None = (self.body.get("auth") or {}).get("session")
        return session


class Witness:
    """The proxy; made by ``witness``.

    Attributes:
        base_url: its address.
        seen: the requests so far, in order.
    """

    base_url: str

    def __init__(self, upstream: str, draw: random.Random) -> None:
        self.seen: list[Seen] = []
        self._upstream = upstream
        self._draw = draw
        self._forwarded: set[asyncio.Task[tuple[int, bytes]]] = set()

    def ports(self) -> set[int]:
        """Return the ports of the clients that wait for an answer."""
        return {seen.port for seen in list(self.seen) if seen.ended == math.inf}

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._client = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, handler_cancellation=True)  # it is told at once when a client has gone
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0]
        self.base_url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        await asyncio.gather(*self._forwarded)
        await self._runner.cleanup()
        await self._client.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        assert request.transport is not None
        port = request.transport.get_extra_info("peername")[1]
        seen = Seen(request.path, json.loads(content) if content else {}, port, time.monotonic())
        self.seen.append(seen)
        # What a client has sent arrives, even if the client is killed meanwhile.
        forwarded = asyncio.create_task(self._forward(request.method, request.path_qs, content))
        self._forwarded.add(forwarded)
        try:
            status, answer = await asyncio.shield(forwarded)
            await asyncio.sleep(self._draw.uniform(0, SLOWNESS))
            response = web.Response(status=status, body=answer, content_type="application/json")
            await response.prepare(request)
            await response.write_eof()
            seen.status = status
            return response
        finally:
            seen.ended = time.monotonic()

    async def _forward(self, method: str, path: str, content: bytes) -> tuple[int, bytes]:
        await asyncio.sleep(self._draw.uniform(0, SLOWNESS))
        headers = {"Content-Type": "application/json"}
        async with self._client.request(method, self._upstream + path, data=content, headers=headers) as response:
            return response.status, await response.read()


@contextmanager
def witness(upstream: str, draw: random.Random) -> Iterator[Witness]:
    """Run a proxy to a homeserver."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)

    proxy = Witness(upstream, draw)
    try:
        run(proxy.start())
        try:
            yield proxy
        finally:
            run(proxy.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
