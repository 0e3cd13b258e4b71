"""One page of a sign-up on the web, a process of its own: it goes on from the file that the page before has left.

Its argument is JSON: ``base_url``, ``username``, ``folder``, ``form`` with what the person has sent, and ``kill``, the
moment at which it kills itself, "" for none. In the form may be ``address`` (of email), ``token`` (typed by the
person), ``constant`` (a token that the site has for everybody) and ``agreed`` (to the terms).

It does what the form is for, and prints what it would show as a line of JSON. In the folder are "state", and "log": a
line of JSON for each request and each message that the person was shown.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from interactive_auth import (
    AuthDeferredError,
    AuthTimeoutError,
    Homeserver,
    InteractiveAuth,
    Stage,
    StageFailedError,
    handlers,
)


class Page:
    """The page's form and files, and what stands on it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._folder = Path(settings["folder"])
        self._typed = [settings["form"]["token"]] if "token" in settings["form"] else []
        self.shown: dict[str, Any] = {}

    def note(self, **fields: object) -> None:
        """Write a line of the log, at once."""
        with open(self._folder / "log", "a") as log:
            log.write(json.dumps(fields) + "\n")

    def moment(self, name: str) -> None:
        """Pass a moment, or end there, without any notice."""
        if name == self._settings["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep the state, the old one or the new one whatever happens."""
        draft = self._folder / "draft"
        draft.write_text(json.dumps(state))
        os.replace(draft, self._folder / "state")

    def sent(self, name: str, send: Any, *arguments: Any, **noted: object) -> Any:
        """Send a request, and note it."""
        self.note(sent=name, **noted)
        self.moment(f"before {name}")
        try:
            return send(*arguments)
        finally:
            self.moment(f"after {name}")

    def register(self, request: Any, auth: Mapping[str, Any] | None) -> Any:
        """Send the request that is to be authenticated."""
        named = auth or {}
        return self.sent(str(named.get("type")), request, auth, session=named.get("session"), token=named.get("token"))

    def put_off(self, stage: Stage) -> NoReturn:
        """Show the stage's page, whose form another process gets."""
        error = None if stage.error is None else stage.error.error
        self.shown = {"page": stage.type, "attempt": stage.attempt, "error": error}
        raise AuthDeferredError(f"{stage.type} is put off to the next page")

    def take_token(self, stage: Stage) -> Mapping[str, Any]:
        """Submit what the person has typed, once."""
        if not self._typed:
            self.put_off(stage)
        return {"type": stage.type, "token": self._typed.pop()}

    def stages(self) -> dict[str, Any]:
        """Return the callbacks, of which those whose stage the form is not for put it off."""
        form = self._settings["form"]
        constant = form.get("constant")
        return {
            "m.login.registration_token": handlers.registration_token(constant) if constant else self.take_token,
            "m.login.terms": handlers.terms(lambda policies: True) if "agreed" in form else self.put_off,
            "m.login.email.identity": handlers.email(lambda: self.note(told="open the link in the mail")),
        }

    def show(self) -> None:
        """Do what the form is for, as far as one page can."""
        state: dict[str, Any] = {}
        if (self._folder / "state").exists():
            state = json.loads((self._folder / "state").read_text())
        if "address" in self._settings["form"]:
            state["inputs"] = {"email_address": self._settings["form"]["address"]}
        with Homeserver(self._settings["base_url"]) as homeserver:
            request = homeserver.register(self._settings["username"], "a password")
            auth = InteractiveAuth(
                partial(self.register, request),
                self.stages(),
                request_email_token=partial(self.sent, "mail", request.request_email_token),
                state_changed=self.save,
                poll_timeout=0,
                **state,
            )
            try:
                self.shown = {"page": "welcome", "account": auth.attempt_auth()}
            except AuthDeferredError:
                pass
            except AuthTimeoutError as error:
                self.shown = {"page": "not yet", "stage": error.stage}
            except StageFailedError as error:
                self.shown = {"page": "wrong", "stage": error.stage, "error": str(error)}
        print(json.dumps(self.shown))


if __name__ == "__main__":
    Page(json.loads(sys.argv[1])).show()
