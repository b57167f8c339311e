"""What the HTTP interface asks of the node about contents of entries (docs/http-api.md)."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from qbix_node.http.stream_api import StreamPlace
from qbix_node.wire.references import StreamId


@dataclass(frozen=True, slots=True)
class ContentDrop:
    """`peers`: connected ones that say that they have them."""

    stream: str
    contents: int
    bytes: int
    peers: list[str]


@dataclass(frozen=True, slots=True)
class ContentFetch:
    """`missing`: of those that were asked for, the ones that are not here yet."""

    stream: str
    asked: int
    missing: int
    peers: list[str]


class ContentApi(Protocol):
    """Methods raise LocalError for what can't be done. Entries: from `first` to before `stop`."""

    async def append(
        self, stream: StreamId, kind: str, pieces: AsyncIterator[bytes]
    ) -> StreamPlace:
        """One entry with a content of any size."""
        ...

    async def open(
        self, stream: StreamId, index: int, part: int | None, wait_s: float
    ) -> tuple[int, AsyncGenerator[bytes]]:
        """Size and bytes of a content, or of one chunk of a large one; from peers if need be."""
        ...

    async def drop(
        self, stream: StreamId, first: int, stop: int, *, force: bool
    ) -> ContentDrop: ...

    async def fetch(self, stream: StreamId, first: int, stop: int, wait_s: float) -> ContentFetch:
        """They stay asked for, also if they don't all come in time."""
        ...
