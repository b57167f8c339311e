"""What is written of streams is read back, and what is damaged is not believed."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import DamagedStore
from qbix_node.ports import Delete, Put
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import (
    AUTHOR,
    CONTENTS,
    GENESIS,
    LEAVES,
    LOG,
    NODE,
    AuthorState,
    LogState,
    Run,
    StoredNodes,
    author_key,
    log_key,
    put_author,
    put_genesis,
    put_log,
    put_nodes,
    put_run,
    read_author,
    read_contents,
    read_head_at,
    read_leaves,
    read_log_state,
    read_run,
    read_runs,
    read_streams,
    root_at,
)
from qbix_node.streams.tree import Hash, grow, lead
from qbix_node.wire.packing import Packable, pack
from tests.streams.logs import BOB, CAROL, START_MS, Log, alices_log, genesis_of

LONG = alices_log(800)
LONG_NODES, LONG_HASHES = LONG.nodes, LONG.hashes
STREAM = LONG.stream
MOST = 256


def stored(log: Log, *sizes: int, contents: bool = True) -> MemoryDisk:
    """As bob has it who took the log in runs of these sizes, each but every third with its Head."""
    disk, length = MemoryDisk(), 0
    peaks: tuple[Hash, ...] = ()
    disk.append([put_genesis(log.genesis)])
    bounds = [0]
    for size in [*sizes, *[MOST] * (log.length // MOST + 1)]:
        if bounds[-1] < log.length:
            bounds.append(min(bounds[-1] + size, log.length))
    hashes = log.hashes
    for number, (first, stop) in enumerate(pairwise(bounds)):
        ending = None if number % 3 == 2 else (START_MS, ((0, b"s" * 64),))
        run = Run(first, tuple(log.leaves[first:stop]), ending)
        peaks, made = grow(peaks, length, hashes[first:stop])
        length = stop
        of_run = log.contents[first:stop] if contents else [None] * (stop - first)
        disk.append([*put_run(log.stream, run, of_run), *put_nodes(log.stream, made)])
    disk.sync()
    return disk


WHOLE = stored(LONG)


def expected_node(level: int, index: int) -> bytes:
    return LONG_NODES.node(level, index)


# ---- what is written is read ----


def test_streams_are_found_by_their_geneses() -> None:
    disk = MemoryDisk()
    geneses = [genesis_of(salt=b"%16d" % number) for number in range(600)]
    disk.append([put_genesis(genesis) for genesis in geneses])
    disk.append([Put(b"s/h", b"of something else"), Put(b"s/f", b"")])
    disk.sync()
    assert read_streams(disk) == {genesis.stream: genesis for genesis in geneses}
    assert read_streams(MemoryDisk()) == {}


@pytest.mark.parametrize(("length", "covered"), [(1, 1), (3, 3), (3, 7), (800, 800)])
def test_how_far_a_log_is_here_is_read_as_it_was_written(length: int, covered: int) -> None:
    segment = LONG.segment(0, length, covered)
    peaks, _ = grow((), 0, LONG_HASHES[:length])
    owners = LONG.genesis.owners
    state = LogState(length, peaks, segment.signed_head, segment.frontier, owners, START_MS)
    written = put_log(STREAM, state)
    assert written.key == log_key(STREAM) == b"s/l" + STREAM
    assert read_log_state(written.value, STREAM) == state


def test_authors_are_read_as_they_were_written() -> None:
    author = AuthorId(CAROL.public)
    written = put_author(STREAM, author, AuthorState(7, START_MS))
    assert written.key == author_key(STREAM, author) == b"s/a" + STREAM + author
    assert read_author(written.value, STREAM) == AuthorState(7, START_MS)
    assert read_author(None, STREAM) is None


@given(st.lists(st.integers(1, MOST), max_size=12), st.data())
def test_leaves_and_runs_are_read_wherever_runs_end(sizes: list[int], data: st.DataObject) -> None:
    disk = stored(LONG, *sizes)
    first = data.draw(st.integers(0, 900))
    stop = first + data.draw(st.integers(0, 900))
    assert read_leaves(disk, STREAM, first, stop) == LONG.leaves[first:stop]
    runs = read_runs(disk, STREAM, first, stop)
    if first < 800:
        assert runs[0].first <= first < runs[0].stop
        assert all(run.first < max(stop, first + 1) for run in runs)
        assert read_run(disk, STREAM, first) == runs[0]
        contents = [each for run in runs for each in read_contents(disk, STREAM, run)]
        assert contents == LONG.contents[runs[0].first : runs[-1].stop]
    else:
        assert (runs, read_run(disk, STREAM, first)) == ([], None)


@given(st.lists(st.integers(1, MOST), max_size=40))
def test_nodes_and_roots_are_those_of_the_whole_log_wherever_runs_end(sizes: list[int]) -> None:
    nodes = StoredNodes(stored(LONG, *sizes), STREAM)
    for level in range(10):
        for index in {0, 1, (800 >> level) // 2, (800 >> level) - 1} & set(range(800 >> level)):
            assert nodes.node(level, index) == expected_node(level, index)


def test_every_node_of_a_log_in_small_runs_is_found() -> None:
    nodes = StoredNodes(stored(LONG, *[1, 2, 3, 5, 8, 13, 21, 34, 55] * 6), STREAM)
    for level in range(10):
        for index in range(800 >> level):
            assert nodes.node(level, index) == expected_node(level, index)


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 511, 512, 513, 768, 799, 800])
def test_the_root_of_any_earlier_length_is_made_out(length: int) -> None:
    assert root_at(WHOLE, STREAM, length) == LONG.root(length)


def test_a_head_is_found_where_it_ended_a_run() -> None:
    disk = stored(LONG, 10, 20, 30, 40)
    found = read_head_at(disk, STREAM, 30)
    assert found is not None
    assert found.head == LONG.head(30).head
    assert found.signatures == ((0, b"s" * 64),)
    assert read_head_at(disk, STREAM, 29) is None
    assert read_head_at(disk, STREAM, 31) is None
    assert read_head_at(disk, STREAM, 60) is None  # that run had no Head of its own
    assert read_head_at(disk, STREAM, 801) is None


def test_contents_that_are_absent_are_nil() -> None:
    disk = stored(LONG, contents=False)
    run = read_run(disk, STREAM, 3)
    assert run is not None
    assert read_contents(disk, STREAM, run) == (None,) * MOST
    assert not [key for key in disk.snapshot() if key.startswith(CONTENTS)]


def test_streams_lie_beside_each_other_and_are_not_taken_for_another() -> None:
    one, other = alices_log(5), Log(genesis_of(BOB), ((0, BOB),)).write_many(3)
    disk = stored(one)
    disk.append([Put(*pair) for pair in stored(other).snapshot().items()])
    disk.sync()
    for log in (one, other):
        assert read_leaves(disk, log.stream, 0, 100) == log.leaves
        assert read_run(disk, log.stream, log.length) is None
        assert root_at(disk, log.stream, log.length) == log.root(log.length)
    assert set(read_streams(disk)) == {one.stream, other.stream}


def test_keys_are_those_of_the_specification() -> None:
    kinds = {key[:3] for key in WHOLE.snapshot()}
    assert kinds == {GENESIS, LEAVES, CONTENTS, NODE} == {b"s/g", b"s/e", b"s/c", b"s/n"}
    assert (LOG, AUTHOR) == (b"s/l", b"s/a")
    leaves = [key for key in WHOLE.snapshot() if key.startswith(LEAVES)]
    assert leaves == [LEAVES + STREAM + first.to_bytes(4, "big") for first in (0, 256, 512, 768)]
    nodes = [key for key in WHOLE.snapshot() if key.startswith(NODE)]
    assert sorted(nodes) == [
        NODE + STREAM + bytes([level]) + index.to_bytes(4, "big")
        for level, index in ((8, 0), (8, 1), (8, 2), (9, 0))
    ]


# ---- what is damaged ----

RUN_KEY = LEAVES + STREAM + bytes(4)
CONTENTS_KEY = CONTENTS + STREAM + bytes(4)


def damaged(key: bytes, value: Packable | None) -> MemoryDisk:
    disk = MemoryDisk()
    disk.roll_back(WHOLE.snapshot())
    disk.append([Delete(key) if value is None else Put(key, pack(value))])
    disk.sync()
    return disk


def first_run(disk: MemoryDisk) -> Run:
    return read_run(disk, STREAM, 0) or Run(0, (b"leaf",), None)


DAMAGES: dict[str, tuple[bytes, Packable | None, Callable[[MemoryDisk], object]]] = {
    "a genesis that is none": (GENESIS + STREAM, (1,), read_streams),
    "a run that is none": (RUN_KEY, 5, first_run),
    "a run of one field": (RUN_KEY, ((b"leaf",),), first_run),
    "a run of leaves that are none": (RUN_KEY, ((5,), None), first_run),
    "a run without leaves": (RUN_KEY, ((), None), first_run),
    "a run with a Head that is none": (RUN_KEY, ((b"leaf",), (1,)), first_run),
    "a run with another signature": (RUN_KEY, ((b"leaf",), (1, ((0, b""),))), first_run),
    "a run of too many leaves": (RUN_KEY, ((b"leaf",) * 257, None), first_run),
    "a hole": (
        LEAVES + STREAM + (256).to_bytes(4, "big"),
        None,
        lambda disk: read_leaves(disk, STREAM, 0, 800),
    ),
    "contents that are none": (
        CONTENTS_KEY,
        b"",
        lambda disk: read_contents(disk, STREAM, first_run(disk)),
    ),
    "contents of another run": (
        CONTENTS_KEY,
        (None,),
        lambda disk: read_contents(disk, STREAM, first_run(disk)),
    ),
    "a content of text": (
        CONTENTS_KEY,
        ("text",) * MOST,
        lambda disk: read_contents(disk, STREAM, first_run(disk)),
    ),
    "a missing node": (
        NODE + STREAM + b"\x08" + bytes(4),
        None,
        lambda disk: root_at(disk, STREAM, 300),
    ),
    "a node that is none": (
        NODE + STREAM + b"\x08" + bytes(4),
        b"",
        lambda disk: root_at(disk, STREAM, 300),
    ),
    "missing leaves below a node": (RUN_KEY, None, lambda disk: root_at(disk, STREAM, 9)),
    "the end of the log": (
        LEAVES + STREAM + (768).to_bytes(4, "big"),
        None,
        lambda disk: root_at(disk, STREAM, 800),
    ),
}


@pytest.mark.parametrize(("key", "value", "read"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_said(
    key: bytes, value: Packable | None, read: Callable[[MemoryDisk], object]
) -> None:
    with pytest.raises(DamagedStore):
        read(damaged(key, value))


def test_a_genesis_under_another_key_is_damage() -> None:
    disk = MemoryDisk()
    disk.append([replace(put_genesis(genesis_of()), key=GENESIS + bytes(32))])
    disk.sync()
    with pytest.raises(DamagedStore, match="another stream"):
        read_streams(disk)


@given(st.binary(max_size=60))
def test_records_of_any_bytes_are_damage_or_read(record: bytes) -> None:
    disk = MemoryDisk()
    disk.append([Put(RUN_KEY, record), Put(CONTENTS_KEY, record)])
    disk.sync()
    for read in (
        lambda: read_log_state(record, STREAM),
        lambda: read_author(record, STREAM),
        lambda: read_contents(disk, STREAM, first_run(disk)),
    ):
        with suppress(DamagedStore):
            read()


@given(st.data())
def test_a_log_state_with_other_bytes_is_damage_or_another_state(data: st.DataObject) -> None:
    peaks, _ = grow((), 0, LONG_HASHES[:3])
    segment = LONG.segment(0, 3, 7)
    state = LogState(3, peaks, LONG.head(7), segment.frontier, LONG.genesis.owners)
    record = bytearray(put_log(STREAM, state).value)
    place = data.draw(st.integers(0, len(record) - 1))
    record[place] ^= data.draw(st.integers(1, 255))
    try:
        other = read_log_state(bytes(record), STREAM)
    except DamagedStore:
        return
    assert put_log(STREAM, other).value == record
    head = other.signed.head
    assert head.root == LONG.root(7) == lead(other.peaks, other.length, other.frontier, head.length)


def test_how_far_another_stream_is_here_is_damage() -> None:
    peaks, _ = grow((), 0, LONG_HASHES[:3])
    record = put_log(STREAM, LogState(3, peaks, LONG.head(3), (), LONG.genesis.owners)).value
    with pytest.raises(DamagedStore, match="not what its Head covers"):
        read_log_state(record, genesis_of(BOB).stream)
