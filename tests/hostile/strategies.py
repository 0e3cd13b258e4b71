"""What a hostile server may say: JSON of any type in any field, and bytes of any kind in the place of HTTP.

What must not be here: what has to come of it, which is in ``exchanges``.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

from hypothesis import strategies as st

STAGES = [
    "m.login.dummy",
    "m.login.email.identity",
    "m.login.msisdn",
    "m.login.password",
    "m.login.recaptcha",
    "m.login.registration_token",
    "m.login.sso",
    "m.login.terms",
    "m.oauth",
    "org.example.odd\x1b]0;\u202e\n",
    "stage-#N#",
    "\ud800",
    "",
    "x" * 3000,
]
#: What is put where a text is expected: escape sequences, bidi, half of a surrogate pair, nothing, too much.
TEXTS = [
    "",
    "x",
    "\ud800",
    "\x1b[2J\x07\r",
    "\u202egnissim",
    "\u2028\x00",
    "y" * 5000,
    "\U000e0001" * 400,
    "[hidden]",
    "#N#",
]
NUMBERS = [0, -1, 1, 2**63, 10**400, -(10**400), 1e308, -1e308, 1.5, 1e-320, float("nan"), float("inf"), -float("inf")]
URLS = [
    "http://127.0.0.1:8008/submit",
    "http://127.0.0.1:8008/submit?\x1b[2J\n&" + "q" * 400,
    "http://127.0.0.1:8008/" + "p" * 9000,
    "http://\ud800/",
    "http://127.0.0.1/\ud800",
    "http://127.0.0.1/?\ud800",
    "https://[",
    "https://[::1]:99999/",
    "http://example.org/submit",
    "https://" + "a." * 4000 + "org/",
    "https://" + "\u00e4" * 300 + ".org/",
    "https://user:password@example.org/",
    "https://example.org:0/",
    "https:///",
    "https://",
    "https://example.org\\@127.0.0.1/",
    "HTTPS://EXAMPLE.ORG",
    "https://example.org/#fragment",
    "https://xn--\u0130/",
    "https://%00/",
    "https://*/",
    "https://.org/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//127.0.0.1:8008/x",
    "/submit",
    "",
]

texts = st.sampled_from(TEXTS + URLS) | st.text(st.characters(codec=None), max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), texts)
KEYS = ["stages", "public_key", "policies", "url", "name", "version", "en", "x", "\ud800", "sid", "errcode"]
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def nested(depth: int, kind: str) -> Any:
    """Return lists or objects within each other, so deep."""
    value: Any = []
    for _ in range(depth):
        value = [value] if kind == "list" else {"x": value}
    return value


#: As deep as JSON is read with room to spare on every Python; deeper ones are made of bytes.
deep = st.builds(nested, st.integers(10, 400), st.sampled_from(["list", "object"]))
anything = st.one_of(json_values, json_values, json_values, deep)

stage_types = st.sampled_from(STAGES)
flows = st.lists(stage_types, max_size=5).map(lambda stages: {"stages": stages})
flow_lists = st.lists(flows | anything, max_size=4) | st.lists(flows, min_size=1, max_size=4)
sessions = st.sampled_from(["S1", "S2", "S#N#", "s" * 3000, "\x1b[2J", "hidden", "\ud800"])
documents = st.fixed_dictionaries({}, optional={"name": texts, "url": texts})
policies = st.dictionaries(
    texts,
    st.dictionaries(st.sampled_from(["en", "de_AT", "version", "\ud800"]), documents | anything, max_size=3),
    max_size=3,
)
params = st.fixed_dictionaries(
    {},
    optional={
        "m.login.terms": st.fixed_dictionaries({}, optional={"policies": policies | anything}) | anything,
        "m.login.recaptcha": st.fixed_dictionaries({}, optional={"public_key": texts | anything}) | anything,
        "m.oauth": st.fixed_dictionaries({}, optional={"url": texts | anything}) | anything,
        "m.login.msisdn": anything,
        STAGES[9]: anything,
    },
)
error_codes = st.sampled_from(
    ["M_FORBIDDEN", "M_UNKNOWN", "M_UNKNOWN_TOKEN", "M_INVALID_PARAM", "M_LIMIT_EXCEEDED", "M_USER_IN_USE", "M" * 9000]
)
error_texts = st.sampled_from(["Invalid session", "Unknown session ID: S1", "UIAA session does not exist."]) | texts


def body_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return bodies in which each field may be absent, right, or any JSON at all."""
    return st.fixed_dictionaries({}, optional={name: value | anything for name, value in fields.items()})


bodies = body_of(
    flows=flow_lists,
    session=sessions,
    completed=st.lists(stage_types | anything, max_size=5),
    params=params,
    errcode=error_codes,
    error=error_texts,
    retry_after_ms=st.integers(-5, 5000) | st.sampled_from(NUMBERS),
    sid=sessions,
    submit_url=st.sampled_from(URLS),
    user_id=texts,
    valid=st.booleans(),
    available=st.booleans(),
    success=st.booleans(),
    versions=st.just(["v1.11"]),
    **{"m.homeserver": st.fixed_dictionaries({}, optional={"base_url": st.sampled_from(URLS) | anything})},
)
challenges = st.builds(
    lambda body, offered: {**body, "flows": offered}, bodies, st.lists(flows, min_size=1, max_size=3)
)

