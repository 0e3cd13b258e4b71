"""examples/register_resumed.py: what one process has begun, another one finishes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from support.accounts import Person, new_token, owner_of_address, uses_of
from support.programs import Run, Start
from throwaway_services import MailServer
from throwaway_synapse import Synapse


@pytest.mark.parametrize(
    ("stop", "status", "said"),
    [
        (signal.SIGKILL, -signal.SIGKILL, ""),
        (signal.SIGINT, 130, "register_resumed.py: interrupted\n"),
    ],
)
def test_stopped_and_run_again(
    start_example: Start,
    run_example: Run,
    synapse: Synapse,
    mails: MailServer,
    new: Person,
    tmp_path: Path,
    stop: signal.Signals,
    status: int,
    said: str,
) -> None:
    """The second process asks nothing, and finishes in the same session: with one mail and a token for one session."""
    file, token = tmp_path / "sign_up.json", new_token(synapse, 1)
    command = ("register_resumed.py", "--homeserver", synapse.base_url, "--state", str(file))
    first = start_example(*command, lines=(new.name, "secret password", new.address, token))
    assert first.stdout is not None
    while "Waiting until you" not in (line := first.stdout.readline()):
        assert line
    first.send_signal(stop)
    _, errors = first.communicate()
    errors = errors.removeprefix("Waiting for the link in the mail (gives up in 5:00)\n")  # it was there, or not yet
    kept = json.loads(file.read_text())
    held = uses_of(synapse, token)

    mails.open_link(new.address)
    second = run_example(*command)

    assert (first.returncode, errors) == (status, said)
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.splitlines()[-1] == f"{new.user_id} is registered"
    assert owner_of_address(synapse, new.address) == new.user_id
    assert synapse.can_log_in(new.name, "secret password")
    assert held == (0, 1)
    assert uses_of(synapse, token) == (1, 0)
    assert mails.count(new.address) == 1
    assert kept["auth"]["email_sid"]
    assert not file.exists()


def test_the_file_is_for_its_owner(start_example: Start, synapse: Synapse, new: Person, tmp_path: Path) -> None:
    """While the sign-up waits, there is its file, or that and the one to take its place; nobody else can read them."""
    command = ("register_resumed.py", "--homeserver", synapse.base_url, "--state", str(tmp_path / "kept" / "state"))
    (tmp_path / "kept").mkdir()
    program = start_example(*command, lines=(new.name, "secret password", new.address, new_token(synapse, 1)))
    assert program.stdout is not None
    while "Waiting until you" not in (line := program.stdout.readline()):
        assert line

    program.send_signal(signal.SIGSTOP)
    os.waitpid(program.pid, os.WUNTRACED)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "kept").iterdir()}

    assert modes.pop("state") == 0o600
    assert modes in ({}, {"state.new": 0o600})
