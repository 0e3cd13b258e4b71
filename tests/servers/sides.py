"""Two homeservers, a real one and the scripted one, to be sent the same, step by step, and to be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import requests

Auth = dict[str, Any]
#: Stand in the steps for a request without ``auth``, and for the session.
ABSENT, SESSION = "no auth", "the session"


@dataclass
class Side:
    """One of the two homeservers, and what its answers have said so far.

    Attributes:
        base_url: its address.
        access_token: the account's; None for none.
        names: what stands on this side for what stands in the steps.
        answers: the answers, with the steps' names in them.
    """

    base_url: str
    access_token: str | None
    names: dict[str, str]
    answers: list[tuple[int, Any]] = field(default_factory=list)

    def send(self, method: str, path: str, body: dict[str, Any]) -> requests.Response:
        """Send a request."""
        headers = {} if self.access_token is None else {"Authorization": f"Bearer {self.access_token}"}
        url = f"{self.base_url}/_matrix/client/v3{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=30)

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        """Send a request by POST."""
        return self.send("POST", path, body)

    def step(self, path: str, body: dict[str, Any], auth: Auth | str | None, method: str = "POST") -> None:
        """Send a step's request, and keep the answer."""
        sent = {} if isinstance(auth, str) else {"auth": self._translate(auth)}
        answer = self.send(method, path, {**body, **sent})
        told = answer.json()
        # A session that the step has named, and an empty one, are told as they are.
        if told.get("session") and told["session"] != (sent.get("auth") or {}).get("session"):
            self.names[SESSION] = told["session"]
        if told.get("session") in self.names.values():
            told["session"] = next(name for name, value in self.names.items() if value == told["session"])
        if "access_token" in told:  # an account, which has more to it
            told = {key: key in told for key in ("user_id", "access_token", "device_id")}
        self.answers.append((answer.status_code, told))

    def _translate(self, auth: Auth | None) -> Any:
        session = {} if SESSION not in self.names else {"session": self.names[SESSION]}
        return None if auth is None else self._exchange({**session, **auth})

    def _exchange(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._exchange(each) for key, each in value.items()}
        return self.names.get(value, value)
