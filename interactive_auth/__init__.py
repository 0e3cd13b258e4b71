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
    from .homeserver import Homeserver, UIARequest, raise_for_matrix_error

#: What is imported when it is first asked for (PEP 562): rooms that not every program enters, and what is made in them.
_ROOMS = ("bots", "browser", "console", "handlers", "homeserver", "testing")
_MADE_IN_HOMESERVER = ("Homeserver", "UIARequest", "raise_for_matrix_error")


def __getattr__(name: str) -> _typing.Any:
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name in _MADE_IN_HOMESERVER:
        return globals().setdefault(name, getattr(import_module(".homeserver", __name__), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
