"""examples/register_queue.py: whatever is killed, each sign-up ends in one account, by one worker at a time."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from support.accounts import Person, addresses_of, devices_of, new_token, owner, uses_of
from support.programs import EXAMPLES, Run
from support.wire import Reply, serve
from throwaway_services import MailServer
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse

from .witness import Seen, witness

pytestmark = pytest.mark.usefixtures("redis_installed")

Sized = Callable[[int, int], int]

#: Seconds, longer than anything takes that works, so that what hangs fails.
PATIENCE = 60.0
#: Seconds after an answer within which its worker has kept what came of it.
KEPT = 2.0


@pytest.fixture(scope="module")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a Synapse that wants a token, its terms accepted, and an email address."""
    demands = {**TOKEN, "registrations_require_3pid": ["email"]}
    with throwaway_synapse(demands, TERMS, mails.config()) as running:
        running.admin("GET", "/_synapse/admin/v2/users")  # log the administrator in before any thread does
        yield running


@pytest.fixture
def people(new: Person, sized: Sized) -> dict[str, str]:
    """The addresses of those who sign up, by user name."""
    names = [f"{new.name}-{number:03}" for number in range(1, sized(12, 200) + 1)]
    return {name: f"{name}@example.org" for name in names}


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


def workers_of(program: int) -> list[psutil.Process]:
    """Return the first process of each of the program's workers."""
    return [worker for worker in psutil.Process(program).children() if "dramatiq" in worker.cmdline()]


def at_work(program: int, ports: set[int] | None = None) -> list[tuple[psutil.Process, psutil.Process]]:
    """Return the processes that work on sign-ups, each after its worker; only those with a connection from a port."""
    found = []
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):  # something has ended meanwhile
        for worker in workers_of(program):
            processes = worker.children()
            if len(processes) < 2:  # it is starting or ending
                continue
            for process in processes:
                used = {connection.laddr.port for connection in process.net_connections("tcp4")}
                if ports is None or used & ports:
                    found.append((worker, process))
    return found


def kill_one(program: int, kind: str, ports: set[int] | None, draw: random.Random) -> bool:
    """Kill one of Dramatiq's processes, the first one of a worker, or all of a worker, if there is one to kill."""
    found = at_work(program, ports)
    if not found:
        return False
    worker, process = draw.choice(found)
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        if kind == "group":
            os.killpg(worker.pid, signal.SIGKILL)
        else:
            (process if kind == "process" else worker).kill()
        return True
    return False


def who(seen: Seen) -> str:
    """Return the user name of the sign-up that a request is part of."""
    body = seen.body
    name = body.get("username") or body.get("email") or body["identifier"]["user"]
    return str(name).partition("@")[0]


def check_story(story: list[Seen], kills: list[float], mails: int) -> None:
    """Fail unless the requests of a sign-up came one after the other, and none twice but where a kill had cut it."""

    def lost(seen: Seen) -> bool:
        return seen.status is None or any(seen.begun <= kill <= seen.ended + KEPT for kill in kills)

    told = "\n".join(f"{s.begun:.2f}-{s.ended:.2f} {s.path} {s.body.get('auth')}: {s.status}" for s in story)
    assert all(later.begun >= earlier.ended for earlier, later in itertools.pairwise(story)), told
    registering = [seen for seen in story if seen.path.endswith("/register")]
    assert len({seen.session for seen in registering} - {None}) == 1, told
    assert all(lost(seen) for seen in [s for s in registering if s.session is None][:-1]), told
    asked = [seen for seen in story if seen.path.endswith("/requestToken")]
    assert all(lost(seen) for seen in asked[:-1]), told
    assert 1 <= mails <= len(asked), told
    made = [seen for seen in story if seen.status == 200 and not seen.path.endswith("/requestToken")]
    assert made, told
    assert all(lost(seen) for seen in made[:-1]), told
    if made[-1].path.endswith("/login"):
        assert any(lost(seen) for seen in registering), told


def check_stories(seen: list[Seen], kills: list[float], mails: dict[str, int]) -> None:
    """Check the story of each sign-up, of those who got so many mails."""
    stories: defaultdict[str, list[Seen]] = defaultdict(list)
    for request in seen:
        stories[who(request)].append(request)
    assert stories.keys() == mails.keys()
    for name, story in stories.items():
        check_story(story, kills, mails[name])


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


