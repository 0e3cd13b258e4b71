"""A bot on matrix-nio that logs out its other devices and sets up cross-signing, when its owner approves in a chat.

python nio_bot.py                                       on a Synapse started for this, where the owner is played, too
python nio_bot.py --homeserver https://matrix.example.org --owner @me:example.org bot.json     on any other homeserver

bot.json is the bot's own {"access_token": "...", "password": "..."}. The owner says !approve, and the bot submits its
password, which it reads anew each time, so that a wrong one can be mended there. Nobody types it into the chat, where
each server and device of the room would keep it. The private cross-signing keys are kept in bot.json.keys.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import nio  # type: ignore[import-untyped]
from aiohttp import ClientError
from cross_signing import cross_signing_keys
from throwaway_synapse import Synapse, SynapseError, throwaway_synapse

from interactive_auth import InteractiveAuth, InteractiveAuthError, MatrixError, Stage, bots


def good(response: nio.Response) -> Any:
    """Raise the errors that nio returns."""
    if isinstance(response, nio.ErrorResponse):
        status = response.transport_response.status
        raise MatrixError(status, {"errcode": response.status_code, "error": response.message})
    return response


class Bot:
    """The bot; all of it runs in its event loop, and only the attempts wait in threads."""

    def __init__(self, client: nio.AsyncClient, owner: str, file: Path) -> None:
        self.client, self.owner, self.file = client, owner, file
        self.room_id = ""
        self.auth: InteractiveAuth[dict[str, Any]] | None = None  # while the owner is being asked

    async def work(self) -> None:
        """Do what has to be done, one thing after the other."""
        me = good(await self.client.whoami())
        private = nio.RoomPreset.private_chat
        room = await self.client.room_create(is_direct=True, preset=private, invite=[self.owner])
        self.room_id = good(room).room_id
        stale = [device.id for device in good(await self.client.devices()).devices if device.id != me.device_id]
        if stale:
            await self.do(f"log out {', '.join(stale)}", "delete_devices", {"devices": stale})
        keys = cross_signing_keys(me.user_id, self.file.with_name(f"{self.file.name}.keys"))
        await self.do("set up cross-signing", "keys/device_signing/upload", keys)

    async def do(self, what: str, path: str, body: dict[str, Any]) -> None:
        """Send a request that takes the owner's approval, and tell how it ended."""

        async def send(auth: dict[str, Any] | None) -> dict[str, Any]:
            content = json.dumps(body if auth is None else {**body, "auth": auth})
            headers = {"Authorization": f"Bearer {self.client.access_token}", "Content-Type": "application/json"}
            response = await self.client.send("POST", f"/_matrix/client/v3/{path}", content, headers)
            return bots.check_answer(response.status, response.headers, await response.read())

        async def ask_owner(stage: Stage) -> None:  # the answer is submitted by on_message
            self.auth = auth
            problem = f" The homeserver refused my password: {stage.error}" if stage.error else ""
            await self.tell(f"May I {what}? Say !approve or !cancel.{problem}")

        stages = {"m.login.password": bots.from_coroutine(ask_owner)}
        auth = InteractiveAuth(bots.from_coroutine(send, (ClientError,)), stages, poll_interval=60, poll_timeout=3600)
        try:
            await bots.attempt_auth(auth)
            await self.tell(f"Done: {what}")
        except InteractiveAuthError as error:
            await self.tell(f"I could not {what}: {error}")
            raise
        finally:
            self.auth = None

    async def on_message(self, room: nio.MatrixRoom, event: nio.RoomMessageText) -> None:
        """Obey the owner, and nobody else, in the direct room, and nowhere else."""
        if (room.room_id, event.sender) != (self.room_id, self.owner) or self.auth is None:
            return
        if event.body in ("!approve", "!cancel"):
            auth, self.auth = self.auth, None  # one approval is for one answer
            if event.body == "!approve":
                user = {"type": "m.id.user", "user": self.client.user_id}
                password = json.loads(self.file.read_text())["password"]
                auth.submit_auth_dict({"type": "m.login.password", "identifier": user, "password": password})
            else:
                auth.cancel()

    async def tell(self, text: str) -> None:
        """Write to the owner."""
        print(f"bot: {text}", flush=True)
        content = {"msgtype": "m.notice", "body": text}
        good(await self.client.room_send(self.room_id, "m.room.message", content))


async def until_first(*work: Coroutine[Any, Any, None]) -> None:
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


async def run_bot(base_url: str, owner: str, file: Path) -> None:
    """Run the bot until its work is done."""
    client = nio.AsyncClient(base_url)
    client.access_token = json.loads(file.read_text())["access_token"]
    bot = Bot(client, owner, file)
    client.add_event_callback(bot.on_message, nio.RoomMessageText)
    try:
        await until_first(bot.work(), client.sync_forever(30000))
    finally:
        await client.close()


async def play_owner(base_url: str, access_token: str, bot: str) -> None:
    """Approve of whatever the bot asks for."""
    client = nio.AsyncClient(base_url)
    client.access_token = access_token

    async def on_invite(room: nio.MatrixRoom, event: nio.InviteMemberEvent) -> None:
        if event.sender == bot and event.membership == "invite":
            good(await client.join(room.room_id))

    async def on_message(room: nio.MatrixRoom, event: nio.RoomMessageNotice) -> None:
        if event.sender == bot and "!approve" in event.body:
            print("owner: !approve", flush=True)
            content = {"msgtype": "m.text", "body": "!approve"}
            good(await client.room_send(room.room_id, "m.room.message", content))

    client.add_event_callback(on_invite, nio.InviteMemberEvent)
    client.add_event_callback(on_message, nio.RoomMessageNotice)
    try:
        await client.sync_forever(30000)
    finally:
        await client.close()


async def on_throwaway_synapse(synapse: Synapse, folder: Path) -> None:
    """Run the bot among accounts made for this, one device of its account being of old."""
    password = secrets.token_urlsafe()
    synapse.add_user("bot", password)
    user = {"type": "m.id.user", "user": "bot"}
    login = {"type": "m.login.password", "identifier": user, "password": password}
    bot = synapse.call("POST", "/_matrix/client/v3/login", login)
    owner = synapse.add_user("owner", secrets.token_urlsafe())
    file = folder / "bot.json"
    file.write_text(json.dumps({"access_token": bot["access_token"], "password": password}))
    owner_played = play_owner(synapse.base_url, owner["access_token"], bot["user_id"])
    await until_first(run_bot(synapse.base_url, owner["user_id"], file), owner_played)


def main() -> str | None:
    """Return the reason why nothing came of it, None if all is well."""
    parser = argparse.ArgumentParser(description="Log out a bot's other devices, and set up cross-signing for it.")
    parser.add_argument("--homeserver", metavar="URL", help="the bot's; a Synapse is started if not given")
    parser.add_argument("--owner", metavar="USER_ID", help="who has to approve")
    parser.add_argument("file", nargs="?", type=Path, help="the bot's access token and password, in JSON")
    options = parser.parse_args()
    if options.homeserver and not (options.owner and options.file):
        parser.error("with --homeserver, --owner and the file are needed")
    try:
        if options.homeserver:
            asyncio.run(run_bot(options.homeserver, options.owner, options.file))
        else:
            with throwaway_synapse() as synapse, tempfile.TemporaryDirectory() as folder:
                asyncio.run(on_throwaway_synapse(synapse, Path(folder)))
    except KeyboardInterrupt:
        sys.exit(130)
    except (InteractiveAuthError, SynapseError, OSError) as error:
        return f"nio_bot.py: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())
