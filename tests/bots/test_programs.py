"""The bots as programs: what they print, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import EXAMPLES, Start

from interactive_auth.testing import UIAServer

if TYPE_CHECKING:
    from conftest import Account, Owner
    from throwaway_synapse import Synapse


#: Seconds that a program may take; one that hangs is killed then.
PATIENCE = 120.0


@pytest.fixture
def begin(program: str, start_program: Start, example_folder: Path) -> Iterator[Start]:
    """Start the bot's program with arguments; a coroutine that it leaves unawaited is an error that it prints."""
    command = ["-W", "error::RuntimeWarning", EXAMPLES / f"{program}.py"]
    env = {"TMPDIR": str(example_folder)}
    yield lambda *arguments: start_program(*command, *arguments, env=env, stdin=subprocess.DEVNULL)
    assert list(example_folder.iterdir()) == []


def test_without_arguments(begin: Start, program: str) -> None:
    """It starts a Synapse, asks an owner who is played, does both of its works, and leaves nothing behind."""
    running = begin()
    output, errors = running.communicate(timeout=PATIENCE)

    assert (running.returncode, errors) == (0, "")
    does, starting, listens, *lines = output.splitlines()
    device = lines[0].partition("May I log out ")[2].partition("?")[0]
    assert device.isalnum()
    assert f'"""{does}\n' in (EXAMPLES / f"{program}.py").read_text()
    assert starting.startswith("Starting a homeserver")
    assert listens.startswith("Synapse listens at http://")
    assert lines == [
        f"bot: May I log out {device}? Say !approve or !cancel.",
        "owner: !approve",
        f"bot: Done: log out {device}",
        "bot: May I set up cross-signing? Say !approve or !cancel.",
        "owner: !approve",
        "bot: Done: set up cross-signing",
        "The bot's other devices are logged out, and its cross-signing is set up",
    ]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_it_waits(
    begin: Start, program: str, synapse: Synapse, account: Account, owner: Owner, stop: signal.Signals
) -> None:
    """Ctrl-C and kill end it with 130 and one line, while the owner thinks; nothing has changed."""
    running = begin("--homeserver", synapse.base_url, "--owner", owner.user_id, account.file)
    owner.wait_for("May I log out")
    running.send_signal(stop)
    _, errors = running.communicate(timeout=PATIENCE)

    assert (running.returncode, errors) == (130, f"{program}.py: interrupted\n")
    assert len(account.stale_devices()) == 1


BUSY = """
import asyncio, os, signal, sys
from bot_stage import main

async def run_bot(*_):
    async def work():
        try:
            os.kill(os.getpid(), signal.{stop})
            await asyncio.sleep(60)
        except KeyboardInterrupt:
            print("interrupted in the middle of its work", file=sys.stderr)
            raise
    await asyncio.wait([asyncio.ensure_future(work())])

main("A bot that is busy.", run_bot)
"""


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("stop", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_stopped_while_it_is_busy(tmp_path: Path, uia_server: UIAServer, stop: str) -> None:
    """Ctrl-C and kill cancel a bot, and raise nothing in whatever its event loop is just at."""
    program = tmp_path / "busy_bot.py"
    program.write_text(BUSY.format(stop=stop))
    command = [sys.executable, str(program), "--homeserver", uia_server.base_url, "--owner", "@a:b", "bot.json"]

    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(EXAMPLES)}, capture_output=True, text=True, timeout=PATIENCE
    )

    assert (ended.returncode, ended.stderr) == (130, "busy_bot.py: interrupted\n")


def test_an_access_token_that_is_none(
    begin: Start, program: str, synapse: Synapse, account: Account, owner: Owner
) -> None:
    """What the homeserver says of the bot's access token is the last line, after what the client library logs."""
    account.write(access_token="none", password="")

    ended = begin("--homeserver", synapse.base_url, "--owner", owner.user_id, account.file)
    _, errors = ended.communicate(timeout=PATIENCE)

    last = errors.splitlines()[-1]
    assert ended.returncode == 1
    assert last.startswith(f"{program}.py: ")
    assert "Invalid access token" in last


def test_a_host_that_does_not_exist(begin: Start, program: str, account: Account) -> None:
    """It ends in one line, though its client library would go on for ever."""
    ended = begin("--homeserver", "https://nowhere.invalid", "--owner", "@me:nowhere.invalid", account.file)
    _, errors = ended.communicate(timeout=PATIENCE)

    (line,) = errors.splitlines()
    assert ended.returncode == 1
    assert line.startswith(f"{program}.py: ")
    assert "nowhere.invalid" in line


@pytest.mark.parametrize("program", ["mautrix_bot"])  # for both alike, and the quicker of them to start
def test_an_owner_is_needed(begin: Start, account: Account, synapse: Synapse) -> None:
    """With a homeserver of one's own, the bot must be told whom to obey."""
    ended = begin("--homeserver", synapse.base_url, account.file)
    _, errors = ended.communicate(timeout=PATIENCE)

    assert ended.returncode == 2
    assert "--owner and the file are needed" in errors
