"""Synapse in a process that was forked from one that has imported all of it, which is most of what a start takes.

Twisted makes its reactor when Synapse is imported, and a reactor cannot be shared: each fork gets one of its own then.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.main import installReactor


class _Later:
    """Stands for the reactor in every module that has imported it."""

    real: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


_reactor = _Later()
installReactor(_reactor)

from synapse.app import homeserver  # noqa: E402  # after the reactor that it finds

gc.freeze()  # or each fork would have all of it collected, and copied for that


def run(folder: Path, output: Path, path: list[str]) -> None:
    """Run the homeserver of a folder until it is stopped.

    Args:
        folder: where its configuration is.
        output: the file that its output is added to.
        path: where modules are looked for first, as PYTHONPATH has it by now.
    """
    from twisted.internet.pollreactor import PollReactor

    os.setsid()
    os.chdir(folder)
    sys.path[:0] = path
    with open(output, "ab") as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    _reactor.real = PollReactor()
    logging.disable(logging.INFO)  # lines about each request, which nobody reads
    sys.argv = ["synapse.app.homeserver", "-c", str(folder / "homeserver.yaml")]
    homeserver.main()
