"""A failing plan is made small, and still fails."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netsim.checks import Complaint, Violation
from netsim.drivers import make_driver
from netsim.minimise import Smaller, looked_for, minimise, needed, with_nodes
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault
from netsim.running import run
from netsim.scenario import draw, load

TWO_KINDS = """
name = "two"
[run]
nodes = 3
duration_s = 30
settle_s = 0
[topology]
kind = "full"
[links]
latency_s = 2
[[operation]]
do = "publish"
at_s = 29
node = 0
[[fault]]
kind = "cut"
at_s = 29.5
nodes = [2]
"""
NODES = range(12)
PLAN = Plan(
    "planted",
    seed=5,
    nodes=tuple([NodePlan(n, knows=tuple(NODES), follows=tuple(NODES)) for n in NODES]),
    duration_s=64,
    settle_s=64,
    operations=tuple([Operation(n, n % 12, Do.FOLLOW, target=(n + 1) % 12) for n in range(60)]),
    faults=(
        *[PlannedFault(n, 8, Fault.CRASH, (n % 12,)) for n in range(40)],
        PlannedFault(3, 60, Fault.SKEW, (2, 3, 4)),
    ),
)


def a_planted_bug(plan: Plan) -> bool:
    """Node 3's clock is off for two seconds at least, and node 7 is asked to follow."""
    skewed = any(
        each.fault is Fault.SKEW and 3 in each.nodes and each.for_s >= 2 for each in plan.faults
    )
    return skewed and any(each.node == 7 for each in plan.operations)


def minimised(plan: Plan, *, runs_max: int = 500) -> tuple[Plan, int, list[str]]:
    told: list[str] = []
    smaller = Smaller(a_planted_bug, told.append, runs_max)
    return smaller.of(plan), smaller.runs, told


def test_what_is_not_needed_is_left_out() -> None:
    plan, runs, _ = minimised(PLAN)
    assert a_planted_bug(plan)
    assert [each.fault for each in plan.faults] == [Fault.SKEW]
    assert [each.number for each in plan.nodes] == [3, 7, 8]
    assert [each.node for each in plan.operations] == [7]
    assert runs < 150


def test_times_are_halved_while_it_fails() -> None:
    plan, _, _ = minimised(PLAN)
    assert plan.duration_s == 8  # the operation comes at 7 s
    assert plan.faults[0].for_s == 2.5
    assert plan.settle_s == 1


def test_a_stall_keeps_its_patience() -> None:
    plan = Smaller(a_planted_bug, lambda _: None, 500).of(PLAN, keep_patience=True)
    assert plan.settle_s == PLAN.settle_s


def test_the_same_thing_is_the_first_violation_or_all_kinds_of_a_stall() -> None:
    outcome = run(Plan("calm", 1, (NodePlan(0),), 1, 1), make_driver("lean"))
    stalled = ("node 0 is down", "node 1 wants blob ab12cd34, which node 2 has", "node 7 is down")
    stuck = replace(outcome, unsettled=tuple([Complaint("", each) for each in stalled]))
    assert looked_for(stuck) == {
        "stalled: N is down",
        "stalled: N wants blob N, which N has",
    }
    violations = tuple([Violation(name, "", 1.0, 0, "") for name in ("one", "two")])
    assert looked_for(replace(stuck, violations=violations)) == {"violated: one"}


def test_a_stall_of_several_kinds_is_not_made_one_of_a_single_kind() -> None:
    """Somebody never hears of the messages, and the connection is cut, too, in the end."""
    told: list[str] = []
    plan = draw(load(TWO_KINDS, "two"), 1)
    kinds = looked_for(run(plan, make_driver("lean")))
    assert len(kinds) == 2
    smaller = minimise(plan, "lean", tell=told.append, runs_max=60)
    assert looked_for(run(smaller, make_driver("lean"))) == kinds


def test_it_ends_when_its_runs_are_used_up() -> None:
    plan, runs, told = minimised(PLAN, runs_max=10)
    assert runs == 10
    assert a_planted_bug(plan)
    assert "no more runs" in told[-1]


def test_progress_is_told() -> None:
    _, _, told = minimised(PLAN)
    assert told[0].startswith("faults: 1 of 41 are needed")


def test_a_node_takes_with_it_what_concerns_it() -> None:
    plan = with_nodes(PLAN, [2, 3])
    assert plan.nodes[0] == NodePlan(2, knows=(2, 3), follows=(2, 3))
    assert {each.node for each in plan.operations} == {2}  # to 3; those of 3 were about 4
    assert [each.nodes for each in plan.faults if each.fault is Fault.SKEW] == [(2, 3)]
    assert all(each.nodes for each in plan.faults)


def test_a_fault_of_all_nodes_stays_one_of_all() -> None:
    everywhere = PlannedFault(1, 2, Fault.LOSS, amount=0.5)
    plan = with_nodes(Plan("all", 1, PLAN.nodes, 9, 9, faults=(everywhere,)), [1])
    assert plan.faults == (everywhere,)


@given(st.sets(st.integers(0, 40), max_size=5), st.integers(1, 41))
def test_ddmin_finds_just_what_is_needed(wanted: set[int], size: int) -> None:
    wanted = {each for each in wanted if each < size}

    def fails(items: Sequence[int]) -> bool:
        return wanted <= set(items)

    assert list(needed(range(size), fails)) == sorted(wanted)
