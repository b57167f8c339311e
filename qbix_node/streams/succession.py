"""Who owns a stream at which length, where owners may change (spec/streams.md 7)."""

from collections.abc import Sequence
from dataclasses import dataclass

from qbix_node.crypto import domains
from qbix_node.crypto.boxes import sha256
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    HEADER_BYTES_MAX,
    Head,
    read_hashes,
    read_header,
)
from qbix_node.streams.owners import Owners, Signatures, decisive, read_owners, read_signatures
from qbix_node.streams.tree import LENGTH_MAX, Hash, climb, leaf_hash
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import StreamId

OWNERS_SET = "owners.set"  # the kind of entry
CHAIN_MAX = 8


@dataclass(frozen=True, slots=True)
class OwnersSet:
    """The content of an entry that changes the owners, signed by those before."""

    stream: StreamId
    place: int
    owners: Owners
    signatures: Signatures

    @property
    def body(self) -> bytes:
        return domains.OWNERS_SET + pack((1, self.stream, self.place, *self.owners.packable()))

    @property
    def encoded(self) -> bytes:
        decided = self.owners.packable()
        return pack((1, self.stream, self.place, *decided, self.signatures))

    def checks(self, before: Owners) -> tuple[SignatureCheck, ...] | None:
        return decisive(self.signatures, before, self.body)


def read_owners_set(content: bytes) -> OwnersSet:
    """Raises Malformed."""
    what = OWNERS_SET
    row = fields.versioned(unpack(content, what), what, size=6)
    _, stream, place, weights, threshold, signatures = row
    return OwnersSet(
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(place, f"{what}: index", 1, LENGTH_MAX - 1),
        read_owners(weights, threshold, what),
        read_signatures(signatures, what),
    )


@dataclass(frozen=True, slots=True)
class Link:
    """An entry that changed the owners, and its path to the root of the Head it is shown for."""

    header: bytes
    content: bytes
    path: tuple[Hash, ...]

    def packable(self) -> Packable:
        return self.header, self.content, self.path


Chain = tuple[Link, ...]


def read_chain(value: object) -> Chain:
    """Raises Malformed."""
    links = []
    for row in fields.array(value, "chain of owners", most=CHAIN_MAX):
        header, content, path = fields.array(row, "chain of owners: link", size=3)
        links.append(
            Link(
                fields.data(header, "chain of owners: header", most=HEADER_BYTES_MAX),
                fields.data(content, "chain of owners: content", most=CONTENT_BYTES_MAX),
                read_hashes(path, "chain of owners: path"),
            )
        )
    return tuple(links)


@dataclass(frozen=True, slots=True)
class Reign:
    """Who owns the stream at the length of a Head, if these signatures are right."""

    owners: Owners
    checks: tuple[SignatureCheck, ...]


def reign(genesis: Genesis, chain: Sequence[Link], head: Head) -> Reign:
    """By the chain that was shown for `head`. Raises Malformed where it shows nothing."""
    if chain and genesis.uniqueness is not Uniqueness.NONE:
        raise Malformed("chain of owners: the owners of this stream never change")
    owners, last, checks = genesis.owners, 0, list[SignatureCheck]()
    for link in chain:
        header, change = read_header(link.header), read_owners_set(link.content)
        if not last < header.place < head.length - 1:
            raise Malformed("chain of owners: a link has no place before the Head, or in order")
        last = header.place
        named = header.kind, header.stream, header.content_hash, header.content_size
        if named != (OWNERS_SET, genesis.stream, sha256(link.content), len(link.content)):
            raise Malformed("chain of owners: header and content don't belong together here")
        if (change.stream, change.place) != (header.stream, header.place):
            raise Malformed("chain of owners: a change of owners stands in another place")
        root = climb(leaf_hash(link.header), 0, header.place, link.path, head.length)
        if root != head.root:
            raise Malformed("chain of owners: a path doesn't lead to the root of the Head")
        signed = change.checks(owners)
        if signed is None:
            raise Malformed("chain of owners: a change isn't signed by those before")
        checks += signed
        owners = change.owners
    return Reign(owners, tuple(checks))
