"""A JavaScript peer carries a stream entry by entry between daemons that never meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from qbix_node.streams.archive import ArchiveReader
from qbix_node.streams.audit import Audit
from qbix_node.streams.messages import Segment
from tests.interop.jspeer import PATIENCE_S, JsPeer, needs_js_peers, open_js_peer
from tests.interop.node import Node, make_home, open_node

FORMAT = "qbix-v1"
ENTRIES = 300
AT_ONCE = 100  # entries under one Head

pytestmark = [pytest.mark.interop, needs_js_peers]


@asynccontextmanager
async def new_node(home: Path) -> AsyncIterator[Node]:
    await make_home(home)
    async with open_node(home) as node:
        yield node


async def create(node: Node) -> str:
    row = await node.tell("/streams/create", kind="readings", uniqueness="gossip", readers=[])
    return str(row["stream"])


async def append(node: Node, stream: str, numbers: range) -> None:
    """One Head over all of them."""
    body = b"".join([b"reading %d\n" % number for number in numbers])
    query = {"stream": stream, "lines": "1"}
    answer = await node.control.post("/streams/append", params=query, content=body)
    assert answer.is_success, answer.text


async def append_many(node: Node, stream: str, entries: int = ENTRIES) -> None:
    for first in range(0, entries, AT_ONCE):
        await append(node, stream, range(first, min(first + AT_ONCE, entries)))


async def come(node: Node, stream: str, index: int) -> None:
    """Wait until that entry is there."""
    query: dict[str, str | int] = {"stream": stream, "from": index, "limit": 1, "follow": 1}
    with trio.fail_after(PATIENCE_S):
        assert (await node.control.get("/streams/log", params=query)).is_success


async def exported(node: Node, stream: str) -> bytes:
    answer = await node.control.get("/streams/export", params={"stream": stream})
    assert answer.is_success, answer.text
    return answer.content


def verified(export: bytes) -> int:
    """How many entries, once all is checked as `stream verify` does it."""
    reader, audit = ArchiveReader(), Audit()
    for frame in reader.take(export):
        assert isinstance(frame.content, Segment)
        audit.take(frame.content)
    reader.end()
    return audit.length - 1


async def link(node: Node, peer: JsPeer, *, node_dials: bool) -> None:
    if node_dials:
        await node.dial(peer.address)
    else:
        await peer.tell("connect", address=node.address)


@pytest.mark.parametrize("nodes_dial", [True, False])
async def test_a_stream_travels_from_node_to_peer_to_node(nodes_dial: bool, tmp_path: Path) -> None:
    async with new_node(tmp_path / "a") as alice, new_node(tmp_path / "b") as bob:
        stream = await create(alice)
        await append_many(alice, stream)
        await bob.follow(stream)
        async with open_js_peer("db2", tmp_path / "js", streams=True, replicate=[stream]) as peer:
            await link(alice, peer, node_dials=nodes_dial)
            await peer.reach(stream, ENTRIES + 1)
            await link(bob, peer, node_dials=nodes_dial)
            await come(bob, stream, ENTRIES)
            assert await exported(bob, stream) == await exported(alice, stream)

            for number in range(3):  # live
                await append(alice, stream, range(number + 1))
            await come(bob, stream, ENTRIES + 6)
        export = await exported(bob, stream)
        assert export == await exported(alice, stream)
        assert verified(export) == ENTRIES + 6


async def test_a_peer_that_restarts_goes_on_and_serves_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "js"
    async with new_node(tmp_path / "a") as alice:
        stream = await create(alice)
        await append_many(alice, stream)
        async with open_js_peer("db2", folder, streams=True, replicate=[stream]) as peer:
            await link(alice, peer, node_dials=False)
            await peer.reach(stream, ENTRIES + 1)
        await append(alice, stream, range(AT_ONCE))
        async with open_js_peer("db2", folder, streams=True, replicate=[stream]) as peer:
            # From its log: what it had heard of peers may be older.
            assert (await peer.tell("clock", format=FORMAT))["clock"] == {stream: ENTRIES + 1}
            await link(alice, peer, node_dials=False)
            await peer.reach(stream, ENTRIES + AT_ONCE + 1)
        export = await exported(alice, stream)

    async with (
        open_js_peer("db2", folder, streams=True, replicate=[stream]) as peer,
        new_node(tmp_path / "b") as bob,
    ):
        await bob.follow(stream)
        await link(bob, peer, node_dials=True)
        await come(bob, stream, ENTRIES + AT_ONCE)
        assert await exported(bob, stream) == export
    async with open_node(tmp_path / "b") as bob:
        assert await exported(bob, stream) == export
        assert verified(export) == ENTRIES + AT_ONCE


async def test_what_a_peer_got_under_different_heads_is_one_log(tmp_path: Path) -> None:
    """The peer leaves in between; when it is back, the rest comes under a later Head."""
    many, folder = 40 * AT_ONCE, tmp_path / "js"
    async with new_node(tmp_path / "a") as alice, new_node(tmp_path / "b") as bob:
        stream = await create(alice)
        await append_many(alice, stream, many)
        await bob.follow(stream)
        async with open_js_peer("db2", folder, streams=True, replicate=[stream]) as peer:
            await link(alice, peer, node_dials=False)
            await link(bob, peer, node_dials=False)
            await come(bob, stream, AT_ONCE // 2)
        (row,) = await bob.ask("/streams")
        assert row["head_length"] == many + 1
        if row["length"] == many + 1:
            pytest.skip("all of it came before the peer could leave")
        await append(alice, stream, range(AT_ONCE))
        async with open_js_peer("db2", folder, streams=True, replicate=[stream]) as peer:
            await link(alice, peer, node_dials=False)
            await link(bob, peer, node_dials=False)
            await come(bob, stream, many + AT_ONCE)
        export = await exported(bob, stream)
        assert export == await exported(alice, stream)
        assert verified(export) == many + AT_ONCE


async def test_two_streams_travel_at_once_and_one_that_nobody_asked_for_stays(
    tmp_path: Path,
) -> None:
    async with new_node(tmp_path / "a") as alice, new_node(tmp_path / "b") as bob:
        streams = [await create(alice) for _ in range(3)]
        for stream in streams:
            await append(alice, stream, range(AT_ONCE))
            await bob.follow(stream)
        wanted = streams[:2]
        async with open_js_peer("db2", tmp_path / "js", streams=True) as peer:
            await link(alice, peer, node_dials=True)
            await link(bob, peer, node_dials=True)
            for stream in wanted:
                await peer.tell("replicate", id=stream)
            for stream in wanted:
                await come(bob, stream, AT_ONCE)
                assert await exported(bob, stream) == await exported(alice, stream)
            clock = (await peer.tell("clock", format=FORMAT))["clock"]
            assert clock == dict.fromkeys(wanted, AT_ONCE + 1)
