"""What the lean driver's nodes do beside following each other."""

from collections.abc import Callable
from dataclasses import replace

from netsim import facts
from netsim.lean import LeanDriver
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault, blob_bytes
from netsim.running import Outcome, make_world, run
from netsim.world import World
from qbix_node.blobs.files import BlobFiles
from qbix_node.crypto.boxes import sha256
from qbix_node.feeds.records import read_heads, read_log
from qbix_node.net.records import read_peers
from qbix_node.ports import Put
from qbix_node.replication.clocks import clock_key
from qbix_node.wire.references import BlobId

A, B, C = 0, 1, 2
BLOB_BYTES = 300_000


def chain(*operations: Operation, faults: tuple[PlannedFault, ...] = (), lan: bool = False) -> Plan:
    """Bob knows Alice, Carol knows Bob, and all follow all."""
    nodes = (
        NodePlan(A, follows=(B, C)),
        NodePlan(B, knows=() if lan else (A,), follows=(A, C)),
        NodePlan(C, knows=() if lan else (B,), follows=(A, B)),
    )
    return Plan("chain", 7, nodes, 30.0, 60.0, lan=lan, operations=operations, faults=faults)


def publish(node: int, count: int, at_s: float = 1.0) -> tuple[Operation, ...]:
    return tuple([Operation(at_s + n / 100, node, Do.PUBLISH, number=n) for n in range(count)])


def lived(plan: Plan) -> World:
    """The world as a run of this plan leaves it, without checks that would end it early."""
    driver = LeanDriver()
    world = make_world(plan, driver)
    for operation in plan.operations:
        world.loop.at(operation.at_s, lambda each=operation: world.members[each.node].ask(each))
    world.loop.at(plan.duration_s + plan.settle_s, lambda: setattr(world, "over", True))
    driver.run(world)
    return world


def well(plan: Plan) -> Outcome:
    outcome = run(plan, LeanDriver())
    assert outcome.violations == ()
    assert outcome.stalled == ()
    return outcome


def head(world: World, node: int, author: int) -> int:
    found = read_heads(world.sites[node].disk).get(world.sites[author].feed)
    return found.sequence if found else 0


def test_a_long_feed_travels_over_several_hops() -> None:
    world = lived(chain(*publish(A, 700)))
    assert head(world, C, A) == 700
    copies = [
        [each.encoded for each in read_log(world.sites[n].disk, world.sites[A].feed, 1, 1000)]
        for n in (A, C)
    ]
    assert copies[0] == copies[1]


def test_nodes_find_each_other_by_shouting() -> None:
    assert head(lived(chain(*publish(A, 3), lan=True)), C, A) == 3


def test_a_blob_comes_through_who_does_not_want_it_itself() -> None:
    world = lived(
        chain(
            Operation(1, A, Do.ADD_BLOB, number=1, size=BLOB_BYTES),
            Operation(2, C, Do.WANT_BLOB, target=A, number=1, size=BLOB_BYTES),
        )
    )
    blob = BlobId(sha256(blob_bytes(A, 1, BLOB_BYTES)))
    files: BlobFiles = world.sites[C].files
    assert files.intact(blob)
    assert world.members[B].load().sympathy_bytes == BLOB_BYTES


def test_a_removed_blob_is_gone() -> None:
    world = lived(
        chain(
            Operation(1, A, Do.ADD_BLOB, number=1, size=10),
            Operation(2, A, Do.REMOVE_BLOB, number=1, size=10),
        )
    )
    assert world.sites[A].files.sizes() == {}


def test_a_private_message_reaches_its_reader() -> None:
    world = lived(chain(Operation(1, A, Do.PUBLISH, target=C)))
    (stored,) = read_log(world.sites[C].disk, world.sites[A].feed, 1, 10)
    assert b".box" in stored.encoded


def test_whom_a_person_blocks_gets_nothing_more() -> None:
    world = lived(
        chain(*publish(A, 1), Operation(5, B, Do.BLOCK, target=A), *publish(A, 1, at_s=10))
    )
    assert head(world, A, A) == 2
    assert head(world, B, A) == 1
    assert read_peers(world.sites[B].disk)[1] == {world.sites[A].peer}


