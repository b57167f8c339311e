"""Nodes over real links in memory: box stream, muxrpc and all, under a virtual clock."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import LocalError
from qbix_node.feeds.messages import ForkFound, Published
from qbix_node.machines import PeerId
from qbix_node.net.containment import remote_error
from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.replication.messages import EBT_ARGUMENTS, PeerBlocked, format_notes
from qbix_node.replication.remote.service import OFFER_MAX, UNSETTLED_MAX
from qbix_node.replication.service import Replication
from qbix_node.runtime import InlineExecutor
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.references import FeedId, format_feed, format_message
from qbix_node.wire.v8json import JsonValue, parse
from tests.net.links import linked
from tests.replication.network import chain, feed_of, keys_of

START_S = 1_800_000_000.0


class Site:
    """A node: its replication, and the store that outlives it."""

    def __init__(
        self, name: str, store: MemoryStore | None = None, *, keys: KeyPair | None = None
    ) -> None:
        self.keys = keys or keys_of(name)
        self.store = store or MemoryStore()
        self.findings: list[object] = []
        self.replication = Replication(
            self.keys,
            self.store,
            rng=random.Random(1),
            executor=InlineExecutor(),
            clocks_valid=True,
            observe=self.findings.append,
            wall_clock=lambda: START_S + trio.current_time(),
        )

    @property
    def feed(self) -> FeedId:
        return self.replication.own

    async def publish(self, count: int) -> None:
        for n in range(count):
            await self.replication.publish({"type": "test", "n": n})

    def log(self, feed: FeedId) -> list[bytes]:
        return [message.encoded for message in self.replication.log(feed, 1, 100_000)]


@asynccontextmanager
async def running(*sites: Site) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for site in sites:
            await nursery.start(site.replication.run)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def joined(a: Site, b: Site) -> AsyncIterator[tuple[Link, Link]]:
    """A has dialled B."""
    async with (
        linked(
            a.replication.methods(), b.replication.methods(), keys_a=a.keys, keys_b=b.keys
        ) as links,
        attending(a, links[0]),
        attending(b, links[1]),
    ):
        yield links


@asynccontextmanager
async def attending(site: Site, link: Link) -> AsyncIterator[None]:
    """As the network does: with the link, and no longer."""

    async def attend() -> None:
        try:
            await site.replication.on_link(link)
        except Exception as error:  # what peers cause ends with the link
            if (refusal := remote_error(error)) is None:
                raise
            link.close(str(refusal))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attend)
        yield
        nursery.cancel_scope.cancel()


@pytest.fixture
async def alice() -> Site:
    return Site("alice")


@pytest.fixture
async def bob() -> Site:
    return Site("bob")


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
        with pytest.raises(LocalError, match="__proto__"):
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


# ---- peers that are not ours ----


Talk = Callable[[Stream], Awaitable[None]]


def duplex(talk: Talk) -> Methods:
    """The methods of a peer that speaks EBT as the test says."""

    async def handle(link: Link, arguments: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        await talk(stream)
        return None

    return {"ebt.replicate": Method("duplex", handle)}


def history(serve: Callable[[Stream, JsonValue], Awaitable[None]]) -> Methods:
    async def handle(link: Link, arguments: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        await serve(stream, arguments[0])
        return None

    return {"createHistoryStream": Method("source", handle)}


@asynccontextmanager
async def peer_of(
    site: Site, methods: Methods, *, dials: bool = False, name: str = "stranger"
) -> AsyncIterator[Link]:
    """A link to the site, as its peer has it."""
    async with AsyncExitStack() as stack:
        ours, theirs = site.replication.methods(), methods
        if dials:
            links = linked(theirs, ours, keys_a=keys_of(name), keys_b=site.keys)
            peer, link = await stack.enter_async_context(links)
        else:
            links = linked(ours, theirs, keys_a=site.keys, keys_b=keys_of(name))
            link, peer = await stack.enter_async_context(links)
        await stack.enter_async_context(attending(site, link))
        yield peer


def as_body(value: JsonValue) -> Body:
    return Body.of_json(value)


async def receive_json(stream: Stream) -> list[JsonValue]:
    return [body.json("test") for body in await stream.receive_many()]


async def test_messages_are_served_exactly_as_they_were_signed(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        await alice.replication.publish({"type": "test", "1": 0.5, "text": "\u2028\U0001f600"})
        async with peer_of(alice, {}, dials=True) as peer:
            stream = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
            assert await receive_json(stream) == [{format_feed(alice.feed): 2}]
            await stream.send([Body(BodyKind.JSON, format_notes({alice.feed: 0}))])
            (body,) = await stream.receive_many()
            assert body == Body(BodyKind.JSON, alice.log(alice.feed)[0])


async def test_flood_of_one_peer_is_read_only_as_fast_as_it_is_dealt_with(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    messages = [as_body(value) for value in chain("bob", 3 * UNSETTLED_MAX)]
    async with running(alice):
        await alice.replication.follow(feed_of("bob"))
        async with peer_of(alice, {}, dials=True) as peer:
            stream = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
            alice.store.disk.full = True
            await stream.send(messages)
            await trio.sleep(30)
            assert alice.replication.feeds()[0].sequence == 0
            assert 0 < alice.replication.waiting <= UNSETTLED_MAX + OFFER_MAX
            alice.store.disk.full = False
            await alice.replication.wait_beyond(feed_of("bob"), len(messages) - 1)


@pytest.mark.parametrize(
    "body",
    [
        Body(BodyKind.BINARY, b"\x00\x01"),
        Body(BodyKind.TEXT, b"hello"),
        Body(BodyKind.JSON, b"[1]"),
        Body(BodyKind.JSON, b"{"),
        Body(BodyKind.JSON, b"true"),
    ],
)
async def test_what_is_neither_notes_nor_message_ends_the_connection(
    alice: Site, body: Body, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        stream = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        await stream.send([body])
        await trio.sleep(5)
        assert peer.closed_because is not None


async def test_peer_may_call_before_the_link_is_attended_to(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    ours, keys = alice.replication.methods(), keys_of("bob")
    async with (
        running(alice),
        linked({}, ours, keys_a=keys, keys_b=alice.keys) as (peer, link),
    ):
        stream = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        await trio.sleep(1)
        async with attending(alice, link):
            assert await receive_json(stream) == [{format_feed(alice.feed): 0}]


async def test_call_with_other_arguments_is_refused(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        stream = await peer.open("ebt.replicate", [{"version": 2}], "duplex")
        with pytest.raises(RemoteRefusal, match="version: 3"):
            await stream.receive_many()


async def test_who_was_called_does_not_call(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async def listen(stream: Stream) -> None:
        while await stream.receive_many():
            pass

    async with running(alice), peer_of(alice, duplex(listen)) as peer:
        await trio.sleep(1)
        stream = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        with pytest.raises(RemoteRefusal, match="the side that dialled"):
            await stream.receive_many()


async def test_new_call_ends_the_earlier_conversation(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        first = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        await first.receive_many()
        second = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        assert await receive_json(second) == [{format_feed(alice.feed): 0}]
        with pytest.raises(RemoteRefusal, match="reconnected"):
            await first.receive_many()


async def test_end_of_the_conversation_is_the_end_of_the_link(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        stream = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        await stream.receive_many()
        await stream.send([as_body({})])
        await trio.sleep(1)
        await stream.end()
        await trio.sleep(1)
        assert peer.closed_because is not None


async def test_peer_without_ebt_is_read_by_history(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    asked: list[JsonValue] = []
    bob = feed_of("bob")

    async def serve(stream: Stream, options: JsonValue) -> None:
        asked.append(options)
        if isinstance(options, dict) and options["id"] == format_feed(bob):
            values = chain("bob", 40)[::-1]
            wrapped: list[JsonValue] = [{"key": "%", "value": value} for value in values[:20]]
            wrapped.append({"sync": True})
            await stream.send([as_body(each) for each in wrapped + values[20:]])
        await trio.sleep_forever()

    async with running(alice):
        await alice.replication.follow(bob)
        async with peer_of(alice, history(serve)):
            await alice.replication.wait_beyond(bob, 39)
    request: dict[str, JsonValue] = {
        "live": True,
        "old": True,
        "keys": False,
        "values": True,
        "seq": 1,
    }
    for feed in (alice.feed, bob):
        assert {"id": format_feed(feed), **request} in asked


async def test_histories_that_are_no_longer_wanted_are_ended(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    ended: list[str] = []

    async def serve(stream: Stream, options: JsonValue) -> None:
        try:
            await trio.sleep_forever()
        finally:
            assert isinstance(options, dict)
            ended.append(str(options["id"]))

    async with running(alice):
        await alice.replication.follow(feed_of("bob"))
        async with peer_of(alice, history(serve)):
            await trio.sleep(1)
            await alice.replication.unfollow(feed_of("bob"))
            await trio.sleep(1)
            assert ended == [format_feed(feed_of("bob"))]


async def test_fork_is_proven_by_the_message_that_was_asked_for(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    ours, theirs = chain("bob", 6, branch="x"), chain("bob", 8, branch="y")
    bob = feed_of("bob")

    async def serve(stream: Stream, options: JsonValue) -> None:
        assert isinstance(options, dict)
        assert (options["seq"], options["limit"]) == (6, 1)
        await stream.send([as_body(theirs[5])])

    async with running(alice):
        await alice.replication.follow(bob)
        async with peer_of(alice, history(serve), dials=True) as peer:
            stream = await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
            await stream.send([as_body(value) for value in [*ours, *theirs[6:]]])
            await trio.sleep(5)
    assert [found.sequence for found in alice.findings if isinstance(found, ForkFound)] == [6]
    (evidence,) = alice.replication.evidence()
    assert parse(evidence.ours.encoded.encode(), "") == ours[5]
    assert parse(evidence.theirs.encoded.encode(), "") == theirs[5]


# ---- createHistoryStream, served ----


async def read_history(peer: Link, options: JsonValue) -> list[Body]:
    stream = await peer.open("createHistoryStream", [options], "source")
    bodies: list[Body] = []
    while more := await stream.receive_many():
        bodies += more
    return bodies


async def test_history_is_served_from_a_sequence_up_to_a_limit(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        await alice.publish(150)
        name = format_feed(alice.feed)
        stored = alice.replication.log(alice.feed, 1, 1000)
        bare = [Body(BodyKind.JSON, message.encoded) for message in stored]
        assert await read_history(peer, {"id": name, "keys": False}) == bare
        some = await read_history(peer, {"id": name, "seq": 70, "limit": 70, "keys": False})
        assert some == bare[69:139]
        (full,) = await read_history(peer, {"id": name, "sequence": 150})
        assert full.json("") == {
            "key": format_message(stored[-1].id),
            "value": parse(stored[-1].encoded, ""),
            "timestamp": stored[-1].received_ms,
        }
        (key,) = await read_history(peer, {"id": name, "sequence": 150, "values": False})
        assert key.json("") == format_message(stored[-1].id)
        assert await read_history(peer, {"id": name, "seq": 151}) == []
        assert await read_history(peer, {"id": name, "old": False}) == []


async def test_live_history_goes_on_with_what_is_published(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        await alice.publish(2)
        options: JsonValue = {"id": format_feed(alice.feed), "live": True, "keys": False}
        stream = await peer.open("createHistoryStream", [options], "source")
        assert len(await stream.receive_many()) == 2
        only_new: JsonValue = {"id": format_feed(alice.feed), "live": True, "old": False}
        news = await peer.open("createHistoryStream", [only_new], "source")
        await trio.sleep(1)
        await alice.publish(1)
        assert [body.data for body in await stream.receive_many()] == alice.log(alice.feed)[2:]
        assert len(await news.receive_many()) == 1


async def test_history_of_a_feed_that_is_not_replicated_is_empty(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        assert await read_history(peer, {"id": format_feed(feed_of("bob")), "live": True}) == []


async def test_history_of_something_else_is_refused(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        with pytest.raises(RemoteRefusal, match="no feed id"):
            await read_history(peer, {"id": "@bob"})
