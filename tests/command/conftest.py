"""The command line in this process, with its standard input read line by line, as in a script."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from interactive_auth.__main__ import main
from interactive_auth.testing import UIAServer


@dataclass(frozen=True)
class Ended:
    """How a command has ended.

    Attributes:
        out: what a script would read.
        err: what a person would see of it beside that.
    """

    status: int
    out: str
    err: str


#: What the fixture ``run`` is: it takes the arguments, and the lines of the standard input.
Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command."""

    def running(*arguments: str, lines: tuple[str, ...] = ()) -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        with pytest.raises(SystemExit) as ending:  # as argparse ends a program, too
            sys.exit(main(arguments))
        status = ending.value.code
        assert isinstance(status, int)
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return running


@pytest.fixture
def there(uia_server: UIAServer) -> tuple[str, str]:
    """The arguments that lead to the scripted homeserver, which has the account @alice:example.org."""
    uia_server.add_account("alice", "the password")
    uia_server.flows = [["m.login.password"]]
    return ("--homeserver", uia_server.base_url)
