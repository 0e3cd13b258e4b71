"""The coverage-guided fuzz target over whole exchanges; it checks what the tests check, ``exchanges.play``.

::

    .venv/bin/pip install -q atheris
    .venv/bin/python tests/hostile/fuzz_exchanges.py -max_total_time=300 -max_len=4096

An input is a byte that chooses the scene, and the answers, divided by two zero bytes. One that does not begin with
"HTTP/" is a body: the first byte of it chooses the status. The inputs of ``SEEDS`` are what the fuzzer starts from;
what it finds itself is kept for as long as it runs, or in a folder that is named as an argument. What fails is
written to ``crash-*``, which is then an argument to play it alone.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["interactive_auth"]):
    from hostile.exchanges import MOST_BYTES, play
    from hostile.scenes import SCENES

STATUSES = (401, 200, 400, 403, 404, 429, 500, 502, 302)
BETWEEN = b"\0\0"
JSON = b"\r\nContent-Type: application/json\r\n\r\n"

CHALLENGE = (
    b'{"flows": [{"stages": ["m.login.terms", "m.login.msisdn", "m.oauth", "m.login.dummy"]}], "session": "S#N#", '
)
SEEDS: Sequence[Sequence[bytes]] = (
    (b'\x00{"flows": [{"stages": ["m.login.dummy"]}], "session": "S", "completed": []}', b'\x01{"user_id": "@a:b"}'),
    (
        b"\x00" + CHALLENGE + b'"params": {"m.login.terms": {"policies": {"a": {"version": "1", "en": {"name": "A", '
        b'"url": "https://a.example"}}}}, "m.oauth": {"url": "https://a.example"}}}',
        b'\x01{"sid": "1", "submit_url": "http://127.0.0.1:8008/submit", "success": true, "user_id": "@a:b"}',
        b'\x00{"completed": ["m.login.terms", "m.login.msisdn"], "errcode": "M_FORBIDDEN", "error": "No"}',
    ),
    (b'\x00{"flows": [{"stages": ["m.login.email.identity"]}], "session": "S"}', b'\x01{"sid": "1"}', b"\x00{}"),
    (b'\x00{"flows": [{"stages": ["m.login.recaptcha"]}], "params": {"m.login.recaptcha": {"public_key": "k"}}}',),
    (
        b'\x05{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 0}',
        b'\x02{"errcode": "M_UNKNOWN", "error": "Unknown session ID"}',
    ),
    (b'\x01{"m.homeserver": {"base_url": "https://a.example"}}', b'\x01{"versions": ["v1.11"]}'),
    (b'\x01{"valid": true, "available": true}',),
    (b"HTTP/1.1 302 Found\r\nLocation: https://a.example/x\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"),
    (b"HTTP/1.1 429 X\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nSet-Cookie: a=b; Path=/\r\n\r\n{}",),
    (
        b"HTTP/1.1 401 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",),
)
#: Words of the protocol, escaped as the fuzzer's dictionary wants them.
WORDS = """
flows stages session completed params errcode error retry_after_ms sid submit_url policies public_key version name url
en versions m.homeserver base_url valid available success user_id m.login.dummy m.login.terms m.login.msisdn
m.login.password m.login.email.identity m.login.recaptcha m.login.registration_token m.login.sso m.oauth M_FORBIDDEN
M_UNKNOWN M_UNKNOWN_TOKEN M_LIMIT_EXCEEDED M_INVALID_PARAM HTTP/1.1 Retry-After: Location: Content-Encoding:
Transfer-Encoding: Set-Cookie: Content-Length: chunked gzip https:// http:// \\xed\\xa0\\x80 \\\\ud800 \\\\u001b
#N# NaN Infinity null true 1e308 \\x00\\x00 [[[[[[[[
"""


def read(data: bytes) -> list[bytes]:
    """Return the answers of an input."""
    answers = []
    for part in data.split(BETWEEN)[:12]:
        if part and not part.startswith(b"HTTP/"):
            part = b"HTTP/1.1 %d X" % STATUSES[part[0] % len(STATUSES)] + JSON + part[1:]
        answers.append(part[:MOST_BYTES])
    return answers


def one_input(data: bytes) -> None:
    """Play one exchange; what is raised is a finding."""
    if data:
        play(SCENES[data[0] % len(SCENES)], read(data[1:]))


def main() -> None:
    """Write the inputs to start from, and run the fuzzer with the arguments of the command line."""
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for scene in range(len(SCENES)):
            for number, answers in enumerate(SEEDS):
                (corpus / f"{scene}-{number}").write_bytes(bytes([scene]) + BETWEEN.join(answers))
        words = Path(folder, "words")
        words.write_text("".join(f'"{word}"\n' for word in WORDS.split()))
        options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
        paths = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        # One file is an input to play; folders hold inputs, and the first of them keeps what is found.
        folders = paths if paths and all(map(Path.is_file, map(Path, paths))) else [*paths, str(corpus)]
        atheris.Setup(
            [sys.argv[0], f"-dict={words}", "-timeout=60", "-rss_limit_mb=2048", *options, *folders], one_input
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
