"""``python -m interactive_auth`` as a person types it, in a real terminal, on a real Synapse."""

from __future__ import annotations

import json
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import Account, Person, exists, give_address, new_token, owner_of_address
from support.keys import make_keys
from support.programs import OpenTerminal, Start
from support.terminal import TAKE_TERMINAL, Terminal
from throwaway_services import MailServer
from throwaway_synapse import TERMS, TOKEN, Synapse, throwaway_synapse

NEW = "an entirely new one"


@pytest.fixture(scope="module")
def synapse(mails: MailServer) -> Iterator[Synapse]:
    """Run a homeserver that wants a token, its terms accepted and a mail's link opened by those who register."""
    demands = {**TOKEN, "registrations_require_3pid": ["email"]}
    with throwaway_synapse(demands, TERMS, mails.config()) as running:
        yield running


@pytest.fixture
def command(open_terminal: OpenTerminal, synapse: Synapse) -> OpenTerminal:
    """Start a command in a terminal."""
    program = TAKE_TERMINAL + "import runpy; runpy.run_module('interactive_auth', run_name='__main__', alter_sys=True)"
    return lambda name, *arguments: open_terminal("-c", program, name, "--homeserver", synapse.base_url, *arguments)


def log_in(terminal: Terminal, account: Account) -> None:
    """Answer what is asked for before an account can be acted upon."""
    terminal.answer("User name: ", account.name)
    terminal.answer("Password", account.password)


def test_register(command: OpenTerminal, synapse: Synapse, mails: MailServer, new: Person) -> None:
    """From nothing to an account, with a mistyped token and address on the way; no secret is ever seen."""
    token = new_token(synapse)
    terminal = command("register")
    terminal.answer("User name: ", new.name)
    terminal.answer("Password for ", new.password)
    terminal.answer("Repeat the password", "another one")
    terminal.wait_for("The two are not the same.")
    terminal.answer("Password for ", new.password)
    terminal.answer("Repeat the password", new.password)
    terminal.answer("Registration token", "mistyped")
    terminal.answer("Registration token", token)
    terminal.answer("(y/n)", "y")
    terminal.answer("Email address: ", "mistyped")
    terminal.answer("Email address: ", new.address)
    terminal.wait_for(f"Mail sent to {new.address}")
    mails.open_link(new.address)
    terminal.wait_for(f"Registered {new.user_id}\r\n")

    assert terminal.wait_for_end() == 0
    assert owner_of_address(synapse, new.address) == new.user_id
    assert synapse.can_log_in(new.name, new.password)
    assert not [secret for secret in (new.password, token) if secret in terminal.shown]


def test_what_the_readme_shows(open_terminal: OpenTerminal, synapse: Synapse, mails: MailServer, new: Person) -> None:
    """The README's transcript is what stands on a screen of 80 columns in the end."""
    text = (Path(__file__).parents[2] / "README.rst").read_text()
    block = text.partition("for nothing else::\n\n")[2].partition("\n\n`")[0]
    terminal = open_terminal("-m", "interactive_auth", "register", "--homeserver", synapse.base_url, columns=80)
    terminal.answer("User name: ", new.name)
    terminal.answer("Password for ", new.password)
    terminal.answer("Repeat the password", new.password)
    terminal.answer("Registration token", new_token(synapse))
    terminal.answer("(y/n)", "y")
    terminal.answer("Email address: ", new.address)
    terminal.wait_for("Waiting for the link in the mail")
    mails.open_link(new.address)

    assert terminal.wait_for_end() == 0
    shown = "\n".join(terminal.screen)
    for real, example in (
        (new.user_id, "@alice:example.org"),
        (new.address, "alice@example.org"),
        (new.name, "alice"),
        (synapse.base_url, "https://matrix.example.org"),
    ):
        shown = shown.replace(real, example)
    assert shown == textwrap.dedent(block)


def test_change_password(command: OpenTerminal, account: Account) -> None:
    """Logged in by password, it is not asked for again at its stage; no device is left, the program's own neither."""
    terminal = command("change-password")
    log_in(terminal, account)
    terminal.answer("New password", NEW)
    terminal.answer("Repeat the password", NEW)
    terminal.wait_for(f"The password of {account.user_id} was changed, and its other devices were logged out")

    assert terminal.wait_for_end() == 0
    assert account.can_log_in(NEW)
    assert not account.can_log_in()
    assert account.devices() == set()


def test_reset_password(command: OpenTerminal, account: Account, mails: MailServer, new: Person) -> None:
    """A link that is mailed to an address of the account is all that is needed."""
    give_address(account.synapse, account.user_id, new.address)
    terminal = command("reset-password")
    terminal.answer("New password", NEW)
    terminal.answer("Repeat the password", NEW)
    terminal.answer("Email address: ", "nobody@example.org")
    terminal.wait_for("Nothing was sent to that address. The server said: Email not found")
    terminal.answer("Email address: ", new.address)
    terminal.wait_for(f"Mail sent to {new.address}")
    mails.open_link(new.address)
    terminal.wait_for("The password was reset")

    assert terminal.wait_for_end() == 0
    assert account.can_log_in(NEW)


def test_delete_devices(command: OpenTerminal, account: Account) -> None:
    """One of two is chosen from the list; it and the program's own are gone."""
    account.add_device("LOST")
    terminal = command("delete-devices")
    log_in(terminal, account)
    terminal.wait_for("LOST")
    number = terminal.shown.split("LOST")[0].rsplit("\n", 1)[1].partition(":")[0]
    terminal.answer("Which devices do you want to log out", number)

    assert terminal.wait_for_end() == 0
    assert account.devices() == {account.device_id}


