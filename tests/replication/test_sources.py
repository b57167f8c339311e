"""Which peer is asked for a feed, and when another one is."""

import pytest

from qbix_node.feeds.messages import Settled
from qbix_node.replication.messages import (
    REFUSED,
    EbtNotes,
    asks,
)
from qbix_node.replication.sources import FEED_STALL_S, REFUSED_REST_S, REST_S, STALL_S
from tests.replication.network import Network, Node, Stranger, chain, peer_of
from tests.replication.strangers import ALICE, BOB, HAVE, WANT, call, note, said


def test_only_one_peer_is_asked_for_a_feed(network: Network, node: Node) -> None:
    first, second = call(node, "carol", {}), call(node, "dave", {})
    assert first.notes()[BOB] == note(0, WANT)
    assert second.notes()[BOB] == note(0, HAVE)


def test_peer_that_has_more_than_the_source_is_asked_instead(network: Network, node: Node) -> None:
    first, second = call(node, "carol", {BOB: note(0, HAVE)}), call(node, "dave", {})
    second.say(node, EbtNotes({BOB: note(4, HAVE)}))
    network.settle(0.1)
    assert (first.notes()[BOB], second.notes()[BOB]) == (note(0, HAVE), note(0, WANT))


def test_source_that_has_enough_is_kept_though_another_has_more(
    network: Network, node: Node
) -> None:
    """It would send twice what is on its way; the rest is asked for once it is here."""
    first, second = (
        call(node, "carol", {BOB: note(2, HAVE)}),
        call(node, "dave", {BOB: note(4, HAVE)}),
    )
    assert second.notes()[BOB] == note(0, HAVE)
    first.offer(node, chain("bob", 2))
    network.settle(0.5)
    assert (first.notes()[BOB], second.notes()[BOB]) == (note(2, HAVE), note(2, WANT))


def test_stalled_source_is_replaced_in_turn_by_all_that_have_more(
    network: Network, node: Node
) -> None:
    peers = [call(node, name, {BOB: note(9, HAVE)}) for name in ("carol", "dave", "erin")]
    asked = []
    for _ in range(4):
        asked.append([peer.name for peer in peers if peer.notes()[BOB] == note(0, WANT)])
        network.settle(STALL_S + 1)
    assert asked[:3] == [["carol"], ["dave"], ["erin"]]
    assert len(asked[3]) == 1


def test_source_that_brings_something_is_not_stalled(network: Network, node: Node) -> None:
    messages = chain("bob", 30)
    carol, dave = (call(node, name, {BOB: note(30, HAVE)}) for name in ("carol", "dave"))
    for message in messages[:25]:
        carol.offer(node, [message])
        network.settle(STALL_S - 1)
    assert 25 * (STALL_S - 1) > FEED_STALL_S
    assert dave.notes()[BOB] == note(0, HAVE)


def test_peer_that_lies_about_its_clock_delays_nobody_for_long(
    network: Network, node: Node
) -> None:
    liar = call(node, "liar", {BOB: note(10**6, HAVE)})
    honest = call(node, "carol", {BOB: note(1, HAVE)})
    network.settle(STALL_S + 1)
    assert honest.notes()[BOB] == note(0, WANT)
    messages = chain("bob", 40)
    for n, message in enumerate(messages, 1):
        liar.say(node, EbtNotes({BOB: note(10**6 + n, HAVE)}))
        if not asks(honest.notes()[BOB]):
            honest.say(node, EbtNotes({BOB: note(n, HAVE)}))
            network.settle(STALL_S + 1.5)
        assert asks(honest.notes()[BOB])
        honest.offer(node, [message])
        network.settle(0.5)
        assert node.head("bob") == n


def test_peer_busy_with_one_feed_does_not_keep_another_from_us(
    network: Network, node: Node
) -> None:
    node.follow("alice")
    network.settle(1)
    busy = call(node, "busy", {ALICE: note(99, HAVE), BOB: note(10**6, HAVE)})
    honest = call(node, "carol", {BOB: note(1, HAVE)})
    messages = chain("alice", 30)
    for n in range(int(FEED_STALL_S / 2) + 2):
        busy.offer(node, messages[n : n + 1])
        network.settle(2)
    assert honest.notes()[BOB] == note(0, WANT)


