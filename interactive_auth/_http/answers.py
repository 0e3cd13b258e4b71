"""What a homeserver answers over HTTP: reading it within bounds, and raising what is no success.

What must not be here: sending, and anything about authentication stages.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from .._checks import type_error
from .._errors import HomeserverConnectionError, MatrixError, ServerProtocolError, hiding
from .._replies import demands_auth
from .._text import printable, shown
from .._tracebacks import without_frames
from .reasons import WRONG_ADDRESS, no_answer

#: The largest body that is read, in bytes; real answers to these endpoints stay far below.
MAX_BODY = 8 * 1024 * 1024
#: How much of a body is asked for at a time.
CHUNK = 64 * 1024
#: Seconds in which the body of a streamed response must come, where nothing says how long its reader would wait.
_LONGEST_BODY = 300.0
#: What is decompressed here (RFC 9110, section 8.4.1): gzip, which is asked for, and deflate, with its header or, as
#: some servers have it, without.
_DECOMPRESSED: Mapping[str, tuple[int, ...]] = {
    "gzip": (16 + zlib.MAX_WBITS,),
    "x-gzip": (16 + zlib.MAX_WBITS,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
#: What a body may be compressed by besides; any other name in the header (identity, none, utf-8) says nothing.
_REFUSED = frozenset({"br", "zstd", "compress", "x-compress"})
#: As often a body may be compressed, and as many members gzip may have; more would only keep a client busy.
_MOST_ENCODINGS = 3
_MOST_MEMBERS = 100
#: The content types that are named in messages; any other text in that header may be a quotation of what was sent.
_TYPES = frozenset({"text/html", "text/plain", "text/xml", "application/json", "application/xml"})
#: What a 401 has that asks for authentication ("User-interactive API in the REST API"); an errcode it need not have.
_OF_CHALLENGES = frozenset({"flows", "session", "completed", "params"})
#: Where a response keeps what its Location header said, once that is hidden from requests.
REDIRECT = "X-Interactive-Auth-Redirect"


class RawResponse(NamedTuple):
    """A response that was read.

    Attributes:
        status: the HTTP status code.
        headers: the header fields.
        content: the body, None if it was larger than any of a homeserver's.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | None


@without_frames
def raise_for_matrix_error(response: requests.Response) -> dict[str, Any]:
    """Return a homeserver's answer, or raise it: the last line of a ``do_request`` written over requests.

    Example::

        def do_request(auth):
            body = {"username": "alice"} if auth is None else {"username": "alice", "auth": auth}
            return raise_for_matrix_error(requests.post(register_url, json=body, timeout=30))

    Args:
        response: the answer; of one that is streamed, the body is read here, within limits of size and time. It may
            be made by hand, as tests do it.

    Returns:
        The JSON object of a success (2xx); ``{}`` for a success without a body.

    Raises:
        MatrixError: the answer is no success; with its status, body and the seconds of its ``Retry-After``.
        ServerProtocolError: a success whose body is not a JSON object, is too large, or demands authentication.
        HomeserverConnectionError: the body of a streamed answer broke off.
        TypeError: ``response`` is not a ``requests.Response``.
        ValueError: ``response`` was made by hand, and has no status.
    """
    if not isinstance(response, requests.Response):
        raise type_error("response", "a requests.Response", response)
    status: object = response.status_code
    if not isinstance(status, int):
        raise ValueError("response must have a status_code")
    request: requests.PreparedRequest | None = response.request
    address = _address(response.url)
    method = (request and request.method) or "the request to"
    told = f"{method} {shown(address)}"
    try:
        answer = read_response(response, _LONGEST_BODY)
    except (requests.RequestException, HTTPError, OSError) as failure:
        text = no_answer(failure, told, math.inf)
    else:
        with hiding(*_credentials(request)):
            return check_answer(answer, told)
    raise HomeserverConnectionError(text)


def _address(url: str | None) -> str:
    """Return where a response came from, as a message has it: without a user name and a query."""
    try:
        parts = urlsplit(url or "")
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:  # half of an IPv6 address, or a port that is not a number
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}" if parts.hostname else "an address that is not known"


def _credentials(request: requests.PreparedRequest | None) -> list[str]:
    """Return what a request was authorised with."""
    # A request that was made by hand may have no headers, and an authorisation of its own may be of any type.
    header = request.headers.get("Authorization") if request is not None and request.headers else None
    return header.split()[1:] if isinstance(header, str) else []


