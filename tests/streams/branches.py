"""Logs in memory with all their leaves, from which branches go off; signed by whomever one says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Head, Header, Segment, SignedHead, intent_body
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.succession import OWNERS_SET, Chain, Link, OwnersSet
from qbix_node.streams.tree import (
    Hash,
    Prefix,
    bag,
    cut_of,
    frontier_of,
    grow,
    leaf_hash,
    path_of,
    peaks_of,
    prefix_of,
)

Signers = Sequence[tuple[int, KeyPair]]
Edit = Callable[[Header], Header]


def keys_of(name: str) -> KeyPair:
    return KeyPair.from_seed(sha256(name.encode()).digest())


def owned_by(*weights: tuple[KeyPair, int], threshold: int = 1) -> Owners:
    rows = sorted([(AuthorId(keys.public), weight) for keys, weight in weights])
    return Owners(tuple(rows), threshold)


def signing(owners: Owners, *who: KeyPair) -> Signers:
    """Each with its index, ascending."""
    found = [(owners.index(keys.public), keys) for keys in who]
    return sorted([(index, keys) for index, keys in found if index is not None], key=lambda o: o[0])


def genesis_of(
    owners: Owners,
    uniqueness: Uniqueness = Uniqueness.GOSSIP,
    *params: tuple[str, bytes],
    network: bytes | None = None,
) -> Genesis:
    epoch = None if network is None else 0
    return Genesis(owners, "posts", uniqueness, params, bytes(range(16)), network, epoch)


def unchanged(header: Header) -> Header:
    return header


@dataclass
class Branch:
    """Implements tree.Nodes."""

    genesis: Genesis
    leaves: list[bytes] = field(default_factory=list)
    contents: list[bytes | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.leaves:
            self.put(self.genesis.encoded, None)

    @property
    def length(self) -> int:
        return len(self.leaves)

    def branch(self, length: int) -> "Branch":
        """What has the first leaves in common with this one."""
        return Branch(self.genesis, self.leaves[:length], self.contents[:length])

    # ---- the tree ----

    def node(self, level: int, index: int) -> Hash:
        start, stop = index << level, (index + 1) << level
        assert stop <= self.length
        peaks, _ = grow((), 0, [leaf_hash(leaf) for leaf in self.leaves[start:stop]])
        return bag(peaks)

    def cut(self, level: int, index: int, total: int) -> Hash:
        return cut_of(self, level, index, total)

    def peaks(self, length: int | None = None) -> tuple[Hash, ...]:
        return peaks_of(self, length or self.length)

    def root(self, length: int | None = None) -> Hash:
        return bag(self.peaks(length))

    def frontier(self, length: int, total: int | None = None) -> tuple[Hash, ...]:
        return frontier_of(self, length, total or self.length)

    def prefix(self, length: int, total: int | None = None) -> Prefix:
        """The first leaves under a Head over `total`."""
        return prefix_of(self, length, total or self.length)

    def path(self, level: int, index: int, total: int | None = None) -> tuple[Hash, ...]:
        return path_of(self, level, index, total or self.length)

    # ---- entries ----

    def put(self, leaf: bytes, content: bytes | None) -> "Branch":
        self.leaves.append(leaf)
        self.contents.append(content)
        return self

    def own(
        self, keys: KeyPair, stamp: int = 0, content: bytes = b"", edit: Edit = unchanged
    ) -> "Branch":
        """An entry of the only owner."""
        place, named = self.length, sha256(content).digest()
        said = None, stamp, "post", len(content), named, None
        header = Header(1, self.genesis.stream, place, AuthorId(keys.public), place, place, *said)
        return self.put(edit(header).encoded, content)

    def intent(
        self, keys: KeyPair, seq: int, stamp: int = 0, content: bytes = b"", edit: Edit = unchanged
    ) -> "Branch":
        """An entry of an author who had seen all that is here; signed after the edit."""
        place, named = self.length, sha256(content).digest()
        seen, stream = (seq, place, self.root(), stamp), self.genesis.stream
        said = AuthorId(keys.public), *seen, "post", len(content), named, None
        header = edit(Header(1, stream, place, *said))
        signed = header._replace(author_sig=keys.sign(intent_body(header)))
        return self.put(signed.encoded, content)

    def change(self, after: Owners, signers: Signers, place: int | None = None) -> OwnersSet:
        """The content of an `owners.set` that stands next, or in another place."""
        said = self.genesis.stream, place or self.length, after
        body = OwnersSet(*said, ()).body
        return OwnersSet(*said, tuple([(index, keys.sign(body)) for index, keys in signers]))

    def pass_on(self, writer: KeyPair, after: Owners, signers: Signers) -> "Branch":
        """The only owner writes an `owners.set`."""
        content = self.change(after, signers).encoded
        return self.own(writer, content=content, edit=lambda each: each._replace(kind=OWNERS_SET))

    # ---- under Heads ----

    def head(self, signers: Signers, length: int | None = None, stamp: int = 0) -> SignedHead:
        length = length or self.length
        head = Head(self.genesis.stream, length, self.root(length), stamp)
        return sign_head(head, *signers)

    def segment(
        self,
        signers: Signers,
        first: int = 0,
        stop: int | None = None,
        length: int | None = None,
    ) -> Segment:
        """The leaves from `first` to before `stop` under a Head over `length`."""
        stop, length = stop or self.length, length or self.length
        leaves, contents = tuple(self.leaves[first:stop]), tuple(self.contents[first:stop])
        head, frontier = self.head(signers, length), self.frontier(stop, length)
        return Segment(self.genesis.stream, first, leaves, contents, head, frontier)

    def link(self, place: int, length: int | None = None) -> Link:
        content = self.contents[place]
        assert content is not None
        return Link(self.leaves[place], content, self.path(0, place, length))

    def shown(self, signers: Signers, length: int | None = None, *places: int) -> ShownHead:
        """A Head with its chain: the entries in `places` changed the owners."""
        chain: Chain = tuple([self.link(place, length) for place in places])
        return ShownHead(self.head(signers, length), chain)
