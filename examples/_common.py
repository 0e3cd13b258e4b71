"""What the examples have in common: their arguments, a homeserver to run on, a person to ask, and how they end.

What must not be here: anything that an example is there to show.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import requests
import tqdm  # type: ignore[import-untyped]  # it has no types
from throwaway_services import MailServer, mail_server
from throwaway_synapse import Config, Synapse, SynapseError, throwaway_synapse

from interactive_auth import (
    DelegatedAuthError,
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    raise_for_matrix_error,
)

#: Ctrl-C, kill, and a terminal that is closed (which Windows does not tell).
STOPS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
#: Shows a text beside a progress bar, in the place of the one before.
Show = Callable[[str], object]


class NotDoneError(Exception):
    """Nothing came of it; the text is one line for a person."""


# A person


def say(text: str) -> None:
    """Print at once, and without anything that a terminal would obey: some of the text is a server's."""
    print("".join(c if c.isprintable() else "?" for c in text), flush=True)


def ask(question: str, *, secret: bool = False, default: str = "") -> str:
    """Ask the person in the terminal until there is an answer."""
    if sys.stdin is None:
        raise EOFError
    read = getpass.getpass if secret and sys.stdin.isatty() else input
    while not (answer := read(question) or default):
        pass
    return answer


def agrees(question: str) -> bool:
    """Ask the person for consent; Enter means no."""
    return ask(f"{question} [y/N] ", default="n").lower() in ("y", "yes")


def play(name: str, command: Sequence[str], answers: Sequence[str] = (), kill_at: str | None = None) -> str:
    """Play the person before another process: answer it, show what it prints, and kill it if it prints a text.

    Args:
        name: what is shown before each line.
        command: the process to run.
        answers: what it reads, a line each.
        kill_at: what it is killed at; None to let it run to its end.

    Returns:
        Its last line.

    Raises:
        NotDoneError: it failed, or ended by itself where it was to be killed.
    """
    line = ""
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write("".join(f"{answer}\n" for answer in answers))
            process.stdin.close()
            for line in process.stdout:
                say(f"{name}: {line.rstrip()}")
                if kill_at is not None and kill_at in line:
                    break
            else:
                if process.wait() or kill_at is not None:
                    raise NotDoneError(f"{name} ended with {process.returncode}")
        finally:
            process.kill()
    return line.rstrip()


# A homeserver


@contextmanager
def throwaway(*parts: Config) -> Iterator[tuple[Synapse, MailServer]]:
    """Run Synapse, and the mail server that it sends by, for as long as the block lasts."""
    say("Starting Synapse")
    with mail_server(MailServer()) as mails, throwaway_synapse(mails.config(), *parts) as synapse:
        say(f"Synapse listens at {synapse.base_url}")
        yield synapse, mails


