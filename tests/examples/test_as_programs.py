"""Every example as a program: its first line, its help, a wrong argument, a missing package, Ctrl-C."""

from __future__ import annotations

import ast
import runpy
import signal
import threading
from pathlib import Path

import pytest
from support.programs import EXAMPLES, Run, Start

PROGRAMS = sorted(
    path.name for path in EXAMPLES.glob("*.py") if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
EXTRA = {"aiohttp", "aiosmtpd", "dramatiq", "mautrix", "nio", "redis", "signedjson", "synapse", "tqdm"}
LIBRARY = {"interactive_auth", "requests", "urllib3"}
#: Seconds; an example takes less than one to say what it does, wherever it has a processor to itself.
SOON = 20.0


def does(program: str) -> str:
    """Return the first line of a program's docstring."""
    file = "_playground.py" if program == "throwaway_synapse.py" else program
    doc = ast.get_docstring(ast.parse((EXAMPLES / file).read_text(encoding="utf-8")))
    assert doc is not None
    return doc.partition("\n")[0]


def without(packages: set[str], folder: Path) -> dict[str, str]:
    """Return an environment in which packages are not installed."""
    (folder / "sitecustomize.py").write_text(f"""
import sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing)
""")
    return {"PYTHONPATH": str(folder)}


def test_there_are_programs() -> None:
    """None is overlooked: what is not a module of the others' is one."""
    assert {"every_stage.py", "nio_bot.py", "register.py", "register_queue.py", "throwaway_synapse.py"} <= {*PROGRAMS}
    assert len(PROGRAMS) >= 16


@pytest.mark.parametrize("program", PROGRAMS)
def test_arguments(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str) -> None:
    """--help says what it does and what it takes; an argument that it does not know is refused, and nothing begins."""

    def run(argument: str) -> tuple[object, str, str]:
        """Run it in this process, which has imported by now what many of them import."""
        monkeypatch.setattr("sys.argv", [str(EXAMPLES / program), argument])
        with pytest.raises(SystemExit) as ending:
            runpy.run_path(str(EXAMPLES / program), run_name="__main__")
        return ending.value.code, *capsys.readouterr()

    helped, shown, _ = run("--help")
    refused, nothing, reason = run("--nonsense")

    assert (helped, refused, nothing) == (0, 2, "")
    assert shown.startswith(f"usage: {program} ")
    assert does(program) in " ".join(shown.split())
    assert reason.splitlines()[-1] == f"{program}: error: unrecognized arguments: --nonsense"


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("missing", [EXTRA, EXTRA | LIBRARY], ids=["the extra", "everything"])
def test_what_is_not_installed(run_example: Run, tmp_path: Path, program: str, missing: set[str]) -> None:
    """It is named in one line, with the command that brings it."""
    ended = run_example(program, env=without(missing, tmp_path))

    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    package, remedy = line.removeprefix(f"{program}: ").split(" is not installed; ")
    assert package in missing
    assert remedy == "in a clone of the repository: pip install '.[examples]'"


@pytest.mark.usefixtures("redis_installed")
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_first_lines_and_ctrl_c(start_example: Start, example_folder: Path, tmp_path: Path, program: str) -> None:
    """It says at once what it does, and that a homeserver starts; Ctrl-C then leaves nothing behind."""
    (tmp_path / "synapse" / "app").mkdir(parents=True)
    (tmp_path / "synapse" / "__init__.py").touch()
    (tmp_path / "synapse" / "app" / "homeserver.py").write_text("import time\ntime.sleep(600)\n")
    running = start_example(program, env={"PYTHONPATH": str(tmp_path)})
    assert running.stdout is not None
    too_late = threading.Timer(SOON, running.kill)
    too_late.start()

    said = [running.stdout.readline(), running.stdout.readline()]
    too_late.cancel()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()

    assert said[0] == f"{does(program)}\n"
    assert said[1].startswith("Starting ")
    assert (running.returncode, errors) == (130, f"{program}: interrupted\n")
    assert list(example_folder.iterdir()) == []
