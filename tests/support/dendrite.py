"""A plugin: Dendrite as a throwaway homeserver, on 127.0.0.1, on SQLite in a temporary folder, gone afterwards.

Its configuration is one section for each of its components; see ``dendrite-sample.yaml`` in its source. What must not
be here: what it answers, which is in ``tests/servers``.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from throwaway_synapse import SERVER_NAME, START_TIMEOUT, Config, Synapse, free_port

#: The version that the recorded answers are of, as Go names it.
VERSION = "v0.13.8"
#: Registration wants nothing: the only stage is m.login.dummy.
OPEN: Config = {"registration_disabled": False}
#: Whoever has no account gets none.
CLOSED: Config = {"registration_disabled": True}

_MISSING = (
    f"Dendrite is not installed: go install github.com/matrix-org/dendrite/cmd/dendrite@{VERSION} (Go 1.21 or newer), "
    "then name the program in the environment variable DENDRITE, or have it on the PATH"
)
_DATABASES = {
    "federation_api": "database",
    "key_server": "database",
    "media_api": "database",
    "mscs": "database",
    "relay_api": "database",
    "room_server": "database",
    "sync_api": "database",
    "user_api": "account_database",
}


class Dendrite(Synapse):
    """A running homeserver; accounts are made, and looked at, by the same requests as on a Synapse.

    What only Synapse has, its admin API, is answered 404.
    """

    def __init__(
        self, program: str, base_url: str, shared_secret: str, session: requests.Session, folder: Path
    ) -> None:
        super().__init__(base_url, shared_secret, session, folder)
        self._program = program

    def start(self) -> None:
        """Start it, with all that it has kept if it was stopped before: accounts and devices, but no UIA sessions.

        Raises:
            RuntimeError: it did not start.
        """
        output = self._folder / "output"
        with open(output, "ab") as stream:
            self._process = subprocess.Popen(
                [
                    self._program,
                    "--config=dendrite.yaml",
                    f"--http-bind-address={self.base_url.removeprefix('http://')}",
                    "--really-enable-open-registration",  # where registration is open, and has no captcha
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self._session.get(f"{self.base_url}/_matrix/client/versions", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise RuntimeError(f"Dendrite did not start: {output.read_text(errors='replace')[-2000:]}")


@contextmanager
def throwaway_dendrite(program: str, client_api: Config) -> Iterator[Dendrite]:
    """Run Dendrite for as long as the block lasts.

    Args:
        program: the path of its executable file.
        client_api: what its client API's section of the configuration has beside the usual.

    Raises:
        RuntimeError: it did not start.
    """
    shared_secret = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="throwaway-dendrite-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "signing.pem").write_text(_make_signing_key())
        # Every JSON text is YAML, too.
        (folder / "dendrite.yaml").write_text(json.dumps(_config(folder, shared_secret, client_api)))
        with requests.Session() as session:
            session.trust_env = False
            dendrite = Dendrite(program, f"http://127.0.0.1:{free_port()}", shared_secret, session, folder)
            try:
                dendrite.start()
                yield dendrite
            finally:
                dendrite.stop()


def _make_signing_key() -> str:
    """Make a signing key in the only form that Dendrite reads, a PEM block with the key's name."""
    seed = base64.b64encode(secrets.token_bytes(32)).decode()
    return f"-----BEGIN MATRIX PRIVATE KEY-----\nKey-ID: ed25519:auto\n\n{seed}\n-----END MATRIX PRIVATE KEY-----\n"


def _config(folder: Path, shared_secret: str, client_api: Config) -> Mapping[str, Any]:
    config: dict[str, Any] = {
        section: {key: {"connection_string": f"file:{folder / section}.db"}} for section, key in _DATABASES.items()
    }
    config["version"] = 2
    config["global"] = {
        "server_name": SERVER_NAME,
        "private_key": "signing.pem",
        "disable_federation": True,
        "jetstream": {"in_memory": True},
        "cache": {"max_size_estimated": "8mb", "max_age": "1h"},
    }
    config["client_api"] = {
        "registration_shared_secret": shared_secret,
        "rate_limiting": {"enabled": False},
        **client_api,
    }
    config["media_api"]["base_path"] = "media"
    config["user_api"]["bcrypt_cost"] = 4  # of the password's hash, the least there is
    config["logging"] = [{"type": "std", "level": "warn"}]
    return config


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line that Dendrite is missing, however many tests were skipped for it."""
    skipped = sum(_MISSING in str(report.longrepr) for report in terminalreporter.getreports("skipped"))
    if skipped:
        terminalreporter.line(f"{skipped} tests were skipped: {_MISSING}")


@pytest.fixture(scope="session")
def dendrite_program(request: pytest.FixtureRequest) -> str:
    """Find the executable file."""
    program = os.environ.get("DENDRITE") or shutil.which("dendrite")
    if program is None:
        if request.config.getoption("--need-dendrite"):
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    return program


@pytest.fixture(scope="session")
def dendrite(dendrite_program: str) -> Iterator[Dendrite]:
    """Run a Dendrite that registers everybody; its only stage is m.login.dummy."""
    with throwaway_dendrite(dendrite_program, OPEN) as running:
        yield running
