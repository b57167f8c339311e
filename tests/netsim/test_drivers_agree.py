"""The same scenario ends in the same state, whichever driver lived it."""

import pytest

from netsim import scenario
from netsim.drivers import NAMES, make_driver
from netsim.plan import Do, Fault, NodePlan, Operation, Plan
from netsim.running import run


def of_library(name: str) -> scenario.Scenario:
    return scenario.load(scenario.read(name)[1], name)


# What a power cut leaves on a disk depends on the microsecond, and drivers differ by that much.
ALIKE = [
    name
    for name in scenario.names()
    if "trio" in of_library(name).drivers and name not in {"power_cuts", "torn_batch"}
]
ALWAYS = {
    "blobs_over_hops",
    "fork_shown_to_one",
    "half_open",
    "partition_heal",
    "private_messages",
    "restored_home",
    "ring",
    "silent",
    "stream_fork_across_partition",
    "streams",
}


def plan_without_drift(name: str) -> Plan:
    """In the trio driver drift moves the wall clock only (docs/netsim.md), as all nodes share the
    clock of trio: so they differ in when they do what.
    """
    drawn = [scenario.draw(of_library(name), seed) for seed in range(1, 10)]
    calm = [plan for plan in drawn if all(each.fault is not Fault.DRIFT for each in plan.faults)]
    return calm[0] if calm else drawn[0]


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[] if each in ALWAYS else pytest.mark.slow) for each in ALIKE]
)
def test_both_drivers_come_to_the_same_end(name: str) -> None:
    plan = plan_without_drift(name)
    outcomes = [run(plan, make_driver(driver)) for driver in NAMES]
    for outcome in outcomes:
        assert outcome.violations == ()
        assert outcome.stalled == ()
    assert len({outcome.state_sha256 for outcome in outcomes}) == 1


def test_another_end_is_another_state() -> None:
    """Else the above would say nothing."""
    nodes = (NodePlan(0), NodePlan(1, knows=(0,), follows=(0,)))
    said = [Operation(1.0 + number, 0, Do.PUBLISH, number=number) for number in range(2)]
    ends = {
        run(
            Plan("two", 1, nodes, 3, 10, operations=tuple(said[:count])), make_driver("trio")
        ).state_sha256
        for count in range(3)
    }
    assert len(ends) == 3
