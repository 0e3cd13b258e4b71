"""User-Interactive Authentication on Matrix for synchronous Python: one blocking loop, plain callbacks.

Public names only; each is documented where it is defined.
"""

from . import handlers
from ._auth import InteractiveAuth
from ._errors import (
    AuthCancelledError,
    AuthTimeoutError,
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
)
from .homeserver import Homeserver, UIARequest, raise_for_matrix_error

__all__ = [
    "AuthCancelledError",
    "AuthTimeoutError",
    "AuthType",
    "BusyChanged",
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
    "UIARequest",
    "handlers",
    "raise_for_matrix_error",
]

__version__ = "0.1.0"
