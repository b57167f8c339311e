"""Networks of nodes: they converge, and in quiet times nothing is sent or checked twice."""

import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.replication.messages import Hangup
from tests.replication.network import Network, Node, feed_of, mesh

NAMES = ("alice", "bob", "carol", "dave", "erin")


def settled_nodes(network: Network, *names: str, published: int = 0) -> list[Node]:
    """All follow all, and have published so much before they met."""
    nodes = network.nodes(*names)
    for node in nodes:
        node.follow(*names)
        node.publish(published)
    network.settle(1)
    return nodes


def heads(node: Node) -> list[int]:
    return [node.head(name) for name in NAMES]


def assert_converged(nodes: list[Node]) -> None:
    for name in [node.name for node in nodes]:
        author = next(node for node in nodes if node.name == name)
        assert author.log(name)
        for node in nodes:
            assert node.log(name) == author.log(name), (node.name, name)


@pytest.mark.parametrize("seed", range(3))
def test_line_of_nodes_converges_without_sending_or_checking_anything_twice(seed: int) -> None:
    network = Network(seed)
    nodes = settled_nodes(network, *NAMES, published=100)
    for one, other in pairwise(nodes):
        network.link(one, other)
    network.settle(5)
    for node in nodes:
        node.publish(3)
        network.settle(1)
    assert_converged(nodes)
    assert sum(node.sent.total() for node in nodes) == 4 * 5 * 103  # each over each link, one way
    for node in nodes:
        assert set(node.sent.values()) <= {1}
        assert set(node.verified.values()) == {1}
        assert node.verified.total() == 4 * 103


def test_mesh_converges_and_sends_hardly_anything_twice() -> None:
    network = Network(1)
    nodes = settled_nodes(network, *NAMES, published=100)
    mesh(network, nodes)
    network.settle(5)
    sent_at_first = sum(node.sent.total() for node in nodes)
    assert sent_at_first <= 1.5 * 5 * 4 * 100
    for _ in range(10):
        nodes[0].publish()
        network.settle(1)
    assert_converged(nodes)
    for node in nodes:
        assert set(node.sent.values()) == {1}  # to one peer
        assert set(node.verified.values()) == {1}
    sent_live = sum(node.sent.total() for node in nodes) - sent_at_first
    assert sent_live <= 2 * 10 * 4


def test_quiet_network_says_nothing() -> None:
    network = Network(1)
    nodes = settled_nodes(network, *NAMES, published=1)
    mesh(network, nodes)
    network.settle(10)
    said = [(node.notes_sent, node.sent.total()) for node in nodes]
    network.settle(1000)
    assert [(node.notes_sent, node.sent.total()) for node in nodes] == said


def test_peers_that_meet_again_have_nothing_to_say() -> None:
    network = Network(1)
    alice, bob = settled_nodes(network, "alice", "bob", published=10)
    network.link(alice, bob)
    network.settle(5)
    network.cut("alice", "bob")
    network.settle(1)
    before = alice.notes_sent + bob.notes_sent
    network.link(bob, alice)
    network.settle(5)
    # What one has sent without an answer is confirmed once.
    assert alice.notes_sent + bob.notes_sent - before <= 2 * 2
    network.cut("alice", "bob")
    network.settle(1)
    before = alice.notes_sent + bob.notes_sent
    network.link(alice, bob)
    network.settle(5)
    assert alice.notes_sent + bob.notes_sent == before


@pytest.mark.parametrize("kept", [0, 7])
def test_node_that_lost_data_gets_it_back(kept: int) -> None:
    """All of it, or what came after a backup; its own feed too."""
    network = Network(1)
    alice, bob = settled_nodes(network, "alice", "bob", published=kept)
    network.link(alice, bob)
    network.settle(5)
    backup = alice.disk.snapshot()
    alice.publish(20)
    bob.publish(20)
    network.settle(5)
    assert_converged([alice, bob])
    before = alice.log("alice")

    alice.disk.roll_back(backup)
    alice.restart()
    assert alice.head("alice") == alice.head("bob") == kept
    alice.follow("bob")
    network.link(alice, bob)
    network.settle(5)
    assert alice.log("alice") == before
    assert_converged([alice, bob])


def test_node_that_lost_data_gets_it_back_from_a_peer_that_called() -> None:
    network = Network(1)
    alice, bob = settled_nodes(network, "alice", "bob", published=20)
    network.link(alice, bob)
    network.settle(5)
    alice.disk.roll_back({})
    alice.restart()
    alice.follow("bob")
    network.link(bob, alice)
    network.settle(5)
    assert_converged([alice, bob])


def test_late_follower_gets_a_feed_from_one_of_its_peers() -> None:
    network = Network(1)
    nodes = settled_nodes(network, *NAMES[:4], published=50)
    mesh(network, nodes)
    late = network.node("erin")
    for node in nodes:
        network.link(late, node)
    network.settle(5)
    late.follow("alice")
    network.settle(5)
    assert late.log("alice") == nodes[0].log("alice")
    assert (
        sum(count for node in nodes for place, count in node.sent.items() if place[0] == "erin")
        == 50
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "link", "cut", "restart", "wait"]),
        st.integers(0, 4),
        st.integers(0, 4),
    ),
    max_size=30,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), STEPS)
def test_whatever_happens_the_network_converges_once_it_is_left_alone(
    seed: int, steps: list[tuple[str, int, int]]
) -> None:
    network = Network(seed, delay_s=0.2)
    nodes = settled_nodes(network, *NAMES, published=1)
    for step, first, second in steps:
        play(network, nodes, step, first, second)
    for node in nodes:
        network.cut_all(node.name)
    mesh(network, nodes)
    network.settle(60)
    assert_converged(nodes)
    for node in nodes:
        assert set(node.verified.values()) <= {1} or node.life
        assert not node.found(Hangup)
        assert not node.machine.talks.sources.behind
        assert node.machine.book.waiting == 0
        assert not node.unsettled() or node.life


def play(network: Network, nodes: list[Node], step: str, first: int, second: int) -> None:
    one, other = nodes[first], nodes[second]
    match step:
        case "publish":
            one.publish(1 + second)
        case "link" if one is not other and not network.linked(one.name, other.name):
            network.link(one, other)
        case "cut" if network.linked(one.name, other.name):
            network.cut(one.name, other.name)
        case "restart":
            one.restart()
        case _:
            network.settle(0.1 * (1 + second))


def test_same_seed_same_run() -> None:
    def run(seed: int) -> list[object]:
        network = Network(seed, delay_s=0.2)
        nodes = settled_nodes(network, *NAMES, published=2)
        rng = random.Random(seed)
        for _ in range(30):
            step = rng.choice(["publish", "link", "cut", "restart", "wait"])
            play(network, nodes, step, rng.randrange(5), rng.randrange(5))
        network.settle(10)
        return [finding for node in nodes for finding in node.findings]

    assert run(7) == run(7)
    assert run(7) != run(8)


HEARD = st.sampled_from(
    [m.Persisted(m.Token(n)) for n in range(1, 4)]
    + [m.TimerFired(name) for name in ("replication/stall", "replication/save", "x")]
    + [
        m.Verified(m.Token(2), (True,)),
        m.Loaded(m.Token(3), (None,)),
        m.Disconnected(m.PeerId(feed_of("x"))),
    ]
)


@given(st.lists(HEARD, max_size=10))
def test_events_that_nobody_waits_for_change_nothing(events: list[m.Event]) -> None:
    network = Network(1)
    node = network.node("alice")
    for event in events:
        node.receive(event)
    assert node.findings == []
    assert heads(node) == [0] * 5
