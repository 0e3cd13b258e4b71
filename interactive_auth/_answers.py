"""What a homeserver answers over HTTP: reading it within bounds, and raising what is no success.

What must not be here: sending, and anything about authentication stages.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from ._checks import type_error
from ._errors import MatrixError, ServerProtocolError, printable

#: The largest body that is read, in bytes; real answers to these endpoints stay far below.
MAX_BODY = 8 * 1024 * 1024
#: How much of a body is asked for at a time.
CHUNK = 64 * 1024
#: Where a response keeps what its Location header said, once that is hidden from requests.
REDIRECT = "X-Interactive-Auth-Redirect"


class Answer(NamedTuple):
    """A response that was read.

    Attributes:
        status: the HTTP status code.
        headers: the header fields.
        content: the body, None if it was larger than any of a homeserver's.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | None


def raise_for_matrix_error(response: requests.Response) -> dict[str, Any]:
    """Return a homeserver's answer, or raise it: the last line of a ``do_request`` written over requests.

    Args:
        response: the answer; of one that is streamed, the body is read here, up to a limit.

    Returns:
        The JSON object of a success (2xx).

    Raises:
        MatrixError: the answer is no success; with its status, body and the seconds of its ``Retry-After``.
        ServerProtocolError: a success whose body is no JSON object, or is too large.
        TypeError: ``response`` is no ``requests.Response``.
    """
    if not isinstance(response, requests.Response):
        raise type_error("response", "a requests.Response", response)
    request: requests.PreparedRequest | None = response.request
    url = urlsplit(response.url or "")
    # Neither the query nor a user name of the URL is fit for a message.
    address = f"{url.scheme}://{url.hostname}{'' if url.port is None else f':{url.port}'}{url.path}"
    answer = Answer(response.status_code, response.headers, read_body(response.iter_content(CHUNK), math.inf))
    return check_answer(answer, (request and request.method) or "the request to", address)


def read_body(pieces: Iterable[bytes], seconds: float) -> bytes | None:
    """Read a body, None if it is larger than any answer of a homeserver's.

    Raises:
        TimeoutError: it has taken more than ``seconds``, however steadily it came.
    """
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


def check_answer(answer: Answer, method: str, address: str) -> dict[str, Any]:
    """Return the JSON object of a success, raise everything else."""
    status, asked = answer.status, f"{method} {address}"
    body, flaw = _parse(answer.content)
    told = ""
    if flaw:
        kind = printable(answer.headers.get("Content-Type", "no content type"), 100)
        told = f"{asked} was answered {status} with {flaw}, {kind}"
    if 200 <= status < 300:
        if flaw:
            raise ServerProtocolError(f"{told}: is this the address of a homeserver?")
        return body
    if 300 <= status < 400:
        told = f"{asked} was answered with a redirect, which is never followed"
    # Not held by a name here: an error whose traceback leads back to itself outlives its last use.
    raise _error(answer, body, told)


def _error(answer: Answer, body: dict[str, Any], told: str) -> MatrixError:
    error = MatrixError(answer.status, body, _retry_after(answer.headers.get("Retry-After")))
    error._context = told
    error._redirect = answer.headers.get("Location") or answer.headers.get(REDIRECT)
    return error


def _parse(content: bytes | None) -> tuple[dict[str, Any], str]:
    """Return the JSON object of a body, and what is wrong with it; an empty string if nothing is."""
    if content is None:
        return {}, f"a body of more than {MAX_BODY} bytes"
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # no JSON, not in Unicode, a number of 5,000 digits, or nested too deeply
        return {}, f"a body that is not JSON ({len(content)} bytes)"
    if not isinstance(value, dict):
        return {}, f"JSON that is not an object ({len(content)} bytes)"
    return value, ""


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
