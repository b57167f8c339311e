"""The tree over the leaves of a log: peaks, frontiers and paths (spec/streams.md 4; RFC 9162 2.1).

Only sums here: where nodes are kept is the concern of whoever asks.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple, NewType, Protocol, cast

Hash = NewType("Hash", bytes)  # SHA-256, 32 bytes

LENGTH_MAX = 2**30 - 1
HASHES_MAX = 30  # in the peaks, the frontier or a path of any log
EMPTY_ROOT = Hash(sha256(b"").digest())


class Nodes(Protocol):
    """The full subtrees of one log."""

    def node(self, level: int, index: int) -> Hash:
        """The root of the `index`-th run of 2^level leaves, all of which the log has."""
        ...

    def cut(self, level: int, index: int, total: int) -> Hash:
        """The same of a run that the end of the first `total` leaves may cut off."""
        ...


def leaf_hash(leaf: bytes) -> Hash:
    return Hash(sha256(b"\0" + leaf).digest())


def leaf_hashes(leaves: Iterable[bytes]) -> list[Hash]:
    return cast("list[Hash]", [sha256(b"\0" + leaf).digest() for leaf in leaves])


def node_hash(left: bytes, right: bytes) -> Hash:
    return Hash(sha256(b"\1" + left + right).digest())


def bag(peaks: Sequence[Hash]) -> Hash:
    """The root of the log with these peaks."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in peaks[-2::-1]:
        root = node_hash(peak, root)
    return root


class Subtrees(NamedTuple):
    """Full ones beside each other, the first of which is the `start`-th of its level."""

    level: int
    start: int
    roots: list[Hash]


def grow(
    peaks: Sequence[Hash], length: int, leaves: Iterable[Hash]
) -> tuple[tuple[Hash, ...], list[Subtrees]]:
    """The peaks once `leaves` follow the first `length`, and the full subtrees that came to be
    above the leaves.
    """
    left, right, made = [*peaks], list[Hash](), list[Subtrees]()
    row, place, level = [*leaves], length, 0  # level by level: what is new in each, and from where
    while row:
        if place & 1:
            row.insert(0, left.pop())
            place -= 1
        if len(row) & 1:
            right.append(row.pop())
        row, place, level = _parents(row), place >> 1, level + 1
        made.append(Subtrees(level, place, [*row]))
    return (*left, *reversed(right)), made


def _parents(row: list[Hash]) -> list[Hash]:
    pairs = zip(row[::2], row[1::2], strict=True)
    return cast("list[Hash]", [sha256(b"\1" + left + right).digest() for left, right in pairs])


def places(length: int) -> list[tuple[int, int]]:
    """(level, index) of each peak, in their order."""
    found, start = [], 0
    for level in range(length.bit_length() - 1, -1, -1):
        if length >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def lead(peaks: Sequence[Hash], length: int, frontier: Sequence[Hash], total: int) -> Hash | None:
    """The root of `total` leaves to which the frontier leads from the peaks of the first `length`;
    None where their numbers don't fit.
    """
    if not 1 <= length <= total or len(peaks) != length.bit_count():
        return None
    left, right = len(peaks) - 1, 0
    height = (length & -length).bit_length() - 1
    here, last, root = (length - 1) >> height, (total - 1) >> height, peaks[-1]
    while last:
        if here & 1:
            left -= 1
            root = node_hash(peaks[left], root)
        elif here < last:
            if right == len(frontier):
                return None
            root = node_hash(root, frontier[right])
            right += 1
        here >>= 1
        last >>= 1
    return root if right == len(frontier) else None


def climb(node: Hash, level: int, index: int, path: Sequence[Hash], total: int) -> Hash | None:
    """The root of `total` leaves to which a path leads from a node; None where it doesn't fit."""
    if index < 0 or (index + 1) << level > total:
        return None
    sides = turns(level, index, total)
    if len(path) != len(sides):
        return None
    root = node
    for sibling, is_left in zip(path, sides, strict=True):
        root = node_hash(sibling, root) if is_left else node_hash(root, sibling)
    return root


def turns(level: int, index: int, total: int) -> list[bool]:
    """Of each hash in the path of a node, whether it stands to the left."""
    here, last, found = index, (total - 1) >> level, []
    while last:
        if here & 1 or here < last:
            found.append(bool(here & 1))
        here, last = here >> 1, last >> 1
    return found


# ---- the first leaves of a log under a Head ----


class Prefix(NamedTuple):
    """The first `length` leaves, by their peaks, and the frontier from there to the root of a Head.

    Without peaks: the Head ends there, and nothing but its root is known.
    """

    length: int
    peaks: tuple[Hash, ...]
    frontier: tuple[Hash, ...]

    def leads_to(self, root: Hash, total: int) -> bool:
        """Whether these are the first leaves under a Head of that length and root."""
        if not self.peaks:
            return self.length == total and not self.frontier
        return lead(self.peaks, self.length, self.frontier, total) == root

    def root(self, root: Hash) -> Hash:
        """Of these leaves; `root` is that of the Head."""
        return bag(self.peaks) if self.peaks else root


def known_prefixes(prefix: Prefix, total: int) -> list[Prefix]:
    """What a prefix tells of the first `total` leaves to which it leads, the shortest first: each
    hash of the frontier stands for the leaves that come next, so it ends a prefix, too.
    """
    (length, peaks, frontier), found = prefix, [prefix]
    for place, node in enumerate(frontier, 1):
        count = length & -length  # as many as below the last peak
        if length + count > total:
            found.append(Prefix(total, (), ()))  # its subtree is cut off: it has no one peak
            break
        stack, index, root = [*peaks], length // count, node
        while index & 1:
            root, index = node_hash(stack.pop(), root), index >> 1
        length, peaks = length + count, (*stack, root)
        found.append(Prefix(length, peaks, frontier[place:]))
    return found


# ---- made from the nodes of a log ----


def peaks_of(nodes: Nodes, length: int) -> tuple[Hash, ...]:
    return tuple([nodes.node(level, index) for level, index in places(length)])


def frontier_of(nodes: Nodes, length: int, total: int) -> tuple[Hash, ...]:
    """From the first `length` leaves to the root of the first `total`."""
    height = (length & -length).bit_length() - 1
    here, last, found = (length - 1) >> height, (total - 1) >> height, []
    while last:
        if not here & 1 and here < last:
            found.append(nodes.cut(height, here + 1, total))
        here, last, height = here >> 1, last >> 1, height + 1
    return tuple(found)


def prefix_of(nodes: Nodes, length: int, total: int) -> Prefix:
    return Prefix(length, peaks_of(nodes, length), frontier_of(nodes, length, total))


def path_of(nodes: Nodes, level: int, index: int, total: int) -> tuple[Hash, ...]:
    """The siblings of a node, up to the root of the first `total` leaves."""
    here, last, found = index, (total - 1) >> level, []
    while last:
        if here & 1:
            found.append(nodes.node(level, here - 1))
        elif here < last:
            found.append(nodes.cut(level, here + 1, total))
        here, last, level = here >> 1, last >> 1, level + 1
    return tuple(found)


def cut_of(nodes: Nodes, level: int, index: int, total: int) -> Hash:
    """For logs that have all of the first `total` leaves."""
    start, stop = index << level, min((index + 1) << level, total)
    found = [
        nodes.node(height, (start >> height) + place) for height, place in places(stop - start)
    ]
    return bag(found)
