"""A program that registers and keeps its state where ``state_changed`` gives it, to be killed anywhere: test_crash.py.

It goes on from the state that it finds. Its one argument is JSON: ``base_url``, ``username``, ``token`` (for the
registration), ``address`` (of email), ``folder``, ``kill_at``: the number of the point at which it kills itself, 0
for none, and ``wait_in``: the stage whose callback waits for a file "go" in the folder, None for none.

In the folder are "state", "account" once there is one, and "log": a line of JSON for each point passed and for each
request with the session that it named.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from interactive_auth import Homeserver, InteractiveAuth, Stage, handlers

EMAIL = "m.login.email.identity"


class Program:
    """The program's files, and the points at which it may end."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._folder = Path(settings["folder"])
        self._log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._passed = 0
        self._doing = "start"
        self.answers = {
            "m.login.registration_token": handlers.registration_token(settings["token"]),
            "m.login.terms": handlers.terms(lambda policies: True),
        }

    def note(self, **fields: object) -> None:
        """Write a line of the log, at once."""
        os.write(self._log, json.dumps(fields).encode() + b"\n")

    def point(self, name: str) -> None:
        """Pass a point, or end there, without any notice."""
        self._passed += 1
        self.note(point=f"{self._doing}: {name}")
        if self._passed == self._settings["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, name: str, value: object) -> None:
        """Write a file, of which there is either the old content or the new one at any time."""
        self.point(f"before the {name} is written")
        draft = self._folder / f"{name}.draft"
        draft.write_text(json.dumps(value))
        self.point(f"before the {name} is in place")
        os.replace(draft, self._folder / name)
        self.point(f"after the {name} is in place")

    def save(self, state: Mapping[str, Any]) -> None:
        """Save the state."""
        self.write("state", state)

    def send(self, request: Callable[..., Any], auth: Mapping[str, Any] | None) -> Any:
        """Send the request that is to be authenticated."""
        named = dict(auth or {})
        self.note(asked=named.get("type"), session=named.get("session"))
        self._doing = f"register with {named.get('type')}"
        try:
            return request(auth)
        finally:
            self.point("after the answer")

    def request_mail(self, request: Callable[..., Any], *arguments: Any) -> Any:
        """Have the mail sent."""
        self._doing = "mail"
        try:
            return request(*arguments)
        finally:
            self.point("after the answer")

    def start_auth_stage(self, stage: Stage) -> Mapping[str, Any] | None:
        """Do a stage; the mail's link is opened by somebody else."""
        self._doing = f"callback for {stage.type}"
        if stage.type == self._settings["wait_in"]:
            self.note(waiting=stage.type)
            while not (self._folder / "go").exists():
                time.sleep(0.01)
        if stage.type == EMAIL:
            self.note(polling=True)
            return None
        return self.answers[stage.type](stage)

    def trace_bytes(self) -> None:
        """Make a point of each moment before and after bytes go out."""
        send = HTTPConnection.send

        def traced(connection: HTTPConnection, data: Any) -> None:
            self.point("before bytes go out")
            send(connection, data)
            self.point("after bytes went out")

        HTTPConnection.send = traced  # type: ignore[method-assign,assignment]  # a patch for the whole program

    def run(self) -> None:
        """Register, or go on with it."""
        settings = self._settings
        with Homeserver(settings["base_url"]) as homeserver:
            request = homeserver.register(settings["username"], "a password")
            assert request.request_email_token is not None
            state: dict[str, Any] = {"inputs": {"email_address": settings["address"]}}
            if (self._folder / "state").exists():
                state = json.loads((self._folder / "state").read_text())
            auth = InteractiveAuth(
                partial(self.send, request),
                self.start_auth_stage,
                request_email_token=partial(self.request_mail, request.request_email_token),
                state_changed=self.save,
                poll_interval=0.1,
                poll_timeout=30.0,
                **state,
            )
            self.note(started=os.getpid())
            self.trace_bytes()
            self.write("account", auth.attempt_auth())


if __name__ == "__main__":
    Program(json.loads(sys.argv[1])).run()
