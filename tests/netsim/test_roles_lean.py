"""Each byzantine program against five honest nodes, in whole runs of the lean driver."""

import pytest

from netsim import facts
from netsim.lean import LeanDriver
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault
from netsim.roles import NAMES
from netsim.roles.equivocator import Showing
from netsim.roles.owning import STREAMS
from netsim.running import Outcome, run
from netsim.world import Load, World
from qbix_node.blobs.limits import Limits as BlobLimits
from qbix_node.feeds.machine import WAITING_MAX
from qbix_node.feeds.messages import ForkFound
from qbix_node.net.limits import Limits

HONEST = range(1, 6)
LOOK_S = 0.5


class Watched(LeanDriver):
    """Looks at what honest nodes keep in memory, all the time."""

    def __init__(self) -> None:
        self.loads: list[Load] = []
        self.misdeeds: list[str] = []
        self.found: set[int] = set()  # who found a fork

    def run(self, world: World) -> None:
        def look() -> None:
            self.loads += [world.members[node].load() for node in HONEST]
            world.loop.after(LOOK_S, look)

        def watch(node: int, fact: object) -> None:
            if isinstance(fact, facts.Misdeed):
                assert node == 0
                self.misdeeds.append(fact.name)
            if isinstance(fact, ForkFound):
                self.found.add(node)

        world.journal.watch(watch)
        world.loop.after(LOOK_S, look)
        super().run(world)


def plan(role: str, *, amount: float = 0.0, faults: tuple[PlannedFault, ...] = ()) -> Plan:
    """Everybody knows and follows everybody, writes and shares blobs; node 0 plays the role."""
    every = range(6)
    nodes = [
        NodePlan(
            number,
            role="honest" if number else role,
            amount=0.0 if number else amount,
            knows=tuple([other for other in every if other != number]),
            follows=tuple([other for other in every if other != number]),
        )
        for number in every
    ]
    operations = [
        *[
            Operation(1 + 3.0 * turn + 0.3 * node, node, Do.PUBLISH, number=turn, size=100)
            for node in every
            for turn in range(6)
        ],
        *[Operation(2.0 + node, node, Do.ADD_BLOB, number=1, size=50_000) for node in HONEST],
        *[
            Operation(5.0 + node, node % 5 + 1, Do.WANT_BLOB, target=node, number=1, size=50_000)
            for node in HONEST
        ],
        *[
            Operation(2.0 + node / 100, node, Do.FOLLOW_STREAM, target=0, number=number)
            for node in HONEST
            for number in range(STREAMS)
        ],
        *[Operation(9.0 + 5 * turn, 0, Do.ACT, number=turn) for turn in range(3)],
        *shared_stream(role),
    ]
    operations.sort(key=lambda operation: operation.at_s)
    return Plan(
        "roles",
        1,
        tuple(nodes),
        duration_s=25.0,
        settle_s=120.0,
        operations=tuple(operations),
        faults=faults,
    )


def shared_stream(role: str) -> list[Operation]:
    """One that node 0 owns together with others, first or last among them."""
    if role not in ("stream_sequencer", "stream_cosigner"):
        return []
    owner, other = (0, 1) if role == "stream_sequencer" else (1, 0)
    number = STREAMS
    begun = Operation(1.0, owner, Do.CREATE_STREAM, number=number, owners=(other, 2), threshold=2)
    follows = [Operation(1.2, node, Do.FOLLOW_STREAM, owner, number) for node in HONEST]
    appends = [Operation(6.0 + at, 2, Do.APPEND_STREAM, owner, number, 50) for at in range(9)]
    return [begun, *[each for each in follows if each.node != owner], *appends]


def well(outcome: Outcome) -> None:
    assert outcome.violations == ()
    assert outcome.stalled == ()


@pytest.mark.parametrize("name", NAMES)
def test_five_honest_nodes_come_to_the_same_whatever_the_sixth_does(name: str) -> None:
    driver = Watched()
    well(run(plan(name), driver))
    assert driver.misdeeds or name in ("silent", "slow_reader")
    for load in driver.loads:
        assert load.waiting_messages <= WAITING_MAX
        assert load.connections <= Limits().connections_max
        assert load.wants <= BlobLimits().wants_max


@pytest.mark.parametrize("name", ["equivocator", "eclipser", "forger", "replayer", "withholder"])
def test_they_do_so_while_links_and_nodes_fail_too(name: str) -> None:
    faults = (
        PlannedFault(3.0, 6.0, Fault.PARTITION, (1, 2)),
        PlannedFault(8.0, 5.0, Fault.POWER_CUT, (3,)),
        PlannedFault(9.0, 4.0, Fault.CRASH, (0,)),
        PlannedFault(12.0, 8.0, Fault.LOSS, (), 0.1),
        PlannedFault(18.0, 0.0, Fault.CUT, (4,)),
    )
    well(run(plan(name, faults=faults), LeanDriver()))


@pytest.mark.parametrize("showing", [Showing.LATE, Showing.ALL])
def test_a_fork_that_everybody_is_shown_is_found_by_all(showing: Showing) -> None:
    driver = Watched()
    well(run(plan("equivocator", amount=showing), driver))
    assert driver.found == set(HONEST)


def test_a_fork_of_unequal_branches_is_found_by_who_has_the_shorter_one() -> None:
    driver = Watched()
    well(run(plan("equivocator", amount=Showing.UNEQUAL), driver))
    assert driver.found
    assert driver.found < set(HONEST)


@pytest.mark.parametrize("name", ["blob_liar", "eclipser", "equivocator", "forger", "replayer"])
def test_a_run_with_a_role_repeats(name: str) -> None:
    first, second = (run(plan(name), LeanDriver()).trace_sha256 for _ in range(2))
    assert first == second
