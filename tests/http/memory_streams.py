"""Streams in memory behind the HTTP interface: lists of contents, nothing signed."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import trio

from qbix_node.errors import BadInput, LocalError
from qbix_node.http.stream_api import (
    NewOwner,
    NewStream,
    StreamDetails,
    StreamEntry,
    StreamImport,
    StreamPlace,
    StreamRow,
)
from qbix_node.wire.references import (
    StreamId,
    encode_base64,
    format_blob,
    format_feed,
    format_stream,
)

STREAM = StreamId(b"s" * 32)


@dataclass
class MemoryStreams:
    rows: dict[StreamId, StreamRow] = field(default_factory=dict)
    contents: dict[StreamId, list[tuple[str, bytes]]] = field(default_factory=dict)
    wishes: list[NewStream] = field(default_factory=list)
    followed: set[StreamId] = field(default_factory=set)
    headers_only: set[StreamId] = field(default_factory=set)
    heads_only: set[StreamId] = field(default_factory=set)
    appended: trio.Event = field(default_factory=trio.Event)
    imported: list[int] = field(default_factory=list)  # the sizes of the pieces
    exported: bytes = b""

    def streams(self) -> list[StreamRow]:
        return list(self.rows.values())

    async def show(self, stream: StreamId) -> StreamDetails:
        self.known(stream)
        return StreamDetails(self.rows[stream], 2, 1, [])

    def following(self) -> list[str]:
        return [format_stream(stream) for stream in sorted(self.followed)]

    async def follow(self, stream: StreamId, *, headers_only: bool = False) -> None:
        self.followed.add(stream)
        if headers_only:
            self.headers_only.add(stream)

    async def hear_of(self, stream: StreamId) -> None:
        self.heads_only.add(stream)

    async def unfollow(self, stream: StreamId) -> None:
        self.followed.discard(stream)

    async def create(self, wish: NewStream) -> StreamDetails:
        self.wishes.append(wish)
        named = [format_feed(reader) for reader in wish.readers] or None
        here = True, False, False, 1, 1, "root", 7, 0, None, False, False, None, None, None
        row = StreamRow(format_stream(STREAM), wish.kind, wish.uniqueness, [], named, *here)
        self.rows[STREAM], self.contents[STREAM] = row, [("", b"")]
        return StreamDetails(row, 0, 0, [])

    async def append(self, stream: StreamId, kind: str, contents: Sequence[bytes]) -> StreamPlace:
        self.known(stream)
        first = len(self.contents[stream])
        self.contents[stream] += [(kind, content) for content in contents]
        self.appended.set()
        self.appended = trio.Event()
        stop = len(self.contents[stream])
        return StreamPlace(format_stream(stream), first, stop, len(contents))

    async def resolve(self, stream: StreamId, root: bytes | None) -> StreamRow:
        self.known(stream)
        chosen = encode_base64(root or b"r" * 32)
        row = replace(self.rows[stream], resolved_length=1, resolved_root=chosen)
        self.rows[stream] = row
        return row

    async def set_owners(
        self, stream: StreamId, owners: Sequence[NewOwner], threshold: int | None
    ) -> StreamRow:
        self.known(stream)
        named = [format_feed(owner.key) for owner in owners]
        weights = [owner.weight for owner in owners]
        row = replace(
            self.rows[stream], owners=named, weights=weights, threshold=threshold, own=False
        )
        self.rows[stream] = row
        return row

    async def resume(self, stream: StreamId, length: int) -> None:
        self.known(stream)
        if length != len(self.contents[stream]):
            raise LocalError("the log of that stream has another length")

    def log(self, stream: StreamId, first: int, limit: int) -> list[StreamEntry]:
        self.known(stream)
        return [
            StreamEntry(place, kind, "@a", 7, len(content), format_blob(stream), content.decode())
            for place, (kind, content) in enumerate(self.contents[stream])
            if first <= place < first + limit
        ]

    async def wait_for(self, stream: StreamId, index: int) -> None:
        while len(self.contents[stream]) <= index:
            await self.appended.wait()

    def prove(self, stream: StreamId, index: int) -> bytes:
        self.known(stream)
        return b"proof of %d" % index

    def export(self, stream: StreamId) -> Iterator[bytes]:
        self.known(stream)
        return iter([b"qbix stream 1\n", self.exported or b"frames"])

    async def import_(self, pieces: AsyncIterator[bytes]) -> StreamImport:
        async for piece in pieces:
            self.imported.append(len(piece))
            if piece.startswith(b"damaged"):
                raise BadInput("frame 1: damaged", hint="nothing of it was kept")
        return StreamImport(format_stream(STREAM), sum(self.imported), 1, 0, 0, resolved=False)

    def known(self, stream: StreamId) -> None:
        if stream not in self.rows:
            raise LocalError("nothing of that stream is here")
