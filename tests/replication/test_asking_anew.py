"""A peer asks anew while messages are on their way to it, as ssb-ebt does when it is busy."""

import pytest

from qbix_node.replication.conversations import SEND_AGAIN_S
from qbix_node.replication.messages import EbtCall, EbtNotes, make_note
from tests.replication.network import Network, Node, Stranger

WANT, HAVE = True, False


@pytest.fixture
def node() -> Node:
    node = Network().node("node")
    node.publish(3)
    node.network.settle(1)
    return node


def ask(peer: Stranger, node: Node, sequence: int, *, receive: bool) -> None:
    peer.say(node, EbtNotes({node.feed: make_note(sequence, receive=receive)}))


def peer_that_asked(node: Node, name: str) -> Stranger:
    """For everything; it is on its way, or has arrived."""
    peer = Stranger(node.network, name)
    node.network.link(peer, node)
    peer.say(node, EbtCall())
    ask(peer, node, 0, receive=WANT)
    node.network.settle(0.1)
    return peer


def told(peer: Stranger, node: Node) -> list[int]:
    """The sequences that the peer was told of the node's feed."""
    notes = [message.notes for message in peer.heard if isinstance(message, EbtNotes)]
    return [each[node.feed] >> 1 for each in notes if node.feed in each]


def test_messages_under_way_are_not_sent_twice(node: Node) -> None:
    """ssb-db2 drops a whole batch in which a message comes twice."""
    carol = peer_that_asked(node, "carol")
    for sequence, receive in ((1, WANT), (2, HAVE), (2, WANT)):
        ask(carol, node, sequence, receive=receive)
        node.network.settle(1)
    node.publish()
    node.network.settle(1)
    assert node.sent == {("carol", node.feed, n): 1 for n in (1, 2, 3, 4)}


def test_what_a_peer_keeps_asking_for_is_sent_again(node: Node) -> None:
    carol, dave = (peer_that_asked(node, name) for name in ("carol", "dave"))
    for peer in (carol, dave):
        ask(peer, node, 1, receive=WANT)
    node.network.settle(SEND_AGAIN_S - 1)
    ask(dave, node, 3, receive=WANT)
    node.network.settle(60)
    assert [node.sent["carol", node.feed, n] for n in (1, 2, 3)] == [1, 2, 2]
    assert [node.sent["dave", node.feed, n] for n in (1, 2, 3)] == [1, 1, 1]


def test_what_was_taken_back_is_sent_once_when_it_is_asked_for_anew(node: Node) -> None:
    node.network.delay_s = 0.0
    carol = Stranger(node.network, "carol")
    node.network.link(carol, node)
    carol.say(node, EbtCall())
    node.network.settle(1)
    ask(carol, node, 0, receive=WANT)
    ask(carol, node, 0, receive=HAVE)
    node.network.settle(1)
    assert not node.sent
    ask(carol, node, 0, receive=WANT)
    node.network.settle(60)
    assert node.sent == {("carol", node.feed, n): 1 for n in (1, 2, 3)}


def test_nothing_is_sent_again_in_another_conversation(node: Node) -> None:
    for _ in range(2):
        ask(peer_that_asked(node, "carol"), node, 1, receive=WANT)
        node.network.settle(1)
        node.network.cut("carol", "node")
    node.network.settle(60)
    assert node.sent == {("carol", node.feed, n): 2 for n in (1, 2, 3)}


def test_peer_that_stops_asking_though_it_lacks_something_is_told_so(node: Node) -> None:
    """ssb-ebt stops where a message reaches it twice, and goes on when it is told."""
    carol = peer_that_asked(node, "carol")
    before = len(told(carol, node))
    ask(carol, node, 2, receive=HAVE)
    node.network.settle(0.1)
    assert told(carol, node)[before:] == [3]
    ask(carol, node, 3, receive=WANT)
    ask(carol, node, 3, receive=HAVE)
    node.network.settle(0.1)
    assert told(carol, node)[before:] == [3]
