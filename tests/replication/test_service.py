"""Two nodes, from publishing to the other one's log; under a virtual clock."""

import pytest
import trio
import trio.testing

from qbix_node.errors import BadInput, LocalError
from qbix_node.feeds.messages import Published
from qbix_node.machines import PeerId
from qbix_node.replication.messages import PeerBlocked
from tests.replication.network import feed_of
from tests.replication.sites import Site, joined, running


async def test_feeds_travel_both_ways_and_stay_live(
    alice: Site, bob: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        await alice.publish(300)
        await bob.publish(5)
        async with joined(alice, bob):
            await alice.replication.follow(bob.feed)
            await bob.replication.follow(alice.feed)
            await bob.replication.wait_beyond(alice.feed, 299)
            await alice.replication.wait_beyond(bob.feed, 4)
            await alice.publish(3)
            await bob.replication.wait_beyond(alice.feed, 302)
    assert bob.log(alice.feed) == alice.log(alice.feed)
    assert alice.log(bob.feed) == bob.log(bob.feed)
    assert bob.replication.counters.messages_received == 303
    assert alice.replication.counters.messages_sent == 303
    assert bob.replication.counters.notes_sent <= 4


async def test_second_link_goes_on_where_the_first_ended(
    alice: Site, bob: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        await bob.replication.follow(alice.feed)
        for n in range(3):
            await alice.publish(2)
            async with joined(alice, bob) if n % 2 else joined(bob, alice):
                await bob.replication.wait_beyond(alice.feed, 2 * n + 1)
    assert bob.replication.counters.messages_received == 6


async def test_many_messages_take_few_steps(
    alice: Site, bob: Site, autojump_clock: trio.testing.MockClock
) -> None:
    """What a message may cost beside its signature is bounded by counts, not by times."""
    async with running(alice, bob):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(alice.publish, 100)
        await bob.replication.follow(alice.feed)
        before = bob.store.counters.batches
        async with joined(alice, bob) as (to_bob, _):
            await bob.replication.wait_beyond(alice.feed, 1999)
            assert to_bob.writes <= 2000 / 20
    assert bob.store.counters.batches - before <= 2000 / 20


async def test_publish_returns_once_the_message_is_durable(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        message = await alice.replication.publish({"type": "test"})
        assert [stored.id for stored in alice.replication.log(alice.feed, 1, 9)] == [message.id]
        assert Published(1, message) in alice.findings


async def test_publish_says_why_not(alice: Site, autojump_clock: trio.testing.MockClock) -> None:
    async with running(alice):
        with pytest.raises(BadInput, match="__proto__"):
            await alice.replication.publish({"type": "test", "__proto__": 1})


async def test_follow_and_block_outlive_the_process(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        await alice.replication.follow(feed_of("bob"))
        await alice.replication.follow(feed_of("carol"))
        await alice.replication.unfollow(feed_of("carol"))
        await alice.replication.block(PeerId(feed_of("dave")))
        with pytest.raises(LocalError, match="unblock"):
            await alice.replication.follow(feed_of("dave"))
    again = Site("alice", alice.store)
    assert again.replication.following() == [feed_of("bob")]
    assert again.replication.blocked() == [PeerId(feed_of("dave"))]
    async with running(again):
        await again.replication.unblock(PeerId(feed_of("dave")))
        await again.replication.follow(feed_of("dave"))


async def test_requests_that_are_given_up_leave_the_next_ones_their_answers(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(1):
        await alice.replication.follow(feed_of("bob"))  # nothing runs yet
    async with running(alice), trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(alice.replication.follow, feed_of("bob"))
    assert Site("alice", alice.store).replication.following() == [feed_of("bob")]


async def test_blocked_peer_is_hung_up_on(
    alice: Site, bob: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob), joined(alice, bob) as (to_bob, _):
        await trio.sleep(1)
        await alice.replication.block(PeerId(bob.feed))
        assert to_bob.closed_because == "this peer is blocked here"
        assert PeerBlocked(PeerId(bob.feed)) in alice.findings


async def test_feeds_are_listed_with_where_they_come_from(
    alice: Site, bob: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        await alice.publish(2)
        await bob.replication.follow(alice.feed)
        async with joined(alice, bob):
            await bob.replication.wait_beyond(alice.feed, 1)
            (of_alice,) = [row for row in bob.replication.feeds() if row.feed == alice.feed]
    assert (of_alice.sequence, of_alice.claimed) == (2, 2)
    assert of_alice.source == PeerId(alice.feed)
    assert (of_alice.own, of_alice.following, of_alice.forked) == (False, True, False)
