"""Invariants, stated once and tried on many arbitrary servers: whatever they say, the library keeps its promises."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clocks import TurnedClock

from interactive_auth import (
    AuthTimeoutError,
    HomeserverConnectionError,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    NoAuthFlowFoundError,
    ServerProtocolError,
    Stage,
)
from interactive_auth._engine.flows import Needs, Stages, choose_flow, count_open
from interactive_auth._engine.handover import Handover
from interactive_auth._engine.session import UIASession
from interactive_auth._replies import Reply

quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)

DUMMY, EMAIL, MSISDN = "m.login.dummy", "m.login.email.identity", "m.login.msisdn"
STAGES = ["m.login.password", "m.login.sso", "m.login.terms", DUMMY, EMAIL, MSISDN]

json_values = st.recursive(
    st.sampled_from([None, True, 0, -1, 10**400, 1.5, float("nan"), float("inf"), "", "x", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["stages", "x"]), inner, max_size=2),
    max_leaves=4,
)
stage_types = st.sampled_from([*STAGES, "org.example.odd\x1b\n"])
flows = st.lists(stage_types, max_size=4).map(lambda stages: {"stages": stages})
flow_lists = st.lists(flows | json_values, max_size=3) | st.lists(flows, min_size=1, max_size=3)
sessions = st.sampled_from(["S1", "S2", "the-third-session"])
error_codes = st.sampled_from(
    ["M_FORBIDDEN", "M_UNKNOWN", "M_UNAUTHORIZED", "M_UNKNOWN_TOKEN", "M_INVALID_PARAM", "M_LIMIT_EXCEEDED"]
)
error_texts = st.sampled_from(["Invalid session", "Unknown session ID: S1", "UIAA session does not exist.", "\ud800"])


def body_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return bodies in which each field may be absent, right, or any JSON at all."""
    return st.fixed_dictionaries({}, optional={name: value | json_values for name, value in fields.items()})


bodies = body_of(
    flows=flow_lists,
    session=sessions,
    completed=st.lists(stage_types | json_values, max_size=5),
    params=st.dictionaries(stage_types, json_values, max_size=3),
    errcode=error_codes,
    error=error_texts,
    retry_after_ms=st.integers(0, 5000),
)
challenges = st.builds(
    lambda body, offered: MatrixError(401, {**body, "flows": offered}), bodies, st.lists(flows, min_size=1, max_size=3)
)
statuses = st.sampled_from([401, 401, 401, 400, 403, 429, 500, 502, 503]) | st.integers(100, 999)
failures = st.one_of(
    challenges,
    st.builds(MatrixError, statuses, bodies, st.none() | st.floats()),
    st.builds(HomeserverConnectionError, st.just("not reached")),
    st.builds(ServerProtocolError, st.just("no JSON")),
)
answers = st.lists(st.one_of(challenges, failures, st.just("done")), min_size=1, max_size=12)

#: Twenty requests without progress, four sendings each, for each of five lengths a flow can have, and wrong answers.
MOST_REQUESTS = 1000


@pytest.fixture(scope="module", autouse=True)
def turned_clock() -> Iterator[None]:
    """Let nothing in this module take time; the examples of a property share the clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Handover, "clock", TurnedClock())
        yield


class ArbitraryServer:
    """A ``do_request`` that gives the answers in turn, for ever, and remembers what it was sent."""

    def __init__(self, planned: Sequence[Any]) -> None:
        self._answers = itertools.cycle(planned)
        self.sent: list[dict[str, Any] | None] = []

    def __call__(self, auth: dict[str, Any] | None) -> str:
        self.sent.append(auth)
        assert len(self.sent) <= MOST_REQUESTS, "requests without end"
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)


def outcome(auth: InteractiveAuth[str]) -> InteractiveAuthError | str:
    """Return how an attempt ends; anything but a return or an error of the library's own fails the test."""
    try:
        return auth.attempt_auth()
    except InteractiveAuthError as error:
        return error


