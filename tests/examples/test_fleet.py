"""examples/register_fleet.py: whatever happens to it, running it again ends with all accounts, each of them ours."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.accounts import Person, devices_of, new_token, owner, uses_of
from support.programs import Run, Start
from support.wire import Reply, Sent, serve
from throwaway_synapse import Synapse

Sized = Callable[[int, int], int]


@pytest.fixture
def fleet(tmp_path: Path, new: Person) -> Path:
    """The folder of the accounts, whose names begin with its name."""
    return tmp_path / new.name


def on_server(synapse: Synapse, fleet: Path) -> dict[str, int]:
    """Return the accounts whose names begin with the folder's, and how many devices each has."""
    users = synapse.admin("GET", f"/_synapse/admin/v2/users?name={fleet.name}&limit=200")["users"]
    return {user["name"]: len(devices_of(synapse, user["name"])) for user in users}


def arguments(synapse: Synapse, fleet: Path, accounts: int, threads: int = 4) -> list[str]:
    """Return the program's arguments."""
    options = {"--homeserver": synapse.base_url, "--folder": fleet, "--accounts": accounts, "--threads": threads}
    return ["register_fleet.py", *(str(text) for pair in options.items() for text in pair)]


def read(file: Path) -> dict[str, Any]:
    """Return what the file of an account holds."""
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def expected(synapse: Synapse, fleet: Path, accounts: int) -> dict[str, int]:
    """Return the user ids that there have to be, each with one device."""
    return {f"@{fleet.name}{number:03}:{synapse.server_name}": 1 for number in range(1, accounts + 1)}


def again(fleet: Path) -> str:
    """Return what the program says of another run."""
    return f"run it again to go on; what is done is in {fleet}"


def check_files(synapse: Synapse, fleet: Path, user_ids: set[str]) -> None:
    """See that there is a file for each account, for our eyes only, and that what stands there opens the account."""
    for file in fleet.iterdir():
        account = read(file)
        assert owner(synapse, account) == account["user_id"] == f"@{file.stem}:{synapse.server_name}"
        assert file.stat().st_mode & 0o777 == 0o600
    assert {f"@{file.stem}:{synapse.server_name}" for file in fleet.glob("*.json")} == user_ids
    some = next(fleet.iterdir())
    assert synapse.can_log_in(some.stem, read(some)["password"])


