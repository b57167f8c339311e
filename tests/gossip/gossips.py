"""Nodes that replicate streams and gossip about them, over real links in memory."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from qbix_node.gossip.service import Gossip
from qbix_node.net.containment import remote_error
from qbix_node.net.link import Link
from qbix_node.net.methods import Methods
from qbix_node.runtime import InlineExecutor
from qbix_node.store.memory import MemoryStore
from qbix_node.streams.authoring import make_genesis_segment, make_segment
from qbix_node.streams.caution import PATIENCE_S
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.growth import Growth, continue_log, read_headers
from qbix_node.streams.messages import NewEntry, Segment
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.records import LogState
from qbix_node.wire.packing import pack
from tests.net.links import linked
from tests.replication.network import keys_of
from tests.replication.streams.holders import Holder

STAMP_MS = 1_800_000_000_000


class Node(Holder):
    """A holder that gossips."""

    def __init__(
        self,
        name: str,
        store: MemoryStore | None = None,
        *,
        clean: bool | None = None,
        alone: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(name, store, clean=clean, patience_s=patience_s)
        self.told: list[object] = []
        self.gossip = Gossip(
            self.streams,
            self.store,
            rng=random.Random(name),
            executor=InlineExecutor(),
            alone=alone,
            patience_s=patience_s,
            observe=self.told.append,
        )

    def methods(self) -> Methods:
        return {**self.streams.methods(), **self.gossip.methods()}

    async def attend(self, link: Link) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.streams.on_link, link)
                nursery.start_soon(self.gossip.on_link, link)
        except Exception as error:  # what peers cause ends with the link
            if (refusal := remote_error(error)) is None:
                raise
            link.close(str(refusal))


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await nursery.start(node.streams.run)
            await nursery.start(node.gossip.run)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def joined(*pairs: tuple[Node, Node]) -> AsyncIterator[None]:
    """The first of each pair has dialled the second."""
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        for a, b in pairs:
            links = linked(a.methods(), b.methods(), keys_a=a.keys, keys_b=b.keys)
            to_b, to_a = await stack.enter_async_context(links)
            nursery.start_soon(a.attend, to_b)
            nursery.start_soon(b.attend, to_a)
        yield
        nursery.cancel_scope.cancel()


class Author:
    """Who owns a stream and writes branches of it, without a node."""

    def __init__(
        self,
        name: str = "author",
        *,
        readers: Sequence[bytes] | None = None,
        uniqueness: Uniqueness = Uniqueness.GOSSIP,
    ) -> None:
        self.keys = keys_of(name)
        owners = Owners(((AuthorId(self.keys.public), 1),), 1)
        params = () if readers is None else (("readers", pack(tuple(sorted(readers)))),)
        self.genesis = Genesis(owners, "test", uniqueness, params, bytes(16))
        self.stream = self.genesis.stream
        first = make_genesis_segment(self.genesis, self.keys, STAMP_MS)
        self.beginning = [first]
        self._state = _grown(self.genesis, None, first)

    def write(self, *texts: Sequence[str]) -> list[Segment]:
        """A branch from the genesis on, with a Head after each group of entries."""
        state, segments = self._state, [*self.beginning]
        for group in texts:
            entries = [NewEntry("post", text.encode()) for text in group]
            segments.append(make_segment(state, self.keys, entries, STAMP_MS))
            state = _grown(self.genesis, state, segments[-1])
        return segments


def _grown(genesis: Genesis, state: LogState | None, segment: Segment) -> LogState:
    headers = read_headers(segment, state.length if state else 0)
    grown = continue_log(genesis, state, segment, headers)
    assert isinstance(grown, Growth)
    return grown.state
