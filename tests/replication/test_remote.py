"""A node and peers that are not ours: all that comes over one link."""

import pytest
import trio
import trio.testing

from qbix_node.feeds.messages import ForkFound
from qbix_node.net.link import Body, BodyKind, RemoteRefusal, Stream
from qbix_node.replication.messages import EBT_ARGUMENTS, format_notes
from qbix_node.replication.remote.service import OFFER_MAX, UNSETTLED_MAX
from qbix_node.wire.references import format_feed
from qbix_node.wire.v8json import JsonValue, parse
from tests.net.links import linked
from tests.replication.network import chain, feed_of, keys_of
from tests.replication.sites import (
    Site,
    as_body,
    attending,
    duplex,
    history,
    peer_of,
    receive_json,
    running,
)


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
    (evidence,) = alice.replication.evidence(alice.replication.forked())
    assert parse(evidence.ours.encoded.encode(), "") == ours[5]
    assert parse(evidence.theirs.encoded.encode(), "") == theirs[5]
