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
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import _extra  # noqa: F401  # before anything that may be missing
import tqdm  # type: ignore[import-untyped]  # it has no types
from throwaway_services import MailServer, mail_server
from throwaway_synapse import Config, Synapse, SynapseError, throwaway_synapse

from interactive_auth import (
    DelegatedAuthError,
    Homeserver,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
    Stage,
    StartAuthStage,
    Wait,
    handlers,
)

#: Ctrl-C, kill, and a terminal that is closed (which Windows does not tell).
STOPS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
#: The path of most endpoints.
API = "/_matrix/client/v3"
#: Shows beside a progress bar that one of its jobs waits, and with None that it goes on.
Show = Callable[[Wait | None], object]


class NotDoneError(Exception):
    """Nothing came of it; the text is one line for a person."""


# A person


def say(text: str) -> None:
    """Print at once, and without anything that a terminal would obey: some of the text is a server's."""
    print("".join(c if c.isprintable() else "?" for c in text), flush=True)


def ask(question: str, *, secret: bool = False, default: str = "") -> str:
    """Ask the person until there is an answer."""
    if sys.stdin is None:
        raise EOFError
    in_terminal = sys.stdin.isatty()
    read: Callable[[str], str] = input
    if secret and in_terminal:
        question, read = question.replace(":", " (hidden while you type):"), getpass.getpass
    answer = ""
    while not answer:
        answer = read(question) or default
        if not in_terminal:  # where nobody sees what was typed, nor the Enter after it
            say("" if secret else answer)
    return answer


def agrees(question: str) -> bool:
    """Ask the person for consent, until the answer is one or the other."""
    while (answer := ask(f"{question} (y/n) ").lower()) not in ("y", "yes", "n", "no"):
        pass
    return answer in ("y", "yes")


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


def announced(stages: Mapping[str, StartAuthStage]) -> dict[str, StartAuthStage]:
    """Return the callbacks, each with a line before it that says which stage has come."""

    def announce(stage: Stage) -> Any:
        asked = [kind for kind in stage.flow if kind != "m.login.dummy"]  # for which there is nothing to do
        say(f"Stage {asked.index(stage.type) + 1} of {len(asked)}: {stage.type}")
        return stages[stage.type](stage)

    return dict.fromkeys(stages, announce)


def accept(policies: list[handlers.Policy]) -> bool:
    """Accept the terms of service for a person who is played, and show where they are."""
    for policy in policies:
        say(f"  accepting {policy.name}, {policy.url}")
    return True


# A homeserver


@contextmanager
def throwaway(*parts: Config) -> Iterator[tuple[Synapse, MailServer]]:
    """Run Synapse, and the mail server that it sends by, for as long as the block lasts."""
    say("Starting a homeserver for this: Synapse, on this machine. It takes a few seconds.")
    with mail_server(MailServer()) as mails, throwaway_synapse(mails.config(), *parts) as synapse:
        say(f"Synapse listens at {synapse.base_url}")
        yield synapse, mails


def find_homeserver(where: str) -> str:
    """Return the address of the homeserver that a person has named, after a look at whether it is one.

    Args:
        where: a server name, a user id, or an address.

    Raises:
        NotDoneError: it cannot be one.
        InteractiveAuthError: there is none, or it does not answer.
    """
    try:
        if "://" not in where:
            with Homeserver.discover(where, retry=None) as found:
                return found.base_url
        Homeserver(where, allow_insecure_http=True).close()
    except ValueError as error:
        reason = str(error).replace("server_name_or_user_id", "it").replace("base_url", "the address")
        raise NotDoneError(f"{where} is not a homeserver: {reason}") from None
    try:
        homeserver = Homeserver(where)
    except ValueError:
        raise NotDoneError(f"{where} is plain http, where passwords can be read on the way: use https") from None
    with homeserver:
        answer = homeserver.uia_request("GET", "/_matrix/client/versions").authenticate({}, retry=None)
        if not isinstance(answer.get("versions"), list):
            raise ServerProtocolError(f"{where} is not a homeserver: it states no versions of Matrix")
        return homeserver.base_url


def check_offered(homeserver: Homeserver, path: str) -> None:
    """See that a homeserver offers an endpoint to those without an account, before they are asked for anything.

    Raises:
        MatrixError: it does not, for example because registration is disabled.
    """
    try:
        homeserver.uia_request("POST", f"{API}/{path}", {})(None)
    except MatrixError as error:  # if all is well, it demands authentication, or says what it lacks
        if error.http_status in (403, 404) and "flows" not in error.data:
            raise


