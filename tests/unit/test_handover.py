"""The mailbox between threads: what is handed over, what wakes a wait, and what an attempt leaves behind."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable

import pytest
from support.clocks import FakeClock

from interactive_auth import AuthCancelledError, Wait
from interactive_auth._engine.handover import Bell, Clock, Handover, Submission

ONE, TWO = Submission({"type": "one"}), Submission({"type": "two"})
STAGE = "org.example.stage"
#: Starts an attempt of which the decorated function is the body.
Running = Callable[[Callable[[], None]], None]


@pytest.fixture
def handover(clock: FakeClock) -> Handover:
    """Return a mailbox that waits on the fake clock."""
    return Handover()


def wait(handover: Handover, seconds: float) -> None:
    """Wait for a stage."""
    handover.wait(STAGE, handover.clock.monotonic() + seconds, math.inf)


def pause(handover: Handover, seconds: float) -> None:
    """Wait before the same is sent again."""
    handover.pause(STAGE, seconds, "retry")


def test_a_bell() -> None:
    """A wait is over in time, or when the bell is rung; however often that was before it, one wait is."""
    bell = Bell()

    assert not bell.wait(0.001)
    bell.ring()
    bell.ring()
    assert bell.wait(600.0)
    assert not bell.wait(0.001)


def test_a_submission_is_taken_once(handover: Handover) -> None:
    """What is handed over comes out once."""

    @handover.run
    def _() -> None:
        handover.submit(ONE)

        assert handover.take_submission() is ONE
        assert handover.take_submission() is None


def test_a_second_submission_is_refused(handover: Handover) -> None:
    """Two unsent submissions are the caller's mistake; once the first is taken there is room again."""

    @handover.run
    def _() -> None:
        handover.submit(ONE)
        with pytest.raises(RuntimeError, match="has not been sent yet"):
            handover.submit(TWO)
        handover.take_submission()

        handover.submit(TWO)

        assert handover.take_submission() is TWO


def test_an_attempt_that_succeeds_while_something_is_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever submits at the moment of success is not told that nothing runs."""
    handover = Handover()
    looked: list[bool] = []

    def ends_right_after_the_look() -> bool:
        looked.append(True)
        handover.succeed()
        return False

    monkeypatch.setattr(handover, "is_running", ends_right_after_the_look)

    handover.submit(ONE)

    assert looked == [True]
    assert handover.take_submission() is None


def test_nobody_to_submit_to(handover: Handover) -> None:
    """Before an attempt and after a failed one there is nobody to submit to."""
    with pytest.raises(RuntimeError, match="no attempt is running"):
        handover.submit(ONE)

    handover.run(lambda: None)

    with pytest.raises(RuntimeError, match="no attempt is running"):
        handover.submit(ONE)


def test_after_success_a_submission_is_dropped(handover: Handover) -> None:
    """A submission that lost the race against a poll's success is no mistake, and is never sent."""

    @handover.run
    def _() -> None:
        handover.succeed()
        handover.submit(ONE)

        assert handover.take_submission() is None

    handover.submit(TWO)
    assert handover.take_submission() is None


def test_after_success_there_is_nothing_to_cancel(handover: Handover) -> None:
    """What comes after the success ends nothing, and asks for no poll."""

    @handover.run
    def _() -> None:
        handover.succeed()
        handover.cancel()
        handover.ask_poll()

        handover.raise_if_cancelled()
        assert handover.take_poll() is False


def test_one_attempt_at_a_time(handover: Handover) -> None:
    """A second attempt beside the first is refused, and the first goes on."""

    @handover.run
    def _() -> None:
        with pytest.raises(RuntimeError, match="running already"):
            handover.run(lambda: pytest.fail("two attempts at a time"))
        handover.submit(ONE)
        assert handover.take_submission() is ONE


def test_no_attempt_after_the_response(handover: Handover) -> None:
    """After the response was delivered there is nothing left to attempt."""
    handover.delivered = True

    with pytest.raises(RuntimeError, match="has succeeded already"):
        handover.run(lambda: pytest.fail("an attempt after the response"))


