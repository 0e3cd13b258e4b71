"""Texts and JSON from servers, which are not trusted: what can be shown, sent, or followed.

What must not be here: errors, and anything that knows a request.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

#: As deep as a body is followed when it is copied; a stranger's nesting must not exhaust the stack.
_DEEPEST = 16
#: Characters. RFC 9110, section 4.1: longer ones need not be understood by any server.
_LONGEST_URL = 8000
#: The keys of an auth dict whose values are not secret, and may stand in the server's words.
_PUBLIC = frozenset({"type", "identifier", "sid", "id_server"})


def printable(text: object, limit: int = 300) -> str:
    """Return ``text`` fit for a message: bounded, and with control characters and surrogates escaped.

    Args:
        text: anything a server said.
        limit: the most characters that are kept.
    """
    whole = text if isinstance(text, str) else repr(text)
    cut = whole[:limit] + ("..." if len(whole) > limit else "")
    if cut.isprintable():
        return cut
    # A terminal would obey an escape sequence, and print() fails on a lone surrogate.
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    # Bounded again, so that what was saved once is the same when it is saved anew.
    return escaped if len(escaped) <= limit + 3 else escaped[:limit] + "..."


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a value of a server's is a string that can be sent, and is not empty."""
    return isinstance(value, str) and bool(value) and is_encodable(value)


def is_encodable(value: str) -> bool:
    """Return whether a text can be sent; the error that says otherwise would hold it, and is never passed on."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can express
        return False
    return True


def plain(value: Any, clean: Callable[[str], str] = str, depth: int = _DEEPEST) -> Any:
    """Return a copy of JSON with its strings cleaned.

    What is nested deeper than any server's needs becomes None, and so do NaN and the infinities, which JSON has not.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (list, dict)) and not depth:
        return None
    if isinstance(value, list):
        return [plain(item, clean, depth - 1) for item in value]
    if isinstance(value, dict):
        return {plain(key, clean): plain(item, clean, depth - 1) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def copied(value: Any) -> Any:
    """Return a copy of what JSON is made of, as deep as it is; anything else in it stays the same object."""
    if isinstance(value, str):  # nearly always
        return value
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def encodable(text: str) -> str:
    """Return a text that can be sent and stored: a question mark stands for each half of a surrogate pair."""
    return text.encode(errors="replace").decode()


def secrets_in(value: object) -> Iterator[str]:
    """Yield what must not come to light of an auth dict."""
    if isinstance(value, (str, int)):
        yield str(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _PUBLIC:
                yield from secrets_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item)


def web_url(value: object) -> str | None:
    """Return a URL that a client may contact; a stranger's server must not name a file or a program."""
    if not is_text(value) or len(value) > _LONGEST_URL:
        return None
    return value if value.lower().startswith(("http://", "https://")) else None


def whole(url: str) -> str:
    """Return an address as a person is shown it who is to open it."""
    return printable(url, _LONGEST_URL)


def shown(address: str) -> str:
    """Return an address as a message has it: a server may have named it, and its query is nobody else's business."""
    return printable(address.partition("?")[0])


def publish(namespace: dict[str, Any]) -> None:
    """Show of a public module what it offers, and nothing else; what it offers says where it is imported from.

    Tracebacks and pickles then name that place, instead of the room that it is made in.

    Args:
        namespace: the module's ``globals()``. Without an ``__all__`` the module is private, and the package lists what
            is public in it.
    """
    door = namespace if "__all__" in namespace else vars(sys.modules["interactive_auth"])
    if door is namespace:
        # PEP 562: what a person is offered after "module." and Tab.
        namespace["__dir__"] = lambda: sorted({*door["__all__"], *(name for name in door if name[:2] == "__")})
    for name in door["__all__"]:
        offered = namespace.get(name)
        if getattr(offered, "__module__", "").startswith("interactive_auth."):
            offered.__module__ = door["__name__"]