#: Bodies that no encoder of JSON writes.
ODD_BODIES = [
    b"",
    b"\xef\xbb\xbf{}",
    b"{}garbage",
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b'{"session":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"session": "a", "session": "b", "flows": 1, "flows": [{"stages": ["m.login.dummy"]}]}',
    b'{"retry_after_ms": ' + b"9" * 5000 + b"}",
    b'{"retry_after_ms": ' + b"9" * 4000 + b', "errcode": "M_LIMIT_EXCEEDED"}',
    b'{"error": "\\ud800\\udfff\\u0000"}',
    '{"errcode": "\ud800"}'.encode("utf-8", "surrogatepass"),
    '{"errcode": "M_UTF_16"}'.encode("utf-16"),
    '{"errcode": "M_UTF_32"}'.encode("utf-32"),
    '{"error": "\xe4"}'.encode("latin-1"),
    b'{"session": NaN, "flows": -Infinity, "retry_after_ms": Infinity}',
    b"<html>\x1b[2J</html>",
    gzip.compress(b'{"flows": []}'),
    gzip.compress(b" " * 9_000_000, 1),
    b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n',
    b"ffffffffffffffffff\r\n{}",
    b"-5\r\n{}",
    b"0\r\n" + b"Trailer: x\r\n" * 500,
]
json_bytes = st.builds(
    lambda body, ascii_only: json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"),
    st.one_of(challenges, challenges, bodies, anything),
    st.booleans(),
)
body_bytes = st.one_of(json_bytes, json_bytes, json_bytes, st.sampled_from(ODD_BODIES), st.binary(max_size=40))

RETRY_AFTERS = [
    "0",
    "-1",
    "1",
    "1.5",
    "NaN",
    "inf",
    "1e308",
    "9" * 400,
    "\u00b2",
    "",
    "1, 2",
    "true",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Wed, 21 Oct 2015 07:28:00",
    "Wed, 99 Oct 2015 07:28:00 GMT",
    "Wed, 21 Oct 2015 07:28:00 +" + "9" * 300,
    "Wed, 21 Oct 2015 " + "9" * 300 + ":28:00 GMT",
    "a b c d e f g",
]
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
headers = st.one_of(
    st.tuples(
        st.just("Content-Type"),
        st.sampled_from(["application/json", "text/html; charset=utf-7", "\x1b[2J", ""]) | latin,
    ),
    st.tuples(st.just("Retry-After"), st.sampled_from(RETRY_AFTERS) | latin),
    st.tuples(
        st.just("Content-Encoding"), st.sampled_from(["gzip", "gzip, gzip", "br", "identity", ",", "\x00"]) | latin
    ),
    st.tuples(st.just("Transfer-Encoding"), st.sampled_from(["chunked", "gzip, chunked", "x"])),
    st.tuples(
        st.just("Content-Length"), st.sampled_from(["0", "2", "-1", "1e3", "9" * 5000, "5, 6", "", "10000000000"])
    ),
    st.tuples(
        st.just("Location"), st.sampled_from(URLS).map(lambda url: url.encode("ascii", "ignore").decode()) | latin
    ),
    st.tuples(
        st.just("Set-Cookie"), st.sampled_from(["a=b", "a#N#=b; Expires=x; Path=/\x0b", "=;;", "a=\x85\x1c"]) | latin
    ),
    st.tuples(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=8), latin),
)
statuses = st.one_of(
    st.sampled_from([200, 401, 401, 401, 401, 400, 403, 404, 429, 429, 500, 502, 503]),
    st.sampled_from([100, 101, 199, 204, 206, 301, 302, 304, 307, 308]),
    st.integers(0, 1100),
)


def wire(status: int, fields: list[tuple[str, str]], body: bytes) -> bytes:
    """Return an answer as it comes over the wire."""
    lines = [f"HTTP/1.1 {status} Any reason", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


whole = st.builds(wire, statuses, st.lists(headers, max_size=3), body_bytes)
plain_challenges = st.builds(wire, st.just(401), st.just([]), challenges.map(lambda body: json.dumps(body).encode()))
cut = st.builds(lambda answer, at: answer[: at % (len(answer) + 1)], whole, st.integers(0, 500))
ODD_ANSWERS = [
    b"",
    b"HTTP/0.9",
    b"HTTP/1.1 200",
    b"HTTP/1.1 999999 x\r\n\r\n{}",
    b"HTTP/9.9 200 OK\r\n\r\n{}",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 66_000,
    b"HTTP/1.1 401 \x1b[2J\xff\r\nContent-Type: a\r\n b\r\n\r\n<",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x16\x03\x01\x00\x05\x01",
]
#: Whatever a server may answer to one request.
answers = st.one_of(plain_challenges, plain_challenges, whole, whole, cut, st.sampled_from(ODD_ANSWERS))
exchanges = st.lists(answers, min_size=1, max_size=8)
