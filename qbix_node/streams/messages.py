"""What streams are made of, as bytes and as values (spec/streams.md 2, 5, 6.1, 8).

Form, sizes and ranges are checked on reading; whether it is true, elsewhere.
"""

from dataclasses import dataclass
from typing import NamedTuple

from qbix_node.crypto import domains
from qbix_node.crypto.boxes import sha256
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId, SignatureCheck
from qbix_node.streams.genesis import GENESIS_BYTES_MAX, Genesis
from qbix_node.streams.owners import AuthorId, Owners, Signatures, decisive, read_signatures
from qbix_node.streams.tree import HASHES_MAX, LENGTH_MAX, Hash, Prefix
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack, unpack_fields
from qbix_node.wire.references import StreamId

HEADER_BYTES_MAX = 512
CONTENT_BYTES_MAX = 64 * 1024  # of one that travels beside its entry
ENTRIES_MAX = 256  # in a segment
SEGMENT_BYTES_MAX = 1024 * 1024


# ---- entries ----


class Header(NamedTuple):
    """One leaf after the first. A tuple, as it comes from the wire: there are very many of them."""

    version: int
    stream: StreamId
    place: int  # index in the log
    author: AuthorId
    author_seq: int
    base_length: int
    base_root: Hash | None
    timestamp_ms: int
    kind: str
    content_size: int
    content_hash: bytes
    author_sig: bytes | None

    @property
    def encoded(self) -> bytes:
        return pack(self)

    def check(self) -> SignatureCheck | None:
        """Of the author's own signature; None where the Head is that."""
        if self.author_sig is None:
            return None
        return SignatureCheck(self.author, intent_body(self), self.author_sig)


def intent_body(header: Header) -> bytes:
    """What the author of an intent signs."""
    return domains.INTENT + pack((header.stream, *header[3:11]))


def read_header(encoded: bytes) -> Header:
    """Raises Malformed."""
    if len(encoded) > HEADER_BYTES_MAX:
        raise Malformed(f"header: {len(encoded)} bytes, {HEADER_BYTES_MAX} are allowed")
    row = unpack_fields(encoded, "header")
    if len(row) != 12 or type(row[0]) is not int or row[0] != 1:
        raise Malformed("header: expected an array of version 1 with 12 fields")
    header = Header._make(row)
    _check_header(header)
    return header


def _check_header(header: Header) -> None:
    """Raises Malformed."""
    fields.data(header.stream, "header: stream", size=32)
    fields.number(header.place, "header: index", 1, LENGTH_MAX - 1)
    fields.data(header.author, "header: author", size=32)
    fields.number(header.author_seq, "header: author_seq", 1)
    fields.number(header.base_length, "header: base_length", 1, header.place)
    fields.number(header.timestamp_ms, "header: timestamp")
    fields.name(header.kind, "header: kind")
    fields.number(header.content_size, "header: content_size")
    fields.data(header.content_hash, "header: content_hash", size=32)
    if (header.base_root is None) != (header.author_sig is None):
        raise Malformed("header: base_root and author_sig come together")
    if header.author_sig is not None:
        fields.data(header.base_root, "header: base_root", size=32)
        fields.data(header.author_sig, "header: author_sig", size=64)
    elif not header.author_seq == header.base_length == header.place:
        raise Malformed("header: without author_sig, author_seq and base_length are the index")


# ---- signed decisions of owners ----


class Head(NamedTuple):
    """The log up to a length. Its identity is stream, length and root."""

    stream: StreamId
    length: int
    root: Hash
    timestamp_ms: int

    @property
    def body(self) -> bytes:
        return domains.HEAD + pack((1, *self))

    @property
    def identity(self) -> tuple[StreamId, int, Hash]:
        return self.stream, self.length, self.root


class SignedHead(NamedTuple):
    head: Head
    signatures: Signatures

    def packable(self) -> Packable:
        return (1, *self.head), self.signatures

    def checks(self, owners: Owners) -> tuple[SignatureCheck, ...] | None:
        """None: these signatures can't decide for these owners."""
        return decisive(self.signatures, owners, self.head.body)


