"""The example that registers, or logs in: by itself, for a person, and where accounts live elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from support.accounts import Account
from support.programs import Run
from support.terminal import Terminal

from interactive_auth.testing import UIAServer

Open = Callable[..., Terminal]
ALICE = "@alice:throwaway.localhost"


def test_by_itself(run_example: Run) -> None:
    """The second time it logs in, on the same device, and expired access tokens are renewed."""
    ended = run_example("register_or_log_in.py")

    said = ended.stdout.splitlines()[3:]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert said == [
        f"The first time: {ALICE}, on REGISTER_OR_LOG_IN",
        f"The second time: {ALICE}, on REGISTER_OR_LOG_IN",
        f"{ALICE} has registered, has logged in, and has logged out again",
    ]


def test_a_name_that_is_mine(in_terminal: Open, account: Account) -> None:
    """Whose the name is logs in with the password, and is logged out in the end."""
    devices = account.devices()
    terminal = in_terminal("register_or_log_in.py", "--homeserver", account.synapse.base_url)
    terminal.answer("User name: ", account.name)
    terminal.answer("Password", account.password)

    assert terminal.wait_for_end() == 0
    assert terminal.shown.splitlines()[-1] == f"{account.user_id} was logged in, and is logged out again"
    assert account.devices() == devices


def test_accounts_that_live_elsewhere(in_terminal: Open, uia_server: UIAServer) -> None:
    """It says so in one line before anything is asked, and names the address."""
    uia_server.account_management_url = "https://account.example.org/"
    terminal = in_terminal("register_or_log_in.py", "--homeserver", uia_server.base_url)

    assert terminal.wait_for_end() == 1
    assert "User name" not in terminal.shown
    assert terminal.shown.splitlines()[-1] == (
        "register_or_log_in.py: this homeserver leaves its accounts to an OAuth service; "
        "do it there: https://account.example.org/"
    )
