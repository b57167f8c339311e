"""What travels between simulated nodes beside the product's own messages: the bytes of blobs, the
parts of a history, and what opens and ends conversations. The full driver says the same in muxrpc
(spec/blobs.md 3, replication.md 5 and 10, gossip.md 1, sequencing.md 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from qbix_node.gossip import messages as g
from qbix_node.replication.streams.contents.messages import (
    ContentChoice,
    Contents,
    NoContents,
    WantContents,
)
from qbix_node.replication.streams.messages import FormatCall
from qbix_node.sequencing import messages as q
from qbix_node.streams.messages import OfferedSegment
from qbix_node.wire.references import BlobId, FeedId, StreamId
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


# ---- ebt.replicateFormat and qbix.heads: calls for the former are a FormatCall of the product,
# segments an OfferedSegment, and what is gossiped is in the words of qbix_node.gossip.messages; so
# it is with qbix.sequence and those of qbix_node.sequencing.messages ----


@dataclass(frozen=True, slots=True)
class StreamNotes:
    notes: Mapping[StreamId, int]


@dataclass(frozen=True, slots=True)
class StreamsEnded:
    """The conversation about streams is over, or the call for it is refused."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class HeadsCall:
    """Who dialled calls qbix.heads."""


@dataclass(frozen=True, slots=True)
class HeadsEnded:
    """That conversation is over, or the call for it is refused."""


@dataclass(frozen=True, slots=True)
class SequenceCall:
    """Who dialled calls qbix.sequence."""


@dataclass(frozen=True, slots=True)
class SequenceEnded:
    """That conversation is over, or the call for it is refused."""


_OF_REPLICATION = (FormatCall, StreamNotes, StreamsEnded, OfferedSegment, ContentChoice)
_OF_CONTENTS = (WantContents, Contents, NoContents)
_OF_GOSSIP = (g.Heads, g.Compare, g.Continues, g.Shorter, g.Unknown, g.Proofs, g.Resolve)
_OF_OWNERS = get_args(q.Message)
OF_SEQUENCING = frozenset((SequenceCall, SequenceEnded, *_OF_OWNERS))
OF_STREAMS = frozenset(
    (*_OF_REPLICATION, *_OF_CONTENTS, HeadsCall, HeadsEnded, *_OF_GOSSIP, *OF_SEQUENCING)
)