def call(homeserver: Homeserver, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Call an endpoint that demands no authentication beyond the access token, and that has no method of its own."""
    return homeserver.uia_request(method, f"{API}/{path}", body).authenticate({}, retry=None)


@contextmanager
def logged_in(base_url: str) -> Iterator[tuple[Homeserver, str]]:
    """Log the person in, and out again afterwards; an access token in MATRIX_ACCESS_TOKEN makes both needless.

    Returns:
        The homeserver, and the person's user id.
    """
    token = os.environ.get("MATRIX_ACCESS_TOKEN")
    with Homeserver(base_url, access_token=token) as homeserver:
        if token is None:
            flows = call(homeserver, "GET", "login").get("flows", [])
            if not any(flow.get("type") == "m.login.password" for flow in flows):
                page = homeserver.account_management_url()
                or_there = "" if page is None else f", or do it at {page}"
                raise NotDoneError(
                    f"nobody logs in with a password at {base_url}: "
                    f"put an access token into the environment variable MATRIX_ACCESS_TOKEN{or_there}"
                )
            say("Log in first.")
            name, password = ask("User name: "), ask("Password: ", secret=True)
            homeserver.login(name, password, initial_device_display_name=Path(sys.argv[0]).name)
        try:
            yield homeserver, homeserver.whoami()["user_id"]
        finally:
            if token is None:
                _log_out(homeserver)


def _log_out(homeserver: Homeserver) -> None:
    try:
        homeserver.logout()
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
    rerun: str,
) -> None:
    """Do the work for each of the files, with a progress bar, and report what went wrong.

    Args:
        work: is called once for each file, and with what shows its waits beside the bar.
        files: what it is called with.
        threads: how many calls there are at a time.
        running: what the calls are waiting for; cancelled after Ctrl-C.
        rerun: what another run would do.

    Raises:
        NotDoneError: it went wrong for some of the files.
        KeyboardInterrupt: somebody stopped it; the text says how far it came.
    """
    failures: dict[str, Exception] = {}
    jobs: dict[Future[object], str] = {}
    waits: dict[str, Wait] = {}

    def show(name: str, wait: Wait | None) -> None:
        if wait is None:
            waits.pop(name, None)
        else:
            waits[name] = wait
        all_waits = [(each.seconds_left or 0, each.reason) for each in list(waits.values())]
        seconds, reason = min(all_waits, default=(0, ""))
        why = "rate limit" if reason == "rate_limit" else "trouble"
        bar.set_postfix_str(f"{len(all_waits)} waiting ({why}), next in {seconds:.0f} s" if all_waits else "")

    try:
        with ThreadPoolExecutor(threads) as pool, tqdm.tqdm(total=len(files), unit=" accounts") as bar:
            try:
                for file in files:
                    jobs[pool.submit(work, file, partial(show, file.stem))] = file.stem
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
    except KeyboardInterrupt:
        done = sum(not job.cancelled() and job.exception() is None for job in jobs)
        raise KeyboardInterrupt(f"{done} of {len(files)} are done; {rerun}") from None
    for name in sorted(failures):
        say(f"{name}: {failures[name]}")
    if failures:
        raise NotDoneError(f"{len(failures)} of {len(files)} failed; {rerun}")


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Make the parser of an example's arguments, from the docstring that it begins with."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.set_defaults(homeserver=None)
    return parser


def run(
    parser: argparse.ArgumentParser,
    on_throwaway_synapse: Callable[[argparse.Namespace], str],
    on_homeserver: Callable[[argparse.Namespace], str] | None = None,
) -> None:
    """Run an example: say at once what it does, and at its end what came of it.

    It exits with 0, with 1 and the reason on one line, or with 130 after Ctrl-C or kill.

    Args:
        parser: its arguments; there is one more, ``--homeserver``, if it runs on any homeserver.
        on_throwaway_synapse: runs it on a Synapse of its own, and returns its last line.
        on_homeserver: runs it on the homeserver at the address ``homeserver``; None if it cannot.
    """
    if on_homeserver is not None:
        where = "server name, user id or address of where to do it; without it, a homeserver is started for this"
        parser.add_argument("--homeserver", metavar="NAME", help=where)
    options = parser.parse_args()
    for stop in heeded():
        signal.signal(stop, _interrupt)
    say(parser.description or "")
    try:
        if on_homeserver is not None and options.homeserver is not None:
            options.homeserver = find_homeserver(options.homeserver)
            say(f"The homeserver is {options.homeserver}")
            say(on_homeserver(options))
        else:
            say(on_throwaway_synapse(options))
    except KeyboardInterrupt as stopped:
        reason, status = ": ".join(["interrupted", *map(str, stopped.args)]), 130
    except EOFError:
        reason, status = "there is a question, and nobody at the standard input to answer it", 1
    except DelegatedAuthError as error:
        page = error.account_management_url or "the page of your account, whose address the homeserver does not name"
        reason, status = f"this homeserver leaves its accounts to an OAuth service; do it there: {page}", 1
    # The RuntimeError is what console.handlers raises when there is nobody to ask.
    except (InteractiveAuthError, NotDoneError, SynapseError, OSError, ValueError, RuntimeError) as error:
        reason, status = str(error), 1
    else:
        return
    print(f"{parser.prog}: {reason}", file=sys.stderr)
    sys.exit(status)


def heeded() -> list[signal.Signals]:
    """Return what ends the program: without what it was told to ignore, as nohup does."""
    return [stop for stop in STOPS if signal.getsignal(stop) != signal.SIG_IGN]


def _interrupt(*_: object) -> None:
    """End the program in good order, and undisturbed: Synapse has to be stopped, and its folder removed."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt
