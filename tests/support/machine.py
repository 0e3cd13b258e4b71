"""A plugin: what holds for every test of the machine that it runs on."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def on_this_machine() -> Iterator[None]:
    """Let no proxy come between the tests and the servers on this machine, and no account of somebody's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.delenv("MATRIX_ACCESS_TOKEN", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let child processes feel Ctrl-C even if the tests were started in the background, where it is ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
