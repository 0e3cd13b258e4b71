"""Register many accounts with workers on a queue (Dramatiq and Redis); if one is killed, the others go on.

python register_queue.py                                           on a Synapse started for this
python register_queue.py --homeserver example.org --sign-ups FILE  on any other homeserver; it asks you for the token

The file has a line for each sign-up: user name and email address. All that is known of them is kept in the folder,
which only you may read; in the end the accounts are in its file accounts.json. What a worker does is in queue_actor.py.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from _common import NotDoneError, agrees, arguments, ask, check_offered, run, save, say, throwaway
from redis import RedisError
from requests import HTTPError
from throwaway_redis import redis_server
from throwaway_services import MailServer
from throwaway_synapse import TERMS, TOKEN
from tqdm import tqdm  # type: ignore[import-untyped]  # it has no types

from interactive_auth import Homeserver

#: Seconds that a worker may take to stop: its threads end their steps, which are a few requests each.
PATIENCE = 30.0
#: What Dramatiq exits with if it cannot import its actors, or cannot reach Redis; it is 1 if one of it was killed.
FAILED = (2, 3)


class Workers:
    """Dramatiq's workers, each a group of processes; one that has ended is replaced, as systemd would do it.

    Attributes:
        replaced: how many were.
    """

    def __init__(self, options: argparse.Namespace, log: IO[bytes]) -> None:
        self.replaced = 0
        sizes = ("--processes", str(options.processes), "--threads", str(options.threads))
        self._command = [sys.executable, "-m", "dramatiq", "queue_actor", *sizes, "--path", str(Path(__file__).parent)]
        self._log = log
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start one more."""
        # In a session of its own: Ctrl-C in a terminal is meant for the program.
        worker = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True
        )
        self._running.append(worker)

    def replace_ended(self) -> None:
        """Start another one for each that has ended.

        Raises:
            NotDoneError: one has failed by itself, as the next one would.
        """
        for worker in [worker for worker in self._running if worker.poll() is not None]:
            self._running.remove(worker)
            _kill_rest(worker)
            if worker.returncode in FAILED:
                raise NotDoneError(f"a worker ended with {worker.returncode}: see {self._log.name}")
            self.start()
            self.replaced += 1

    def stop(self) -> None:
        """Let them finish their steps, and hand over what they have not begun."""
        for worker in self._running:
            worker.terminate()
        deadline = time.monotonic() + PATIENCE
        for worker in self._running:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(max(deadline - time.monotonic(), 0))
            _kill_rest(worker)
            worker.wait()


