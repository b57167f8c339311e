"""Large contents: trees of chunks, made while reading and checked while they come."""

from hashlib import sha256

import pytest

from qbix_node.errors import Malformed
from qbix_node.streams.chunks import (
    CHUNK_BYTES,
    HASHES_MAX,
    WHOLE_BYTES_MAX,
    ChunkNode,
    Cutter,
    chunk_tree,
    read_node,
    read_root,
)
from qbix_node.wire.packing import pack

MIB = CHUNK_BYTES


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


def rows(count: int, last: int = MIB) -> list[tuple[bytes, int]]:
    """Chunks of which only hash and size are known."""
    sizes = [MIB] * (count - 1) + [last]
    return [(digest(b"chunk %d" % number), size) for number, size in enumerate(sizes)]


def tree(count: int, last: int = MIB) -> list[ChunkNode]:
    return list(chunk_tree(rows(count, last)))


def test_few_chunks_have_one_node() -> None:
    (root,) = tree(6, last=5)
    assert root == ChunkNode(0, 5 * MIB + 5, tuple([named for named, _ in rows(6)]))
    assert read_root(root.encoded, 5 * MIB + 5) == root


def test_a_full_node_is_the_root_as_long_as_nothing_follows() -> None:
    (root,) = tree(HASHES_MAX)
    assert (root.level, len(root.hashes)) == (0, HASHES_MAX)


@pytest.mark.parametrize(("count", "nodes"), [(4097, [4096, 1, 2]), (8192, [4096, 4096, 2])])
def test_many_chunks_have_full_nodes_and_a_last_one(count: int, nodes: list[int]) -> None:
    made = tree(count, last=7)
    assert [len(node.hashes) for node in made] == nodes
    first, second, root = made
    assert root.level == 1
    assert root.size == (count - 1) * MIB + 7
    assert root.read_child(0, first.encoded) == first
    assert root.read_child(1, second.encoded) == second
    assert read_root(root.encoded, root.size) == root


def test_a_third_level_comes_with_the_first_chunk_beyond_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qbix_node.streams.chunks.HASHES_MAX", 3)
    for count, levels in [(3, 1), (4, 2), (9, 2), (10, 3), (27, 3)]:
        made = tree(count)
        assert made[-1].level == levels - 1
        assert made[-1].size == count * MIB
        for level in range(levels):
            of_level = [node for node in made if node.level == level]
            assert all(len(node.hashes) == 3 for node in of_level[:-1])
            assert len(of_level) == -(-count // 3 ** (level + 1))
        assert [read_node(node.encoded) for node in made] == made


def cut(content: bytes, piece: int) -> tuple[list[bytes], Cutter]:
    cutter, blobs = Cutter(), list[bytes]()
    for start in range(0, len(content), piece):
        blobs += cutter.take(content[start : start + piece])
    return [*blobs, *cutter.end()], cutter


@pytest.mark.parametrize("piece", [64 * 1024, MIB, 3 * MIB - 1, 8 * MIB])
def test_a_content_is_cut_while_it_comes(piece: int) -> None:
    content = b"".join([bytes([number]) * MIB for number in range(6)]) + b"the rest"
    (*chunks, encoded), cutter = cut(content, piece)
    root = read_root(encoded, len(content))
    assert b"".join(chunks) == content
    assert [len(chunk) for chunk in chunks] == [MIB] * 6 + [8]
    assert root.hashes == tuple([digest(chunk) for chunk in chunks])
    assert (cutter.root, cutter.size) == (digest(encoded), len(content))
    for place, chunk in enumerate(chunks):
        root.check_chunk(place, chunk)


@pytest.mark.parametrize("size", [0, 1, MIB, WHOLE_BYTES_MAX])
def test_a_content_up_to_five_mebibytes_is_one_blob(size: int) -> None:
    (blob,), cutter = cut(bytes(size), 100_000)
    assert (blob, cutter.root) == (bytes(size), digest(bytes(size)))


def test_a_content_of_full_chunks_has_no_empty_one() -> None:
    *chunks, encoded = cut(bytes(6 * MIB), MIB)[0]
    assert [len(chunk) for chunk in chunks] == [MIB] * 6
    assert len(read_root(encoded, 6 * MIB).hashes) == 6


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_child_with_a_chunk(level: int) -> None:
    node = ChunkNode(level, 1, ())
    for chunk in (0, 1, 4095, 4096, 4097, 20_000_000):
        digits = [chunk % 4096, chunk // 4096 % 4096, chunk // 4096 // 4096]
        assert node.place_of(chunk) == digits[level]


def test_a_chunk_of_another_place_is_refused() -> None:
    root = ChunkNode(0, 6 * MIB - 1, tuple([digest(bytes(MIB))] * 5 + [digest(b"last")]))
    root.check_chunk(0, bytes(MIB))
    for place, chunk in [(0, b"last"), (1, bytes([1]) * MIB), (5, b"last")]:
        with pytest.raises(Malformed):
            root.check_chunk(place, chunk)


def test_chunks_hang_at_the_lowest_level_only() -> None:
    chunk = bytes(MIB)
    above = ChunkNode(1, 4097 * MIB, (digest(chunk), digest(chunk)))
    with pytest.raises(Malformed):
        above.check_chunk(0, chunk)


def test_a_node_of_another_level_size_or_hash_is_no_child() -> None:
    first, second, root = tree(4098)
    for place, child in [(0, second), (1, first), (0, root), (1, tree(2, last=5)[0])]:
        with pytest.raises(Malformed):
            root.read_child(place, child.encoded)
    wrong = ChunkNode(1, root.size, (digest(second.encoded), digest(first.encoded)))
    with pytest.raises(Malformed):
        wrong.read_child(0, second.encoded)


HASH = bytes(32)


@pytest.mark.parametrize(
    "fields",
    [
        (2, 0, 6 * MIB, (HASH,) * 6),
        (1, 3, 6 * MIB, (HASH,)),
        (1, -1, 6 * MIB, (HASH,) * 6),
        (1, 0, 0, ()),
        (1, 0, 2**53, (HASH,)),
        (1, 0, 6 * MIB, (HASH,) * 5),
        (1, 0, 6 * MIB, (HASH,) * 7),
        (1, 0, 4097 * MIB, (HASH,) * 4097),
        (1, 1, 4097 * MIB, (HASH,)),
        (1, 0, 6 * MIB, (*(HASH,) * 5, bytes(31))),
        (1, 0, 6 * MIB, (HASH,) * 6, None),
        (1, 0, True, (HASH,)),
    ],
)
def test_what_is_no_node(fields: tuple[object, ...]) -> None:
    with pytest.raises(Malformed):
        read_node(pack(fields))  # type: ignore[arg-type]


def test_what_is_no_root() -> None:
    _, last, _ = tree(4098)
    with pytest.raises(Malformed):  # small enough to be one blob
        read_root(last.encoded, last.size)
    (root,) = tree(6)
    with pytest.raises(Malformed):
        read_root(root.encoded, root.size + 1)
    lonely = ChunkNode(1, root.size, (digest(root.encoded),))
    with pytest.raises(Malformed):
        read_root(lonely.encoded, root.size)
