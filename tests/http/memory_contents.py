"""Contents in memory behind the HTTP interface."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from qbix_node.errors import LocalError, Temporary
from qbix_node.http.content_api import ContentDrop, ContentFetch
from qbix_node.http.stream_api import StreamPlace
from qbix_node.wire.references import StreamId, format_stream
from tests.http.memory_streams import MemoryStreams

PART_BYTES = 10


@dataclass
class MemoryContents:
    streams: MemoryStreams
    dropped: dict[tuple[StreamId, int], bytes] = field(default_factory=dict)
    pieces: int = 0  # that the last content came in

    async def append(
        self, stream: StreamId, kind: str, pieces: AsyncIterator[bytes]
    ) -> StreamPlace:
        taken = [piece async for piece in pieces]
        self.pieces = len(taken)
        return await self.streams.append(stream, kind, [b"".join(taken)])

    async def open(
        self, stream: StreamId, index: int, part: int | None, wait_s: float
    ) -> tuple[int, AsyncGenerator[bytes]]:
        self.streams.known(stream)
        if (stream, index) in self.dropped and wait_s:
            raise Temporary(f"it did not come within {wait_s:.0f} s", hint="ask again later")
        if (stream, index) in self.dropped:
            raise LocalError("it is not here")
        content = self.streams.contents[stream][index][1]
        if part is not None:
            content = content[part * PART_BYTES : (part + 1) * PART_BYTES]
        return len(content), _pieces(content)

    async def drop(self, stream: StreamId, first: int, stop: int, *, force: bool) -> ContentDrop:
        self.streams.known(stream)
        if not force:
            raise LocalError("nobody has it", hint="use --force")
        gone = self.streams.contents[stream][first:stop]
        self.dropped |= {(stream, place): content for place, (_, content) in enumerate(gone, first)}
        size = sum([len(content) for _, content in gone])
        return ContentDrop(format_stream(stream), len(gone), size, [])

    async def fetch(self, stream: StreamId, first: int, stop: int, wait_s: float) -> ContentFetch:
        self.streams.known(stream)
        asked = [place for place in range(first, stop) if (stream, place) in self.dropped]
        missing = 0 if wait_s else len(asked)
        return ContentFetch(format_stream(stream), len(asked), missing, ["@a"])


async def _pieces(content: bytes) -> AsyncGenerator[bytes]:
    yield content
