"""Short runs with streams that several own or write into, each the ground for some defects."""

from dataclasses import replace

from netsim.defects.plans import NODES, plan, ring
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault

_LAST = NODES - 1


def _begun(node: int, owners: tuple[int, ...], threshold: int) -> list[Operation]:
    others = [each for each in range(NODES) if each != node]
    return [
        Operation(
            0.5, node, Do.CREATE_STREAM, owners=owners, threshold=threshold, writers=(others[-1],)
        ),
        *[Operation(0.6 + 0.05 * each, each, Do.FOLLOW_STREAM, target=node) for each in others],
    ]


def _written(authors: tuple[int, ...], *, count: int = 24) -> list[Operation]:
    return [
        Operation(
            3.0 + 0.35 * n,
            authors[n % len(authors)],
            Do.APPEND_STREAM,
            0,
            size=80,
            entries=1 + n % 3,
        )
        for n in range(count)
    ]


def shared(seed: int) -> Plan:
    """Node 0 puts in order what nodes 1 and 2, who own the stream with it, and another write."""
    operations = (*_begun(0, (1, 2), 3), *_written((0, 1, 2, _LAST)))
    return plan("shared", seed, nodes=_all(), operations=operations, duration_s=15.0)


def shared_and_crashes(seed: int) -> Plan:
    """While one owner is away nothing is signed by enough, the sequencer and an author crash."""
    faults = (
        PlannedFault(4.0, 8.0, Fault.PARTITION, (2,)),
        PlannedFault(6.0, 0.3, Fault.CRASH, (_LAST,)),
        PlannedFault(7.5, 0.3, Fault.CRASH, (0,)),
    )
    return replace(shared(seed), scenario="defects/shared and crashes", faults=faults)


def two_orders(seed: int) -> Plan:
    """The sequencer proposes two orders to each of three owners; three of four have to sign."""
    nodes = [replace(each, amount=1.0 if each.number == 0 else 0.0) for each in _all(0)]
    operations = tuple(_begun(0, (1, 2, 3), 3))
    return plan("two orders", seed, nodes=tuple(nodes), operations=operations, duration_s=20.0)


def _all(false: int | None = None) -> tuple[NodePlan, ...]:
    """Everybody is connected with everybody."""
    roles = {"stream_sequencer": false} if false is not None else {}
    return tuple([replace(each, knows=tuple(range(each.number))) for each in ring(**roles)])
