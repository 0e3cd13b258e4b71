"""What the bots of these examples stand on: their arguments, and a Synapse where their owner is played.

What must not be here: any bot, and anything about authentication.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from _common import API, NotDoneError, arguments, heeded, run, say, throwaway
from cross_signing import cross_signing_keys
from throwaway_synapse import Synapse

#: Takes the homeserver's address, the owner's user id, and the file with the bot's secrets.
RunBot = Callable[[str, str, Path], Coroutine[Any, Any, None]]


def read_secret(file: Path, name: str) -> str:
    """Return one of the bot's secrets, as the file has it now.

    Raises:
        ValueError: it has no such secret.
        OSError: it cannot be read.
    """
    content = json.loads(file.read_text())
    secret = content.get(name) if isinstance(content, dict) else None
    if not isinstance(secret, str):
        raise ValueError(f"{file.name} has no {name}")
    return secret


async def until_first(*work: Awaitable[None]) -> None:
    """Run all of these until the first one ends, and see it end well."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def until_stopped(work: Awaitable[None]) -> None:
    """Cancel this when somebody stops the program, where a KeyboardInterrupt might hit any of the client's tasks."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    cancel = task.cancel
    before = {stop: signal.signal(stop, lambda *_: loop.call_soon_threadsafe(cancel)) for stop in heeded()}
    try:
        await work
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)


class Person:
    """Somebody in a chat of a throwaway Synapse; goes into every room that the invitation is to.

    Attributes:
        user_id: who it is.
    """

    def __init__(self, synapse: Synapse, username: str) -> None:
        account = synapse.add_user(username, secrets.token_urlsafe())
        self.user_id: str = account["user_id"]
        self._call = partial(synapse.call, access_token=account["access_token"])
        self._since: str = self._call("GET", f"{API}/sync")["next_batch"]

    def hear(self, milliseconds: int = 200) -> Iterator[tuple[str, str, str]]:
        """Yield the room, the sender and the text of what others have said since the last call, or say soon."""
        answer = self._call("GET", f"{API}/sync?timeout={milliseconds}&since={quote(self._since)}")
        self._since = answer["next_batch"]
        rooms = answer.get("rooms", {})
        for room_id in rooms.get("invite", {}):
            self.join(room_id)
        for room_id, room in rooms.get("join", {}).items():
            for event in room["timeline"]["events"]:
                if event["type"] == "m.room.message" and event["sender"] != self.user_id:
                    yield room_id, event["sender"], event["content"]["body"]

    def make_room(self, *others: str) -> str:
        """Make a room, invite others, and return its id."""
        room_id: str = self._call("POST", f"{API}/createRoom", {"invite": others})["room_id"]
        return room_id

    def invite(self, room_id: str, user_id: str) -> None:
        """Invite somebody."""
        self._call("POST", f"{API}/rooms/{quote(room_id)}/invite", {"user_id": user_id})

    def join(self, room_id: str) -> None:
        """Go into a room."""
        self._call("POST", f"{API}/rooms/{quote(room_id)}/join", {})

    def say(self, room_id: str, text: str) -> None:
        """Write into a room."""
        path = f"{API}/rooms/{quote(room_id)}/send/m.room.message/{secrets.token_hex()}"
        self._call("PUT", path, {"msgtype": "m.text", "body": text})


def play_owner(owner: Person, over: threading.Event) -> None:
    """Approve of whatever is asked, until it is over."""
    while not over.is_set():
        for room_id, _, text in owner.hear():
            if "!approve" in text:
                say("owner: !approve")
                owner.say(room_id, "!approve")


def add_bot(synapse: Synapse, username: str, file: Path) -> dict[str, Any]:
    """Make an account with a stale device and with cross-signing keys that are lost, and return the bot's login.

    The homeserver wants authentication for keys only if there are others already.
    """
    password = secrets.token_urlsafe()
    stale = synapse.add_user(username, password)
    lost = cross_signing_keys(stale["user_id"], file.with_name(f"{file.name}.lost"))
    synapse.call("POST", f"{API}/keys/device_signing/upload", lost, access_token=stale["access_token"])
    user = {"type": "m.id.user", "user": username}
    login = {"type": "m.login.password", "identifier": user, "password": password}
    account = synapse.call("POST", f"{API}/login", login)
    file.write_text(json.dumps({"access_token": account["access_token"], "password": password}))
    return account


async def among_played(run_bot: RunBot, synapse: Synapse, file: Path) -> None:
    """Run the bot among accounts made for this."""
    add_bot(synapse, "bot", file)
    owner = Person(synapse, "owner")
    over = threading.Event()
    try:
        await until_first(run_bot(synapse.base_url, owner.user_id, file), asyncio.to_thread(play_owner, owner, over))
    finally:
        over.set()


def main(doc: str | None, run_bot: RunBot, *errors: type[Exception]) -> None:
    """Run a bot as a program.

    Args:
        doc: the docstring that it begins with.
        run_bot: the bot.
        errors: what its client library raises, to be told in one line.
    """

    def finish(work: Coroutine[Any, Any, None]) -> str:
        try:
            asyncio.run(until_stopped(work))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        except errors as error:
            raise NotDoneError(str(error) or type(error).__name__) from None
        return "The bot's other devices are logged out, and its cross-signing is set up"

    def on_throwaway_synapse(options: argparse.Namespace) -> str:
        with throwaway() as (synapse, _), tempfile.TemporaryDirectory() as folder:
            return finish(among_played(run_bot, synapse, Path(folder) / "bot.json"))

    def on_homeserver(options: argparse.Namespace) -> str:
        if not (options.owner and options.file):
            parser.error("with --homeserver, --owner and the file are needed")
        say(f"The bot invites {options.owner} to a chat, asks there for approval, and ends when its work is done")
        return finish(run_bot(options.homeserver, options.owner, options.file))

    parser = arguments(doc)
    parser.add_argument("--owner", metavar="USER_ID", help="who has to approve")
    parser.add_argument("file", nargs="?", type=Path, help="the bot's access token and password, in JSON")
    run(parser, on_throwaway_synapse, on_homeserver)
