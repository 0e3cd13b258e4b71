"""``--homeserver``: what it takes, and what else ends in one line, before anybody is asked for a name or a password."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import responses
from _common import NotDoneError, find_homeserver
from support.programs import Run
from support.wire import Reply, Sent, serve

from interactive_auth.testing import UIAServer

ADDRESS = "https://matrix.example.org"
#: Those that begin with questions; each looks for the homeserver first, by the same code.
ASKING = ["register.py", "register_resumed.py", "reset_password.py", "change_password.py", "register_fleet.py"]


def one_line(run_example: Run, where: str, example: str = "register.py") -> str:
    """Return the one line in which a program ends that has nobody to answer its questions, and asks none."""
    ended = run_example(example, "--homeserver", where)

    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert [said for said in ended.stdout.splitlines()[1:] if said != f"The homeserver is {where}"] == []
    assert line.startswith(f"{example}: ")
    return line.removeprefix(f"{example}: ")


@pytest.fixture
def internet() -> Iterator[responses.RequestsMock]:
    """The website of example.org, and the homeserver that it names."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        named = {"m.homeserver": {"base_url": ADDRESS}}
        mock.get("https://example.org/.well-known/matrix/client", json=named)
        mock.get(f"{ADDRESS}/_matrix/client/versions", json={"versions": ["v1.17"]})
        yield mock


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("where", ["example.org", "@me:example.org", ADDRESS, f"{ADDRESS}/"])
def test_what_it_takes(where: str) -> None:
    """A server name, a user id and an address lead to the same homeserver."""
    assert find_homeserver(where) == ADDRESS


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("http://matrix.example.org", "is plain http, where passwords can be read on the way: use https"),
        (f"{ADDRESS}/_matrix/client/v3", "the address alone, without /_matrix"),
        (f"{ADDRESS} ", "white space"),
        ("ftp://example.org", "http:// or https://"),
        ("example.org/element", "server name like example.org"),
        ("@", "server name like example.org"),
    ],
)
def test_what_cannot_be_one(where: str, reason: str) -> None:
    """It says what is wrong with the text, in a person's words, and sends nothing."""
    with responses.RequestsMock(), pytest.raises(NotDoneError) as raised:
        find_homeserver(where)

    said = str(raised.value).replace("homeserver's address alone", "address alone")
    assert said.startswith(where)
    assert reason in said
    assert not any(name in said for name in ("base_url", "allow_insecure_http", "server_name_or_user_id"))


@pytest.mark.parametrize("example", ASKING)
def test_nobody_is_there(run_example: Run, example: str) -> None:
    """The address is named, with the reason."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and not listening
        where = f"http://127.0.0.1:{held.getsockname()[1]}"

        line = one_line(run_example, where, example)

    assert where in line
    assert "Connection refused" in line


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}), "is this the address of a homeserver?"),
        (Reply(404, b"<html>Welcome</html>", {"Content-Type": "text/html"}), "is this the address of a homeserver?"),
        (Reply(200, {"name": "some other API"}), "is not a homeserver: it states no versions of Matrix"),
    ],
)
def test_another_site(run_example: Run, reply: Reply, reason: str) -> None:
    """A website is told from a homeserver."""
    with serve(lambda sent: reply) as wire:
        line = one_line(run_example, wire.base_url)

    assert wire.base_url in line
    assert reason in line


@pytest.mark.parametrize("example", ["register.py", "reset_password.py", "register_fleet.py"])
def test_accounts_that_live_elsewhere(run_example: Run, uia_server: UIAServer, example: str) -> None:
    """Who would begin without an account is shown the page of the service that keeps them."""
    uia_server.account_management_url = "https://account.example.org/"

    line = one_line(run_example, uia_server.base_url, example)

    assert line.startswith(
        "this homeserver leaves its accounts to an OAuth service; do it there: https://account.example.org/"
    )


@pytest.mark.parametrize("flows", [[], [{"type": "m.login.sso"}]])
def test_nobody_logs_in_with_a_password(run_example: Run, flows: list[object]) -> None:
    """Who would act for an account is told of the other way before a password is asked for."""

    def answer(sent: Sent) -> Reply:
        if sent.path.endswith("/auth_metadata"):
            return Reply(404, {"errcode": "M_UNRECOGNIZED"})
        return Reply(200, {"versions": ["v1.17"], "flows": flows})

    with serve(answer) as wire:
        line = one_line(run_example, wire.base_url, "change_password.py")

    assert line == (
        f"nobody logs in with a password at {wire.base_url}: "
        "put an access token into the environment variable MATRIX_ACCESS_TOKEN"
    )


def test_registration_that_is_disabled(run_example: Run) -> None:
    """Who would register is told in the homeserver's words."""
    refusal = {"errcode": "M_FORBIDDEN", "error": "Registration has been disabled"}

    def answer(sent: Sent) -> Reply:
        if sent.path.endswith("/versions"):
            return Reply(200, {"versions": ["v1.17"]})
        return Reply(403, refusal) if sent.path.endswith("/register") else Reply(404, {"errcode": "M_UNRECOGNIZED"})

    with serve(answer) as wire:
        line = one_line(run_example, wire.base_url)

    assert "M_FORBIDDEN: Registration has been disabled" in line
