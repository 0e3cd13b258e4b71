"""What a reply means, in the order of the rules, and what of it is kept."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from interactive_auth import AuthTimeoutError, HomeserverConnectionError, MatrixError, ServerProtocolError
from interactive_auth._engine.session import UIASession
from interactive_auth._replies import Reply, classify_failure

PASSWORD, TERMS, DUMMY = "m.login.password", "m.login.terms", "m.login.dummy"
FLOWS = [{"stages": [PASSWORD]}]
WRONG = "The username or password was incorrect or the account does not exist."


@pytest.fixture
def session() -> UIASession:
    """Return a session in the middle of its life: flows in hand, one stage completed."""
    under_way = UIASession("S1")
    under_way.merge(
        {"flows": [{"stages": [TERMS, PASSWORD]}], "params": {TERMS: {"policies": {}}}, "completed": [TERMS]}
    )
    return under_way


# Merging


@pytest.mark.parametrize("value", [None, [], 5, "x", {}, [5], [{"stages": 5}]], ids=repr)
def test_useless_flows_keep_the_old(session: UIASession, value: Any) -> None:
    """Flows that are absent, null, empty, of a wrong type, or none of them walkable, leave the old ones."""
    session.merge({"flows": value})

    assert session.flows == ((TERMS, PASSWORD),)


@pytest.mark.parametrize("value", [None, "", 5, [], {}], ids=repr)
def test_useless_session_keeps_the_old(session: UIASession, value: Any) -> None:
    """A session that is null, empty or no string leaves the old one, and what is completed in it."""
    session.merge({"session": value})

    assert session.id == "S1"
    assert list(session.completed) == [TERMS]


@pytest.mark.parametrize("value", [None, "x", 5, {}], ids=repr)
def test_useless_completed_keeps_the_old(session: UIASession, value: Any) -> None:
    """A completed that is no list leaves the old one."""
    session.merge({"completed": value})

    assert list(session.completed) == [TERMS]


@pytest.mark.parametrize("value", [None, "x", 5, []], ids=repr)
def test_useless_params_keep_the_old(session: UIASession, value: Any) -> None:
    """Params that are no object leave the old ones."""
    session.merge({"params": value})

    assert session.params == {TERMS: {"policies": {}}}


def test_absent_fields_keep_everything(session: UIASession) -> None:
    """A body without any of the fields changes nothing."""
    session.merge({})

    assert (session.flows, session.id, list(session.completed)) == (((TERMS, PASSWORD),), "S1", [TERMS])


def test_each_field_is_taken_over(session: UIASession) -> None:
    """What is there and usable replaces the old."""
    session.merge({"flows": FLOWS, "params": {}, "completed": [PASSWORD], "session": "S1"})

    assert (session.flows, session.params, list(session.completed)) == (((PASSWORD,),), {}, [PASSWORD])


@pytest.mark.parametrize(
    ("value", "completed"),
    [([], []), ([DUMMY], [DUMMY]), ([TERMS, TERMS, DUMMY], [TERMS, DUMMY]), ([TERMS, 5, None, [], {}], [TERMS])],
    ids=["empty", "other", "doubled", "not only strings"],
)
def test_completed_is_replaced(session: UIASession, value: list[Any], completed: list[str]) -> None:
    """A list replaces the old one even if it is shorter; it is a set, and only strings are stages."""
    session.merge({"completed": value})

    assert list(session.completed) == completed


def test_a_new_session_starts_empty(session: UIASession) -> None:
    """Another session id empties what was completed and rejected in the old session."""
    session.receive(MatrixError(401, {"flows": FLOWS, "errcode": "M_FORBIDDEN"}), PASSWORD)

    session.merge({"session": "S2"})

    assert (session.id, session.completed, session.rejections, session.errors) == ("S2", {}, {}, {})


def test_a_new_session_brings_its_own_completed(session: UIASession) -> None:
    """What stands beside the new session id counts for the new session."""
    session.merge({"session": "S2", "completed": [DUMMY]})

    assert list(session.completed) == [DUMMY]


def test_the_first_session_keeps_what_was_completed() -> None:
    """The first session id ever named belongs to what the server has said before."""
    session = UIASession()
    session.merge({"flows": FLOWS, "completed": [TERMS]})

    session.merge({"session": "S1"})

    assert (session.id, list(session.completed)) == ("S1", [TERMS])


def test_forget_keeps_the_chosen_flow(session: UIASession) -> None:
    """A lost session takes all with it but the flow that was being walked."""
    session.chosen = (TERMS, PASSWORD)

    session.forget()

    assert (session.id, session.flows, session.completed) == (None, (), {})
    assert session.chosen == (TERMS, PASSWORD)


# Classifying, rule 2: a 401 with flows


@pytest.mark.parametrize(
    ("fields", "submitted", "reply"),
    [
        ({}, None, Reply.CHALLENGE),
        ({}, PASSWORD, Reply.REJECTION),
        ({"errcode": "M_FORBIDDEN"}, PASSWORD, Reply.REJECTION),
        ({"error": "No"}, PASSWORD, Reply.REJECTION),
        ({"errcode": 5}, PASSWORD, Reply.REJECTION),
        ({"errcode": "M_FORBIDDEN"}, None, Reply.CHALLENGE),
        ({"errcode": "M_FORBIDDEN", "completed": [PASSWORD]}, PASSWORD, Reply.CHALLENGE),
        ({"errcode": "M_FORBIDDEN", "completed": [TERMS]}, PASSWORD, Reply.REJECTION),
        ({"errcode": "M_FORBIDDEN"}, TERMS, Reply.CHALLENGE),
        ({"errcode": "M_UNKNOWN_TOKEN"}, None, Reply.CHALLENGE),
        ({"errcode": "M_UNKNOWN_TOKEN"}, PASSWORD, Reply.REJECTION),
        ({"flows": []}, None, Reply.CHALLENGE),
        ({"flows": [5], "error": "No"}, PASSWORD, Reply.REJECTION),
    ],
    ids=[
        *("bare", "submitted, no error", "errcode", "error", "errcode no text", "a poll's errcode"),
        *("errcode beside completed", "errcode, another completed", "completed before", "logout code, flows"),
        *("logout code, flows, submitted", "no flow at all", "useless flows"),
    ],
)
def test_401_with_flows(session: UIASession, fields: dict[str, Any], submitted: str | None, reply: Reply) -> None:
    """A list of flows makes a challenge; it rejects what was submitted and is not completed, with or without a word."""
    assert session.receive(MatrixError(401, {"flows": FLOWS, **fields}), submitted) is reply


def test_rejections_are_counted_and_kept(session: UIASession) -> None:
    """Each rejection of a stage is counted in its session, and the last error kept."""
    first, second = (MatrixError(401, {"flows": FLOWS, "errcode": code}) for code in ("M_A", "M_B"))

    session.receive(first, PASSWORD)
    session.receive(second, PASSWORD)

    assert session.rejections == {PASSWORD: 2}
    assert session.errors == {PASSWORD: second}


def test_a_completed_stage_has_no_error(session: UIASession) -> None:
    """The error is of the previous answer only; what completes the stage takes it away but not the count."""
    session.receive(MatrixError(401, {"flows": FLOWS, "errcode": "M_A"}), PASSWORD)

    session.receive(MatrixError(401, {"flows": FLOWS, "errcode": "M_A", "completed": [PASSWORD]}), PASSWORD)

    assert (session.rejections, session.errors) == ({PASSWORD: 1}, {})


def test_a_rejection_in_a_new_session_is_counted_on(session: UIASession) -> None:
    """A server that opens a new session with each refusal does not make the next answer the first one."""
    for number in range(2, 4):
        session.receive(MatrixError(401, {"flows": FLOWS, "session": f"S{number}"}), PASSWORD)

    assert (session.id, session.rejections) == ("S3", {PASSWORD: 2})


def test_a_new_session_forgets_the_rejections_of_other_stages(session: UIASession) -> None:
    """What was rejected in another session counts for the stage alone that was just answered."""
    session.receive(MatrixError(401, {"flows": FLOWS}), DUMMY)

    session.receive(MatrixError(401, {"flows": FLOWS, "session": "S2"}), PASSWORD)

    assert (session.rejections, set(session.errors)) == ({PASSWORD: 1}, {PASSWORD})


def test_errors_of_other_flows_are_forgotten(session: UIASession) -> None:
    """Of the errors those of the chosen flow's stages are kept, however many stages a server makes up."""
    for stage in (PASSWORD, DUMMY):
        session.receive(MatrixError(401, {"flows": FLOWS}), stage)

    session.choose((DUMMY, TERMS))

    assert set(session.errors) == {DUMMY}


