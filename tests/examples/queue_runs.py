"""What the tests of the queue share: the program, its people, and what has to have come of them in the end.

What must not be here: what happens to the workers meanwhile.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from support.accounts import addresses_of, devices_of, owner, uses_of
from support.programs import EXAMPLES
from throwaway_services import MailServer
from throwaway_synapse import Synapse

#: Seconds, longer than anything takes that works, so that what hangs fails.
PATIENCE = 60.0


def arguments(base_url: str, people: dict[str, str], folder: Path) -> list[str]:
    """Return the program's arguments, and write the file of those who sign up."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "people").write_text("".join(f"{name} {address}\n" for name, address in people.items()))
    options = {"--homeserver": base_url, "--sign-ups": folder / "people", "--folder": folder / "queue"}
    return ["register_queue.py", *(str(text) for pair in options.items() for text in pair)]


@contextmanager
def started(command: list[str], folder: Path, *lines: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the example, its output in files of the folder, for longer than the other examples may take."""
    with open(folder / "output", "wb") as output, open(folder / "errors", "wb") as errors:
        program = subprocess.Popen(
            [sys.executable, EXAMPLES / command[0], *command[1:]],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    try:
        assert program.stdin is not None
        program.stdin.write("".join(f"{line}\n" for line in lines).encode())
        program.stdin.close()
        yield program
    finally:
        program.send_signal(signal.SIGINT)  # so that it ends what it has started
        try:
            program.wait(PATIENCE)
        finally:
            program.kill()
            program.wait()


@contextmanager
def readers(mails: MailServer, people: dict[str, str], moments: dict[str, float]) -> Iterator[None]:
    """Have everybody open the links in their mails, each so many seconds after it came."""
    gone = threading.Event()

    def read_all() -> None:
        opened = dict.fromkeys(people, 0)
        due: dict[str, float] = {}
        while not gone.wait(0.05):
            for name, address in people.items():
                if mails.count(address) == opened[name]:
                    continue
                if time.monotonic() < due.setdefault(name, time.monotonic() + moments[name]):
                    continue
                response = requests.get(mails.wait_for_link(address, opened[name] + 1), timeout=PATIENCE)
                if response.status_code == 400:  # Synapse sends the mail before it keeps what the link is to validate
                    continue
                response.raise_for_status()
                opened[name] += 1

    with ThreadPoolExecutor(1) as executor:
        reading = executor.submit(read_all)
        try:
            yield
        finally:
            gone.set()
            reading.result()


def check_accounts(synapse: Synapse, people: dict[str, str], token: str, folder: Path) -> None:
    """Fail unless each account exists once, with its address and one device, of which we have the access token."""
    accounts: dict[str, Any] = json.loads((folder / "queue" / "accounts.json").read_text())
    assert accounts.keys() == people.keys()
    prefix = next(iter(people)).partition("-")[0]
    assert synapse.admin("GET", f"/_synapse/admin/v2/users?name={prefix}")["total"] == len(people)
    assert uses_of(synapse, token) == (len(people), 0)
    for name, address in people.items():
        user_id = accounts[name]["user_id"]
        assert owner(synapse, accounts[name]) == user_id == f"@{name}:{synapse.server_name}"
        assert devices_of(synapse, user_id) == ["QUEUE"]
        assert addresses_of(synapse, user_id) == {("email", address)}
