"""What the scripted homeserver must be told to be in the situation of each row of recorded answers.

What must not be here: the answers themselves. A row that is no scene names the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from interactive_auth import Homeserver
from interactive_auth.testing import Answer, UIAServer

from .recorded import SESSION, Auth, MakeRequest, password

#: The right answers of all rows.
RIGHT: Mapping[str, Answer] = {
    "m.login.password": "right",
    "m.login.registration_token": "a-token",
    "m.login.recaptcha": "a-response",
    "org.matrix.login.jwt": {"token": "a-json-web-token"},
}
Action = Callable[[UIAServer], None]


@dataclass(frozen=True)
class Scene:
    """How a row's situation comes about.

    Attributes:
        first: the row's first request that is sent.
        before: the auth dicts that are sent first, to nobody's surprise; after them the row's session is known.
        actions: what is done to the server before the request of that number.
        right_from: the number of the first request whose answer is right.
        moved: another request to send, from the number on.
    """

    first: int = 0
    before: tuple[Auth | None, ...] = ()
    actions: Mapping[int, Action] = field(default_factory=dict)
    right_from: int = 0
    moved: tuple[int, MakeRequest] | None = None


def completes(stage: str, after: int = 0) -> Action:
    """Make the action of a person who does a stage elsewhere."""
    return lambda server: server.complete(stage, after=after)


def limits(seconds: float = 1.0, times: int = 1) -> Action:
    """Make the action of a server that has had too many requests."""
    return lambda server: server.rate_limit_next(seconds, times=times)


def offers(*stages: str) -> Action:
    """Make the action of a server that offers one flow, or, without stages, none."""

    def offer(server: UIAServer) -> None:
        server.flows = [stages] if stages else []

    return offer


def asks_nothing(server: UIAServer) -> None:
    """Let everybody through."""
    server.flows = None


def delegates(server: UIAServer) -> None:
    """Leave the accounts to OAuth."""
    server.account_management_url = "https://account.example.org/"


def other_query(homeserver: Homeserver) -> Any:
    """Make the request that most rows are about, with another query."""
    return homeserver.uia_request("POST", "/_matrix/client/v3/delete_devices", {"devices": ["ONE"]}, {"x": "1"})


EMAIL, OAUTH = "m.login.email.identity", "m.oauth"
NO_UIA = "an error that comes before any authentication; fail_next() plays it"
OF_ANOTHER = "it takes two accounts; see test_the_password_of_another"
_SAME = Scene()
_EXPIRED = Scene(actions={1: UIAServer.expire_sessions})
_OPEN = Scene(actions={0: asks_nothing})
_DELEGATED = Scene(actions={0: delegates})

SCENES: Mapping[str, Mapping[str, Scene | str]] = {
    "synapse": {
        "unknown session": _SAME,
        "another 400 of the same code": "an answer that only resembles that to an unknown session",
        "request changed in the session": Scene(moved=(1, other_query)),
        "email pending": Scene(actions={0: completes(EMAIL, after=1)}),
        "error beside a completed stage": "a captcha that is done on its page and by the client at the same moment",
        "completed in another order and beyond the flow": "the order of a database other than SQLite",
        "no flow for the user": Scene(actions={0: offers()}),
        "rate limit with the body's word before the header's": Scene(actions={1: limits(9.989)}),
        "rate limit with the header alone": "a proxy's answer",
        "endpoint not there under delegation": _DELEGATED,
        "crash under delegation": NO_UIA,
        "success without any authentication": _OPEN,
    },
    "dendrite": {
        "right password": _SAME,
        "wrong password": _SAME,
        "session empty and completed null": "its client has sent no session; see test_dendrites_one_shot_is_refused",
        "session lost and completed null": Scene(actions={1: UIAServer.expire_sessions}),
        "missing parts of a stage": _SAME,
        "no password": _SAME,
        "unknown stage type": _SAME,
        "session alone refused": _SAME,
        "session alone not needed with flows in hand": _SAME,
        "session alone refused while waiting": "no such stage is ever completed there",
        "unknown session": "Dendrite has no flow of two stages; see test_dendrite_wants_sessions_of_longer_flows",
        "session of another device": "its session was opened for another device; see test_against_dendrite",
        "password of another user": OF_ANOTHER,
        "password of another user to delete one device": OF_ANOTHER,
        "deactivated": _SAME,
        "first keys with authentication": _SAME,
        "params null": _SAME,
        "wrong password without flows": _SAME,
        "wrong password without flows three times": _SAME,
        "missing parts of a stage without flows": _SAME,
        "unknown stage type asked for again": _SAME,
        "forbidden before anything was submitted": NO_UIA,
        "registration by dummy": _SAME,
        "wrong captcha without flows": Scene(right_from=2),
        "missing captcha": _SAME,
        "unknown stage type at registration": _SAME,
        "unknown session silently adopted": _SAME,
        "no registration": NO_UIA,
    },
    "conduwuit": {
        "wrong password": _SAME,
        "first keys without authentication": _OPEN,
        "no session at all": "a server that breaks the protocol",
        "session given and not stored": Scene(first=1),
        "session replaced in the refusal": "a server that breaks the protocol",
        "unknown session": _SAME,
        "unknown session twice": Scene(actions={2: UIAServer.expire_sessions}),
        "identifier of another type": _SAME,
        "unknown stage type asked for again": _SAME,
        "session alone unchanged": Scene(before=(None,)),
        "password of another user": OF_ANOTHER,
        "completed twice over": "its client has answered twice; see test_a_stage_that_is_answered_twice",
        "wrong token": Scene(right_from=2),
    },
    "continuwuity": {
        "wrong password": _SAME,
        "missing parts of a stage": _SAME,
        "unknown stage type": _SAME,
        "unknown session": _SAME,
        "session alone with a stale error": Scene(before=(None, password("wrong", SESSION))),
        "password of another user": OF_ANOTHER,
        "email pending": Scene(actions={0: completes(EMAIL, after=2)}),
        "rate limit without a delay": Scene(actions={0: limits(times=2), 3: limits()}),
        "rate limit without a delay that does not end": Scene(actions={0: limits(times=7)}),
        "rate limit without a delay while waiting": Scene(actions={1: limits(times=3), 4: completes(EMAIL)}),
        "m.oauth with its type": Scene(actions={0: completes(OAUTH, after=1)}),
        "endpoint not for clients with OAuth": _DELEGATED,
        "endpoint not there with OAuth": NO_UIA,
        "no usable flow": NO_UIA,
    },
    "tuwunel": {
        "wrong password": _SAME,
        "params absent": _SAME,
        "missing parts of a stage": _SAME,
        "unknown stage type asked for again": _SAME,
        "unknown session": _SAME,
        "unknown session in answer to a password": _EXPIRED,
        "unknown session while waiting": Scene(actions={1: UIAServer.expire_sessions, 3: completes(EMAIL)}),
        "session alone completes": Scene(before=(None,), actions={0: completes("m.login.password")}),
        "password of another user": OF_ANOTHER,
        "email pending": Scene(actions={0: completes(EMAIL, after=2)}),
        "no usable flow": Scene(actions={0: offers()}),
        "m.oauth": Scene(actions={0: completes(OAUTH, after=1)}),
        "stage of its own": _SAME,
        "stage of its own without a callback": _SAME,
        "rate limit without a delay": Scene(actions={1: limits(times=2)}),
    },
    "palpo": {
        "right password": _SAME,
        "wrong password without an errcode in another session": _SAME,
        "wrong password without an errcode three times": "its last session has the name of the first again",
        "wrong password without flows": _SAME,
        "wrong password to deactivate": _SAME,
        "wrong token as forbidden beside the flows": Scene(right_from=2),
        "registration by dummy": _SAME,
        "no session at all": "a server that breaks the protocol",
        "session given and not stored": "a server that breaks the protocol",
        "password of another user": OF_ANOTHER,
        "unknown session": _SAME,
        "unknown session as a fault of the database": "the words of another version",
        "unknown session silently replaced": _SAME,
        "passwords left to OAuth": _DELEGATED,
    },
}
