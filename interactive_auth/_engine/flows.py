"""Which flow is walked, and which of its stages comes next: pure functions over tuples of stage types.

What must not be here: I/O, a clock, threads, or anything that remembers. A flow is a tuple of stage types.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from typing import NamedTuple

from .._errors import NoAuthFlowFoundError
from .._text import is_text, printable
from .._types import AuthType

Stages = tuple[str, ...]

#: As many flows as an error message lists; a stranger may offer thousands.
_LISTED = 10
#: As many stages without a handler are named for a flow.
_LACKED = 3
#: As many names of stages; a mapping of callbacks has few.
_NAMED = 12


class Needs(NamedTuple):
    """What the caller can do and has given, as far as the choice of a flow goes.

    Attributes:
        supported: the stages the caller prefers, None for all alike.
        handled: the stages there is a handler for, None if one handler takes all.
        given: the email and msisdn stages whose input or sid is known.
    """

    supported: Set[str] | None
    handled: Set[str] | None
    given: Set[str]


def read_flows(value: object) -> tuple[Stages, ...] | None:
    """Read the ``flows`` of a 401; None if it is not a list.

    A flow without ``stages`` is one without stages (as other clients read it); one that holds anything but
    names of stages cannot be walked and is left out.
    """
    if not isinstance(value, list):
        return None
    flows = []
    for flow in value:
        stages = flow.get("stages", []) if isinstance(flow, dict) else None
        if isinstance(stages, list) and all(map(is_text, stages)):
            flows.append(tuple(stages))
    return tuple(flows)


def next_stage(flow: Stages, completed: Collection[str]) -> str | None:
    """Return the first stage of ``flow`` still to do, None if all are done."""
    for stage in flow:
        if stage not in completed:
            return stage
    return None


def count_open(flow: Stages, completed: Collection[str]) -> int:
    """Return how many stages of ``flow`` are still to do."""
    return len([stage for stage in flow if stage not in completed])


def choose_flow(
    flows: Sequence[Stages], completed: Collection[str], needs: Needs, current: Stages | None = None
) -> Stages:
    """Choose the flow to walk.

    Args:
        flows: the flows offered, in the server's order.
        completed: the stages completed so far.
        needs: what the caller can do and has given.
        current: the flow walked so far; kept while it is still offered.

    Returns:
        Of the flows that fit, the one with the fewest stages to do that are not supported, then the fewest stages
        to do, then the server's first.

    Raises:
        NoAuthFlowFoundError: none fits.
    """
    # Handlers are asked for open stages only, so a stage that the server has reopened may have none.
    if current is not None and current in flows and not _unhandled(current, completed, needs):
        return current
    # A flow without stages would win every comparison, and only says "nothing to do" where it stands alone.
    candidates = [flow for flow in flows if flow] or flows
    fitting = [flow for flow in candidates if not _lacks(flow, completed, needs)]
    if not fitting:
        raise _no_flow(flows, completed, needs)
    return min(fitting, key=lambda flow: _cost(flow, completed, needs.supported))


def _cost(flow: Stages, completed: Collection[str], supported: Set[str] | None) -> tuple[int, int]:
    still_open = [stage for stage in flow if stage not in completed]
    if supported is None:
        return 0, len(still_open)
    # m.login.dummy needs nobody's support: the loop submits it by itself.
    return sum(stage not in supported and stage != AuthType.DUMMY for stage in still_open), len(still_open)


def _unhandled(flow: Stages, completed: Collection[str], needs: Needs) -> list[str]:
    """Return the open stages of ``flow`` that nobody would answer."""
    if needs.handled is None:
        return []
    return [s for s in flow if s not in needs.handled and s not in completed and s != AuthType.DUMMY]


def _lacks(flow: Stages, completed: Collection[str], needs: Needs) -> list[str]:
    """Return why ``flow`` does not fit, a phrase each; an empty list if it fits."""
    reasons = [f"it lacks {stage}, for which an input was given" for stage in needs.given if stage not in flow]
    unhandled = _unhandled(flow, completed, needs)
    if unhandled:
        named = ", ".join(printable(stage, 100) for stage in unhandled[:_LACKED])
        reasons.append(f"there is no handler for {named}{', ...' if unhandled[_LACKED:] else ''}")
    for stage in (AuthType.EMAIL, AuthType.MSISDN):
        # The caller says that it can ask for the missing address later by naming the stage.
        can_ask = needs.supported is not None and stage in needs.supported
        is_open = stage in flow and stage not in completed
        if is_open and not can_ask and stage not in needs.given and stage not in unhandled:
            reasons.append(f"{stage} needs an input that was not given, and supported_stages does not name it")
    return reasons


def _given_keys(flows: Sequence[Stages], completed: Collection[str], needs: Needs) -> str:
    """Return which callbacks were given, if one is missing: a key may be misspelt."""
    if not needs.handled or not any(_unhandled(flow, completed, needs) for flow in flows):
        return ""
    keys = ", ".join(repr(str(key)) for key in sorted(needs.handled)[:_NAMED])
    return f" (the keys of start_auth_stage are: {keys})"


def _no_flow(flows: Sequence[Stages], completed: Collection[str], needs: Needs) -> NoAuthFlowFoundError:
    # Flows that lack the same are told together.
    alike: dict[str, list[str]] = {}
    for flow in flows[:_LISTED]:
        stages = printable(" -> ".join(flow), 200) if flow else "(no stages)"
        why = "; ".join(_lacks(flow, completed, needs)) or "it has no stages, and others are offered"
        alike.setdefault(why, []).append(stages)
    lines = [f"{', '.join(those)}: {why}" for why, those in alike.items()]
    if len(flows) > _LISTED:
        lines.append(f"and {len(flows) - _LISTED} more")
    offered = " | ".join(lines) if lines else "the server offers no flow at all"
    return NoAuthFlowFoundError(
        f"no authentication flow fits: {offered}{_given_keys(flows, completed, needs)}",
        sorted(map(str, needs.given)),
        [{"stages": list(flow)} for flow in flows],
    )
