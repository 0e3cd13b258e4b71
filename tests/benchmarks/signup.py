"""What one three-stage sign-up of four requests costs, through this library and through loops written by hand.

All clients run interleaved in one process against one server in another; CPU is this process's own. The command is
in tests/README.rst. Prints a table, and JSON with --json FILE.
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import requests
import urllib3

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, handlers

SERVER = Path(__file__).with_name("signup_server.py")
PATH = "/_matrix/client/v3/register"
BODY = {"username": "alice", "password": "correct horse battery staple"}
HEADERS = {"Content-Type": "application/json"}
ANSWERS: list[dict[str, Any]] = [
    {"type": "m.login.registration_token", "token": "a-token"},
    {"type": "m.login.terms"},
    {"type": "m.login.dummy"},
]
STAGES = {
    "m.login.registration_token": handlers.registration_token("a-token"),
    "m.login.terms": handlers.terms(lambda policies: True),
}
POLICY = {"version": "1.0", "en": {"name": "Terms", "url": "https://example.org/terms"}}
#: The row of this library by a session of the caller's, which is prepared anew for each request.
BY_SESSION = "caller's session"

SignUp = Callable[[], Any]


def by_hand(post: Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]) -> SignUp:
    """Make the sign-up that a program for this one server would contain."""

    def sign_up() -> Any:
        status, reply = post(BODY)
        for answer in ANSWERS:
            assert status == 401
            status, reply = post({**BODY, "auth": {**answer, "session": reply["session"]}})
        assert status == 200
        return reply

    return sign_up


@contextmanager
def clients(port: int) -> Iterator[dict[str, SignUp]]:
    """Open every client, by name."""
    base_url = f"http://127.0.0.1:{port}"
    url = base_url + PATH
    homeserver, callers = Homeserver(base_url), requests.Session()
    by_session = Homeserver(base_url, session=callers)
    session, pool, client = requests.Session(), urllib3.PoolManager(), httpx.Client()
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def post_requests(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        response = session.post(url, json=body)
        return response.status_code, response.json()

    def post_urllib3(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        response = pool.request("POST", url, json=body)
        return response.status, response.json()

    def post_http_client(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection.request("POST", PATH, json.dumps(body), HEADERS)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def post_httpx(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        response = client.post(url, json=body)
        return response.status_code, response.json()

    try:
        yield {
            "interactive_auth": lambda: homeserver.register(BODY["username"], BODY["password"]).authenticate(STAGES),
            BY_SESSION: lambda: by_session.register(BODY["username"], BODY["password"]).authenticate(STAGES),
            "requests": by_hand(post_requests),
            "urllib3": by_hand(post_urllib3),
            "http.client": by_hand(post_http_client),
            "httpx": by_hand(post_httpx),
            "engine alone": engine_alone,
        }
    finally:
        for opened in (homeserver, callers, session, client, connection):
            opened.close()
        pool.clear()


def engine_alone() -> Any:
    """Sign up without HTTP: what remains is the loop's own cost."""
    completed = [answer["type"] for answer in ANSWERS]
    challenge = {
        "session": "kbJtRsvUxLyqHcPzDgnWMaQe",
        "flows": [{"stages": completed}],
        "params": {"m.login.terms": {"policies": {"privacy": POLICY}}},
    }

    def do_request(auth: dict[str, Any] | None) -> Any:
        done = 0 if auth is None else completed.index(auth["type"]) + 1
        if done == len(completed):
            return {"user_id": "@alice:example.org"}
        raise MatrixError(401, {**challenge, "completed": completed[:done]})

    return InteractiveAuth(do_request, STAGES).attempt_auth()


def measure(sign_up: SignUp, count: int) -> tuple[float, float]:
    """Return the CPU and wall milliseconds of one sign-up, over ``count`` of them."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        sign_up()
    return (time.process_time() - cpu) * 1000 / count, (time.perf_counter() - wall) * 1000 / count


def run(port: int, repeats: int, count: int) -> dict[str, dict[str, list[float]]]:
    """Return every repeat's figures, by client and by what was measured."""
    figures: dict[str, dict[str, list[float]]] = {}
    with clients(port) as opened:
        for sign_up in opened.values():
            measure(sign_up, max(1, count // 10))  # connections opened, caches filled
        for _ in range(repeats):
            for name, sign_up in opened.items():
                cpu, wall = measure(sign_up, count)
                row = figures.setdefault(name, {"cpu": [], "wall": []})
                row["cpu"].append(cpu)
                row["wall"].append(wall)
    return figures


def summarise(figures: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Return medians, spreads, and the ratios of this library to the others, each ratio taken within one repeat."""
    summary: dict[str, Any] = {}
    ours = figures["interactive_auth"]
    for name, row in figures.items():
        summary[name] = {}
        for what, values in row.items():
            ratios = [mine / theirs for mine, theirs in zip(ours[what], values, strict=True)]
            summary[name][what] = {
                "median_ms": statistics.median(values),
                "spread_ms": [min(values), max(values)],
                "ratio": statistics.median(ratios),
                "ratio_spread": [min(ratios), max(ratios)],
            }
    return summary


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--count", type=int, default=1000, help="sign-ups a repeat")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    server = subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        figures = run(int(server.stdout.readline()), options.repeats, options.count)
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()
    versions = {name: version(name) for name in ("requests", "urllib3", "httpx")}
    summary = summarise(figures)
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {v}" for name, v in versions.items()))
    print(f"{'client':18} {'CPU ms':>8} {'(min-max)':>15} {'ratio':>6} {'wall ms':>8} {'ratio':>6}")
    for name, row in summary.items():
        cpu, wall = row["cpu"], row["wall"]
        spread = f"{cpu['spread_ms'][0]:.3f}-{cpu['spread_ms'][1]:.3f}"
        print(
            f"{name:18} {cpu['median_ms']:8.3f} {spread:>15} {cpu['ratio']:6.2f} "
            f"{wall['median_ms']:8.3f} {wall['ratio']:6.2f}"
        )
    print("The ratios are this library's figure over the row's.")
    pairs = zip(figures[BY_SESSION]["cpu"], figures["requests"]["cpu"], strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"By a caller's session it takes {ratio:.2f} of the CPU of requests by hand.")
    if options.json:
        report = {"python": platform.python_version(), "versions": versions, "summary": summary, "figures": figures}
        Path(options.json).write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
