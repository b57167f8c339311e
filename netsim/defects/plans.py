"""Short runs, each the ground for some defects: from a seed, a plan of a few nodes."""

from dataclasses import replace

from netsim.plan import Conditions, Do, Fault, NodePlan, Operation, Plan, PlannedFault, Range

NODES = 6
SETTLE_S = 150.0
BLOB_BYTES = 40_000


def plan(
    name: str,
    seed: int,
    *,
    nodes: tuple[NodePlan, ...] = (),
    operations: tuple[Operation, ...] = (),
    faults: tuple[PlannedFault, ...] = (),
    duration_s: float = 12.0,
    settle_s: float = SETTLE_S,
) -> Plan:
    return Plan(
        f"defects/{name}",
        seed,
        nodes or ring(),
        duration_s,
        settle_s,
        operations=operations,
        faults=faults,
    )


def ring(count: int = NODES, *, step: int = 2, **roles: int) -> tuple[NodePlan, ...]:
    """Everybody follows all and knows the next ones; `roles`: the number of who has one."""
    by_number = {number: role for role, number in roles.items()}
    return tuple(
        [
            NodePlan(
                number,
                role=by_number.get(number, "honest"),
                knows=tuple([(number + far) % count for far in range(1, step + 1)]),
                follows=tuple([other for other in range(count) if other != number]),
            )
            for number in range(count)
        ]
    )


def writing(
    *, count: int = 30, nodes: int = NODES, from_s: float = 0.5, every_s: float = 0.3
) -> tuple[Operation, ...]:
    """Everybody publishes in turn; each seventh message is private."""
    return tuple(
        [
            Operation(
                from_s + every_s * number,
                number % nodes,
                Do.PUBLISH,
                target=(number + 1) % nodes if number % 7 == 0 else None,
                number=number,
                size=60,
            )
            for number in range(count)
        ]
    )


def writers(seed: int) -> Plan:
    return plan("writers", seed, operations=writing())


def power_cuts(seed: int) -> Plan:
    """In the midst of writing, on slow disks."""
    faults = tuple(
        [PlannedFault(2.0 + 1.7 * n, 1.5, Fault.POWER_CUT, (n % NODES,)) for n in range(5)]
    )
    made = plan("power cuts", seed, operations=writing(every_s=0.2, count=50), faults=faults)
    return replace(made, conditions=Conditions(sync_s=Range(0.05, 0.3)))


def torn_batches(seed: int) -> Plan:
    faults = tuple(
        [PlannedFault(2.0 + 1.7 * n, 1.5, Fault.TORN_BATCH, (n % NODES,)) for n in range(5)]
    )
    made = plan("torn batches", seed, operations=writing(every_s=0.1, count=100), faults=faults)
    return replace(made, conditions=Conditions(sync_s=Range(0.05, 0.3)))


