"""A sign-up that wants all that a person can be asked for, with a mistake at every step, at two widths of a terminal.

What stands on the screen at each step is kept in ``screens_80.txt`` and ``screens_40.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.terminal import Terminal

from interactive_auth.testing import UIAServer

REGISTER = """
import sys
from interactive_auth import Homeserver, console

with Homeserver(sys.argv[1]) as homeserver:
    request = homeserver.register("alice", "a password")
    print("Registered", request.authenticate(console.handlers(homeserver), poll_interval=60.0)["user_id"])
"""
TOKEN, TERMS, CAPTCHA = "m.login.registration_token", "m.login.terms", "m.login.recaptcha"
EMAIL, PHONE, DUMMY = "m.login.email.identity", "m.login.msisdn", "m.login.dummy"


class Walk:
    """A person at a terminal, and the screens that they have seen.

    Attributes:
        seen: each screen, after what was done last.
    """

    def __init__(self, terminal: Terminal, columns: int) -> None:
        self._terminal = terminal
        self._columns = columns
        self.seen: list[str] = []

    def sees(self, text: str, after: str = "") -> None:
        """Wait for a text, after another one, and keep the screen; what differs from run to run is masked."""
        self._terminal.wait_for(after)
        self._terminal.wait_for(text)
        self._terminal.settle()
        rows = "".join(line.ljust(self._columns) for line in self._terminal.screen)
        for changing in (r"(?<=127\.0\.0\.1:)\d+", r"(?<=sion=)[-\w]+", r"(?<=[( ])\d:\d\d(?=\))"):
            rows = re.sub(changing, lambda found: re.sub("[-\\w]", "x", found[0]), rows)
        lines = [rows[start : start + self._columns].rstrip() for start in range(0, len(rows), self._columns)]
        self.seen.append("\n".join(lines))

    def types(self, line: str) -> None:
        """Type a line, and press Enter."""
        self._terminal.type(line)

    def presses(self, key: str) -> None:
        """Press one key."""
        self._terminal.press(key)


@pytest.mark.parametrize("columns", [80, 40])
def test_walk(columns: int, open_terminal: Callable[..., Terminal], uia_server: UIAServer) -> None:
    """Each mistake is told in words, each step says what to do and what else can be done, and no wait needs a key."""
    uia_server.flows = [[TOKEN, TERMS, CAPTCHA, EMAIL, PHONE, DUMMY]]
    uia_server.answers = {TOKEN: "right", PHONE: "123456"}
    terminal = open_terminal(REGISTER, uia_server.base_url, columns=columns)
    person = Walk(terminal, columns)

    person.sees("(hidden): ")
    person.types("wrong")
    person.sees("(hidden): ")
    person.types("right")
    person.sees("(y/n): ")
    person.types("maybe")
    person.sees("(y/n): ")
    person.types("y")
    person.sees("page to be done")
    person.presses("x")
    person.presses("\n")
    uia_server.complete(CAPTCHA)
    person.sees("Email address: ")
    uia_server.fail_next(400, "M_INVALID_PARAM", "Unable to parse email address", path="/requestToken")
    person.types("alice")
    person.sees("Email address: ")
    person.types("alice@example.com")
    person.sees("in the mail (")
    person.presses("R")
    person.sees("in the mail (", after="Sent again to alice@example.com.")
    person.presses("c")
    person.sees("keeps it): ")
    person.types("alice@example.org")
    person.sees("in the mail (", after="Mail sent to alice@example.org.")
    uia_server.complete(EMAIL)
    person.presses("\n")
    person.sees("Country, two letters: ")
    person.types("United Kingdom")
    person.sees("Country, two letters: ")
    person.types("gb")
    person.sees("Phone number: ")
    person.types("07700 900001")
    person.sees("Code in the SMS: ")
    person.types("654321")
    person.sees("Code in the SMS: ")
    person.types("C")
    person.sees("keeps it): ")
    person.types("07700 900002")
    person.sees("Country, two letters: ")
    person.types("GB")
    person.sees("Code in the SMS: ")
    person.types("123456")
    person.sees("Registered @alice:example.org")

    assert terminal.wait_for_end() == 0
    kept = Path(__file__).with_name(f"screens_{columns}.txt")
    separator = f"\n{columns * '='}\n"
    assert person.seen == kept.read_text("utf-8").removesuffix("\n").split(separator)
