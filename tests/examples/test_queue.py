"""examples/register_queue.py: stopped and run again, with people who cannot register, limits, and no Redis."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import psutil
import pytest
from support.accounts import Person, new_token
from support.programs import EXAMPLES, Run, Start
from support.wire import Reply, Sent, serve
from throwaway_redis import redis_server
from throwaway_services import MailServer
from throwaway_synapse import Synapse

from interactive_auth.testing import UIAServer

from .queue_runs import PATIENCE, arguments, check_accounts, readers, started

pytestmark = pytest.mark.usefixtures("redis_installed")


def test_ctrl_c_and_run_again(strict_synapse: Synapse, mails: MailServer, new: Person, tmp_path: Path) -> None:
    """It says how many are done, and leaves nothing running; the next run goes on in the same sessions."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(3)}
    token = new_token(strict_synapse, len(people))
    command = arguments(strict_synapse.base_url, people, tmp_path)
    with started(command, tmp_path, token, "y") as program:
        for address in people.values():
            mails.wait(address)
        with started(command, tmp_path / "queue", token, "y") as second:
            assert second.wait(PATIENCE) == 1
        running = psutil.Process(program.pid).children(recursive=True)
        (pid,) = (process.pid for process in running if process.name() == "redis-server")
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 130
    errors = (tmp_path / "errors").read_text()

    with readers(mails, people, dict.fromkeys(people, 0.0)), started(command, tmp_path, token, "y") as program:
        assert program.wait(PATIENCE) == 0

    assert len(running) >= 4  # Redis, two workers, and as many of their processes as are up
    assert not any(process.is_running() for process in running)
    assert errors.splitlines()[-1] == "register_queue.py: interrupted: 0 of 3 are done; run it again to go on"
    in_the_way = (tmp_path / "queue" / "errors").read_text().splitlines()[-1]
    assert f"Redis is at work in {tmp_path / 'queue'}, by process {pid} of another run" in in_the_way
    assert (tmp_path / "output").read_text().endswith("3 accounts are registered; workers that had to be replaced: 0\n")
    assert [mails.count(address) for address in people.values()] == [1, 1, 1]
    kept = [tmp_path / "queue", *(tmp_path / "queue").rglob("*.aof"), tmp_path / "queue" / "accounts.json"]
    assert len(kept) >= 3
    assert not any(path.stat().st_mode & 0o077 for path in kept)
    check_accounts(strict_synapse, people, token, tmp_path)


def test_a_name_that_somebody_has(strict_synapse: Synapse, mails: MailServer, new: Person, tmp_path: Path) -> None:
    """The report names it, with the reason; the others are registered, and the exit status tells."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(2)}
    taken, other = people
    strict_synapse.add_user(taken, "the password of somebody else")
    command = arguments(strict_synapse.base_url, people, tmp_path)

    with (
        readers(mails, people, dict.fromkeys(people, 0.0)),
        started(command, tmp_path, new_token(strict_synapse, 2), "y") as program,
    ):
        assert program.wait(PATIENCE) == 1

    assert (tmp_path / "output").read_text().splitlines()[-1].startswith(f"{taken}: 400 M_USER_IN_USE")
    last = (tmp_path / "errors").read_text().splitlines()[-1]
    assert last == "register_queue.py: 1 of 2 failed; run it again to go on"
    assert json.loads((tmp_path / "queue" / "accounts.json").read_text()).keys() == {other}
    assert strict_synapse.can_log_in(taken, "the password of somebody else")


def test_a_rate_limit_gives_the_worker_back(new: Person, tmp_path: Path) -> None:
    """A worker of one thread goes on with the next sign-up at once, however long the homeserver has it wait."""
    people = {f"{new.name}-{number}": f"{new.name}-{number}@example.org" for number in range(3)}
    limit = {"errcode": "M_LIMIT_EXCEEDED", "error": "Slow down", "retry_after_ms": 3_000_000}

    def answer(sent: Sent) -> Reply:
        return Reply(200, {"versions": ["v1.17"]}) if sent.path.endswith("/versions") else Reply(429, limit)

    with serve(answer) as wire:
        command = [*arguments(wire.base_url, people, tmp_path), "--workers=1", "--processes=1", "--threads=1"]
        with started(command, tmp_path, "a token", "y") as program:
            deadline = time.monotonic() + PATIENCE
            while len(wire.sent) < 5:
                assert program.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            program.send_signal(signal.SIGINT)
            assert program.wait(PATIENCE) == 130

    # Before the sign-ups it looks at whether this is a homeserver, and one that registers people.
    assert sorted(sent.body["username"] for sent in wire.sent[2:]) == sorted(people)


#: A worker that has two sign-ups to end: one that nobody can go on with, and one that began 23 and a half hours ago.
WORKER = """
import json, time
import dramatiq, queue_actor
kept = {"alice": {}, "bob": {"password": "secret", "begun": time.time() - 23.5 * 3600, "auth": {}}}
for name, record in kept.items():
    queue_actor.store.hset(queue_actor.SIGN_UPS, name, json.dumps(record))
    queue_actor.sign_up.send(name)
