"""User-Interactive Authentication on Matrix for synchronous Python: one blocking loop, plain callbacks.

Example::

    from interactive_auth import Homeserver, console

    with Homeserver.discover("example.org") as homeserver:
        account = homeserver.register("alice", "a password").authenticate(console.handlers(homeserver))

Begin with ``Homeserver``, or with ``InteractiveAuth`` for requests of your own. Callbacks that are ready: ``handlers``
(for programs), ``console`` (ask a person), ``browser`` (a page for what a browser has to do). ``bots`` is for asyncio,
``testing`` for your tests. Whatever else the package holds is private. What must not be here: anything but names.
"""

import typing as _typing

if _typing.TYPE_CHECKING:
    from . import bots, browser, console, handlers, testing
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

if not _typing.TYPE_CHECKING:  # pragma: no branch  # which would have type checkers believe in every name
    _ROOMS = ("bots", "browser", "console", "handlers", "homeserver", "testing")
    #: Where the other names are made; a room imports those before it.
    _MADE_IN = ("_errors", "_types", "_engine.auth", "homeserver")

    def __getattr__(name):
        # PEP 562: every pytest imports the package for its plugin, and few programs enter every room.
        from importlib import import_module

        if name in _ROOMS:
            return import_module(f".{name}", __name__)
        if name in __all__:
            rooms = (vars(import_module(f".{room}", __name__)) for room in _MADE_IN)
            return globals().setdefault(name, next(made[name] for made in rooms if name in made))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name[:2] == "__")})