def test_a_poll_leaves_the_error(session: UIASession) -> None:
    """An answer to nothing submitted says nothing about the previous answer to a stage."""
    error = MatrixError(401, {"flows": FLOWS, "errcode": "M_A"})
    session.receive(error, PASSWORD)

    session.receive(MatrixError(401, {"flows": FLOWS}))

    assert session.errors == {PASSWORD: error}


def test_another_refusal_clears_the_error(session: UIASession) -> None:
    """What an answer ran into that is no rejection takes the error of its stage away, and of no other."""
    first, second = (MatrixError(401, {"flows": FLOWS, "errcode": code}) for code in ("M_A", "M_B"))
    session.receive(first, PASSWORD)
    session.receive(second, DUMMY)

    session.receive(MatrixError(500, {}))
    session.receive(MatrixError(500, {}), PASSWORD)

    assert session.errors == {DUMMY: second}


# Rule 3: a 401 without flows


@pytest.mark.parametrize("code", ["M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_LOCKED"])
@pytest.mark.parametrize("submitted", [None, PASSWORD])
def test_401_logged_out(session: UIASession, code: str, submitted: str | None) -> None:
    """The access token's errors are no matter of the session, which keeps all it has."""
    error = MatrixError(401, {"errcode": code, "session": "S2", "completed": []})

    assert session.receive(error, submitted, with_session=True) is Reply.LOGGED_OUT
    assert (session.id, list(session.completed), session.rejections) == ("S1", [TERMS], {})