def read_response(response: requests.Response, seconds: float, *, bounded: bool = False) -> RawResponse:
    """Read a response of requests', within bounds; what is not read to its end is closed.

    Args:
        response: the response, read already or not.
        seconds: as long the body may take, however steadily it comes.
        bounded: whether its connection holds that deadline by itself.

    Raises:
        TimeoutError: the body has taken too long.
        OSError: it or its headers broke off, or it cannot be decompressed.
    """
    refuse_interim(response)
    headers: Mapping[str, str] | None = response.headers
    if headers is None or isinstance(headers, dict):  # made by hand; all others do not mind the case
        headers = CaseInsensitiveDict(headers or {})
    raw = response.raw
    if raw is None or response._content is not False:
        read = response.content or b""
        return RawResponse(response.status_code, headers, read if len(read) <= MAX_BODY else None)
    content: bytes | None = None
    try:
        if not isinstance(raw, HTTPResponse):
            # Something that stands in for urllib3, as a recorder's answers do, has decompressed what it plays.
            content = _read(response.iter_content(CHUNK), seconds)
            return RawResponse(response.status_code, headers, content)
        if raw.closed or raw.tell():
            raise OSError("the answer has been read, or closed, before")
        from_network = raw.connection is not None
        content = _read(_pieces(raw, bounded=bounded), seconds)
        if content is not None and raw.length_remaining:
            raise OSError("the answer broke off")  # urllib3 1.26 leaves it to others to find out
        answer = RawResponse(response.status_code, headers, content)
        if from_network:
            refuse_cut_headers(answer)
    finally:
        if content is None:
            response.close()
    return answer if content is None else answer._replace(content=_decode(content, headers.get("Content-Encoding", "")))


def refuse_interim(response: requests.Response, *_: Any, **__: Any) -> None:
    """Hang up after an answer that only announces another one (RFC 9110, section 15.2).

    requests takes it for the answer, and would use the connection, on which the real one is still to come, again.

    Raises:
        OSError: it is such an answer.
    """
    if 100 <= response.status_code < 200:
        response.close()
        raise OSError(f"the answer was only an interim one ({response.status_code})")


def refuse_cut_headers(answer: RawResponse) -> None:
    """Refuse what ``http.client`` takes for an answer though the connection was cut in the middle of its headers.

    It ends the headers where the connection ends, so what is left is an empty body without any length. A homeserver
    sends no such thing, and a 401 without its flows would be a refusal, a 200 a success.

    Raises:
        OSError: the answer may have been cut so.
    """
    if answer.content != b"" or answer.status == 204 or _is_redirect(answer):
        return
    # Where a body ends (RFC 9112, section 6.3); either header may itself be what was cut.
    length, encoding = (answer.headers.get(name, "") for name in ("Content-Length", "Transfer-Encoding"))
    if not length.isdigit() and "chunked" not in encoding.lower():
        raise OSError("the answer broke off in its headers, or is empty")


def _pieces(raw: HTTPResponse, *, bounded: bool) -> Iterator[bytes]:
    """Give a body as it comes from the network; urllib3's own decompression has no bounds before 2.6."""
    read, most = getattr(raw, "read1", None), CHUNK
    if read is None:  # urllib3 before 2.1 returns nothing before all that was asked for is there, however long it takes
        read, most = raw.read, CHUNK if bounded else 1
    while piece := read(most, decode_content=False):
        yield piece
        if raw.length_remaining == 0:  # known beforehand, so the connection need not be asked for the end
            return


def _decode(content: bytes, encoding: str) -> bytes | None:
    """Decompress a body as a whole, up to a byte more than is read of any, None if it is larger.

    Raises:
        OSError: it cannot be decompressed.
    """
    if not encoding:
        return content
    names = [name.strip().lower() for name in encoding.split(",")]
    if not _REFUSED.isdisjoint(names):
        raise OSError("the body is compressed in a way that cannot be bounded: ask for gzip")
    compressed = [_DECOMPRESSED[name] for name in names if name in _DECOMPRESSED]
    if len(compressed) > _MOST_ENCODINGS:
        raise OSError("the body is compressed too often")
    for formats in reversed(compressed):  # they are named in the order in which they were applied
        content = _decompress(content, formats)
    return content if len(content) <= MAX_BODY else None


