"""Contents of entries as the HTTP interface sees them: large ones, missing ones, dropped ones."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager

import trio

from qbix_node.blobs.service import Blobs
from qbix_node.daemon.node import Node
from qbix_node.daemon.stream_interface import StreamInterface, require_disk
from qbix_node.errors import LocalError, Malformed, Temporary
from qbix_node.http.content_api import ContentDrop, ContentFetch
from qbix_node.http.stream_api import StreamPlace
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.streams.chunks import (
    CHUNK_BYTES,
    HASHES_MAX,
    NODE_BYTES_MAX,
    WHOLE_BYTES_MAX,
    ChunkNode,
    Cutter,
    read_root,
)
from qbix_node.streams.messages import CONTENT_BYTES_MAX, Header, LargeContent, read_header
from qbix_node.streams.serving import Entry
from qbix_node.streams.shelf import AskFor, Drop
from qbix_node.wire.references import BlobId, StreamId, format_blob, format_feed, format_stream

AHEAD = 4  # chunks that are asked for beside the one that is read


class ContentInterface:
    """Implements http.content_api.ContentApi."""

    def __init__(self, node: Node, streams: StreamInterface) -> None:
        self._node = node
        self._interface = streams

    @property
    def _streams(self) -> StreamReplication:
        return self._node.streams

    # ---- appended ----

    async def append(
        self, stream: StreamId, kind: str, pieces: AsyncIterator[bytes]
    ) -> StreamPlace:
        beginning = bytearray()
        async for piece in pieces:
            beginning += piece
            if len(beginning) > CONTENT_BYTES_MAX:
                content = await self._keep(stream, bytes(beginning), pieces)
                return await self._interface.append(stream, kind, [content])
        return await self._interface.append(stream, kind, [bytes(beginning)])

    async def _keep(
        self, stream: StreamId, beginning: bytes, pieces: AsyncIterator[bytes]
    ) -> LargeContent:
        """As blobs, which are durable before the entry is."""
        self._interface.require_appendable(stream)
        genesis = self._streams.geneses[stream]
        if genesis.readers is not None:
            raise LocalError(
                f"in a stream with readers a content has at most {CONTENT_BYTES_MAX} bytes: larger"
                " ones are blobs, which anybody may read who knows their ids",
                hint="encrypt it, add it with qbix-node blob add, and append the id and the key",
            )
        cutter = Cutter()
        for blob in cutter.take(beginning):
            await self._node.blobs.add(_one(blob))
        async for piece in pieces:
            for blob in cutter.take(piece):
                await self._node.blobs.add(_one(blob))
        for blob in cutter.end():
            await self._node.blobs.add(_one(blob))
        return LargeContent(cutter.size, cutter.root)

    # ---- read ----

    async def open(
        self, stream: StreamId, index: int, part: int | None, wait_s: float
    ) -> tuple[int, AsyncGenerator[bytes]]:
        entry = self._entry(stream, index)
        header = read_header(entry.leaf)
        if header.content_size <= CONTENT_BYTES_MAX:
            content = await self._small(stream, entry, wait_s)
            return len(content), _one(content)
        genesis = self._streams.geneses[stream]
        fetched = _Fetched(self._node.blobs, wait_s, private=genesis.readers is not None)
        if header.content_size <= WHOLE_BYTES_MAX:
            blob = BlobId(header.content_hash)
            await fetched.want(blob)
            return header.content_size, fetched.whole(blob, header.content_size)
        large = _Large(fetched, header)
        await large.open()
        if part is None:
            return header.content_size, large.chunks()
        if part * CHUNK_BYTES >= header.content_size:
            raise LocalError(f"the content of entry {index} has no part {part}")
        chunk = await large.chunk(part)
        return len(chunk), _one(chunk)

    def _entry(self, stream: StreamId, index: int) -> Entry:
        self._interface.known(stream)
        for entry in self._streams.entries(stream, max(index, 1), index + 1):
            return entry
        raise LocalError(f"entry {index} of {format_stream(stream)} is not here")

    async def _small(self, stream: StreamId, entry: Entry, wait_s: float) -> bytes:
        index, content = entry.place, entry.content
        if content is None and wait_s:
            await self.fetch(stream, index, index + 1, wait_s)
            content = self._entry(stream, index).content
        if content is None:
            who = "peers have it" if self._peers(stream, index + 1) else "no connected peer has it"
            raise LocalError(
                f"the content of entry {index} is not here; as far as they say, {who}",
                hint=f"qbix-node stream fetch {format_stream(stream)} {index} asks for it",
            )
        return content

    # ---- dropped, and fetched again ----

    async def drop(self, stream: StreamId, first: int, stop: int, *, force: bool) -> ContentDrop:
        require_disk(self._node)
        status, stop = self._within(stream, first, stop)
        peers = self._peers(stream, stop)
        if status.own and not peers and not force:
            raise LocalError(
                "this node writes that stream, and no connected peer says that it has those"
                " contents: dropped, they may be lost for ever",
                hint="connect a peer that follows the stream, or use --force",
            )
        done = await self._streams.contents.change(Drop(stream, first, stop))
        return ContentDrop(format_stream(stream), done.contents, done.bytes, peers)

    async def fetch(self, stream: StreamId, first: int, stop: int, wait_s: float) -> ContentFetch:
        require_disk(self._node)
        status, stop = self._within(stream, first, stop)
        if not (status.own or status.following):
            raise LocalError(
                f"{format_stream(stream)} is not followed", hint="qbix-node follow STREAM first"
            )
        contents = self._streams.contents
        done = await contents.change(AskFor(stream, first, stop))
        missing = done.contents
        with trio.move_on_after(wait_s):
            while missing:
                came = contents.coming(stream)
                missing = (await contents.gaps(stream, first, stop)).asked
                if missing:
                    await came.wait()
        return ContentFetch(
            format_stream(stream), done.contents, missing, self._peers(stream, stop)
        )

    def _within(self, stream: StreamId, first: int, stop: int) -> tuple[StreamStatus, int]:
        """How it is, and where that range ends here. Raises LocalError where it has no entry."""
        status = self._interface.known(stream)
        length = status.state.length if status.state else 1
        if first >= length:
            raise LocalError(f"{length - 1} entries of {format_stream(stream)} are here")
        return status, min(stop, length)

    def _peers(self, stream: StreamId, length: int) -> list[str]:
        """Connected ones that say that they have the contents up to there."""
        holders = self._streams.holders(stream).items()
        return [format_feed(peer) for peer, claimed in sorted(holders) if claimed >= length]


class _Fetched:
    """Blobs from here, else from peers."""

    def __init__(self, blobs: Blobs, wait_s: float, *, private: bool) -> None:
        self._blobs = blobs
        self._wait_s = wait_s
        self._private = private

    async def want(self, blob: BlobId) -> None:
        """Return once it is here. Raises Temporary."""
        if self._blobs.has(blob):
            return
        name = format_blob(blob)
        if self._private:
            raise LocalError(
                f"{name} is a part of that content and not here; peers are not asked for it,"
                " because whoever hears of a blob may read it, and the stream has readers"
            )
        if not self._wait_s:
            raise LocalError(f"{name} is a part of that content and not here")
        if not await self._blobs.want(blob, patience_s=self._wait_s):
            reason = self._blobs.wanted().get(blob, "it is wanted no longer")
            raise Temporary(
                f"{name}, a part of that content, did not come within {self._wait_s:.0f} s:"
                f" {reason}",
                hint="what has come is kept, and the part stays wanted; ask again later",
            )

    async def want_soon(self, blob: BlobId) -> None:
        if self._wait_s and not self._private and not self._blobs.has(blob):
            await self._blobs.want(blob, patience_s=0)

    def whole(self, blob: BlobId, size: int) -> AsyncGenerator[bytes]:
        """Raises LocalError unless it has that size."""
        if self._blobs.size(blob) != size:
            raise LocalError(f"{format_blob(blob)} has another size than the entry says")
        return self._pieces(blob)

    async def _pieces(self, blob: BlobId) -> AsyncGenerator[bytes]:
        async for piece in await self._blobs.get(blob):
            yield piece

    async def read(self, blob: BlobId, bytes_max: int) -> bytes:
        await self.want(blob)
        if self._blobs.size(blob) > bytes_max:
            raise Malformed(f"{format_blob(blob)} is too large to be a part of that content")
        return b"".join([piece async for piece in await self._blobs.get(blob)])


class _Large:
    """A content above 5 MiB, chunk by chunk, each checked before it is given out."""

    def __init__(self, fetched: _Fetched, header: Header) -> None:
        self._fetched = fetched
        self._header = header
        self._count = -(-header.content_size // CHUNK_BYTES)
        self._root: ChunkNode
        self._leaf: tuple[int, ChunkNode] | None = None  # the lowest node that was read last

    async def open(self) -> None:
        with _judged(self._header):
            encoded = await self._fetched.read(BlobId(self._header.content_hash), NODE_BYTES_MAX)
            self._root = read_root(encoded, self._header.content_size)

    async def chunks(self) -> AsyncGenerator[bytes]:
        for number in range(self._count):
            yield await self.chunk(number)

    async def chunk(self, number: int) -> bytes:
        with _judged(self._header):
            leaf, place = await self._leaf_of(number), number % HASHES_MAX
            for later in leaf.hashes[place : place + 1 + AHEAD]:
                await self._fetched.want_soon(BlobId(later))
            chunk = await self._fetched.read(BlobId(leaf.hashes[place]), CHUNK_BYTES)
            leaf.check_chunk(place, chunk)
            return chunk

    async def _leaf_of(self, number: int) -> ChunkNode:
        which = number // HASHES_MAX
        if self._leaf is None or self._leaf[0] != which:
            node = self._root
            while node.level:
                place = node.place_of(number)
                encoded = await self._fetched.read(BlobId(node.hashes[place]), NODE_BYTES_MAX)
                node = node.read_child(place, encoded)
            self._leaf = which, node
        return self._leaf[1]


@contextmanager
def _judged(header: Header) -> Iterator[None]:
    """Who wrote the entry made it so: nobody has anything better."""
    try:
        yield
    except Malformed as error:
        raise LocalError(
            f"the content of entry {header.place} is not what its header says: {error}"
        ) from error


async def _one(piece: bytes) -> AsyncGenerator[bytes]:
    yield piece
