"""The README's code runs as written, against a real homeserver that stands in for the address printed there."""

from __future__ import annotations

import asyncio
import getpass
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from readme_renderer import rst
from requests.adapters import HTTPAdapter
from selenium import webdriver
from throwaway_synapse import TOKEN, Synapse, throwaway_synapse

from interactive_auth import Homeserver
from interactive_auth.testing import UIAServer, homeservers

README = Path(__file__).parents[1] / "README.rst"
ADDRESS = "https://matrix.example.org"
PASSWORD = "correct horse battery staple"


def read_blocks() -> dict[str, str]:
    """Return the README's Python code by the title above it."""
    found = re.finditer(
        r"^(?P<title>[^\n]+)\n-+\n(?:(?!^-+$).)*?^\.\. code-block:: python\n\n(?P<code>(?:    [^\n]*\n|\n)+)",
        README.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return {match["title"]: re.sub(r"^    ", "", match["code"], flags=re.MULTILINE) for match in found}


BLOCKS = read_blocks()


@pytest.fixture(scope="module")
def server() -> Iterator[Synapse]:
    with throwaway_synapse(TOKEN, {"refreshable_access_token_lifetime": "10m"}) as running:
        running.add_registration_token("a-token")
        yield running


@pytest.fixture
def answered(server: Synapse, monkeypatch: pytest.MonkeyPatch) -> Synapse:
    """Lead what is sent to the README's address to the homeserver."""
    connect = HTTPAdapter.get_connection_with_tls_context

    def redirected(adapter: HTTPAdapter, request: requests.PreparedRequest, *settings: Any, **more: Any) -> Any:
        request.url = (request.url or "").replace(ADDRESS, server.base_url)
        return connect(adapter, request, *settings, **more)

    monkeypatch.setattr(HTTPAdapter, "get_connection_with_tls_context", redirected)
    return server


@pytest.fixture
def device(answered: Synapse) -> tuple[str, dict[str, str]]:
    """Make an account with two devices, whose ids and token stand where the README has examples of them."""
    name = f"user{len(answered.admin('GET', '/_synapse/admin/v2/users')['users'])}"
    account = answered.add_user(name, PASSWORD)
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": name},
        "password": PASSWORD,
        "device_id": "OLDDEVICE",
    }
    assert requests.post(f"{answered.base_url}/_matrix/client/v3/login", json=login, timeout=30).ok
    return account["user_id"], {"the-access-token": account["access_token"], '"alice"': f'"{name}"'}


def devices_of(server: Synapse, user_id: str) -> list[str]:
    listed = server.admin("GET", f"/_synapse/admin/v2/users/{user_id}/devices")
    return [device["device_id"] for device in listed["devices"]]


def run(title: str, replacements: dict[str, str] | None = None) -> dict[str, Any]:
    code = BLOCKS[title]
    for example, real in (replacements or {}).items():
        assert example in code
        code = code.replace(example, real)
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, f"README.rst ({title})", "exec"), namespace)
    return namespace


def test_every_block_has_a_test() -> None:
    """No code block of the README goes untested."""
    tested = {
        "The shortest script",
        "A script that asks",
        "A bot",
        "A notebook",
        "Testing your own program",
        "A homeserver for tests",
        "Going on in another process",
        "Logging in, and fresh tokens",
        "With another HTTP client",
        "The console",
    }

    assert set(BLOCKS) == tested
    assert README.read_text().count(".. code-block:: python") == len(tested)


#: What the README's page looks like on PyPI, as far as it takes room; its code does not wrap.
STYLE = """
body { width: 760px; margin: 0; font: 17px/1.5 "Source Sans 3", "DejaVu Sans", sans-serif; }
pre, code, tt { font: 14px "Source Code Pro", "DejaVu Sans Mono", monospace; }
pre { padding: 15px; border: 1px solid; }
th, td { padding: 5px 10px; border: 1px solid; }
"""