@pytest.mark.slow
def test_killed_all_the_time(
    synapse: Synapse,
    mails: MailServer,
    people: dict[str, str],
    tmp_path: Path,
    draw: random.Random,
    sized: Sized,
) -> None:
    """Processes, workers and whole groups are killed, in waits and in requests; each account is made once, and ours."""
    token = new_token(synapse, len(people))
    moments = {name: draw.uniform(0, sized(4, 60)) for name in people}
    kills: list[float] = []
    begun = time.monotonic()
    with (
        witness(synapse.base_url, draw) as proxy,
        readers(mails, people, moments),
        started(arguments(proxy.base_url, people, tmp_path), tmp_path, token, "y") as program,
    ):
        for number in range(sized(3, 30)):
            kind, in_a_request = ("process", "worker", "group")[number % 3], number % 2 == 0
            time.sleep(draw.uniform(0.2, sized(1, 4)))
            while not kill_one(program.pid, kind, proxy.ports() if in_a_request else None, draw):
                assert program.poll() is None, "there was nothing left to kill"
                time.sleep(0.01)
            kills.append(time.monotonic())
        assert program.wait(sized(120, 600)) == 0, (tmp_path / "errors").read_text()
    seconds = time.monotonic() - begun

    cut = sum(seen.status is None for seen in proxy.seen)
    sent = sum(mails.count(address) for address in people.values())
    print(f"{len(people)} sign-ups, {len(kills)} kills, {len(proxy.seen)} requests ({cut} cut)", end=", ")
    print(f"{sent} mails, {seconds:.0f} seconds")
    check_accounts(synapse, people, token, tmp_path)
    check_stories(proxy.seen, kills, {name: mails.count(address) for name, address in people.items()})


@pytest.mark.slow
def test_a_worker_that_is_suspended(
    synapse: Synapse, mails: MailServer, new: Person, tmp_path: Path, draw: random.Random
) -> None:
    """What it was doing is taken over; when it wakes up, its lock is lost, and it sends nothing more."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(4)}
    token = new_token(synapse, len(people))
    with (
        witness(synapse.base_url, draw) as proxy,
        readers(mails, people, dict.fromkeys(people, 0.0)),
        # With one thread: no other one is then just between asking for its lock and sending.
        started([*arguments(proxy.base_url, people, tmp_path), "--threads=1"], tmp_path, token, "y") as program,
    ):
        while not (found := at_work(program.pid, proxy.ports())):
            assert program.poll() is None
            time.sleep(0.01)
        suspended = found[0][1]
        suspended.suspend()
        moment = time.monotonic()
        while uses_of(synapse, token) != (len(people), 0):
            assert time.monotonic() < moment + PATIENCE
            time.sleep(0.1)
        suspended.resume()
        assert program.wait(PATIENCE) == 0, (tmp_path / "errors").read_text()

    check_accounts(synapse, people, token, tmp_path)
    check_stories(proxy.seen, [moment], {name: mails.count(address) for name, address in people.items()})
    assert "no longer owned" in (tmp_path / "queue" / "workers.log").read_text()


def test_ctrl_c_and_run_again(synapse: Synapse, mails: MailServer, new: Person, tmp_path: Path) -> None:
    """It says how many are done, and leaves nothing running; the next run goes on in the same sessions."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(3)}
    token = new_token(synapse, len(people))
    command = arguments(synapse.base_url, people, tmp_path)
    with started(command, tmp_path, token, "y") as program:
        for address in people.values():
            mails.wait(address)
        with started(command, tmp_path / "queue", token, "y") as second:
            assert second.wait(PATIENCE) == 1
        running = psutil.Process(program.pid).children(recursive=True)
        (pid,) = (process.pid for process in running if process.name() == "redis-server")
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 130
    said, errors = (tmp_path / "output").read_text(), (tmp_path / "errors").read_text()

    with readers(mails, people, dict.fromkeys(people, 0.0)), started(command, tmp_path, token, "y") as program:
        assert program.wait(PATIENCE) == 0

    assert len(running) == 7  # Redis, and two workers of two processes
    assert not any(process.is_running() for process in running)
    assert said.endswith("0 of 3 are done; run it again to go on with the others\n")
    assert errors.splitlines()[-1] == "register_queue.py: interrupted"
    in_the_way = (tmp_path / "queue" / "errors").read_text().splitlines()[-1]
    assert f"Redis is at work in {tmp_path / 'queue'}, by process {pid} of another run" in in_the_way
    assert (tmp_path / "output").read_text().endswith("3 accounts are registered; workers that had to be replaced: 0\n")
    assert [mails.count(address) for address in people.values()] == [1, 1, 1]
    kept = [tmp_path / "queue", *(tmp_path / "queue").rglob("*.aof"), tmp_path / "queue" / "accounts.json"]
    assert len(kept) >= 3
    assert not any(path.stat().st_mode & 0o077 for path in kept)
    check_accounts(synapse, people, token, tmp_path)


