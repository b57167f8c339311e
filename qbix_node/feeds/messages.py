"""Classic Scuttlebutt messages and what is asked of, and found by, a FeedBook.

SPEC classic-feeds 1: a message is a JSON object; a parsed one keeps its only encoded form.
"""

from dataclasses import dataclass, field
from typing import Literal

from qbix_node.machines import PeerId
from qbix_node.wire.references import FeedId, MessageId
from qbix_node.wire.v8json import JsonValue

SIGNATURE_SUFFIX = ".sig.ed25519"
SIGNATURE_CHARS = 88 + len(SIGNATURE_SUFFIX)
_TAIL_CHARS = len(',\n  "signature": "') + SIGNATURE_CHARS + len('"\n}')


@dataclass(frozen=True, slots=True)
class ClassicMessage:
    author: FeedId
    sequence: int
    previous: MessageId | None
    timestamp: int | float  # milliseconds, as the author claims
    content: JsonValue
    signature: bytes
    id: MessageId
    encoded: str  # with its signature: what the id is a hash of

    @property
    def signed_body(self) -> bytes:
        """What the signature covers: the encoded message without the signature field."""
        return f"{self.encoded[:-_TAIL_CHARS]}\n}}".encode()

    @property
    def head(self) -> "Head":
        return Head(self.sequence, self.id)


@dataclass(frozen=True, slots=True)
class Head:
    """The newest message of a feed that somebody has."""

    sequence: int
    id: MessageId


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str


# ---- asked of a FeedBook ----


@dataclass(frozen=True, slots=True)
class Offered:
    """Messages from a peer, in the order in which they came; of any feeds."""

    messages: tuple[JsonValue, ...]
    received_ms: int


@dataclass(frozen=True, slots=True)
class Readers:
    """Who can open a private message. The writer always can."""

    feeds: tuple[FeedId, ...]
    kind: Literal["box1", "box2"] = "box1"
    group: bytes | None = field(default=None, repr=False)  # key of a private group, box2 only


@dataclass(frozen=True, slots=True)
class Publish:
    request: int  # names the request in Published or PublishRefused
    content: JsonValue
    timestamp_ms: int
    readers: Readers | None = None  # None: everybody


# ---- found by a FeedBook ----


@dataclass(frozen=True, slots=True)
class Appended:
    """These messages of a feed are durable now. `source`: who sent them; None: we wrote them."""

    feed: FeedId
    first: int
    last: int
    source: PeerId | None


@dataclass(frozen=True, slots=True)
class Published:
    """The message asked for is durable."""

    request: int
    message: ClassicMessage


@dataclass(frozen=True, slots=True)
class PublishRefused:
    request: int
    reason: str
    bad_content: bool = False  # it could never be published; else perhaps later


@dataclass(frozen=True, slots=True)
class Refusal:
    """The peer sent what no honest peer sends; nothing that rested on it was kept."""

    peer: PeerId
    feed: FeedId | None  # None: not even that could be read
    sequence: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Not kept because a limit of ours was reached, or what comes before is missing: ask again."""

    peer: PeerId
    feed: FeedId
    count: int


@dataclass(frozen=True, slots=True)
class Settled:
    """So many offered messages of this peer are dealt with: it may send as many more."""

    peer: PeerId
    count: int


@dataclass(frozen=True, slots=True)
class ForkFound:
    """Two valid messages of one author and sequence; both are durable as evidence."""

    feed: FeedId
    sequence: int
    ours: ClassicMessage
    theirs: ClassicMessage


@dataclass(frozen=True, slots=True)
class ForkSuspected:
    """The peer's next message continues another branch: it has its own message at `sequence`."""

    peer: PeerId
    feed: FeedId
    sequence: int