@pytest.mark.parametrize("error", [KeyError("x"), StopIteration("x"), KeyboardInterrupt()], ids=repr)
def test_a_failed_attempt_leaves_nothing_behind(handover: Handover, error: BaseException) -> None:
    """Whatever ends an attempt arrives; the next one knows of no submission, poll or cancelling of the one before."""

    def fail() -> None:
        handover.submit(ONE)
        handover.ask_poll()
        handover.cancel()
        raise error

    with pytest.raises(type(error)) as caught:
        handover.run(fail)
    assert caught.value is error

    @handover.run
    def _() -> None:
        handover.raise_if_cancelled()
        assert handover.take_submission() is None
        assert handover.take_poll() is False


def test_an_attempt_is_not_kept(handover: Handover) -> None:
    """What an attempt was made of is free once it is over, without the garbage collector."""

    class Body:
        def __call__(self) -> None:
            pass

    gc.collect()
    gc.disable()
    try:
        handover.run(Body())
        assert not [each for each in gc.get_objects() if isinstance(each, Body)]
    finally:
        gc.enable()


def test_poll_is_asked_for_once(handover: Handover) -> None:
    """However often a poll was asked for, one is due."""

    @handover.run
    def _() -> None:
        handover.ask_poll()
        handover.ask_poll()

        assert (handover.take_poll(), handover.take_poll()) == (True, False)


def test_a_submission_makes_the_poll_needless(handover: Handover) -> None:
    """Taking a submission takes the poll with it."""

    @handover.run
    def _() -> None:
        handover.ask_poll()
        handover.submit(ONE)
        handover.take_submission()

        assert handover.take_poll() is False


def test_without_an_attempt_nothing_is_remembered(handover: Handover) -> None:
    """Polls and cancels outside of an attempt do nothing."""
    handover.ask_poll()
    handover.cancel()

    @handover.run
    def _() -> None:
        handover.raise_if_cancelled()
        assert handover.take_poll() is False


def test_wait_lasts_until_its_time(handover: Handover, clock: FakeClock) -> None:
    """Nothing happening, a wait ends at the time given."""
    handover.run(lambda: wait(handover, 7.0))

    assert clock.elapsed == 7.0


def test_wait_for_a_time_past(handover: Handover, clock: FakeClock) -> None:
    """A time that is over is not waited for."""
    handover.run(lambda: wait(handover, -1.0))

    assert clock.waits == []


@pytest.mark.parametrize("wake", ["submit", "ask_poll"])
def test_wait_ends_early(handover: Handover, clock: FakeClock, wake: str) -> None:
    """A submission and a request to poll end a wait at once, also one made before it."""
    actions = {"submit": lambda: handover.submit(ONE), "ask_poll": handover.ask_poll}
    clock.at(3.0, actions[wake])

    @handover.run
    def _() -> None:
        wait(handover, 7.0)
        wait(handover, 7.0)

    assert clock.elapsed == 3.0


@pytest.mark.parametrize("method", [wait, pause])
def test_cancel_ends_every_wait(
    handover: Handover, clock: FakeClock, method: Callable[[Handover, float], None]
) -> None:
    """Cancelling ends a wait at once, with an error."""
    clock.at(3.0, handover.cancel)

    with pytest.raises(AuthCancelledError):
        handover.run(lambda: method(handover, 7.0))

    assert clock.elapsed == 3.0


def test_pause_lasts(handover: Handover, clock: FakeClock) -> None:
    """A pause is not cut short by what wakes a wait."""
    clock.at(2.0, lambda: handover.submit(ONE))
    clock.at(3.0, handover.ask_poll)

    handover.run(lambda: pause(handover, 7.0))

    assert clock.elapsed == 7.0


def test_cancelling_is_noticed_at_the_next_step(handover: Handover) -> None:
    """A cancelled attempt is told so at its next step."""

    @handover.run
    def _() -> None:
        handover.raise_if_cancelled()
        handover.cancel()
        with pytest.raises(AuthCancelledError, match=r"attempt_auth\(\) goes on"):
            handover.raise_if_cancelled()


def test_cancel_ends_what_waits_without_an_attempt(handover: Handover, clock: FakeClock) -> None:
    """What is done by hand, in no attempt, a later cancel ends, and an earlier one does not."""
    handover.cancel()
    since = handover.cancels()
    clock.at(3.0, handover.cancel)

    handover.raise_if_cancelled(since)
    with pytest.raises(AuthCancelledError):
        handover.pause(STAGE, 7.0, "rate_limit", since)

    assert clock.elapsed == 3.0


