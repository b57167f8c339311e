"""createHistoryStream as peers ask for it."""

import pytest
import trio
import trio.testing

from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal
from qbix_node.wire.references import format_feed, format_message
from qbix_node.wire.v8json import JsonValue, parse
from tests.replication.network import feed_of
from tests.replication.sites import Site, peer_of, running


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
