"""examples/register_queue.py: whatever is killed, each sign-up ends in one account, by one worker at a time."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.accounts import Person, new_token, uses_of
from throwaway_services import MailServer
from throwaway_synapse import Synapse

from .queue_runs import PATIENCE, arguments, check_accounts, readers, started
from .witness import Seen, witness

pytestmark = pytest.mark.usefixtures("redis_installed")

Sized = Callable[[int, int], int]

#: Seconds that a request may be on its way, which its sender does not live to see arrive; and those after an answer
#: within which its worker has kept what came of it.
ON_ITS_WAY, KEPT = 0.5, 2.0


@pytest.fixture
def people(new: Person, sized: Sized) -> dict[str, str]:
    """The addresses of those who sign up, by user name."""
    names = [f"{new.name}-{number:03}" for number in range(1, sized(12, 200) + 1)]
    return {name: f"{name}@example.org" for name in names}


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
        return seen.status is None or any(seen.begun - ON_ITS_WAY <= kill <= seen.ended + KEPT for kill in kills)

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
        if request.body:  # not where the program looks beforehand whether people can register here
            stories[who(request)].append(request)
    assert stories.keys() == mails.keys()
    for name, story in stories.items():
        check_story(story, kills, mails[name])


@pytest.mark.slow
def test_killed_all_the_time(
    strict_synapse: Synapse,
    mails: MailServer,
    people: dict[str, str],
    tmp_path: Path,
    draw: random.Random,
    sized: Sized,
) -> None:
    """Processes, workers and whole groups are killed, in waits and in requests; each account is made once, and ours."""
    token = new_token(strict_synapse, len(people))
    moments = {name: draw.uniform(0, sized(4, 60)) for name in people}
    kills: list[float] = []
    begun = time.monotonic()
    with (
        witness(strict_synapse.base_url, draw) as proxy,
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
    check_accounts(strict_synapse, people, token, tmp_path)
    check_stories(proxy.seen, kills, {name: mails.count(address) for name, address in people.items()})


@pytest.mark.slow
def test_a_worker_that_is_suspended(
    strict_synapse: Synapse, mails: MailServer, new: Person, tmp_path: Path, draw: random.Random
) -> None:
    """What it was doing is taken over; when it wakes up, its lock is lost, and it sends nothing more."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(4)}
    token = new_token(strict_synapse, len(people))
    with (
        witness(strict_synapse.base_url, draw) as proxy,
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
        while uses_of(strict_synapse, token) != (len(people), 0):
            assert time.monotonic() < moment + PATIENCE
            time.sleep(0.1)
        suspended.resume()
        assert program.wait(PATIENCE) == 0, (tmp_path / "errors").read_text()

    check_accounts(strict_synapse, people, token, tmp_path)
    check_stories(proxy.seen, [moment], {name: mails.count(address) for name, address in people.items()})
    assert "no longer owned" in (tmp_path / "queue" / "workers.log").read_text()
