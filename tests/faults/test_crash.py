"""A program that registers is killed at any moment and started again: it finishes what it began, once.

It saves its state where ``state_changed`` gives it, and nowhere else. The kills are SIGKILL, so nothing gets a chance
to clean up.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from support.accounts import Person, addresses_of, new_token, owner, uses_of
from throwaway_services import MailServer
from throwaway_synapse import TERMS, TOKEN, Synapse, email, throwaway_synapse

from interactive_auth import Homeserver, InteractiveAuth

PROGRAM = Path(__file__).with_name("registering_program.py")
EMAIL = "m.login.email.identity"
#: Seconds, longer than anything takes that works, so that what hangs fails.
PATIENCE = 60.0
#: As many programs run at a time.
AT_A_TIME = 3


class Registration:
    """One registration, by however many runs of the program; what is left of it is on the disk and on the server."""

    def __init__(self, synapse: Synapse, mails: MailServer, folder: Path) -> None:
        self.new = Person()
        self.token = new_token(synapse)
        self.folder = folder / self.new.name
        self.folder.mkdir(parents=True)
        self._synapse = synapse
        self._mails = mails

    def start(self, kill_at: int = 0, wait_in: str | None = None) -> subprocess.Popen[str]:
        """Start the program."""
        settings = {
            "base_url": self._synapse.base_url,
            "username": self.new.name,
            "token": self.token,
            "address": self.new.address,
            "folder": str(self.folder),
            "kill_at": kill_at,
            "wait_in": wait_in,
        }
        command = [sys.executable, str(PROGRAM), json.dumps(settings)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def run(self, kill_at: int = 0, wait_in: str | None = None) -> str | int:
        """Run the program to its end, and return its return code, or what it said of an error."""
        return self.end(self.start(kill_at, wait_in))

    def end(self, program: subprocess.Popen[str]) -> str | int:
        """Wait for the program's end."""
        with program:
            try:
                _, errors = program.communicate(timeout=PATIENCE)
            finally:
                program.kill()
        return errors or program.returncode

    @contextmanager
    def person(self) -> Iterator[None]:
        """Have somebody open the link of each mail as it arrives, and then tell the program to go on."""
        gone = threading.Event()

        def open_links() -> None:
            opened = 0
            while not gone.is_set():
                if self.mails() == opened:
                    gone.wait(0.01)
                    continue
                opened += 1
                self.open_mail(opened)
                self.go_on()

        with ThreadPoolExecutor(1) as executor:
            opening = executor.submit(open_links)
            try:
                yield
            finally:
                gone.set()
                opening.result()

    def go_on(self) -> None:
        """Tell the program to go on in the callback in which it waits."""
        (self.folder / "go").touch()

    def open_mail(self, number: int) -> None:
        """Open the link of a mail, again if need be: Synapse sends the mail before it stores what it is to validate."""
        link = self._mails.wait_for_link(self.new.address, number)
        deadline = time.monotonic() + PATIENCE
        while True:
            response = requests.get(link, timeout=PATIENCE)
            if response.status_code != 400 or time.monotonic() > deadline:
                response.raise_for_status()
                return
            time.sleep(0.05)

    def mails(self) -> int:
        """Return how many mails have come."""
        return self._mails.count(self.new.address)

    def log(self) -> list[dict[str, Any]]:
        """Return what the program has done, in all of its runs."""
        file = self.folder / "log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def points(self) -> list[str]:
        """Return the points that the program has passed, in all of its runs."""
        return [entry["point"] for entry in self.log() if "point" in entry]

    def without_session(self) -> int:
        """Return how many requests have named no session, each of which may have opened one."""
        return sum("asked" in entry and entry["session"] is None for entry in self.log())

    def wait_for(self, key: str, times: int = 1) -> None:
        """Wait until the program has noted something so many times."""
        deadline = time.monotonic() + PATIENCE
        while sum(key in entry for entry in self.log()) < times:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def assert_done_once(self, *, without_session: set[int], mails: set[int]) -> None:
        """Fail unless there is one account, by one session, with one use of the token and its access token at hand.

        Args:
            without_session: how many requests may have named no session, and so may have opened one.
            mails: how many mails may have been sent.
        """
        synapse, log = self._synapse, self.log()
        story = "\n".join(map(str, log))
        account = json.loads((self.folder / "account").read_text())
        assert owner(synapse, account) == self.new.user_id
        assert addresses_of(synapse, self.new.user_id) == {("email", self.new.address)}
        assert synapse.admin("GET", f"/_synapse/admin/v2/users?name={self.new.name}")["total"] == 1
        assert uses_of(synapse, self.token) == (1, 0)
        assert self.without_session() in without_session, story
        assert len({entry["session"] for entry in log if "asked" in entry} - {None}) == 1, story
        assert self.mails() in mails, story


