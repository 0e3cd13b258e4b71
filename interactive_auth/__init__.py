"""User-Interactive Authentication on Matrix for synchronous Python: one blocking loop, plain callbacks.

Public names only; each is documented where it is defined.
"""

import typing as _typing

from ._engine.auth import InteractiveAuth
from ._errors import (
    AuthCancelledError,
    AuthDeferredError,
    AuthTimeoutError,
    DelegatedAuthError,
    HomeserverConnectionError,
    InteractiveAuthError,
    MatrixError,
    NoAuthFlowFoundError,
    ServerProtocolError,
    StageFailedError,
)
from ._text import publish as _publish
from ._types import (
    AuthType,
    BusyChanged,
    DoRequest,
    Flow,
    Inputs,
    InteractiveAuthOptions,
    RequestEmailToken,
    RequestMsisdnToken,
    ResumeState,
    RetryPolicy,
    Stage,
    StartAuthStage,
    StateChanged,
    Wait,
    WaitChanged,
)
from .homeserver import Homeserver, UIARequest, raise_for_matrix_error

__all__ = [
    "AuthCancelledError",
    "AuthDeferredError",
    "AuthTimeoutError",
    "AuthType",
    "BusyChanged",
    "DelegatedAuthError",
    "DoRequest",
    "Flow",
    "Homeserver",
    "HomeserverConnectionError",
    "Inputs",
    "InteractiveAuth",
    "InteractiveAuthError",
    "InteractiveAuthOptions",
    "MatrixError",
    "NoAuthFlowFoundError",
    "RequestEmailToken",
    "RequestMsisdnToken",
    "ResumeState",
    "RetryPolicy",
    "ServerProtocolError",
    "Stage",
    "StageFailedError",
    "StartAuthStage",
    "StateChanged",
    "UIARequest",
    "Wait",
    "WaitChanged",
    "bots",
    "browser",
    "console",
    "handlers",
    "raise_for_matrix_error",
    "testing",
]

__version__ = "0.1.0"

_publish(globals())

if _typing.TYPE_CHECKING:
    from . import bots, browser, console, handlers, testing


def __getattr__(name: str) -> _typing.Any:
    """Import the rooms that not every program enters when they are first asked for (PEP 562)."""
    if name in ("bots", "browser", "console", "handlers", "testing"):
        from importlib import import_module

        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
