"""What a peer may try on its link to a node, below the machine that all peers share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from qbix_node.net import packets
from qbix_node.net.limits import Limits
from qbix_node.net.link import Body, BodyKind, Link, LinkClosed
from qbix_node.net.packets import END, STREAM
from qbix_node.replication.messages import EBT_ARGUMENTS
from qbix_node.wire.v8json import JsonValue
from tests.net.links import Stranger, link_to_stranger
from tests.replication.sites import Site, attending, peer_of, running

KIB = 1024
CALL: JsonValue = {"name": ["ebt", "replicate"], "type": "duplex", "args": EBT_ARGUMENTS}
TRUE = Body.of_json(True)


@asynccontextmanager
async def hostile(site: Site, limits: Limits) -> AsyncIterator[tuple[Link, Stranger]]:
    """A peer that was dialled, has refused ebt.replicate and reads nothing."""
    async with (
        running(site),
        link_to_stranger(site.replication.methods(), limits=limits, lockstep=True) as (
            link,
            stranger,
        ),
        attending(site, link),
    ):
        await trio.testing.wait_all_tasks_blocked()
        await stranger.say(packets.encode(END | STREAM, -1, TRUE))
        await trio.testing.wait_all_tasks_blocked()
        yield link, stranger


async def test_calls_that_end_at_once_leave_nothing_behind(alice: Site) -> None:
    """With each the node gives up what it asked before, and asks anew when it ends."""
    async with hostile(alice, Limits(queued_bytes_per_peer_max=4 * KIB)) as (_, stranger):
        living = trio.lowlevel.current_statistics().tasks_living
        for number in range(1, 150):
            await stranger.say(packets.encode(STREAM, number, Body.of_json(CALL)))
            await trio.testing.wait_all_tasks_blocked()
            await stranger.say(packets.encode(END | STREAM, number, TRUE))
            await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living <= living + 2


@pytest.mark.parametrize("depth", [1, 100])
async def test_message_that_is_too_long_ends_the_link(alice: Site, depth: int) -> None:
    arrays = b"[" * depth + b",".join([b"[]"] * 30_000) + b"]" * depth
    message = Body(BodyKind.JSON, b'{"author":"x","content":%b}' % arrays)
    async with running(alice), peer_of(alice, {}, dials=True) as link:
        stream = await link.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        await stream.receive_many()
        await stream.send([message])
        with pytest.raises(LinkClosed, match="goodbye"):
            await stream.receive_many()
    assert alice.replication.counters.messages_received == 0