class Resolve(NamedTuple):
    """Which branch of a forked stream goes on."""

    stream: StreamId
    fork_length: int
    chosen_root: Hash

    @property
    def body(self) -> bytes:
        return domains.RESOLVE + pack((1, *self))


class SignedResolve(NamedTuple):
    resolve: Resolve
    signatures: Signatures

    def packable(self) -> Packable:
        return (1, *self.resolve), self.signatures

    def checks(self, owners: Owners) -> tuple[SignatureCheck, ...] | None:
        return decisive(self.signatures, owners, self.resolve.body)


def read_signed_head(value: object, what: str = "Head") -> SignedHead:
    """Raises Malformed."""
    body, signatures = fields.array(value, what, size=2)
    return SignedHead(read_head(body, what), read_signatures(signatures, what))


def read_head(body: object, what: str = "Head") -> Head:
    """Raises Malformed."""
    _, stream, length, root, stamp = fields.versioned(body, what, size=5)
    return Head(
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(length, f"{what}: length", 1, LENGTH_MAX),
        Hash(fields.data(root, f"{what}: root", size=32)),
        fields.number(stamp, f"{what}: timestamp"),
    )


def read_signed_resolve(value: object) -> SignedResolve:
    """Raises Malformed."""
    what = "Resolve"
    body, signatures = fields.array(value, what, size=2)
    _, stream, length, root = fields.versioned(body, what, size=4)
    resolve = Resolve(
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(length, f"{what}: fork_length", 1, LENGTH_MAX),
        Hash(fields.data(root, f"{what}: chosen_root", size=32)),
    )
    return SignedResolve(resolve, read_signatures(signatures, what))