def _decompress(content: bytes, formats: tuple[int, ...]) -> bytes:
    """Decompress what has one of these formats, of one member or more (RFC 1952)."""
    for format_ in formats:
        found, rest = b"", content
        for _ in range(_MOST_MEMBERS):
            member = zlib.decompressobj(format_)
            try:
                found += member.decompress(rest, MAX_BODY + 1 - len(found))
            except zlib.error:
                break
            if len(found) > MAX_BODY or (member.eof and not member.unused_data):
                return found
            if not member.eof:
                break
            rest = member.unused_data
    raise OSError("the body cannot be decompressed")


def _read(pieces: Iterable[bytes], seconds: float) -> bytes | None:
    deadline = time.monotonic() + seconds
    chunks, size = [], 0
    for chunk in pieces:
        size += len(chunk)
        if size > MAX_BODY:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError
        chunks.append(chunk)
    return b"".join(chunks)


def check_answer(answer: RawResponse, told: str) -> dict[str, Any]:
    """Return the JSON object of a success, raise everything else.

    Args:
        answer: what was answered.
        told: the method and the address, for messages.
    """
    status = answer.status
    if answer.content == b"" and 200 <= status < 300:
        return {}  # some servers answer so where the specification has an empty object; the caller asks for fields
    body, flaw = _parse(answer)
    if _is_redirect(answer):
        told = f"{told} was answered with a redirect, which is never followed{_place(answer)}"
    elif flaw:
        told = f"{told} was answered {status} with {flaw}: {WRONG_ADDRESS}"
    if 200 <= status < 300:
        if flaw:
            raise ServerProtocolError(told)
        # Returned, it would be taken for a mistake of the caller's.
        if demands_auth(body):
            raise ServerProtocolError(f"{told} was answered {status} with a demand for authentication, as a success")
        return body
    # Not held by a name here: an error whose traceback leads back to itself outlives its last use.
    raise _error(answer, body, told)


def lack_error(told: str, field: str) -> ServerProtocolError:
    """Make the error for a success that lacks what the specification requires."""
    return ServerProtocolError(f"{told} was answered with success, but there is no usable {field}: {WRONG_ADDRESS}")


def _error(answer: RawResponse, body: dict[str, Any], told: str) -> MatrixError:
    error = MatrixError(answer.status, body, _retry_after(answer.headers.get("Retry-After")))
    error._context = told
    error._redirect = _location(answer) if _is_redirect(answer) else None
    return error


def _is_redirect(answer: RawResponse) -> bool:
    return 300 <= answer.status < 400


def _location(answer: RawResponse) -> str | None:
    return answer.headers.get("Location") or answer.headers.get(REDIRECT)


def _place(answer: RawResponse) -> str:
    """Return whose address a redirect leads to: a website's other name, or a page to log in at."""
    try:
        parts = urlsplit(_location(answer) or "")
    except ValueError:  # half of an IPv6 address
        return ""
    return f"; it leads to {printable(parts.hostname, 100)}" if parts.hostname else ""


def _parse(answer: RawResponse) -> tuple[dict[str, Any], str]:
    """Return the JSON object of a body, and what is wrong with it; an empty string if nothing is."""
    content = answer.content
    if content is None:
        return {}, f"a body of more than {MAX_BODY} bytes"
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # no JSON, not in Unicode, a number of 5,000 digits, or nested too deeply
        flaw = "a web page, not JSON" if _kind(answer) == "text/html" else "a body that is not JSON"
        return {}, (flaw if content else "an empty body") + _details(answer)
    if not isinstance(value, dict):
        return {}, "JSON that is not an object" + _details(answer)
    if answer.status >= 400 and not isinstance(value.get("errcode"), str) and _OF_CHALLENGES.isdisjoint(value):
        return value, "an error without an errcode" + _details(answer)
    return value, ""


def _details(answer: RawResponse) -> str:
    return f" ({len(answer.content or b'')} bytes, {_kind(answer)})"


def _kind(answer: RawResponse) -> str:
    header = answer.headers.get("Content-Type")
    if header is None:
        return "no content type"
    kind = header.partition(";")[0].strip().lower()
    return kind if kind in _TYPES else "an unusual content type"


def _retry_after(header: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header (RFC 9110, section 10.2.3), None if it has no sense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        # The form without a time zone is in UTC as well.
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