@pytest.mark.parametrize("flows", [{}, {"flows": None}, {"flows": {}}, {"flows": "x"}], ids=str)
def test_401_without_flows_rejects(session: UIASession, flows: dict[str, Any]) -> None:
    """With flows in hand, a 401 without any rejects what was submitted; its other fields are merged."""
    error = MatrixError(401, {"errcode": "M_BAD_JSON", "params": {PASSWORD: {"x": 1}}, **flows})

    assert session.receive(error, PASSWORD) is Reply.REJECTION
    assert session.params == {PASSWORD: {"x": 1}}
    assert session.rejections == {PASSWORD: 1}


def test_401_without_anything_rejects(session: UIASession) -> None:
    """An empty 401 has to mean the submission, since it means nothing else."""
    assert session.receive(MatrixError(401, {}), PASSWORD) is Reply.REJECTION


def test_401_without_flows_may_complete(session: UIASession) -> None:
    """A 401 without flows that lists the submitted stage as completed is no rejection."""
    assert session.receive(MatrixError(401, {"completed": [PASSWORD]}), PASSWORD) is Reply.CHALLENGE


def test_401_without_flows_to_a_poll(session: UIASession) -> None:
    """Where nothing was submitted, nothing is rejected."""
    assert session.receive(MatrixError(401, {"errcode": "M_UNAUTHORIZED"})) is Reply.CHALLENGE


@pytest.mark.parametrize("submitted", [None, PASSWORD])
def test_401_with_no_flows_ever(submitted: str | None) -> None:
    """Without flows in hand there is nothing to authenticate with."""
    assert UIASession().receive(MatrixError(401, {"errcode": "M_UNAUTHORIZED"}), submitted) is Reply.FAILURE


# Rules 4 and 5: lost sessions, and Dendrite's wrong password

LOST = [
    pytest.param(400, "M_UNKNOWN", "Unknown session ID: abc", id="Synapse"),
    pytest.param(400, "M_UNKNOWN", "The auth.session is missing or unknown.", id="Dendrite until 2023"),
    pytest.param(400, "M_MISSING_PARAM", "The auth.session is missing or unknown.", id="Dendrite"),
    pytest.param(400, "M_INVALID_PARAM", "Invalid session", id="Continuwuity"),
    pytest.param(403, "M_FORBIDDEN", "UIAA session does not exist.", id="conduwuit, Tuwunel"),
    pytest.param(400, "M_UNKNOWN", "UNKNOWN SESSION ID: ABC", id="in capitals"),
]


@pytest.mark.parametrize(("status", "errcode", "words"), LOST)
@pytest.mark.parametrize("submitted", [None, TERMS, PASSWORD])
def test_session_lost(session: UIASession, status: int, errcode: str, words: str, submitted: str | None) -> None:
    """Each server's way of saying that it does not know the session is understood, before rule 5."""
    error = MatrixError(status, {"errcode": errcode, "error": words})

    assert session.receive(error, submitted, with_session=True) is Reply.SESSION_LOST
    assert session.rejections == {}


