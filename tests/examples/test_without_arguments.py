"""Each example without arguments: it does its work on a Synapse of its own, shows that, and leaves nothing behind."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.programs import EXAMPLES, Run

KEY = r"[A-Za-z0-9+/]{43}"
ALICE = "@alice:throwaway.localhost"
#: What each says after Synapse has started, in the end as Synapse has it.
SAYS = {
    "register_with_email.py": [
        "The link in the mail was opened; the homeserver is asked every two seconds whether it was",
        f"alice@example.org is on the account {ALICE}",
        f"{ALICE} is registered",
    ],
    "change_password.py": [
        "The old password does not work",
        "The new password works",
        "The password was changed",
    ],
    "reset_password.py": [
        "The link in the mail was opened, and the button on its page pressed",
        "The forgotten password does not work",
        "The new password works",
        "The password was reset",
    ],
    "log_out_devices.py": [
        "The devices were:",
        *[r"  [A-Z]{10} (A phone that was lost|A browser at work| \(this one\))"] * 3,
        "And now:",
        r"  [A-Z]{10}  \(this one\)",
        "Other devices that are logged in: 0",
    ],
    "reset_cross_signing.py": [
        f"The master key was (?P<old>{KEY})",
        f"The master key is now (?!(?P=old)){KEY}",
    ],
    "deactivate.py": [
        "The password does not work any more",
        "For Synapse the account is deactivated",
        f"{ALICE} is deactivated",
    ],
    "add_email.py": [f"On the account of {ALICE}: alice@example.org"],
    "register_resumed.py": [
        "First process: Register with .*",
        "First process: The homeserver is http://127.0.0.1:[0-9]+",
        "First process: User name: alice",
        "First process: Password: ?",
        "First process: Email address: alice@example.org",
        "First process: Signing up alice; if this is stopped, run it again to go on",
        "First process: Token: ?",
        "First process: Waiting until you open the link in the mail",
        "The first process was killed, and then the link in the mail was opened",
        "Second process: Register with .*",
        "Second process: The homeserver is http://127.0.0.1:[0-9]+",
        "Second process: Signing up alice; if this is stopped, run it again to go on",
        # It is told once for each mail, and again if the kill came before that was saved.
        f"(?:Second process: Waiting until you open the link in the mail\n)?Second process: {ALICE} is registered",
        "What the first process had begun, the second one has finished",
    ],
    "register_fleet.py": [
        "Registering (?:16|100) accounts, 8 at a time; each has a file in .*/fleet",
        "Of the token's uses, (?P<count>16|100) are completed and 0 pending",
        "(?P=count) accounts are registered",
    ],
}


FLEET = "register_fleet.py"
#: A progress bar, and a wait that lasted until something was seen of it.
PROGRESS = r"\| \d+/\d+ \[.* accounts|^Waiting for the link in the mail"


@pytest.mark.parametrize("example", [*sorted(SAYS.keys() - {FLEET}), pytest.param(FLEET, marks=pytest.mark.slow)])
def test_an_example(run_example: Run, example_folder: Path, example: str, sized: Callable[[int, int], int]) -> None:
    """What it says last is what Synapse says, and then that and its folder are gone."""
    accounts = sized(16, 100)
    fewer = ["--accounts", str(accounts)] if example == FLEET and accounts != 100 else []

    ended = run_example(example, *fewer)

    does, started, listens, *said = ended.stdout.splitlines()
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if not re.search(PROGRESS, line)]
    assert (ended.returncode, errors) == (0, [])
    assert f'"""{does}\n' in (EXAMPLES / example).read_text()
    assert started == "Starting a homeserver for this: Synapse, on this machine. It takes a few seconds."
    assert re.fullmatch("\n".join(SAYS[example]), "\n".join(said))
    url = urlsplit(listens.removeprefix("Synapse listens at "))
    with socket.socket() as probe:
        assert probe.connect_ex((url.hostname, url.port)) != 0
    assert list(example_folder.iterdir()) == []