def test_deactivate(command: OpenTerminal, account: Account) -> None:
    """After a yes nobody can log in any more."""
    terminal = command("deactivate")
    log_in(terminal, account)
    terminal.answer("(y/n)", "y")
    terminal.wait_for(f"{account.user_id} was deactivated")

    assert terminal.wait_for_end() == 0
    assert account.on_server()["deactivated"]


def test_reset_keys(command: OpenTerminal, account: Account, tmp_path: Path) -> None:
    """The keys on the server are those of the file, in place of those that were there."""
    account.homeserver.upload_cross_signing_keys(**make_keys(account.user_id))()
    keys = make_keys(account.user_id)
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    terminal = command("reset-keys", "--keys", str(tmp_path / "keys.json"))
    log_in(terminal, account)
    terminal.wait_for(f"The cross-signing keys of {account.user_id} are now those of")

    assert terminal.wait_for_end() == 0
    found = account.call("POST", "keys/query", {"device_keys": {account.user_id: []}})["master_keys"]
    assert found[account.user_id]["keys"] == keys["master_key"]["keys"]


def test_add_email(command: OpenTerminal, account: Account, mails: MailServer, new: Person) -> None:
    """The address is on the account when the link was opened, without a key being pressed."""
    terminal = command("add-email")
    log_in(terminal, account)
    terminal.answer("Email address to add: ", new.address)
    terminal.wait_for(f"Mail sent to {new.address}")
    mails.open_link(new.address)
    terminal.wait_for(f"{new.address} was added to {account.user_id}")

    assert terminal.wait_for_end() == 0
    assert account.threepids() == {("email", new.address)}


def test_add_email_with_an_access_token(
    command: OpenTerminal, account: Account, mails: MailServer, new: Person, tmp_path: Path
) -> None:
    """The password is asked for at its stage, once, however often it is looked whether the link was opened."""
    (tmp_path / "token").write_text(account.homeserver.access_token or "")
    terminal = command("add-email", "--token-file", str(tmp_path / "token"))
    terminal.answer("Email address to add: ", new.address)
    terminal.answer("Password of", account.password)
    for _ in range(2):  # the second and the third look
        terminal.wait_for("Waiting for the link in the mail (gives up in 9:5")
    mails.open_link(new.address)
    terminal.wait_for(f"{new.address} was added to {account.user_id}")

    assert terminal.wait_for_end() == 0
    assert account.threepids() == {("email", new.address)}
    assert terminal.shown.count("Password of") == 1


def test_a_script(start_program: Start, synapse: Synapse, mails: MailServer, new: Person) -> None:
    """Secrets in variables, answers on the standard input, the response on the standard output and nothing else."""
    env = {"MATRIX_PASSWORD": new.password, "MATRIX_REGISTRATION_TOKEN": new_token(synapse)}
    arguments = ("-m", "interactive_auth", "register", "--homeserver", synapse.base_url, "--user", new.name, "--json")
    process = start_program(*arguments, env=env)
    assert process.stdin is not None
    process.stdin.write(f"y\n{new.address}\n")
    process.stdin.flush()
    mails.open_link(new.address)

    out, _ = process.communicate()

    assert process.returncode == 0
    response = json.loads(out)
    assert response["user_id"] == new.user_id
    who = synapse.call("GET", "/_matrix/client/v3/account/whoami", access_token=response["access_token"])
    assert who["user_id"] == new.user_id


def test_ctrl_c(command: OpenTerminal, account: Account) -> None:
    """It ends with 130 and one line, and the program's device is logged out."""
    terminal = command("deactivate")
    log_in(terminal, account)
    terminal.wait_for("(y/n)")
    terminal.interrupt()

    assert terminal.wait_for_end() == 130
    assert "Traceback" not in terminal.shown
    assert not account.on_server()["deactivated"]
    assert account.devices() == {account.device_id}


def test_sigterm(start_program: Start, account: Account) -> None:
    """It ends in good order, too."""
    process = start_program("-m", "interactive_auth", "deactivate", "--homeserver", account.synapse.base_url)
    assert process.stdin is not None
    process.stdin.write(f"{account.name}\n{account.password}\n")
    process.stdin.flush()
    assert process.stderr is not None
    shown = ""
    while not shown.endswith("Shall"):
        shown += process.stderr.read(1) or pytest.fail(shown)
    process.send_signal(signal.SIGTERM)

    assert process.wait() == 128 + signal.SIGTERM
    assert account.devices() == {account.device_id}


def test_a_wrong_token(command: OpenTerminal, account: Account, tmp_path: Path) -> None:
    """One line says so, before anything is asked."""
    (tmp_path / "token").write_text("no-such-token")
    terminal = command("delete-devices", "--token-file", str(tmp_path / "token"))

    assert terminal.wait_for_end() == 1
    assert "M_UNKNOWN_TOKEN" in terminal.shown
    assert terminal.shown.count("\n") == 1


def test_ctrl_d(command: OpenTerminal, synapse: Synapse, new: Person) -> None:
    """The end of the input is the person's way to stop."""
    terminal = command("register")
    terminal.answer("User name: ", new.name)
    terminal.wait_for("Password for ")
    terminal.press("\x04")

    assert terminal.wait_for_end() == 1
    assert not exists(synapse, new.user_id)
