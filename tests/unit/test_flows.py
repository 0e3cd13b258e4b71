"""The choice of a flow and of the next stage: pure functions, tested as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from interactive_auth import AuthType, NoAuthFlowFoundError
from interactive_auth._engine.flows import Needs, Stages, choose_flow, count_open, next_stage, read_flows

PASSWORD, TERMS, DUMMY, SSO = "m.login.password", "m.login.terms", "m.login.dummy", "m.login.sso"
EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"

ANYTHING = Needs(supported=None, handled=None, given=frozenset())


def needs(
    *, supported: Sequence[str] | None = None, handled: Sequence[str] | None = None, given: Sequence[str] = ()
) -> Needs:
    """Make a caller's needs from lists."""
    return Needs(
        None if supported is None else frozenset(supported),
        None if handled is None else frozenset(handled),
        frozenset(given),
    )


@pytest.mark.parametrize(
    ("value", "flows"),
    [
        (None, None),
        ({}, None),
        ("m.login.dummy", None),
        ([], ()),
        ([{"stages": ["a", "b"]}, {"stages": ["c"]}], (("a", "b"), ("c",))),
        ([{"stages": []}], ((),)),
        ([{}], ((),)),
        ([{"type": "m.login.password"}], ((),)),
        ([None, 5, "a", ["a"], {"stages": ["a"]}], (("a",),)),
        ([{"stages": None}, {"stages": "abc"}, {"stages": {"a": 1}}], ()),
        ([{"stages": ["a", 5]}, {"stages": [None]}, {"stages": ["b"]}], (("b",),)),
        ([{"stages": ["a"]}, {"stages": ["a"]}], (("a",), ("a",))),
    ],
    ids=[
        *("absent", "object", "text", "empty", "two", "no stages", "stages absent", "legacy type"),
        *("no objects", "stages no list", "stages no strings", "doubled"),
    ],
)
def test_read_flows(value: Any, flows: tuple[Stages, ...] | None) -> None:
    """What cannot be walked is left out; what is no list at all is no flows."""
    assert read_flows(value) == flows


@pytest.mark.parametrize(
    ("flow", "completed", "following", "still_open"),
    [
        ((), (), None, 0),
        (("a", "b"), (), "a", 2),
        (("a", "b"), ("a",), "b", 1),
        (("a", "b"), ("b",), "a", 1),
        (("a", "b"), ("b", "a", "c"), None, 0),
        (("a", "a"), (), "a", 2),
    ],
    ids=["no stages", "none done", "first done", "second done first", "all done", "a stage twice"],
)
def test_next_stage(flow: Stages, completed: Sequence[str], following: str | None, still_open: int) -> None:
    """The next stage is the first of the flow that is not completed, in whatever order the others were."""
    assert next_stage(flow, completed) == following
    assert count_open(flow, completed) == still_open


