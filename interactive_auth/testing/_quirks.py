"""In what homeservers differ in User-Interactive Authentication, for the scripted one (``testing``).

What must not be here: behaviour, and the homeservers themselves, which are data in ``_homeservers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Refusal:
    """An answer that is not a success.

    Attributes:
        status: the HTTP status code.
        errcode: the Matrix error code; None if there are none, and no words.
        error: the server's words, in which ``{session}`` and ``{type}`` stand for what was sent.
        flows: whether flows, parameters and session are in the body, as in every 401 that offers another try.
    """

    status: int
    errcode: str | None
    error: str = ""
    flows: bool = False


@dataclass(frozen=True)
class Quirks:
    """What one homeserver does its own way; the defaults are those of Synapse, and where it has none, the usual ones.

    Attributes:
        unknown_session: the answer to a session that is not known; None if it is taken for a new one.
        one_stage_needs_no_session: whether the session does not matter to a flow of one stage.
        renews_session: whether the refusal of an answer names a new session, the old one being gone.
        keeps_refused_one_shots: whether the session that the refusal of an answer without a session names is kept.
        session_ends: whether a session is forgotten once the request has succeeded.
        one_request: the answer if a session is used for another method, path or query; None if nobody looks.
        unknown_stage: the answer to a stage that no flow has; None if it is left unanswered: a plain 401.
        unoffered: the stages that are completed by their type although no flow has them.
        session_alone: the answer to a session without a stage; None if it is asked whether all is done.
        session_alone_completes: whether that can be the last request.
        repeats_error: whether an earlier stage's error is in the answer to a session without a stage.
        null_auth: the answer to an ``auth`` of null; None if it is as good as absent.
        empty_auth: the answer to an ``auth`` of ``{}``; None if it is as good as absent.
        wrong: the answers to a wrong answer, or to an address that is not validated yet, by stage; ``"*"`` for others.
        other_user: the answer to the right password of another account than the one that asks; None if nobody looks.
        missing: the answers to one that lacks a part, by stage; ``"*"`` for others; else it is as good as wrong.
        identifiers: the types of identifiers that passwords may come with.
        flat_user: whether a password may come with ``user`` instead of an identifier, as long ago.
        no_params: what ``params`` is if there are none.
        completed: when ``completed`` is in a 401: ``"always"``; ``"later"``, not in the first one; or ``"filled"``,
            only if it is not empty.
        completed_sorted: whether it is in the order of the alphabet, and not in that of completion.
        completed_twice: whether a stage that is answered twice is in it twice.
        checks_again: whether the answer to a completed stage is looked at.
        spends_creds: whether validated ``threepid_creds`` work once only.
        delay: where a rate limit states how long it lasts: ``"body"``, ``"header"``, both, or nowhere.
        pages: the stages that have a fallback page; None for all.
        policies: what the ``m.login.terms`` stage asks to accept, if the test does not say.
        delegated: the answers of the endpoints if accounts are left to OAuth, by how their paths end; ``"*"`` for all
            others that want authentication, None for one that wants it all the same.
        endpoints: the quirks of some endpoints, by how their paths end.
    """

    unknown_session: Refusal | None = Refusal(400, "M_UNKNOWN", "Unknown session ID: {session}")
    one_stage_needs_no_session: bool = False
    renews_session: bool = False
    keeps_refused_one_shots: bool = True
    session_ends: bool = True
    one_request: Refusal | None = None
    unknown_stage: Refusal | None = Refusal(400, "M_INVALID_PARAM", "Invalid login submission")
    unoffered: tuple[str, ...] = ()
    session_alone: Refusal | None = None
    session_alone_completes: bool = True
    repeats_error: bool = False
    null_auth: Refusal | None = None
    empty_auth: Refusal | None = None
    wrong: Mapping[str, Refusal] = field(default_factory=dict)
    other_user: Refusal | None = Refusal(403, "M_FORBIDDEN", "Invalid auth")
    missing: Mapping[str, Refusal] = field(default_factory=dict)
    identifiers: tuple[str, ...] = ("m.id.user", "m.id.thirdparty", "m.id.phone")
    flat_user: bool = False
    no_params: Literal["object", "null", "absent"] = "object"
    completed: Literal["always", "later", "filled"] = "later"
    completed_sorted: bool = False
    completed_twice: bool = False
    checks_again: bool = True
    spends_creds: bool = False
    delay: tuple[Literal["body", "header"], ...] = ("body", "header")
    pages: tuple[str, ...] | None = None
    policies: Mapping[str, Any] = field(
        default_factory=lambda: {
            "privacy_policy": {"version": "1.0", "en": {"name": "Privacy Policy", "url": "https://example.org/privacy"}}
        }
    )
    delegated: Mapping[str, Refusal | None] = field(default_factory=dict)
    endpoints: Mapping[str, Quirks] = field(default_factory=dict)

    def at(self, path: str) -> Quirks:
        """Return the quirks of an endpoint."""
        return next((quirks for end, quirks in self.endpoints.items() if path.endswith(end)), self)
