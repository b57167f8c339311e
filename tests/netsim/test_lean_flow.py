"""Who can't keep up makes others wait: nothing piles up in between."""

import pytest

from netsim.faults import Faults
from netsim.lean import LeanDriver
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault
from netsim.running import make_world
from netsim.world import World
from qbix_node.feeds.records import read_heads
from qbix_node.replication.remote.service import UNSETTLED_MAX

WRITER, READER = 0, 1
COUNT, TEXT_BYTES = 1500, 7000


def caught_up(slow_s: float, unread: int = 1 << 20) -> tuple[World, list[tuple[float, int]]]:
    """The reader comes when all is written. Also how many bytes had been sent at which time."""
    nodes = (NodePlan(WRITER), NodePlan(READER, knows=(WRITER,), follows=(WRITER,)))
    said = [
        Operation(1 + n / 100, WRITER, Do.PUBLISH, number=n, size=TEXT_BYTES) for n in range(COUNT)
    ]
    faults = (
        PlannedFault(0, 20, Fault.RESTART, (READER,)),
        PlannedFault(0, 100, Fault.SLOW_DISK, (READER,), slow_s),
    )
    settings = {"unread_bytes_per_peer_max": unread}
    plan = Plan("flow", 1, nodes, 200, 0, operations=tuple(said), faults=faults, settings=settings)
    world = make_world(plan, LeanDriver())
    carrying_out = Faults(world)
    for fault in faults:
        world.loop.at(fault.at_s, carrying_out.begin, fault)
        world.loop.at(fault.at_s + fault.for_s, carrying_out.end, fault)
    for operation in said:
        world.loop.at(operation.at_s, lambda each=operation: world.members[WRITER].ask(each))
    sent: list[tuple[float, int]] = []
    for second in range(200):
        world.loop.at(second, lambda: sent.append((world.loop.now, world.journal.bytes)))
    world.loop.at(200, lambda: setattr(world, "over", True))
    LeanDriver().run(world)
    return world, sent


def head(world: World) -> int:
    return read_heads(world.sites[READER].disk)[world.sites[WRITER].feed].sequence


@pytest.mark.parametrize("unread", [1 << 18, 1 << 20])
def test_a_reader_with_a_slow_disk_is_not_sent_all_at_once(unread: int) -> None:
    world, sent = caught_up(50, unread)
    (ahead,) = [so_far for now, so_far in sent if now == 60]
    assert (
        UNSETTLED_MAX * TEXT_BYTES
        < ahead
        < UNSETTLED_MAX * (TEXT_BYTES + 1000) + unread + (1 << 20)
    )  # what is in flight
    assert head(world) == COUNT


def test_a_reader_with_a_quick_disk_is_sent_all_in_a_few_seconds() -> None:
    world, sent = caught_up(slow_s=0)
    (ahead,) = [so_far for now, so_far in sent if now == 30]
    assert ahead > COUNT * TEXT_BYTES
    assert head(world) == COUNT
