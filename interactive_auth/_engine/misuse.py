"""What a ``do_request`` must not return or raise: a response by mistake, or nothing that was sent.

What must not be here: what an answer means, which is in ``_replies``. Of requests it knows the response, which is often
returned by mistake.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping

from requests import Response as _Response

from .._replies import demands_auth


def refuse_misuse(response: object, name: str = "do_request") -> None:
    """Refuse what a do_request must not return: nobody would notice that the request was not even made, or failed.

    Args:
        response: what it has returned.
        name: what it is called.

    Raises:
        TypeError: it cannot be the response of a success.
    """
    if type(response) is not dict and _comes_later(response):
        if inspect.iscoroutine(response):
            response.close()  # it was never awaited, of which Python would warn
        raise TypeError(
            f"{name} returned an awaitable, so nothing was sent: make it an ordinary function, "
            "by interactive_auth.bots.from_coroutine for example"
        )
    if isinstance(response, _Response):
        raise TypeError(
            f"{name} returned a requests.Response, whose status nobody has looked at: "
            "end it with `return raise_for_matrix_error(response)`"
        )
    status = _status(response)
    if status is not None:
        raise TypeError(
            f"{name} returned a response with the status {status}: raise MatrixError(status, body) for an error"
        )
    if isinstance(response, Mapping) and demands_auth(response):
        raise TypeError(
            f"{name} returned the server's demand for authentication as if it were a success: "
            "raise MatrixError(401, body) for it"
        )


def _comes_later(response: object) -> bool:
    is_future = callable(getattr(response, "add_done_callback", None))
    return is_future or inspect.isgenerator(response) or inspect.isawaitable(response)


def warn_of_misuse(error: Exception) -> None:
    """Tell why an authentication ends with what another library raises for an error response; it is the caller's own.

    ``response.raise_for_status()`` is a habit, and raises for the very answer that asks for authentication.
    """
    status = _status(getattr(error, "response", error))
    if status is not None:
        warnings.warn(
            f"do_request raised {type(error).__name__} for an answer with the status {status}, which may ask for "
            "authentication: end it with `return raise_for_matrix_error(response)` in place of raise_for_status(), or "
            "raise MatrixError(status, body)",
            RuntimeWarning,
            stacklevel=2,
        )


def _status(response: object) -> int | None:
    """Return the status of an error response, of any client's; None for anything else."""
    # The one is httpx's name for it, the other aiohttp's; neither client is a dependency.
    status = getattr(response, "status_code", getattr(response, "status", None))
    return status if isinstance(status, int) and status >= 400 else None
