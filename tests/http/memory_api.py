"""A node in memory behind the HTTP interface: lists instead of feeds, nothing over a network."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import trio

from qbix_node.errors import LocalError, Temporary
from qbix_node.http.api import (
    BlobRemoval,
    BlobRow,
    BlobsRow,
    Entry,
    FeedRow,
    Metric,
    PeerRow,
    Status,
    StoreRow,
)
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.wire.references import BlobId, FeedId, format_blob, format_feed
from qbix_node.wire.v8json import JsonValue
from tests.http.memory_contents import MemoryContents
from tests.http.memory_dht import MemoryDht
from tests.http.memory_domains import MemoryDomains
from tests.http.memory_forks import MemoryForks
from tests.http.memory_streams import MemoryStreams

ALICE = FeedId(bytes(range(32)))
BLOB = BlobId(b"b" * 32)


@dataclass
class MemoryApi:
    feed: FeedId = ALICE
    wrong: list[str] = field(default_factory=list)
    known: dict[PeerId, str] = field(default_factory=dict)
    followed: set[FeedId] = field(default_factory=set)
    messages: list[Entry] = field(default_factory=list)
    files: dict[BlobId, bytes] = field(default_factory=dict)
    appended: trio.Event = field(default_factory=trio.Event)
    streams: MemoryStreams = field(default_factory=MemoryStreams)
    contents: MemoryContents = field(init=False)
    forks: MemoryForks = field(default_factory=MemoryForks)
    dht: MemoryDht = field(default_factory=MemoryDht)
    domains: MemoryDomains = field(default_factory=MemoryDomains)
    _waiters: int = 0
    _waiters_changed: trio.Event = field(default_factory=trio.Event)
    logs_read: list[int] = field(default_factory=list)  # the limit of each reading

    def __post_init__(self) -> None:
        self.contents = MemoryContents(self.streams)

    async def status(self) -> Status:
        return Status(
            node_id=format_feed(ALICE),
            address="net:127.0.0.1:8008~shs:x",
            version="0",
            uptime_s=1.5,
            health=self.wrong,
            peers=self.peers(),
            streams=len(self.streams.rows),
            doubts=[],
            feeds=1,
            entries=len(self.messages),
            following=len(self.followed),
            forks=self.forks.forks(),
            blobs=BlobsRow(0, 0, 0),
            store=StoreRow(4096, None),
            dht=self.dht.row(),
            epoch=None,
            status_page=None,
        )

    async def health(self) -> list[str]:
        return self.wrong

    async def metrics(self) -> list[Metric]:
        return [
            Metric("qbix_peers", "gauge", "Peers.", 2, (("way", "in"),)),
            Metric("qbix_peers", "gauge", "Peers.", 3, (("way", "out"),)),
            Metric("qbix_appended_total", "counter", "Messages.", 123456789),
        ]

    def peers(self) -> list[PeerRow]:
        return [
            PeerRow(format_feed(peer), address, "connected", outgoing=True)
            for peer, address in self.known.items()
        ]

    async def add_peer(self, address: Address) -> None:
        self.known[address.key] = str(address)

    async def add_key(self, peer: PeerId) -> None:
        self.known[peer] = ""

    async def remove_peer(self, peer: PeerId) -> None:
        if peer not in self.known:
            raise LocalError("not a known peer", hint="qbix-node peer list")
        del self.known[peer]

    async def block(self, peer: PeerId) -> None:
        raise Temporary("the disk is full", hint="free some space")

    async def unblock(self, peer: PeerId) -> None:
        raise RuntimeError("something that nobody thought of")

    def feeds(self) -> list[FeedRow]:
        return [FeedRow(format_feed(ALICE), len(self.messages), True, False, False, 0)]

    def following(self) -> list[str]:
        return [format_feed(feed) for feed in sorted(self.followed)]

    async def follow(self, feed: FeedId) -> None:
        self.followed.add(feed)

    async def unfollow(self, feed: FeedId) -> None:
        self.followed.discard(feed)

    async def publish(self, content: JsonValue, recipients: Sequence[FeedId]) -> Entry:
        value: JsonValue = {"sequence": len(self.messages) + 1, "content": content}
        opened: JsonValue = [format_feed(each) for each in recipients] or None
        self.messages.append(Entry(f"%{len(self.messages) + 1}", value, opened))
        self.appended.set()
        self.appended = trio.Event()
        return self.messages[-1]

    def resume(self, sequence: int) -> None:
        if sequence != len(self.messages):
            raise LocalError(f"{len(self.messages)} messages are here, not {sequence}")

    def log(self, feed: FeedId, first: int, limit: int, *, private: bool) -> list[Entry]:
        if feed != self.feed:
            raise LocalError("no message of that feed is here")
        self.logs_read.append(limit)
        found = self.messages[first - 1 : first - 1 + limit]
        return found if private else [Entry(each.key, each.value) for each in found]

    async def wait_beyond(self, feed: FeedId, sequence: int) -> None:
        self._count_waiters(+1)
        try:
            while len(self.messages) <= sequence:
                await self.appended.wait()
        finally:
            self._count_waiters(-1)

    def _count_waiters(self, change: int) -> None:
        self._waiters += change
        self._waiters_changed.set()
        self._waiters_changed = trio.Event()

    async def wait_for_waiters(self, count: int) -> None:
        """Until so many requests wait for a message."""
        while self._waiters != count:
            await self._waiters_changed.wait()

    def blobs(self) -> list[BlobRow]:
        return [BlobRow(format_blob(blob), len(data)) for blob, data in self.files.items()]

    async def add_blob(self, pieces: AsyncIterator[bytes]) -> BlobRow:
        self.files[BLOB] = b"".join([piece async for piece in pieces])
        return BlobRow(format_blob(BLOB), len(self.files[BLOB]))

    async def remove_blob(self, blob: BlobId) -> BlobRemoval:
        if self.files.pop(blob, None) is None:
            raise LocalError("neither here nor wanted")
        return BlobRemoval(format_blob(blob), removed=True, unwanted=False)

    async def want_blob(self, blob: BlobId, patience_s: float) -> None:
        if blob not in self.files:
            await trio.sleep(patience_s)
            raise Temporary("no peer that has it was found so far")

    async def read_blob(self, blob: BlobId) -> tuple[int, AsyncIterator[bytes]]:
        if blob not in self.files:
            raise LocalError("not here")
        return len(self.files[blob]), OnePiece([self.files[blob]])


@dataclass
class OnePiece:
    """An iterator that leaves nothing open when it is given up, as the real one."""

    pieces: list[bytes]

    def __aiter__(self) -> "OnePiece":
        return self

    async def __anext__(self) -> bytes:
        if not self.pieces:
            raise StopAsyncIteration
        return self.pieces.pop()
