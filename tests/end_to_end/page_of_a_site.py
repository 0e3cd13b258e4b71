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
from pathlib import Path
from typing import Any, NoReturn

import requests

from interactive_auth import (
    AuthDeferredError,
    AuthTimeoutError,
    Homeserver,
    InteractiveAuth,
    Stage,
    StageFailedError,
    handlers,
)


class Line(requests.Session):
    """The line to the homeserver, where a page notes what it sends."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request, and note it."""
        auth = json.loads(request.body or "{}").get("auth") or {}
        if request.path_url.endswith("/requestToken"):
            name = "mail"
            self._page.note(sent=name)
        else:
            name = str(auth.get("type"))
            self._page.note(sent=name, session=auth.get("session"), token=auth.get("token"))
        self._page.moment(f"before {name}")
        try:
            return super().send(request, **options)
        finally:
            self._page.moment(f"after {name}")


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
        with Homeserver(self._settings["base_url"], session=Line(self)) as homeserver:
            request = homeserver.register(self._settings["username"], "a password")
            auth = InteractiveAuth(request, self.stages(), state_changed=self.save, poll_timeout=0, **state)
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
