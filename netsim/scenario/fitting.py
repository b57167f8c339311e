"""Whether the parts of a scenario fit together: there are as many nodes of each kind as it needs,
whatever the seed draws.
"""

from typing import TYPE_CHECKING

from netsim.plan import Do
from netsim.scenario.byzantine import HONEST, HONEST_MIN
from netsim.scenario.listed import ANY_NODE
from qbix_node.errors import BadInput

if TYPE_CHECKING:
    from netsim.scenario.scenario import Scenario


def refuse_misfits(scenario: "Scenario") -> None:
    """Raises BadInput."""
    liars = [rule.number for rule in scenario.node_rules if rule.role not in (None, HONEST)]
    if len(liars) >= scenario.nodes.low:
        raise BadInput(f"{scenario.source}: node: one node at least has to be honest")
    _refuse_castings(scenario)
    _refuse_picks(scenario, scenario.nodes.low - len(liars) - _cast_most(scenario))
    if not scenario.castings and not scenario.swarm.roles:
        _refuse_deeds(scenario, liars)


def _free(scenario: "Scenario") -> int:
    """Nodes that roles can be drawn for."""
    listed = sum(rule.role is not None for rule in scenario.node_rules)
    return max(0, scenario.nodes.low - listed - HONEST_MIN)


def _cast_most(scenario: "Scenario") -> int:
    swarm = scenario.swarm
    drawn = swarm.roles_most if swarm.roles else 0
    drawn += 2 * swarm.stream_roles_most if swarm.stream_roles else 0
    drawn += 1 if swarm.sharing_roles else 0
    said = sum(each.portion.of(scenario.nodes.low) for each in scenario.castings)
    return min(_free(scenario), drawn + said)


def _refuse_castings(scenario: "Scenario") -> None:
    """A share is cut down to what there is; a number is meant."""
    wanted = sum(each.portion.count for each in scenario.castings)
    if wanted > _free(scenario):
        raise BadInput(
            f"{scenario.source}: byzantine: of {scenario.nodes.low} nodes, {HONEST_MIN} that are "
            f"drawn stay honest: at most {_free(scenario)} are expected, not {wanted}"
        )


def _refuse_picks(scenario: "Scenario", honest: int) -> None:
    picks = {
        f"fault.{place}.pick": rule.pick.count
        for place, rule in enumerate(scenario.fault_rules)
        if rule.pick
    }
    for key, count in {**picks, "workload.late": scenario.workload.late.count}.items():
        if count > honest:
            raise BadInput(
                f"{scenario.source}: {key}: at most {honest} are expected, "
                f"as many as there surely are honest nodes, not {count}"
            )


def _refuse_deeds(scenario: "Scenario", liars: list[int]) -> None:
    for place, rule in enumerate(scenario.operation_rules):
        if rule.do is Do.ACT and (rule.node == ANY_NODE or rule.node not in liars):
            raise BadInput(
                f"{scenario.source}: operation.{place}.node: a byzantine node is expected, "
                f"for honest ones have no deeds"
            )
