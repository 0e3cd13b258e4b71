"""Each example with --homeserver, in a terminal with a person before it: what is asked, and what it does there."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from signedjson.key import decode_verify_key_bytes
from signedjson.sign import verify_signed_json
from support.accounts import Account, Person, give_address, new_token, owner_of_address
from support.programs import Start
from support.terminal import Terminal
from throwaway_services import MailServer
from throwaway_synapse import Synapse
from unpaddedbase64 import decode_base64

Open = Callable[..., Terminal]

NEW = "an entirely new one"


def log_in(terminal: Terminal, account: Account) -> None:
    """Answer the questions that come before an account can be acted upon."""
    terminal.answer("User name: ", account.name)
    terminal.answer("Password", account.password)


def authenticate(terminal: Terminal, account: Account) -> None:
    """Answer the stage that wants the password once more, wrongly first."""
    terminal.answer("Password", "a wrong guess")
    terminal.wait_for("Invalid username or password")
    terminal.answer("Password", account.password)


def secrets_shown(terminal: Terminal, *secrets: str) -> list[str]:
    """Return which of the secrets have stood on the screen."""
    return [secret for secret in secrets if secret in terminal.shown]


def test_register_with_email(in_terminal: Open, synapse: Synapse, mails: MailServer, new: Person) -> None:
    """It asks for name, password, address and token; when the link was opened, the address is on a new account."""
    token = new_token(synapse, 1)
    terminal = in_terminal("register_with_email.py", "--homeserver", synapse.base_url)
    for question, answer in (("User name: ", new.name), ("Password", NEW), ("Email address: ", new.address)):
        terminal.answer(question, answer)
    terminal.answer("Registration token", token)
    terminal.wait_for("Open the link in")

    mails.open_link(new.address)
    terminal.type("")

    assert terminal.wait_for_end() == 0
    assert terminal.screen[-1] == f"{new.user_id} is registered"
    assert owner_of_address(synapse, new.address) == new.user_id
    assert synapse.can_log_in(new.name, NEW)
    assert secrets_shown(terminal, NEW, token) == []


def test_change_password(in_terminal: Open, account: Account) -> None:
    """The new password logs in, the old one does not, and no device is left, the program's own neither."""
    terminal = in_terminal("change_password.py", "--homeserver", account.synapse.base_url)
    log_in(terminal, account)
    for question in ("New password", "The new password again"):
        terminal.answer(question, NEW)
    authenticate(terminal, account)

    assert terminal.wait_for_end() == 0
    assert account.can_log_in(NEW)
    assert not account.can_log_in()
    assert account.devices() == set()
    assert secrets_shown(terminal, NEW, account.password) == []


def test_new_passwords_that_differ(in_terminal: Open, account: Account) -> None:
    """A slip of the fingers changes nothing, and the program logs itself out."""
    terminal = in_terminal("change_password.py", "--homeserver", account.synapse.base_url)
    log_in(terminal, account)
    for question, answer in (("New password", NEW), ("The new password again", "mistyped")):
        terminal.answer(question, answer)

    assert terminal.wait_for_end() == 1
    assert terminal.shown.splitlines()[-1] == (
        "change_password.py: the two new passwords differ, so the old one was kept"
    )
    assert account.can_log_in()
    assert account.devices() == {account.device_id}


def test_reset_password(in_terminal: Open, account: Account, mails: MailServer, new: Person) -> None:
    """Once the page of the mailed link is confirmed, the new password logs in, and the forgotten one does not."""
    give_address(account.synapse, account.user_id, new.address)
    terminal = in_terminal("reset_password.py", "--homeserver", account.synapse.base_url)
    for question, answer in (("Email address of the account: ", new.address), ("New password", NEW)):
        terminal.answer(question, answer)
    terminal.wait_for("Open the link in")

    mails.open_link(new.address)
    terminal.type("")

    assert terminal.wait_for_end() == 0
    assert account.can_log_in(NEW)
    assert not account.can_log_in()
    assert secrets_shown(terminal, NEW) == []


def test_log_out_devices(in_terminal: Open, account: Account) -> None:
    """All devices are logged out but the one whose access token was in the environment."""
    stolen = account.add_device("STOLEN")
    terminal = in_terminal(
        "log_out_devices.py",
        "--homeserver",
        account.synapse.base_url,
        MATRIX_ACCESS_TOKEN=account.homeserver.access_token,
    )
    terminal.wait_for("Log out all devices but this one (1 of 2)? (y/n) ")
    assert "  STOLEN " in terminal.shown
    terminal.type("y")
    authenticate(terminal, account)

    assert terminal.wait_for_end() == 0
    assert terminal.shown.splitlines()[-1] == "Devices logged out: 1"
    assert account.devices() == {account.device_id}
    assert account.call("GET", "account/whoami")["device_id"] == account.device_id
    assert not account.is_valid(stolen)