# ---- runs of entries ----


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of leaves with the Head over them."""

    stream: StreamId
    first: int
    leaves: tuple[bytes, ...]
    contents: tuple[bytes | None, ...]
    signed_head: SignedHead
    frontier: tuple[Hash, ...]

    @property
    def stop(self) -> int:
        """The length of the log that ends with it."""
        return self.first + len(self.leaves)

    @property
    def size_bytes(self) -> int:
        """Of what it brings."""
        return sum(map(len, self.leaves)) + sum(map(len, filter(None, self.contents)))

    @property
    def encoded(self) -> bytes:
        entries = self.stream, self.first, self.leaves, self.contents
        return pack((1, *entries, self.signed_head.packable(), self.frontier))


def read_segment(encoded: bytes) -> Segment:
    """Raises Malformed. Leaves and contents are bytes still."""
    what = "segment"
    if len(encoded) > SEGMENT_BYTES_MAX:
        raise Malformed(f"{what}: {len(encoded)} bytes, {SEGMENT_BYTES_MAX} are allowed")
    row = fields.versioned(unpack(encoded, what), what, size=7)
    _, stream, first, leaves, contents, signed_head, frontier = row
    segment = Segment(
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(first, f"{what}: first", 0, LENGTH_MAX - 1),
        fields.array(leaves, f"{what}: entries", most=ENTRIES_MAX),
        fields.array(contents, f"{what}: contents", size=len(leaves)),
        read_signed_head(signed_head),
        read_hashes(frontier, f"{what}: frontier"),
    )
    _check_items(segment, what)
    return segment


def _check_items(segment: Segment, what: str) -> None:
    if not segment.leaves:
        raise Malformed(f"{what}: it has no entries")
    for leaf in segment.leaves:
        if type(leaf) is not bytes or len(leaf) > GENESIS_BYTES_MAX:
            fields.data(leaf, f"{what}: entry", most=GENESIS_BYTES_MAX)
    for content in segment.contents:
        if content is not None and (type(content) is not bytes or len(content) > CONTENT_BYTES_MAX):
            fields.data(content, f"{what}: content", most=CONTENT_BYTES_MAX)
    if segment.first == 0 and segment.contents[0] is not None:
        raise Malformed(f"{what}: the genesis is its own content")
    head = segment.signed_head.head
    if head.stream != segment.stream:
        raise Malformed(f"{what}: its Head is of another stream")
    if segment.stop > head.length:
        raise Malformed(f"{what}: its Head ends before its entries")


def read_hashes(value: object, what: str) -> tuple[Hash, ...]:
    """Peaks, a frontier or a path. Raises Malformed."""
    return tuple([Hash(each) for each in fields.hashes(value, what, most=HASHES_MAX)])


def read_prefix(length: object, peaks: object, frontier: object, what: str) -> Prefix:
    """Raises Malformed."""
    prefix = Prefix(
        fields.number(length, f"{what}: length", 1, LENGTH_MAX),
        read_hashes(peaks, f"{what}: peaks"),
        read_hashes(frontier, f"{what}: frontier"),
    )
    if prefix.peaks and len(prefix.peaks) != prefix.length.bit_count():
        raise Malformed(f"{what}: a log of that length has another number of peaks")
    return prefix


# ---- offered to a StreamBook, and asked of it ----


@dataclass(frozen=True, slots=True)
class OfferedSegment:
    """From a peer. `size_bytes` is counted once, as it came: contents may be left out later."""

    segment: Segment
    size_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_bytes", self.size_bytes or self.segment.size_bytes)


@dataclass(frozen=True, slots=True)
class LargeContent:
    """One above 64 KiB, which is blobs: what a header says of it."""

    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class NewEntry:
    kind: str
    content: bytes | LargeContent

    @property
    def beside(self) -> bytes | None:
        """What travels with the entry."""
        return self.content if isinstance(self.content, bytes) else None

    @property
    def named(self) -> tuple[int, bytes]:
        """Size and hash of the content."""
        match self.content:
            case LargeContent(size, hash_):
                return size, hash_
            case content:
                return len(content), sha256(content)


@dataclass(frozen=True, slots=True)
class Create:
    """Begin a stream of which this node is the only owner."""

    request: int  # names the request in Appended or AppendRefused
    genesis: Genesis
    stamp_ms: int


@dataclass(frozen=True, slots=True)
class Append:
    """Put these at the end of an own stream, all together."""

    request: int
    stream: StreamId
    entries: tuple[NewEntry, ...]
    stamp_ms: int


@dataclass(frozen=True, slots=True)
class SetOwners:
    """Give a stream of which this node is the only owner to others; nothing goes beside it."""

    request: int
    stream: StreamId
    owners: Owners
    stamp_ms: int


# ---- found by a StreamBook ----


@dataclass(frozen=True, slots=True)
class Grown:
    """The log is durable from `first` to before `stop`. `source`: who sent it; None: ourselves.
    `lacking`: perhaps without some contents.
    """

    stream: StreamId
    first: int
    stop: int
    source: PeerId | None
    lacking: bool = False


@dataclass(frozen=True, slots=True)
class Appended:
    """What was asked for is durable, under a Head."""

    request: int
    stream: StreamId
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class AppendRefused:
    request: int
    reason: str
    bad_content: bool = False  # it could never be appended; else perhaps later
    for_now: bool = False  # it may be as it is asked for again


@dataclass(frozen=True, slots=True)
class SegmentRefused:
    """The peer sent what no honest peer sends of this stream; nothing of it was kept."""

    peer: PeerId
    stream: StreamId
    first: int
    reason: str


@dataclass(frozen=True, slots=True)
class SegmentSkipped:
    """Not kept because a limit of ours was reached, or what comes before is missing: ask again."""

    peer: PeerId
    stream: StreamId


@dataclass(frozen=True, slots=True)
class SegmentSettled:
    """One offered segment of this peer is dealt with: it may send as much again."""

    peer: PeerId
    size_bytes: int


@dataclass(frozen=True, slots=True)
class HeadContradicts:
    """A Head that the owners signed doesn't continue our log by what the peer has shown: the peer
    lies about its entries, or the stream is forked.
    """

    peer: PeerId
    signed: SignedHead
