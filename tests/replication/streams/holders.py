"""Nodes that replicate streams over real links in memory: box stream, muxrpc and all."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from qbix_node.net.containment import remote_error
from qbix_node.net.link import Link
from qbix_node.net.methods import Methods
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.runtime import InlineExecutor
from qbix_node.store.memory import MemoryStore
from qbix_node.streams.archive import ArchiveReader
from qbix_node.streams.caution import PATIENCE_S
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import NewEntry, Segment
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.switching import Withdraw, nothing_else
from qbix_node.wire.packing import pack
from qbix_node.wire.references import StreamId
from tests.net.links import linked
from tests.replication.network import keys_of

START_S = 1_800_000_000.0


class Holder:
    """A node: its streams, and the store that outlives it."""

    def __init__(
        self,
        name: str,
        store: MemoryStore | None = None,
        *,
        clean: bool | None = None,
        withdraw: Withdraw = nothing_else,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.keys = keys_of(name)
        self.store = store or MemoryStore()
        self.findings: list[object] = []
        self.streams = StreamReplication(
            self.keys,
            self.store,
            rng=random.Random(1),
            executor=InlineExecutor(),
            clean=clean,
            patience_s=patience_s,
            withdraw=withdraw,
            observe=self.findings.append,
            wall_clock=lambda: START_S + trio.current_time(),
        )

    async def create(self, *, readers: Sequence[bytes] | None = None) -> StreamId:
        owners = Owners(((AuthorId(self.keys.public), 1),), 1)
        params = () if readers is None else (("readers", pack(tuple(sorted(readers)))),)
        genesis = Genesis(owners, "test", Uniqueness.GOSSIP, params, b"salt".ljust(16, b"."))
        await self.streams.create(genesis)
        return genesis.stream

    async def append(self, stream: StreamId, count: int) -> None:
        entries = tuple([NewEntry("post", f"{n}".encode() * 20) for n in range(count)])
        await self.streams.append(stream, entries)

    def length(self, stream: StreamId) -> int:
        state = self.streams.status(stream).state
        return state.length if state else 0

    def log(self, stream: StreamId) -> list[tuple[bytes, bytes | None]]:
        return [(each.leaf, each.content) for each in self.streams.entries(stream, 0, 1_000_000)]


@asynccontextmanager
async def running(*holders: Holder) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for holder in holders:
            await nursery.start(holder.streams.run)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def joined(a: Holder, b: Holder) -> AsyncIterator[tuple[Link, Link]]:
    """A has dialled B."""
    ours, theirs = a.streams.methods(), b.streams.methods()
    async with (
        linked(ours, theirs, keys_a=a.keys, keys_b=b.keys) as links,
        attending(a, links[0]),
        attending(b, links[1]),
    ):
        yield links


@asynccontextmanager
async def peer_of(
    holder: Holder, methods: Methods, *, dials: bool = False, name: str = "stranger"
) -> AsyncIterator[Link]:
    """A link to the holder, as its peer has it."""
    ours, keys = holder.streams.methods(), keys_of(name)
    if dials:
        links = linked(methods, ours, keys_a=keys, keys_b=holder.keys)
        async with links as (peer, link), attending(holder, link):
            yield peer
    else:
        links = linked(ours, methods, keys_a=holder.keys, keys_b=keys)
        async with links as (link, peer), attending(holder, link):
            yield peer


@asynccontextmanager
async def attending(holder: Holder, link: Link) -> AsyncIterator[None]:
    """As the network does: with the link, and no longer."""

    async def attend() -> None:
        try:
            await holder.streams.on_link(link)
        except Exception as error:  # what peers cause ends with the link
            if (refusal := remote_error(error)) is None:
                raise
            link.close(str(refusal))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attend)
        yield
        nursery.cancel_scope.cancel()


def segments_of(holder: Holder, stream: StreamId) -> list[Segment]:
    reader = ArchiveReader()
    frames = [frame for piece in holder.streams.export(stream) for frame in reader.take(piece)]
    return [frame.content for frame in frames if isinstance(frame.content, Segment)]
