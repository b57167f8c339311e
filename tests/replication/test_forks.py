"""A forked feed stops, and its other branch becomes evidence."""

from qbix_node.feeds.messages import ForkFound
from qbix_node.replication.messages import (
    EbtNotes,
    HistoryEnded,
    HistoryRequest,
)
from qbix_node.replication.sources import STALL_S
from tests.replication.network import Network, Node, chain
from tests.replication.strangers import BOB, HAVE, WANT, call, note


def test_forked_feed_is_announced_and_served_but_not_asked_for(
    network: Network, node: Node
) -> None:
    ours, theirs = chain("bob", 6, branch="x", common=3), chain("bob", 8, branch="y", common=3)
    carol = call(node, "carol", {BOB: note(6, HAVE)})
    carol.offer(node, ours)
    network.settle(1)
    dave = call(node, "dave", {BOB: note(8, HAVE)})
    assert dave.notes()[BOB] == note(6, WANT)
    dave.offer(node, theirs[6:])
    network.settle(1)
    request = HistoryRequest(BOB, 6, limit=1, keys=False)
    assert dave.heard[-2:] == [request, EbtNotes({BOB: note(6, HAVE)})]
    dave.offer(node, theirs[5:6])
    dave.say(node, HistoryEnded(BOB))
    network.settle(STALL_S + 2)
    assert [(found.feed, found.sequence) for found in node.found(ForkFound)] == [(BOB, 6)]
    for peer in (carol, dave):
        assert peer.notes()[BOB] == note(6, HAVE)
    dave.say(node, EbtNotes({BOB: note(9, HAVE)}))
    frank = call(node, "frank", {BOB: note(9, HAVE)})
    assert frank.notes()[BOB] == note(6, HAVE)
    erin = call(node, "erin", {BOB: note(0, WANT)})
    assert dave.notes()[BOB] == note(6, HAVE)
    assert erin.notes()[BOB] == note(6, HAVE)
    assert sorted(node.sent) == [("erin", BOB, n) for n in range(1, 7)]


def test_branch_that_nobody_can_prove_is_not_listened_to(network: Network, node: Node) -> None:
    carol = call(node, "carol", {BOB: note(3, HAVE)})
    carol.offer(node, chain("bob", 3, branch="x"))
    network.settle(1)
    dave = call(node, "dave", {BOB: note(8, HAVE)})
    dave.offer(node, chain("bob", 8, branch="y")[3:])
    network.settle(1)
    dave.say(node, HistoryEnded(BOB))
    network.settle(1)
    assert dave.notes()[BOB] == note(3, HAVE)
    assert not node.found(ForkFound)
    assert node.head("bob") == 3
