"""examples/interactive_auth.ipynb in a real kernel: what it does on its homeserver, and how its waiting is stopped.

The homeserver is the notebook's own; what it knows is asked of it from within the kernel, between the cells.
"""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[2] / "examples" / "interactive_auth.ipynb"
#: Seconds that a cell may take; none takes nearly as long, for the waiting one is interrupted.
PATIENCE = 60

USERS = "sorted(user['name'] for user in synapse.admin('GET', '/_synapse/admin/v2/users')['users'])"
USES = "synapse.admin('GET', '/_synapse/admin/v1/registration_tokens/please-let-me-in')['completed']"
LOGIN = """requests.post(f"{homeserver.base_url}/_matrix/client/v3/login", timeout=30, json={
    "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": PASSWORD,
}).status_code"""


class Ran:
    """The notebook after all of its cells have run.

    Attributes:
        said: what each cell printed, by the cell's id.
        error: the name of the exception that ended a cell, by the cell's id.
        found: the values of expressions, by ``(cell, name)``, as they were right after a cell.
    """

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        self.error: dict[str, str] = {}
        self.found: dict[tuple[str, str], Any] = {}


#: What is asked in the kernel after a cell.
QUESTIONS = {
    "register": {"users": USERS, "uses": USES, "login": LOGIN.replace("PASSWORD", "password")},
    "wrong-password": {
        "old login": LOGIN.replace("PASSWORD", "password"),
        "new login": LOGIN.replace("PASSWORD", "new_password"),
    },
    "wait": {"users": USERS, "session": "auth.get_session_id()"},
    "go-on": {"users": USERS, "session": "auth.get_session_id()", "whoami": "bob['user_id']"},
    "save": {
        "users": USERS,
        "session": "json.loads(saved.read_text())['session_id']",
        "mode": "oct(saved.stat().st_mode & 0o777)",
        "path": "str(saved)",
    },
    "resume": {"users": USERS, "session": "auth.get_session_id()", "uses": USES},
}


async def evaluate(client: Any, expression: str) -> Any:
    """Return what an expression is in the kernel; nothing of it is left there."""
    reply = await client.kc.execute("", silent=True, user_expressions={"it": expression}, reply=True, timeout=PATIENCE)
    answer = reply["content"]["user_expressions"]["it"]
    assert answer["status"] == "ok", answer
    return ast.literal_eval(answer["data"]["text/plain"])


def printed(cell: NotebookNode) -> str:
    """Return what a cell has printed so far."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


async def interrupt(client: Any, cell: NotebookNode) -> None:
    """Interrupt the kernel when a cell has come to its waiting."""
    while "on this page: " not in printed(cell):  # nbclient ends a cell that takes too long
        await asyncio.sleep(0.01)
    await client.km.interrupt_kernel()


async def run(notebook: NotebookNode) -> Ran:
    """Run all cells in their order."""
    ran = Ran()
    folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
    client = NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=folder)
    async with client.async_setup_kernel():
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            running = asyncio.ensure_future(client.async_execute_cell(cell, number))
            if cell.id == "wait":
                await asyncio.wait_for(interrupt(client, cell), PATIENCE)
            await running
            ran.said[cell.id] = printed(cell)
            for failed in (output for output in cell.outputs if output.output_type == "error"):
                ran.error[cell.id] = failed.ename
            for name, expression in QUESTIONS.get(cell.id, {}).items():
                ran.found[cell.id, name] = await evaluate(client, expression)
    return ran


@pytest.fixture(scope="module")
def ran() -> Ran:
    """Run the notebook, interrupting the kernel in its waiting cell."""
    return asyncio.run(run(nbformat.read(NOTEBOOK, as_version=4)))


def user(name: str) -> str:
    """Return a user id on the notebook's homeserver."""
    return f"@{name}:throwaway.localhost"


def test_the_file_holds_no_outputs() -> None:
    """It is valid, and holds nothing that a run leaves behind; only the waiting cell is allowed to fail."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    nbformat.validate(notebook)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert [cell.execution_count for cell in code] == [None] * len(code)
    assert {cell.id for cell in code if cell.metadata} == {"wait"}
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_register(ran: Ran) -> None:
    """Alice is registered by token and terms, whose address is shown, and can log in."""
    assert "/_matrix/consent?v=1.0\n" in ran.said["register"]
    assert user("alice") in ran.found["register", "users"]
    assert (ran.found["register", "uses"], ran.found["register", "login"]) == (1, 200)


def test_wrong_password_and_again(ran: Ran) -> None:
    """After a wrong password, which the homeserver refuses in its words, the right one changes it."""
    lines = ran.said["wrong-password"].splitlines()

    assert lines[:3] == ["Try 1", "The homeserver said: Invalid username or password", "Try 2"]
    assert (ran.found["wrong-password", "old login"], ran.found["wrong-password", "new login"]) == (403, 200)


def test_interrupted_and_continued(ran: Ran) -> None:
    """The kernel's interrupt ends the waiting cell, without an account; the next cell makes it in the same session."""
    assert ran.error == {"wait": "KeyboardInterrupt"}
    assert user("bob") not in ran.found["wait", "users"]
    assert user("bob") in ran.found["go-on", "users"]
    assert ran.found["go-on", "session"] == ran.found["wait", "session"] is not None
    assert ran.found["go-on", "whoami"] == user("bob")


def test_resumed_from_a_file(ran: Ran) -> None:
    """Carol is registered from the saved state, in its session, without her token being asked for again."""
    assert ran.said["save"].splitlines()[-1].startswith("Not today: m.login.terms")
    assert user("carol") not in ran.found["save", "users"]
    assert user("carol") in ran.found["resume", "users"]
    assert ran.found["resume", "session"] == ran.found["save", "session"] is not None
    assert ran.found["resume", "uses"] == 3


def test_the_saved_state_is_secret(ran: Ran) -> None:
    """Only its owner can read the file, and it is gone at the end, like the homeserver."""
    assert ran.found["save", "mode"] == "0o600"
    assert not Path(ran.found["save", "path"]).exists()