def test_a_node_that_was_stopped_goes_on_where_it_was() -> None:
    faults = (PlannedFault(5, 5, Fault.RESTART, (B,)),)
    outcome = well(chain(*publish(A, 5), *publish(A, 5, at_s=7), faults=faults))
    assert outcome.virtual_s < 60


def test_a_node_that_crashes_while_it_receives_gets_all_in_the_end() -> None:
    faults = tuple(
        [
            PlannedFault(2 + n, 0.5, fault, (B,))
            for n, fault in enumerate([Fault.CRASH, Fault.POWER_CUT] * 3)
        ]
    )
    well(chain(*publish(A, 600), faults=faults))


def test_a_node_that_is_down_does_nothing() -> None:
    plan = chain(*publish(A, 3))
    world = make_world(plan, LeanDriver())
    world.loop.at(20, lambda: setattr(world, "over", True))
    world.loop.at(0.5, lambda: world.members[A].crash(power=True))
    for operation in plan.operations:
        world.loop.at(operation.at_s, lambda each=operation: world.members[each.node].ask(each))
    LeanDriver().run(world)
    assert not world.members[A].up
    assert head(world, A, A) == 0
    assert world.members[A].load().connections == 0


def test_a_byzantine_node_takes_part() -> None:
    plan = chain(*publish(A, 3))
    silent = replace(plan, nodes=(*plan.nodes, NodePlan(3, role="silent", knows=(A, B))))
    well(silent)


def test_what_is_asked_while_the_disk_is_full_is_done_afterwards() -> None:
    """It fills while one batch is under way and more waits behind it."""
    at_once = [Operation(2, A, do, target=C) for do in [Do.UNFOLLOW, Do.FOLLOW] * 3]
    asked = Operation(4, A, Do.WANT_BLOB, target=C, size=10)
    full = PlannedFault(2, 5, Fault.FULL_DISK, (A,))
    well(chain(*publish(A, 3), *at_once, asked, faults=(full,)))


def told(plan: Plan, spoil: Callable[[World], object], *, at_s: float) -> list[tuple[int, object]]:
    """What the journal hears of nodes that something is done to which no plan can say."""
    world = make_world(plan, LeanDriver())
    heard: list[tuple[int, object]] = []
    world.journal.watch(lambda node, fact: heard.append((node, fact)))
    world.loop.at(at_s, lambda: spoil(world))
    world.loop.at(20, lambda: setattr(world, "over", True))
    LeanDriver().run(world)
    return heard


def test_a_machine_that_fails_ends_its_node() -> None:
    def damage(world: World) -> None:
        disk = world.sites[A].disk
        disk.append([Put(clock_key(world.sites[B].peer), b"damaged")])
        disk.sync()

    def meet_again(world: World) -> None:
        """What the one knows of the other is written when they part, and read when they meet."""
        world.members[B].crash(power=False)
        world.loop.after(0.9, damage, world)
        world.loop.after(1, world.members[B].start)

    heard = told(chain(), meet_again, at_s=5)
    failed = [(node, fact.what) for node, fact in heard if isinstance(fact, facts.Failed)]
    assert [node for node, _ in failed] == [A]
    assert failed[0][1].startswith("DamagedStore: the stored clock of a peer is damaged (")
    assert facts.Crashed(power=False) in [fact for node, fact in heard if node == A]


def test_a_node_does_not_start_on_what_it_can_not_read() -> None:
    def damage(world: World) -> None:
        disk = world.sites[A].disk
        world.members[A].crash(power=False)
        disk.append([Put(clock_key(world.sites[B].peer), b"damaged")])
        disk.sync()
        world.members[A].start()
        assert not world.members[A].up

    heard = told(chain(), damage, at_s=5)
    assert [node for node, fact in heard if isinstance(fact, facts.Failed)] == [A]