@quick
@given(answers, st.booleans())
def test_every_attempt_ends(planned: list[Any], is_mapping: bool) -> None:
    """Whatever a server says, an attempt returns or raises the library's own, after a bounded number of requests."""
    server = ArbitraryServer(planned)

    def answer(stage: Stage) -> dict[str, Any]:
        return {"type": stage.type}

    auth = InteractiveAuth(server, {"*": answer, EMAIL: answer} if is_mapping else answer)

    for _ in range(2):
        ended = outcome(auth)
        if ended == "done":
            break
        server.sent.clear()
        str(ended)
        repr(ended)
        pickle.dumps(ended)


@quick
@given(answers)
def test_every_wait_ends(planned: list[Any]) -> None:
    """So does an attempt that only ever polls, at its deadline at the latest."""
    server = ArbitraryServer(planned)
    auth = InteractiveAuth(server, lambda _stage: None, email_sid="e", msisdn_sid="m", poll_timeout=20)

    ended = outcome(auth)

    assert ended == "done" or isinstance(ended, InteractiveAuthError)
    if isinstance(ended, AuthTimeoutError):
        assert ended.__cause__ is None or isinstance(ended.__cause__, Exception)


@quick
@given(answers, st.dictionaries(st.sampled_from(["type", "session", "a"]), json_values, max_size=3))
def test_the_callers_dicts_stay_as_they_are(planned: list[Any], given_dict: dict[str, Any]) -> None:
    """No dict that a callback returned is modified, and each is sent with the session added if it lacked one."""
    server = ArbitraryServer(planned)
    before = copy.deepcopy(given_dict)
    sessions_by_request: dict[int, str | None] = {}

    def answer(stage: Stage) -> dict[str, Any]:
        sessions_by_request[len(server.sent)] = stage.session
        return given_dict

    outcome(InteractiveAuth(server, answer, retry=None))

    assert repr(given_dict) == repr(before)
    for index, sent in enumerate(server.sent):
        if index not in sessions_by_request:
            continue
        session = sessions_by_request[index]
        own = before.get("session")
        wanted = {**before, "session": session if own is None else own}
        if wanted["session"] is None:
            del wanted["session"]
        # An empty dict is no auth at all.
        assert repr(sorted((sent or {}).items())) == repr(sorted(wanted.items()))
        assert sent != {}


@quick
@given(answers)
def test_every_state_can_be_resumed(planned: list[Any]) -> None:
    """However an attempt ended, its resume state survives JSON, and a new object is in the same state."""
    auth = InteractiveAuth(ArbitraryServer(planned), lambda stage: {"type": stage.type})
    outcome(auth)

    state = auth.get_resume_state()
    carried = json.loads(json.dumps(state))
    again = InteractiveAuth(ArbitraryServer(planned), lambda stage: {"type": stage.type}, **carried)

    assert json.dumps(again.get_resume_state()) == json.dumps(state)


