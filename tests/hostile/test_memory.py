"""Large and endless answers of a real server cost a client no more than a bounded amount of memory, and of time.

The client is a process of its own, whose memory the system limits: it fails with a MemoryError if it wants more.
"""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).with_name("limited_client.py")
MEBIBYTE = 1024 * 1024
#: Bytes for an answer that is refused for its size: the largest body, and as much again to join its pieces.
SMALL = 48 * MEBIBYTE
#: Bytes for an answer that is read: empty lists take thirty times as much as the JSON that they are written in.
LARGE = 640 * MEBIBYTE
#: Seconds that the client gives the server for an answer that never ends, and for one that does.
TIMEOUT, PATIENCE = 2.0, 60.0
#: Seconds that it may take beyond them on a busy machine.
MORE = 20.0

HEAD = b"HTTP/1.1 401 X\r\nContent-Type: application/json\r\nConnection: close\r\n"
Pieces = Iterable[bytes]
Client = Callable[[Callable[[], Pieces], int, float], dict[str, Any]]


@pytest.fixture
def client() -> Iterator[Client]:
    """Return a function that has a client with so much memory ask a server that sends these pieces."""
    pieces: list[Callable[[], Pieces]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(PATIENCE)
                        connection.recv(65536)
                        for piece in pieces[0]():
                            connection.sendall(piece)
                        # Closed with anything unread, it would be reset, and the answer might be lost.
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()

        def ask(answer: Callable[[], Pieces], memory: int, timeout: float) -> dict[str, Any]:
            pieces.append(answer)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            command = [sys.executable, str(CLIENT), address, str(timeout), str(memory)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            assert ended.returncode == 0, ended.stderr[-2000:]
            found: dict[str, Any] = json.loads(ended.stdout)
            return found

        yield ask
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def chunked(content: Pieces) -> Pieces:
    """Return the chunks of a body."""
    return (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in content)


def for_ever(piece: bytes, *first: bytes) -> Pieces:
    """Return these pieces, and then one again and again."""
    return itertools.chain(first, itertools.repeat(piece))


BLANKS = b" " * 65536
TEXT = b'{"error": "' + b"y" * 10 * MEBIBYTE + b'"}'
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED: dict[str, tuple[Callable[[], Pieces], str, str]] = {
    "10 MB": (lambda: [HEAD + b"Content-Length: %d\r\n\r\n" % len(TEXT), TEXT], "MatrixError", "more than 8388608"),
    "10 MB in chunks": (lambda: [CHUNKED, *chunked([TEXT]), b"0\r\n\r\n"], "MatrixError", "more than 8388608"),
    "10 MB compressed": (
        lambda: [HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(TEXT)],
        "MatrixError",
        "more than 8388608",
    ),
    "256 MiB compressed": (
        lambda: [HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(256 * MEBIBYTE), 1)],
        "MatrixError",
        "more than 8388608",
    ),
    "a thousand times a MiB compressed": (
        lambda: [HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(MEBIBYTE)) * 1000],
        "MatrixError",
        "more than 8388608",
    ),
    "endless body": (lambda: for_ever(BLANKS, HEAD + b"\r\n"), "MatrixError", "more than 8388608"),
    "endless chunks": (
        lambda: for_ever(b"10000\r\n" + BLANKS + b"\r\n", CHUNKED),
        "MatrixError",
        "more than 8388608",
    ),
    "endless chunk": (
        lambda: for_ever(BLANKS, CHUNKED, b"ffffffffffffff\r\n"),
        "MatrixError",
        "more than 8388608",
    ),
    "endless chunk's size": (lambda: for_ever(b"0" * 65536, CHUNKED), "HomeserverConnectionError", "no answer"),
    "endless trailers": (
        lambda: for_ever(b"Trailer: x\r\n" * 1000, CHUNKED, b"0\r\n"),
        "HomeserverConnectionError",
        "more than 2 seconds",
    ),
    "endless header": (lambda: for_ever(BLANKS, HEAD + b"X: "), "HomeserverConnectionError", "no answer"),
    "endless headers": (lambda: for_ever(b"X: y\r\n", HEAD), "HomeserverConnectionError", "no answer"),
    "endless status line": (lambda: for_ever(BLANKS, b"HTTP/1.1 "), "HomeserverConnectionError", "no answer"),
    "endless patience": (
        lambda: for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "HomeserverConnectionError",
        "more than 2 seconds",
    ),
}


@pytest.mark.parametrize(("answer", "kind", "words"), REFUSED.values(), ids=REFUSED)
def test_answer_that_is_too_large(client: Client, answer: Callable[[], Pieces], kind: str, words: str) -> None:
    """An answer beyond all bounds is refused, before it has taken the client's memory or more than its timeout."""
    timeout = PATIENCE if kind == "MatrixError" else TIMEOUT

    ended = client(answer, SMALL, timeout)

    assert ended["kind"] == kind
    assert words in ended["text"]
    assert ended["seconds"] < timeout + MORE
    assert ended["pickled"] < 2000


def whole(make: Callable[[], bytes]) -> Callable[[], Pieces]:
    """Return an answer with a body of nearly the largest size."""
    body = make()
    assert 7.9 * MEBIBYTE < len(body) < 8 * MEBIBYTE
    return lambda: [HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body]


N = 8 * MEBIBYTE - 200
OFFER = b'{"session": "S", "errcode": "M_FORBIDDEN", "flows": ['


def different() -> bytes:
    """Return texts of which no two are the same."""
    return b'","'.join(b"%06x" % n for n in range(N // 9))


READ: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty lists": (lambda: b'{"errcode": "M_X", "x": [' + b"[]," * (N // 3) + b"0]}", "MatrixError"),
    "empty objects": (lambda: b'{"errcode": "M_X", "x": [' + b"{}," * (N // 3) + b"0]}", "MatrixError"),
    "one text": (lambda: b'{"errcode": "M_X", "error": "' + b"\\ud800\\u001b" * (N // 12) + b'"}', "MatrixError"),
    "texts": (lambda: b'{"errcode": "M_X", "session": "0123456", "x": ["' + different() + b'"]}', "MatrixError"),
    "stages": (lambda: OFFER + b'{"stages": ["' + different() + b'"]}]}', "StageFailedError"),
    "flows": (lambda: OFFER + b'{"stages":["x"]},' * (N // 17) + b'{"stages": ["x"]}]}', "StageFailedError"),
}


@pytest.mark.parametrize(("make", "kind"), READ.values(), ids=READ)
def test_answer_that_is_nearly_too_large(client: Client, make: Callable[[], bytes], kind: str) -> None:
    """The largest answers that are read, made of whatever takes most memory, leave a client alive that shows them."""
    ended = client(whole(make), LARGE, PATIENCE)

    assert ended["kind"] == kind
    assert len(ended["text"]) < 10_000
