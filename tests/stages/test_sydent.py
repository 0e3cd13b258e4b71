"""m.login.msisdn, with the phone number validated by Sydent, the identity server that is on PyPI.

Sydent pins a version of signedjson that Synapse refuses, so no environment can have both installed by the rules. All
else that it needs Synapse brings, so it is installed by itself, without its dependencies, into a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.accounts import WAITING, Connect, Person, Watched, addresses_of, owner
from throwaway_services import Inbox, json_server
from throwaway_synapse import Synapse, free_port, throwaway_synapse

from interactive_auth import handlers

MSISDN = "m.login.msisdn"
#: Sydent's only SMS gateway is a company's, whose address is a constant of its code.
PROGRAM = (
    "import sys, sydent.sms.openmarket as sms; sms.API_BASE_URL = sys.argv[1]; from sydent.sydent import main; main()"
)


@pytest.fixture(scope="module")
def sydent_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install Sydent."""
    folder = tmp_path_factory.mktemp("sydent")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--target", str(folder / "packages"), "matrix-sydent>=2.6"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"Sydent cannot be installed: {done.stdout}"
    return folder


@pytest.fixture(scope="module")
def phones() -> Inbox:
    """What arrives on the phones, by number."""
    return Inbox()


@pytest.fixture(scope="module")
def sydent(sydent_folder: Path, phones: Inbox) -> Iterator[str]:
    """Run Sydent; gives its address."""

    def deliver(method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        text = sent["mobileTerminate"]
        phones.put(text["destination"]["address"], text["message"]["content"])
        return 202, {}

    port = free_port()
    (sydent_folder / "sydent.conf").write_text(
        "[general]\nserver.name = sydent.localhost\nip.whitelist = 127.0.0.1\nenable_v1_access = true\n"
        f"[http]\nclientapi.http.bind_address = 127.0.0.1\nclientapi.http.port = {port}\n"
        "[sms]\nbodyTemplate = {token}\nusername = a-user\npassword = a-password\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(sydent_folder / "packages")}
    with json_server(deliver) as gateway, open(sydent_folder / "output", "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, gateway],
            cwd=sydent_folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            base_url = f"http://127.0.0.1:{port}"
            wait_until_up(process, base_url, sydent_folder / "output")
            yield base_url
        finally:
            process.terminate()
            process.wait(10)


def wait_until_up(process: subprocess.Popen[bytes], base_url: str, output: Path) -> None:
    """Return when the identity server answers."""
    deadline = time.monotonic() + 60
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < deadline:
            assert process.poll() is None, f"Sydent did not start: {output.read_text()}"
            try:
                if session.get(f"{base_url}/_matrix/identity/versions", timeout=5).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)  # it has no other way to say that it listens
    pytest.fail(f"Sydent did not answer: {output.read_text()}")


@pytest.fixture(scope="module")
def sydent_server(sydent: str) -> Iterator[Synapse]:
    required = {"enable_registration": True, "registrations_require_3pid": ["msisdn"]}
    with throwaway_synapse(required, {"account_threepid_delegates": {"msisdn": sydent}}) as running:
        yield running


def test_msisdn_through_sydent_wrong_code_then_right(
    sydent_server: Synapse, phones: Inbox, connect: Connect, watched: Watched, new: Person
) -> None:
    """A wrong code, which Synapse before Sydent answers 400, brings the stage back; the one in the SMS registers."""
    homeserver = connect(sydent_server.base_url)
    guesses: list[Callable[[], str]] = [lambda: "no-such-code", lambda: phones.wait(new.international)]
    callbacks = {MSISDN: handlers.msisdn(lambda: guesses.pop(0)(), homeserver)}
    inputs: Any = {"phone_country": "GB", "phone_number": new.number}

    account = homeserver.register(new.name, new.password).authenticate(watched(callbacks), inputs=inputs, **WAITING)

    assert owner(sydent_server, account) == new.user_id
    assert addresses_of(sydent_server, new.user_id) == {("msisdn", new.international)}
    assert [(stage.type, stage.attempt) for stage in watched.seen] == [(MSISDN, 1), (MSISDN, 2)]
    assert watched.seen[1].error is not None
    assert watched.seen[1].error.errcode == "M_UNAUTHORIZED"
