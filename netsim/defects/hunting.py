"""Whether the checks find a planted defect, and say nothing without it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from netsim.defects.list import DEFECTS
from netsim.defects.planting import EVENTUALLY, Defect
from netsim.lean import LeanDriver
from netsim.plan import Plan
from netsim.running import Outcome, run

_BY_NAME = {defect.name: defect for defect in DEFECTS}


@dataclass(frozen=True, slots=True)
class Caught:
    name: str
    check: str
    seed: int
    violation: str


@dataclass(frozen=True, slots=True)
class Missed:
    name: str
    check: str
    seeds: int  # how many were tried


def names() -> list[str]:
    return list(_BY_NAME)


def hunt(name: str) -> Caught | Missed:
    """Raises KeyError: there is none of that name."""
    defect = _BY_NAME[name]
    for seed in defect.seeds:
        found = _complaints(_run(defect, seed))
        if defect.check in found:
            return Caught(name, defect.check, seed, found[defect.check])
    return Missed(name, defect.check, len(defect.seeds))


def complaints_without(name: str) -> dict[str, str]:
    """What the checks say of the same runs when nothing is planted: nothing, if all is well."""
    defect = _BY_NAME[name]
    found: dict[str, str] = {}
    for seed in defect.seeds:
        found |= _healthy(defect, seed) if defect.ground else _healthy_run(defect.plan, seed)
    return found


def _run(defect: Defect, seed: int) -> Outcome:
    plan = defect.plan(seed)
    if defect.ground is None:
        with defect.plant():
            return run(plan, LeanDriver())
    with defect.ground(), defect.plant():
        return run(plan, LeanDriver())


def _healthy(defect: Defect, seed: int) -> dict[str, str]:
    assert defect.ground is not None
    with defect.ground():
        return _complaints(run(defect.plan(seed), LeanDriver()))


@cache
def _healthy_run(make: Callable[[int], Plan], seed: int) -> dict[str, str]:
    """Several defects share a plan."""
    return _complaints(run(make(seed), LeanDriver()))


def _complaints(outcome: Outcome) -> dict[str, str]:
    """The first of each check."""
    found: dict[str, str] = {}
    for violation in outcome.violations:
        found.setdefault(violation.check, f"node {violation.node}: {violation.what}")
    if outcome.stalled:
        found[EVENTUALLY] = outcome.stalled[0]
    return found
