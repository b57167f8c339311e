"""Roots, peaks, frontiers and paths (spec/streams.md 4)."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from qbix_node.streams.tree import (
    LENGTH_MAX,
    Hash,
    bag,
    climb,
    cut_of,
    frontier_of,
    grow,
    lead,
    leaf_hash,
    path_of,
    peaks_of,
)

LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 100, 255, 256, 257, 511, 513]
FRONTIERS = [
    *[(first, total) for total in range(1, 9) for first in range(1, total + 1)],
    *[(first, 257) for first in (1, 128, 129, 255, 256, 257)],
    *[(1, 255), (127, 255), (254, 255), (255, 256), (255, 257), (7, 256), (200, 511)],
]
PATHS = [
    *[(0, index, total) for total in (1, 2, 3, 7, 8) for index in range(total)],
    *[(1, 0, 2), (1, 0, 3), (1, 2, 7), (2, 0, 7), (1, 3, 8), (2, 1, 8), (3, 0, 8), (2, 0, 5)],
    *[(0, 0, 255), (0, 254, 255), (7, 0, 255), (6, 2, 255), (1, 126, 255), (3, 30, 255)],
    *[(0, 0, 256), (0, 255, 256), (8, 0, 256), (4, 9, 256)],
    *[(0, 0, 257), (0, 255, 257), (0, 256, 257), (8, 0, 257), (7, 1, 257), (4, 15, 257)],
]


class Digits:
    """The log whose leaf i is the text of i. Implements tree.Nodes."""

    def node(self, level: int, index: int) -> Hash:
        leaves = [b"%d" % number for number in range(index << level, (index + 1) << level)]
        peaks, _ = grow((), 0, [leaf_hash(leaf) for leaf in leaves])
        return bag(peaks)

    def cut(self, level: int, index: int, total: int) -> Hash:
        return cut_of(self, level, index, total)


class MadeUp:
    """Full subtrees by their name, of logs too long to be made."""

    def node(self, level: int, index: int) -> Hash:
        return Hash(sha256(b"%d %d" % (level, index)).digest())

    def cut(self, level: int, index: int, total: int) -> Hash:
        return cut_of(self, level, index, total)


LOG = Digits()
HUGE = MadeUp()


def hexes(rows: Sequence[bytes]) -> list[str]:
    return [row.hex() for row in rows]


def root_of(length: int) -> Hash:
    return bag(peaks_of(LOG, length))


def proof(
    first: int, total: int, peaks: Sequence[Hash], frontier: Sequence[Hash], root: Hash
) -> dict[str, Any]:
    sizes = {"from": first, "to": total}
    return {**sizes, "peaks": hexes(peaks), "frontier": hexes(frontier), "root": root.hex()}


def walk(
    place: tuple[int, int, int], node: Hash, path: Sequence[Hash], root: Hash
) -> dict[str, Any]:
    """`place`: level, index, length of the log."""
    said = dict(zip(("level", "index", "length"), place, strict=True))
    return {**said, "node": node.hex(), "path": hexes(path), "root": root.hex()}


def frontiers() -> list[dict[str, Any]]:
    return [
        proof(first, total, peaks_of(LOG, first), frontier_of(LOG, first, total), root_of(total))
        for first, total in FRONTIERS
    ]


Change = Callable[[list[Hash]], list[Hash]]


def wrong_frontiers() -> list[dict[str, Any]]:
    """Changes of the proof that 7 leaves continue 3: three hashes lead nowhere else."""
    peaks, frontier, root = list(peaks_of(LOG, 3)), list(frontier_of(LOG, 3, 7)), root_of(7)
    other = [Hash(bytes(32))]
    same: Change = lambda rows: rows  # noqa: E731
    changes: list[tuple[str, Change, Change]] = [
        ("a hash of the frontier is missing", same, lambda rows: rows[:-1]),
        ("the first hash of the frontier is missing", same, lambda rows: rows[1:]),
        ("the frontier has one hash too many", same, lambda rows: rows + other),
        ("the frontier has a hash too many at its beginning", same, lambda rows: other + rows),
        ("the frontier is in the wrong order", same, lambda rows: rows[::-1]),
        ("a hash of the frontier is another", same, lambda rows: other + rows[1:]),
        ("a peak is missing", lambda rows: rows[1:], same),
        ("a peak is too many", lambda rows: other + rows, same),
        ("the peaks are in the wrong order", lambda rows: rows[::-1], same),
        ("a peak is another", lambda rows: other + rows[1:], same),
    ]
    found = [
        {"rule": what, **proof(3, 7, change_peaks(peaks), change(frontier), root)}
        for what, change_peaks, change in changes
    ]
    two, three = peaks_of(LOG, 2), peaks_of(LOG, 3)
    found += [
        {"rule": "the root is that of another length", **proof(3, 7, peaks, frontier, root_of(6))},
        {"rule": "the lengths are exchanged", **proof(7, 3, peaks, frontier, root)},
        {"rule": "from is 0", **proof(0, 2, (), two, root_of(2))},
        {"rule": "to is less than from", **proof(3, 2, three, (), root_of(2))},
        {"rule": "of one length, but not its peaks", **proof(3, 3, two, (), root_of(2))},
        {"rule": "of one length, with a frontier", **proof(3, 3, three, two, root_of(3))},
    ]
    return found


def paths() -> list[dict[str, Any]]:
    return [
        walk(each, LOG.node(*each[:2]), path_of(LOG, *each), root_of(each[2])) for each in PATHS
    ]


def wrong_paths() -> list[dict[str, Any]]:
    """Changes of the path of leaf 4 among 7."""
    node, path, root = LOG.node(0, 4), list(path_of(LOG, 0, 4, 7)), root_of(7)
    other = [Hash(bytes(32))]
    changes = [
        ("the path is too long", path + other),
        ("the path is too short", path[:-1]),
        ("the first hash of the path is missing", path[1:]),
        ("the path is in the wrong order", path[::-1]),
        ("a hash of the path is another", path[:1] + other + path[2:]),
        ("the path is empty", []),
    ]
    found = [{"rule": what, **walk((0, 4, 7), node, rows, root)} for what, rows in changes]
    cut_off = bag(peaks_of(LOG, 7)[1:])  # of leaves 4 to 6
    one = root_of(1)
    found += [
        {"rule": "the node is that of another place", **walk((0, 5, 7), node, path, root)},
        {"rule": "the node is another", **walk((0, 4, 7), LOG.node(0, 5), path, root)},
        {"rule": "the root is that of another length", **walk((0, 4, 7), node, path, root_of(8))},
        {"rule": "the length is another", **walk((0, 4, 9), node, path, root)},
        {"rule": "the log ends before the leaf", **walk((0, 7, 7), node, path, root)},
        {"rule": "the log of one leaf has no other", **walk((0, 1, 1), one, (), one)},
        {"rule": "not a full subtree", **walk((2, 1, 7), cut_off, [LOG.node(2, 0)], root)},
        {"rule": "not a full subtree, of one leaf", **walk((1, 0, 1), one, (), one)},
    ]
    return found


def huge() -> dict[str, Any]:
    """At the greatest length there is."""
    total = LENGTH_MAX
    peaks = peaks_of(HUGE, total)
    root = bag(peaks)
    proofs = [(2**29, total), (2**29 + 2**28, total), (total, total)]
    walks = [(29, 0, total), (28, 2, total), (0, total - 1, total)]
    return {
        "frontiers": [
            proof(start, stop, peaks_of(HUGE, start), frontier_of(HUGE, start, stop), root)
            for start, stop in proofs
        ],
        "paths": [walk(each, HUGE.node(*each[:2]), path_of(HUGE, *each), root) for each in walks],
    }


def make() -> dict[str, Any]:
    found = huge()
    good, bad = frontiers() + found["frontiers"], wrong_frontiers()
    ways, no_ways = paths() + found["paths"], wrong_paths()
    for each in good + bad:
        peaks, row = _hashes(each["peaks"]), _hashes(each["frontier"])
        holds = lead(peaks, each["from"], row, each["to"]) == bytes.fromhex(each["root"])
        assert holds == ("rule" not in each), each
    for each in ways + no_ways:
        (node,), row = _hashes([each["node"]]), _hashes(each["path"])
        led = climb(node, each["level"], each["index"], row, each["length"])
        assert (led == bytes.fromhex(each["root"])) == ("rule" not in each), each
    return {
        "leaves": "leaf i is the text of i in decimal; above a length of 1000, the full subtree "
        "(level, index) is the SHA-256 of both in decimal with a space between them",
        "roots": [
            {"length": length, "root": root_of(length).hex(), "peaks": hexes(peaks_of(LOG, length))}
            for length in LENGTHS
        ],
        "frontiers": {"valid": good, "invalid": bad},
        "paths": {"valid": ways, "invalid": no_ways},
    }


def _hashes(rows: list[str]) -> list[Hash]:
    return [Hash(bytes.fromhex(row)) for row in rows]
