"""Secrets that are found wherever they come to light, and the looking for them.

What must not be here: what makes a secret come to light.
"""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

_TESTS = str(Path(__file__).parents[1])

CANARIES = {
    "password": "canary-of-the-password",
    "new password": "canary-of-the-new-password",
    "access token": "canary_of_the_access_token",
    "granted token": "canary_of_the_token_that_is_granted",
    "registration token": "canary-of-the-registration-token",
    "captcha": "canary-of-the-captcha-response",
    "client secret": "canary-of-the-client-secret",
    "session": "canary-of-the-session-id",
    "code": "canary-of-the-mail-code",
    "identity token": "canary-of-the-identity-servers-token",
}


def found_in(text: str | bytes) -> set[str]:
    """Return the names of the secrets that are in a text."""
    whole = text.decode("latin-1") if isinstance(text, bytes) else text
    return {name for name, value in CANARIES.items() if value in whole}


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error with all that led to it."""
    todo, seen = [error], set[int]()
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [other for other in (one.__cause__, one.__context__) if other is not None]


def shown_of_error(error: BaseException) -> Iterator[tuple[str, str | bytes]]:
    """Yield what is shown of an error, or stored of it, each with a name."""
    yield "traceback", "".join(traceback.format_exception(error))
    for one in chain(error):
        kind = type(one).__name__
        yield f"text of {kind}", str(one)
        yield f"repr of {kind}", repr(one)
        yield f"args of {kind}", repr(one.args)
        yield f"notes of {kind}", repr(getattr(one, "__notes__", ()))
        # As error reporters do: the locals of every frame, but for those of the tests, whose business secrets are.
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if not frame.f_code.co_filename.startswith(_TESTS):
                place = f"{frame.f_code.co_filename}, {frame.f_code.co_name}"
                yield from ((f"local {name} of {place}", repr(value)) for name, value in frame.f_locals.items())
    yield f"pickle of {type(error).__name__}", pickle.dumps(error)


def shown_of_record(record: logging.LogRecord) -> Iterator[tuple[str, str | bytes]]:
    """Yield what is in a log record, each with a name."""
    yield f"log of {record.name}", record.getMessage()
    yield f"record of {record.name}", repr(vars(record))
    error = record.exc_info and record.exc_info[1]
    if error:
        yield from shown_of_error(error)
