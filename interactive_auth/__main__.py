"""The command line, ``python -m interactive_auth``: what demands authentication, for a person in a terminal.

What must not be here: what the commands do, which is in ``_commands``. Secrets come from a prompt, a file, a variable
or the standard input, never from an argument, which everybody on the machine can read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from . import __version__, _commands
from ._commands import Done, UsageError
from ._errors import (
    GO_ON,
    AuthTimeoutError,
    DelegatedAuthError,
    HomeserverConnectionError,
    InteractiveAuthError,
    MatrixError,
    ServerProtocolError,
    StageFailedError,
)
from ._http.endpoints import CLIENT
from ._prompts import AT_A_QUESTION, ELSEWHERE, NOBODY, ask_secret, encodable_for, say
from ._text import plain, printable
from ._words import refusal_words, stage_name
from .homeserver import Homeserver

#: kill, and a terminal that is closed (which Windows does not tell).
_STOPS = [signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]
_EPILOG = """\
Secrets are asked for without being shown. A script gives them by variables:
MATRIX_ACCESS_TOKEN, MATRIX_PASSWORD (the account's password),
MATRIX_NEW_PASSWORD and MATRIX_REGISTRATION_TOKEN; or answers what is asked for,
a line each, on the standard input.
Exit status: 0 done, 1 refused or not reached, 2 wrong usage, 130 Ctrl-C.
"""
#: How an address is looked at that may be wrong: nobody waits for long.
_LOOK: Mapping[str, Any] = {"timeout": 10.0, "retry": None}
#: Seconds after which a person wonders what is going on.
_LONG = 1.5
#: How a script gives what nobody can be asked for, by how the question begins.
_GIVEN_BY: Mapping[str, str] = {
    "User name": "--user",
    "Password": "MATRIX_PASSWORD",
    "New password": "MATRIX_NEW_PASSWORD",
    "Access token": "MATRIX_ACCESS_TOKEN or --token-file",
    "Registration token": "MATRIX_REGISTRATION_TOKEN or --token-file",
    "Email address": "--email",
    "Which devices": "device ids as arguments",
    "Shall": "--yes",
}


def _read_token(file: str) -> str:
    """Read a token from a file."""
    try:
        token = Path(file).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise UsageError(f"argument --token-file: {file} cannot be read: {reason}") from None
    if not token:
        raise UsageError(f"argument --token-file: {file} is empty")
    return token


class _Command(NamedTuple):
    """A command.

    Attributes:
        run: does it.
        about: what it does, in a sentence.
        path: the endpoint, which is looked for before anything is asked; None where the command itself does that, or
            an answer would say nothing about it.
    """

    run: Callable[[Homeserver, argparse.Namespace], Done]
    about: str
    path: str | None = None


_COMMANDS: Mapping[str, _Command] = {
    "register": _Command(_commands.register, "make an account"),
    "change-password": _Command(_commands.change_password, "change your password", "account/password"),
    "reset-password": _Command(
        _commands.reset_password, "set a new password by a link that is mailed to you", "account/password"
    ),
    "delete-devices": _Command(_commands.delete_devices, "log out some of your devices", "delete_devices"),
    "deactivate": _Command(_commands.deactivate, "deactivate your account permanently", "account/deactivate"),
    "reset-keys": _Command(_commands.reset_keys, "replace your cross-signing keys by new ones that your client made"),
    "add-email": _Command(_commands.add_email, "add an email address to your account", "account/3pid/add"),
}


def _find(options: argparse.Namespace) -> Homeserver:
    """Return the homeserver that is meant, having looked whether it is one."""
    name: str = options.homeserver
    try:
        if "://" not in name:
            with _said_if_it_takes_long(f"Looking for the homeserver of {name} ..."):
                return Homeserver(_discovered(name))
        with (
            Homeserver(name, allow_insecure_http=options.allow_insecure_http, **_LOOK) as homeserver,
            _said_if_it_takes_long(f"Looking for a homeserver at {homeserver.base_url} ..."),
        ):
            _look_at(homeserver)
        return Homeserver(name, allow_insecure_http=options.allow_insecure_http)
    except ValueError as error:
        reason = str(error).replace("allow_insecure_http=True", "--allow-insecure-http")
        reason = reason.replace("; Homeserver.discover takes", ", or")
        for argument in ("base_url ", "server_name_or_user_id "):
            reason = reason.removeprefix(argument)
        if name.startswith("@") and ":" not in name:
            reason = "lacks the server's name: a user id is like @alice:example.org"
        raise UsageError(f"argument --homeserver: {name or 'it'} {reason}") from None


@contextmanager
def _said_if_it_takes_long(words: str) -> Iterator[None]:
    timer = threading.Timer(_LONG, say, [printable(words)])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _discovered(name: str) -> str:
    """Return the address of the homeserver that has a server name, or a user."""
    try:
        with Homeserver.discover(name, **_LOOK) as homeserver:
            return homeserver.base_url
    except (HomeserverConnectionError, ServerProtocolError) as error:
        server = name.partition(":")[2] if name.startswith("@") else name
        if not server.rpartition(":")[2].isdecimal():
            raise
        # The port of a server name is for other homeservers; who gives one means an address, more likely.
        raise ServerProtocolError(f"{error}; for the one at that port, give its address: http(s)://{server}") from None


def _look_at(homeserver: Homeserver) -> None:
    try:
        versions = homeserver._get("/_matrix/client/versions", again=True).get("versions")
    except MatrixError as error:
        raise ServerProtocolError(f"there is no homeserver at {homeserver.base_url}: {error}") from None
    except HomeserverConnectionError as error:
        scheme, _, rest = homeserver.base_url.partition("://")
        if scheme == "http" or urlsplit(homeserver.base_url).port is None:
            raise
        raise ServerProtocolError(f"{error}; if it speaks plain http, its address is http://{rest}") from None
    if not isinstance(versions, list):
        raise ServerProtocolError(f"{homeserver.base_url} is not a homeserver: it states no versions")


def _look_for(homeserver: Homeserver, path: str) -> None:
    """Look whether the homeserver has an endpoint; without an access token and a body nothing can come of it.

    Raises:
        DelegatedAuthError: it leaves that to another service.
        MatrixError: it has no such endpoint.
    """
    try:
        homeserver.uia_request("POST", f"{CLIENT}/{path}")()
    except MatrixError as error:
        if error.http_status == 404 or isinstance(error, DelegatedAuthError):
            raise


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--homeserver",
        metavar="NAME",
        required=True,
        help="a server name (example.org), a user id (@alice:example.org) or an address (https://matrix.example.org)",
    )
    common.add_argument("--user", metavar="NAME", help="the user name; asked for if it is needed and not given")
    common.add_argument("--open-browser", action="store_true", help="open pages in this machine's browser")
    common.add_argument("--json", action="store_true", help="print the response; register then logs in, too")
    common.add_argument(
        "--allow-insecure-http", action="store_true", help="allow plain http, where secrets can be read on the way"
    )
    parser = argparse.ArgumentParser(
        prog="python -m interactive_auth",
        description="Do on a Matrix homeserver what demands authentication, and answer its questions here.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"interactive_auth {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parsers = {}
    for name, command in _COMMANDS.items():
        about = f"{command.about[0].upper()}{command.about[1:]}."
        parsers[name] = commands.add_parser(name, help=command.about, description=about, parents=[common])
        kind = "registration" if name == "register" else "access"
        if name != "reset-password":
            text = f"a file with the {kind} token; - for the standard input"
            parsers[name].add_argument("--token-file", metavar="FILE", help=text)
    for name in ("change-password", "reset-password"):
        text = "leave the account's other devices logged in"
        parsers[name].add_argument("--keep-devices", action="store_true", help=text)
    for name in ("reset-password", "add-email"):
        parsers[name].add_argument("--email", metavar="ADDRESS", help="the email address; asked for if not given")
    parsers["delete-devices"].add_argument("device", nargs="*", help="a device id; shown and asked for if not given")
    parsers["deactivate"].add_argument("--erase", action="store_true", help="hide what the account has written, too")
    parsers["deactivate"].add_argument("--yes", action="store_true", help="do not ask whether it is meant")
    text = "JSON with the signed master_key, self_signing_key and user_signing_key"
    parsers["reset-keys"].add_argument("--keys", metavar="FILE", type=Path, required=True, help=text)
    return parser


def _user(options: argparse.Namespace) -> str | None:
    """Return who is meant, by --user, or by the user id that --homeserver is; an empty one is none."""
    name: str = options.homeserver
    user: str | None = options.user or (name if name.startswith("@") else None)
    server = "" if "://" in name else name.partition(":")[2] if name.startswith("@") else name
    if user and server and ":" in user and user.partition(":")[2] != server:
        raise UsageError(f"argument --user: {user} is not a user of {server}, whose homeserver is asked")
    return user


def _run(options: argparse.Namespace) -> Done:
    command = _COMMANDS[options.command]
    file = getattr(options, "token_file", None)
    options.token = _read_token(file) if file not in (None, "-") else None
    options.user = _user(options)
    with _find(options) as homeserver:
        if command.path is not None:
            _look_for(homeserver, command.path)
        if file == "-":
            kind = "Registration token" if options.command == "register" else "Access token"
            options.token = ask_secret(kind).strip()
        return command.run(homeserver, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None for those of the process.

    Returns:
        The exit status: 0 done, 1 refused or not reached, 2 wrong usage, 130 Ctrl-C.

    Raises:
        SystemExit: argparse has ended the program: with 0 after ``--help``, with 2 after an argument that is wrong.
    """
    options = _parser().parse_args(arguments)
    before = {stop: signal.signal(stop, _terminate) for stop in _STOPS if signal.getsignal(stop) != signal.SIG_IGN}
    try:
        done = _run(options)
    except KeyboardInterrupt as interrupt:
        idle = AT_A_QUESTION in interrupt.args
        reason = "interrupted" if idle else "interrupted; if a request was under way, it may have been carried out"
        status = 130
    except UsageError as error:
        reason, status = str(error), 2
    # The RuntimeError is that there is nobody to ask, the ValueError that something typed cannot be sent.
    except (InteractiveAuthError, OSError, ValueError, RuntimeError) as error:
        reason, status = _for_a_person(error), 1
    else:
        words = printable(done.words, 2000)
        failure = _print(json.dumps(plain(done.response, depth=100)) if options.json else words)
        if failure is None:
            return 0
        reason, status = f"it was done, but standard output did not take it: {failure}. {words}", 1
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)
    line = f"python -m interactive_auth {options.command}: {printable(reason, 2000)}"
    if sys.stderr is None:  # it was closed, and print() would take standard output for it
        say(line)
    else:
        print(line, file=sys.stderr)
    return status