def _kill_rest(worker: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a worker, for example its processes after it was killed itself."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)


@contextmanager
def working(options: argparse.Namespace, folder: Path) -> Iterator[Workers]:
    """Run the workers for as long as the block lasts."""
    with open(folder / "workers.log", "ab") as log:
        workers = Workers(options, log)
        try:
            for _ in range(options.workers):
                workers.start()
            yield workers
        finally:
            workers.stop()


def register_all(
    environment: Mapping[str, str],
    addresses: Mapping[str, str],
    options: argparse.Namespace,
    folder: Path,
    meanwhile: Callable[[], None] = lambda: None,
) -> str:
    """Register those who are not registered yet.

    Args:
        environment: what the workers have to know of the homeserver.
        addresses: the email addresses by user name.
        options: how many workers there are.
        folder: where everything is kept.
        meanwhile: is called a few times a second.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    say(f"Registering {len(addresses)} accounts with {options.workers} workers, who log to {folder}/workers.log")
    with redis_server(folder) as url:
        os.environ.update(environment, REDIS_URL=url)
        import queue_actor as actor  # here, because it finds its Redis in the environment, as in the workers

        def left() -> set[str]:
            ended = {*actor.store.hkeys(actor.ACCOUNTS), *actor.store.hkeys(actor.FAILURES)}
            return addresses.keys() - ended

        try:
            # What an earlier run has left: messages, of which each sign-up needs only one, and failures, to try again.
            actor.broker.flush_all()
            actor.store.delete(actor.FAILURES)
            for name in sorted(left()):
                actor.begin(name, addresses[name])
                actor.sign_up.send(name)
            with (
                working(options, folder) as workers,
                tqdm(total=len(addresses), unit=" accounts", initial=len(addresses) - len(left())) as bar,
            ):
                while waiting := left():
                    workers.replace_ended()
                    meanwhile()
                    bar.set_postfix(workers_replaced=workers.replaced, refresh=False)
                    bar.update(len(addresses) - len(waiting) - bar.n)
                    time.sleep(0.2)
                bar.update(len(addresses) - bar.n)
        except KeyboardInterrupt:
            done = len(addresses) - len(left())
            raise KeyboardInterrupt(f"{done} of {len(addresses)} are done; {options.rerun}") from None
        except RedisError as error:
            raise NotDoneError(f"Redis failed: {error}; {options.rerun}") from None
        failures = actor.store.hgetall(actor.FAILURES)
        accounts = actor.store.hgetall(actor.ACCOUNTS)
    save(folder / "accounts.json", {name: json.loads(account) for name, account in accounts.items()})
    for name in sorted(failures):
        say(f"{name}: {failures[name]}")
    if failures:
        raise NotDoneError(f"{len(failures)} of {len(addresses)} failed; {options.rerun}")
    return f"{len(addresses)} accounts are registered; workers that had to be replaced: {workers.replaced}"


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Register them with token, terms and email; somebody opens the link in each mail as it comes."""
    options.rerun = "another run begins anew, on another homeserver"
    addresses = {f"queue{number:03}": f"queue{number:03}@example.org" for number in range(1, options.accounts + 1)}
    opened = dict.fromkeys(addresses.values(), 0)

    def open_links(mails: MailServer) -> None:
        for address, number in opened.items():
            if mails.count(address) > number:
                with suppress(HTTPError):  # not yet: Synapse sends the mail before it keeps what it is for
                    mails.open_link(address)
                    opened[address] += 1

    demands = {**TOKEN, "registrations_require_3pid": ["email"]}
    with throwaway(demands, TERMS) as (synapse, mails), tempfile.TemporaryDirectory() as folder:
        synapse.add_registration_token("please-let-us-in", uses_allowed=options.accounts)
        environment = {"HOMESERVER_URL": synapse.base_url, "REGISTRATION_TOKEN": "please-let-us-in"}
        done = register_all(environment, addresses, options, Path(folder, "queue"), lambda: open_links(mails))
        say(f"Mails that were sent: {sum(map(mails.count, opened))}")
        return done


def on_homeserver(options: argparse.Namespace) -> str:
    """Register the people who are listed in a file."""
    options.rerun = "run it again to go on"
    if options.sign_ups is None:
        raise NotDoneError("nobody to register: name a file with --sign-ups")
    lines = [line.split() for line in options.sign_ups.read_text().splitlines() if line.strip()]
    if wrong := [" ".join(line) for line in lines if len(line) != 2]:
        raise NotDoneError(f"not a user name and an email address: {wrong[0]}")
    with Homeserver(options.homeserver) as homeserver:
        check_offered(homeserver, "register")
    token = ask("Registration token (anything, if none is wanted): ", secret=True)
    if not agrees("Has everybody accepted the homeserver's terms of service, if it has any?"):
        raise NotDoneError("nobody was registered")
    addresses = dict(lines)
    environment = {"HOMESERVER_URL": options.homeserver, "REGISTRATION_TOKEN": token}
    return register_all(environment, addresses, options, options.folder)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--sign-ups", type=Path, metavar="FILE", help="who signs up on another homeserver")
    parser.add_argument("--accounts", type=int, default=40, help="how many, without it (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("queue"), help="of what is kept (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="how many (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="of each worker (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=4, help="of each process (default: %(default)s)")
    run(parser, on_throwaway_synapse, on_homeserver)
