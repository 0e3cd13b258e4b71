"""A keep-alive HTTP server that plays one three-stage sign-up, decided from each request's body alone.

Run as a program it prints its port and serves until its standard input is closed. Meant to cost next to nothing, so
that what is measured is the client.
"""

from __future__ import annotations

import asyncio
import json
import sys

STAGES = ("m.login.registration_token", "m.login.terms", "m.login.dummy")
USER_ID = "@alice:example.org"


def _response(status: str, body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _challenge(completed: tuple[str, ...]) -> bytes:
    policy = {"version": "1.0", "en": {"name": "Terms", "url": "https://example.org/terms"}}
    return _response(
        "401 Unauthorized",
        {
            "session": "kbJtRsvUxLyqHcPzDgnWMaQe",
            "flows": [{"stages": list(STAGES)}],
            "params": {"m.login.terms": {"policies": {"privacy": policy}}},
            "completed": list(completed),
        },
    )


_REPLIES = {
    None: _challenge(()),
    STAGES[0]: _challenge(STAGES[:1]),
    STAGES[1]: _challenge(STAGES[:2]),
    STAGES[2]: _response("200 OK", {"user_id": USER_ID, "access_token": "syt_token", "device_id": "DEVICE"}),
}


class SignUp(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = 0
            for line in self._received[:end].split(b"\r\n"):
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            if len(self._received) < end + 4 + length:
                return
            body = json.loads(self._received[end + 4 : end + 4 + length])
            self._received = self._received[end + 4 + length :]
            self._transport.write(_REPLIES[body.get("auth", {}).get("type")])


async def serve() -> None:
    """Serve until standard input is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(SignUp, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