def test_cancel_ends_what_waits_beside_an_attempt(handover: Handover) -> None:
    """In another thread than the attempt's an earlier cancel does not count, in the attempt's it does."""
    found: list[bool] = []

    def look() -> None:
        try:
            handover.raise_if_cancelled(handover.cancels())
        except AuthCancelledError:
            found.append(True)
        else:
            found.append(False)

    @handover.run
    def _() -> None:
        handover.cancel()
        other = threading.Thread(target=look, daemon=True)
        other.start()
        other.join(10)
        look()

    assert found == [False, True]


def test_interrupt_in_a_wait(handover: Handover, clock: FakeClock) -> None:
    """Ctrl-C passes through a wait, and the lock is free for the next attempt and for other threads."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.at(1.0, interrupt)
    with pytest.raises(KeyboardInterrupt):
        handover.run(lambda: wait(handover, 7.0))

    other = threading.Thread(target=handover.cancel, daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()
    handover.run(lambda: wait(handover, 1.0))


# What is told about a wait


@pytest.fixture
def told(clock: FakeClock) -> list[tuple[float, Wait | None]]:
    """Return what a mailbox under test has told, with the times."""
    return []


@pytest.fixture
def telling(clock: FakeClock, told: list[tuple[float, Wait | None]]) -> Handover:
    """Return a mailbox that tells of its waits."""
    return Handover(lambda wait: told.append((clock.elapsed, wait)))


def test_a_wait_of_several_parts_is_told_each_second(
    telling: Handover, clock: FakeClock, told: list[tuple[float, Wait | None]]
) -> None:
    """However short the parts of a wait are, it is told at once, each second, and when it is over."""

    @telling.run
    def _() -> None:
        end = clock.monotonic() + 2.0
        for quarter in range(1, 9):
            telling.wait(STAGE, 1000.0 + quarter / 4, end)
        telling.end_wait()

    assert told == [(0.0, Wait(STAGE, 2.0, "stage")), (1.0, Wait(STAGE, 1.0, "stage")), (2.0, None)]


def test_no_wait_is_not_told(telling: Handover, told: list[tuple[float, Wait | None]]) -> None:
    """Of a wait that did not begin no end is told either."""
    wait(telling, -1.0)
    telling.end_wait()

    assert told == []


def test_a_wait_beside_the_attempt_is_not_told(telling: Handover, told: list[tuple[float, Wait | None]]) -> None:
    """What is told is about the attempt: another thread's wait would write into its line."""

    @telling.run
    def _() -> None:
        other = threading.Thread(target=pause, args=(telling, 3.0), daemon=True)
        other.start()
        other.join(10)

    assert told == []


# The clock


def test_the_real_clock_is_monotonic() -> None:
    """The real clock's seconds do not run backwards."""
    clock = Clock()

    assert clock.monotonic() <= clock.monotonic()


def test_the_real_clock_waits_for_a_bell() -> None:
    """The real wait ends when the bell is rung, even one longer than the system could count."""
    bell = Bell()
    other = threading.Timer(0.01, bell.ring)
    other.start()

    for _ in range(100):
        Clock().wait(bell, 1e300)
        if not other.is_alive():
            break
    other.join(10)

    assert not other.is_alive()


def test_a_bell_that_was_rung_is_heard_once() -> None:
    """A bell rung before the wait ends it, however often it was rung, and not the one after."""
    rung: list[bool] = []
    bell = Bell()
    bell.ring()
    bell.ring()

    bell.wait(60.0)
    threading.Timer(0.05, lambda: rung.append(True) or bell.ring()).start()  # type: ignore[func-returns-value]  # append returns None
    bell.wait(60.0)

    assert rung


def test_the_real_clock_waits_until_the_time() -> None:
    """The real wait ends by itself."""
    assert Clock().wait(Bell(), 0.0) is None


def test_no_single_wait_is_long() -> None:
    """The real wait is made of short ones, since Ctrl-C cannot interrupt a wait of the system's everywhere."""
    timeouts: list[float] = []

    class NotingBell(Bell):
        def wait(self, seconds: float) -> None:
            timeouts.append(seconds)

    Clock().wait(NotingBell(), 120.0)

    assert 0 < max(timeouts) <= 1.0
