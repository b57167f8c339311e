"""What travels between simulated nodes beside the product's own messages: the bytes of blobs, and
the parts of a history. The full driver says the same in muxrpc (spec/blobs.md 3, replication.md 5).
"""

from dataclasses import dataclass

from qbix_node.wire.references import BlobId, FeedId
from qbix_node.wire.v8json import JsonValue

# ---- blobs.get; numbers are chosen by who asks, each used once on a connection ----


@dataclass(frozen=True, slots=True)
class BlobGet:
    """`size`: at most so many bytes are wanted (`max` on the wire)."""

    number: int
    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class BlobCancel:
    """Who asked wants no more of it."""

    number: int


@dataclass(frozen=True, slots=True)
class BlobBytes:
    """The next bytes of an answer."""

    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class BlobEnd:
    """Nothing more comes. `reason`: why not all of it came, or nothing."""

    number: int
    reason: str | None = None


# ---- createHistoryStream ----


@dataclass(frozen=True, slots=True)
class HistoryPart:
    """The next messages on the stream that the other side had asked for with a HistoryRequest about
    this feed; who asked hears them as Offered. HistoryEnded says that nothing more comes.
    """

    feed: FeedId
    messages: tuple[JsonValue, ...]
