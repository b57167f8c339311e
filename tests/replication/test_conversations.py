"""One node and peers that say exactly what the test has them say."""

import pytest

from qbix_node import machines as m
from qbix_node.feeds.messages import ForkFound, Settled
from qbix_node.replication.clocks import (
    CLOCKS_MAX,
    TRUSTED_S,
    clock_key,
    read_clock_ages,
    unpack_clock,
)
from qbix_node.replication.following import FOLLOWS_MAX
from qbix_node.replication.machine import SAVE_EVERY_S
from qbix_node.replication.messages import (
    REFUSED,
    Block,
    Denied,
    EbtCall,
    EbtEnded,
    EbtNotes,
    Follow,
    Granted,
    Hangup,
    HistoryEnded,
    HistoryRequest,
    PeerBlocked,
    PeerUnblocked,
    Unblock,
    Unfollow,
    asks,
    make_note,
)
from qbix_node.replication.peers import REFUSALS_MAX
from qbix_node.replication.sources import FEED_STALL_S, REFUSED_REST_S, REST_S, STALL_S
from qbix_node.wire.references import FeedId
from tests.replication.network import Network, Node, Stranger, chain, feed_of, peer_of

ALICE, BOB = feed_of("alice"), feed_of("bob")
CAROL_PEER = peer_of("carol")
WANT, HAVE = True, False


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def node(network: Network) -> Node:
    """Follows bob."""
    node = network.node("node")
    node.follow("bob")
    network.settle(1)
    return node


def note(sequence: int, receive: bool) -> int:
    return make_note(sequence, receive=receive)


def call(node: Node, name: str, notes: dict[FeedId, int] | None = None) -> Stranger:
    """A peer that has dialled, called and said so much."""
    peer = Stranger(node.network, name)
    node.network.link(peer, node)
    peer.say(node, EbtCall())
    node.network.settle(0.1)
    if notes is not None:
        peer.say(node, EbtNotes(notes))
        node.network.settle(0.1)
    return peer


def said(peer: Stranger) -> list[dict[FeedId, int]]:
    return [dict(message.notes) for message in peer.heard if isinstance(message, EbtNotes)]


# ---- beginning ----


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


# ---- what is announced and served ----


def test_feed_that_nobody_follows_here_is_refused_once(network: Network, node: Node) -> None:
    peer = call(node, "carol", {ALICE: note(7, WANT)})
    peer.say(node, EbtNotes({ALICE: note(8, WANT)}))
    network.settle(1)
    assert [notes[ALICE] for notes in said(peer) if ALICE in notes] == [REFUSED]


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


def test_lower_number_wins(network: Network) -> None:
    """A peer that lost its data says so, and gets it again."""
    node = network.node("node")
    node.publish(3)
    network.settle(1)
    call(node, "carol", {node.feed: note(3, WANT)})
    network.cut("node", "carol")
    call(node, "carol", {node.feed: note(0, WANT)})
    assert sorted(node.sent) == [("carol", node.feed, n) for n in (1, 2, 3)]


# ---- what is asked for ----


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


# ---- follow, unfollow, block ----


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


# ---- forks ----


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


# ---- what peers said earlier ----


def test_what_both_have_is_not_announced_again(network: Network, node: Node) -> None:
    carol = call(node, "carol", {BOB: note(3, WANT), ALICE: note(1, WANT)})
    carol.offer(node, chain("bob", 3))
    network.settle(1)
    network.cut("node", "carol")
    network.settle(1)
    assert said(call(node, "carol")) == [{node.feed: note(0, WANT)}]


def test_skipped_feed_goes_on_with_the_next_message(network: Network) -> None:
    node = network.node("node")
    node.publish()
    call(node, "carol", {node.feed: note(1, WANT)})
    network.cut("node", "carol")
    network.settle(1)
    carol = call(node, "carol", {})
    node.publish()
    network.settle(1)
    assert carol.notes() == {node.feed: note(2, HAVE)}
    carol.say(node, EbtNotes({node.feed: note(1, WANT)}))
    network.settle(1)
    assert sorted(node.sent) == [("carol", node.feed, 2)]


@pytest.mark.parametrize("clean", [True, False])
def test_whole_clock_is_said_after_a_crash(network: Network, node: Node, clean: bool) -> None:
    carol = call(node, "carol", {BOB: note(3, WANT)})
    carol.offer(node, chain("bob", 3))
    network.settle(1)
    node.stop_cleanly()
    node.restart(clean=clean)
    network.settle(1)
    assert (BOB in call(node, "carol").notes()) == (not clean)


@pytest.mark.parametrize(("age_s", "said_again"), [(TRUSTED_S - 10, False), (TRUSTED_S + 10, True)])
def test_whole_clock_is_said_after_an_hour(
    network: Network, node: Node, age_s: float, said_again: bool
) -> None:
    carol = call(node, "carol", {BOB: note(3, WANT)})
    carol.offer(node, chain("bob", 3))
    network.settle(1)
    network.cut("node", "carol")
    network.settle(age_s)
    assert (BOB in call(node, "carol").notes()) == said_again


def test_clocks_are_stored_now_and_then_where_they_changed(network: Network, node: Node) -> None:
    carol = call(node, "carol", {BOB: note(3, HAVE), ALICE: note(5, HAVE)})
    network.settle(SAVE_EVERY_S)
    record = node.disk.get(clock_key(peer_of("carol")))
    assert record is not None
    assert unpack_clock(record).sequences == {BOB: 3}
    carol.say(node, EbtNotes({BOB: REFUSED}))
    network.settle(3 * SAVE_EVERY_S)
    later = node.disk.get(clock_key(peer_of("carol")))
    assert later is not None
    assert unpack_clock(later).sequences == {BOB: REFUSED}
    assert unpack_clock(later).saved_s - unpack_clock(record).saved_s == SAVE_EVERY_S


def test_nothing_is_stored_of_a_peer_that_said_nothing(network: Network, node: Node) -> None:
    call(node, "carol")
    network.cut("node", "carol")
    network.settle(1)
    assert node.disk.get(clock_key(peer_of("carol"))) is None


def test_only_the_clock_that_was_asked_for_last_counts(node: Node) -> None:
    def connect() -> m.Token:
        effects = node.machine.handle(m.Connected(CAROL_PEER, outgoing=True), 0.0, node.network.rng)
        return next(effect.token for effect in effects if isinstance(effect, m.Load))

    first, second = connect(), connect()
    for token, called in ((first, False), (second, True), (second, False)):
        effects = node.machine.handle(m.Loaded(token, (None,)), 0.0, node.network.rng)
        assert (m.Send(CAROL_PEER, EbtCall()) in effects) == called


def test_second_connection_of_a_peer_starts_anew(network: Network, node: Node) -> None:
    first = call(node, "carol", {BOB: note(3, HAVE)})
    second = call(node, "carol")
    assert said(second) == [{node.feed: note(0, WANT), BOB: note(0, WANT)}]
    assert first.notes()[BOB] == note(0, WANT)


def test_stored_clocks_are_bounded(network: Network, node: Node) -> None:
    for n in [*range(CLOCKS_MAX), 0, CLOCKS_MAX, CLOCKS_MAX + 1]:
        call(node, str(n), {})
        network.cut("node", str(n))
    network.settle(1)
    stored = read_clock_ages(node.store)
    assert len(stored) == CLOCKS_MAX
    assert [n for n in range(4) if peer_of(str(n)) in stored] == [0, 3]
