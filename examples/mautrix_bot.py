"""A bot on mautrix that logs out its other devices and sets up cross-signing, once its owner approves in a chat.

python mautrix_bot.py                                                            on a Synapse started for this
python mautrix_bot.py --homeserver example.org --owner @me:example.org bot.json  on any other homeserver, asking you

bot.json is the bot's own {"access_token": "...", "password": "..."}. The owner says !approve, and the bot submits its
password, which it reads anew each time, so that a wrong one can be mended there. Nobody types it into the chat, where
each server and device of the room would keep it. The private cross-signing keys are kept in bot.json.keys.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from _common import say
from aiohttp import ClientError
from bot_stage import main, read_secret, until_first
from cross_signing import cross_signing_keys
from mautrix.api import Method
from mautrix.api import Path as Endpoint
from mautrix.client import Client
from mautrix.errors import MatrixError
from mautrix.types import EventType, MessageEvent, RoomID, UserID

from interactive_auth import InteractiveAuth, InteractiveAuthError, Stage, bots


class Bot:
    """The bot; all of it runs in its event loop, and only the attempts wait in threads."""

    def __init__(self, client: Client, owner: str, file: Path) -> None:
        self.client, self.owner, self.file = client, UserID(owner), file
        self.room_id = RoomID("")
        self.auth: InteractiveAuth[dict[str, Any]] | None = None  # while the owner is being asked

    async def work(self) -> None:
        """Do what has to be done, one thing after the other."""
        me = await self.client.whoami()
        self.room_id = await self.client.create_room(is_direct=True, invitees=[self.owner])
        devices = (await self.client.api.request(Method.GET, Endpoint.v3.devices))["devices"]
        stale = [device["device_id"] for device in devices if device["device_id"] != me.device_id]
        if stale:
            await self.do(f"log out {', '.join(stale)}", "delete_devices", {"devices": stale})
        keys = cross_signing_keys(me.user_id, self.file.with_name(f"{self.file.name}.keys"))
        await self.do("set up cross-signing", "keys/device_signing/upload", keys)

    async def do(self, what: str, path: str, body: dict[str, Any]) -> None:
        """Send a request that takes the owner's approval, and tell how it ended."""

        async def send(auth: dict[str, Any] | None) -> dict[str, Any]:
            # Not api.request(): the errors that it raises have lost the flows, the session and the time to wait.
            api = self.client.api
            url, headers = api.base_url / "_matrix/client/v3" / path, {"Authorization": f"Bearer {api.token}"}
            content = body if auth is None else {**body, "auth": auth}
            async with api.session.post(url, json=content, headers=headers, allow_redirects=False) as response:
                return bots.check_answer(response.status, response.headers, await response.read())

        async def ask_owner(stage: Stage) -> None:  # the answer is submitted by on_message
            self.auth = stage.auth
            problem = f"The homeserver refused my password: {stage.error}. " if stage.error else ""
            await self.tell(f"{problem}May I {what}? Say !approve or !cancel.")

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

    async def on_message(self, event: MessageEvent) -> None:
        """Obey the owner, and nobody else, in the direct room, and nowhere else."""
        if (event.room_id, event.sender) != (self.room_id, self.owner):
            return
        said = getattr(event.content, "body", None)
        if self.auth is None or said not in ("!approve", "!cancel"):
            await self.tell("I only know !approve and !cancel, and only after I have asked.")
        elif said == "!cancel":
            self.auth.cancel()
        else:
            try:
                user = {"type": "m.id.user", "user": self.client.mxid}
                answer = {"identifier": user, "password": read_secret(self.file, "password")}
                self.auth.submit_auth_dict({"type": "m.login.password", **answer})
            except (OSError, ValueError, RuntimeError) as error:  # the last if the attempt has just ended
                await self.tell(f"I have nothing to submit: {error}")
            else:
                self.auth = None  # one approval is for one answer

    async def tell(self, text: str) -> None:
        """Write to the owner."""
        say(f"bot: {text}")
        await self.client.send_notice(self.room_id, text)


async def run_bot(base_url: str, owner: str, file: Path) -> None:
    """Run the bot until its work is done."""
    client = Client(base_url=base_url, token=read_secret(file, "access_token"))
    bot = Bot(client, owner, file)
    client.add_event_handler(EventType.ROOM_MESSAGE, bot.on_message)

    async def listen() -> None:
        await asyncio.wait([client.start(None)])
        raise MatrixError("the sync has ended")  # mautrix only logs why

    try:
        client.mxid = (await client.whoami()).user_id
        await until_first(bot.work(), listen())
    finally:
        client.stop()
        await client.api.session.close()


if __name__ == "__main__":
    main(__doc__, run_bot, ClientError, MatrixError)
