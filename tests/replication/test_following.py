"""Follow, unfollow and block, on live connections and over restarts."""

from qbix_node.replication.clocks import (
    clock_key,
)
from qbix_node.replication.following import FOLLOWS_MAX
from qbix_node.replication.messages import (
    REFUSED,
    Block,
    Denied,
    EbtNotes,
    Follow,
    Granted,
    PeerBlocked,
    PeerUnblocked,
    Unblock,
    Unfollow,
)
from qbix_node.wire.references import FeedId
from tests.replication.network import Network, Node, chain, peer_of
from tests.replication.strangers import ALICE, BOB, HAVE, WANT, call, note, said


def test_follow_takes_effect_on_live_connections(network: Network, node: Node) -> None:
    other, author = call(node, "carol", {ALICE: note(3, HAVE)}), call(node, "alice", {})
    assert other.notes()[ALICE] == REFUSED
    node.follow("alice")
    network.settle(0.1)
    assert (author.notes()[ALICE], other.notes()[ALICE]) == (note(0, WANT), note(0, HAVE))
    assert Granted(Follow(ALICE)) in node.findings


def test_peer_that_refused_a_feed_once_is_told_when_it_is_followed_anew(
    network: Network, node: Node
) -> None:
    """It may have changed its mind while nobody listened."""
    call(node, "carol", {BOB: REFUSED})
    network.cut("node", "carol")
    node.ask(Unfollow(BOB))
    carol = call(node, "carol", {BOB: note(3, HAVE)})
    node.follow("bob")
    network.settle(1)
    assert carol.notes()[BOB] == note(0, WANT)


def test_what_was_being_written_at_an_unfollow_is_not_announced(
    network: Network, node: Node
) -> None:
    carol, dave = call(node, "carol", {BOB: note(3, WANT)}), call(node, "dave", {})
    carol.offer(node, chain("bob", 3))
    while not node.disk.unsynced and not node.head("bob"):
        network.settle(0.0005)
    node.ask(Unfollow(BOB))
    network.settle(1)
    assert node.head("bob") == 3
    assert carol.notes()[BOB] == dave.notes()[BOB] == REFUSED


def test_unfollow_stops_asking_announcing_and_serving(network: Network, node: Node) -> None:
    carol = call(node, "carol", {BOB: note(3, WANT)})
    carol.offer(node, chain("bob", 3))
    network.settle(1)
    node.ask(Unfollow(BOB))
    network.settle(0.1)
    assert carol.notes()[BOB] == REFUSED
    before = len(carol.heard)
    carol.say(node, EbtNotes({BOB: note(0, WANT)}))
    carol.offer(node, chain("bob", 5))
    network.settle(1)
    assert not node.sent
    assert len(carol.heard) == before
    assert node.head("bob") == 3  # what is stored stays
    assert not node.machine.serves(peer_of("carol"), BOB)


def test_who_refused_an_unfollowed_feed_is_refused_once_it_announces_it(
    network: Network, node: Node
) -> None:
    carol = call(node, "carol", {BOB: REFUSED})
    heard = said(carol)
    node.ask(Unfollow(BOB))
    network.settle(1)
    assert said(carol) == heard  # not even a note
    carol.say(node, EbtNotes({BOB: note(3, HAVE)}))
    network.settle(1)
    assert carol.notes()[BOB] == REFUSED


def test_follows_outlive_a_restart(network: Network, node: Node) -> None:
    node.follow("alice")
    node.ask(Unfollow(BOB))
    network.settle(1)
    node.restart()
    assert list(node.machine.following.follows) == [ALICE]


def test_follow_again_changes_nothing(network: Network, node: Node) -> None:
    call(node, "carol", {})
    carol = call(node, "dave", {})
    before = len(carol.heard)
    node.ask(Follow(BOB))
    node.ask(Follow(node.feed))
    network.settle(1)
    assert len(carol.heard) == before
    assert node.findings[-2:] == [Granted(Follow(BOB)), Granted(Follow(node.feed))]


def test_follows_are_bounded(network: Network, node: Node) -> None:
    for n in range(FOLLOWS_MAX - 1):
        node.machine.following.follows[FeedId(n.to_bytes(32, "big"))] = None
    node.ask(Follow(ALICE))
    assert isinstance(node.findings[-1], Denied)


def test_blocked_peer_is_disconnected_and_its_feed_not_taken(network: Network, node: Node) -> None:
    node.publish()
    bob = call(node, "bob", {BOB: note(3, HAVE)})
    network.cut("node", "bob")
    bob = call(node, "bob", {BOB: note(3, HAVE)})
    assert node.disk.get(clock_key(peer_of("bob")))
    node.ask(Block(BOB))
    network.settle(1)
    assert PeerBlocked(peer_of("bob")) in node.findings
    assert node.disk.get(clock_key(peer_of("bob"))) is None
    heard = len(bob.heard)
    bob.offer(node, chain("bob", 3))
    bob.say(node, EbtNotes({node.feed: note(0, WANT)}))
    network.settle(1)
    assert (len(bob.heard), node.head("bob"), node.sent) == (heard, 0, {})
    assert not node.machine.serves(peer_of("bob"), node.feed)
    assert not node.unsettled()


def test_blocked_peer_that_connects_again_gets_nothing(network: Network, node: Node) -> None:
    node.ask(Block(BOB))
    network.settle(1)
    node.restart()
    node.findings.clear()
    bob = call(node, "bob", {node.feed: note(0, WANT)})
    assert said(bob) == []
    assert node.found(PeerBlocked) == [PeerBlocked(peer_of("bob"))]


def test_blocked_feed_has_to_be_unblocked_before_it_is_followed(
    network: Network, node: Node
) -> None:
    node.ask(Block(ALICE))
    node.ask(Follow(ALICE))
    assert isinstance(node.findings[-1], Denied)
    node.ask(Unblock(ALICE))
    node.ask(Follow(ALICE))
    network.settle(1)
    assert PeerUnblocked(peer_of("alice")) in node.findings
    assert Granted(Follow(ALICE)) in node.findings


def test_node_can_not_block_itself(network: Network, node: Node) -> None:
    node.ask(Block(node.feed))
    assert isinstance(node.findings[-1], Denied)