def call(homeserver: Homeserver, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Call what the library is not for: an endpoint that demands no authentication beyond the access token."""

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:  # a netrc file has no say then
        if homeserver.access_token:
            request.headers["Authorization"] = f"Bearer {homeserver.access_token}"
        return request

    url = f"{homeserver.base_url}/_matrix/client/v3/{path}"
    return raise_for_matrix_error(
        requests.request(method, url, json=body, auth=authorize, timeout=30, allow_redirects=False)
    )


@contextmanager
def logged_in(base_url: str) -> Iterator[tuple[Homeserver, str]]:
    """Log the person in, and out again afterwards; an access token in MATRIX_ACCESS_TOKEN makes both needless.

    Returns:
        The homeserver, and the person's user id.
    """
    token = os.environ.get("MATRIX_ACCESS_TOKEN")
    with Homeserver(base_url, access_token=token) as homeserver:
        if token is None:
            login = {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": ask("User name: ")},
                "password": ask("Password: ", secret=True),
                "initial_device_display_name": Path(sys.argv[0]).name,
            }
            homeserver.access_token = call(homeserver, "POST", "login", login)["access_token"]
        try:
            yield homeserver, call(homeserver, "GET", "account/whoami")["user_id"]
        finally:
            if token is None:
                _log_out(homeserver)


def _log_out(homeserver: Homeserver) -> None:
    try:
        call(homeserver, "POST", "logout", {})
    except (InteractiveAuthError, OSError) as error:
        if not (isinstance(error, MatrixError) and error.errcode == "M_UNKNOWN_TOKEN"):  # logged out already
            say(f"This program is still logged in: {error}")


# The program


def save(file: Path, content: Mapping[str, Any]) -> None:
    """Write a file that only its owner may read, as a whole or not at all, whatever happens meanwhile."""
    new = file.with_name(f"{file.name}.new")
    with open(new, "w", opener=partial(os.open, mode=0o600)) as written:
        json.dump(content, written)
        written.flush()
        os.fsync(written.fileno())
    os.replace(new, file)


def in_threads(
    work: Callable[[Path, Show], object],
    files: Collection[Path],
    threads: int,
    running: Collection[InteractiveAuth[Any]],
) -> None:
    """Do the work for each of the files, with a progress bar, and report what went wrong.

    Args:
        work: is called once for each file, and with what shows a text beside the bar.
        files: what it is called with.
        threads: how many calls there are at a time.
        running: what the calls are waiting for; cancelled after Ctrl-C.

    Raises:
        NotDoneError: it went wrong for some of the files.
    """
    failures: dict[str, Exception] = {}
    with ThreadPoolExecutor(threads) as pool, tqdm.tqdm(total=len(files), unit=" accounts") as bar:
        jobs = {pool.submit(work, file, bar.set_postfix_str): file.stem for file in files}
        try:
            for job in as_completed(jobs):
                try:
                    job.result()
                except (InteractiveAuthError, OSError) as error:
                    failures[jobs[job]] = error
                bar.update()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(job.done() for job in jobs):
                for auth in running:
                    auth.cancel()
                time.sleep(0.1)  # and again: before its attempt has begun it does nothing
    for name in sorted(failures):
        say(f"{name}: {failures[name]}")
    if failures:
        raise NotDoneError(f"{len(failures)} of {len(jobs)} failed; run it again to try these again")


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Make the parser of an example's arguments, from the docstring that it begins with."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--homeserver", metavar="URL", help="where to do it; a Synapse is started if not given")
    return parser


def run(
    parser: argparse.ArgumentParser,
    on_throwaway_synapse: Callable[[argparse.Namespace], str],
    on_homeserver: Callable[[argparse.Namespace], str],
) -> None:
    """Run an example, print what it returns, and exit: with 0, with 1 and the reason on one line, or with 130.

    The address of a page where the person has to go stands on a line of its own below it.
    """
    options = parser.parse_args()
    for stop in STOPS:
        if signal.getsignal(stop) != signal.SIG_IGN:  # as nohup has it
            signal.signal(stop, _interrupt)
    try:
        say(on_homeserver(options) if options.homeserver else on_throwaway_synapse(options))
    except KeyboardInterrupt:
        reason, status = "interrupted", 130
    except EOFError:
        reason, status = "there is a question, and nobody at the standard input to answer it", 1
    except DelegatedAuthError as error:
        page = error.account_management_url or "the page of the account, whose address the homeserver does not name"
        reason, status = f"the homeserver leaves its accounts to an OAuth service; do it there:\n{page}", 1
    # The RuntimeError is what console.handlers raises when there is nobody to ask.
    except (InteractiveAuthError, NotDoneError, SynapseError, OSError, ValueError, RuntimeError) as error:
        reason, status = str(error), 1
    else:
        return
    print(f"{parser.prog}: {reason}", file=sys.stderr)
    sys.exit(status)


def _interrupt(*_: object) -> None:
    """End the program in good order, and undisturbed: Synapse has to be stopped, and its folder removed."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt
