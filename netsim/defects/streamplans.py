"""Short runs with streams, each the ground for some defects."""

from dataclasses import replace

from netsim.defects.plans import NODES, plan, ring
from netsim.plan import Conditions, Do, Fault, Operation, Plan, PlannedFault, Range
from netsim.roles.owning import STREAMS

_LAST = NODES - 1


def appending(*, count: int = 24, from_s: float = 1.0, every_s: float = 0.4) -> list[Operation]:
    """Nodes 0 and 1 append to their streams in turn."""
    return [
        Operation(from_s + every_s * n, n % 2, Do.APPEND_STREAM, size=80, entries=1 + n % 3)
        for n in range(count)
    ]


def beginning(*, private: bool = False) -> list[Operation]:
    """Nodes 0 and 1 make a stream each, and all others follow both."""
    made = [
        Operation(0.3, node, Do.CREATE_STREAM, target=3 if private else None) for node in range(2)
    ]
    followed = [
        Operation(0.4 + 0.02 * node, node, Do.FOLLOW_STREAM, target=owner)
        for node in range(NODES)
        for owner in range(2)
        if node != owner
    ]
    return [*made, *followed]


def streams(seed: int) -> Plan:
    return plan("streams", seed, operations=(*beginning(), *appending()))


def private_streams(seed: int) -> Plan:
    """For nodes with odd numbers; the others follow them, too."""
    operations = (*beginning(private=True), *appending())
    return plan("private streams", seed, operations=operations)


def streams_on_slow_disks(seed: int) -> Plan:
    made = replace(streams(seed), scenario="defects/streams on slow disks")
    return replace(made, conditions=Conditions(sync_s=Range(0.5, 1.5)))


def streams_and_power_cuts(seed: int) -> Plan:
    faults = tuple(
        [PlannedFault(2.0 + 1.7 * n, 1.5, Fault.POWER_CUT, (n % NODES,)) for n in range(5)]
    )
    return replace(streams(seed), scenario="defects/streams and power cuts", faults=faults)


def made_twice(seed: int) -> Plan:
    """Node 0 is stopped and started, and asked to make the stream that it has made before."""
    stop = PlannedFault(8.0, 1.0, Fault.RESTART, (0,))
    again = Operation(10.0, 0, Do.CREATE_STREAM)
    later = appending(count=6, from_s=10.02)
    operations = (*beginning(), *appending(count=12), again, *later)
    return plan("made twice", seed, operations=operations, faults=(stop,), duration_s=15.0)


def owner_restored(seed: int) -> Plan:
    """Node 0 is put back to a copy that was made while it was stopped, and appends at once."""
    stop = PlannedFault(3.0, 1.5, Fault.RESTART, (0,))
    back = PlannedFault(9.0, 1.0, Fault.RESTORE, (0,), 5.0)
    later = appending(count=8, from_s=10.001, every_s=0.1)
    operations = (*beginning(), *appending(count=18), *later)
    return plan("owner restored", seed, operations=operations, faults=(stop, back), duration_s=14.0)


def some_followed(seed: int) -> Plan:
    """Those with even numbers follow nothing; node 3 no longer does after a while."""
    operations = [each for each in beginning() if each.do is Do.CREATE_STREAM or each.node % 2]
    gone = Operation(4.0, 3, Do.UNFOLLOW_STREAM, target=0)
    return plan("some followed", seed, operations=(*operations, *appending(), gone))


# ---- byzantine ----


def _of_role(name: str, seed: int, role: str, amount: float, *, duration_s: float = 20.0) -> Plan:
    nodes = [replace(n, amount=amount if n.role == role else 0.0) for n in ring(**{role: _LAST})]
    follows = [
        Operation(0.3 + 0.02 * node, node, Do.FOLLOW_STREAM, target=_LAST, number=number)
        for node in range(_LAST)
        for number in range(STREAMS)
    ]
    operations = tuple(follows)
    return plan(name, seed, nodes=tuple(nodes), operations=operations, duration_s=duration_s)


def two_branches(seed: int) -> Plan:
    return _of_role("two branches", seed, "stream_equivocator", 1)


def two_branches_in_a_line(seed: int) -> Plan:
    """All but node 0, at its end, have the second branch and hear of no other by themselves."""
    made = two_branches(seed)
    knows = {_LAST: (0, 1), **{n: (n + 1,) for n in range(_LAST - 1)}}
    nodes = tuple([replace(n, knows=knows.get(n.number, ())) for n in made.nodes])
    return replace(made, scenario="defects/two branches in a line", nodes=nodes)


def proven_and_restarted(seed: int) -> Plan:
    made = two_branches(seed)
    faults = tuple([PlannedFault(10.0, 1.0, Fault.RESTART, (n,)) for n in range(_LAST)])
    return replace(made, scenario="defects/proven and restarted", faults=faults)


def forged_heads(seed: int) -> Plan:
    return _of_role("forged Heads", seed, "stream_liar", 2)


def a_branch_chosen(seed: int) -> Plan:
    """By the owner, of two of its streams."""
    return _chosen("a branch chosen", seed, (0, 1))


def chosen_twice(seed: int) -> Plan:
    """First the one branch, then the other: some hear of the one first, some of the other."""
    made = _chosen("chosen twice", seed, (0,))
    faults = [
        fault
        for at_s, for_s, nodes in ((13.0, 5.0, (0, 1, 2)), (15.5, 6.5, (3, 4)))
        for fault in (
            PlannedFault(at_s, for_s, Fault.PARTITION, nodes),
            PlannedFault(at_s + 0.1, 0.0, Fault.CUT, nodes),
        )
    ]
    operations = (*made.operations, Operation(16.0, _LAST, Do.ACT, number=4))
    return replace(made, faults=tuple(faults), operations=operations, duration_s=26.0)


def _chosen(name: str, seed: int, deeds: tuple[int, ...]) -> Plan:
    made = _of_role(name, seed, "stream_equivocator", 1, duration_s=24.0)
    acts = [Operation(14.0 + 0.5 * deed, _LAST, Do.ACT, number=deed) for deed in deeds]
    return replace(made, operations=(*made.operations, *acts))


def contents_dropped(seed: int) -> Plan:
    """Two nodes drop what they have of a stream, and one of them fetches it again."""
    changes = (
        Operation(6.0, 2, Do.DROP_CONTENTS, target=0),
        Operation(6.5, 3, Do.DROP_CONTENTS, target=0),
        Operation(8.0, 3, Do.FETCH_CONTENTS, target=0),
    )
    operations = (*beginning(), *appending(), *changes)
    return plan("contents dropped", seed, operations=operations, duration_s=15.0)
