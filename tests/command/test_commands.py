"""What each command does, says and ends with, by a script's answers, on the scripted homeserver."""

from __future__ import annotations

import errno
import io
import json
import math
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from interactive_auth import Homeserver, MatrixError, __main__, __version__, _commands
from interactive_auth.__main__ import main
from interactive_auth.homeserver import Purpose
from interactive_auth.testing import UIAServer
from interactive_auth.testing._accounts import Device

from .conftest import Run

Args = tuple[str, str]
REGISTERED = "Registered @bob:example.org\n"
LOGGED_IN = ("alice", "the password")


class Full(io.StringIO):
    """A file on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def paths(server: UIAServer) -> list[str]:
    """Return the ends of the paths that were asked for."""
    return [request.path.rpartition("/v3/")[2] for request in server.requests]


def devices(server: UIAServer) -> list[str]:
    """Return the names of alice's devices."""
    return [str(device.display_name) for device in server.accounts["alice"].devices.values()]


# Registering


def test_register(run: Run, there: Args, uia_server: UIAServer) -> None:
    """Name and password are asked for, the account is made, and no device that nobody has the token of."""
    uia_server.flows = [["m.login.dummy"]]

    ended = run("register", *there, lines=("bob", "a password"))

    assert (ended.status, ended.out) == (0, REGISTERED)
    assert uia_server.accounts["bob"].devices == {}
    assert "a password" not in ended.err


