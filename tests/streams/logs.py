"""The cast, and logs as they write them: alice owns, bob replicates, carol writes intents.

A log here is worked out by the definitions of RFC 9162, in lists, without the code under test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import pairwise

from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.authoring import make_header, sign_head
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import (
    Head,
    Header,
    NewEntry,
    Segment,
    SignedHead,
    intent_body,
)
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.succession import OWNERS_SET, Link, OwnersSet
from qbix_node.streams.tree import Hash, Subtrees, cut_of, leaf_hash
from qbix_node.wire.references import StreamId

START_MS = 1_700_000_000_000
SALT = b"salt".ljust(16, b".")


def keys_of(name: str) -> KeyPair:
    return KeyPair.from_seed(name.encode().ljust(32, b"."))


ALICE, BOB, CAROL, DAVE = (keys_of(name) for name in ("alice", "bob", "carol", "dave"))


def owners_of(*weights: tuple[KeyPair, int], threshold: int) -> Owners:
    rows = sorted([(AuthorId(keys.public), weight) for keys, weight in weights])
    return Owners(tuple(rows), threshold)


def genesis_of(
    owner: KeyPair = ALICE,
    *,
    owners: Owners | None = None,
    uniqueness: Uniqueness = Uniqueness.GOSSIP,
    salt: bytes = SALT,
) -> Genesis:
    """Of several owners, the first by key sequences."""
    decided = owners or owners_of((owner, 1), threshold=1)
    params = (("sequencer", bytes(decided.weights[0][0])),) if len(decided.weights) > 1 else ()
    return Genesis(decided, "notes", uniqueness, params, salt)


# ---- trees, by the definition ----


def split(size: int) -> int:
    """The largest power of two below."""
    return 1 << (size - 1).bit_length() - 1


def inner(left: bytes, right: bytes) -> Hash:
    return Hash(sha256(b"\1" + left + right).digest())


def tree_root(leaves: Sequence[Hash]) -> Hash:
    """MTH of RFC 9162 2.1.1, of hashes of leaves."""
    if not leaves:
        return Hash(sha256().digest())
    if len(leaves) == 1:
        return leaves[0]
    half = split(len(leaves))
    return inner(tree_root(leaves[:half]), tree_root(leaves[half:]))


def single(made: Sequence[Subtrees]) -> list[tuple[int, int, Hash]]:
    """(level, index, root) of each, in order."""
    return sorted(
        (each.level, index, root)
        for each in made
        for index, root in enumerate(each.roots, each.start)
    )


@dataclass
class ListedNodes:
    """Nodes over a list of hashes of leaves; each is worked out once."""

    leaves: Sequence[Hash]
    _known: dict[tuple[int, int], Hash] = field(default_factory=dict)

    def node(self, level: int, index: int) -> Hash:
        if level == 0:
            return self.leaves[index]
        if (level, index) not in self._known:
            halves = self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1)
            self._known[level, index] = inner(*halves)
        return self._known[level, index]

    def cut(self, level: int, index: int, total: int) -> Hash:
        return cut_of(self, level, index, total)


@dataclass
class UniformNodes:
    """Nodes over leaves that are all the same but for one, so that logs may be as long as any."""

    leaf: Hash
    strange: int | None = None  # where the other leaf stands
    _same: list[Hash] = field(default_factory=list)

    def node(self, level: int, index: int) -> Hash:
        while len(self._same) <= level:
            last = self._same[-1] if self._same else None
            self._same.append(self.leaf if last is None else inner(last, last))
        if self.strange is None or self.strange >> level != index:
            return self._same[level]
        if level == 0:
            return inner(self.leaf, self.leaf)
        return inner(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def cut(self, level: int, index: int, total: int) -> Hash:
        return cut_of(self, level, index, total)

    def root(self, length: int, start: int = 0) -> Hash:
        """Of so many leaves from `start` on, which is a multiple of a power of two above."""
        if length & (length - 1) == 0:
            level = length.bit_length() - 1
            return self.node(level, start >> level)
        half = split(length)
        return inner(self.root(half, start), self.root(length - half, start + half))


# ---- logs ----


@dataclass
class Log:
    """What its owners have written. `signers` have the weight that decides, each with its index."""

    genesis: Genesis
    signers: tuple[tuple[int, KeyPair], ...] = ((0, ALICE),)
    leaves: list[bytes] = field(default_factory=list)
    contents: list[bytes | None] = field(default_factory=list)
    _heads: dict[object, SignedHead] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.leaves:
            self.leaves, self.contents = [self.genesis.encoded], [None]

    @property
    def stream(self) -> StreamId:
        return self.genesis.stream

    @property
    def length(self) -> int:
        return len(self.leaves)

    def twin(self, length: int) -> "Log":
        """Another machine with the same keys, which knows so much of it."""
        return Log(self.genesis, self.signers, self.leaves[:length], self.contents[:length])

    # ---- writing ----

    def put(self, header: Header, content: bytes | None) -> Header:
        self.leaves.append(header.encoded)
        self.contents.append(content)
        return header

    def write(self, text: str = "", *, kind: str = "note", stamp_ms: int = START_MS) -> Header:
        """The next entry of the only owner; without text, one that says which it is."""
        content = (text or f"entry {self.length}").encode()
        owner = AuthorId(self.signers[0][1].public)
        entry = NewEntry(kind, content)
        return self.put(make_header(self.stream, self.length, owner, entry, stamp_ms), content)

    def write_many(self, count: int) -> "Log":
        for _ in range(count):
            self.write()
        return self

    def intend(
        self,
        author_seq: int,
        *,
        base: int | None = None,
        author: KeyPair = CAROL,
        stamp_ms: int = START_MS,
        kind: str = "note",
        base_root: Hash | None = None,
    ) -> Header:
        """An intent in the next place, whose author had seen the first `base` leaves."""
        base = self.length if base is None else base
        content = f"intent {author_seq}".encode()
        named = len(content), sha256(content).digest()
        seen = author_seq, base, base_root or self.root(base), stamp_ms
        key = AuthorId(author.public)
        bare = Header(1, self.stream, self.length, key, *seen, kind, *named, None)
        return self.put(bare._replace(author_sig=author.sign(intent_body(bare))), content)

    def hand_over(
        self, owners: Owners, *signers: tuple[int, KeyPair], stamp_ms: int = START_MS
    ) -> OwnersSet:
        """An entry by which other owners follow; those who sign from now on are `signers`."""
        bare = OwnersSet(self.stream, self.length, owners, ())
        signed = tuple([(index, keys.sign(bare.body)) for index, keys in self.signers])
        change = OwnersSet(self.stream, self.length, owners, signed)
        entry = NewEntry(OWNERS_SET, change.encoded)
        author = AuthorId(self.signers[0][1].public)
        self.put(make_header(self.stream, self.length, author, entry, stamp_ms), change.encoded)
        self._heads[self.length, START_MS] = self.head(self.length)  # those before sign it
        self.signers = signers
        return change

    # ---- what others are shown ----

    @property
    def hashes(self) -> list[Hash]:
        return [leaf_hash(leaf) for leaf in self.leaves]

    @property
    def nodes(self) -> ListedNodes:
        return ListedNodes(self.hashes)

    def root(self, length: int) -> Hash:
        return tree_root(self.hashes[:length])

    def head(self, length: int, *, stamp_ms: int = START_MS) -> SignedHead:
        if (length, stamp_ms) not in self._heads:
            head = Head(self.stream, length, self.root(length), stamp_ms)
            self._heads[length, stamp_ms] = sign_head(head, *self.signers)
        return self._heads[length, stamp_ms]

    def segment(self, first: int, stop: int, length: int | None = None) -> Segment:
        """Under the Head of `length`, else under that which ends with it."""
        length = stop if length is None else length
        parts = tuple(self.leaves[first:stop]), tuple(self.contents[first:stop])
        frontier = listed_frontier(self.hashes[:length], stop)
        return Segment(self.stream, first, *parts, self.head(length), frontier)

    def segments(self, *sizes: int) -> list[Segment]:
        """All of it, in runs of these sizes; the last takes what remains."""
        stops = [sum(sizes[:number]) for number in range(1, len(sizes) + 1)]
        bounds = [0, *[stop for stop in stops if stop < self.length], self.length]
        return [self.segment(*pair) for pair in pairwise(bounds)]

    def link(self, place: int, length: int) -> Link:
        """That the entry in `place` changed the owners, for the Head of `length`."""
        content = self.contents[place]
        assert content is not None
        path = listed_path(self.hashes[:length], place, place + 1)
        return Link(self.leaves[place], content, path)


def listed_path(leaves: Sequence[Hash], start: int, stop: int) -> tuple[Hash, ...]:
    """The siblings of the subtree over start..stop, from below: PATH of RFC 9162 2.1.3.1."""
    if (start, stop) == (0, len(leaves)):
        return ()
    half = split(len(leaves))
    if stop <= half:
        return (*listed_path(leaves[:half], start, stop), tree_root(leaves[half:]))
    return (*listed_path(leaves[half:], start - half, stop - half), tree_root(leaves[:half]))


def listed_frontier(leaves: Sequence[Hash], length: int) -> tuple[Hash, ...]:
    """What of the path of the last of `length` leaves lies after them, from below."""
    if length == len(leaves):
        return ()
    half = split(len(leaves))
    if length <= half:
        return (*listed_frontier(leaves[:half], length), tree_root(leaves[half:]))
    return listed_frontier(leaves[half:], length - half)


@cache
def alices_log(length: int, *, uniqueness: Uniqueness = Uniqueness.GOSSIP) -> Log:
    """Shared among tests, which only read it."""
    return Log(genesis_of(uniqueness=uniqueness)).write_many(length - 1)
