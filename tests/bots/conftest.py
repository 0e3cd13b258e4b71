"""What the tests of the bots share: a Synapse, an account with a stale device, its owner, and a wire with faults."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bot_stage
import pytest
import requests
from _common import API
from support.accounts import Person, devices_of
from throwaway_synapse import Synapse, throwaway_synapse

#: Seconds; longer than anything takes that works, so that what hangs fails.
PATIENCE = 60.0


class Account:
    """The bot's account, and what the homeserver knows of it.

    Attributes:
        user_id: its user id.
        access_token: of the device that the bot is.
        file: where the bot reads its secrets.
    """

    def __init__(self, synapse: Synapse, name: str, folder: Path) -> None:
        self.file = folder / "bot.json"
        login = bot_stage.add_bot(synapse, name, self.file)
        self.user_id: str = login["user_id"]
        self.access_token: str = login["access_token"]
        self._own: str = login["device_id"]
        self._synapse = synapse
        self.first_keys = self.keys()

    def write(self, **secrets: str) -> None:
        """Put secrets in the place of those in the file."""
        self.file.write_text(json.dumps(secrets))

    def password(self) -> str:
        """Return the password that the file has."""
        return str(json.loads(self.file.read_text())["password"])

    def stale_devices(self) -> list[str]:
        """Return the devices, but for the bot's own, which must be there."""
        devices = devices_of(self._synapse, self.user_id)
        devices.remove(self._own)
        return devices

    def keys(self) -> dict[str, Any]:
        """Return the cross-signing keys that others get of this account."""
        body = {"device_keys": {self.user_id: []}}
        found = self._synapse.call("POST", f"{API}/keys/query", body, access_token=self.access_token)
        return {kind: found.get(f"{kind}s", {}).get(self.user_id) for kind in ("master_key", "self_signing_key")}


class Owner(bot_stage.Person):
    """The bot's owner, who remembers what the bot said."""

    def __init__(self, synapse: Synapse, name: str) -> None:
        super().__init__(synapse, name)
        self.room_id = ""
        self.heard: list[str] = []

    def wait_for(self, words: str) -> str:
        """Return the next thing that the bot says with these words in it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            new = list(self.hear(1000))
            self.heard += [text for _, _, text in new]
            for room_id, _, text in new:
                if words in text:
                    self.room_id = room_id
                    return text
        raise AssertionError(f"{words!r} was not said, but {self.heard}")

    def tell(self, text: str) -> None:
        """Answer the bot."""
        self.say(self.room_id, text)


class Wire:
    """What lies between a bot and its homeserver, and fails when the test says so.

    Attributes:
        base_url: the address that stands for the homeserver's.
        faults: for each of the next requests with ``failing`` in its path, a status, or None to break the connection.
        failed: the faults so far.
    """

    failing = "/delete_devices"

    def __init__(self, target: str) -> None:
        self.faults: list[int | None] = []
        self.failed: list[int | None] = []
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if wire.failing in self.path and wire.faults:
                    wire.failed.append(wire.faults.pop(0))
                    self.close_connection = True
                    if wire.failed[-1] is not None:
                        self._reply(wire.failed[-1], b"Bad Gateway")
                    return
                headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if self.headers[name]}
                # A bot that is gone, or a homeserver that is, end what was on its way.
                with suppress(requests.RequestException, OSError):
                    answer = requests.request(
                        self.command, target + self.path, data=body, headers=headers, timeout=PATIENCE
                    )
                    self._reply(answer.status_code, answer.content)

            do_GET = do_POST = do_PUT = do  # noqa: N815 (the names are http.server's)

            def _reply(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """A Synapse for all bots."""
    with throwaway_synapse({"rc_message": {"per_second": 1000, "burst_count": 1000}}) as running:
        yield running


@pytest.fixture(params=["nio_bot", "mautrix_bot"])
def program(request: pytest.FixtureRequest) -> str:
    """The name of each bot in turn."""
    name: str = request.param
    return name


@pytest.fixture
def account(synapse: Synapse, new: Person, tmp_path: Path) -> Account:
    """The account of a bot."""
    return Account(synapse, f"{new.name}bot", tmp_path)


@pytest.fixture
def owner(synapse: Synapse, new: Person) -> Owner:
    """The owner of a bot."""
    return Owner(synapse, f"{new.name}owner")


@pytest.fixture
def wire(synapse: Synapse) -> Iterator[Wire]:
    """A wire to the homeserver."""
    wire = Wire(synapse.base_url)
    thread = threading.Thread(target=wire.server.serve_forever, args=(0.01,))
    thread.start()
    yield wire
    wire.server.shutdown()
    thread.join()
    wire.server.server_close()


@pytest.fixture
def start(program: str, synapse: Synapse, account: Account, owner: Owner) -> Iterator[Callable[..., Future[None]]]:
    """Run the bot in an event loop of its own, in another thread; a bot that is still there is cancelled."""
    module = importlib.import_module(program)
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    executor = ThreadPoolExecutor(1)
    runs: list[Future[None]] = []

    async def run(base_url: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append((asyncio.get_running_loop(), task))
        await module.run_bot(base_url, owner.user_id, account.file)

    def begin(base_url: str = synapse.base_url) -> Future[None]:
        work: Coroutine[Any, Any, None] = run(base_url)
        runs.append(executor.submit(asyncio.run, work))
        return runs[-1]

    yield begin
    for future, (loop, task) in zip(runs, tasks, strict=True):
        if not future.done():
            loop.call_soon_threadsafe(task.cancel)
    executor.shutdown()
    for thread in threading.enumerate():
        if thread.name == "attempt_auth":
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread
