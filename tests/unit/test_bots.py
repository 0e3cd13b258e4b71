"""Attempts awaited by an event loop: who runs where, and every way in which one of them may end before the other."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import pytest
from pytest_socket import disable_socket, enable_socket

from interactive_auth import (
    AuthCancelledError,
    AuthTimeoutError,
    HomeserverConnectionError,
    InteractiveAuth,
    MatrixError,
    ServerProtocolError,
    Stage,
    bots,
)
from interactive_auth._handover import Clock, Handover

if TYPE_CHECKING:
    from conftest import FakeClock, ScriptedServer, ScriptedUser

T = TypeVar("T")
Challenge = Callable[..., MatrixError]
NewAuth = Callable[..., InteractiveAuth[Any]]

PASSWORD = {"type": "m.login.password"}
#: Seconds; longer than anything takes that works, so that what hangs fails.
PATIENCE = 20.0
#: Seconds between polls; so many that none comes.
NEVER = 200.0


@pytest.fixture(autouse=True)
def no_sockets() -> Iterator[None]:
    """Fail a test that opens a socket, but for the pair with which an event loop wakes itself."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def no_threads() -> Iterator[None]:
    """Fail a test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive(), thread


@pytest.fixture
def real_clock(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an attempt wait until somebody else acts, which takes no time here."""
    monkeypatch.setattr(Handover, "clock", Clock())


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time be lost between two looks."""
    monkeypatch.setattr(bots, "_LOOK", 0.001)


@pytest.fixture
def other_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop, for no longer than the patience lasts."""
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def make(function: Callable[..., Any], *options: Any, loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """Call ``from_coroutine`` in an event loop that then goes on, or is stopped."""

    async def made() -> Callable[..., Any]:
        return bots.from_coroutine(function, *options)

    if loop.is_running():
        return asyncio.run_coroutine_threadsafe(made(), loop).result(PATIENCE)
    return loop.run_until_complete(made())


class LibraryError(Exception):
    """What a client library raises; its words are its own."""


class Question:
    """A callback of a stage that leaves the answer to others, and tells the event loop when it was asked."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.asked = asyncio.Event()

    def __call__(self, stage: Stage) -> None:
        self.loop.call_soon_threadsafe(self.asked.set)


class InFlight:
    """A coroutine function that gets no answer until it is cancelled."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, *_: Any) -> NoReturn:
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError("nobody answers")


async def begun(event: threading.Event) -> None:
    """Wait for a thread without holding up the event loop."""
    while not event.is_set():
        await asyncio.sleep(0)


@pytest.mark.usefixtures("real_clock")
def test_what_is_submitted_in_the_loop_ends_the_attempt(server: ScriptedServer, challenge: Challenge) -> None:
    """The event loop goes on while the attempt waits, and its handlers submit without blocking."""

    async def bot() -> dict[str, Any]:
        question = Question()
        auth = InteractiveAuth(server, {"m.login.password": question}, poll_interval=NEVER)
        attempt = asyncio.ensure_future(bots.attempt_auth(auth))
        await question.asked.wait()
        auth.submit_auth_dict(PASSWORD)
        return await attempt

    server.will(challenge(["m.login.password"]), {"done": True})
    response = asyncio.run(bot())

    assert response == {"done": True}
    assert server.sent == [None, {**PASSWORD, "session": "S1"}]


@pytest.mark.usefixtures("real_clock")
def test_what_is_cancelled_in_the_loop_ends_the_attempt(server: ScriptedServer, challenge: Challenge) -> None:
    """``cancel()`` by a handler of the event loop raises AuthCancelledError where the attempt is awaited."""

    async def bot() -> None:
        question = Question()
        auth = InteractiveAuth(server, {"m.login.password": question}, poll_interval=NEVER)
        attempt = asyncio.ensure_future(bots.attempt_auth(auth))
        await question.asked.wait()
        auth.cancel()
        await attempt

    server.will(challenge(["m.login.password"]))

    with pytest.raises(AuthCancelledError):
        run(bot())


@pytest.mark.parametrize("error", [KeyError("mine"), MatrixError(400, {"errcode": "M_UNKNOWN"})])
def test_errors_of_the_thread_come_unchanged(server: ScriptedServer, new_auth: NewAuth, error: Exception) -> None:
    """What a function raises in the thread is the same object in the event loop."""
    server.will(error)

    with pytest.raises(type(error)) as caught:
        run(bots.attempt_auth(new_auth()))

    assert caught.value is error


def test_errors_of_a_coroutine_come_unchanged() -> None:
    """What a coroutine raises goes through the thread, and comes back to the event loop as the same object."""
    error = ValueError("mine")

    async def send(auth: dict[str, Any] | None) -> NoReturn:
        raise error

    async def bot() -> None:
        await bots.attempt_auth(InteractiveAuth(bots.from_coroutine(send), {}))

    with pytest.raises(ValueError, match="mine") as caught:
        run(bot())

    assert caught.value is error


def test_a_stop_iteration_does_not_hang(server: ScriptedServer, new_auth: NewAuth) -> None:
    """The one exception that cannot be raised into a coroutine is the cause of the RuntimeError that Python makes."""
    server.will(StopIteration())

    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        run(bots.attempt_auth(new_auth()))

    assert isinstance(caught.value.__cause__, StopIteration)


def test_an_error_does_not_outlive_its_last_use() -> None:
    """An error that went through both threads is freed without the garbage collector."""
    found: list[weakref.ref[BaseException]] = []

    async def send(auth: dict[str, Any] | None) -> NoReturn:
        error = LibraryError()
        found.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def bot() -> None:
        auth = InteractiveAuth(bots.from_coroutine(send), {})
        with suppress(LibraryError):
            await bots.attempt_auth(auth)
        while found[0]() is not None:  # for as long as the thread is ending
            await asyncio.sleep(0)

    gc.collect()
    gc.disable()
    try:
        run(bot())
    finally:
        gc.enable()


@pytest.mark.usefixtures("real_clock")
def test_a_second_attempt_does_not_disturb_the_first(server: ScriptedServer, challenge: Challenge) -> None:
    """A second attempt at the same time is refused, and the first one goes on to its end."""

    async def bot() -> dict[str, Any]:
        question = Question()
        auth = InteractiveAuth(server, {"m.login.password": question}, poll_interval=NEVER)
        attempt = asyncio.ensure_future(bots.attempt_auth(auth))
        await question.asked.wait()
        with pytest.raises(RuntimeError, match="running already"):
            await bots.attempt_auth(auth)
        auth.submit_auth_dict(PASSWORD)
        return await attempt

    server.will(challenge(["m.login.password"]), {"done": True})

    assert run(bot()) == {"done": True}


@pytest.mark.usefixtures("real_clock")
def test_a_cancelled_task_ends_the_waiting_attempt(server: ScriptedServer, challenge: Challenge) -> None:
    """When the task ends the attempt has ended, so that another one goes on in the same session."""

    async def bot() -> dict[str, Any]:
        question = Question()
        auth = InteractiveAuth(server, {"m.login.password": question}, poll_interval=NEVER)
        attempt = asyncio.ensure_future(bots.attempt_auth(auth))
        await question.asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        question.asked.clear()
        attempt = asyncio.ensure_future(bots.attempt_auth(auth))
        await question.asked.wait()
        auth.submit_auth_dict(PASSWORD)
        return await attempt

    server.will(challenge(["m.login.password"]), {"done": True})
    response = run(bot())

    assert response == {"done": True}
    assert server.sent == [None, {**PASSWORD, "session": "S1"}]


def test_a_cancelled_task_ends_the_coroutine_in_flight() -> None:
    """A coroutine that the attempt waits for is cancelled with the task, and is not waited for."""
    flight = InFlight()

    async def bot() -> None:
        attempt = asyncio.ensure_future(bots.attempt_auth(InteractiveAuth(bots.from_coroutine(flight), {})))
        await begun(flight.begun)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt

    run(bot())

    assert flight.cancelled.is_set()


@pytest.mark.usefixtures("look_often")
def test_a_task_cancelled_early_and_often_ends_with_its_attempt() -> None:
    """An attempt that has not begun is cancelled when it has; the impatient wait for it, too."""

    class Late:
        """An attempt that begins, so that it can be cancelled, when others have tried in vain."""

        def __init__(self) -> None:
            self.cancelled = 0
            self.may_begin = threading.Event()
            self.ended = False

        def attempt_auth(self) -> NoReturn:
            assert self.may_begin.wait(PATIENCE)
            self.ended = True
            raise AuthCancelledError("late")

        def cancel(self) -> None:
            self.cancelled += 1
            if self.cancelled == 3:
                self.may_begin.set()

    late = Late()

    async def bot() -> None:
        attempt = asyncio.ensure_future(bots.attempt_auth(cast("InteractiveAuth[Any]", late)))
        await asyncio.sleep(0)
        while not attempt.done():
            attempt.cancel()
            await asyncio.sleep(0)
        assert attempt.cancelled()

    run(bot())

    assert late.ended


@pytest.mark.usefixtures("real_clock")
def test_a_coroutine_that_is_closed_ends_the_attempt(server: ScriptedServer, challenge: Challenge) -> None:
    """Where the event loop was closed in the middle, and the coroutine is given up, so is the attempt."""
    loop = asyncio.new_event_loop()

    async def begin() -> Coroutine[Any, Any, Any]:
        question = Question()
        auth = InteractiveAuth(server, {"m.login.password": question}, poll_interval=NEVER)
        attempt = bots.attempt_auth(auth)
        attempt.send(None)  # as a task does
        await question.asked.wait()
        return attempt

    server.will(challenge(["m.login.password"]))
    attempt = loop.run_until_complete(begin())
    loop.close()
    attempt.close()

    assert len(server.sent) == 1  # and no thread is left, and none has failed


def test_context_variables_reach_both_sides() -> None:
    """The functions in the thread and the coroutines in the event loop see what the task has set."""
    number: contextvars.ContextVar[int] = contextvars.ContextVar("number")
    seen: list[tuple[bool, int]] = []
    loop_thread = threading.current_thread()

    async def send(auth: dict[str, Any] | None) -> dict[str, Any]:
        seen.append((threading.current_thread() is loop_thread, number.get()))
        return {}

    async def bot() -> None:
        request = bots.from_coroutine(send)

        def do_request(auth: dict[str, Any] | None) -> dict[str, Any]:
            seen.append((threading.current_thread() is loop_thread, number.get()))
            return request(auth)

        number.set(7)
        await bots.attempt_auth(InteractiveAuth(do_request, {}))

    run(bot())

    assert seen == [(False, 7), (True, 7)]


def test_a_program_that_ends_does_not_wait_for_the_thread(server: ScriptedServer, new_auth: NewAuth) -> None:
    """Where nobody cancels an attempt at the end of a program, its thread ends with the program."""
    server.will(lambda auth: threading.current_thread().daemon)

    assert run(bots.attempt_auth(new_auth())) is True


def test_coroutines_serve_in_every_place(server: ScriptedServer, challenge: Challenge) -> None:
    """Requests, token requests and callbacks may all be coroutine functions, in a thread of the bot's own, too."""
    asked: list[tuple[Any, ...]] = []

    async def send(auth: dict[str, Any] | None) -> Any:
        return server(auth)

    async def request_token(*args: Any, **kwargs: Any) -> dict[str, str]:
        asked.append((*args, *kwargs.values()))
        return {"sid": "1"}

    async def answer(stage: Stage) -> dict[str, Any]:
        return {"type": stage.type, "threepid_creds": {"sid": stage.email_sid}}

    async def bot() -> Any:
        auth = InteractiveAuth(
            bots.from_coroutine(send),
            {"m.login.email.identity": bots.from_coroutine(answer)},
            inputs={"email_address": "me@example.org"},
            client_secret="secret",
            request_email_token=bots.from_coroutine(request_token),
        )
        return await asyncio.to_thread(auth.attempt_auth)

    server.will(challenge(["m.login.email.identity"]), {"done": True})

    assert run(bot()) == {"done": True}
    assert asked == [("me@example.org", "secret", 1, "S1")]


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
    with pytest.raises(RuntimeError, match="no running event loop"):
        bots.from_coroutine(InFlight())


def test_what_is_no_function() -> None:
    """A coroutine that was called already is not a coroutine function."""
    with pytest.raises(TypeError, match="function must be a coroutine function, not int"):
        bots.from_coroutine(cast("Any", 1))


@pytest.mark.parametrize("body", [b'{"a": "\xc3\xa4"}', '{"a": "\u00e4"}'])
def test_a_success_is_returned(body: bytes | str) -> None:
    """The JSON object of a 2xx is what the request returns, as bytes and as text."""
    assert bots.check_answer(200, {}, body) == {"a": "\u00e4"}


def test_a_challenge_is_raised() -> None:
    """What is no success is a MatrixError with the whole body, and the time to wait in whatever case it is named."""
    with pytest.raises(MatrixError) as caught:
        bots.check_answer(429, {"retry-after": "7"}, '{"errcode": "M_LIMIT_EXCEEDED", "flows": []}')

    assert (caught.value.http_status, caught.value.retry_after) == (429, 7.0)
    assert caught.value.data == {"errcode": "M_LIMIT_EXCEEDED", "flows": []}


@pytest.mark.parametrize("body", [b"<html>", "[]", "\ud800"])
def test_a_success_that_is_none(body: bytes | str) -> None:
    """A 2xx without a JSON object is not a homeserver's."""
    with pytest.raises(ServerProtocolError, match="the request was answered 200 with"):
        bots.check_answer(200, {"Content-Type": "text/html"}, body)


def test_a_body_that_was_parsed_already() -> None:
    """The body is wanted as it came."""
    with pytest.raises(TypeError, match="body must be the bytes or the text of the answer, not dict"):
        bots.check_answer(200, {}, cast("Any", {}))
