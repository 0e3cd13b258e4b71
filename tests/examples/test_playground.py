"""examples/throwaway_synapse.py by itself: a homeserver to play with, for as long as somebody likes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from support.accounts import WAITING
from support.programs import Start

from interactive_auth import Homeserver, handlers

Playground = Callable[..., tuple["subprocess.Popen[str]", dict[str, str]]]
#: What it prints, and tests want to know.
SHOWN = {
    "address": r"The homeserver is at   (http://127\.0\.0\.1:\d+)",
    "token": r"Registration token     (\w+)",
    "user": r"An account             (@alice:throwaway\.localhost)",
    "password": r"  its password         (\S+)",
    "access token": r"  its access token     (\S+)",
    "advice": r"  python -m interactive_auth register --homeserver (http://127\.0\.0\.1:\d+)",
}


@pytest.fixture
def playground(start_example: Start) -> Playground:
    """Start it with arguments, and return it with what it has shown, when it is up."""

    def start(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
        program = start_example("throwaway_synapse.py", *arguments)
        assert program.stdout is not None
        said = ""
        while not said.endswith("Ctrl-C stops it.\n"):
            line = program.stdout.readline()
            assert line, said
            said += line
        found = {name: re.search(f"^{pattern}$", said, re.MULTILINE) for name, pattern in SHOWN.items()}
        return program, {name: match[1] for name, match in found.items() if match}

    return start


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_what_it_shows_works(playground: Playground, example_folder: Path, stop: signal.Signals) -> None:
    """With its token, its terms and a mail that it shows somebody registers; stopped, it is gone, and says so."""
    program, shown = playground("--terms", "--email")
    assert program.stdout is not None

    def open_link() -> None:
        assert program.stdout is not None
        while not (found := re.search(r"http://\S+submit_token\S+", line := program.stdout.readline())):
            assert line
        requests.get(found[0], timeout=30).raise_for_status()

    stages = {
        "m.login.registration_token": handlers.registration_token(shown["token"]),
        "m.login.terms": handlers.terms(lambda policies: True),
        "m.login.email.identity": handlers.email(open_link),
    }
    with Homeserver(shown["address"]) as homeserver:
        request = homeserver.register("bob", "a password")
        bob = request.authenticate(stages, inputs={"email_address": "bob@example.org"}, **WAITING)
        alice = homeserver.login("alice", shown["password"])["user_id"]
    with Homeserver(shown["address"], access_token=shown["access token"]) as homeserver:
        assert homeserver.whoami()["user_id"] == alice == shown["user"]
    program.send_signal(stop)
    output, errors = program.communicate()

    assert bob["user_id"] == "@bob:throwaway.localhost"
    assert shown["advice"] == shown["address"]
    assert (program.returncode, errors) == (0, "")
    assert output.splitlines()[-1] == "The homeserver and all of its accounts are gone"
    url = urlsplit(shown["address"])
    with socket.socket() as probe:
        assert probe.connect_ex((url.hostname, url.port)) != 0
    assert list(example_folder.iterdir()) == []


def test_less_and_elsewhere(playground: Playground) -> None:
    """Without a token anybody registers; and it is at the port that was asked for."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    program, shown = playground("--no-token", "--port", str(port))
    with Homeserver(shown["address"]) as homeserver:
        bob = homeserver.register("bob", "a password").authenticate({})
    program.send_signal(signal.SIGINT)
    program.communicate()

    assert shown["address"] == f"http://127.0.0.1:{port}"
    assert "token" not in shown
    assert bob["user_id"] == "@bob:throwaway.localhost"


def test_synapse_that_ends_by_itself(playground: Playground, example_folder: Path) -> None:
    """It does not stay there without its homeserver, and says what happened."""
    program, _ = playground()

    (synapse,) = psutil.Process(program.pid).children()
    synapse.kill()
    _, errors = program.communicate()

    assert program.returncode == 1
    assert errors.startswith("throwaway_synapse.py: Synapse has ended: ")
    assert len(errors.splitlines()) == 1
    assert list(example_folder.iterdir()) == []
