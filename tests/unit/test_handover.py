"""The mailbox between threads: what is handed over, what wakes a wait, and what an attempt leaves behind."""

from __future__ import annotations

import threading

import pytest
from support.clocks import FakeClock

from interactive_auth import AuthCancelledError
from interactive_auth._engine.handover import Clock, Handover, Submission

ONE, TWO = Submission({"type": "one"}), Submission({"type": "two"})


@pytest.fixture
def handover(clock: FakeClock) -> Handover:
    """Return a mailbox that waits on the fake clock."""
    return Handover()


def test_a_submission_is_taken_once(handover: Handover) -> None:
    """What is handed over comes out once."""
    with handover.attempt():
        handover.submit(ONE)

        assert handover.take_submission() is ONE
        assert handover.take_submission() is None


def test_a_second_submission_is_refused(handover: Handover) -> None:
    """Two unsent submissions are the caller's mistake; once the first is taken there is room again."""
    with handover.attempt():
        handover.submit(ONE)
        with pytest.raises(RuntimeError, match="has not been sent yet"):
            handover.submit(TWO)
        handover.take_submission()

        handover.submit(TWO)

        assert handover.take_submission() is TWO


def test_nobody_to_submit_to(handover: Handover) -> None:
    """Before an attempt and after a failed one there is nobody to submit to."""
    with pytest.raises(RuntimeError, match="no attempt is running"):
        handover.submit(ONE)

    with handover.attempt():
        pass

    with pytest.raises(RuntimeError, match="no attempt is running"):
        handover.submit(ONE)


def test_after_success_a_submission_is_dropped(handover: Handover) -> None:
    """A submission that lost the race against a poll's success is no mistake, and is never sent."""
    with handover.attempt():
        handover.succeed()
        handover.submit(ONE)

        assert handover.take_submission() is None
    handover.submit(TWO)


def test_one_attempt_at_a_time(handover: Handover) -> None:
    """A second attempt beside the first is refused, and the first goes on."""
    with handover.attempt():
        with pytest.raises(RuntimeError, match="running already"), handover.attempt():
            pytest.fail("two attempts at a time")
        handover.submit(ONE)
        assert handover.take_submission() is ONE


def test_no_attempt_after_success(handover: Handover) -> None:
    """After the success there is nothing left to attempt."""
    with handover.attempt():
        handover.succeed()

    with pytest.raises(RuntimeError, match="has succeeded already"), handover.attempt():
        pytest.fail("an attempt after the success")


def test_a_failed_attempt_leaves_nothing_behind(handover: Handover) -> None:
    """The next attempt knows of no submission, poll or cancelling of the one before."""

    def fail() -> None:
        with handover.attempt():
            handover.submit(ONE)
            handover.ask_poll()
            handover.cancel()
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with handover.attempt():
        handover.check()
        assert handover.take_submission() is None
        assert handover.take_poll() is False


def test_poll_is_asked_for_once(handover: Handover) -> None:
    """However often a poll was asked for, one is due."""
    with handover.attempt():
        handover.ask_poll()
        handover.ask_poll()

        assert (handover.take_poll(), handover.take_poll()) == (True, False)


def test_a_submission_makes_the_poll_needless(handover: Handover) -> None:
    """Taking a submission takes the poll with it."""
    with handover.attempt():
        handover.ask_poll()
        handover.submit(ONE)
        handover.take_submission()

        assert handover.take_poll() is False


def test_without_an_attempt_nothing_is_remembered(handover: Handover) -> None:
    """Polls and cancels outside of an attempt do nothing."""
    handover.ask_poll()
    handover.cancel()

    with handover.attempt():
        handover.check()
        assert handover.take_poll() is False


def test_wait_lasts_until_its_time(handover: Handover, clock: FakeClock) -> None:
    """Nothing happening, a wait ends at the time given."""
    with handover.attempt():
        handover.wait(clock.monotonic() + 7.0)

    assert clock.elapsed == 7.0


def test_wait_for_a_time_past(handover: Handover, clock: FakeClock) -> None:
    """A time that is over is not waited for."""
    with handover.attempt():
        handover.wait(clock.monotonic() - 1.0)

    assert clock.waits == []


@pytest.mark.parametrize("wake", ["submit", "ask_poll"])
def test_wait_ends_early(handover: Handover, clock: FakeClock, wake: str) -> None:
    """A submission and a request to poll end a wait at once, also one made before it."""
    actions = {"submit": lambda: handover.submit(ONE), "ask_poll": handover.ask_poll}
    clock.at(3.0, actions[wake])

    with handover.attempt():
        handover.wait(clock.monotonic() + 7.0)
        handover.wait(clock.monotonic() + 7.0)

    assert clock.elapsed == 3.0


@pytest.mark.parametrize(("method", "seconds"), [("wait", 1007.0), ("pause", 7.0)])
def test_cancel_ends_every_wait(handover: Handover, clock: FakeClock, method: str, seconds: float) -> None:
    """Cancelling ends a wait at once, with an error."""
    clock.at(3.0, handover.cancel)

    with handover.attempt(), pytest.raises(AuthCancelledError):
        getattr(handover, method)(seconds)

    assert clock.elapsed == 3.0


def test_pause_lasts(handover: Handover, clock: FakeClock) -> None:
    """A pause is not cut short by what wakes a wait."""
    clock.at(2.0, lambda: handover.submit(ONE))
    clock.at(3.0, handover.ask_poll)

    with handover.attempt():
        handover.pause(7.0)

    assert clock.elapsed == 7.0


def test_check(handover: Handover) -> None:
    """A cancelled attempt is told so at its next step."""
    with handover.attempt():
        handover.check()
        handover.cancel()
        with pytest.raises(AuthCancelledError, match=r"attempt_auth\(\) goes on"):
            handover.check()


def test_interrupt_in_a_wait(handover: Handover, clock: FakeClock) -> None:
    """Ctrl-C passes through a wait, and the lock is free for the next attempt and for other threads."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.at(1.0, interrupt)
    with pytest.raises(KeyboardInterrupt), handover.attempt():
        handover.wait(clock.monotonic() + 7.0)

    other = threading.Thread(target=handover.cancel, daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()
    with handover.attempt():
        handover.wait(clock.monotonic() + 1.0)


def test_the_real_clock_is_monotonic() -> None:
    """The real clock's seconds do not run backwards."""
    clock = Clock()

    assert clock.monotonic() <= clock.monotonic()


def test_the_real_clock_waits_for_a_notification() -> None:
    """The real wait ends when notified, even one longer than the system could count."""
    condition, waiting = threading.Condition(), threading.Event()

    def notify() -> None:
        waiting.wait(10)
        with condition:
            condition.notify_all()

    other = threading.Thread(target=notify, daemon=True)
    other.start()
    with condition:
        waiting.set()
        Clock().wait(condition, 1e300)
    other.join(10)

    assert not other.is_alive()


def test_the_real_clock_waits_until_the_time() -> None:
    """The real wait ends by itself."""
    condition = threading.Condition()

    with condition:
        assert Clock().wait(condition, 0.0) is None


def test_no_single_wait_is_long() -> None:
    """The real wait is made of short ones, since Ctrl-C cannot interrupt a wait of the system's everywhere."""
    timeouts: list[float] = []

    class NotingCondition(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            timeouts.append(float("inf") if timeout is None else timeout)
            return False

    condition = NotingCondition()
    with condition:
        Clock().wait(condition, 120.0)

    assert 0 < max(timeouts) <= 1.0
