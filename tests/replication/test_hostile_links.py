"""What a peer may try on its link to a node, below the machine that all peers share."""

import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
import trio.testing

from qbix_node.net import packets
from qbix_node.net.limits import Limits
from qbix_node.net.link import Body, BodyKind, Link, LinkClosed, RemoteRefusal
from qbix_node.net.packets import END, STREAM
from qbix_node.replication.messages import EBT_ARGUMENTS
from qbix_node.replication.remote.service import CALLS_MAX, REPORTS_MAX
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
    async with hostile(alice, Limits(queued_bytes_per_peer_max=KIB)) as (_, stranger):
        living = trio.lowlevel.current_statistics().tasks_living
        for number in range(1, CALLS_MAX):
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


async def test_calls_over_one_link_are_bounded(alice: Site) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as link:
        for _ in range(CALLS_MAX):
            await (await link.open("ebt.replicate", EBT_ARGUMENTS, "duplex")).receive_many()
        stream = await link.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
        with pytest.raises(RemoteRefusal, match="was called 16 times"):
            await stream.receive_many()


async def test_refused_messages_do_not_fill_the_log(
    alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    nothing = Body(BodyKind.JSON, b'{"author":1}')
    with structlog.testing.capture_logs() as lines:
        async with running(alice), peer_of(alice, {}, dials=True) as link:
            stream = await link.open("ebt.replicate", EBT_ARGUMENTS, "duplex")
            await stream.send([nothing] * 1000)
            await trio.sleep(1)
    levels = [line["log_level"] for line in lines if line["event"] == "message.refused"]
    assert levels == ["info"] * REPORTS_MAX + ["debug"] * (1000 - REPORTS_MAX)


async def test_link_that_ends_before_its_turn_leaves_nothing_behind(alice: Site) -> None:
    """The replication still says goodbye to the earlier link of the same peer."""
    links: list[weakref.ref[Link]] = []
    methods = alice.replication.methods()
    for _ in range(3):  # nothing runs yet, so that the first one is not seen off
        async with link_to_stranger(methods) as (link, stranger), attending(alice, link):
            await stranger.say(packets.encode(STREAM, 1, Body.of_json(CALL)))
            await trio.testing.wait_all_tasks_blocked()
            links.append(weakref.ref(link))
        del link, stranger
    gc.collect()
    assert [link() is None for link in links] == [False, True, True]
