"""Several machines at once: how far a want travels, and that chaos ends in order."""

import random
from collections.abc import Callable
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from qbix_node.blobs import messages as b
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.machine import WANT
from qbix_node.blobs.quota import COUNTED_BYTES_MIN, MARK
from qbix_node.wire.references import BlobId
from tests.blobs.nodes import Network, Node, blob_id

CAT = blob_id("cat")


def line(*names: str) -> tuple[Network, list[Node]]:
    nodes = [Node(name) for name in names]
    network = Network(*nodes)
    for one, other in pairwise(nodes):
        network.connect(one, other)
    network.run()
    return network, nodes


def test_a_blob_travels_three_hops_by_sympathy() -> None:
    network, (alice, bob, carol, dave) = line("alice", "bob", "carol", "dave")
    dave.add(CAT, 100)
    alice.ask(b.WantBlob(CAT))
    network.run()
    assert [CAT in node.machine.held for node in (alice, bob, carol, dave)] == [True] * 4
    assert b.Arrived(CAT, 100) in alice.findings
    assert alice.disk.get(MARK + CAT) is None
    assert bob.disk.get(MARK + CAT) is not None


def test_a_blob_that_is_added_later_comes_too() -> None:
    network, (alice, _, _, dave) = line("alice", "bob", "carol", "dave")
    alice.ask(b.WantBlob(CAT))
    network.run()
    dave.add(CAT, 100)
    network.run()
    assert CAT in alice.machine.held


def test_four_hops_are_too_far() -> None:
    network, nodes = line("alice", "bob", "carol", "dave", "erin")
    nodes[-1].add(CAT, 100)
    nodes[0].ask(b.WantBlob(CAT))
    network.run()
    assert CAT not in nodes[0].machine.held


def test_a_want_in_a_ring_ends() -> None:
    network, nodes = line("alice", "bob", "carol")
    network.connect(nodes[-1], nodes[0])
    nodes[0].ask(b.WantBlob(CAT))
    network.run()
    assert len(network.notes) <= 6  # once over each link, each way


def test_a_blob_that_is_offered_by_wanting_it_spreads() -> None:
    """What JavaScript peers call push."""
    network, (alice, bob, carol, dave) = line("alice", "bob", "carol", "dave")
    alice.add(CAT, 100)
    for node in (bob,):
        node.hear(alice.peer, b.Want(CAT, 1))
    network.run()
    assert [CAT in node.machine.held for node in (bob, carol, dave)] == [True, True, False]


def test_a_want_of_before_a_restart_is_met_after_it() -> None:
    network, (alice, bob) = line("alice", "bob")
    alice.ask(b.WantBlob(CAT))
    network.run()
    network.disconnect(alice, bob)
    alice.restart()
    bob.add(CAT, 100)
    network.connect(alice, bob)
    network.run()
    assert CAT in alice.machine.held


BLOBS = [blob_id(str(n)) for n in range(4)]
LIMITS = Limits(
    blob_bytes_max=3 * COUNTED_BYTES_MIN,
    wants_max=3,
    peer_wants_max=2,
    fetches_max=3,
    sympathy_fetches_max=2,
    peer_fetches_max=1,
    sympathy_bytes_max=2 * COUNTED_BYTES_MIN,
)


class Chaos:
    """Four nodes and everything that can happen to them."""

    def __init__(self, rng: random.Random) -> None:
        self.nodes = [Node(name, LIMITS) for name in ("alice", "bob", "carol", "dave")]
        self.network = Network(*self.nodes, choose=rng.randrange)

    def want(self, which: int, other: int) -> None:
        self.nodes[which].ask(b.WantBlob(BLOBS[other]))

    def unwant(self, which: int, other: int) -> None:
        self.nodes[which].ask(b.Unwant(BLOBS[other]))

    def add(self, which: int, other: int) -> None:
        self.nodes[which].add(BLOBS[other], COUNTED_BYTES_MIN)

    def remove(self, which: int, other: int) -> None:
        self.nodes[which].files.pop(BLOBS[other], None)
        self.nodes[which].ask(b.Removed(BLOBS[other]))

    def connect(self, which: int, other: int) -> None:
        if which != other:
            self.network.connect(self.nodes[which], self.nodes[other])

    def disconnect(self, which: int, other: int) -> None:
        if which != other:
            self.network.disconnect(self.nodes[which], self.nodes[other])

    def restart(self, which: int, _: int) -> None:
        for other in range(len(self.nodes)):
            self.disconnect(which, other)
        self.nodes[which].restart()

    def wait(self, _: int, other: int) -> None:
        for node in self.nodes:
            node.wait(10 * other)

    def run(self, _: int, __: int) -> None:
        self.network.run()

    def settle(self) -> None:
        """The faults stop: everybody meets everybody, and a while goes by."""
        for one, other in combinations(self.nodes, 2):
            self.network.connect(one, other)
        for _ in range(10):
            self.run(0, 0)
            self.wait(0, 3)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                Chaos.want,
                Chaos.unwant,
                Chaos.add,
                Chaos.remove,
                Chaos.connect,
                Chaos.disconnect,
                Chaos.restart,
                Chaos.wait,
                Chaos.run,
            )
        ),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 2**32))
@settings(max_examples=200)
def test_whatever_happens_ends_in_order(
    steps: list[tuple[Callable[[Chaos, int, int], None], int, int]], seed: int
) -> None:
    chaos = Chaos(random.Random(seed))
    for step, which, other in steps:
        step(chaos, which, other)
        for node in chaos.nodes:
            check_bounds(node)
    chaos.settle()
    for node in chaos.nodes:
        check_order(node)
        elsewhere = {blob for each in chaos.nodes if each is not node for blob in each.files}
        assert not elsewhere & set(node.machine.own_wants)


def records(node: Node, prefix: bytes) -> set[BlobId]:
    rows = node.disk.scan(prefix, prefix + b"\xff" * 33, limit=99)
    return {BlobId(key.removeprefix(prefix)) for key, _ in rows}


def check_bounds(node: Node) -> None:
    assert dict(node.machine.held) == node.files
    by_sympathy = records(node, MARK) & set(node.files)
    assert len(by_sympathy) * COUNTED_BYTES_MIN <= LIMITS.sympathy_bytes_max


def check_order(node: Node) -> None:
    """Nothing is under way, and the disk says what the machine says."""
    assert records(node, WANT) == set(node.machine.own_wants)
    assert records(node, MARK) <= set(node.files)
