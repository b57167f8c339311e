"""Makes a failing plan small: what can be left out while the same thing still goes wrong, is.

Delta debugging (Zeller and Hildebrandt: Simplifying and Isolating Failure-Inducing Input, 2002) of
faults, then nodes, then operations; then times are halved. It works because every draw of a run is
counted for its own purpose: leaving out one thing does not shift the chance of the others.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from netsim.checks.settling import kind_of
from netsim.drivers import make_driver
from netsim.plan import NodePlan, Operation, Plan, PlannedFault
from netsim.running import Outcome, run
from netsim.scenario.byzantine import HONEST

RUNS_MAX = 500
_TIME_S_MIN = 1.0  # nothing is halved below

T = TypeVar("T")
Tell = Callable[[str], None]


def minimise(plan: Plan, driver_name: str, *, tell: Tell, runs_max: int = RUNS_MAX) -> Plan:
    """The smallest plan found that fails as this one does; this one, if it does not fail."""

    def tried(smaller: Plan) -> Outcome:
        return run(smaller, make_driver(driver_name))

    wanted = looked_for(tried(plan))
    if not wanted:
        tell("It does not fail: there is nothing to make smaller.")
        return plan
    tell(f"It fails: {'; '.join(sorted(wanted))}.")
    smaller = Smaller(lambda each: wanted <= complaints(tried(each)), tell, runs_max - 1)
    return smaller.of(plan, keep_patience=not _is_violation(wanted))


def complaints(outcome: Outcome) -> frozenset[str]:
    """What went wrong, such that it is the same in a smaller run: the checks that were violated;
    without any, the kinds of what was not settled, whoever it was about.
    """
    if outcome.violations:
        return frozenset(f"violated: {each.check}" for each in outcome.violations)
    return frozenset(f"stalled: {kind_of(each)}" for each in outcome.stalled)


def looked_for(outcome: Outcome) -> frozenset[str]:
    """Of these complaints, what has to be there again: the check that was violated first, since
    others may follow from it; of a stall all kinds, since one alone may have another cause.
    """
    first = replace(outcome, violations=outcome.violations[:1])
    return complaints(first)


def _is_violation(wanted: frozenset[str]) -> bool:
    return any(each.startswith("violated") for each in wanted)


class Smaller:
    """`fails`: whether a plan still shows what is looked for. It is asked `runs_max` times."""

    def __init__(self, fails: Callable[[Plan], bool], tell: Tell, runs_max: int) -> None:
        self.runs = 0
        self._fails = fails
        self._tell = tell
        self._runs_max = runs_max

    def of(self, plan: Plan, *, keep_patience: bool = False) -> Plan:
        """`keep_patience`: a stall is one only after time enough to settle."""
        smaller, before = self._round(plan, keep_patience=keep_patience), plan
        while _size(smaller) < _size(before):
            smaller, before = self._round(smaller, keep_patience=keep_patience), smaller
        end = " (no more runs)" if self.runs >= self._runs_max else ""
        self._tell(f"{_shown(smaller)} are left after {self.runs} runs{end}.")
        return smaller

    def _round(self, plan: Plan, *, keep_patience: bool) -> Plan:
        plan = self._drop("faults", plan, plan.faults, with_faults)
        plan = self._drop("nodes", plan, [each.number for each in plan.nodes], with_nodes)
        plan = self._drop("operations", plan, plan.operations, with_operations)
        return self._halve(plan, keep_patience=keep_patience)

    def _drop(
        self,
        name: str,
        plan: Plan,
        items: Sequence[T],
        with_items: Callable[[Plan, Sequence[T]], Plan],
    ) -> Plan:
        def fails(kept: Sequence[T]) -> bool:
            return self._try(with_items(plan, kept))

        kept = needed(items, fails)
        self._tell(f"{name}: {len(kept)} of {len(items)} are needed ({self.runs} runs).")
        return with_items(plan, kept)

    def _halve(self, plan: Plan, *, keep_patience: bool) -> Plan:
        for shorter in (
            _shorter_run,
            _shorter_faults,
            *([] if keep_patience else [_less_patience]),
        ):
            while (tried := shorter(plan)) != plan and self._try(tried):
                plan = tried
        self._tell(f"times: {plan.duration_s:g} s ({self.runs} runs).")
        return plan

    def _try(self, plan: Plan) -> bool:
        """Out of runs, nothing fails any more: what is there is kept."""
        if self.runs >= self._runs_max or not any(each.role == HONEST for each in plan.nodes):
            return False
        self.runs += 1
        return self._fails(plan)


def needed(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """ddmin: a part of the items, in their order, that still fails, and from which no single one
    can be taken away. The items as a whole fail.
    """
    if not items or fails(items[:0]):
        return items[:0]
    parts = 2
    while len(items) >= 2:
        cuts = [len(items) * place // parts for place in range(parts + 1)]
        # What comes late goes first, so that the run can end early.
        for low, high in reversed(list(itertools.pairwise(cuts))):
            rest = [*items[:low], *items[high:]]
            if rest and fails(rest):
                items, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(items):
                break
            parts = min(len(items), 2 * parts)
    return items


# ---- plans with less in them ----


def with_faults(plan: Plan, faults: Sequence[PlannedFault]) -> Plan:
    return replace(plan, faults=tuple(faults))


def with_operations(plan: Plan, operations: Sequence[Operation]) -> Plan:
    return replace(plan, operations=tuple(operations))


def with_nodes(plan: Plan, numbers: Sequence[int]) -> Plan:
    """Without what concerns those that are left out. The numbers of the others stay."""
    kept = frozenset(numbers)

    def among(nodes: Sequence[int]) -> tuple[int, ...]:
        return tuple([node for node in nodes if node in kept])

    def cut(node: NodePlan) -> NodePlan:
        return replace(node, knows=among(node.knows), follows=among(node.follows))

    faults = [replace(fault, nodes=among(fault.nodes)) for fault in plan.faults]
    return replace(
        plan,
        nodes=tuple([cut(node) for node in plan.nodes if node.number in kept]),
        faults=tuple(
            [
                fault
                for fault, whole in zip(faults, plan.faults, strict=True)
                if fault.nodes or not whole.nodes  # without nodes it would concern all
            ]
        ),
        operations=tuple(
            [
                each
                for each in plan.operations
                if each.node in kept and (each.target is None or each.target in kept)
            ]
        ),
    )


def _shorter_run(plan: Plan) -> Plan:
    return _until(plan, max(_TIME_S_MIN, plan.duration_s / 2))


def _until(plan: Plan, end_s: float) -> Plan:
    """Without what would happen afterwards."""
    if end_s >= plan.duration_s:
        return plan
    return replace(
        plan,
        duration_s=end_s,
        faults=tuple(
            [
                replace(each, for_s=min(each.for_s, end_s - each.at_s))
                for each in plan.faults
                if each.at_s < end_s
            ]
        ),
        operations=tuple([each for each in plan.operations if each.at_s < end_s]),
    )


def _shorter_faults(plan: Plan) -> Plan:
    faults = [replace(each, for_s=_half(each.for_s)) for each in plan.faults]
    return replace(plan, faults=tuple(faults))


def _less_patience(plan: Plan) -> Plan:
    return replace(plan, settle_s=_half(plan.settle_s))


def _half(time_s: float) -> float:
    return time_s / 2 if time_s / 2 >= _TIME_S_MIN else time_s


def _size(plan: Plan) -> int:
    return len(plan.faults) + len(plan.nodes) + len(plan.operations)


def _shown(plan: Plan) -> str:
    return (
        f"{len(plan.faults)} faults, {len(plan.nodes)} nodes, {len(plan.operations)} operations "
        f"and {plan.duration_s:g} s"
    )