@pytest.mark.parametrize(
    ("flows", "completed", "wants", "chosen"),
    [
        # the fewest open stages outside supported_stages ...
        ([(SSO,), (TERMS, PASSWORD)], (), needs(supported=[TERMS, PASSWORD]), (TERMS, PASSWORD)),
        ([(SSO, "x"), (SSO, PASSWORD)], (), needs(supported=[PASSWORD]), (SSO, PASSWORD)),
        ([(SSO, "x", PASSWORD), (PASSWORD, "y")], ("x",), needs(supported=[PASSWORD, SSO]), (SSO, "x", PASSWORD)),
        # ... then the fewest open stages ...
        ([(TERMS, PASSWORD), (SSO,)], (), ANYTHING, (SSO,)),
        ([(PASSWORD,), (SSO, TERMS, "x")], (SSO, TERMS, "x"), ANYTHING, (SSO, TERMS, "x")),
        ([(TERMS, PASSWORD), (PASSWORD,)], (), needs(supported=[TERMS, PASSWORD]), (PASSWORD,)),
        # ... then the server's order.
        ([(SSO,), (PASSWORD,)], (), ANYTHING, (SSO,)),
        ([(PASSWORD,), (SSO,)], (), needs(supported=[SSO, PASSWORD]), (PASSWORD,)),
        ([(PASSWORD, TERMS), (SSO, TERMS)], (), needs(supported=[]), (PASSWORD, TERMS)),
        # m.login.dummy never counts as unsupported, though it is a stage.
        ([(SSO,), (DUMMY, PASSWORD)], (), needs(supported=[PASSWORD]), (DUMMY, PASSWORD)),
        ([(DUMMY,), (PASSWORD,)], (), needs(supported=[PASSWORD]), (DUMMY,)),
        ([(DUMMY,)], (), needs(handled=[]), (DUMMY,)),
        # An input asks for its stage.
        ([(DUMMY,), (EMAIL,)], (), needs(given=[EMAIL]), (EMAIL,)),
        ([(EMAIL,), (MSISDN, EMAIL)], (), needs(given=[EMAIL, MSISDN]), (MSISDN, EMAIL)),
        ([(DUMMY,), (MSISDN,)], (), needs(given=[MSISDN]), (MSISDN,)),
        # Such a stage without its input fits only by name.
        ([(EMAIL,), (PASSWORD, TERMS)], (), ANYTHING, (PASSWORD, TERMS)),
        ([(EMAIL,), (PASSWORD, TERMS)], (), needs(supported=[PASSWORD, TERMS]), (PASSWORD, TERMS)),
        ([(EMAIL,), (PASSWORD, TERMS)], (), needs(supported=[EMAIL]), (EMAIL,)),
        ([(MSISDN,), (PASSWORD, TERMS)], (), needs(supported=[MSISDN]), (MSISDN,)),
        ([(EMAIL, DUMMY), (PASSWORD, TERMS)], (EMAIL,), ANYTHING, (EMAIL, DUMMY)),
        # A flow without stages counts only alone.
        ([(), (PASSWORD,)], (), ANYTHING, (PASSWORD,)),
        ([()], (), ANYTHING, ()),
        ([(), ()], (), ANYTHING, ()),
        # A flow with an open stage that has no handler is never chosen.
        ([(SSO,), (PASSWORD, TERMS)], (), needs(handled=[PASSWORD, TERMS]), (PASSWORD, TERMS)),
        ([(SSO, PASSWORD), (TERMS, "x")], (SSO,), needs(handled=[PASSWORD, TERMS, "x"]), (SSO, PASSWORD)),
    ],
)
def test_choice(flows: list[Stages], completed: Sequence[str], wants: Needs, chosen: Stages) -> None:
    """Fewest open stages not supported, then fewest open stages, then the server's order, of the flows that fit."""
    assert choose_flow(flows, completed, wants) == chosen


@pytest.mark.parametrize(
    ("flows", "wants", "said"),
    [
        ([], ANYTHING, "^no authentication flow fits: the server offers no flow at all$"),
        ([(EMAIL,)], ANYTHING, f"{EMAIL}: {EMAIL} needs an input that was not given"),
        ([(MSISDN,)], needs(supported=[EMAIL]), f"{MSISDN}: {MSISDN} needs an input that was not given"),
        ([(DUMMY,)], needs(given=[EMAIL]), f"{DUMMY}: it lacks {EMAIL}, for which an input was given"),
        ([()], needs(given=[EMAIL]), r"\(no stages\): it lacks"),
        ([(), (EMAIL,)], ANYTHING, r"\(no stages\): it has no stages, and others are offered \| m.login.email"),
        ([(SSO, TERMS)], needs(handled=[TERMS]), f"{SSO} -> {TERMS}: there is no handler for {SSO}"),
        ([(SSO,)], needs(handled=[], given=[EMAIL]), f"an input was given; there is no handler for {SSO}$"),
        ([(EMAIL,)], needs(handled=[]), f": {EMAIL}: there is no handler for {EMAIL}$"),
        ([(SSO,), (TERMS,)], needs(handled=[]), rf"no handler for {SSO} \| {TERMS}: there is no handler for {TERMS}"),
    ],
    ids=[
        *("no flow", "email without input", "msisdn without input", "input without stage", "input, no stages"),
        *("empty among others", "no handler", "no input and no handler", "neither of one stage", "no handlers"),
    ],
)
def test_nothing_fits(flows: list[Stages], wants: Needs, said: str) -> None:
    """The error names the flows offered and what each lacks."""
    with pytest.raises(NoAuthFlowFoundError, match=said) as caught:
        choose_flow(flows, (), wants)

    assert caught.value.flows == [{"stages": list(flow)} for flow in flows]
    assert caught.value.required_stages == sorted(wants.given)