def test_peer_that_rested_is_asked_again_when_it_alone_has_more(
    network: Network, node: Node
) -> None:
    slow, quick = (call(node, "slow", {BOB: note(2, HAVE)}), call(node, "q", {BOB: note(1, HAVE)}))
    network.settle(STALL_S + 1)
    quick.offer(node, chain("bob", 1))
    network.settle(1)
    assert slow.notes()[BOB] == note(0, HAVE)
    network.settle(REST_S)
    assert slow.notes()[BOB] == note(1, WANT)


def test_other_peers_take_the_place_of_a_source_that_left(network: Network, node: Node) -> None:
    call(node, "carol", {BOB: note(5, HAVE)})
    dave = call(node, "dave", {BOB: note(5, HAVE)})
    network.cut("node", "carol")
    network.settle(0.1)
    assert dave.notes()[BOB] == note(0, WANT)


def test_other_peers_take_the_place_of_a_source_that_gives_up_the_feed(
    network: Network, node: Node
) -> None:
    carol = call(node, "carol", {BOB: note(5, HAVE)})
    dave = call(node, "dave", {BOB: note(5, HAVE)})
    carol.say(node, EbtNotes({BOB: REFUSED}))
    network.settle(0.1)
    assert dave.notes()[BOB] == note(0, WANT)


def test_peer_that_takes_part_again_is_told_of_the_feed_again(network: Network, node: Node) -> None:
    carol = call(node, "carol", {BOB: REFUSED})
    call(node, "dave", {BOB: note(5, HAVE)})
    carol.say(node, EbtNotes({BOB: note(3, HAVE)}))
    network.settle(0.1)
    assert [notes[BOB] for notes in said(carol) if BOB in notes] == [note(0, WANT), note(0, HAVE)]


@pytest.mark.parametrize("anyway", [False, True])
def test_peer_that_refuses_a_feed_is_not_asked_for_it(
    network: Network, node: Node, anyway: bool
) -> None:
    """Not even if it sends some of it."""
    carol = Stranger(network, "carol")
    network.link(node, carol)
    carol.say(node, EbtNotes({BOB: REFUSED}))
    if anyway:
        carol.offer(node, chain("bob", 3)[1:])
    network.settle(1)
    assert asks(call(node, "dave", {BOB: note(0, HAVE)}).notes()[BOB])
    assert BOB not in carol.notes()


def test_late_messages_of_a_stalled_source_make_it_a_good_one_again(
    network: Network, node: Node
) -> None:
    slow, other = (call(node, name, {BOB: note(9, HAVE)}) for name in ("slow", "other"))
    network.settle(STALL_S + 1)
    assert asks(other.notes()[BOB])
    slow.offer(node, chain("bob", 2))
    network.settle(STALL_S + 1)
    assert asks(slow.notes()[BOB])


def test_peer_whose_messages_were_refused_is_listened_to_once_it_is_asked_again(
    network: Network, node: Node
) -> None:
    carol = call(node, "carol", {BOB: note(3, HAVE)})
    messages = chain("bob", 3)
    carol.offer(node, [{**messages[0], "timestamp": 7} if isinstance(messages[0], dict) else None])
    network.settle(REFUSED_REST_S - 10)
    assert not asks(carol.notes()[BOB])
    network.settle(20)
    assert asks(carol.notes()[BOB])
    carol.offer(node, messages)
    network.settle(1)
    assert node.head("bob") == 3


def test_invalid_message_moves_the_feed_to_another_peer(network: Network, node: Node) -> None:
    bad, good = (call(node, name, {BOB: note(3, HAVE)}) for name in ("carol", "dave"))
    messages = chain("bob", 3)
    spoiled = {**messages[1], "timestamp": 7} if isinstance(messages[1], dict) else None
    bad.offer(node, [messages[0], spoiled, messages[2]])
    network.settle(1)
    assert (asks(bad.notes()[BOB]), asks(good.notes()[BOB])) == (False, True)
    assert node.head("bob") == 1
    checks = node.verified.total()
    bad.offer(node, chain("bob", 3))
    network.settle(1)
    assert node.verified.total() == checks  # what it sends of this feed is not looked at
    assert sum(f.count for f in node.found(Settled) if f.peer == peer_of("carol")) == 6


def test_gap_is_asked_for_again(network: Network, node: Node) -> None:
    carol = call(node, "carol", {BOB: note(2000, HAVE)})
    carol.offer(node, chain("bob", 1500)[1400:])  # too far ahead to be held
    network.settle(STALL_S + 2)
    assert [notes[BOB] for notes in said(carol) if BOB in notes] == [note(0, WANT)] * 2