@pytest.fixture(scope="module")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a Synapse that wants a token, its terms accepted, and an email address."""
    with throwaway_synapse(TOKEN, TERMS, email(mails.port)) as running:
        running.admin("GET", "/_synapse/admin/v2/users")  # log the administrator in before any thread does
        yield running


@pytest.fixture
def register(synapse: Synapse, mails: MailServer, tmp_path: Path) -> Callable[[], Registration]:
    """Make registrations that have not begun."""
    return lambda: Registration(synapse, mails, tmp_path)


@pytest.mark.slow
def test_killed_at_a_point(
    register: Callable[[], Registration], draw: random.Random, sized: Callable[[int, int], int]
) -> None:
    """Killed around each save, each request and each answer, the program finishes the session it began."""
    undisturbed = register()
    with undisturbed.person():
        assert undisturbed.run(wait_in=EMAIL) == 0
    undisturbed.assert_done_once(without_session={1}, mails={1})
    points = undisturbed.points()
    assert len(points) >= 50
    numbers = sorted(draw.sample(range(1, len(points) + 1), sized(6, len(points))))
    # A session is known from the moment on at which the answer that opened it is saved. Killed before, with the request
    # under way, the program opens another one, and has done nothing in the first.
    asked = points.index("register with None: before bytes go out")
    known = points.index("register with None: after the state is in place", asked)
    # Likewise the mail: until its sid is saved, the program has to ask for it again, and Synapse sends another one if
    # it is still sending the first or that one's link was opened already.
    mail = points.index("mail: before bytes go out")
    sid_known = points.index("mail: after the state is in place", mail)

    def check(number: int) -> None:
        registration = register()
        with registration.person():
            assert registration.run(number, wait_in=EMAIL) == -signal.SIGKILL
            assert registration.points() == points[:number]
            if not (registration.folder / "account").exists():
                assert registration.run(wait_in=EMAIL) == 0
        opened = 2 if asked <= number - 1 < known else 1
        most_mails = 2 if mail <= number - 1 < sid_known else 1
        registration.assert_done_once(without_session={opened}, mails=set(range(1, most_mails + 1)))

    with ThreadPoolExecutor(AT_A_TIME) as executor:
        list(executor.map(check, numbers))
    print(f"killed at {len(numbers)} of {len(points)} points")


@pytest.mark.slow
def test_killed_from_outside(
    register: Callable[[], Registration], draw: random.Random, sized: Callable[[int, int], int]
) -> None:
    """Killed again and again, at moments that nobody chose, the program finishes in the end, once."""
    moments = [[draw.uniform(0, 0.4) for _ in range(3)] for _ in range(sized(2, 30))]

    def check(seconds: list[float]) -> None:
        registration = register()
        killed = 0
        with registration.person():
            for count, moment in enumerate(seconds, 1):
                program = registration.start()
                registration.wait_for("started", count)
                time.sleep(moment)
                program.kill()
                killed += registration.end(program) == -signal.SIGKILL
                if (registration.folder / "account").exists():
                    break
            else:
                assert registration.run() == 0
        registration.assert_done_once(without_session=set(range(1, killed + 2)), mails=set(range(1, killed + 2)))
        kills.append(killed)
        more_sessions.append(registration.without_session() - 1)
        more_mails.append(registration.mails() - 1)

    kills: list[int] = []
    more_sessions: list[int] = []
    more_mails: list[int] = []
    with ThreadPoolExecutor(AT_A_TIME) as executor:
        list(executor.map(check, moments))
    print(f"killed {sum(kills)} times in {len(moments)} registrations, at the cost of")
    print(f"{sum(more_sessions)} more requests without a session and {sum(more_mails)} more mails")
    assert sum(kills) > 0


@pytest.mark.parametrize(
    ("stage", "killed"), [("m.login.terms", False), (EMAIL, True)], ids=["program lives", "program is killed"]
)
def test_synapse_restarts(synapse: Synapse, register: Callable[[], Registration], stage: str, killed: bool) -> None:
    """A restart of the homeserver in the middle, with the program alive or killed, costs neither session nor mail."""
    registration = register()
    program = registration.start(wait_in=stage)
    registration.wait_for("waiting")
    if killed:
        program.kill()
        assert registration.end(program) == -signal.SIGKILL

    synapse.restart()

    registration.go_on()
    with registration.person():
        assert (registration.run() if killed else registration.end(program)) == 0
    registration.assert_done_once(without_session={1}, mails={1})


def test_synapse_restarts_under_polls(synapse: Synapse, register: Callable[[], Registration]) -> None:
    """A program that polls polls on while the homeserver is down, and finishes when it is back."""
    registration = register()
    program = registration.start()
    registration.wait_for("polling")

    synapse.restart()

    with registration.person():
        assert registration.end(program) == 0
    registration.assert_done_once(without_session={1}, mails={1})


def test_another_mail_after_a_crash(synapse: Synapse, register: Callable[[], Registration]) -> None:
    """A mail that is asked for again in another process is really sent, and its link finishes the old session."""
    registration = register()
    program = registration.start(wait_in=EMAIL)
    registration.wait_for("waiting")
    program.kill()
    registration.end(program)
    state = json.loads((registration.folder / "state").read_text())

    with Homeserver(synapse.base_url) as homeserver:
        request = homeserver.register(registration.new.name, "a password")
        auth = InteractiveAuth(request, lambda stage: None, poll_interval=0.1, **state)
        # Nobody has opened the first link: for a validated address Synapse would send another mail in any case.
        auth.request_email_token()
        assert registration.mails() == 2
        registration.open_mail(2)
        account = auth.attempt_auth()

    (registration.folder / "account").write_text(json.dumps(account))
    registration.assert_done_once(without_session={1}, mails={2})
