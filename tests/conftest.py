"""The two sizes of the heavy tests, the seed of what they draw, a real browser, and the library's own plugin."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium import webdriver

# What tests start is ready sooner: with the byte code of the last start, and without what the folder's module tells of.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent / "support" / "lean"), *filter(None, [os.environ.get("PYTHONPATH")])]
)
# An assertion in them then shows its values, as in a test.
pytest.register_assert_rewrite("support")
_SUPPORT = ("clocks", "dendrite", "forks", "homeservers", "machine", "networks", "own_terminal", "programs", "threads")
#: The library's own plugin. As an installed one it would be imported before coverage is measured; setup.cfg sees to it.
pytest_plugins = ["interactive_auth._pytest", *(f"support.{name}" for name in _SUPPORT)]

#: Folders whose tests share homeservers, so that one process works through each: it starts them once.
_TOGETHER = ("stages", "browser", "end_to_end", "endpoints", "servers", "bots", "any_server", "notebook", "dendrite")
#: What takes longest, the longest first, apart from those folders.
_LONGEST = (
    "test_queue_killed.py",
    "test_queue.py",
    "test_without_arguments.py",
    "test_in_a_terminal.py",
    "test_memory.py",
    "test_connection.py",
    "test_typing.py",
    "test_paths.py",
)
#: What goes through the same lines again and again, which others cover; it takes twice as long where that is measured.
_NOT_MEASURED = ("test_exchanges.py", "test_growth.py", "test_properties.py")

Sized = Callable[[int, int], int]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interactive_auth's own tests")
    group.addoption("--full-size", action="store_true", help="run the tests that are marked slow at their full size")
    group.addoption("--seed", type=int, default=1, help="where the slow tests begin to draw (default: %(default)s)")
    group.addoption("--need-chromium", action="store_true", help="fail, and do not skip, where Chromium is missing")
    group.addoption("--need-dendrite", action="store_true", help="fail, and do not skip, where Dendrite is missing")
    group.addoption("--need-redis", action="store_true", help="fail, and do not skip, where Redis is missing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the process that works through it would end alone."""
    order = {name: place for place, name in enumerate((*_TOGETHER, *_LONGEST))}
    items.sort(key=lambda item: min(order.get(name, len(order)) for name in (item.path.parent.name, item.path.name)))
    for item in items:
        # With --no-cov, pytest-cov has nothing that it could stop, and fails.
        if item.path.name in _NOT_MEASURED and not item.config.getoption("no_cov", True):
            item.add_marker("no_cover")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give each process a file at a time, or a folder of those that belong together."""
    from xdist.scheduler import LoadFileScheduling  # here, because the unit tests run where it is not installed

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            """As in the class above; an xdist that knows no such method would go on by the file."""
            file: str = super()._split_scope(nodeid)
            folder = file.rpartition("/")[0].rpartition("/")[2]
            return folder if folder in _TOGETHER else file

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of the run: the same seed draws the same faults."""
    given: int = request.config.getoption("--seed")
    return given


@pytest.fixture
def draw(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """A source of chance that is the test's own, the same in each run with the same seed."""
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture(scope="session")
def sized(request: pytest.FixtureRequest) -> Sized:
    """Choose between how many there are in the ordinary test command, and how many with ``--full-size``."""
    full: bool = request.config.getoption("--full-size")
    return lambda small, large: large if full else small


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Iterator[webdriver.Chrome]:
    """Run a real browser without a window."""
    from selenium import webdriver  # here, because the unit tests run where it is not installed

    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        missing = "Chromium is not installed: apt-get install chromium chromium-driver"
        if request.config.getoption("--need-chromium"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    only_here = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    needless = ("background-networking", "component-update", "sync", "quic", "dev-shm-usage", "gpu")
    flags = [f"--disable-{what}" for what in needless]
    for argument in ("--headless=new", "--no-sandbox", "--no-first-run", only_here, *flags):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:
        yield browser


@pytest.fixture(scope="session")
def redis_installed(request: pytest.FixtureRequest) -> None:
    """See that there is a Redis for the examples to start."""
    if shutil.which("redis-server") is None:
        missing = "Redis is not installed: apt-get install redis-server"
        if request.config.getoption("--need-redis"):
            pytest.fail(missing)
        pytest.skip(missing)
