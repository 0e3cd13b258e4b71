"""examples/register.py, run as a person runs it: what it prints, what it leaves behind, and how it fails."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.accounts import Person, exists, owner_of_address
from support.programs import EXAMPLES, OpenTerminal, Run
from support.wire import Reply, Sent, Wire
from throwaway_services import MailServer
from throwaway_synapse import Synapse

#: Seconds that a program may take; one that hangs is killed then.
PATIENCE = 60.0


def said(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line on standard error of a program that failed."""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def is_open(url: str) -> bool:
    """Return whether anybody listens at an address."""
    with socket.socket() as probe:
        return probe.connect_ex((urlsplit(url).hostname, urlsplit(url).port)) == 0


def test_without_arguments_it_registers_on_a_synapse_of_its_own(run_example: Run, example_folder: Path) -> None:
    """It shows the stages in order and ends with who is registered; then Synapse and its folder are gone."""
    ended = run_example("register.py")

    lines = ended.stdout.splitlines()
    address = next(word.strip(";") for word in ended.stdout.split() if word.startswith("http://"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line for line in lines if line.startswith("Stage ")] == [
        "Stage 1 of 2: m.login.registration_token",
        "Stage 2 of 2: m.login.terms",
    ]
    assert lines[-1] == "@alice:throwaway.localhost is registered"
    assert not is_open(address)
    assert list(example_folder.iterdir()) == []


def test_a_wrong_token_is_one_line(run_example: Run, example_folder: Path) -> None:
    """With a token that its Synapse does not know it says so, and leaves nothing behind."""
    ended = run_example("register.py", env={"MATRIX_REGISTRATION_TOKEN": "wrong"})

    assert ended.returncode == 1
    assert "Invalid registration token" in said(ended)
    assert list(example_folder.iterdir()) == []


def test_a_port_that_is_taken_is_one_line(run_example: Run) -> None:
    """A port that somebody listens on is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_example("register.py", "--port", str(port))

    assert ended.returncode == 1
    assert said(ended) == f"register.py: Synapse cannot listen on port {port}: Address already in use"


def test_a_number_that_is_no_port_is_one_line(run_example: Run) -> None:
    """A port beyond the last one is refused."""
    ended = run_example("register.py", "--port", "70000")

    assert ended.returncode == 1
    assert said(ended) == "register.py: 70000 is not a port: it must be between 1 and 65535"


def test_without_synapse_it_says_what_to_install(run_example: Run, tmp_path: Path) -> None:
    """Where Synapse is not installed, the one line is how to install it."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['synapse'] = None\n")

    ended = run_example("register.py", env={"PYTHONPATH": str(tmp_path)})

    assert ended.returncode == 1
    assert said(ended) == (
        "register.py: synapse is not installed; in a clone of the repository: pip install '.[examples]'"
    )


def test_a_synapse_that_does_not_start_is_quoted(run_example: Run, tmp_path: Path, example_folder: Path) -> None:
    """What Synapse said last stands in the one line, and its folder is gone."""
    (tmp_path / "synapse" / "app").mkdir(parents=True)
    (tmp_path / "synapse" / "__init__.py").touch()
    (tmp_path / "synapse" / "app" / "homeserver.py").write_text("import sys\nsys.exit('no\\nidea')\n")

    ended = run_example("register.py", env={"PYTHONPATH": str(tmp_path)})

    assert ended.returncode == 1
    assert said(ended) == "register.py: Synapse did not start: no idea"
    assert list(example_folder.iterdir()) == []


def test_answers_come_from_a_pipe(run_example: Run, token_and_terms_server: Synapse, new: Person, token: str) -> None:
    """It asks for name, password, token (again after a wrong one) and consent, and the account exists."""
    ended = run_example(
        "register.py", "--homeserver", token_and_terms_server.base_url, lines=(new.name, "secret", "wrong", token, "y")
    )

    assert ended.returncode == 0
    assert ended.stdout.endswith(f"{new.user_id} is registered\n")
    shown = ended.stdout + ended.stderr  # what console shows is for the person, wherever that is
    assert "Invalid registration token" in shown
    assert f"{token_and_terms_server.base_url}/_matrix/consent?v=1.0" in shown
    assert token_and_terms_server.can_log_in(new.name, "secret")


