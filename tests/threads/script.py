"""A scripted attempt: a homeserver, a person and other threads that do what they drew beforehand, without a network."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from threading import TIMEOUT_MAX
from types import FrameType
from typing import Any

import interactive_auth
from interactive_auth import AuthCancelledError, InteractiveAuth, MatrixError, RetryPolicy, Stage
from interactive_auth._engine.handover import Bell, Clock

from .record import Call, Record

PACKAGE = str(Path(interactive_auth.__file__).parent)
EMAIL = "m.login.email.identity"
#: No stage of a flow, so that it answers whatever was asked for.
ANSWER = "org.example.answer"
FLOWS = ([EMAIL], ["com.example.one", EMAIL], [EMAIL, "com.example.two"], ["com.example.one", EMAIL, "com.example.two"])
#: Seconds: longer than any test, so that nothing but a call ends a wait for a stage.
HOUR = 3600.0
#: Seconds: what is repeated is repeated soon.
RETRY = RetryPolicy(max_wait=0.002)
PATIENCE = 60.0
#: What may be answered to a submitted dict, one answer after the other.
ANSWERS = (("wrong",), ("open",), ("complete",), ("trouble", "complete"), ("trouble", "wrong"), ("limited", "complete"))
POLLED = ("open",) * 6 + ("complete", "limited")
ACTIONS = (
    ("submit",) * 4
    + ("background",) * 3
    + ("poll",) * 3
    + ("cancel",) * 2
    + ("set_email_sid",) * 2
    + ("get_resume_state",)
)
#: What a callback does: mostly nothing, so that the attempt waits.
REPLIES = ("nothing",) * 8 + ("return", "submit", "background", "poll", "cancel")
#: How often one of the library's functions gives way to the other threads when it is entered or left.
GIVES_WAY = 0.1


class RecordingClock(Clock):
    """The real clock with waits in one piece, so that one that is not woken is never over.

    Attributes:
        record: where the waits are noted.
    """

    def __init__(self) -> None:
        self.record = Record()

    def wait(self, bell: Bell, seconds: float) -> None:
        self.record.note("waits", seconds)
        # Whoever rang between the last look and this wait is heard here: it is over before it has begun.
        if not bell.wait(0):
            self.record.note("sleeps", seconds)
            bell.wait(min(seconds, TIMEOUT_MAX))
        self.record.note("wakes")


class Script:
    """One InteractiveAuth, driven until it has succeeded.

    Args:
        record: where all that happens is noted.
        chance: where it is drawn from what happens.
    """

    def __init__(self, record: Record, chance: random.Random) -> None:
        self.record = record
        self._chance = chance
        self._flow = chance.choice(FLOWS)
        self._completed: list[str] = []
        self._left: dict[int, list[str]] = {}
        self._numbers = iter(range(1, 1000))
        self._returned: Call | None = None
        self.plans = [chance.choices(ACTIONS, k=chance.randint(1, 4)) for _ in range(chance.randint(1, 4))]
        self._seeds = iter([chance.random() for _ in range(10)])
        self.auth = InteractiveAuth(
            self._request, self._start_stage, email_sid="sid", max_attempts=None, poll_interval=HOUR,
            poll_timeout=None, retry=RETRY,
        )  # fmt: skip

    def attempt(self) -> None:
        """Attempt again and again until it succeeds."""
        with_yields(self._chance)
        how = ""
        while how != "done":
            self.record.note("attempt")
            try:
                how = self.auth.attempt_auth()
            except AuthCancelledError:
                how = "AuthCancelledError"
            except RuntimeError as error:
                if self._returned is None:
                    raise
                how = "RuntimeError"
                self._settle(reason(error))
            self._settle(None)
            self.record.note("ended", how)

    def act(self, plan: list[str]) -> None:
        """Do what another thread has drawn, and mostly wait for the effect of each call."""
        chance = random.Random(next(self._seeds))
        with_yields(chance)
        for action in plan:
            give_way(chance)
            call = self._do(action, chance)
            if call.refused is None and chance.random() < 0.7:
                self._await_effect(call)

    def finish(self, attempt: Future[None], others: list[Future[None]]) -> None:
        """Submit what ends the attempt with a success, as often as it takes, after all others are done."""
        wait(others)
        while not attempt.done():
            call = self._call("submit_auth_dict", next(self._numbers), answers=["success"])
            if call.refused is None:
                self._await_effect(call)
            else:
                time.sleep(0.001)

    def _await_effect(self, call: Call) -> None:
        if call.name in ("submit_auth_dict", "poll", "cancel") and self.record.surely_running(call):
            assert self.record.wait_for(lambda: self.record.took_effect(call), PATIENCE), call

    def _do(self, action: str, chance: random.Random) -> Call:
        if action in ("submit", "background"):
            answers = list(chance.choice(ANSWERS))
            return self._call("submit_auth_dict", next(self._numbers), answers, action == "background")
        return self._call(action, f"sid{next(self._numbers)}" if action == "set_email_sid" else None)

    def _call(
        self, name: str, argument: Any = None, answers: list[str] | None = None, background: bool = False
    ) -> Call:
        call = Call(name, argument)
        call.begun = self.record.note("calls", call)
        try:
            if answers is not None:
                self._left[argument] = answers
                self.auth.submit_auth_dict({"type": ANSWER, "number": argument}, background)
            else:
                getattr(self.auth, name)(*([] if argument is None else [argument]))
        except RuntimeError as error:
            call.refused = reason(error)
        call.done = self.record.note("returns", call)
        return call

    def _settle(self, refused: str | None) -> None:
        """Note what became of the dict that the last callback returned."""
        call, self._returned = self._returned, None
        if call is not None:
            call.refused = refused
            call.done = self.record.note("returns", call)

    def _start_stage(self, stage: Stage) -> Mapping[str, Any] | None:
        self.record.note("asked", stage.type)
        give_way(self._chance)
        reply = self._chance.choice(REPLIES)
        if reply == "return":
            self._returned = Call("return", next(self._numbers))
            self._left[self._returned.argument] = list(self._chance.choice(ANSWERS))
            self._returned.begun = self.record.note("answers", self._returned)
            return {"type": ANSWER, "number": self._returned.argument}
        if reply != "nothing":
            self._do(reply, self._chance)
        self.record.note("answers")
        return None

    def _request(self, auth: dict[str, Any] | None) -> str:
        self._settle(None)
        self.record.note("sent", auth)
        give_way(self._chance)
        answer = self._answer(auth)
        if answer == "complete":
            self._completed.append(next(stage for stage in self._flow if stage not in self._completed))
        if answer == "success" or (answer == "complete" and len(self._completed) == len(self._flow)):
            self.record.note("answered", "success")
            return "done"
        self.record.note("answered", answer)
        if answer == "trouble":
            raise ConnectionError("the connection was reset")
        if answer == "limited":
            raise MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1})
        refusal = {"errcode": "M_FORBIDDEN"} if answer == "wrong" else {}
        flows = [{"stages": self._flow}]
        raise MatrixError(401, {"session": "S1", "flows": flows, "completed": list(self._completed), **refusal})

    def _answer(self, auth: dict[str, Any] | None) -> str:
        if auth is None:
            return "open"
        if "number" not in auth:
            return self._chance.choice(POLLED)
        left = self._left[auth["number"]]
        return left.pop(0) if len(left) > 1 else left[0]


def reason(error: RuntimeError) -> str:
    """Return the part of an error's text that tells it from others."""
    known = ("no attempt is running", "has not been sent yet")
    return next((text for text in known if text in str(error)), str(error))


def give_way(chance: random.Random) -> None:
    """Let other threads go first, for nothing or a moment."""
    time.sleep(chance.choice((0, 0, 0.0001, 0.0005)))


def with_yields(chance: random.Random) -> None:
    """Have the library's functions, in this thread, give way at random to others as they call and return."""

    def profile(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_filename.startswith(PACKAGE) and chance.random() < GIVES_WAY:
            time.sleep(chance.choice((0, 0, 0, 0.0001)))

    sys.setprofile(profile)