@pytest.mark.slow
def test_killed_twice_and_run_again(
    start_example: Start, run_example: Run, synapse: Synapse, fleet: Path, sized: Sized
) -> None:
    """After kill -9 in the middle none is lost, none is made twice, and no use of the token is wasted."""
    accounts, threads = sized(16, 100), sized(4, 8)
    token = new_token(synapse, accounts)
    command = arguments(synapse, fleet, accounts, threads)
    for enough in (accounts // 4, accounts // 2):
        program = start_example(*command, lines=(token, "y"))
        while uses_of(synapse, token)[0] < enough:
            assert program.poll() is None
            time.sleep(0.002)
        program.kill()
        program.communicate()
        assert 0 < sum("access_token" in read(file) for file in fleet.glob("*.json")) < accounts

    ended = run_example(*command, lines=(token, "y"))

    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.endswith(f"\n{accounts} accounts are registered\n")
    assert f"{accounts}/{accounts}" in ended.stderr
    assert on_server(synapse, fleet) == expected(synapse, fleet, accounts)
    assert uses_of(synapse, token) == (accounts, 0)
    check_files(synapse, fleet, set(expected(synapse, fleet, accounts)))


def test_an_answer_that_was_lost(run_example: Run, synapse: Synapse, fleet: Path) -> None:
    """An account that exists, and of which only the password was kept, is recognised as ours."""
    token = new_token(synapse, 2)
    run_example(*arguments(synapse, fleet, 2), lines=(token, "y"))
    lost, other = sorted(fleet.iterdir())
    before = read(other)
    lost.write_text(json.dumps({"password": read(lost)["password"]}))

    ended = run_example(*arguments(synapse, fleet, 2), lines=("of no use any more", "y"))

    assert ended.returncode == 0, ended.stdout
    assert on_server(synapse, fleet) == expected(synapse, fleet, 2)
    assert read(other) == before
    check_files(synapse, fleet, set(expected(synapse, fleet, 2)))


def test_a_name_that_somebody_has(run_example: Run, synapse: Synapse, fleet: Path) -> None:
    """The report names it, with the reason; the others are registered, and the exit status tells."""
    token = new_token(synapse, 3)
    synapse.add_user(f"{fleet.name}002", "the password of somebody else")

    ended = run_example(*arguments(synapse, fleet, 3), lines=(token, "y"))

    assert ended.returncode == 1
    sent = f"POST {synapse.base_url}/_matrix/client/v3/register"
    assert ended.stdout.endswith(f"\n{fleet.name}002: 400 M_USER_IN_USE: User ID already taken. ({sent})\n")
    assert ended.stderr.splitlines()[-1] == f"register_fleet.py: 1 of 3 failed; {again(fleet)}"
    assert on_server(synapse, fleet) == expected(synapse, fleet, 3)
    assert uses_of(synapse, token) == (2, 0)
    assert synapse.can_log_in(f"{fleet.name}002", "the password of somebody else")


def test_a_token_that_is_used_up(run_example: Run, synapse: Synapse, fleet: Path) -> None:
    """Those that it is not good for are reported; with another token, another run registers just these."""
    # One after the other: sign-ups at the same moment get the last use of a token both, by a race in Synapse.
    first = run_example(*arguments(synapse, fleet, 3, threads=1), lines=(new_token(synapse, 2), "y"))

    second = run_example(*arguments(synapse, fleet, 3), lines=(new_token(synapse, 1), "y"))

    assert first.returncode == 1
    assert first.stdout.count("Invalid registration token") == 1
    assert second.returncode == 0, second.stdout
    assert on_server(synapse, fleet) == expected(synapse, fleet, 3)


LIMIT = Reply(429, {"errcode": "M_LIMIT_EXCEEDED", "error": "Slow down", "retry_after_ms": 3_000_000})


def test_ctrl_c_while_it_waits_to_log_in(start_example: Start, fleet: Path) -> None:
    """An account that may be ours is logged in to; that wait is shown, and ended, like any other."""
    taken = {"errcode": "M_USER_IN_USE", "error": "User ID already taken"}
    versions = Reply(200, {"versions": ["v1.17"]})

    def answer(sent: Sent) -> Reply:
        return {"versions": versions, "register": Reply(400, taken)}.get(sent.path.rpartition("/")[2], LIMIT)

    with serve(answer) as wire:
        options = ("--homeserver", wire.base_url, "--folder", str(fleet), "--accounts", "1")
        program = start_example("register_fleet.py", *options, lines=("a token", "y"))
        wire.wait_for(4)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=30)

    assert program.returncode == 130
    assert errors.splitlines()[-1] == f"register_fleet.py: interrupted: 0 of 1 are done; {again(fleet)}"


def test_ctrl_c_while_the_homeserver_makes_it_wait(start_example: Start, fleet: Path) -> None:
    """It shows who waits and for what, and stops at once, with how far it came; the passwords that it sent are kept."""

    def answer(sent: Sent) -> Reply:
        return Reply(200, {"versions": ["v1.17"]}) if sent.path.endswith("/versions") else LIMIT

    with serve(answer) as wire:
        options = ("--homeserver", wire.base_url, "--folder", str(fleet), "--threads", "2")
        program = start_example("register_fleet.py", *options, lines=("a token", "y"))
        wire.wait_for(4)
        assert program.stderr is not None
        shown = ""
        while "2 waiting (rate limit), next in 3000 s" not in shown:
            more = program.stderr.read(1)
            assert more, shown
            shown += more
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=30)

    assert program.returncode == 130
    assert errors.splitlines()[-1] == f"register_fleet.py: interrupted: 0 of 100 are done; {again(fleet)}"
    # Before the two accounts it looks at whether this is a homeserver, and one that registers people.
    _, probe, *accounts = wire.sent
    assert probe.body == {}
    sent = {(request.body["username"], request.body["password"]) for request in accounts}
    assert len(sent) == 2
    assert {(file.stem, read(file)["password"]) for file in fleet.iterdir()} == sent