def test_a_terminal_does_not_show_the_secrets(
    in_terminal: OpenTerminal, token_and_terms_server: Synapse, new: Person, token: str
) -> None:
    """In a terminal, what is typed for password and token is not echoed, and the rest is."""
    terminal = in_terminal("register.py", "--homeserver", token_and_terms_server.base_url)
    terminal.answer("User name: ", new.name)
    terminal.answer("Password (hidden while you type): ", "hidden-password")
    terminal.answer("Registration token", token)
    terminal.answer("Do you accept?", "y")

    assert terminal.wait_for_end() == 0
    assert terminal.screen[-1] == f"{new.user_id} is registered"
    assert f"User name: {new.name}" in terminal.shown
    assert "hidden-password" not in terminal.shown
    assert token not in terminal.shown


def test_terms_that_are_not_accepted(
    in_terminal: OpenTerminal, token_and_terms_server: Synapse, new: Person, token: str
) -> None:
    """Whoever does not accept them is not registered, and the last line says why."""
    arguments = ("--homeserver", token_and_terms_server.base_url, "--username", new.name)
    terminal = in_terminal("register.py", *arguments, MATRIX_REGISTRATION_TOKEN=token)
    terminal.answer("Password", "secret")
    terminal.answer("Do you accept?", "n")

    assert terminal.wait_for_end() == 1
    assert "terms of service were not accepted" in terminal.shown.splitlines()[-1]
    assert not exists(token_and_terms_server, new.user_id)


@pytest.mark.parametrize("given", [True, False], ids=["by an argument", "asked for"])
def test_the_link_in_the_mail_finishes_it(
    in_terminal: OpenTerminal, email_server: Synapse, mails: MailServer, new: Person, given: bool
) -> None:
    """Where an email address is wanted, it is asked for if --email did not give it; the account has it in the end."""
    arguments = ("--homeserver", email_server.base_url, "--username", new.name)
    terminal = in_terminal("register.py", *arguments, *(("--email", new.address) if given else ()))
    terminal.answer("Password", "secret")
    if not given:
        terminal.answer("Email address: ", new.address)
    terminal.wait_for("Open the link in")
    mails.open_link(new.address)
    terminal.type("")

    assert terminal.wait_for_end() == 0
    assert owner_of_address(email_server, new.address) == new.user_id
    assert terminal.screen[-1] == f"{new.user_id} is registered"


def test_any_other_stage_is_done_in_a_browser(run_example: Run, stub: Wire) -> None:
    """The address of its fallback page is shown on a line of its own, and the homeserver is asked again."""
    auths: list[Any] = []

    def answer(sent: Sent) -> Reply:
        if sent.path.endswith("/versions"):
            return Reply(200, {"versions": ["v1.17"]})
        if sent.path.endswith("/whoami"):
            return Reply(200, {"user_id": "@alice:\x1b[31mred"})
        if "username" in sent.body:
            auths.append(sent.auth)
        if len(auths) < 2:
            return Reply(401, {"session": "a b", "flows": [{"stages": ["com.example.magic"]}], "params": {}})
        return Reply(200, {"user_id": "@alice:example.org", "access_token": "token"})

    stub.answer = answer
    arguments = ("--homeserver", f"{stub.base_url}/", "--username", "alice")
    ended = run_example("register.py", *arguments, lines=("secret", ""))

    page = f"{stub.base_url}/_matrix/client/v3/auth/com.example.magic/fallback/web?session=a%20b"
    assert ended.returncode == 0
    assert page in (ended.stdout + ended.stderr).splitlines()
    assert auths == [None, {"session": "a b"}]
    assert ended.stdout.endswith("@alice:?[31mred is registered\n")


def test_a_name_that_is_taken_is_one_line(run_example: Run, token_and_terms_server: Synapse, new: Person) -> None:
    """What the homeserver says about the request itself is passed on."""
    token_and_terms_server.add_user(new.name, "secret")

    ended = run_example(
        "register.py", "--homeserver", token_and_terms_server.base_url, "--username", new.name, lines=("secret",)
    )

    assert ended.returncode == 1
    sent = f"POST {token_and_terms_server.base_url}/_matrix/client/v3/register"
    assert said(ended) == f"register.py: 400 M_USER_IN_USE: User ID already taken. ({sent})"


@pytest.mark.parametrize("stdin", ["</dev/null", "<&-"], ids=["empty", "closed"])
def test_no_standard_input_is_one_line(token_and_terms_server: Synapse, stdin: str) -> None:
    """With nobody to answer it does not hang, and says that there is a question."""
    command = ["sh", "-c", f'exec "$@" {stdin}', "sh", sys.executable, str(EXAMPLES / "register.py")]
    ended = subprocess.run(
        [*command, "--homeserver", token_and_terms_server.base_url], capture_output=True, text=True, timeout=PATIENCE
    )

    assert ended.returncode == 1
    assert said(ended) == "register.py: there is a question, and nobody at the standard input to answer it"
