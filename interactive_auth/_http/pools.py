"""The pools of the library's own session: what its connections write, read and wait for, and where they are kept.

They are made of urllib3's classes as they are found, since others may have replaced those. What must not be here: the
pools of anybody but the library.
"""

from __future__ import annotations

import http.client
import queue
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .deadline import BoundedAnswer
from .plain import PlainConnection


class _Idle(queue.LifoQueue[Any]):
    """A pool's idle connections. Nobody waits for one here, so they are taken and kept without the queue's locks."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self.queue.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if len(self.queue) >= self.maxsize > 0:
            raise queue.Full
        # What TLS has decrypted beyond an answer would be the next one; urllib3 looks at what is still encrypted.
        pending = getattr(getattr(item, "sock", None), "pending", None)
        if pending is not None and pending():
            item.close()  # it is opened anew when it is wanted
        self.queue.append(item)


@lru_cache
def _bounded_connection(kind: Any) -> Any:
    # A connection that is not urllib3's own belongs to somebody who wants to see the requests, as vcrpy does; one of
    # urllib3-future's reads in a way of its own.
    if not kind.__module__.startswith("urllib3.connection") or not issubclass(kind, http.client.HTTPConnection):
        return kind
    return type(kind.__name__, (PlainConnection, kind), {"response_class": BoundedAnswer})


@lru_cache
def _bounded_pool(kind: Any) -> Any:
    # Looked up whenever a connection is opened: somebody may replace that of urllib3's own pools meanwhile.
    connection = property(lambda pool: _bounded_connection(kind.ConnectionCls))
    # That of urllib3-future keeps connections that answer several requests at a time.
    kept = _Idle if kind.QueueCls is queue.LifoQueue else kind.QueueCls
    return type(kind.__name__, (kind,), {"ConnectionCls": connection, "QueueCls": kept})


def bounded_pools(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return pools, by scheme, that bound the answers to what they send, and are otherwise like ``kinds``."""
    return {scheme: _bounded_pool(kind) for scheme, kind in kinds.items()}