@pytest.mark.parametrize(("status", "errcode", "words"), LOST)
def test_no_session_no_loss(session: UIASession, status: int, errcode: str, words: str) -> None:
    """A request that named no session cannot have lost one."""
    error = MatrixError(status, {"errcode": errcode, "error": words})

    assert session.receive(error) is Reply.FAILURE


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"errcode": "M_UNKNOWN", "error": "Something else"}),
        (400, {"errcode": "M_UNKNOWN"}),
        (400, {"errcode": "M_FORBIDDEN", "error": "Unknown session ID: abc"}),
        (403, {"errcode": "M_UNKNOWN", "error": "Unknown session ID: abc"}),
        (403, {"errcode": "M_UNKNOWN", "error": "Requested operation has changed during the UI auth session."}),
        (403, {"errcode": "M_FORBIDDEN", "error": "session and device mismatch"}),
        (400, {"error": "Invalid session"}),
    ],
    ids=["words", "no words", "errcode", "status", "operation changed", "device mismatch", "no errcode"],
)
def test_session_not_lost(session: UIASession, status: int, body: dict[str, Any]) -> None:
    """Status, errcode and words all have to fit a row of the table."""
    assert session.receive(MatrixError(status, body), TERMS, with_session=True) is Reply.FAILURE


@pytest.mark.parametrize(
    ("status", "body", "submitted", "reply"),
    [
        (403, {"errcode": "M_FORBIDDEN", "error": WRONG}, PASSWORD, Reply.REJECTION),
        (403, {"errcode": "M_FORBIDDEN", "error": WRONG.upper()}, PASSWORD, Reply.REJECTION),
        (403, {"errcode": "M_FORBIDDEN", "error": "Key ID in use"}, PASSWORD, Reply.FAILURE),
        (403, {"errcode": "M_FORBIDDEN"}, PASSWORD, Reply.FAILURE),
        (403, {"errcode": "M_FORBIDDEN", "error": WRONG}, TERMS, Reply.FAILURE),
        (403, {"errcode": "M_FORBIDDEN", "error": WRONG}, None, Reply.FAILURE),
        (403, {"errcode": "M_UNKNOWN", "error": WRONG}, PASSWORD, Reply.FAILURE),
        (403, {"error": WRONG}, PASSWORD, Reply.FAILURE),
        (400, {"errcode": "M_FORBIDDEN", "error": WRONG}, PASSWORD, Reply.FAILURE),
    ],
    ids=[
        *("rejection", "in other letters", "about a key", "no words", "other stage", "no stage", "other errcode"),
        *("no errcode", "other status"),
    ],
)
def test_403_to_a_password(
    session: UIASession, status: int, body: dict[str, Any], submitted: str | None, reply: Reply
) -> None:
    """A 403 M_FORBIDDEN without flows rejects a password if it speaks of one, and nothing else."""
    assert session.receive(MatrixError(status, body), submitted, with_session=True) is reply


@pytest.mark.parametrize(
    ("fields", "submitted", "reply"),
    [
        ({}, PASSWORD, Reply.REJECTION),
        ({"errcode": "M_FORBIDDEN", "error": "Invalid registration token."}, PASSWORD, Reply.REJECTION),
        ({"session": "S2"}, PASSWORD, Reply.REJECTION),
        ({"completed": [PASSWORD]}, PASSWORD, Reply.CHALLENGE),
        ({}, None, Reply.FAILURE),
    ],
    ids=["bare", "words", "new session", "completed", "poll"],
)
def test_403_with_flows(session: UIASession, fields: dict[str, Any], submitted: str | None, reply: Reply) -> None:
    """Palpo's 403 with flows is what others answer with a 401."""
    body = {"flows": FLOWS, "params": None, **fields}

    assert session.receive(MatrixError(403, body), submitted, with_session=True) is reply


def test_403_with_flows_without_a_session(session: UIASession) -> None:
    """What was submitted is rejected so, too, where the server gave no session to name."""
    assert session.receive(MatrixError(403, {"flows": FLOWS}), PASSWORD) is Reply.REJECTION


