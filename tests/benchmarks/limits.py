"""How the library grows with the size of an answer, the number of attempts and of threads, how it starts and waits.

Prints each figure with the limit it is held against. The command is in tests/README.rst.
"""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import urllib3

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, Stage, handlers

SERVER = Path(__file__).with_name("signup_server.py")
STAGES = {
    "m.login.registration_token": handlers.registration_token("a-token"),
    "m.login.terms": handlers.terms(lambda policies: True),
}


def report(what: str, value: float, limit: float, unit: str = "", *, at_least: bool = False) -> None:
    """Print one figure."""
    met = value >= limit if at_least else value <= limit
    sign = ">=" if at_least else "<="
    print(f"{what:66} {value:9.3f} {sign} {limit:g} {unit} {'' if met else '  MISSED'}")


def challenge(flows: int, completed: list[str]) -> MatrixError:
    """Make a 401 that offers so many flows of three stages."""
    offered = [{"stages": [f"a{n}", f"b{n}", "m.login.dummy"]} for n in range(flows)]
    return MatrixError(401, {"session": "a-session", "flows": offered, "completed": completed})


def attempt(flows: int) -> float:
    """Return the CPU seconds of an attempt whose every answer offers so many flows."""
    answers = {None: challenge(flows, []), "a0": challenge(flows, ["a0"]), "b0": challenge(flows, ["a0", "b0"])}

    def do_request(auth: dict[str, Any] | None) -> str:
        kind = None if auth is None else auth["type"]
        if kind in answers:
            raise answers[kind]
        return "done"

    begun = time.process_time()
    InteractiveAuth(do_request, lambda stage: {"type": stage.type}).attempt_auth()
    return time.process_time() - begun


def growth_with_flows() -> None:
    """Compare an answer of n flows with one of 2n."""
    for flows in (1000, 2000, 4000):
        ratios = [attempt(2 * flows) / attempt(flows) for _ in range(9)]
        report(f"CPU with {2 * flows} flows over that with {flows}", statistics.median(ratios), 2.3)


def memory() -> None:
    """Compare the resident memory after 1,000 attempts with that after 20,000."""
    resident: list[int] = []
    for number in range(1, 20001):
        attempt(3)
        if number in (1000, 20000):
            gc.collect()
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    report("memory that 19,000 further attempts leave behind", (resident[1] - resident[0]) / 1e6, 1.0, "MB")


def throughput(sign_up: Callable[[], object], threads: int, sign_ups: int = 640) -> float:
    """Return the sign-ups a second of so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: sign_up(), range(threads * 2)))  # connections opened
        begun = time.perf_counter()
        list(pool.map(lambda _: sign_up(), range(sign_ups)))
        return sign_ups / (time.perf_counter() - begun)


def threads() -> None:
    """Compare one thread with 32, for the library and for the urllib3 beneath it."""
    server = subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        pool = urllib3.PoolManager(maxsize=32)

        def post(body: dict[str, Any]) -> dict[str, Any]:
            answer = pool.request("POST", f"{base_url}/_matrix/client/v3/register", json=body)
            return cast("dict[str, Any]", json.loads(answer.data))

        def by_hand() -> None:
            session = post({"username": "alice"})["session"]
            for kind in ("m.login.registration_token", "m.login.terms", "m.login.dummy"):
                post({"username": "alice", "auth": {"type": kind, "session": session}})

        with Homeserver(base_url) as homeserver:

            def sign_up() -> None:
                homeserver.register("alice", "password").authenticate(STAGES)

            ours = [throughput(sign_up, 32) / throughput(sign_up, 1) for _ in range(5)]
            theirs = [throughput(by_hand, 32) / throughput(by_hand, 1) for _ in range(5)]
        pool.clear()
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()
    report("throughput of 32 threads over that of one", statistics.median(ours), 1.0, at_least=True)
    report("the same of a loop written by hand over urllib3", statistics.median(theirs), 1.0, at_least=True)


def start_up() -> None:
    """Compare the import of the library with that of what it needs, in processes of their own."""
    # The package imports its rooms when they are first asked for.
    ours_whole = "from interactive_auth import Homeserver, InteractiveAuth, handlers"
    codes = {"ours": ours_whole, "theirs": "import requests, typing_extensions"}
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    # Installed packages have their byte code beside them, whatever this environment says of writing it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(16):
        for name, code in codes.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            seconds[name].append(time.perf_counter() - begun)
    ours, theirs = (statistics.median(times[1:]) for times in seconds.values())  # the first one compiles
    report("what a program imports over import requests, typing_extensions", ours / theirs, 1.10)


def wait_for(elsewhere: Callable[[InteractiveAuth[str], threading.Event], None], interval: float) -> tuple[float, int]:
    """Return the seconds from a stage's completion elsewhere to the return, and the polls more than a wait may take."""
    completed, waiting = threading.Event(), threading.Event()
    done_at, polls = 0.0, 0

    def do_request(auth: dict[str, Any] | None) -> str:
        nonlocal polls
        polls += 1
        if completed.is_set():
            return "done"
        raise MatrixError(401, {"session": "a-session", "flows": [{"stages": ["m.login.sso"]}]})

    def ask(stage: Stage) -> None:
        waiting.set()

    auth = InteractiveAuth(do_request, ask, poll_interval=interval)

    def act() -> None:
        nonlocal done_at
        waiting.wait()
        elsewhere(auth, completed)
        done_at = time.perf_counter()
        auth.poll() if interval > 60 else None

    thread = threading.Thread(target=act)
    thread.start()
    begun = time.perf_counter()
    auth.attempt_auth()
    ended = time.perf_counter()
    thread.join()
    return ended - done_at, polls - 1 - int((ended - begun) / interval) - 2


def waiting() -> None:
    """Complete a stage elsewhere, and see how soon the loop returns."""

    def at_a_random_moment(auth: InteractiveAuth[str], completed: threading.Event) -> None:
        time.sleep(random.uniform(0.0, 0.3))
        completed.set()

    waits = [wait_for(at_a_random_moment, 0.1) for _ in range(20)]
    report(
        "from the completion elsewhere to the return, at a poll interval of 0.1", max(w for w, _ in waits), 0.105, "s"
    )
    report("polls beyond t / poll_interval + 2", max(more for _, more in waits), 0)
    asked = [wait_for(at_a_random_moment, 3600.0)[0] for _ in range(50)]
    report("from poll() in another thread to the return, median", statistics.median(asked) * 1000, 5.0, "ms")
    report("from poll() in another thread to the return, longest", max(asked) * 1000, 5.0, "ms")


if __name__ == "__main__":
    growth_with_flows()
    memory()
    threads()
    start_up()
    waiting()
