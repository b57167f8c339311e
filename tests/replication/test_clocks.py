"""What peers said earlier is not repeated, unless it may be wrong."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.errors import DamagedStore
from qbix_node.replication.clocks import (
    CLOCKS_MAX,
    TRUSTED_S,
    StoredClock,
    clock_key,
    pack_clock,
    read_clock_ages,
    unpack_clock,
)
from qbix_node.replication.machine import SAVE_EVERY_S
from qbix_node.replication.messages import (
    REFUSED,
    EbtCall,
    EbtNotes,
)
from qbix_node.wire.packing import Packable, pack
from qbix_node.wire.references import FeedId
from tests.replication.network import Network, Node, chain, peer_of
from tests.replication.strangers import ALICE, BOB, HAVE, WANT, call, note, said

CAROL_PEER = peer_of("carol")
FEEDS = st.binary(min_size=32, max_size=32).map(FeedId)
SEQUENCES = st.integers(-1, 2**31 - 1)
PARTS: st.SearchStrategy[Packable] = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.none() | st.booleans(),
    st.sampled_from([b"", bytes(36), "x" * 36, (0,) * 36]),
)
RECORDS = st.binary() | st.lists(PARTS, max_size=3).map(pack)


@given(RECORDS)
def test_any_record_is_a_clock_or_damaged(record: bytes) -> None:
    with suppress(DamagedStore):
        assert pack_clock(unpack_clock(record)) == record


@given(st.integers(0, 2**40), st.dictionaries(FEEDS, SEQUENCES, max_size=4))
def test_a_clock_comes_back_as_it_was_packed(saved_s: int, sequences: dict[FeedId, int]) -> None:
    clock = StoredClock(saved_s, sequences)
    assert unpack_clock(pack_clock(clock)) == clock


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


def test_own_feed_is_said_once_after_a_start(network: Network, node: Node) -> None:
    node.publish()
    call(node, "carol", {node.feed: note(1, WANT)})
    network.settle(1)
    node.stop_cleanly()
    node.restart(clean=True)
    network.settle(1)
    carol = call(node, "carol", {})
    assert carol.notes()[node.feed] == note(1, WANT)
    carol.say(node, EbtNotes({node.feed: note(1, HAVE)}))
    network.settle(1)
    network.cut("node", "carol")
    network.settle(1)
    assert node.feed not in call(node, "carol").notes()


def test_a_peer_with_less_than_its_stored_clock_is_told_everything(
    network: Network, node: Node
) -> None:
    carol = call(node, "carol", {BOB: note(3, WANT), node.feed: note(1, HAVE)})
    carol.offer(node, chain("bob", 3))
    node.publish()
    network.settle(1)
    network.cut("node", "carol")
    network.settle(1)
    again = call(node, "carol", {})
    assert again.notes() == {}
    again.say(node, EbtNotes({node.feed: note(0, WANT)}))
    network.settle(1)
    assert set(again.notes()) == {node.feed, BOB}


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
