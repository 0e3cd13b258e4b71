"""What happened in a scripted attempt, in one order for all threads, and the rules that the order must keep to.

Each event has a place, counted from 0. What a thread does to the attempt is a ``Call`` with the places of its beginning
and its end. What the library decided lies in between, so a rule speaks only of what is certain from outside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: Seconds: shorter waits are pauses before a repetition, and those for what a rate limit left of its time.
LONG = 60.0
ACTS = ("asked", "sent")


class Event(NamedTuple):
    """Something that happened.

    Attributes:
        kind: "attempt" and "ended" around attempt_auth(), "asked" and "answers" around a callback, "sent" and
            "answered" around a request, "waits" and "wakes" around a wait, "sleeps" where no bell has ended it yet,
            "calls" and "returns" around a call.
        what: the stage, the auth dict, the answer, the seconds, the name of what attempt_auth() raised, or the call.
    """

    kind: str
    what: Any = None


@dataclass
class Call:
    """A call of one of the methods that other threads may call.

    Attributes:
        name: the method.
        argument: the number of the dict that was submitted, or the sid that was set.
        begun: the place at which it began.
        done: the place at which it was over.
        refused: the text of the RuntimeError that it raised, None if it raised none.
    """

    name: str
    argument: Any = None
    begun: int = field(default=-1, compare=False)
    done: int = field(default=-1, compare=False)
    refused: str | None = None


class Record:
    """Takes down events from all threads, and lets a thread wait for one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def note(self, kind: str, what: Any = None) -> int:
        """Take down an event, and return its place."""
        with self._changed:
            self.events.append(Event(kind, what))
            self._changed.notify_all()
            return len(self.events) - 1

    def wait_for(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is true of the events, and return whether it came true."""
        with self._changed:
            return self._changed.wait_for(happened, seconds)

    def places(self, *kinds: str, after: int = -1, before: int | None = None) -> list[int]:
        """Return the places of all events of these kinds."""
        events = self.events[: len(self.events) if before is None else before]
        return [place for place, event in enumerate(events) if place > after and event.kind in kinds]

    def first(self, *kinds: str, after: int = -1) -> int | None:
        """Return the place of the first event of these kinds, None if there is none."""
        return next((p for p, event in enumerate(self.events) if p > after and event.kind in kinds), None)

    def calls(self, *names: str) -> list[Call]:
        """Return the calls of these methods, in the order of their ends."""
        return [event.what for event in self.events if event.kind == "returns" and event.what.name in names]

    def sendings(self, number: int) -> list[int]:
        """Return the places at which a submitted dict was sent."""
        return [p for p in self.places("sent") if (self.events[p].what or {}).get("number") == number]

    def success(self) -> int | None:
        """Return the place of the successful answer, None if there was none."""
        return next((p for p in self.places("answered") if self.events[p].what == "success"), None)

    def surely_running(self, call: Call) -> bool:
        """Return whether an attempt ran from the beginning to the end of a call, and had not succeeded by then."""
        started = max(self.places("attempt", before=call.begun), default=None)
        success = self.success()
        return (
            started is not None
            and bool(self.places(*ACTS, "waits", after=started, before=call.begun))
            and not self.places("ended", after=started, before=call.done)
            and (success is None or success > call.done)
        )

    def outlived(self, call: Call) -> bool:
        """Return whether the attempt that surely ran during a call did something else before it ended.

        An attempt is over a moment before its thread can note that it ended, and until then only this is certain.
        """
        follows = self.first("ended", "attempt", *ACTS, "answers", "answered", "waits", "wakes", after=call.done)
        return self.surely_running(call) and follows is not None and self.events[follows].kind != "ended"

    def took_effect(self, call: Call) -> bool:
        """Return whether what a call asked for has happened, or the attempt has ended, so that it no longer can."""
        if self.first("ended", after=call.begun) is not None or self.success() is not None:
            return True
        if call.name == "submit_auth_dict":
            return bool(self.sendings(call.argument))
        return call.name == "poll" and self.first("sent", after=call.begun) is not None

    def __str__(self) -> str:
        return "\n".join(f"{place:4} {event.kind} {event.what!r}" for place, event in enumerate(self.events))


def broken_rules(record: Record) -> list[str]:
    """Return what was wrong in a scripted attempt that is over, in one line each."""
    return [f"{rule.__doc__} {case}" for rule in RULES for case in rule(record)]


def sent_once(record: Record) -> Iterator[str]:
    """A dict is sent once, and again only after trouble; one that was refused is never sent."""
    for call in record.calls("submit_auth_dict", "return"):
        sendings = record.sendings(call.argument)
        answers = [record.first("answered", after=place) for place in sendings]
        troubles = sum(p is not None and record.events[p].what in ("trouble", "limited") for p in answers)
        if (call.refused is not None and sendings) or len(sendings) > 1 + troubles:
            yield f"{call} was sent {len(sendings)} times with {troubles} troubles"


def sent_next(record: Record) -> Iterator[str]:
    """What was accepted before is sent before anything else but what had been taken up before it."""
    for call in record.calls("submit_auth_dict", "return"):
        if call.refused is not None:
            continue
        until = min([*record.sendings(call.argument), *record.places("ended", after=call.begun)], default=0)
        others = [record.events[p].what for p in record.places("sent", after=call.done, before=until)]
        asked = record.places("asked", after=call.done, before=until)
        different = sum(auth != before for auth, before in zip(others, [None, *others], strict=False))
        if different > 1 or len(asked) > 1:
            yield f"{call} waited for {others}"


def not_slept_over(record: Record) -> Iterator[str]:
    """No wait for a stage goes on while something waits to be acted upon that was there when it began."""
    for sleep in record.places("sleeps"):
        if record.events[sleep].what < LONG:
            continue
        wait = max(p for p in record.places("waits", before=sleep) if record.events[p].what >= LONG)
        started = max(record.places("attempt", before=wait))
        for call in record.calls("submit_auth_dict", "poll", "cancel"):
            # What was handed over has been taken up by the next thing that is sent, and a poll by anything that is.
            if not (started < call.begun and call.done < wait and call.refused is None and record.surely_running(call)):
                continue
            acted = record.sendings(call.argument) if call.name == "submit_auth_dict" else record.places("sent")
            if not any(call.begun < p < wait for p in acted) or call.name == "cancel":
                yield f"{call} before the wait at {wait}"


def silent_after_success(record: Record) -> Iterator[str]:
    """There is one success, and nothing is sent, asked or refused after it."""
    success = record.success()
    if success is None or record.places(*ACTS, after=success) or record.first("answered", after=success) is not None:
        yield f"success at {success}"
        return
    for call in record.calls("submit_auth_dict"):
        if call.begun > success and call.refused == "no attempt is running":
            yield str(call)


def silent_after_cancel(record: Record) -> Iterator[str]:
    """A cancelled attempt ends; what had begun is finished, and nothing at all begins if it was waiting."""
    for call in record.calls("cancel"):
        if not record.surely_running(call):
            continue
        ended = record.first("ended", after=call.begun)
        acts = record.places(*ACTS, after=call.done, before=ended)
        waited = max(record.places(*ACTS, "answers", "answered", "waits", "wakes", before=call.begun))
        event = record.events[waited]
        woken = any(other.begun < call.done and other.done > waited for other in other_wakers(record, call))
        undisturbed = event.kind == "waits" and event.what >= LONG and not woken
        if ended is None or len(acts) > (0 if undisturbed else 1):
            yield f"{call} and then {[record.events[p] for p in acts]}"
        elif record.events[ended].what != "AuthCancelledError":
            success = record.success()
            # A callback that was running may have answered although another thread had.
            if record.events[ended].what != "RuntimeError" and (success is None or success > ended):
                yield f"{call} and the end was {record.events[ended].what}"


def other_wakers(record: Record, call: Call) -> list[Call]:
    """Return the other calls that may wake a wait."""
    return [other for other in record.calls("submit_auth_dict", "poll", "cancel") if other is not call]


def cancelled_by_somebody(record: Record) -> Iterator[str]:
    """An attempt is cancelled only by a call during it."""
    for ended in record.places("ended"):
        if record.events[ended].what == "AuthCancelledError":
            started = max(record.places("attempt", before=ended))
            if not any(call.begun < ended and call.done > started for call in record.calls("cancel")):
                yield f"the end at {ended}"


def refused_for_a_reason(record: Record) -> Iterator[str]:
    """A RuntimeError is raised only without an attempt, or while another dict is unsent."""
    submissions = record.calls("submit_auth_dict", "return")
    for call in record.calls("submit_auth_dict", "return", "poll", "cancel", "set_email_sid", "get_resume_state"):
        if call.refused is None:
            continue
        if call.refused == "no attempt is running" and call.name == "submit_auth_dict":
            reason = not record.outlived(call)
        else:
            reason = call.refused == "has not been sent yet" and any(
                other.refused is None and other.begun < call.done and unsent_until(record, other) > call.begun
                for other in submissions
                if other is not call
            )
        if not reason:
            yield str(call)


def unsent_until(record: Record, call: Call) -> int:
    """Return the place at which a dict was certainly sent or dropped."""
    ends = [*record.sendings(call.argument), *record.places("ended", after=call.done)]
    return min(ends, default=len(record.events))


def polled_with_the_last_sid(record: Record) -> Iterator[str]:
    """A poll for the email stage names the sid that was set last."""
    calls = record.calls("set_email_sid")
    for place in record.places("sent"):
        creds = (record.events[place].what or {}).get("threepid_creds")
        if creds is None:
            continue
        before = max(record.places("wakes", "answers", "answered", "attempt", before=place))
        stale = {c.argument for c in calls for d in calls if c.done < d.begun and d.done < before}
        possible = {c.argument for c in calls if c.begun < place} - stale
        if not any(c.done < before for c in calls):
            possible.add("sid")  # the one that the script begins with
        if creds["sid"] not in possible:
            yield f"{creds['sid']} at {place}, not one of {sorted(possible)}"


def in_one_session(record: Record) -> Iterator[str]:
    """The first request opens the session, and all others name it."""
    for number, place in enumerate(record.places("sent")):
        auth = record.events[place].what
        if (auth is None) != (number == 0) or (auth is not None and auth["session"] != "S1"):
            yield f"{auth} at {place}"


RULES = (
    sent_once,
    sent_next,
    not_slept_over,
    silent_after_success,
    silent_after_cancel,
    cancelled_by_somebody,
    refused_for_a_reason,
    polled_with_the_last_sid,
    in_one_session,
)
