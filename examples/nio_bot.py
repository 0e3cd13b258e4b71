"""A bot on matrix-nio that logs out its other devices and sets up cross-signing, once its owner approves in a chat.

python nio_bot.py                                                            on a Synapse started for this
python nio_bot.py --homeserver example.org --owner @me:example.org bot.json  on any other homeserver, asking you

bot.json is the bot's own {"access_token": "...", "password": "..."}. The owner says !approve, and the bot submits its
password, which it reads anew each time, so that a wrong one can be mended there. Nobody types it into the chat, where
each server and device of the room would keep it. The private cross-signing keys are kept in bot.json.keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from _common import say
from aiohttp import ClientError, ClientResponse
from bot_stage import main, read_secret, until_first
from cross_signing import cross_signing_keys

from interactive_auth import InteractiveAuth, InteractiveAuthError, MatrixError, Stage, bots

if TYPE_CHECKING:
    import nio  # type: ignore[import-untyped]  # it has no types


def good(response: nio.Response) -> Any:
    """Raise the errors that nio returns."""
    import nio

    if isinstance(response, nio.ErrorResponse):
        http = cast("ClientResponse", response.transport_response)
        raise MatrixError(http.status, {"errcode": response.status_code, "error": response.message})
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
        room = await self.client.room_create(is_direct=True, invite=[self.owner])
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

    async def on_message(self, room: nio.MatrixRoom, event: nio.Event) -> None:
        """Obey the owner, and nobody else, in the direct room, and nowhere else."""
        if (room.room_id, event.sender) != (self.room_id, self.owner):
            return
        said = getattr(event, "body", None)
        if self.auth is None or said not in ("!approve", "!cancel"):
            await self.tell("I only know !approve and !cancel, and only after I have asked.")
        elif said == "!cancel":
            self.auth.cancel()
        else:
            try:
                user = {"type": "m.id.user", "user": self.client.user_id}
                answer = {"identifier": user, "password": read_secret(self.file, "password")}
                self.auth.submit_auth_dict({"type": "m.login.password", **answer})
            except (OSError, ValueError, RuntimeError) as error:  # the last if the attempt has just ended
                await self.tell(f"I have nothing to submit: {error}")
            else:
                self.auth = None  # one approval is for one answer

    async def tell(self, text: str) -> None:
        """Write to the owner."""
        say(f"bot: {text}")
        content = {"msgtype": "m.notice", "body": text}
        good(await self.client.room_send(self.room_id, "m.room.message", content))


async def run_bot(base_url: str, owner: str, file: Path) -> None:
    """Run the bot until its work is done."""
    import nio  # here, because it takes seconds, and the program has said by now what goes on

    client = nio.AsyncClient(base_url)
    client.access_token = read_secret(file, "access_token")
    bot = Bot(client, owner, file)
    client.add_event_callback(bot.on_message, nio.RoomMessageText)
    try:
        await until_first(bot.work(), client.sync_forever(30000))
    finally:
        await client.close()


if __name__ == "__main__":
    main(__doc__, run_bot, ClientError)
