"""What a real homeserver must be brought to, to be in the situation of each row of recorded answers.

What must not be here: the answers themselves. A row that no real homeserver of these tests can answer names the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import requests
from support.accounts import Account, Person
from throwaway_services import MailServer
from throwaway_synapse import Synapse

from interactive_auth import Homeserver

from .recorded import CLIENT_SECRET, EMAIL, SID, MakeRequest

#: Which configuration: accounts for everybody, for nobody, for a captcha, for a mail; or one that has every stage.
Kind = Literal["open", "closed", "captcha", "email", "everything"]
#: The only response that the captcha's verifier takes.
CAPTCHA_RESPONSE = "a-response"


@dataclass
class Stand:
    """What stands on the real homeserver for what stands in the rows.

    Attributes:
        server: the homeserver.
        homeserver: a client; with the access token of the account, if the row is about one.
        mails: what the homeserver's mails come to.
        names: what is called otherwise there.
    """

    server: Synapse
    mails: MailServer
    homeserver: Homeserver
    names: dict[str, str]

    @classmethod
    def of_account(cls, mails: MailServer, account: Account, other: Account) -> Stand:
        """Make the stand of somebody who has an account, and knows somebody else."""
        names = {"alice": account.name, "right": account.password, "bob": other.name, "bobs": other.password}
        return cls(account.synapse, mails, account.homeserver, names)

    @classmethod
    def of_newcomer(cls, server: Synapse, mails: MailServer, homeserver: Homeserver, person: Person) -> Stand:
        """Make the stand of somebody who has none."""
        return cls(server, mails, homeserver, {"alice": person.name, EMAIL: person.address})

    def translate(self, value: Any) -> Any:
        """Return what is sent for what is recorded to be sent."""
        if isinstance(value, dict):
            return {key: self.translate(each) for key, each in value.items()}
        return self.names.get(value, value) if isinstance(value, str) else value

    def recognize(self, told: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was answered with the record's own ids; a session that is met for the first time is any."""
        if "access_token" in told:  # an account, which is somebody else's than the recorded one
            return dict(recorded) if told.keys() >= recorded.keys() else dict(told)
        if "session" not in told or "session" not in recorded:
            return dict(told)
        known = self.names.setdefault(recorded["session"], told["session"])
        return {**told, "session": recorded["session"] if told["session"] == known else told["session"]}


Action = Callable[[Stand], object]


@dataclass(frozen=True)
class RealScene:
    """How a row's situation comes about on a real homeserver.

    Attributes:
        kind: which of its configurations.
        before: what is done before the row's first request.
        actions: what is done before the request of that number.
        right_from: the number of the first request whose answer is right.
        moved: another request to send, until the number.
    """

    kind: Kind = "open"
    before: Action = lambda stand: None
    actions: Mapping[int, Action] = field(default_factory=dict)
    right_from: int = 0
    moved: tuple[int, MakeRequest] | None = None


def restarts(stand: Stand) -> None:
    """Restart the homeserver."""
    stand.server.restart()


def other_device(homeserver: Homeserver) -> Any:
    """Make the request that is about another device."""
    return homeserver.delete_device("ANOTHER")


def other_query(homeserver: Homeserver) -> Any:
    """Make the request that most rows are about, with another query."""
    return homeserver.uia_request("POST", "/_matrix/client/v3/delete_devices", {"devices": ["ONE"]}, {"x": "1"})


def requests_mail(stand: Stand) -> None:
    """Have the mail sent."""
    stand.names[SID] = stand.homeserver.request_email_token("register", stand.names[EMAIL], CLIENT_SECRET)["sid"]


def opens_link(stand: Stand) -> None:
    """Open the link in the mail."""
    requests.get(stand.mails.wait_for_link(stand.names[EMAIL]), timeout=30).raise_for_status()


OTHERS_WORDS = "v0.13.8 has no such words"
MAS = "it takes an account service (MAS) beside the homeserver"
RARE = "an answer of a proxy, of chance or of another database; see SCENES"
_SAME = RealScene()
_CAPTCHA = RealScene("captcha")

REAL: Mapping[str, Mapping[str, RealScene | str]] = {
    "dendrite": {
        "right password": _SAME,
        "wrong password": _SAME,
        "session empty and completed null": "its client has sent no session; see test_against_dendrite",
        "session lost and completed null": RealScene(actions={1: restarts}),
        "missing parts of a stage": _SAME,
        "no password": _SAME,
        "unknown stage type": _SAME,
        "session alone refused": _SAME,
        "session alone not needed with flows in hand": _SAME,
        "session alone refused while waiting": "no such stage is ever offered; what is said is in POLLS",
        "unknown session": "no flow has two stages",
        "session of another device": RealScene(moved=(1, other_device)),
        "password of another user": _SAME,
        "password of another user to delete one device": _SAME,
        "deactivated": _SAME,
        "first keys with authentication": _SAME,
        "params null": _SAME,
        "wrong password without flows": _SAME,
        "wrong password without flows three times": _SAME,
        "missing parts of a stage without flows": _SAME,
        "unknown stage type asked for again": _SAME,
        "forbidden before anything was submitted": OTHERS_WORDS,
        "registration by dummy": _SAME,
        "wrong captcha without flows": RealScene("captcha", right_from=2),
        "missing captcha": _CAPTCHA,
        "unknown stage type at registration": _CAPTCHA,
        "unknown session silently adopted": _SAME,
        "no registration": RealScene("closed"),
    },
    "synapse": {
        "unknown session": _SAME,
        "another 400 of the same code": "an answer that only resembles that to an unknown session",
        "request changed in the session": RealScene(moved=(1, other_query)),
        "email pending": RealScene("email", before=requests_mail, actions={2: opens_link}),
        "error beside a completed stage": RARE,
        "completed in another order and beyond the flow": RARE,
        "no flow for the user": "an account without a password",
        "rate limit with the body's word before the header's": RARE,
        "rate limit with the header alone": RARE,
        "endpoint not there under delegation": MAS,
        "crash under delegation": MAS,
        "success without any authentication": "it takes ui_auth.session_timeout, or first keys as in endpoints",
    },
}