def test_a_name_that_somebody_has(synapse: Synapse, mails: MailServer, new: Person, tmp_path: Path) -> None:
    """The report names it, with the reason; the others are registered, and the exit status tells."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(2)}
    taken, other = people
    synapse.add_user(taken, "the password of somebody else")
    command = arguments(synapse.base_url, people, tmp_path)

    with (
        readers(mails, people, dict.fromkeys(people, 0.0)),
        started(command, tmp_path, new_token(synapse, 2), "y") as program,
    ):
        assert program.wait(PATIENCE) == 1

    assert (tmp_path / "output").read_text().splitlines()[-1].startswith(f"{taken}: 400 M_USER_IN_USE")
    last = (tmp_path / "errors").read_text().splitlines()[-1]
    assert last == "register_queue.py: 1 of 2 failed; run it again to go on with the others"
    assert json.loads((tmp_path / "queue" / "accounts.json").read_text()).keys() == {other}
    assert synapse.can_log_in(taken, "the password of somebody else")


def test_a_rate_limit_gives_the_worker_back(new: Person, tmp_path: Path) -> None:
    """A worker of one thread goes on with the next sign-up at once, however long the homeserver has it wait."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(3)}
    limit = {"errcode": "M_LIMIT_EXCEEDED", "error": "Slow down", "retry_after_ms": 3_000_000}
    with serve(lambda sent: Reply(429, limit)) as wire:
        command = [*arguments(wire.base_url, people, tmp_path), "--workers=1", "--processes=1", "--threads=1"]
        with started(command, tmp_path, "a token", "y") as program:
            deadline = time.monotonic() + PATIENCE
            while len(wire.sent) < 3:
                assert program.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            program.send_signal(signal.SIGINT)
            assert program.wait(PATIENCE) == 130

    assert sorted(sent.body["username"] for sent in wire.sent) == sorted(people)


def test_by_itself(run_example: Run, example_folder: Path) -> None:
    """Without arguments it registers on a Synapse of its own, shows that, and leaves nothing behind."""
    ended = run_example("register_queue.py", "--accounts", "6")

    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(
        "Starting Synapse\nSynapse listens at http://.*\nMails that were sent: 6\n"
        "6 accounts are registered; workers that had to be replaced: 0\n",
        ended.stdout,
    )
    assert list(example_folder.iterdir()) == []


def test_without_redis(run_example: Run, new: Person, tmp_path: Path) -> None:
    """Where there is no Redis, one line says what to install."""
    command = arguments("http://127.0.0.1:9", {new.name: new.address}, tmp_path)

    ended = run_example(*command, lines=("a token", "y"), env={"PATH": ""})

    assert ended.returncode == 1
    assert ended.stderr == "register_queue.py: Redis is not installed: apt-get install redis-server\n"


@pytest.mark.parametrize("lines", ["alice\n", "alice alice@example.org again\n"])
def test_a_file_that_is_no_list_of_sign_ups(run_example: Run, tmp_path: Path, lines: str) -> None:
    """The line that is wrong is named, and nobody is registered."""
    file = tmp_path / "people"
    file.write_text(f"bob bob@example.org\n{lines}")

    ended = run_example("register_queue.py", "--homeserver", "http://127.0.0.1:9", "--sign-ups", str(file))

    assert ended.returncode == 1
    assert ended.stderr == f"register_queue.py: not a user name and an email address: {lines.strip()}\n"
