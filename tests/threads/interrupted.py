"""Attempts and waits that are interrupted by real signals at random instants; prints what became of them as JSON.

A program of its own (``interrupted.py KIND COUNT SEED``), since a signal may come at any instant, in pytest's code too.
"""

from __future__ import annotations

import json
import random
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from interactive_auth import InteractiveAuth, MatrixError

STAGE = "org.example.stage"
#: Seconds within which the signal comes, about as long as an attempt takes.
WITHIN = 200e-6


class Server:
    """Asks for one stage, and answers a dict of its type with success."""

    def __init__(self) -> None:
        self.acted = 0

    def __call__(self, auth: dict[str, Any] | None) -> str:
        if auth is None or auth.get("type") != STAGE:
            raise MatrixError(401, {"flows": [{"stages": [STAGE]}], "session": "S"})
        self.acted += 1
        return "done"


def interrupt(call: Callable[[], object], when: float) -> dict[str, Any]:
    """Make a call while a signal is on its way, and return what it returned, under "result", if it did."""
    results: defaultdict[str, Any] = defaultdict(call)
    try:
        signal.setitimer(signal.ITIMER_REAL, when)
        results["result"]  # kept without an instruction between
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    return results


def attempt(chance: random.Random) -> str:
    """Interrupt a short attempt, and look whether the object is fit for another one."""
    server, busy = Server(), list[bool]()
    auth = InteractiveAuth(server, lambda stage: {"type": stage.type}, busy_changed=busy.append)
    returned = "result" in interrupt(auth.attempt_auth, max(1e-6, chance.uniform(0, WITHIN)))
    if busy != [True, False] * (len(busy) // 2):
        return "busy_changed not in pairs"
    try:
        again = auth.attempt_auth()
    except RuntimeError as error:
        if "running already" in str(error):
            return "stays running"
        return "returned" if returned else "lost"
    return "interrupted" if again == "done" and not returned else "returned twice"


def wait(chance: random.Random) -> str:
    """Interrupt a wait, and look whether what other threads need is free."""
    auth = InteractiveAuth(Server(), lambda stage: None, poll_interval=3600, poll_timeout=None)
    interrupt(auth.attempt_auth, 50e-6 + chance.uniform(0, WITHIN))
    if auth._handover._lock.locked():
        return "the lock is held"
    auth.cancel()
    auth.poll()
    try:
        auth.submit_auth_dict({"type": STAGE})
    except RuntimeError:
        return "interrupted"
    return "stays running"


def main(kind: str, count: str, seed: str) -> None:
    """Interrupt as often as was asked for."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    chance, found = random.Random(seed), Counter[str]()
    work = {"attempt": attempt, "wait": wait}[kind]
    for _ in range(int(count)):
        try:
            found[work(chance)] += 1
        except KeyboardInterrupt:  # between the call's end and the timer's
            found["late"] += 1
    print(json.dumps(found))


main(*sys.argv[1:])
