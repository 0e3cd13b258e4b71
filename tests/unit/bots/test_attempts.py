"""Attempts awaited by an event loop: who runs where, and every way in which one of them may end before the other."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn, cast

import pytest
from support.scripted import NewAuth, ScriptedServer, challenge

from interactive_auth import AuthCancelledError, InteractiveAuth, MatrixError, Stage, bots

from .loops import PATIENCE, InFlight, LibraryError, Question, begun, run

PASSWORD = {"type": "m.login.password"}


@pytest.mark.usefixtures("real_clock")
def test_what_is_submitted_in_the_loop_ends_the_attempt(server: ScriptedServer) -> None:
    """The event loop goes on while the attempt waits, and its handlers submit without blocking."""

    async def bot() -> dict[str, Any]:
        question = Question(server)
        attempt = await question.begin()
        question.auth.submit_auth_dict(PASSWORD)
        return await attempt

    server.will(challenge(["m.login.password"]), {"done": True})
    response = asyncio.run(bot())

    assert response == {"done": True}
    assert server.sent == [None, {**PASSWORD, "session": "S1"}]


@pytest.mark.usefixtures("real_clock")
def test_what_is_cancelled_in_the_loop_ends_the_attempt(server: ScriptedServer) -> None:
    """``cancel()`` by a handler of the event loop raises AuthCancelledError where the attempt is awaited."""

    async def bot() -> None:
        question = Question(server)
        attempt = await question.begin()
        question.auth.cancel()
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


@pytest.mark.usefixtures("no_collection")
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

    run(bot())


@pytest.mark.usefixtures("real_clock")
def test_a_second_attempt_does_not_disturb_the_first(server: ScriptedServer) -> None:
    """A second attempt at the same time is refused, and the first one goes on to its end."""

    async def bot() -> dict[str, Any]:
        question = Question(server)
        attempt = await question.begin()
        with pytest.raises(RuntimeError, match="running already"):
            await bots.attempt_auth(question.auth)
        question.auth.submit_auth_dict(PASSWORD)
        return await attempt

    server.will(challenge(["m.login.password"]), {"done": True})

    assert run(bot()) == {"done": True}


@pytest.mark.usefixtures("real_clock")
def test_a_cancelled_task_ends_the_waiting_attempt(server: ScriptedServer) -> None:
    """When the task ends the attempt has ended, so that another one goes on in the same session."""

    async def bot() -> dict[str, Any]:
        question = Question(server)
        attempt = await question.begin()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        attempt = await question.begin()
        question.auth.submit_auth_dict(PASSWORD)
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
def test_a_coroutine_that_is_closed_ends_the_attempt(server: ScriptedServer) -> None:
    """Where the event loop was closed in the middle, and the coroutine is given up, so is the attempt."""
    loop = asyncio.new_event_loop()

    async def begin() -> Coroutine[Any, Any, Any]:
        question = Question(server)
        attempt = bots.attempt_auth(question.auth)
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


def test_coroutines_serve_in_every_place(server: ScriptedServer) -> None:
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
