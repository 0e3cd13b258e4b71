"""A Redis of one's own: Debian's redis-server on 127.0.0.1, with a password, for as long as it is needed.

What it keeps is in a folder, and is there again when it is started on the same one.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from _common import NotDoneError
from throwaway_synapse import free_port

#: Seconds that it may take to start, or to stop; it takes some hundredths of one.
PATIENCE = 30.0


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run Redis for as long as the block lasts; gives its URL, with the password in it.

    Args:
        folder: where it keeps everything.

    Raises:
        NotDoneError: it is not installed, did not start, or is running in that folder already.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise NotDoneError("Redis is not installed: apt-get install redis-server")
    port, password = free_port(), secrets.token_hex(16)
    settings = {"bind": "127.0.0.1", "port": port, "requirepass": password, "dir": str(folder)}
    # Each write is on the disk before it is answered. The lines come by standard input, where nobody else sees them.
    settings |= {"appendonly": "yes", "appendfsync": "always", "save": ""}
    lines = "".join(f"{name} {json.dumps(value)}\n" for name, value in settings.items())
    with _alone(folder) as lock, open(folder / "redis.log", "ab") as log:
        process = subprocess.Popen(
            [program, "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            umask=0o077,  # passwords are in its files
            start_new_session=True,  # Ctrl-C in a terminal is meant for the program
        )
        try:
            os.pwrite(lock, f"{process.pid}\n".encode(), 0)
            assert process.stdin is not None
            process.stdin.write(lines.encode())
            process.stdin.close()
            url = f"redis://:{password}@127.0.0.1:{port}"
            _wait_until_up(process, url, folder)
            yield url
        finally:
            process.terminate()
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE)
            finally:
                process.kill()
                process.wait()


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Hold a lock on the folder, which Redis inherits: two in one folder would spoil each other's files."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, mode=0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 20, 0).decode().strip()
            raise NotDoneError(
                f"Redis is at work in {folder}, by process {pid} of another run: end that run, or, if it was killed, "
                "what it has left: Redis and workers"
            ) from None
        yield lock
    finally:
        os.close(lock)


def _wait_until_up(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    with redis.Redis.from_url(url) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.ping()
                return
            except redis.ConnectionError:  # not up yet, or still reading its files
                time.sleep(0.02)
    raise NotDoneError(f"Redis did not start: see {folder / 'redis.log'}")