SECRET = "correct horse battery"
quotes = st.recursive(
    st.sampled_from([SECRET, f"x{SECRET}y", f"{SECRET}{SECRET}", "z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(inner.filter(lambda v: isinstance(v, str)), inner),
    max_leaves=6,
)


@quick
@given(st.dictionaries(st.sampled_from(["errcode", "error", "params", "x", SECRET]), quotes), statuses)
def test_no_quotation_comes_to_light(body: dict[str, Any], status: int) -> None:
    """Wherever a server quotes a secret, neither text nor pickle has it."""
    offer = MatrixError(401, {"flows": [{"stages": ["m.login.password"]}]})
    server = ArbitraryServer([offer, MatrixError(status, body)])
    auth = InteractiveAuth(server, lambda stage: {"type": stage.type, "password": SECRET}, max_attempts=1, retry=None)

    ended = outcome(auth)

    assert isinstance(ended, InteractiveAuthError)
    assert SECRET not in str(ended) + repr(ended)
    assert SECRET.encode() not in pickle.dumps(ended)


plain_flows = st.lists(st.lists(st.sampled_from(STAGES), max_size=4).map(tuple), max_size=5)
stage_sets = st.frozensets(st.sampled_from(STAGES))
callers = st.builds(
    Needs, st.none() | stage_sets, st.none() | stage_sets, stage_sets.map(lambda stages: stages & {EMAIL, MSISDN})
)


def fits(flow: Stages, completed: frozenset[str], needs: Needs) -> bool:
    """Say whether a flow fits, as the contract has it."""
    for stage in (EMAIL, MSISDN):
        named = needs.supported is not None and stage in needs.supported
        if stage in needs.given and stage not in flow:
            return False
        if stage in flow and stage not in completed and stage not in needs.given and not named:
            return False
    left = [stage for stage in flow if stage not in completed and stage != DUMMY]
    return needs.handled is None or all(stage in needs.handled for stage in left)


def cost(flow: Stages, completed: frozenset[str], needs: Needs) -> tuple[int, int]:
    """Return what a flow is compared by, as the contract has it."""
    left = [stage for stage in flow if stage not in completed]
    if needs.supported is None:
        return 0, len(left)
    return len([stage for stage in left if stage not in needs.supported and stage != DUMMY]), len(left)


@settings(quick, max_examples=120)
@given(plain_flows, stage_sets, callers)
def test_the_choice_is_minimal(offered: list[Stages], completed: frozenset[str], needs: Needs) -> None:
    """The chosen flow fits and no fitting flow costs less, none before it as little; without one, none fits."""
    candidates = [flow for flow in offered if flow] or offered[:1]
    fitting = [flow for flow in candidates if fits(flow, completed, needs)]

    try:
        chosen = choose_flow(offered, completed, needs)
    except NoAuthFlowFoundError:
        assert not fitting
        return

    costs = [cost(flow, completed, needs) for flow in fitting]
    assert chosen == fitting[costs.index(min(costs))]


@settings(quick, max_examples=120)
@given(plain_flows, stage_sets, stage_sets, callers)
def test_the_choice_is_stable(
    offered: list[Stages], completed: frozenset[str], more: frozenset[str], needs: Needs
) -> None:
    """A flow once chosen is chosen again, whatever is completed next and in whatever order flows are offered."""
    try:
        chosen = choose_flow(offered, completed, needs)
    except NoAuthFlowFoundError:
        return

    assert choose_flow(offered[::-1], completed | more, needs, chosen) == chosen
    assert count_open(chosen, completed | more) <= count_open(chosen, completed)


@quick
@given(st.lists(bodies, max_size=5))
def test_merging_never_loses_what_it_has(replies: list[dict[str, Any]]) -> None:
    """No reply takes away the flows, the session or the params in hand; what they hold is always walkable."""
    session = UIASession()
    session.merge({"flows": [{"stages": ["a"]}], "session": "S0", "params": {"a": {}}, "completed": ["b"]})

    for body in replies:
        before = (session.id, dict(session.completed), session.flows, session.params)
        session.merge(body)
        assert session.id
        assert session.flows
        assert all(isinstance(stage, str) for flow in session.flows for stage in flow)
        assert all(isinstance(stage, str) for stage in session.completed)
        if not isinstance(body.get("session"), str) or not body["session"]:
            assert session.id == before[0]
            if not isinstance(body.get("completed"), list):
                assert session.completed == before[1]
        if not isinstance(body.get("flows"), list) or not body["flows"]:
            assert session.flows == before[2]
        if not isinstance(body.get("params"), dict):
            assert session.params is before[3]


@quick
@given(failures, st.none() | stage_types, st.booleans())
def test_every_failure_has_a_meaning(error: Exception, submitted: str | None, with_session: bool) -> None:
    """Each failure is classified, only what was submitted is ever rejected, and nothing that is completed."""
    session = UIASession("S0")
    session.merge({"flows": [{"stages": ["m.login.password"]}]})

    reply = session.receive(error, submitted, with_session=with_session)

    assert reply is not Reply.SUCCESS
    assert (reply is Reply.REJECTION) == (session.rejections == {submitted: 1})
    if reply is Reply.REJECTION:
        assert submitted is not None
        assert submitted not in session.completed