worker = dramatiq.Worker(queue_actor.broker, worker_threads=1)
worker.start()
while queue_actor.store.hlen(queue_actor.SIGN_UPS):
    time.sleep(0.05)
worker.stop()
print(json.dumps(queue_actor.store.hgetall(queue_actor.FAILURES)))
"""


def test_what_is_given_up(start_program: Start, tmp_path: Path) -> None:
    """What nobody has foreseen, and what would have waited for more than a day, ends as a failure with its reason."""
    limit = {"errcode": "M_LIMIT_EXCEEDED", "error": "Slow down", "retry_after_ms": 3_000_000}
    with serve(lambda sent: Reply(429, limit)) as wire, redis_server(tmp_path) as url:
        environment = {"REDIS_URL": url, "HOMESERVER_URL": wire.base_url, "REGISTRATION_TOKEN": "a token"}
        said, errors = start_program("-c", WORKER, env=environment, cwd=EXAMPLES).communicate(timeout=PATIENCE)

    failures = json.loads(said or "{}")
    assert failures.keys() == {"alice", "bob"}, errors
    assert failures["alice"] == "KeyError: 'password'"
    assert failures["bob"].startswith("429 M_LIMIT_EXCEEDED: Slow down")


def test_by_itself(run_example: Run, example_folder: Path) -> None:
    """Without arguments it registers on a Synapse of its own, shows that, and leaves nothing behind."""
    ended = run_example("register_queue.py", "--accounts", "6")

    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(
        "Register many accounts.*\nStarting a homeserver.*\nSynapse listens at http://.*\n"
        "Registering 6 accounts.*\nMails that were sent: 6\n"
        "6 accounts are registered; workers that had to be replaced: 0\n",
        ended.stdout,
    )
    assert list(example_folder.iterdir()) == []


def test_without_redis(run_example: Run, uia_server: UIAServer, new: Person, tmp_path: Path) -> None:
    """Where there is no Redis, one line says what to install."""
    command = arguments(uia_server.base_url, {new.name: new.address}, tmp_path)

    ended = run_example(*command, lines=("a token", "y"), env={"PATH": ""})

    assert ended.returncode == 1
    assert ended.stderr == "register_queue.py: Redis is not installed: apt-get install redis-server\n"


@pytest.mark.parametrize("lines", ["alice\n", "alice alice@example.org again\n"])
def test_a_file_that_is_no_list_of_sign_ups(
    run_example: Run, uia_server: UIAServer, tmp_path: Path, lines: str
) -> None:
    """The line that is wrong is named, and nobody is registered."""
    file = tmp_path / "people"
    file.write_text(f"bob bob@example.org\n{lines}")

    ended = run_example("register_queue.py", "--homeserver", uia_server.base_url, "--sign-ups", str(file))

    assert ended.returncode == 1
    assert ended.stderr == f"register_queue.py: not a user name and an email address: {lines.strip()}\n"
