"""What urllib3 logs while the library sends: that requests are made, and nothing that was sent or said.

Its lines have the query of each request, which may be a registration token, and the words of a broken answer, which
may quote anything. Other programs' requests are logged as ever. What must not be here: logging of the library's own.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar

_SENDING: ContextVar[bool] = ContextVar("interactive_auth.sending", default=False)
_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


class quiet_log:  # noqa: N801 (it is used as a function; the decorator that makes one of a generator costs more)
    """Cut queries, quotations and tracebacks out of what is logged in this thread meanwhile."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _SENDING.set(True)

    def __exit__(self, *_: object) -> None:
        _SENDING.reset(self._before)


def _cut(record: logging.LogRecord) -> bool:
    if _SENDING.get():
        record.exc_info = None
        record.args = tuple(map(_shown, record.args or ()))  # urllib3 gives them no names
    return True


def _shown(argument: object) -> object:
    if isinstance(argument, str):
        return argument.partition("?")[0]
    return argument if isinstance(argument, int) or argument is None else type(argument).__name__


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_cut)
