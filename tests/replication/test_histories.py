"""A peer without EBT is asked for each feed by createHistoryStream."""

import pytest

from qbix_node import machines as m
from qbix_node.feeds.messages import ForkFound
from qbix_node.replication.histories import ROUND_S, STREAMS_MAX
from qbix_node.replication.machine import CALL_PATIENCE_S
from qbix_node.replication.messages import (
    Block,
    EbtCall,
    EbtEnded,
    EbtNotes,
    HistoryEnded,
    HistoryRequest,
    Unfollow,
)
from qbix_node.wire.references import FeedId
from tests.replication.network import Network, Node, Stranger, chain, feed_of

BOB = feed_of("bob")


@pytest.fixture
def old(network: Network, node: Node) -> Stranger:
    """A peer that was dialled and does not know ebt.replicate."""
    old = Stranger(network, "old")
    network.link(node, old)
    network.settle(1)
    old.say(node, EbtEnded("no such method"))
    network.settle(1)
    return old


def live(feed: FeedId, sequence: int = 1) -> HistoryRequest:
    return HistoryRequest(feed, sequence, live=True, keys=False)


def asked(peer: Stranger) -> list[HistoryRequest]:
    return [message for message in peer.heard if isinstance(message, HistoryRequest)]


def test_peer_that_refuses_ebt_is_asked_for_every_feed(node: Node, old: Stranger) -> None:
    assert asked(old) == [live(node.feed), live(BOB)]


def test_messages_arrive_in_whatever_order_it_has_them(
    network: Network, node: Node, old: Stranger
) -> None:
    old.offer(node, chain("bob", 40)[::-1])
    network.settle(1)
    assert node.head("bob") == 40


def test_stream_that_ended_is_asked_for_again_after_a_while(
    network: Network, node: Node, old: Stranger
) -> None:
    old.offer(node, chain("bob", 2))
    old.say(node, HistoryEnded(BOB))
    network.settle(ROUND_S - 5)
    assert len(asked(old)) == 2
    network.settle(10)
    assert asked(old)[2:] == [live(BOB, 3)]


def test_stream_with_holes_is_started_anew(network: Network, node: Node, old: Stranger) -> None:
    old.offer(node, chain("bob", 1500)[1400:])
    network.settle(ROUND_S + 1)
    assert old.heard[-2:] == [HistoryEnded(BOB), live(BOB)]


def test_follow_and_unfollow_open_and_end_streams(
    network: Network, node: Node, old: Stranger
) -> None:
    node.follow("alice")
    node.ask(Unfollow(BOB))
    network.settle(1)
    assert old.heard[-2:] == [live(feed_of("alice")), HistoryEnded(BOB)]


class Library(Stranger):
    """Answers every request that does not wait for more, and counts what is open."""

    def __init__(self, network: Network, name: str) -> None:
        super().__init__(network, name)
        self.open: set[FeedId] = set()
        self.most = 0

    def receive(self, event: m.Event) -> None:
        super().receive(event)
        match event:
            case m.Received(_, HistoryRequest(feed) as request):
                self.open.add(feed)
                self.most = max(self.most, len(self.open))
                if not request.live:
                    self.network.at(self.network.now + 0.1, lambda: self.finish(feed))
            case m.Received(_, HistoryEnded(feed)):
                self.open.remove(feed)
            case _:
                pass

    def finish(self, feed: FeedId) -> None:
        self.open.remove(feed)
        self.network.carry(self.name, "node", HistoryEnded(feed))


def test_streams_are_bounded_and_feeds_take_turns(network: Network, node: Node) -> None:
    names = [f"friend {n}" for n in range(STREAMS_MAX)]
    library = Library(network, "library")
    network.link(node, library)
    library.say(node, EbtEnded("no such method"))
    network.settle(1)
    assert library.open == {node.feed, BOB}
    node.follow(*names)
    network.settle(5)
    feeds = {node.feed, BOB, *map(feed_of, names)}
    assert (library.most, library.open) == (STREAMS_MAX, set())
    assert {request.feed for request in asked(library) if not request.live} == feeds
    before = len(asked(library))
    network.settle(ROUND_S)
    assert {request.feed for request in asked(library)[before:]} == feeds


def test_peer_that_dials_and_does_not_call_is_asked_for_feeds(network: Network, node: Node) -> None:
    peer = Stranger(network, "old")
    network.link(peer, node)
    network.settle(CALL_PATIENCE_S - 1)
    assert not asked(peer)
    network.settle(2)
    assert asked(peer) == [live(node.feed), live(BOB)]


def test_peer_that_calls_after_all_is_no_longer_read(network: Network, node: Node) -> None:
    peer = Stranger(network, "late")
    network.link(peer, node)
    network.settle(CALL_PATIENCE_S + 1)
    peer.say(node, EbtCall())
    network.settle(1)
    ended, said = [HistoryEnded(node.feed), HistoryEnded(BOB)], [EbtNotes({node.feed: 0, BOB: 0})]
    assert [message for message in peer.heard if message in ended] == ended
    assert [message for message in peer.heard if isinstance(message, EbtNotes)] == said


def test_peer_that_calls_in_time_is_not_read(network: Network, node: Node) -> None:
    peer = Stranger(network, "new")
    network.link(peer, node)
    peer.say(node, EbtCall())
    network.settle(CALL_PATIENCE_S + 1)
    assert not asked(peer)


def test_nothing_is_asked_of_a_peer_that_left_or_was_blocked(
    network: Network, node: Node, old: Stranger
) -> None:
    node.ask(Block(feed_of("old")))
    before = len(old.heard)
    network.settle(2 * ROUND_S)
    network.cut("node", "old")
    network.settle(2 * ROUND_S)
    assert len(old.heard) == before + 1  # that the link is gone


def test_forked_feed_is_not_read_on(network: Network, node: Node, old: Stranger) -> None:
    old.offer(node, chain("bob", 3, branch="x"))
    network.settle(1)
    old.offer(node, chain("bob", 3, branch="y"))
    network.settle(1)
    assert old.heard[-1] == HistoryEnded(BOB)
    network.settle(2 * ROUND_S)
    assert asked(old) == [live(node.feed), live(BOB)]


def test_peer_that_sent_nonsense_of_a_feed_is_not_asked_for_it_again(
    network: Network, node: Node, old: Stranger
) -> None:
    first = chain("bob", 1)[0]
    assert isinstance(first, dict)
    old.offer(node, [{**first, "timestamp": 7}])
    network.settle(2 * ROUND_S)
    assert old.heard[-1] == HistoryEnded(BOB)
    assert asked(old) == [live(node.feed), live(BOB)]


def test_peer_on_another_branch_is_asked_for_the_proof_and_for_no_more(
    network: Network, node: Node, old: Stranger
) -> None:
    old.offer(node, chain("bob", 3, branch="x"))
    network.settle(1)
    old.offer(node, chain("bob", 6, branch="y")[3:])
    network.settle(1)
    assert asked(old)[-1] == HistoryRequest(BOB, 3, limit=1, keys=False)
    old.offer(node, chain("bob", 3, branch="y")[2:])
    old.say(node, HistoryEnded(BOB))
    network.settle(2 * ROUND_S)
    assert [found.sequence for found in node.found(ForkFound)] == [3]
    assert old.heard[-1] == HistoryEnded(BOB)


def test_second_connection_is_read_anew(network: Network, node: Node, old: Stranger) -> None:
    network.link(node, old)
    network.settle(1)
    old.say(node, EbtEnded("no such method"))
    network.settle(1)
    assert asked(old) == [live(node.feed), live(BOB)] * 2