def test_register_for_a_script(run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json and the secrets in variables nothing is asked, and the response has the new access token."""
    uia_server.flows = [["m.login.registration_token"]]
    uia_server.answers = {"m.login.registration_token": "a-registration-token"}
    monkeypatch.setenv("MATRIX_PASSWORD", "a password")
    monkeypatch.setenv("MATRIX_REGISTRATION_TOKEN", "a-registration-token")

    ended = run("register", *there, "--user", "bob", "--json")

    assert ended.status == 0
    account = json.loads(ended.out)
    assert account["user_id"] == "@bob:example.org"
    assert [device.access_token for device in uia_server.accounts["bob"].devices.values()] == [account["access_token"]]


def test_a_refused_token_is_asked_for(run: Run, there: Args, uia_server: UIAServer, tmp_path: Path) -> None:
    """What a file held is tried first; refused, the person is told why and asked."""
    (tmp_path / "token").write_text("an-old-token\n")
    uia_server.flows = [["m.login.registration_token"]]
    uia_server.answers = {"m.login.registration_token": "a-registration-token"}
    arguments = ("--user", "bob", "--token-file", str(tmp_path / "token"))

    ended = run("register", *there, *arguments, lines=("a password", "a-registration-token"))

    assert (ended.status, ended.out) == (0, REGISTERED)
    tokens = [auth["token"] for auth in uia_server.auths if auth is not None]
    assert tokens == ["an-old-token", "a-registration-token"]


def test_a_name_that_is_taken(run: Run, there: Args, uia_server: UIAServer) -> None:
    """Another one is asked for before a password is."""
    uia_server.flows = [["m.login.dummy"]]

    ended = run("register", *there, lines=("alice", "bob", "a password"))

    assert ended.status == 0
    assert "The name alice is taken. Choose another one." in ended.err


def test_a_name_that_is_given_and_taken(run: Run, there: Args, uia_server: UIAServer) -> None:
    """It ends in one line, and nothing is asked."""
    ended = run("register", *there, "--user", "alice")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        "python -m interactive_auth register: The name alice is taken. Nothing was registered"
    ]


def test_a_name_that_is_not_valid(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The homeserver's words are shown, three times at most."""
    uia_server.fail_next(400, "M_INVALID_USERNAME", "Only a-z", times=4, path="/register/available")

    ended = run("register", *there, lines=("Bob", "BOB", "BoB"))

    assert ended.status == 1
    assert ended.err.count("does not take the name") == 3
    assert "Only a-z. Choose another one." in ended.err


def test_a_name_that_the_homeserver_does_not_tell_of(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The registration itself goes on: not every homeserver says which names are free."""
    uia_server.flows = [["m.login.dummy"]]
    uia_server.fail_next(404, "M_UNRECOGNIZED", times=2, path="/register/available")

    assert run("register", *there, lines=("bob", "a password")).status == 0


def test_a_weak_password(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The reason is told, and another one asked for."""
    uia_server.flows = [["m.login.dummy"]]
    uia_server.fail_next(400, "M_WEAK_PASSWORD", "Too short", path="/register")

    ended = run("register", *there, "--user", "bob", lines=("short", "a long password"))

    assert ended.status == 0
    assert "The homeserver does not take this password: Too short" in ended.err


def test_registration_that_is_closed(run: Run, there: Args, uia_server: UIAServer) -> None:
    """It is said before anything is asked."""
    uia_server.fail_next(403, "M_FORBIDDEN", "Registration has been disabled", path="/register/available")

    ended = run("register", *there)

    assert ended.status == 1
    assert "Registration has been disabled" in ended.err


# With an account


def test_change_password(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The password that logs in is the answer to the stage, too, and the device for it is gone in the end."""
    uia_server.add_account("alice", "the password").devices.clear()

    ended = run("change-password", *there, lines=(*LOGGED_IN, "a new one"))

    assert (ended.status, ended.out) == (
        0,
        "The password of @alice:example.org was changed, and its other devices were logged out\n",
    )
    assert uia_server.accounts["alice"].password == "a new one"
    assert devices(uia_server) == []


def test_devices_that_are_kept(run: Run, there: Args, uia_server: UIAServer) -> None:
    """Only the device of the command itself goes."""
    uia_server.accounts["alice"].devices.clear()
    uia_server.accounts["alice"].devices["PHONE"] = Device("PHONE", "A phone")

    ended = run("change-password", *there, "--keep-devices", lines=(*LOGGED_IN, "a new one"))

    assert (ended.status, ended.out) == (0, "The password of @alice:example.org was changed\n")
    assert list(uia_server.accounts["alice"].devices) == ["PHONE"]


def test_an_access_token(run: Run, there: Args, uia_server: UIAServer, tmp_path: Path) -> None:
    """With one in a file nobody logs in or out, and the password is asked for at its stage."""
    account = uia_server.add_account("alice", "the password", devices=["PHONE"])
    (tmp_path / "token").write_text(account.devices["PHONE"].access_token)
    uia_server.answers = {"m.login.password": "the password"}
    lines = ("a new one", "a wrong guess", "the password")

    ended = run("change-password", *there, "--token-file", str(tmp_path / "token"), lines=lines)

    assert ended.status == 0
    assert account.password == "a new one"
    assert not {"login", "logout"} & set(paths(uia_server))


@pytest.mark.parametrize("way", ["the standard input", "a variable"])
def test_an_access_token_by_another_way(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The token is the first line of the standard input, or in a variable."""
    token = uia_server.add_account("alice", "the password", devices=["PHONE", "LOST"]).devices["PHONE"].access_token
    lines: tuple[str, ...] = ("the password",)
    arguments: tuple[str, ...] = ()
    if way == "a variable":
        monkeypatch.setenv("MATRIX_ACCESS_TOKEN", token)
    else:
        arguments, lines = ("--token-file", "-"), (token, *lines)

    ended = run("delete-devices", *there, "LOST", *arguments, lines=lines)

    assert (ended.status, ended.out) == (0, "Logged out of @alice:example.org: LOST\n")


def test_a_token_that_is_not_valid(run: Run, there: Args, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It ends in one line that says where it came from, before anything is asked."""
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", "an-old-token")
    by_variable = run("change-password", *there)
    (file := tmp_path / "token").write_text("an-older-token")
    by_file = run("change-password", *there, "--token-file", str(file))

    for ended, source in ((by_variable, "MATRIX_ACCESS_TOKEN"), (by_file, f"--token-file {file}")):
        assert ended.status == 1
        assert ended.err.count("\n") == 1
        assert f"refused the access token of {source}: 401 M_UNKNOWN_TOKEN" in ended.err
        assert "an-old" not in ended.err


def test_a_homeserver_that_fails(run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no refusal of the access token."""
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", "a-token")
    uia_server.fail_next(400, "M_UNKNOWN", "Not today", path="/account/whoami")

    ended = run("change-password", *there)

    assert ended.status == 1
    assert "access token" not in ended.err
    assert "Not today" in ended.err


def test_a_wrong_password(run: Run, there: Args) -> None:
    """It is asked for again at the login, and three times at most."""
    wrong = "a wrong guess"

    refused = run("deactivate", *there, "--yes", lines=("alice", wrong, "", wrong, "", wrong))
    done = run("deactivate", *there, "--yes", lines=("mistyped", wrong, *LOGGED_IN))

    assert (refused.status, done.status) == (1, 0)
    assert refused.err.count("The homeserver refused the login: ") == 3
    assert refused.err.endswith(" (that was the last of 3 tries)\n")
    assert "User name (Enter keeps mistyped): Password of alice" in done.err


def test_a_wrong_password_in_a_variable(run: Run, there: Args, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried once, and it is said where it came from."""
    monkeypatch.setenv("MATRIX_PASSWORD", "a wrong guess")

    ended = run("deactivate", *there, "--yes", "--user", "alice")

    assert ended.status == 1
    assert "refused the password of MATRIX_PASSWORD: 403 M_FORBIDDEN" in ended.err


def test_a_login_that_no_password_helps(run: Run, there: Args, uia_server: UIAServer) -> None:
    """It is not tried again."""
    uia_server.accounts["alice"].deactivated = True

    ended = run("deactivate", *there, "--yes", lines=LOGGED_IN)

    assert ended.status == 1
    assert "M_USER_DEACTIVATED" in ended.err


def test_no_login_by_password(run: Run, there: Args, uia_server: UIAServer) -> None:
    """An access token is asked for, and it is said why."""
    token = uia_server.add_account("alice", "the password", devices=["PHONE", "LOST"]).devices["PHONE"].access_token
    uia_server.responses = {"/login": {"flows": [{"type": "m.login.sso"}]}}

    ended = run("delete-devices", *there, "LOST", lines=(token, "the password"))

    assert ended.status == 0
    assert "This homeserver has no login by password." in ended.err


def test_reset_password(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The mailed link is all that is needed; an address that no account has is asked for again."""
    uia_server.add_account("alice", "forgotten", addresses=["a@example.org"])
    uia_server.flows = [["m.login.email.identity"]]
    uia_server.complete("m.login.email.identity")

    uia_server.fail_next(400, "M_THREEPID_NOT_FOUND", "Email not found", path="/account/password/email/requestToken")

    ended = run("reset-password", *there, lines=("a new one", "mistyped@example.org", "a@example.org"))

    assert (ended.status, ended.out) == (0, "The password was reset, and all devices were logged out\n")
    assert uia_server.accounts["alice"].password == "a new one"
    assert "Nothing was sent to that address. The server said: Email not found" in ended.err


def test_choosing_devices(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The devices are listed, but for the command's own; a choice that is none is asked for again."""
    uia_server.add_account("alice", "the password", devices=["PHONE", "LAPTOP", "TABLET"])

    ended = run("delete-devices", *there, lines=(*LOGGED_IN, "1 7", "1 3 1"))

    assert (ended.status, ended.out) == (0, "Logged out of @alice:example.org: PHONE, TABLET\n")
    assert list(uia_server.accounts["alice"].devices) == ["LAPTOP"]
    assert "Choose by numbers from 1 to 3, with spaces between them, or by device ids." in ended.err
    assert "This program's own device is not listed." in ended.err


def test_devices_by_their_ids(run: Run, there: Args, uia_server: UIAServer) -> None:
    """They may be typed instead of numbers; a number means its line, even if it is an id, too."""
    uia_server.add_account("alice", "the password", devices=["PHONE", "1", "TABLET"])

    ended = run("delete-devices", *there, lines=(*LOGGED_IN, "TABLET, 1"))

    assert (ended.status, list(uia_server.accounts["alice"].devices)) == (0, ["1"])


def test_a_device_that_the_account_has_not(run: Run, there: Args, uia_server: UIAServer) -> None:
    """A homeserver calls that a success; a person is told of their mistake, and no device goes."""
    uia_server.add_account("alice", "the password", devices=["PHONE"])

    ended = run("delete-devices", *there, "PHONE", "NOPE", lines=LOGGED_IN)

    assert (ended.status, list(uia_server.accounts["alice"].devices)) == (1, ["PHONE"])
    assert ended.err.endswith(": @alice:example.org has no device NOPE; none was logged out\n")


def test_all_devices(run: Run, there: Args, uia_server: UIAServer) -> None:
    """All but the command's own are chosen in a word; afterwards there is none to choose."""
    uia_server.add_account("alice", "the password", devices=["PHONE", "LAPTOP"])

    assert run("delete-devices", *there, lines=(*LOGGED_IN, "all")).status == 0
    assert devices(uia_server) == []
    ended = run("delete-devices", *there, lines=LOGGED_IN)

    assert ended.status == 1
    assert "there is no device but the one that this program uses" in ended.err


def test_no_choice_of_devices(run: Run, there: Args, uia_server: UIAServer) -> None:
    """After three answers that are none, no device is logged out."""
    uia_server.add_account("alice", "the password", devices=["PHONE"])

    assert run("delete-devices", *there, lines=(*LOGGED_IN, "0", "x", "2")).status == 1
    assert list(uia_server.accounts["alice"].devices) == ["PHONE"]


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        ([{"device_id": "PHONE", "last_seen_ts": 1700000000000}], "1: PHONE, last seen 2023-11-14"),
        ([{"device_id": "PHONE", "last_seen_ts": 10**30}], "1: PHONE\n"),
        ([{"device_id": "PHONE", "display_name": 5, "last_seen_ts": "now"}, 7, {"device_id": 3}], "1: PHONE\n"),
        ([{"device_id": "PHONE", "display_name": "\x1b[2J"}], "1: PHONE \\x1b[2J\n"),
        ("none", "there is no device but the one that this program uses"),
    ],
)
def test_what_a_homeserver_says_of_devices(
    run: Run, there: Args, uia_server: UIAServer, listed: object, shown: str
) -> None:
    """What is no device is left out, and nothing is shown that a terminal would obey."""
    uia_server.responses = {"/v3/devices": {"devices": listed}}

    ended = run("delete-devices", *there, lines=(*LOGGED_IN, "all"))

    assert shown in ended.err


def test_deactivate(run: Run, there: Args, uia_server: UIAServer) -> None:
    """It is asked whether that is meant; afterwards nobody can log in."""
    ended = run("deactivate", *there, "--erase", lines=(*LOGGED_IN, "y"))

    assert (ended.status, ended.out) == (0, "@alice:example.org was deactivated\n")
    assert uia_server.accounts["alice"].deactivated
    assert uia_server.requests[-2].body["erase"] is True


def test_an_account_that_is_kept(run: Run, there: Args, uia_server: UIAServer) -> None:
    """A no leaves it as it is, and so does somebody who says neither; the command's own device is logged out."""
    run("deactivate", *there, lines=(*LOGGED_IN, *10 * [""]))
    ended = run("deactivate", *there, lines=(*LOGGED_IN, "n"))

    assert ended.status == 1
    assert not uia_server.accounts["alice"].deactivated
    assert devices(uia_server) == []


def test_a_device_that_could_not_be_logged_out(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The person is told that it is still there."""
    uia_server.add_account("alice", "the password", devices=["LOST"])
    uia_server.fail_next(500, "M_UNKNOWN", path="/logout")

    ended = run("delete-devices", *there, "LOST", lines=LOGGED_IN)

    assert ended.status == 0
    assert "This program's own device, interactive_auth, is still logged in: " in ended.err


def test_a_device_that_may_be_logged_in_still(
    there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while it is being logged out leaves that open, and the person is told so."""
    uia_server.add_account("alice", "the password", devices=["LOST"])
    monkeypatch.setenv("MATRIX_PASSWORD", "the password")
    monkeypatch.setattr(Homeserver, "logout", lambda homeserver: signal.raise_signal(signal.SIGINT))

    assert main(["delete-devices", *there, "LOST", "--user", "alice"]) == 130
    assert "This program's own device, interactive_auth, may still be logged in." in capsys.readouterr().err


def test_a_name_that_a_terminal_would_obey(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A homeserver cannot write over the question with the answer to it."""
    account = uia_server.add_account("alice", "the password", devices=["PHONE"])
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", account.devices["PHONE"].access_token)
    uia_server.responses = {"/account/whoami": {"user_id": "@a\x1b[2JShall nothing happen?:example.org"}}

    ended = run("deactivate", *there, lines=("n",))

    assert ended.status == 1
    assert "Shall @a\\x1b[2JShall nothing happen?:example.org be deactivated?" in ended.err
    assert "\x1b" not in ended.err


def test_reset_keys(run: Run, there: Args, uia_server: UIAServer, tmp_path: Path) -> None:
    """The keys of the file are uploaded, as they are."""
    master = {"user_id": "@alice:example.org", "usage": ["master"], "keys": {"ed25519:abc": "abc"}}
    (tmp_path / "keys").write_text(json.dumps({"master_key": master, "other": 1}))

    ended = run("reset-keys", *there, "--keys", str(tmp_path / "keys"), lines=LOGGED_IN)

    assert ended.status == 0
    uploaded = [request for request in uia_server.requests if request.path.endswith("/keys/device_signing/upload")]
    assert {key: value for key, value in uploaded[-1].body.items() if key != "auth"} == {"master_key": master}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"keys": 1}',
        '{"master_key": "x"}',
        '{"master_key": null}',
        '{"master_key": {"x": NaN}}',
        '{"master_key": {"x": "\\ud800"}}',
        "[" * 100_000,
    ],
    ids=range(10),
)
def test_a_file_that_has_no_keys(run: Run, there: Args, uia_server: UIAServer, tmp_path: Path, content: str) -> None:
    """It is wrong usage, and told before anything is asked."""
    file = tmp_path / "keys"
    file.write_text(content)

    ended = run("reset-keys", *there, "--keys", str(file))

    assert ended.status == 2
    assert f"argument --keys: {file} " in ended.err


def test_add_email(run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to press a key: the address is on the account once the link was opened."""
    monkeypatch.setattr(_commands, "_INTERVAL", 0.01)
    uia_server.complete("m.login.email.identity", after=2)

    ended = run("add-email", *there, lines=(*LOGGED_IN, "a@example.org"))

    assert (ended.status, ended.out) == (0, "a@example.org was added to @alice:example.org\n")
    assert "Mail sent to a@example.org." in ended.err


def test_an_address_that_nobody_validates(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has an end, and a reason."""
    monkeypatch.setattr(_commands, "_PATIENCE", 0.0)

    ended = run("add-email", *there, "--email", "a@example.org", lines=LOGGED_IN)

    assert ended.status == 1
    assert ended.err.endswith(": the email address was not completed in time; nothing was done\n")


def test_an_address_that_is_mistyped(run: Run, there: Args, uia_server: UIAServer) -> None:
    """It is asked for again, with what matters of the homeserver's words."""
    words = "1 validation error for EmailRequestTokenBody\nemail\n  Value error, Unable to parse email address [type=v]"
    uia_server.fail_next(400, "M_INVALID_PARAM", words, path="/account/3pid/email/requestToken")
    uia_server.complete("m.login.email.identity")

    ended = run("add-email", *there, lines=(*LOGGED_IN, "mistyped", "a@example.org"))

    assert ended.status == 0
    assert "Nothing was sent to that address: Unable to parse email address (2 tries left)\n" in ended.err


@pytest.mark.parametrize("address", ["file:///etc/passwd", 5])
def test_a_code_that_goes_nowhere(run: Run, there: Args, uia_server: UIAServer, address: object) -> None:
    """No code is asked for that could not be sent."""
    uia_server.responses = {"/account/3pid/email/requestToken": {"sid": "1", "submit_url": address}}

    ended = run("add-email", *there, "--email", "a@example.org", lines=LOGGED_IN)

    assert ended.status == 1
    assert ended.err.endswith(" wants the mail's code at an address that is none\n")


def test_add_email_with_a_token_asks_once(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the link is waited for nobody is asked again, and the password is sent once."""
    monkeypatch.setattr(_commands, "_INTERVAL", 0.01)
    account = uia_server.add_account("alice", "the password", devices=["PHONE"])
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", account.devices["PHONE"].access_token)
    uia_server.answers = {"m.login.password": "the password"}
    uia_server.complete("m.login.email.identity", after=5)

    ended = run("add-email", *there, lines=("a@example.org", "the password"))

    assert (ended.status, ended.out) == (0, "a@example.org was added to @alice:example.org\n")
    assert [auth["password"] for auth in uia_server.auths if auth and "password" in auth] == ["the password"]


def test_an_address_that_is_refused(run: Run, there: Args, uia_server: UIAServer) -> None:
    """Another refusal ends the command."""
    uia_server.fail_next(400, "M_THREEPID_IN_USE", "Somebody has it", path="/account/3pid/email/requestToken")

    ended = run("add-email", *there, "--email", "a@example.org", lines=LOGGED_IN)

    assert ended.status == 1
    assert "Somebody has it" in ended.err


CODE_IS_WRONG = "That code is wrong."


@pytest.mark.parametrize(
    ("codes", "status", "said"),
    [
        (("wrong", "right"), 0, CODE_IS_WRONG),
        (("wrong", "wrong", "wrong"), 1, CODE_IS_WRONG),
        (("late",), 1, "the code came too late, and the address was not added: begin again\n"),
        (("refused",), 1, "No more today"),
    ],
)
def test_a_mail_that_brings_a_code(
    run: Run,
    there: Args,
    uia_server: UIAServer,
    monkeypatch: pytest.MonkeyPatch,
    codes: tuple[str, ...],
    status: int,
    said: str,
) -> None:
    """The code is asked for, three times at most, and not again where it is no use."""
    refusals = {"late": ("M_SESSION_EXPIRED", "It has expired"), "refused": ("M_FORBIDDEN", "No more today")}

    def submit(self: Homeserver, submit_url: str, sid: str, client_secret: str, token: str) -> bool:
        if token in refusals:
            errcode, error = refusals[token]
            raise MatrixError(400, {"errcode": errcode, "error": error})
        uia_server.complete("m.login.email.identity")
        return token == "right"

    def request(self: Homeserver, purpose: Purpose, email: str, client_secret: str) -> dict[str, Any]:
        return {**requested(self, purpose, email, client_secret), "submit_url": f"{self.base_url}/submit"}

    requested = Homeserver.request_email_token
    monkeypatch.setattr(Homeserver, "request_email_token", request)
    monkeypatch.setattr(Homeserver, "submit_token", submit)

    ended = run("add-email", *there, "--email", "a@example.org", lines=(*LOGGED_IN, *codes))

    assert ended.status == status
    assert said in ended.err


def test_a_mail_without_a_sid(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The homeserver broke the rules, and it is said so."""
    uia_server.responses = {"/account/3pid/email/requestToken": {"sid": 7}}

    ended = run("add-email", *there, "--email", "a@example.org", lines=LOGGED_IN)

    assert ended.status == 1
    assert "says no usable sid" in ended.err


# Before anything is asked


COMMANDS = ("register", "change-password", "reset-password", "delete-devices", "deactivate", "add-email")


@pytest.mark.parametrize("command", COMMANDS)
def test_accounts_that_live_elsewhere(run: Run, there: Args, uia_server: UIAServer, command: str) -> None:
    """One line says where the person does it."""
    uia_server.account_management_url = "https://account.example.org/"

    ended = run(command, *there)

    assert (ended.status, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert "https://account.example.org/" in ended.err


def test_an_endpoint_that_is_not_there(run: Run, there: Args, uia_server: UIAServer) -> None:
    """It is said before anybody logs in."""
    uia_server.fail_next(404, "M_UNRECOGNIZED", path="/account/3pid/add")

    ended = run("add-email", *there)

    assert ended.status == 1
    assert "M_UNRECOGNIZED" in ended.err


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("http://example.org", 2, "http://example.org is plain http to example.org"),
        ("https://example.org/_matrix/client/v3", 2, "without /_matrix"),
        ("", 2, "--homeserver: it must not be empty"),
        ("https://", 2, "must be an http:// or https:// address with a host"),
        ("ftp://example.org", 2, "like https://matrix.example.org, or a server name or a user id"),
        ("example.org/", 2, "must be a server name like example.org or a user id"),
        ("@alice", 2, "@alice lacks the server's name: a user id is like @alice:example.org"),
        ("localhost:1", 1, "; for the one at that port, give its address: http(s)://localhost:1"),
        ("@alice:localhost:1", 1, "; for the one at that port, give its address: http(s)://localhost:1"),
        ("localhost", 1, "GET https://localhost/.well-known/matrix/client got no answer"),
        ("http://127.0.0.1:1", 1, "GET http://127.0.0.1:1/_matrix/client/versions got no answer"),
    ],
)
def test_a_wrong_address(run: Run, name: str, status: int, said: str) -> None:
    """It ends in one line without a word of Python, and nothing is asked."""
    ended = run("register", "--homeserver", name)

    assert (ended.status, ended.out) == (status, "")
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err
    assert not [word for word in ("base_url", "=True", "server_name_or", "discover") if word in ended.err]


def test_another_site(run: Run, there: Args, uia_server: UIAServer) -> None:
    """A server that is no homeserver is told from one, whatever it answers."""
    uia_server.fail_next(404, path="/_matrix/client/versions")
    missing = run("register", *there)
    uia_server.responses = {"/_matrix/client/versions": {"versions": "all"}}
    other = run("register", *there)

    assert (missing.status, other.status) == (1, 1)
    assert "there is no homeserver at http" in missing.err
    assert "is not a homeserver: it states no versions" in other.err


def test_a_user_id(run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads to the homeserver, and need not be typed again."""
    monkeypatch.setattr("interactive_auth.homeserver.Homeserver.discover", lambda name, **_: Homeserver(there[1]))
    uia_server.add_account("alice", "the password", devices=["LOST"])

    ended = run("delete-devices", "--homeserver", "@alice:example.org", "LOST", lines=("the password",))

    assert ended.status == 0
    uia_server.flows = [["m.login.dummy"]]
    assert run("register", "--homeserver", "@bob:example.org", lines=("a password",)).out == REGISTERED


@pytest.mark.parametrize("user", ["bob", "@bob:example.org", "@alice:example.net"])
def test_an_access_token_of_somebody_else(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """Whoever says whom they mean never acts for another account."""
    account = uia_server.add_account("alice", "the password", devices=["PHONE"])
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", account.devices["PHONE"].access_token)

    ended = run("deactivate", *there, "--yes", "--user", user, lines=("the password",))

    assert ended.status == 1
    assert f"the access token is that of @alice:example.org, and --user says {user}: nothing was done" in ended.err
    assert not account.deactivated


def test_a_user_of_another_server(run: Run) -> None:
    """A name of a server, and a user id of another, are a mistake; no password goes anywhere."""
    ended = run("register", "--homeserver", "example.org", "--user", "@bob:example.net")

    assert ended.status == 2
    assert ended.err.endswith("--user: @bob:example.net is not a user of example.org, whose homeserver is asked\n")


def test_a_user_id_that_is_typed(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The name in it is registered; an option that is empty is none, so that there are three tries."""
    uia_server.flows = [["m.login.dummy"]]

    ended = run("register", *there, "--user", "", lines=("alice", "@bob:example.org", "a password"))

    assert (ended.status, ended.out) == (0, REGISTERED)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """A person is told what is going on, and soon that there is no answer; https may be the mistake."""
    monkeypatch.setattr(__main__, "_LOOK", {"timeout": 0.3, "retry": None})
    monkeypatch.setattr(__main__, "_LONG", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        ended = run("register", "--homeserver", f"{scheme}://{address}")

    looking, reason = ended.err.splitlines()
    assert ended.status == 1
    assert looking == f"Looking for a homeserver at {scheme}://{address} ..."
    assert "it took more than 0.3 seconds" in reason
    assert reason.endswith(f"; if it speaks plain http, its address is http://{address}") is (scheme == "https")


# The program


@pytest.mark.parametrize("stream", [None, Full()], ids=["closed", "full"])
def test_standard_output_that_takes_nothing(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    """What was done is told all the same, in one line."""
    uia_server.flows = [["m.login.dummy"]]
    monkeypatch.setattr("sys.stdout", stream)

    ended = run("register", *there, "--user", "bob", lines=("a password",))

    assert ended.status == 1
    assert ": it was done, but standard output did not take it: " in ended.err
    assert ended.err.endswith(". Registered @bob:example.org\n")


def test_letters_that_standard_output_lacks(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are escaped."""
    uia_server.flows = [["m.login.dummy"]]
    uia_server.responses = {"/register": {"user_id": "@\u65e5:example.org"}}
    monkeypatch.setattr("sys.stdout", stream := io.TextIOWrapper(io.BytesIO(), encoding="ascii"))

    assert run("register", *there, "--user", "bob", lines=("a password",)).status == 0
    assert stream.buffer.getvalue() == b"Registered @\\u65e5:example.org\n"  # type: ignore[attr-defined]  # it is a TextIOWrapper


def test_standard_error_that_is_closed(
    run: Run, there: Args, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What went wrong is not taken for the result."""
    monkeypatch.setattr("sys.stderr", None)

    assert run("deactivate", *there, "--token-file", "/nowhere").out == ""


def test_json_that_is_none(run: Run, there: Args, uia_server: UIAServer) -> None:
    """What a server says beyond JSON becomes null."""
    uia_server.flows = [["m.login.dummy"]]
    answer = {"user_id": "@bob:example.org", "access_token": "a-token", "x": [math.nan, math.inf]}
    uia_server.responses = {"/register": answer}

    ended = run("register", *there, "--user", "bob", "--json", lines=("a password",))

    assert json.loads(ended.out, parse_constant=pytest.fail)["x"] == [None, None]


def test_version(run: Run) -> None:
    """It is printed."""
    assert run("--version").out == f"interactive_auth {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("fly",), ("register",), ("reset-keys", "--homeserver", "example.org")])
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    """Argparse says what is wrong."""
    ended = run(*arguments)

    assert ended.status == 2
    assert ended.err.startswith("usage: python -m interactive_auth")


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_a_token_file_that_has_no_token(run: Run, there: Args, tmp_path: Path, content: bytes | None) -> None:
    """It is wrong usage, and told at once."""
    if content is not None:
        (tmp_path / "token").write_bytes(content)

    ended = run("deactivate", *there, "--token-file", str(tmp_path / "token"))

    assert ended.status == 2
    assert "argument --token-file: " in ended.err
    assert ended.err.count(str(tmp_path)) == 1


def test_nobody_to_ask(run: Run, there: Args) -> None:
    """A question at the end of the standard input ends the command in one line."""
    ended = run("register", *there)

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[-1] == (
        'python -m interactive_auth register: the standard input has no line for "User name"; or give --user'
    )


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("register", "MATRIX_REGISTRATION_TOKEN", "wrong"),
        ("delete-devices", "MATRIX_PASSWORD", "wrong"),
    ],
)
def test_a_script_that_gives_what_is_wrong(
    run: Run,
    there: Args,
    uia_server: UIAServer,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    variable: str,
    value: str,
) -> None:
    """It is told that what it gave was refused, and not to give it."""
    account = uia_server.add_account("alice", "the password", devices=["PHONE"])
    uia_server.answers = {"m.login.password": "the password", "m.login.registration_token": "right"}
    uia_server.flows = [["m.login.password" if command == "delete-devices" else "m.login.registration_token"]]
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", account.devices["PHONE"].access_token)
    monkeypatch.setenv("MATRIX_PASSWORD", "a password")
    monkeypatch.setenv(variable, value)
    arguments = ("PHONE",) if command == "delete-devices" else ("--user", "bob")

    ended = run(command, *there, *arguments)

    assert ended.status == 1
    assert ended.err.endswith(f"; what {variable} holds was refused\n")
    assert "or give" not in ended.err


def test_nobody_to_ask_what_no_argument_gives(run: Run, there: Args, uia_server: UIAServer) -> None:
    """What a person alone can decide is named all the same."""
    uia_server.flows = [["m.login.terms"]]
    uia_server.params = {
        "m.login.terms": {"policies": {"tos": {"version": "1", "en": {"name": "Rules", "url": "https://example.org/"}}}}
    }

    ended = run("register", *there, "--user", "bob", lines=("a password",))

    assert ended.status == 1
    assert ended.err.endswith(': the standard input has no line for "Do you accept? (y/n)"\n')


def test_words_for_programs(run: Run, there: Args, uia_server: UIAServer) -> None:
    """What a program could do next is not told to a person."""
    uia_server.flows = [["m.login.registration_token"]]
    uia_server.answers = {"m.login.registration_token": "right"}

    ended = run("register", *there, "--user", "bob", lines=("a password", "wrong", "wrong", "wrong"))

    assert ended.status == 1
    assert not [word for word in ("authenticate()", "attempt_auth", "Try again with") if word in ended.err]
    assert ended.err.endswith(
        ": the registration token was refused 3 times: Invalid registration token; nothing was done\n"
    )


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_the_signals_that_end_programs(
    there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals
) -> None:
    """They log the command's own device out; the handlers are the caller's again afterwards."""
    before = signal.getsignal(stop)
    monkeypatch.setenv("MATRIX_PASSWORD", "the password")
    monkeypatch.setattr(_commands, "_choose_devices", lambda *_: signal.raise_signal(stop))

    with pytest.raises(SystemExit) as ending:
        main(["delete-devices", *there, "--user", "alice"])

    assert ending.value.code == 128 + stop
    assert devices(uia_server) == []
    assert signal.getsignal(stop) is before


def test_ctrl_c_anywhere(run: Run, there: Args, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the command with 130 and one line."""
    monkeypatch.setattr("interactive_auth.__main__._find", lambda options: signal.raise_signal(signal.SIGINT))

    ended = run("register", *there)

    assert (ended.status, ended.out) == (130, "")
    assert ended.err.startswith("python -m interactive_auth register: interrupted")


def test_two_passwords_that_differ(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal a new password is typed twice, until both are the same."""
    uia_server.flows = [["m.login.dummy"]]
    monkeypatch.setattr(_commands, "is_at_terminal", lambda: True)

    ended = run("register", *there, lines=("bob", "one", "another", "one", "one"))

    assert ended.status == 0
    assert "The two are not the same." in ended.err


def test_a_weak_password_in_a_variable(
    run: Run, there: Args, uia_server: UIAServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried once."""
    monkeypatch.setenv("MATRIX_PASSWORD", "short")
    uia_server.fail_next(400, "M_WEAK_PASSWORD", "Too short", path="/register")

    ended = run("register", *there, "--user", "bob")

    assert ended.status == 1
    assert "Too short" in ended.err


def test_an_address_that_is_taken_meanwhile(run: Run, there: Args, uia_server: UIAServer) -> None:
    """The refusal of the request itself ends the wait."""
    uia_server.fail_next(400, "M_THREEPID_IN_USE", "Somebody has it", times=2, path="/account/3pid/add")

    ended = run("add-email", *there, "--email", "a@example.org", lines=LOGGED_IN)

    assert ended.status == 1
    assert "Somebody has it" in ended.err