def test_a_long_offer_is_summed_up() -> None:
    """The text of the error is bounded, however much the server offers; its attribute has everything."""
    flows = [(f"x{number}\n" * 500,) for number in range(1000)]

    with pytest.raises(NoAuthFlowFoundError, match="and 990 more") as caught:
        choose_flow(flows, (), needs(handled=[]))

    assert len(caught.value.flows) == 1000
    assert len(str(caught.value)) < 5000
    assert "\n" not in str(caught.value)


def test_the_keys_that_were_given_are_named() -> None:
    """Where a callback is missing, its key may be misspelt, so those that are there are shown; else they are not."""
    with pytest.raises(NoAuthFlowFoundError) as caught:
        choose_flow([(PASSWORD,)], [], needs(handled=["m.login.pasword", SSO]))
    assert str(caught.value).endswith("(the keys of start_auth_stage are: 'm.login.pasword', 'm.login.sso')")

    with pytest.raises(NoAuthFlowFoundError) as caught:
        choose_flow([(SSO,)], [], needs(handled=[SSO], given=[EMAIL]))
    assert "start_auth_stage" not in str(caught.value)


def test_long_names_are_cut() -> None:
    """Of a flow's names 200 characters are shown, of one stage's name 100."""
    name = "x" * 300

    with pytest.raises(NoAuthFlowFoundError) as caught:
        choose_flow([(name,)], (), needs(handled=[]))

    assert str(caught.value).endswith(f"fits: {'x' * 200}...: there is no handler for {'x' * 100}...")


def test_ten_flows_are_listed() -> None:
    """An offer of usual size is listed whole."""
    with pytest.raises(NoAuthFlowFoundError) as caught:
        choose_flow([(f"x{number}",) for number in range(10)], (), needs(handled=[]))

    assert str(caught.value).count("there is no handler") == 10
    assert "more" not in str(caught.value)


def test_a_long_lack_is_summed_up() -> None:
    """At most three lacks are named for one flow."""
    with pytest.raises(NoAuthFlowFoundError) as caught:
        choose_flow([tuple(f"x{number}" for number in range(9))], (), needs(handled=[]))

    assert str(caught.value).endswith(": there is no handler for x0, x1, x2, ...")


def test_the_same_lack_is_told_once() -> None:
    """Flows that lack the same are told together."""
    with pytest.raises(NoAuthFlowFoundError) as caught:
        choose_flow([(SSO, "a"), (TERMS,), (SSO, "b")], (), needs(handled=["a", "b"]))

    assert f"{SSO} -> a, {SSO} -> b: there is no handler for {SSO} | {TERMS}: there is" in str(caught.value)


@pytest.mark.parametrize(
    ("flows", "completed", "wants", "current", "chosen"),
    [
        ([(PASSWORD,), (SSO, TERMS)], (), ANYTHING, (SSO, TERMS), (SSO, TERMS)),
        ([(PASSWORD,), (SSO, TERMS)], (), ANYTHING, (TERMS,), (PASSWORD,)),
        ([(PASSWORD,), (SSO,)], (), needs(handled=[PASSWORD]), (SSO,), (PASSWORD,)),
        ([(PASSWORD,), (SSO,)], (SSO,), needs(handled=[PASSWORD]), (SSO,), (SSO,)),
        ([(PASSWORD,), (SSO, TERMS)], (), needs(given=[EMAIL]), (SSO, TERMS), (SSO, TERMS)),
    ],
    ids=["kept", "no longer offered", "nobody would answer it", "nothing left to answer", "kept though inputs changed"],
)
def test_choice_is_stable(
    flows: list[Stages], completed: Sequence[str], wants: Needs, current: Stages, chosen: Stages
) -> None:
    """A flow once chosen is kept while the server offers it and somebody can go on with it."""
    assert choose_flow(flows, completed, wants, current) == chosen


def test_the_offer_is_left_alone() -> None:
    """Choosing does not sort the server's flows."""
    flows = [(TERMS, PASSWORD), (SSO,)]

    choose_flow(flows, (), ANYTHING)

    assert flows == [(TERMS, PASSWORD), (SSO,)]


def test_enum_and_string_are_alike() -> None:
    """Stages named by AuthType and by their strings are the same stages."""
    wants = needs(supported=[AuthType.PASSWORD], handled=[AuthType.PASSWORD])

    assert choose_flow([(SSO,), (PASSWORD,)], (), wants) == (PASSWORD,)
