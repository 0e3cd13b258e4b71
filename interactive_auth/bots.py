"""For bots on asyncio: an attempt in a thread of its own, its requests and questions in the bot's event loop.

What must not be here: any client library, and anything that one of them needs and another does not.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import math
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from requests.structures import CaseInsensitiveDict

from ._checks import type_error
from ._engine.auth import InteractiveAuth
from ._errors import AuthCancelledError, HomeserverConnectionError, InteractiveAuthError
from ._http.answers import RawResponse
from ._http.answers import check_answer as _check_answer
from ._http.reasons import no_answer
from ._text import publish as _publish
from ._tracebacks import forget_frames, without_frames

__all__ = ["attempt_auth", "check_answer", "from_coroutine"]

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds from one look to the next at what tells nobody: an event loop that was closed, an attempt that has begun.
_LOOK = 0.1
_CLOSED = "the event loop was closed before the request was answered"
#: Within a thread of ``attempt_auth``: done as soon as the task that awaits it is cancelled.
_stop: contextvars.ContextVar[concurrent.futures.Future[Any]] = contextvars.ContextVar("_stop")


async def attempt_auth(auth: InteractiveAuth[T]) -> T:
    """Run ``auth.attempt_auth()`` in a thread of its own, while the event loop goes on.

    Meanwhile the loop's event handlers may call the other methods of ``auth`` that send nothing: none of them blocks.
    If the task that awaits this is cancelled, as Ctrl-C does, so are the attempt and the coroutine that it waits for,
    and the task ends when the attempt has. The thread has the context variables of the task.

    Example::

        auth = InteractiveAuth(homeserver.delete_device("OLD"), stages)
        await bots.attempt_auth(auth)

    Args:
        auth: what to run. The functions it was made with are called in the thread; those that need the event loop
            are made by ``from_coroutine``.

    Returns:
        What ``auth.attempt_auth()`` returns.

    Raises:
        Exception: what ``auth.attempt_auth()`` raises.
        CancelledError: the task was cancelled; a request that was on its way may have succeeded all the same.
    """
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    outcome: list[concurrent.futures.Future[T]] = [concurrent.futures.Future()]
    stop: concurrent.futures.Future[None] = concurrent.futures.Future()

    def run() -> None:
        _stop.set(stop)
        try:
            outcome[0].set_result(auth.attempt_auth())
        except BaseException as error:  # it is raised where the attempt is awaited
            outcome[0].set_exception(error)
        with suppress(RuntimeError):  # the loop was closed, and nobody awaits it
            loop.call_soon_threadsafe(ended.set_result, None)

    # Not in the loop's default executor: aiohttp looks up names there, so attempts in all of its threads would wait
    # for ever, each for a connection that waits for a thread. Nor in one whose threads a program that ends waits for.
    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="attempt_auth", daemon=True).start()
    try:
        await asyncio.wait([ended])
        return outcome.pop().result()  # an error that leads back to itself would outlive its last use
    except asyncio.CancelledError:
        stop.set_result(None)
        while not ended.done():
            auth.cancel()  # again and again: before the attempt has begun it does nothing
            with suppress(asyncio.CancelledError):  # once is enough
                await asyncio.wait([ended], timeout=_LOOK)
        raise
    except GeneratorExit:  # the loop was closed, and nothing can be awaited
        auth.cancel()
        raise
    except BaseException as error:
        forget_frames(error)
        raise


@without_frames
def check_answer(status: int, headers: Mapping[str, str], body: bytes | str) -> dict[str, Any]:
    """Return a homeserver's answer, or raise it: the last line of a coroutine function that sends a request.

    Example::

        async def do_request(auth):
            async with client.post(url, json={"auth": auth} if auth else {}) as answer:
                return bots.check_answer(answer.status, answer.headers, await answer.read())

    Args:
        status: the HTTP status code.
        headers: the header fields, of which ``Retry-After`` matters; ``{}`` if they are not known.
        body: the body as it came, which need not be JSON.

    Returns:
        The JSON object of a success (2xx).

    Raises:
        MatrixError: the answer is not a success; with its status, body and the seconds of its ``Retry-After``.
        ServerProtocolError: a success whose body is not a JSON object.
        TypeError: ``body`` is neither bytes nor str.
    """
    if not isinstance(body, (bytes, str)):
        raise type_error("body", "the bytes or the text of the answer", body)
    content = body.encode(errors="replace") if isinstance(body, str) else body
    return _check_answer(RawResponse(status, CaseInsensitiveDict(headers), content), "the request")


@without_frames
def from_coroutine(
    function: Callable[P, Awaitable[T]], connection_errors: tuple[type[Exception], ...] = ()
) -> Callable[P, T]:
    """Make a coroutine function into an ordinary one, to be called from other threads than the event loop's.

    What is made runs the coroutine in the event loop that is running now, and waits for its result. It serves
    ``InteractiveAuth`` as ``do_request``, as ``request_email_token`` or ``request_msisdn_token``, and as the callback
    of a stage.

    Example::

        async def ask(stage):
            return {"type": stage.type, "token": await question("Token?")}

        stages = {"m.login.registration_token": bots.from_coroutine(ask)}

    Args:
        function: the coroutine function.
        connection_errors: what the client library raises if there was no complete answer, like
            ``aiohttp.ClientError``, so that the request is repeated. Timeouts need not be named.

    Returns:
        The function. It raises what the coroutine does, but ``HomeserverConnectionError`` for ``connection_errors``
        and timeouts; ``AuthCancelledError`` if the coroutine was cancelled or the event loop closed; RuntimeError at
        once in the event loop's own thread, where it would wait for ever. Ctrl-C cancels the coroutine.

    Raises:
        TypeError: ``function`` is not callable.
        RuntimeError: no event loop is running in this thread.
    """
    if not callable(function):
        raise type_error("function", "a coroutine function", function)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("from_coroutine must be called in the event loop: in a coroutine, when it runs") from None
    # In Python 3.10 the TimeoutError of asyncio is not the built-in one.
    unanswered: tuple[type[Exception], ...] = (asyncio.TimeoutError, *connection_errors)

    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except InteractiveAuthError:  # some are TimeoutErrors, too, and mean what they say
            raise
        except unanswered as error:
            cause = TimeoutError() if isinstance(error, asyncio.TimeoutError) else error
            text = no_answer(cause, "the request", math.inf)
        raise HomeserverConnectionError(text)

    @without_frames
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if _runs_here(loop):
            raise RuntimeError(
                "this would stop the event loop that it waits for: await bots.attempt_auth(auth) instead"
            )
        return _run(run(*args, **kwargs), loop)

    return call


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # none does
        return False


def _run(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Run a coroutine in an event loop of another thread, and wait for its result for as long as there is that loop."""
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:  # the loop is closed
        coroutine.close()
        raise AuthCancelledError(_CLOSED) from None
    awaited = {future, _stop.get(future)}
    try:
        while not concurrent.futures.wait(awaited, _LOOK, concurrent.futures.FIRST_COMPLETED).done:
            if loop.is_closed():
                if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                    coroutine.close()  # it never began, of which Python would warn
                raise AuthCancelledError(_CLOSED)
        if not future.done():
            raise AuthCancelledError("the task that awaited the attempt was cancelled")
        return future.result()
    except concurrent.futures.CancelledError:
        raise AuthCancelledError("what the attempt waited for was cancelled in the event loop") from None
    finally:
        if not loop.is_closed():
            future.cancel()
        del awaited, future  # as above


_publish(globals())
