"""The lean simulator: how fast networks live in it, and how large they may be (docs/netsim.md).

Checks of a run are left out. The large network is a process of its own, which this module is too:
`large NODES` prints what it took, as JSON.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench import Figure
from netsim.lean import LeanDriver
from netsim.plan import Do, NodePlan, Operation, Plan
from netsim.running import make_world
from netsim.signatures import VERDICTS
from netsim.world import World
from qbix_node.crypto.keys import verify
from qbix_node.feeds.records import read_log
from qbix_node.feeds.validation import signature_check

NODES = 100
LARGE = 10_000
STEPS = (1, 7, 19, 41)  # around the ring, to whom a node dials: so each has eight peers
LARGE_STEPS = (1, 77, 1234, 4321)
WARM_S, GOSSIP_S, IDLE_S = 30.0, 60.0, 600.0
ROUNDS = 3
CHECKS = 500


@dataclass(frozen=True, slots=True)
class Spent:
    cpu_s: float
    packets: int
    checked: int  # signatures, really


def network(
    nodes: int, steps: tuple[int, ...], *, seed: int, every_s: float, end_s: float, all_: bool
) -> Plan:
    """Some node says something `every_s`, once it is warm. `all_`: everybody follows everybody."""

    def near(number: int) -> tuple[int, ...]:
        return tuple([(number + step) % nodes for step in steps])

    def follows(number: int) -> tuple[int, ...]:
        everybody = range(nodes) if all_ else near(number)
        return tuple([other for other in everybody if other != number])

    places = tuple([NodePlan(n, knows=near(n), follows=follows(n)) for n in range(nodes)])
    said = [
        Operation(WARM_S + n * every_s, n * 37 % nodes, Do.PUBLISH, number=n, size=200)
        for n in range(int((end_s - WARM_S) / every_s))
    ]
    return Plan("bench", seed, places, end_s, 0.0, operations=tuple(said))


def live(plan: Plan) -> tuple[World, Spent]:
    """What the time after WARM_S took."""
    driver = LeanDriver()
    world = make_world(plan, driver)
    for operation in plan.operations:
        world.loop.at(operation.at_s, _ask(world, operation))
    began: list[Spent] = []
    world.loop.at(WARM_S, lambda: began.append(_so_far(world)))
    world.loop.at(plan.duration_s, lambda: setattr(world, "over", True))
    driver.run(world)
    start, end = began[0], _so_far(world)
    return world, Spent(
        end.cpu_s - start.cpu_s, end.packets - start.packets, end.checked - start.checked
    )


def _ask(world: World, operation: Operation) -> Callable[[], None]:
    return lambda: world.members[operation.node].ask(operation)


def _so_far(world: World) -> Spent:
    return Spent(time.process_time(), world.journal.messages, VERDICTS.checked)


def gossip(seed: int) -> tuple[World, Spent]:
    end_s = WARM_S + GOSSIP_S
    plan = network(NODES, STEPS, seed=seed, every_s=1.0, end_s=end_s, all_=True)
    return live(plan)


def idle(seed: int) -> Spent:
    end_s = WARM_S + IDLE_S
    plan = network(NODES, STEPS, seed=seed, every_s=IDLE_S + 1, end_s=end_s, all_=True)
    return live(plan)[1]


def large(nodes: int) -> dict[str, float]:
    """All at once, each with eight peers and four feeds; some publish."""
    began_s = time.process_time()
    plan = network(nodes, LARGE_STEPS, seed=1, every_s=0.1, end_s=WARM_S + 10, all_=False)
    world, spent = live(plan)
    return {
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "cpu_s": time.process_time() - began_s,
        "packets": world.journal.messages,
        "gossip_packets": spent.packets,
    }


def check_s(world: World) -> float:
    """Of one bare check of a message that was gossiped."""
    site = world.sites[0]
    message = read_log(site.disk, site.feed, 1, 1)[0].message()
    check = signature_check(message)
    start_s = time.process_time()
    assert all(verify(check.key, check.body, check.signature) for _ in range(CHECKS))
    return (time.process_time() - start_s) / CHECKS


def run() -> dict[str, Figure]:
    command = [sys.executable, "-m", "bench.simulator", "large", str(LARGE)]
    big = json.loads(subprocess.check_output(command, text=True))  # noqa: S603  (this module)
    rounds = [gossip(seed) for seed in range(ROUNDS)]
    spent = [each for _, each in rounds]
    bare_s = check_s(rounds[0][0])
    first = spent[0]  # later ones know its signatures
    share = first.checked * bare_s / first.cpu_s

    def plain(value: float, unit: str, goal: float | None = None) -> Figure:
        return Figure(value=value, unit=unit, limit=None, limit_is="", goal=goal)

    gossip_ms = 1000 * median([each.cpu_s for each in spent]) / GOSSIP_S
    idle_ms = 1000 * median([idle(seed).cpu_s for seed in range(ROUNDS)]) / IDLE_S
    return {
        # 300 times as fast as real time, and 50 times.
        "100 idle nodes, a second": plain(idle_ms, "ms", 1000 / 300),
        "100 nodes that gossip, a second": plain(gossip_ms, "ms", 1000 / 50),
        "a packet among these": Figure(
            value=1e6 * median([each.cpu_s / each.packets for each in spent]),
            unit="us",
            limit=1e6 * bare_s,
            limit_is="us, a bare check",
            goal=None,
        ),
        "share of that for signatures": plain(100 * share, "%"),
        "10,000 nodes": plain(big["mib"], "MiB", 2048),
        "10,000 nodes, a node": plain(1000 * big["cpu_s"] / LARGE, "ms"),
    }


def main(arguments: list[str]) -> None:
    match arguments:
        case ["large", nodes]:
            print(json.dumps(large(int(nodes))))
        case _:
            print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