def test_nothing_is_clipped(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    """As PyPI renders it, no line of code is wider than the page, and no table."""
    rendered = rst.render(README.read_text())
    assert rendered is not None
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{STYLE}</style>{rendered}")

    chromium.get((tmp_path / "page.html").as_uri())

    blocks = chromium.find_elements("css selector", "pre, table")
    wide = "return arguments[0].scrollWidth > arguments[0].clientWidth || arguments[0].offsetWidth > 760"
    assert len(blocks) > 15
    assert [block.text for block in blocks if chromium.execute_script(wide, block)] == []


def test_the_shortest_script_registers(answered: Synapse, capsys: pytest.CaptureFixture[str]) -> None:
    """The shortest script makes the account, and prints its user id."""
    run("The shortest script", {'"alice"': '"shortest"'})

    user_id = f"@shortest:{answered.server_name}"
    assert capsys.readouterr().out.strip() == user_id
    assert answered.admin("GET", f"/_synapse/admin/v2/users/{user_id}")["name"] == user_id


def test_the_script_deletes_the_device(
    answered: Synapse,
    device: tuple[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The script asks again after a wrong password, with the server's words, and then the device is gone."""
    user_id, replacements = device
    answers = iter(["wrong", PASSWORD])
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(answers))

    run("A script that asks", replacements)

    assert capsys.readouterr().out.strip() == "Wrong: Invalid username or password"
    assert "OLDDEVICE" not in devices_of(answered, user_id)


def test_the_script_says_why_it_failed(
    answered: Synapse, device: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three wrong passwords the script exits with the reason, and the device is still there."""
    user_id, replacements = device
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "wrong")

    with pytest.raises(SystemExit, match=r"still logged in: m\.login\.password was rejected 3 times"):
        run("A script that asks", replacements)

    assert "OLDDEVICE" in devices_of(answered, user_id)


def run_bot(server: Synapse, title: str, replacements: dict[str, str], command: str) -> list[str]:
    """Run the README's bot, give it a command when it asks, and return what it said."""
    said: list[str] = []

    async def talk() -> None:
        async def say(text: str) -> None:
            said.append(text)
            if "!approve" in text:
                bot.on_command(command)

        async with aiohttp.ClientSession() as session:
            bot = run(title, {**replacements, ADDRESS: server.base_url})["Bot"](session, say)
            await bot.clean_up()

    asyncio.run(talk())
    return said


@pytest.mark.parametrize(
    ("command", "end", "left"),
    [("!approve", "The old device is gone.", False), ("!cancel", "The old device is still there.", True)],
)
def test_the_bot_obeys(
    answered: Synapse, device: tuple[str, dict[str, str]], command: str, end: str, left: bool
) -> None:
    """The bot asks its owner, and the device is gone or stays, as the owner says."""
    user_id, replacements = device

    said = run_bot(answered, "A bot", replacements, command)

    assert said == ["May I log out my old device? Say !approve or !cancel.", end]
    assert ("OLDDEVICE" in devices_of(answered, user_id)) is left


def test_the_bot_whose_password_is_wrong(answered: Synapse, device: tuple[str, dict[str, str]]) -> None:
    """The owner is told so in the server's words, and it is not sent again."""
    user_id, replacements = device

    said = run_bot(answered, "A bot", {**replacements, PASSWORD: "not the password"}, "!approve")

    assert said[1:] == ["My password is wrong: Invalid username or password", "The old device is still there."]
    assert "OLDDEVICE" in devices_of(answered, user_id)


def test_the_notebook_cell_registers(answered: Synapse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook's cell asks for password and token, and leaves the account in a variable."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt: PASSWORD)
    monkeypatch.setattr("builtins.input", lambda prompt: "a-token")

    cell = run("A notebook", {'"alice"': '"notebook"'})

    user_id = cell["account"]["user_id"]
    assert user_id == f"@notebook:{answered.server_name}"
    assert answered.admin("GET", f"/_synapse/admin/v2/users/{user_id}")["name"] == user_id
    cell["homeserver"].close()


@pytest.mark.parametrize(
    ("title", "passed"), [("Testing your own program", 1), ("A homeserver for tests", len(homeservers))]
)
def test_the_tests_of_a_bot_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str, passed: int) -> None:
    """The tests of a bot run as they stand, with the fixture that comes by installing."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (tmp_path / "test_bot.py").write_text(BLOCKS[title])
    command = [sys.executable, "-I", "-m", "pytest", "-p", "no:cacheprovider", "-W", "error"]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert f"{passed} passed" in ended.stdout, ended.stdout


def test_another_client_reaches_the_server(answered: Synapse, device: tuple[str, dict[str, str]]) -> None:
    """The hand-written request raises what the server says, as the loop expects it."""
    from interactive_auth import MatrixError

    with pytest.raises(MatrixError) as caught:
        run("With another HTTP client", {"the-access-token": device[1]["the-access-token"]})

    assert caught.value.http_status == 400  # the keys that are elided in the README are none


def test_the_console_registers(
    answered: Synapse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mapping that asks a person needs the person for nothing but the token."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "a-token")

    account = run("The console", {'"alice"': '"console"'})["account"]

    assert account["user_id"] == f"@console:{answered.server_name}"
    assert "Step 1 of 1: registration token" in capsys.readouterr().out


def test_a_step_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call does what it can, with what the one before has saved: one session, one mail, one account."""
    monkeypatch.chdir(tmp_path)
    token, email = "m.login.registration_token", "m.login.email.identity"
    with UIAServer([[token, email]], {token: "a-token"}) as server:

        def step(page: dict[str, Any]) -> Any:
            return run("Going on in another process", {ADDRESS: server.base_url})["step"](page)

        assert step({}) == f"not yet: {token}"
        assert step({token: {"token": "a-token"}}).startswith(f"not yet: {email} was not completed")
        server.complete(email)
        account = step({})

        assert account["user_id"] == "@alice:example.org"
        assert [message.address for message in server.messages] == ["alice@example.org"]
        assert {auth["session"] for auth in server.auths if auth} == set(server.sessions)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("expires", [False, True], ids=["good", "expired"])
def test_fresh_tokens(
    answered: Synapse, device: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, expires: bool
) -> None:
    """The device is gone, also if the access token is no longer good when it is used."""
    user_id, replacements = device
    if expires:

        def give(answer: dict[str, Any]) -> dict[str, Any]:
            return {**answer, "access_token": "no-longer-good"} if answer.get("device_id") == "MINE" else answer

        own = Homeserver._call
        monkeypatch.setattr(Homeserver, "_call", lambda *given, **named: give(own(*given, **named)))

    run("Logging in, and fresh tokens", {'"alice"': replacements['"alice"']})

    assert "MINE" in devices_of(answered, user_id)
    assert "OLDDEVICE" not in devices_of(answered, user_id)


def test_every_test_that_is_named_exists() -> None:
    """The tables of stages and endpoints name tests that are there, and have no empty cell."""
    text = (README.parent / "tests" / "README.rst").read_text()
    sources = "".join(path.read_text() for path in README.parent.glob("tests/**/test_*.py"))
    tables = text[text.index("\nEvery stage and every endpoint\n---") : text.index("\nThe specification\n---")]

    named = re.findall(r"``(test_\w+)``", tables)

    assert len(named) == 10 * 3 + 10
    assert [name for name in named if f"def {name}(" not in sources] == []
    assert re.search(r"^   [* ] - *$", tables, re.MULTILINE) is None


def test_every_message_that_is_explained_exists() -> None:
    """The table of messages quotes what the library says."""
    text = README.read_text()
    table = text[text.index("\nTroubleshooting\n---") : text.index("\nComing from matrix-js-sdk\n---")]
    messages = [m for row in re.findall(r"^   \* - (``.*)$", table, re.MULTILINE) for m in re.findall("``(.+?)``", row)]
    package = README.parent / "interactive_auth"
    # What a message is put together from stands in one string after the other.
    sources = re.sub(r'"\s+f?"', "", "".join(path.read_text() for path in package.rglob("*.py")))

    own = [message for message in messages if not message.startswith("M_")]  # those are the servers' words

    parts = [part.strip() for message in own for part in message.split("...") if part.strip()]

    assert len(messages) == 29
    assert sorted(messages, key=str.lower) == messages
    assert [part for part in parts if part not in sources] == []
