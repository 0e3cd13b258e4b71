"""console.handlers in a real terminal: a pseudo-terminal with a program in it, and a person who types."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from support.accounts import Person, devices_of, exists, new_token, uses_of
from support.terminal import PACKAGES, Terminal
from throwaway_synapse import Synapse

REGISTER = """
import getpass, sys
from interactive_auth import Homeserver, console

with Homeserver(sys.argv[1]) as homeserver:
    request = homeserver.register(sys.argv[2], getpass.getpass("New password: "))
    print("Registered", request.authenticate(console.handlers(homeserver))["user_id"])
"""
LOG_OUT = """
import sys
from interactive_auth import Homeserver, console

with Homeserver(sys.argv[1], access_token=sys.argv[2]) as homeserver:
    request = homeserver.delete_device(sys.argv[3])
    request.authenticate(console.handlers(homeserver))
    print("Logged out")
"""
ASK = """
import sys
from interactive_auth import Homeserver, InteractiveAuth, MatrixError, console

def send(auth):
    rules = {"rules": {"version": "1", "en": {"name": "Rules", "url": "https://example.org/rules"}}}
    params = {"m.login.terms": {"policies": rules}}
    raise MatrixError(401, {"session": "a-session", "flows": [{"stages": [sys.argv[1]]}], "params": params})

try:
    InteractiveAuth(send, console.handlers(Homeserver("https://matrix.example.org"))).attempt_auth()
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
"""


def test_registering_in_a_terminal(token_server: Synapse, open_terminal: Callable[..., Terminal], new: Person) -> None:
    """A wrong token, then the right one: the reason is shown, the account made, and no secret is ever echoed."""
    token = new_token(token_server)
    terminal = open_terminal(REGISTER, token_server.base_url, new.name)

    terminal.answer("New password: ", new.password)
    terminal.answer("Step 1 of 1: registration token\r\nRegistration token (hidden): ", "no-such-token")
    terminal.answer("Step 1 of 1 again: registration token (2 tries left)\r\nRegistration token (hidden): ", token)
    terminal.wait_for(f"Registered {new.user_id}\r\n")

    assert terminal.wait_for_end() == 0
    assert exists(token_server, new.user_id)
    assert uses_of(token_server, token) == (1, 0)
    for secret in (new.password, "no-such-token", token):
        assert secret not in terminal.shown


def test_logging_out_in_a_terminal(open_server: Synapse, open_terminal: Callable[..., Terminal], new: Person) -> None:
    """A wrong password, then the right one: the user's name is echoed, the passwords are not, the device is gone."""
    account = open_server.add_user(new.name, new.password)
    terminal = open_terminal(LOG_OUT, open_server.base_url, account["access_token"], account["device_id"])

    terminal.answer("User name: ", new.name)
    terminal.answer("(hidden): ", "a-wrong-guess")
    terminal.wait_for("The server said: Invalid username or password\r\n")
    terminal.wait_for("Enter alone changes the user name.\r\n")
    terminal.answer("(hidden): ", new.password)
    terminal.wait_for("Logged out\r\n")

    assert terminal.wait_for_end() == 0
    assert devices_of(open_server, account["user_id"]) == []
    assert new.name in terminal.shown
    for secret in (new.password, "a-wrong-guess"):
        assert secret not in terminal.shown


@pytest.mark.parametrize("redirection", ["</dev/null", "<&-"])
@pytest.mark.parametrize(
    ("stage", "prompt"),
    [("m.login.registration_token", "Registration token (hidden)"), ("m.login.terms", "Do you accept? (y/n)")],
)
def test_program_without_a_standard_input(stage: str, prompt: str, redirection: str) -> None:
    """A daemon's empty or closed standard input ends the attempt at once, with an error that says what to do."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", ASK, stage],
        env={**os.environ, "PYTHONPATH": PACKAGES},
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,  # without a terminal to fall back to
        check=False,
    )

    assert done.stdout.splitlines()[-1].endswith(
        f"RuntimeError: there is no standard input to ask a person by ({prompt}): "
        "run it in a terminal, or give callbacks that do not ask"
    )
    assert done.returncode == 1
