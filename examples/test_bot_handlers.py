"""A bot that asks its owner for the password, and the tests of its handlers, on a homeserver that follows a script.

pip install pytest && python -m pytest test_bot_handlers.py

The fixture uia_server comes with the library; there is nothing to configure, and no other server is needed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from interactive_auth import Homeserver, InteractiveAuth, InteractiveAuthError, Stage
from interactive_auth.testing import UIAServer, homeservers

PATIENCE = 10.0


class Bot:
    """The bot: it says what it wants by ``say``, and hears commands by ``on_command``, each in whatever thread."""

    def __init__(self, homeserver: Homeserver, say: Callable[[str], object], devices: list[str]) -> None:
        self.say = say
        stages = {"m.login.password": self.ask_owner}
        self.auth = InteractiveAuth(homeserver.delete_devices(devices), stages, max_attempts=2)

    def ask_owner(self, stage: Stage) -> None:
        """Ask, and let the attempt wait for ``on_command``."""
        self.say(f"Wrong: {stage.error.error}" if stage.error else "Say !password PASSWORD, or !cancel.")

    def on_command(self, command: str, argument: str = "") -> None:
        """Do what the owner says."""
        if command == "!cancel":
            self.auth.cancel()
        elif command == "!password":
            user = {"type": "m.id.user", "user": "bot"}
            self.auth.submit_auth_dict({"type": "m.login.password", "identifier": user, "password": argument})

    def clean_up(self) -> None:
        """Delete the devices, and say how that ended."""
        try:
            self.auth.attempt_auth()
            self.say("They are gone.")
        except InteractiveAuthError as error:
            self.say(f"They are still there: {type(error).__name__}")


Played = tuple[Bot, "queue.Queue[str]"]


@pytest.fixture
def played(uia_server: UIAServer) -> Iterator[Played]:
    """Run the bot on a homeserver that wants its password, and hear what it says."""
    uia_server.flows = [["m.login.password"]]
    account = uia_server.add_account("bot", "right", devices=["BOT", "OLDDEVICE"])
    said: queue.Queue[str] = queue.Queue()
    with Homeserver(uia_server.base_url, access_token=account.devices["BOT"].access_token) as homeserver:
        bot = Bot(homeserver, said.put, ["OLDDEVICE"])
        worker = threading.Thread(target=bot.clean_up)
        worker.start()
        yield bot, said
        bot.auth.cancel()
        worker.join(PATIENCE)


@pytest.mark.parametrize("quirks", homeservers)
def test_a_mistyped_password(uia_server: UIAServer, played: Played, quirks: str) -> None:
    """The owner hears what was wrong, and may say it again, whatever homeserver it is."""
    uia_server.quirks = quirks
    bot, said = played
    assert said.get(timeout=PATIENCE).startswith("Say !password")

    bot.on_command("!password", "wrong")
    assert "password" in said.get(timeout=PATIENCE)
    bot.on_command("!password", "right")

    assert said.get(timeout=PATIENCE) == "They are gone."
    assert [auth and auth["password"] for auth in uia_server.auths] == [None, "wrong", "right"]
    assert list(uia_server.accounts["bot"].devices) == ["BOT"]


def test_the_owner_cancels(uia_server: UIAServer, played: Played) -> None:
    """Nothing is sent any more, and the bot says so."""
    bot, said = played
    said.get(timeout=PATIENCE)

    bot.on_command("!cancel")

    assert said.get(timeout=PATIENCE) == "They are still there: AuthCancelledError"
    assert uia_server.auths == [None]
    assert "OLDDEVICE" in uia_server.accounts["bot"].devices


def test_a_homeserver_in_trouble(uia_server: UIAServer, played: Played) -> None:
    """A server that is busy, restarts and has forgotten the session keeps nobody from cleaning up."""
    bot, said = played
    said.get(timeout=PATIENCE)
    uia_server.rate_limit_next(0.05)
    uia_server.hang_up_next()
    uia_server.expire_sessions()

    bot.on_command("!password", "right")
    assert said.get(timeout=PATIENCE).startswith("Say !password")  # the session was lost, so it asks once more
    bot.on_command("!password", "right")

    assert said.get(timeout=PATIENCE) == "They are gone."
