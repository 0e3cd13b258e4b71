"""What the end-to-end tests share: homeservers, each started once, a mailbox, and a server that plays dead."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from throwaway_services import MailServer, mail_server
from throwaway_synapse import OPEN, TERMS, TOKEN, Synapse, email, throwaway_synapse

from interactive_auth import Homeserver

#: Longer than anything takes that works, so that what hangs fails.
PATIENCE = 30.0
EXAMPLE = Path(__file__).parents[2] / "examples" / "register.py"


class Inbox(MailServer):
    """Catches the mail of a homeserver, and does with it what a person would."""

    def link(self, address: str) -> str:
        """Return the link in the last mail to an address."""
        return self.wait_for_link(address, self.count(address))

    def open_link(self, address: str) -> None:
        """Open it."""
        requests.get(self.link(address), timeout=PATIENCE).raise_for_status()


class Stub:
    """A homeserver that answers as the test says, for what a real one cannot be brought to do.

    Attributes:
        answer: takes the path and the body of a request, and returns status and body of its answer.
        received: the paths and bodies of the requests so far.
    """

    def __init__(self) -> None:
        self.answer: Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]] = lambda path, body: (404, {})
        self.received: list[tuple[str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._reply(*stub._take(self.path, json.loads(body)))

            def do_GET(self) -> None:
                self._reply(*stub._take(self.path, {}))

            def _reply(self, status: int, answer: dict[str, Any]) -> None:
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                with stub._changed:
                    stub._answered += 1
                    stub._changed.notify_all()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._answered = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.server.server_port}"

    def _take(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.received.append((path, body))
        return self.answer(path, body)

    def wait_for_answers(self, count: int) -> None:
        """Wait until so many requests have been answered."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._answered >= count, PATIENCE)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let child processes feel Ctrl-C even if the tests were started in the background, where it is ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _without_proxy() -> Iterator[None]:
    """Let no proxy come between the tests and the servers on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        yield


@pytest.fixture(scope="session")
def open_synapse() -> Iterator[Synapse]:
    """A Synapse that registers everybody; its only stage is m.login.dummy."""
    with throwaway_synapse(OPEN) as synapse:
        yield synapse


@pytest.fixture(scope="session")
def terms_synapse() -> Iterator[Synapse]:
    """A Synapse that wants its terms accepted."""
    with throwaway_synapse(OPEN, TERMS) as synapse:
        yield synapse


@pytest.fixture(scope="session")
def token_synapse() -> Iterator[Synapse]:
    """A Synapse that wants a registration token, and its terms accepted."""
    with throwaway_synapse(TOKEN, TERMS) as synapse:
        yield synapse


@pytest.fixture(scope="session")
def inbox() -> Iterator[Inbox]:
    """The mails that ``mail_synapse`` sends."""
    with mail_server(Inbox()) as server:
        yield server


@pytest.fixture(scope="session")
def mail_synapse(inbox: Inbox) -> Iterator[Synapse]:
    """A Synapse that wants an email address from those who register."""
    with throwaway_synapse(email(inbox.port)) as synapse:
        yield synapse


@pytest.fixture
def closed_url() -> Iterator[str]:
    """The address of a server that is not there; it is held, so that nobody else takes it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and not listening
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server whose answers are the test's."""
    stub = Stub()
    thread = threading.Thread(target=stub.server.serve_forever, args=(0.01,))
    thread.start()
    yield stub
    stub.server.shutdown()
    thread.join()
    stub.server.server_close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Homeserver]]:
    """Make a Homeserver, with Homeserver's own arguments, that is closed after the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Homeserver(*args, **options))


@pytest.fixture
def username() -> str:
    """A user name that nobody has."""
    return f"user{secrets.token_hex(6)}"


@pytest.fixture
def address(username: str) -> str:
    """An email address that nobody has."""
    return f"{username}@example.org"


@pytest.fixture
def token(token_synapse: Synapse) -> str:
    """A registration token that can be used once."""
    token = secrets.token_hex(8)
    token_synapse.add_registration_token(token, uses_allowed=1)
    return token


@pytest.fixture
def whoami() -> Callable[[Synapse, Any], str]:
    """Ask a Synapse whom the access token in the answer to a registration belongs to."""
    path = "/_matrix/client/v3/account/whoami"
    return lambda synapse, account: synapse.call("GET", path, access_token=account["access_token"])["user_id"]


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    """Run a function in a thread of its own, which is joined after the test."""
    threads: list[threading.Thread] = []

    def start(function: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        # A daemon: a function that hangs must fail its test, and not hold up the end of all tests.
        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return future

    yield start
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def example_folder(tmp_path: Path) -> Path:
    """Where the example puts its temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def start_example(example_folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start examples/register.py with arguments, and perhaps Popen's options and more environment."""
    processes: list[subprocess.Popen[str]] = []
    timers: list[threading.Timer] = []

    def start(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), *arguments],
            env={**os.environ, "TMPDIR": str(example_folder), **(env or {})},
            start_new_session=True,  # without the terminal of whoever runs the tests
            **{**pipes, **options},
        )
        processes.append(process)
        timers.append(threading.Timer(PATIENCE * 2, process.kill))
        timers[-1].start()
        return process

    yield start
    for process, timer in zip(processes, timers, strict=True):
        timer.cancel()
        timer.join()
        process.kill()
        process.communicate()


@pytest.fixture
def run_example(start_example: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run examples/register.py with arguments and the lines that it reads, and return how it ended."""

    def run(*arguments: str, lines: tuple[str, ...] = (), **options: Any) -> subprocess.CompletedProcess[str]:
        process = start_example(*arguments, **options)
        output, errors = process.communicate("".join(f"{line}\n" for line in lines))
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    return run