def _print(text: str) -> Exception | None:
    """Write what a script reads; return what kept it from being written."""
    if sys.stdout is None:
        return ValueError("it is closed")
    try:
        print(encodable_for(sys.stdout, text), flush=True)
    except OSError as error:
        sys.stdout = None  # or Python would try once more at its end, and complain
        return error
    return None


def _for_a_person(error: Exception) -> str:
    """Return what an error says, with what somebody at a command line can do in place of what a program can."""
    reason = str(error)
    if asked := re.fullmatch(rf"{NOBODY} \((.*)\): {ELSEWHERE}", reason):
        return f'the standard input has no line for "{asked[1]}"{_how_to_give(asked[1])}'
    if isinstance(error, StageFailedError):
        cause = error.__cause__
        words = f": {refusal_words(cause)}" if isinstance(cause, MatrixError) else ""
        return f"the {stage_name(error.stage)} was refused {error.attempts} times{words}; nothing was done"
    if isinstance(error, AuthTimeoutError):
        return f"the {stage_name(error.stage)} was not completed in time; nothing was done"
    return re.sub(rf"(\. [^.]*|; ){re.escape(GO_ON)}\.?", "", reason)


def _how_to_give(question: str) -> str:
    """Return how a script answers a question, or that it did so and was refused."""
    way = next((way for begin, way in _GIVEN_BY.items() if question.startswith(begin)), None)
    if way is None:
        return ""
    refused = [variable for variable in re.findall("MATRIX_[A-Z_]+", way) if os.environ.get(variable)]
    return f"; what {refused[0]} holds was refused" if refused else f"; or give {way}"


def _terminate(number: int, _: object) -> NoReturn:
    """End in good order, so that the device that was logged in for this is logged out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
