"""Draws the plan of one run from a scenario and a seed.

Everything has a sequence of chance of its own, so that changing one part of a scenario leaves what
is drawn of the others as it was.
"""

from collections.abc import Mapping

from netsim.chance import Chance
from netsim.plan import NodePlan, Operation, Plan, PlannedFault
from netsim.scenario.byzantine import HONEST, Cast, cast_roles
from netsim.scenario.limits import draw_setting
from netsim.scenario.listed import NodeRule, draw_faults, draw_operations
from netsim.scenario.overriding import override
from netsim.scenario.scenario import Scenario, read_document
from netsim.scenario.swarm import (
    draw_castings,
    draw_swarm_faults,
    vary_topology,
    vary_workload,
)
from netsim.scenario.topology import (
    LISTED,
    Topology,
    draw_edges,
    draw_follows,
    draw_known,
    neighbours_of,
)
from netsim.scenario.workload import draw_late, draw_workload


def draw(
    scenario: Scenario,
    seed: int,
    *,
    nodes: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> Plan:
    """`settings`: values of the file that are replaced, by their dotted keys. Raises BadInput."""
    changes = dict(settings or {})
    if nodes is not None:
        changes["run.nodes"] = str(nodes)
    if changes:
        document = override(scenario.document, changes)
        scenario = read_document(document, scenario.source)
    return _draw(scenario, Chance(seed))


def _draw(scenario: Scenario, chance: Chance) -> Plan:
    topology = vary_topology(scenario.swarm, scenario.topology, chance)
    numbers = _numbers(scenario, chance)
    cast = _cast(scenario, numbers, chance)
    plans = _nodes(scenario, topology, cast, chance)
    return Plan(
        scenario.name,
        chance.seed,
        tuple(plans.values()),
        scenario.duration_s,
        scenario.settle_s,
        scenario.conditions,
        topology.lan,
        _operations(scenario, plans, cast, chance),
        _faults(scenario, cast, chance),
        scenario.sometimes,
        _settings(scenario, chance),
        scenario.dht,
    )


def _settings(scenario: Scenario, chance: Chance) -> dict[str, float]:
    return {
        name: draw_setting(name, bounds, chance.draws(f"scenario/{name}"))
        for name, bounds in scenario.settings.items()
    }


def _numbers(scenario: Scenario, chance: Chance) -> list[int]:
    if scenario.topology.kind == LISTED:
        return list(scenario.numbers)
    low, high = scenario.nodes.low, scenario.nodes.high
    return list(range(low + chance.draws("scenario/nodes").below(high - low + 1)))


def _cast(scenario: Scenario, numbers: list[int], chance: Chance) -> Cast:
    listed = {rule.number: (rule.role, rule.amount) for rule in scenario.node_rules if rule.role}
    castings = [*scenario.castings, *draw_castings(scenario.swarm, chance)]
    return cast_roles(castings, numbers, listed, chance)


def _nodes(
    scenario: Scenario, topology: Topology, cast: Cast, chance: Chance
) -> dict[int, NodePlan]:
    count = len(cast.nodes)
    edges = draw_edges(topology, count, cast.honest, chance)
    neighbours, known = neighbours_of(edges), draw_known(topology, edges, chance)
    rules = {rule.number: rule for rule in scenario.node_rules}
    plans = {}
    for node in cast.nodes:
        follows = draw_follows(topology, node, count, neighbours.get(node, ()), chance)
        plan = _plan(node, cast, tuple(known.get(node, ())), follows)
        plans[node] = _said(plan, rules[node]) if node in rules else plan
    return plans


def _plan(node: int, cast: Cast, knows: tuple[int, ...], follows: tuple[int, ...]) -> NodePlan:
    role, amount = cast.roles.get(node, (HONEST, 0.0))
    return NodePlan(node, role, amount, knows, follows)


def _said(plan: NodePlan, rule: NodeRule) -> NodePlan:
    """What the file says of a node goes before what was drawn."""
    return NodePlan(
        plan.number,
        plan.role,
        rule.amount if rule.role else plan.amount,
        plan.knows if rule.knows is None else rule.knows,
        plan.follows if rule.follows is None else rule.follows,
    )


def _operations(
    scenario: Scenario, plans: Mapping[int, NodePlan], cast: Cast, chance: Chance
) -> tuple[Operation, ...]:
    work = vary_workload(scenario.swarm, scenario.workload, chance)
    operations = [
        *draw_operations(scenario.operation_rules, cast, chance),
        *draw_workload(work, plans, cast, chance),
    ]
    return tuple(sorted(operations, key=lambda each: each.at_s))


def _faults(scenario: Scenario, cast: Cast, chance: Chance) -> tuple[PlannedFault, ...]:
    work = vary_workload(scenario.swarm, scenario.workload, chance)
    faults = [
        *draw_faults(scenario.fault_rules, cast, scenario.duration_s, chance),
        *draw_late(work, cast, chance),
        *draw_swarm_faults(scenario.swarm, cast, scenario.duration_s, chance),
    ]
    return tuple(sorted(faults, key=lambda each: each.at_s))
