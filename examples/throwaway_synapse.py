"""A real homeserver for an example or a test: Synapse on 127.0.0.1, on SQLite in a temporary folder, gone afterwards.

python throwaway_synapse.py    runs one to play with, until you press Ctrl-C

What it demands of those who register is a matter of configuration; the parts of it that are ready made are the
constants and functions below. The keys are Synapse's own:
https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import _extra  # noqa: F401  # before anything that may be missing
import requests

Config = Mapping[str, Any]

SERVER_NAME = "throwaway.localhost"
#: Seconds that Synapse may take to answer for the first time; it takes one or two.
START_TIMEOUT = 60.0

#: Registration wants nothing: the only stage is m.login.dummy.
OPEN: Config = {"enable_registration": True, "enable_registration_without_verification": True}
#: Registration wants a token, which ``Synapse.add_registration_token`` makes.
TOKEN: Config = {"enable_registration": True, "registration_requires_token": True}
#: Registration wants the privacy policy to be accepted; goes with any of the others.
TERMS: Config = {
    "user_consent": {
        "template_dir": "templates",
        "version": "1.0",
        "require_at_registration": True,
        "policy_name": "Privacy Policy",
    }
}


def email(smtp_port: int) -> Config:
    """Registration wants an email address; the mail goes to an SMTP server on this machine."""
    return {
        "enable_registration": True,
        "registrations_require_3pid": ["email"],
        "email": {
            "smtp_host": "127.0.0.1",
            "smtp_port": smtp_port,
            "enable_tls": False,
            "notif_from": f"Synapse <noreply@{SERVER_NAME}>",
        },
    }


class SynapseError(Exception):
    """Synapse is not installed, or did not start; the text is one line for a person."""


class Synapse:
    """A running homeserver.

    Attributes:
        base_url: its address.
        server_name: the part of its user ids behind the colon.
    """

    def __init__(self, base_url: str, shared_secret: str, session: requests.Session, folder: Path) -> None:
        self.base_url = base_url
        self.server_name = SERVER_NAME
        self._shared_secret = shared_secret
        self._session = session
        self._folder = folder
        self._admin_token: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with all that it has kept if it was stopped before.

        Raises:
            SynapseError: it did not start.
        """
        output = self._folder / "output"
        # An interrupt halfway through Popen would leave a process behind that nobody knows of.
        with interrupts_wait():
            self._process = self._begin(output)
        _wait_until_up(self._process, self.base_url, self._session, output)

    def _begin(self, output: Path) -> subprocess.Popen[bytes]:
        with open(output, "ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "synapse.app.homeserver", "-c", str(self._folder / "homeserver.yaml")],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal is meant for the program, which then stops Synapse in good order.
                start_new_session=True,
            )

    def stop(self) -> None:
        """Stop it; what it knows stays on the disk."""
        if self._process is not None:
            _stop(self._process)

    def wait(self) -> None:
        """Wait until it ends by itself.

        Raises:
            SynapseError: it has ended, as it should not.
        """
        if self._process is not None:
            self._process.wait()
            raise SynapseError(f"Synapse has ended: {_last_words(self._folder / 'output')}")

    def restart(self) -> None:
        """Stop it and start it again, at the same address."""
        self.stop()
        self.start()

    def add_user(self, username: str, password: str, *, admin: bool = False) -> dict[str, Any]:
        """Make an account without any authentication, and return its user_id, access_token and device_id."""
        path = "/_synapse/admin/v1/register"
        nonce = self.call("GET", path)["nonce"]
        text = "\0".join((nonce, username, password, "admin" if admin else "notadmin"))
        mac = hmac.new(self._shared_secret.encode(), text.encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": username, "password": password, "admin": admin, "mac": mac}
        return self.call("POST", path, body)

    def log_in(self, username: str, password: str, **fields: object) -> dict[str, Any]:
        """Log in on one more device, and return its user_id, access_token and device_id."""
        user = {"type": "m.id.user", "user": username}
        login = {"type": "m.login.password", "identifier": user, "password": password, **fields}
        return self.call("POST", "/_matrix/client/v3/login", login)

    def can_log_in(self, username: str, password: str) -> bool:
        """Return whether a password is the user's, by logging in and out again."""
        try:
            device = self.log_in(username, password)
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code != 403:
                raise
            return False
        self.call("POST", "/_matrix/client/v3/logout", {}, access_token=device["access_token"])
        return True

    def add_registration_token(self, token: str, uses_allowed: int | None = None) -> None:
        """Make a registration token; without ``uses_allowed`` it can be used for ever."""
        self.admin("POST", "/_synapse/admin/v1/registration_tokens/new", {"token": token, "uses_allowed": uses_allowed})

    def admin(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call Synapse's admin API."""
        if self._admin_token is None:
            self._admin_token = self.add_user("admin", secrets.token_hex(16), admin=True)["access_token"]
        return self.call(method, path, body, access_token=self._admin_token)

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, access_token: str | None = None
    ) -> dict[str, Any]:
        """Call any API of the homeserver's, for the user whose access token it is.

        Raises:
            requests.HTTPError: the answer is an error.
        """
        headers = {} if access_token is None else {"Authorization": f"Bearer {access_token}"}
        response = self._session.request(method, self.base_url + path, headers=headers, json=body, timeout=30)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


@contextmanager
def throwaway_synapse(*parts: Config, port: int | None = None) -> Iterator[Synapse]:
    """Run Synapse for as long as the block lasts.

    Args:
        *parts: configuration, the later parts winning over the earlier ones.
        port: the port to listen on; None for a free one.

    Raises:
        SynapseError: it is not installed, or did not start.
    """
    if importlib.util.find_spec("synapse") is None:
        raise SynapseError("synapse is not installed; in a clone of the repository: pip install '.[examples]'")
    port = free_port(port)
    base_url = f"http://127.0.0.1:{port}"
    shared_secret = secrets.token_hex(16)
    with ExitStack() as stack:
        with interrupts_wait():  # which would leave the folder behind between its making and its "with"
            made = tempfile.TemporaryDirectory(prefix="throwaway-synapse-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(made))
        _write_policy(folder / "templates" / "en")
        # Every JSON text is YAML, too.
        (folder / "homeserver.yaml").write_text(json.dumps(_config(folder, port, base_url, shared_secret, parts)))
        with requests.Session() as session:
            session.trust_env = False  # neither a proxy nor a netrc file has a part in what stays on this machine
            synapse = Synapse(base_url, shared_secret, session, folder)
            try:
                synapse.start()
                yield synapse
            finally:
                synapse.stop()


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Put off until the end of the block what signals have a program do."""
    if threading.current_thread() is not threading.main_thread():  # Python handles no signal in another one
        yield
        return
    came: list[int] = []
    stops = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    handlers = {stop: handler for stop in stops if callable(handler := signal.getsignal(stop))}
    for stop in handlers:
        signal.signal(stop, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for stop, handler in handlers.items():
            signal.signal(stop, handler)
        for number in came:
            signal.raise_signal(number)


def _config(folder: Path, port: int, base_url: str, shared_secret: str, parts: tuple[Config, ...]) -> dict[str, Any]:
    unlimited = {"per_second": 10000, "burst_count": 10000}
    config: dict[str, Any] = {
        "server_name": SERVER_NAME,
        "public_baseurl": f"{base_url}/",
        "listeners": [
            {
                "port": port,
                "type": "http",
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["client"]}],
            }
        ],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "pid_file": str(folder / "homeserver.pid"),
        "report_stats": False,
        "suppress_key_server_warning": True,
        "trusted_key_servers": [],
        "macaroon_secret_key": secrets.token_hex(16),
        "form_secret": secrets.token_hex(16),
        "registration_shared_secret": shared_secret,
        "bcrypt_rounds": 4,
        "rc_registration": unlimited,
        "rc_registration_token_validity": unlimited,
        "rc_3pid_validation": unlimited,
        "rc_login": {"address": unlimited, "account": unlimited, "failed_attempts": unlimited},
    }
    for part in parts:
        config.update(part)
    if "user_consent" in config:  # Synapse serves the policy only with it, and does not start otherwise
        config["listeners"][0]["resources"][0]["names"].append("consent")
    return config


def _write_policy(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "1.0.html").write_text("<html><body><p>This server forgets everything when it stops.</p></body></html>")
    (folder / "success.html").write_text("<html><body><p>Thank you.</p></body></html>")


def free_port(port: int | None = None) -> int:
    """Return a port of this machine that nobody listens on."""
    while True:
        # Below those that a system gives by itself, to whoever asks for one before this one is used.
        wanted = 20_000 + secrets.randbelow(12_000) if port is None else port
        with socket.socket() as probe:
            # Like Synapse, pass over connections of an earlier run that are still closing.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
                return int(probe.getsockname()[1])
            except OSError as error:
                if port is not None:
                    raise SynapseError(f"Synapse cannot listen on port {port}: {error.strerror}") from None
            except OverflowError:
                raise SynapseError(f"{port} is not a port: it must be between 1 and 65535") from None


def _wait_until_up(process: subprocess.Popen[bytes], base_url: str, session: requests.Session, output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SynapseError(f"Synapse did not start: {_last_words(output)}")
        try:
            if session.get(f"{base_url}/_matrix/client/versions", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise SynapseError(f"Synapse did not answer within {START_TIMEOUT:g} seconds")


def _last_words(output: Path) -> str:
    lines = output.read_text(errors="replace").split("\n")
    return " ".join(line.strip() for line in lines[-5:] if line.strip()) or "it did not say why"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
    finally:  # a second Ctrl-C must not leave it running
        process.kill()
        process.wait()


if __name__ == "__main__":
    from _playground import main  # it stands on this module

    main()
