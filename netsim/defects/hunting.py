"""Whether the checks find a planted defect, and say nothing without it."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from netsim.commit import code_commit
from netsim.defects.list import DEFECTS
from netsim.defects.planting import EVENTUALLY, Defect
from netsim.drivers import make_driver
from netsim.plan import Plan
from netsim.running import Outcome, run

BY_NAME = {defect.name: defect for defect in DEFECTS}
_COMMAND = ("python", "-m", "netsim", "defects")
SILENT = "says nothing"


@dataclass(frozen=True, slots=True)
class Caught:
    """`where`: the scenario, or the plan that was made for it."""

    name: str
    check: str
    where: str
    seed: int
    violation: str


@dataclass(frozen=True, slots=True)
class Missed:
    """With all that it takes to see it again."""

    name: str
    check: str
    where: str
    seeds: tuple[int, ...]  # that were tried
    driver: str
    commit: str
    command: str
    why: str

    def __str__(self) -> str:
        first, last = self.seeds[0], self.seeds[-1]
        tried = f"seed {first}" if first == last else f"{len(self.seeds)} seeds, {first} to {last}"
        told = f"{self.name}: {self.check} {self.why} in {self.where}, {tried}"
        return f"{told}; commit {self.commit}, {self.driver} driver\n  repeat it: {self.command}"


def names() -> list[str]:
    return list(BY_NAME)


def hunt(name: str) -> Caught | Missed:
    """In the plan that was made for it. Raises KeyError: there is none of that name."""
    defect = BY_NAME[name]
    for seed in defect.seeds:
        with defect.planted():
            outcome = run(defect.plan(seed), make_driver(defect.driver))
        if violation := complaints(outcome).get(defect.check):
            return Caught(name, defect.check, outcome.plan.scenario, seed, violation)
    return missed(defect, defect.plan(defect.seeds[0]).scenario, defect.seeds, why=SILENT)


def missed(defect: Defect, where: str, seeds: tuple[int, ...], *options: str, why: str) -> Missed:
    """`options`: of the command that hunts it there."""
    command = shlex.join((*_COMMAND, defect.name, *options))
    return Missed(
        defect.name, defect.check, where, seeds, defect.driver, code_commit(), command, why
    )


def complaints_without(name: str) -> dict[str, str]:
    """What the checks say of the same runs when nothing is planted: nothing, if all is well."""
    defect = BY_NAME[name]
    found: dict[str, str] = {}
    for seed in defect.seeds:
        if defect.ground:
            with defect.ground():
                found |= complaints(run(defect.plan(seed), make_driver(defect.driver)))
        else:
            found |= _healthy_run(defect.plan, defect.driver, seed)
    return found


@cache
def _healthy_run(make: Callable[[int], Plan], driver: str, seed: int) -> dict[str, str]:
    """Several defects share a plan."""
    return complaints(run(make(seed), make_driver(driver)))


def complaints(outcome: Outcome) -> dict[str, str]:
    """The first of each check."""
    found: dict[str, str] = {}
    for violation in outcome.violations:
        found.setdefault(violation.check, f"node {violation.node}: {violation.what}")
    if outcome.stalled:
        found[EVENTUALLY] = outcome.stalled[0]
    return found
