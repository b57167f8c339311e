"""Write what the only owner of a stream appends (spec/streams.md 2, 5)."""

from collections.abc import Collection, Sequence

from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.genesis import Genesis, Uniqueness, read_genesis
from qbix_node.streams.messages import (
    Head,
    Header,
    NewEntry,
    Resolve,
    Segment,
    SignedHead,
    SignedResolve,
    intent_body,
)
from qbix_node.streams.owners import AuthorId, Owners, Signatures
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import bag, grow, leaf_hash, leaf_hashes
from qbix_node.wire.packing import pack
from qbix_node.wire.references import StreamId


def make_genesis(
    keys: KeyPair,
    kind: str,
    uniqueness: Uniqueness,
    *,
    salt: bytes,
    owners: Owners | None = None,
    readers: Collection[bytes] = (),
    writers: Collection[bytes] | None = None,
) -> Genesis:
    """Of several `owners` this one is the sequencer; without them it is the only one. `readers`:
    without any, everybody. `writers`: besides the owners; if it is empty, all readers. Raises
    Malformed.
    """
    owners = owners or Owners(((AuthorId(keys.public), 1),), 1)
    readers = {*readers, *(writers or ())} if readers else ()  # who can't read it can't write
    params = []
    if readers:
        params.append(("readers", pack(tuple(sorted(readers)))))
    if owners.only is None:
        params.append(("sequencer", keys.public))
    if writers is not None:
        params.append(("writers", pack(tuple(sorted(set(writers))))))
    return read_genesis(Genesis(owners, kind, uniqueness, tuple(params), salt).encoded)


def sign_head(head: Head, *owners: tuple[int, KeyPair]) -> SignedHead:
    """`owners`: exactly enough of them, each with its index."""
    return SignedHead(head, _signatures(head.body, owners))


def sign_resolve(resolve: Resolve, *owners: tuple[int, KeyPair]) -> SignedResolve:
    return SignedResolve(resolve, _signatures(resolve.body, owners))


def _signatures(body: bytes, owners: Sequence[tuple[int, KeyPair]]) -> Signatures:
    return tuple([(index, keys.sign(body)) for index, keys in sorted(owners, key=lambda o: o[0])])


def make_genesis_segment(genesis: Genesis, keys: KeyPair, stamp_ms: int) -> Segment:
    """The stream comes to be: its first leaf under the first Head."""
    root = leaf_hash(genesis.encoded)
    signed = sign_head(Head(genesis.stream, 1, root, stamp_ms), (0, keys))
    return Segment(genesis.stream, 0, (genesis.encoded,), (None,), signed, ())


def make_segment(
    state: LogState, keys: KeyPair, entries: Sequence[NewEntry], stamp_ms: int
) -> Segment:
    """These entries after the log, under a Head that ends there."""
    stream = state.signed.head.stream
    stamp_ms = max(stamp_ms, state.stamp_ms)  # an author's time never runs backwards
    headers = [
        make_header(stream, state.length + number, AuthorId(keys.public), entry, stamp_ms)
        for number, entry in enumerate(entries)
    ]
    leaves = tuple([header.encoded for header in headers])
    peaks, _ = grow(state.peaks, state.length, leaf_hashes(leaves))
    head = Head(stream, state.length + len(leaves), bag(peaks), stamp_ms)
    contents = tuple([entry.beside for entry in entries])
    return Segment(stream, state.length, leaves, contents, sign_head(head, (0, keys)), ())


def make_header(
    stream: StreamId, place: int, owner: AuthorId, entry: NewEntry, stamp_ms: int
) -> Header:
    """The only owner's: the Head is its signature."""
    said = None, stamp_ms, entry.kind, *entry.named, None
    return Header(1, stream, place, owner, place, place, *said)


def make_intent(
    state: LogState, author: KeyPair, author_seq: int, entry: NewEntry, stamp_ms: int
) -> Header:
    """What somebody wants appended who has seen the log so far; it stands right after that."""
    stream, key = state.signed.head.stream, AuthorId(author.public)
    seen = author_seq, state.length, bag(state.peaks), stamp_ms
    unsigned = Header(1, stream, state.length, key, *seen, entry.kind, *entry.named, None)
    return unsigned._replace(author_sig=author.sign(intent_body(unsigned)))
