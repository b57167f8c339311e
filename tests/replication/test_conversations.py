"""What a node says to one peer by EBT, and what it sends it."""

from qbix_node.replication.messages import (
    REFUSED,
    EbtCall,
    EbtEnded,
    EbtNotes,
    Hangup,
)
from qbix_node.replication.peers import REFUSALS_MAX
from qbix_node.wire.references import FeedId
from tests.replication.network import Network, Node, Stranger, chain, peer_of
from tests.replication.strangers import ALICE, BOB, HAVE, WANT, call, note, said


def test_who_is_called_says_its_clock_first(network: Network, node: Node) -> None:
    peer = call(node, "carol")
    assert said(peer) == [{node.feed: note(0, WANT), BOB: note(0, WANT)}]


def test_who_dials_calls_and_waits_for_the_clock(network: Network, node: Node) -> None:
    peer = Stranger(network, "carol")
    network.link(node, peer)
    network.settle(1)
    assert peer.heard[1:] == [EbtCall()]
    peer.say(node, EbtNotes({}))
    network.settle(1)
    assert said(peer) == [{node.feed: note(0, WANT), BOB: note(0, WANT)}]


def test_empty_clock_answers_a_call(network: Network) -> None:
    node = network.node("node")
    node.publish()
    peer = call(node, "carol", {node.feed: note(1, HAVE)})
    network.cut("node", "carol")
    again = call(node, "carol")
    assert peer.heard
    assert said(again) == [{}]


def test_peer_that_speaks_before_it_should_gets_the_whole_clock(
    network: Network, node: Node
) -> None:
    peer = Stranger(network, "carol")
    network.link(peer, node)
    peer.say(node, EbtNotes({BOB: note(3, HAVE)}))
    network.settle(1)
    assert peer.notes() == {node.feed: note(0, WANT), BOB: note(0, WANT)}


def test_second_call_starts_anew(network: Network, node: Node) -> None:
    peer = call(node, "carol", {BOB: note(5, HAVE)})
    peer.say(node, EbtCall())
    network.settle(1)
    assert said(peer)[-1] == {node.feed: note(0, WANT), BOB: note(0, WANT)}


def test_end_of_a_conversation_is_the_end_of_the_connection(network: Network, node: Node) -> None:
    peer = call(node, "carol", {})
    peer.say(node, EbtEnded("reconnected to peer"))
    network.settle(1)
    assert node.found(Hangup) == [
        Hangup(peer_of("carol"), "the peer ended ebt.replicate: reconnected to peer")
    ]


def test_feed_that_nobody_follows_here_is_refused_once(network: Network, node: Node) -> None:
    peer = call(node, "carol", {ALICE: note(7, WANT)})
    peer.say(node, EbtNotes({ALICE: note(8, WANT)}))
    network.settle(1)
    assert [notes[ALICE] for notes in said(peer) if ALICE in notes] == [REFUSED]


def test_feed_that_a_peer_gave_up_and_announces_anew_is_refused_anew(
    network: Network, node: Node
) -> None:
    """Else the peer believes that it was heard, and is silent when the feed is followed here."""
    peer = call(node, "carol", {ALICE: note(7, WANT)})
    peer.say(node, EbtNotes({ALICE: REFUSED}))
    peer.say(node, EbtNotes({ALICE: note(7, HAVE)}))
    network.settle(1)
    assert [notes[ALICE] for notes in said(peer) if ALICE in notes] == [REFUSED, REFUSED]


def test_refusals_are_bounded(network: Network, node: Node) -> None:
    strange = {FeedId(n.to_bytes(32, "big")): note(1, WANT) for n in range(REFUSALS_MAX + 10)}
    peer = call(node, "carol", strange)
    assert len([feed for feed in peer.notes() if feed in strange]) == REFUSALS_MAX


def test_peer_that_wants_a_feed_is_sent_it_and_what_follows(network: Network) -> None:
    node = network.node("node")
    node.publish(3)
    network.settle(1)
    peer = call(node, "carol", {node.feed: note(1, WANT)})
    node.publish()
    network.settle(1)
    assert [place for place, count in node.sent.items() if count == 1] == [
        ("carol", node.feed, n) for n in (2, 3, 4)
    ]
    assert len(said(peer)) == 1


def test_peer_that_wants_nothing_is_only_told(network: Network) -> None:
    node = network.node("node")
    node.publish()
    network.settle(1)
    peer = call(node, "carol", {node.feed: note(1, HAVE)})
    node.publish()
    network.settle(1)
    assert peer.notes()[node.feed] >> 1 == 2
    assert not node.sent


def test_peer_that_does_not_replicate_a_feed_hears_no_more_of_it(network: Network) -> None:
    node = network.node("node")
    peer = call(node, "carol", {node.feed: REFUSED})
    node.publish(3)
    network.settle(1)
    assert [notes for notes in said(peer)[1:] if node.feed in notes] == []
    assert not node.sent


def test_nothing_is_announced_before_it_is_durable(network: Network) -> None:
    network.delay_s = 10.0
    node = network.node("node")
    network.delay_s = 0.0
    peer = call(node, "carol", {node.feed: note(0, HAVE)})
    network.delay_s = 10.0
    node.publish()
    network.delay_s = 0.0
    before = len(said(peer))
    network.run(until=node.durable_at - 0.001)
    assert len(said(peer)) == before
    network.settle(1)
    assert peer.notes()[node.feed] >> 1 == 1


def test_peer_that_wants_no_more_is_told_what_there_is(network: Network) -> None:
    node = network.node("node")
    carol = call(node, "carol", {node.feed: note(0, WANT)})
    node.publish(3)
    network.settle(1)
    carol.say(node, EbtNotes({node.feed: note(1, HAVE)}))
    network.settle(1)
    assert carol.notes()[node.feed] >> 1 == 3


def test_peer_is_not_sent_what_it_sent(network: Network, node: Node) -> None:
    """Though it wants the feed, and its note had left before."""
    carol = call(node, "carol", {BOB: note(1, WANT)})
    carol.offer(node, chain("bob", 3))
    network.settle(1)
    assert node.head("bob") == 3
    carol.say(node, EbtNotes({BOB: note(1, WANT)}))
    network.settle(60)
    assert not node.sent


def test_peer_that_gave_a_feed_up_and_begins_anew_gets_all_of_it(
    network: Network, node: Node
) -> None:
    """Also what it sent before, and what it was sent."""
    carol = call(node, "carol", {BOB: note(1, WANT)})
    carol.offer(node, chain("bob", 3))
    network.settle(1)
    carol.say(node, EbtNotes({BOB: REFUSED}))
    carol.say(node, EbtNotes({BOB: note(0, HAVE)}))
    carol.say(node, EbtNotes({BOB: note(0, WANT)}))
    network.settle(1)
    assert [place for place, _ in sorted(node.sent.items())] == [
        ("carol", BOB, n) for n in (1, 2, 3)
    ]


def test_lower_number_wins(network: Network) -> None:
    """A peer that lost its data says so, and gets it again."""
    node = network.node("node")
    node.publish(3)
    network.settle(1)
    call(node, "carol", {node.feed: note(3, WANT)})
    network.cut("node", "carol")
    call(node, "carol", {node.feed: note(0, WANT)})
    assert sorted(node.sent) == [("carol", node.feed, n) for n in (1, 2, 3)]
