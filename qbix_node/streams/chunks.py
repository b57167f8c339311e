"""Contents above 5 MiB: chunks, and the nodes that name them (spec/streams.md 3).

Made while the content is read, checked while it comes: with one chunk and a node a level in memory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qbix_node.crypto.boxes import sha256
from qbix_node.errors import Malformed
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack

WHOLE_BYTES_MAX = 5 * 1024 * 1024  # a content up to here is one blob
CHUNK_BYTES = 1024 * 1024
HASHES_MAX = 4096  # in a node
NODE_BYTES_MAX = HASHES_MAX * 34 + 64
LEVEL_MAX = 2  # of the node over 2^53 - 1 bytes


def _full(level: int) -> int:
    """Content below each hash of a node, where it isn't the last."""
    return CHUNK_BYTES * int(HASHES_MAX**level)


@dataclass(frozen=True, slots=True)
class ChunkNode:
    """`size`: of all content below it. `hashes`: of chunks at level 0, of nodes above it."""

    level: int
    size: int
    hashes: tuple[bytes, ...]

    @property
    def encoded(self) -> bytes:
        return pack((1, self.level, self.size, self.hashes))

    def place_of(self, chunk: int) -> int:
        """Of the child with that chunk of the whole content, at each level below the root."""
        return chunk // int(HASHES_MAX**self.level) % HASHES_MAX

    def child_size(self, place: int) -> int:
        """Of the content below one of the hashes: all but the last are full."""
        return min(_full(self.level), self.size - place * _full(self.level))

    def check_chunk(self, place: int, chunk: bytes) -> None:
        """Whether it belongs there. Raises Malformed."""
        right_size = self.level == 0 and len(chunk) == self.child_size(place)
        if not right_size or sha256(chunk) != self.hashes[place]:
            raise Malformed(f"chunk {place}: not the one that its node names")

    def read_child(self, place: int, encoded: bytes) -> "ChunkNode":
        """The node of the level below that belongs there. Raises Malformed."""
        node, right = read_node(encoded), (self.level - 1, self.child_size(place))
        if (node.level, node.size) != right or sha256(encoded) != self.hashes[place]:
            raise Malformed(f"chunk node {place}: not the one that the node above it names")
        return node


def read_node(encoded: bytes) -> ChunkNode:
    """Raises Malformed. Whether it is the root, or a child of another, is asked elsewhere."""
    row = fields.versioned(unpack(encoded, "chunk node"), "chunk node", size=4)
    level = fields.number(row[1], "chunk node: level", 0, LEVEL_MAX)
    size = fields.number(row[2], "chunk node: size", 1)
    hashes = fields.hashes(row[3], "chunk node: hashes", most=HASHES_MAX)
    if len(hashes) != -(-size // _full(level)):
        raise Malformed("chunk node: its size needs another number of hashes")
    return ChunkNode(level, size, hashes)


def read_root(encoded: bytes, size: int) -> ChunkNode:
    """The node that stands for a content of `size` bytes. Raises Malformed."""
    node = read_node(encoded)
    if node.size != size or size <= WHOLE_BYTES_MAX:
        raise Malformed("chunk node: not of a content of that size")
    if node.level > 0 and len(node.hashes) == 1:
        raise Malformed("chunk node: the root is the first level with one node")
    return node


def chunk_tree(chunks: Iterable[tuple[bytes, int]]) -> Iterator[ChunkNode]:
    """The nodes over chunks (hash, size), each after those below it: the last one is the root."""
    tree = _Tree()
    for named, size in chunks:
        yield from tree.put(0, named, size)
    yield from tree.finish()


@dataclass(slots=True)
class _Tree:
    """At each level the hashes that will be the next node, and the size below them."""

    levels: list[tuple[list[bytes], int]] = field(default_factory=list)

    def put(self, level: int, named: bytes, size: int) -> Iterator[ChunkNode]:
        if level == len(self.levels):
            self.levels.append(([], 0))
        if len(self.levels[level][0]) == HASHES_MAX:  # only now: it may have been the root
            yield from self._close(level)
        hashes, below = self.levels[level]
        hashes.append(named)
        self.levels[level] = hashes, below + size

    def finish(self) -> Iterator[ChunkNode]:
        level = 0
        while level < len(self.levels) - 1:  # a level may be added meanwhile
            yield from self._close(level)
            level += 1
        yield from [ChunkNode(level, size, tuple(each)) for each, size in self.levels[level:]]

    def _close(self, level: int) -> Iterator[ChunkNode]:
        hashes, size = self.levels[level]
        self.levels[level] = [], 0
        yield (node := ChunkNode(level, size, tuple(hashes)))
        yield from self.put(level + 1, sha256(node.encoded), size)


@dataclass(slots=True)
class Cutter:
    """Takes a large content in pieces of any size and gives the blobs that it becomes, each node
    after those below it; holds 5 MiB at most beside the piece.
    """

    size: int = 0
    root: bytes = b""  # the hash of the last blob, which names the content once it has ended
    _rest: bytearray = field(default_factory=bytearray)
    _tree: _Tree = field(default_factory=_Tree)

    def take(self, piece: bytes) -> Iterator[bytes]:
        self.size += len(piece)
        self._rest += piece
        if self.size > WHOLE_BYTES_MAX:
            yield from self._cut(least=CHUNK_BYTES)

    def end(self) -> Iterator[bytes]:
        if self.size > WHOLE_BYTES_MAX:
            yield from self._cut(least=1)
            nodes = [node.encoded for node in self._tree.finish()]
            self.root = sha256(nodes[-1])
            yield from nodes
        else:
            whole = bytes(self._rest)
            self.root = sha256(whole)
            yield whole

    def _cut(self, *, least: int) -> Iterator[bytes]:
        while len(self._rest) >= least:
            chunk = bytes(self._rest[:CHUNK_BYTES])
            del self._rest[:CHUNK_BYTES]
            yield chunk
            yield from [node.encoded for node in self._tree.put(0, sha256(chunk), len(chunk))]
