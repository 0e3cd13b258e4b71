"""A registration in a process whose memory the system limits; prints how it ended. Run by ``test_memory``."""

from __future__ import annotations

import json
import pickle
import resource
import sys
import time
from pathlib import Path

from interactive_auth import Homeserver, InteractiveAuthError

base_url, timeout, memory = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])


def main() -> None:
    """Register once, and show and pickle what is raised."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    begun = time.monotonic()
    with Homeserver(base_url, timeout=timeout) as homeserver:
        try:
            homeserver.register("alice").authenticate(lambda stage: {"type": stage.type}, retry=None, max_attempts=1)
        except InteractiveAuthError as error:
            kind, text, size = type(error).__name__, f"{error} {error!r}", len(pickle.dumps(error))
    print(json.dumps({"kind": kind, "text": text, "pickled": size, "seconds": time.monotonic() - begun}))


main()