@pytest.mark.parametrize("stage", ["m.login.email.identity", "m.login.msisdn"])
@pytest.mark.parametrize(
    ("status", "errcode"),
    [(400, "M_THREEPID_AUTH_FAILED"), (403, "M_THREEPID_AUTH_FAILED"), (400, "M_SESSION_NOT_VALIDATED")],
)
def test_an_address_that_is_not_validated(session: UIASession, stage: str, status: int, errcode: str) -> None:
    """An email or msisdn dict that was submitted and is not validated is rejected, whatever the status."""
    error = MatrixError(status, {"errcode": errcode})

    assert session.receive(error, stage, with_session=True) is Reply.REJECTION
    assert session.receive(error, None, with_session=True) is Reply.FAILURE
    assert session.receive(error, TERMS, with_session=True) is Reply.FAILURE


def test_rejections_of_many_flows_are_forgotten(session: UIASession) -> None:
    """A server that makes up stages does not have their names kept for ever."""
    for number in range(100):
        session.receive(MatrixError(401, {"flows": FLOWS}), f"org.example.{number}")
        session.choose((f"org.example.{number}", TERMS))

    assert len(session.rejections) <= 33
    assert session.rejections["org.example.99"] == 1


# Rules 6, 7 and 8


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (MatrixError(429, {"errcode": "M_LIMIT_EXCEEDED"}), Reply.RATE_LIMITED),
        (MatrixError(429, {}), Reply.RATE_LIMITED),
        (MatrixError(502, {}), Reply.TRANSIENT),
        (MatrixError(503, {}), Reply.TRANSIENT),
        (MatrixError(504, {}), Reply.TRANSIENT),
        *((MatrixError(status, {}), Reply.TRANSIENT) for status in (408, 425, 520, 521, 522, 523, 524, 530)),
        *((MatrixError(status, {}), Reply.FAILURE) for status in (407, 409, 424, 426, 505, 519, 525, 529, 531)),
        (MatrixError(500, {}), Reply.FAILURE),
        (MatrixError(501, {}), Reply.FAILURE),
        (MatrixError(400, {"errcode": "M_USER_IN_USE"}), Reply.FAILURE),
        (MatrixError(403, {"errcode": "M_FORBIDDEN"}), Reply.FAILURE),
        (MatrixError(404, {}), Reply.FAILURE),
        (ConnectionError(), Reply.TRANSIENT),
        (ConnectionResetError(), Reply.TRANSIENT),
        (TimeoutError(), Reply.TRANSIENT),
        (HomeserverConnectionError("x"), Reply.TRANSIENT),
        (requests.exceptions.ConnectionError(), Reply.TRANSIENT),
        (requests.exceptions.ConnectTimeout(), Reply.TRANSIENT),
        (requests.exceptions.ReadTimeout(), Reply.TRANSIENT),
        (requests.exceptions.ChunkedEncodingError(), Reply.TRANSIENT),
        (AuthTimeoutError("m.login.sso", 1.0), Reply.FAILURE),
        (ServerProtocolError("x"), Reply.FAILURE),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'http_status', '')}" if value else "",
)
def test_other_failures(session: UIASession, error: Exception, reply: Reply) -> None:
    """Rate limits and trouble on the way are told from what is final, with or without a session."""
    assert classify_failure(error) is reply
    assert session.receive(error, TERMS, with_session=True) is reply
    assert session.rejections == {}


def test_what_cannot_be_sent_is_nothing() -> None:
    """Half of a surrogate pair, which JSON can express, makes neither a session id nor the name of a stage."""
    session = UIASession("s1")

    session.merge({"session": "\ud800", "flows": [{"stages": ["m.login.\udfff"]}, {"stages": ["m.login.dummy"]}]})

    assert (session.id, session.flows) == ("s1", (("m.login.dummy",),))


def test_what_changes_while_it_is_saved(session: UIASession) -> None:
    """An attempt that goes on in its thread may note an error at any moment of another thread's ``save()``."""

    class NotingError(MatrixError):
        def __getattribute__(self, name: str) -> Any:
            if name == "args":
                session.errors[f"stage {len(session.errors)}"] = self
            return super().__getattribute__(name)

    session.errors = {PASSWORD: NotingError(401, {"errcode": "M_FORBIDDEN"})}

    assert session.save()["errors"] == {PASSWORD: [401, {"errcode": "M_FORBIDDEN"}]}
    assert len(session.errors) == 2