def twins(seed: int) -> Plan:
    """Two messages in one moment, and a clock that goes back."""
    operations = tuple([replace(each, at_s=each.at_s // 1) for each in writing(nodes=2, count=20)])
    fault = PlannedFault(4.0, 6.0, Fault.SKEW, (0,), -5000.0)
    return plan("twins", seed, operations=operations, faults=(fault,))


# ---- byzantine ----

_LAST = NODES - 1


def equivocator(seed: int) -> Plan:
    """The second branch grows faster, so that it is longer wherever the two meet."""
    nodes = tuple([replace(n, amount=5.0) for n in ring(equivocator=_LAST)])
    return plan("equivocator", seed, nodes=nodes, operations=writing(count=40))


def equivocator_and_restarts(seed: int) -> Plan:
    made = equivocator(seed)
    faults = tuple([PlannedFault(8.0, 1.0, Fault.RESTART, (n,)) for n in range(_LAST)])
    later = writing(count=18, from_s=9.5, every_s=0.1)
    return replace(made, operations=(*made.operations, *later), faults=faults)


def forger(seed: int) -> Plan:
    return plan("forger", seed, nodes=ring(forger=_LAST), operations=writing())


def replayer(seed: int) -> Plan:
    return plan("replayer", seed, nodes=ring(replayer=_LAST), operations=writing())


def withholder(seed: int) -> Plan:
    nodes = tuple([replace(n, amount=1.0) for n in ring(withholder=_LAST)])
    return plan("withholder", seed, nodes=nodes, operations=writing())


def liar(seed: int) -> Plan:
    return plan("liar", seed, nodes=ring(liar=_LAST), operations=writing())


def insistent(seed: int) -> Plan:
    """Node 5 says to have less than it was sent, and then says nothing any more."""
    nodes = tuple([replace(n, amount=3.0) for n in ring(liar=_LAST)])
    hold = PlannedFault(8.0, 28.0, Fault.HOLD, (_LAST,))
    return plan(
        "insistent", seed, nodes=nodes, operations=writing(), faults=(hold,), duration_s=40.0
    )


def flooder(seed: int) -> Plan:
    nodes = tuple([replace(n, amount=2.0) for n in ring(flooder=_LAST)])
    return plan("flooder", seed, nodes=nodes, operations=writing())


def blob_liar(seed: int) -> Plan:
    nodes = tuple([replace(n, amount=1.0) for n in ring(blob_liar=_LAST)])
    return plan("blob liar", seed, nodes=nodes, operations=sharing())


# ---- links ----


def outage(seed: int) -> Plan:
    """Half of the nodes are away for a while, so that dials fail."""
    faults = (
        PlannedFault(2.0, 3.0, Fault.CRASH, (0, 2, 4)),
        PlannedFault(6.0, 3.0, Fault.POWER_CUT, (1, 3)),
    )
    return plan("outage", seed, operations=writing(), faults=faults)


def collisions(seed: int) -> Plan:
    """Everybody knows everybody, so that both sides dial at once."""
    faults = tuple([PlannedFault(2.0 + 2 * n, 0.1, Fault.CUT, (n,)) for n in range(4)])
    return plan("collisions", seed, nodes=ring(step=NODES - 1), operations=writing(), faults=faults)


def roll_back(seed: int) -> Plan:
    """To a copy that was made while node 1 was stopped. What it and its peers remember of each
    other then fits what both have, so that only mistrust makes them ask.
    """
    stops = [PlannedFault(at_s, 1.0, Fault.RESTART, (1,)) for at_s in (5.0, 12.0, 26.0)]
    back = PlannedFault(36.0, 1.0, Fault.ROLL_BACK, (1,), 23.5)
    later = [each for each in writing(count=12, from_s=20.0) if each.node != 1]
    operations = (*writing(count=12), *later)
    return plan("roll back", seed, operations=operations, faults=(*stops, back), duration_s=40.0)


def restore(seed: int) -> Plan:
    """The same with all of the folder, after node 1 has published; it can't know."""
    made = roll_back(seed)
    back = replace(made.faults[-1], fault=Fault.RESTORE)
    last = Operation(38.5, 1, Do.PUBLISH, number=24, size=60)
    operations = (*writing(count=12), *writing(count=12, from_s=20.0), last)
    return replace(made, operations=operations, faults=(*made.faults[:-1], back))


# ---- what people do ----


def follows(seed: int) -> Plan:
    changes = tuple(
        [
            Operation(1.0 + 0.9 * n, n % NODES, do, target=(n + 3) % NODES)
            for n in range(8)
            for do in ((Do.UNFOLLOW,) if n < 5 else (Do.UNFOLLOW, Do.FOLLOW))
        ]
    )
    operations = tuple(sorted((*writing(count=60, every_s=0.15), *changes), key=_when))
    return plan("follows", seed, operations=operations)


def follows_on_slow_disks(seed: int) -> Plan:
    made = follows(seed)
    busy = tuple(sorted((*writing(count=120, every_s=0.08), *made.operations), key=_when))
    return replace(made, operations=busy, conditions=Conditions(sync_s=Range(0.1, 0.5)))


def refused_by_both(seed: int) -> Plan:
    """Of two neighbours first one and then the other does not replicate the feed of node 3."""
    nodes = (
        NodePlan(0, knows=(1, 3), follows=(1, 3, 4, 2)),
        NodePlan(1, knows=(2, 4), follows=(0, 3)),
        NodePlan(2, knows=(4,), follows=(0, 1)),
        NodePlan(3, follows=(0,)),
        NodePlan(4, follows=(0, 1, 3)),
    )
    operations = (
        Operation(2.0, 4, Do.UNFOLLOW, target=3),
        Operation(3.0, 3, Do.PUBLISH, number=1, size=60),
        Operation(5.0, 2, Do.FOLLOW, target=3),
        Operation(7.0, 1, Do.UNFOLLOW, target=3),
        Operation(10.0, 4, Do.FOLLOW, target=3),
    )
    return plan("refused by both", seed, nodes=nodes, operations=operations)


def blocks(seed: int) -> Plan:
    changes = (
        Operation(2.0, 0, Do.BLOCK, target=1),
        Operation(3.0, 2, Do.BLOCK, target=1),
        Operation(5.0, 3, Do.BLOCK, target=4),
        Operation(8.0, 2, Do.UNBLOCK, target=1),
    )
    return plan("blocks", seed, operations=tuple(sorted((*writing(), *changes), key=_when)))


def source_blocked(seed: int) -> Plan:
    """Node 0 comes late to two peers that have much to give, and blocks one while it gives."""
    full = (1, 2, 3)
    nodes = (
        NodePlan(0, knows=(1, 2), follows=full),
        NodePlan(1, knows=(2, 3), follows=(2, 3)),
        NodePlan(2, knows=(1, 3), follows=(1, 3)),
        NodePlan(3, knows=(1, 2), follows=(1, 2)),
    )
    publish = tuple(
        [Operation(0.2 + 0.01 * n, 3, Do.PUBLISH, number=n, size=3000) for n in range(200)]
    )
    block = (Operation(11.2, 0, Do.BLOCK, target=1),)
    late = PlannedFault(0.0, 10.0, Fault.RESTART, (0,))
    made = plan("source blocked", seed, nodes=nodes, operations=(*publish, *block), faults=(late,))
    return replace(made, conditions=Conditions(bandwidth_bytes_s=300_000.0))


def sharing(*, blobs: int = 4, size: int = BLOB_BYTES) -> tuple[Operation, ...]:
    """Nodes add blobs, and those across the ring want them."""
    adds = [
        Operation(0.5 + 0.2 * n, n % NODES, Do.ADD_BLOB, number=n, size=size) for n in range(blobs)
    ]
    wants = [
        Operation(2.0 + 0.5 * n, (n + 3) % NODES, Do.WANT_BLOB, n % NODES, n, size)
        for n in range(blobs)
    ]
    return (*adds, *wants)


def wants(seed: int) -> Plan:
    """In a ring of single links, so that sympathy has to bring what is wanted."""
    nobodys = Operation(1.0, 0, Do.WANT_BLOB, target=0, number=99, size=BLOB_BYTES)
    operations = (nobodys, *sharing())
    made = plan("wants", seed, nodes=ring(step=1), operations=operations)
    return replace(made, conditions=Conditions(sync_s=Range(0.05, 0.2)))


def sharing_on_slow_disks(seed: int) -> Plan:
    """What is written of messages and of wants waits for each other, and goes into one batch."""
    operations = tuple(sorted((*writing(count=100, every_s=0.1), *sharing(blobs=12)), key=_when))
    made = plan("sharing on slow disks", seed, operations=operations)
    return replace(made, conditions=Conditions(sync_s=Range(0.3, 0.6)))


def crowded_blobs(seed: int) -> Plan:
    """Room for two blobs by sympathy; what came so is wanted by the operator later."""
    operations = sharing(blobs=12)
    also = tuple(
        [
            Operation(2.4 + 0.5 * n, (n + 1) % NODES, Do.WANT_BLOB, n % NODES, n, BLOB_BYTES)
            for n in range(6)
        ]
    )
    made = plan(
        "crowded blobs",
        seed,
        nodes=ring(step=1),
        operations=tuple(sorted((*operations, *also), key=_when)),
        duration_s=20.0,
    )
    return replace(made, settings={"sympathy_bytes_max": 2 * 64 * 1024})


def kept_and_cut(seed: int) -> Plan:
    """The power of node 1 is cut just when its operator has wanted what it had by sympathy."""
    cut = PlannedFault(2.403, 1.0, Fault.POWER_CUT, (1,))
    conditions = Conditions(sync_s=Range(0.01, 0.02))
    return replace(crowded_blobs(seed), faults=(cut,), conditions=conditions)


def _when(operation: Operation) -> float:
    return operation.at_s
