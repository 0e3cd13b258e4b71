"""Coroutines that serve an attempt in its thread: their trouble, their ends, and loops that are not there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any, NoReturn, cast

import pytest
from support.clocks import FakeClock
from support.scripted import ScriptedServer, ScriptedUser

from interactive_auth import (
    AuthCancelledError,
    AuthTimeoutError,
    HomeserverConnectionError,
    InteractiveAuth,
    ServerProtocolError,
    bots,
)

from .loops import PATIENCE, InFlight, LibraryError, begun, make, run


@pytest.mark.parametrize("error", [OSError(111, "refused"), asyncio.TimeoutError()])
def test_connection_trouble_is_retried(
    clock: FakeClock, server: ScriptedServer, user: ScriptedUser, error: Exception
) -> None:
    """What the client library raises without an answer is trouble of the kind that is tried again after."""

    async def send(auth: dict[str, Any] | None) -> Any:
        return server(auth)

    async def bot() -> Any:
        request = bots.from_coroutine(send, (OSError,))
        return await bots.attempt_auth(InteractiveAuth(request, user))

    server.will(error, {"done": True})

    assert run(bot()) == {"done": True}
    assert server.sent == [None, None]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(LibraryError("https://example.org/?access_token=secret"), "LibraryError", id="library"),
        pytest.param(ConnectionRefusedError(111, "Connection refused"), "Connection refused", id="system"),
        pytest.param(asyncio.TimeoutError(), "it took too long", id="timeout"),
    ],
)
def test_connection_trouble_is_named(other_loop: asyncio.AbstractEventLoop, error: Exception, words: str) -> None:
    """The error says what went wrong, without the URL, and drags nothing along."""

    async def send() -> NoReturn:
        raise error

    call = make(send, (LibraryError, ConnectionError), loop=other_loop)
    with pytest.raises(HomeserverConnectionError, match="got no answer") as caught:
        call()

    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("error", [AuthTimeoutError("m.login.terms", 1.0), LibraryError(), ServerProtocolError("odd")])
def test_other_errors_are_not_taken_for_trouble(other_loop: asyncio.AbstractEventLoop, error: Exception) -> None:
    """The library's own errors and those that were not named come unchanged."""

    async def send() -> NoReturn:
        raise error

    call = make(send, (ConnectionError,), loop=other_loop)
    with pytest.raises(type(error)) as caught:
        call()

    assert caught.value is error


@pytest.mark.usefixtures("look_often")
def test_a_request_may_take_long(other_loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is waited for as long as the event loop is there."""
    looks = threading.Semaphore(0)
    wait = concurrent.futures.wait

    def look(*args: Any) -> Any:
        looks.release()
        return wait(*args)

    async def send() -> str:
        for _ in range(3):
            while not looks.acquire(blocking=False):
                await asyncio.sleep(0)
        return "late"

    call = make(send, loop=other_loop)
    monkeypatch.setattr("concurrent.futures.wait", look)

    assert call() == "late"


def test_a_request_cancelled_in_the_loop(other_loop: asyncio.AbstractEventLoop) -> None:
    """A coroutine that somebody in the event loop cancels ends the attempt."""

    async def send() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    call = make(send, loop=other_loop)

    with pytest.raises(AuthCancelledError, match="was cancelled in the event loop"):
        call()


def test_ctrl_c_cancels_the_request(other_loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the thread that waits ends the coroutine in the other one."""
    flight = InFlight()

    def interrupted(*_: Any) -> NoReturn:
        assert flight.begun.wait(PATIENCE)
        raise KeyboardInterrupt

    call = make(flight, loop=other_loop)
    monkeypatch.setattr("concurrent.futures.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call()

    assert flight.cancelled.wait(PATIENCE)


def test_a_loop_that_is_closed_beforehand() -> None:
    """A request after the event loop's end is an error, and its coroutine is not left unawaited."""
    loop = asyncio.new_event_loop()
    call = make(InFlight(), loop=loop)
    loop.close()

    with pytest.raises(AuthCancelledError, match="the event loop was closed"):
        call()


@pytest.mark.usefixtures("look_often")
@pytest.mark.parametrize("begins", [True, False])
def test_a_loop_that_is_closed_in_the_middle(monkeypatch: pytest.MonkeyPatch, begins: bool) -> None:
    """A request that was on its way, or had not begun yet, when the event loop was closed, is given up."""
    flight = InFlight()
    loop = asyncio.new_event_loop()
    call = make(flight, loop=loop)
    submitted = threading.Event()
    submit = asyncio.run_coroutine_threadsafe

    def submit_and_tell(*args: Any) -> Any:
        future = submit(*args)
        submitted.set()
        return future

    monkeypatch.setattr("asyncio.run_coroutine_threadsafe", submit_and_tell)
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            call()
        except AuthCancelledError as error:
            errors.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    assert submitted.wait(PATIENCE)
    tasks: set[asyncio.Task[Any]] = set()
    if begins:
        loop.run_until_complete(begun(flight.begun))
        tasks = asyncio.all_tasks(loop)
    loop.close()
    thread.join(PATIENCE)
    for task in tasks:  # what Python would complain of is the closing, which is the bot's own doing
        cast("Any", task)._log_destroy_pending = False
        task.get_coro().close()

    assert [str(error) for error in errors] == ["the event loop was closed before the request was answered"]
    assert flight.begun.is_set() is begins


def test_the_loops_own_thread_is_refused() -> None:
    """In the event loop's thread the request would wait for ever, so it is an error, and nothing is sent."""
    flight = InFlight()

    async def bot() -> None:
        bots.from_coroutine(flight)()

    with pytest.raises(RuntimeError, match=r"await bots\.attempt_auth"):
        run(bot())

    assert not flight.begun.is_set()


def test_another_loops_thread_is_not_refused(other_loop: asyncio.AbstractEventLoop) -> None:
    """What belongs to one event loop may be called, and waited for, in the thread of another."""

    async def answer(number: int, *, factor: int) -> int:
        return number * factor

    async def elsewhere() -> Any:
        return call(6, factor=7)

    call = make(answer, loop=other_loop)

    assert run(elsewhere()) == 42


def test_without_a_loop() -> None:
    """There must be an event loop to run the coroutine in."""
    with pytest.raises(RuntimeError, match=r"^from_coroutine must be called in the event loop: "):
        bots.from_coroutine(InFlight())


def test_what_is_no_function() -> None:
    """A coroutine that was called already is not a coroutine function."""
    with pytest.raises(TypeError, match="function must be a coroutine function, not int"):
        bots.from_coroutine(cast("Any", 1))