def test_devices_that_are_kept(in_terminal: Open, account: Account) -> None:
    """Enter is not an answer, and n means no; only the program's own device is gone."""
    terminal = in_terminal("log_out_devices.py", "--homeserver", account.synapse.base_url)
    log_in(terminal, account)
    terminal.answer("(y/n) ", "")
    terminal.answer("(y/n) ", "n")

    assert terminal.wait_for_end() == 1
    assert terminal.shown.splitlines()[-1] == "log_out_devices.py: no device was logged out"
    assert account.devices() == {account.device_id}


def test_reset_cross_signing(in_terminal: Open, account: Account, tmp_path: Path) -> None:
    """Twice, so that there is something to reset: the homeserver hands out the new keys, signed by the new master."""
    masters = []
    for number in range(2):
        file = tmp_path / f"keys{number}"
        terminal = in_terminal("reset_cross_signing.py", "--homeserver", account.synapse.base_url, "--keys", str(file))
        log_in(terminal, account)
        terminal.answer("(y/n) ", "y")
        if number:  # the first keys take no authentication
            authenticate(terminal, account)

        assert terminal.wait_for_end() == 0
        assert file.stat().st_mode & 0o777 == 0o600
        found = account.call("POST", "keys/query", {"device_keys": {account.user_id: []}})
        keys = {kind: found[f"{kind}_keys"][account.user_id] for kind in ("master", "self_signing", "user_signing")}
        ((key_id, text),) = keys["master"]["keys"].items()
        master = decode_verify_key_bytes(key_id, decode_base64(text))
        verify_signed_json(keys["self_signing"], account.user_id, master)
        verify_signed_json(keys["user_signing"], account.user_id, master)
        assert terminal.shown.splitlines()[-1] == f"The master key is now {text}"
        masters.append(text)
    assert masters[0] != masters[1]


def test_deactivate(in_terminal: Open, account: Account) -> None:
    """The account is deactivated and erased, and its password no longer logs in."""
    terminal = in_terminal("deactivate.py", "--homeserver", account.synapse.base_url)
    log_in(terminal, account)
    terminal.answer(f"Type {account.user_id} to deactivate it: ", account.user_id)
    authenticate(terminal, account)

    assert terminal.wait_for_end() == 0
    assert terminal.shown.splitlines()[-1] == f"{account.user_id} is deactivated"
    found = account.on_server()
    assert (found["deactivated"], found["erased"]) == (True, True)
    assert not account.can_log_in()


def test_an_account_that_is_kept(in_terminal: Open, account: Account) -> None:
    """Anything but the whole user id leaves the account as it is."""
    terminal = in_terminal("deactivate.py", "--homeserver", account.synapse.base_url)
    log_in(terminal, account)
    terminal.answer("to deactivate it: ", "yes")

    assert terminal.wait_for_end() == 1
    assert terminal.shown.splitlines()[-1] == f"deactivate.py: {account.user_id} was left as it is"
    assert not account.on_server()["deactivated"]
    assert account.devices() == {account.device_id}


def test_add_email(in_terminal: Open, account: Account, mails: MailServer, new: Person) -> None:
    """Who presses Enter before the link was opened is told so; afterwards the address is on the account."""
    terminal = in_terminal("add_email.py", "--homeserver", account.synapse.base_url)
    log_in(terminal, account)
    terminal.answer("Email address: ", new.address)
    terminal.answer("press Enter: ", "")
    authenticate(terminal, account)
    terminal.wait_for("The link was not opened yet")
    terminal.wait_for("press Enter: ")

    mails.open_link(new.address)
    terminal.type("")
    terminal.wait_for("Password")  # the homeserver has not said that it is done
    terminal.type(account.password)

    assert terminal.wait_for_end() == 0
    assert [threepid["address"] for threepid in account.on_server()["threepids"]] == [new.address]
    assert terminal.shown.splitlines()[-1] == f"On the account of {account.user_id}: {new.address}"
    assert mails.count(new.address) == 1


def test_ctrl_c_logs_the_program_out(start_example: Start, account: Account) -> None:
    """Who thinks better of it leaves neither a change nor a device behind."""
    arguments = ("--homeserver", account.synapse.base_url)
    program = start_example("deactivate.py", *arguments, lines=(account.name, account.password))
    assert program.stdout is not None
    while "This cannot be undone" not in (line := program.stdout.readline()):
        assert line
    before = account.devices()

    program.send_signal(signal.SIGINT)
    _, errors = program.communicate()

    assert (program.returncode, errors) == (130, "deactivate.py: interrupted\n")
    assert len(before) == 2
    assert account.devices() == {account.device_id}
    assert not account.on_server()["deactivated"]


def test_a_wrong_password_is_one_line(in_terminal: Open, account: Account) -> None:
    """Who cannot log in is told what the homeserver said."""
    terminal = in_terminal("deactivate.py", "--homeserver", account.synapse.base_url)
    terminal.answer("User name: ", account.name)
    terminal.answer("Password", "a wrong guess")

    assert terminal.wait_for_end() == 1
    sent = f"POST {account.synapse.base_url}/_matrix/client/v3/login"
    said = f"deactivate.py: 403 M_FORBIDDEN: Invalid username or password ({sent})"
    assert terminal.shown.splitlines()[-1] == said
