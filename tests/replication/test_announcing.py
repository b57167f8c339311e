"""What a node publishes about forked feeds (spec/classic-feeds.md 8)."""

import json
from collections.abc import Sequence
from typing import Any

import trio
import trio.testing

from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.records import Evidence, put_evidence
from qbix_node.feeds.validation import UNITS_MAX
from qbix_node.replication.announcing.service import EVERY_S, FORKS_MAX, LOOK_S, ForkAnnouncer
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.wire.references import format_feed, format_message
from tests.replication.network import feed_of, keys_of
from tests.replication.sites import Site, joined, running

FORKERS = [f"forker {number}" for number in range(FORKS_MAX + 2)]


def evidence_about(name: str) -> Evidence:
    """Two first messages, in the order in which they came."""
    ours, theirs = [make_message(keys_of(name), None, {"type": t}, 1) for t in ("one", "other")]
    return Evidence(0, ours, theirs)


def site_with_forks(names: Sequence[str]) -> Site:
    disk = MemoryDisk()
    disk.append([put_evidence(evidence_about(name)) for name in names])
    disk.sync()
    return Site("alice", MemoryStore(disk))


def told(site: Site) -> list[Any]:
    """What alice's messages say of forks."""
    contents = [json.loads(encoded)["content"] for encoded in site.log(feed_of("alice"))]
    return [content["forks"] for content in contents if content["type"] == "feed-fork"]


async def begin(alice: Site, reader: Site, *followed: str) -> ForkAnnouncer:
    """Alice has a message, which the reader gets."""
    for name in followed:
        await alice.replication.follow(feed_of(name))
    await alice.publish(1)
    await reader.replication.follow(alice.feed)
    return ForkAnnouncer(alice.replication, alice.store)


async def test_a_forked_feed_that_is_followed_is_announced_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = site_with_forks(["mallory", "trudy"]), Site("bob")
    async with running(alice, bob):
        announcer = await begin(alice, bob, "mallory")
        async with joined(alice, bob), trio.open_nursery() as nursery:
            nursery.start_soon(announcer.run)
            await trio.sleep(3 * EVERY_S)
            nursery.cancel_scope.cancel()
    evidence = evidence_about("mallory")
    ids = sorted([format_message(each.id) for each in (evidence.ours, evidence.theirs)])
    assert [sorted(row["messages"]) for forks in told(alice) for row in forks] == [ids]
    assert told(bob) == told(alice)


async def test_it_is_not_announced_again_after_a_restart(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = site_with_forks(["mallory"]), Site("bob")
    async with running(alice, bob):
        announcer = await begin(alice, bob, "mallory")
        async with joined(alice, bob):
            await trio.sleep(LOOK_S)
            await announcer.look()
            await trio.sleep(2 * EVERY_S)
            await ForkAnnouncer(alice.replication, alice.store).look()
    assert len(told(alice)) == 1


async def test_an_hour_lies_between_two_messages_each_of_so_many_forks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = site_with_forks(FORKERS), Site("bob")
    async with running(alice, bob):
        announcer = await begin(alice, bob, *FORKERS)
        async with joined(alice, bob):
            await trio.sleep(LOOK_S)
            counts = []
            for wait_s in (0, EVERY_S - 1, 1, EVERY_S):
                await trio.sleep(wait_s)
                await announcer.look()
                counts.append([len(forks) for forks in told(alice)])
    assert counts == [[FORKS_MAX], [FORKS_MAX], [FORKS_MAX, 2], [FORKS_MAX, 2]]
    assert max(len(each) for each in alice.log(alice.feed)) < UNITS_MAX
    everybody = {row["feed"] for forks in told(alice) for row in forks}
    assert everybody == {format_feed(feed_of(name)) for name in FORKERS}


async def test_nothing_is_published_while_nobody_has_the_own_feed_or_somebody_has_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A message in a place that is taken elsewhere would fork our own feed."""
    alice, bob = site_with_forks(["mallory"]), Site("bob")
    elsewhere = Site("alice")  # an earlier life, of which this alice has only the first message
    async with running(alice, bob, elsewhere):
        announcer = await begin(alice, bob, "mallory")
        await announcer.look()
        assert told(alice) == []  # nobody is there
        await bob.replication.unfollow(alice.feed)
        async with joined(alice, bob):
            await trio.sleep(LOOK_S)
            await announcer.look()
            assert told(alice) == []  # nobody has anything of it
        carol = Site("carol")
        async with running(carol):
            await carol.replication.follow(alice.feed)
            async with joined(elsewhere, carol):
                await elsewhere.publish(2)
                await trio.sleep(LOOK_S)
            async with joined(alice, carol):
                await trio.sleep(LOOK_S)
                await announcer.look()
    assert told(alice) == []


async def test_a_clock_that_was_put_back_does_not_silence_the_node(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = site_with_forks(["mallory", "trudy"]), Site("bob")
    async with running(alice, bob):
        announcer = await begin(alice, bob, "mallory")
        async with joined(alice, bob):
            await trio.sleep(LOOK_S)
            await announcer.look()
            await alice.replication.follow(feed_of("trudy"))
            now_ms = alice.replication.now_ms
            alice.replication.now_ms = lambda: now_ms() - 10**12  # type: ignore[method-assign]  # a clock
            await announcer.look()
    assert len(told(alice)) == 2
