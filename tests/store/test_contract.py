"""What holds for every store, in memory or on LevelDB (spec/storage.md)."""

import itertools
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from qbix_node.errors import LocalError
from qbix_node.ports import Delete, Put, Write
from qbix_node.store.writer import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX
from tests.store.places import AnyStore, InMemory, OnDisk, Place


@pytest.fixture(params=["memory", "leveldb"])
def place(request: pytest.FixtureRequest, ram_path: Path) -> Place:
    return InMemory() if request.param == "memory" else OnDisk(ram_path / "store")


@pytest.fixture
async def store(place: Place) -> AsyncIterator[AnyStore]:
    opened = place.open()
    yield opened
    await opened.aclose()


async def write_all(store: AnyStore, writes: list[list[Write]]) -> None:
    """All at once, in any order."""
    async with trio.open_nursery() as nursery:
        for each in writes:
            nursery.start_soon(store.write, each)


def everything(store: AnyStore) -> list[tuple[bytes, bytes]]:
    return store.scan(b"a", b"l", limit=10**6)  # the keys of the store itself begin with m


async def test_what_was_written_is_read(store: AnyStore) -> None:
    await store.write([Put(b"k", b"v"), Put(b"empty", b"")])
    assert store.get(b"k") == b"v"
    assert store.get(b"empty") == b""
    assert store.get(b"absent") is None


async def test_writes_apply_in_their_order(store: AnyStore) -> None:
    await store.write([Put(b"k", b"1"), Delete(b"k"), Put(b"j", b"1"), Put(b"j", b"2")])
    assert everything(store) == [(b"j", b"2")]
    await store.write([Delete(b"absent"), Delete(b"j"), Put(b"k", b"3")])
    assert everything(store) == [(b"k", b"3")]


async def test_a_scan_is_bounded_and_ordered(store: AnyStore) -> None:
    await store.write([Put(b"k%d" % i, b"%d" % i) for i in (3, 1, 4, 0, 2)])
    rows = [(b"k%d" % i, b"%d" % i) for i in range(5)]
    assert store.scan(b"k1", b"k4", limit=10) == rows[1:4]
    assert store.scan(b"k1", b"k4", limit=2) == rows[1:3]
    assert store.scan(b"k1", b"k4", limit=2, reverse=True) == [rows[3], rows[2]]
    assert store.scan(b"k4", b"k4", limit=10) == []
    assert store.scan(b"k4", b"k1", limit=10) == []
    assert store.scan(b"k1", b"k4", limit=0) == []


async def test_a_scan_backwards_finds_a_key_that_is_its_start(store: AnyStore) -> None:
    await store.write([Put(key, b"v") for key in (b"a", b"b", b"c")])
    assert store.scan(b"b", b"c", limit=9, reverse=True) == [(b"b", b"v")]
    assert store.scan(b"c", b"d", limit=9, reverse=True) == [(b"c", b"v")]
    assert store.scan(b"a", b"b", limit=9, reverse=True) == [(b"a", b"v")]


async def test_an_empty_write_waits_for_those_before_it(store: AnyStore) -> None:
    await store.write([])
    assert everything(store) == []


async def test_writes_that_wait_share_a_batch(store: AnyStore) -> None:
    await write_all(store, [[Put(b"k%d" % i, b"value")] for i in range(1000)])
    assert store.counters.batches == 2  # the first goes at once, the rest gathers behind it
    assert store.counters.writes == store.counters.entries == 1000
    assert store.counters.bytes == sum(len(b"k%d" % i) + 5 for i in range(1000))
    assert store.commit == 2
    assert len(everything(store)) == 1000


async def test_only_a_batch_that_asks_for_it_is_marked(store: AnyStore) -> None:
    await store.write([Put(b"a", b"")])
    assert store.counters.marks == 0
    await store.write([Put(b"b", b"")], marked=True)
    await store.write([Put(b"c", b"")])
    assert (store.counters.batches, store.counters.marks) == (3, 1)


async def test_writes_that_share_a_batch_share_its_mark(store: AnyStore) -> None:
    async with trio.open_nursery() as nursery:
        for i in range(30):
            write = partial(store.write, [Put(b"k%d" % i, b"")], marked=i % 10 == 5)
            nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
    assert store.counters.writes == 30
    assert 1 <= store.counters.marks <= 3


async def test_a_batch_has_a_limit_of_entries(store: AnyStore) -> None:
    await write_all(store, [[Put(b"k%d" % i, b"")] for i in range(1 + 2 * BATCH_ENTRIES_MAX)])
    assert store.counters.batches == 3


async def test_a_batch_has_a_limit_of_bytes(store: AnyStore) -> None:
    quarter = bytes(BATCH_BYTES_MAX // 4 - 2)
    await write_all(store, [[Put(b"k%d" % i, quarter)] for i in range(1 + 8)])
    assert store.counters.batches == 3


async def test_a_write_beyond_all_limits_is_done_whole(store: AnyStore) -> None:
    huge: list[Write] = [Put(b"k%d" % i, bytes(2000)) for i in range(2 * BATCH_ENTRIES_MAX)]
    await write_all(store, [[Put(b"a", b"")], [Put(b"b", b"")], huge, [Put(b"c", b"")]])
    assert len(everything(store)) == 2 * BATCH_ENTRIES_MAX + 3


async def test_a_sequence_of_writes_makes_one_batch_each(store: AnyStore) -> None:
    for i in range(10):
        await store.write([Put(b"k", b"%d" % i)])
        assert store.get(b"k") == b"%d" % i
    assert store.counters.batches == store.commit == 10


async def test_a_cancelled_write_leaves_the_others_alone(store: AnyStore) -> None:
    async def give_up(key: bytes) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.write([Put(key, b"v")])

    async with trio.open_nursery() as nursery:
        for i in range(50):
            nursery.start_soon(give_up, b"a%d" % i)
            nursery.start_soon(store.write, [Put(b"k%d" % i, b"v")])
    assert len([key for key, _ in everything(store) if key.startswith(b"k")]) == 50
    await store.write([Put(b"later", b"v")])
    assert store.get(b"later") == b"v"


async def test_the_empty_key_and_keys_of_the_store_itself_are_not_for_others(
    store: AnyStore,
) -> None:
    for key in (b"meta/commit", b"meta/", b""):
        with pytest.raises(AssertionError):
            await store.write([Put(key, b"")])


async def test_a_closed_store_is_found_again(place: Place) -> None:
    first = place.open()
    assert first.was_clean
    await first.write([Put(b"k", b"v")])
    await first.aclose()
    again = place.open()
    assert again.was_clean
    assert again.get(b"k") == b"v"
    assert again.commit == 1
    await again.aclose()


async def test_a_killed_store_has_every_acknowledged_write_and_says_so(place: Place) -> None:
    first = place.open()
    await write_all(first, [[Put(b"k%d" % i, b"v")] for i in range(100)])
    await place.kill(first)
    again = place.open()
    assert not again.was_clean
    assert again.commit == 2
    assert len(everything(again)) == 100
    await again.aclose()
    third = place.open()
    assert third.was_clean
    await third.aclose()


async def test_a_closed_store_takes_no_writes(place: Place) -> None:
    store = place.open()
    await store.aclose()
    await store.aclose()
    with pytest.raises(LocalError, match="closed"):
        await store.write([Put(b"k", b"v")])


async def test_closing_waits_for_the_batch_under_way_and_refuses_the_rest(place: Place) -> None:
    store = place.open()
    done: list[int] = []
    refused: list[int] = []

    async def write(i: int) -> None:
        try:
            await store.write([Put(b"k%d" % i, b"v")])
            done.append(i)
        except LocalError:
            refused.append(i)

    async with trio.open_nursery() as nursery:
        for i in range(10):
            nursery.start_soon(write, i)
        await trio.testing.wait_all_tasks_blocked()
        await store.aclose()
    assert len(done) + len(refused) == 10
    again = place.open()
    assert sorted(done) == [int(key[1:]) for key, _ in everything(again)]
    await again.aclose()


async def test_size_grows_with_what_is_stored(store: AnyStore) -> None:
    before = store.size_bytes()
    await store.write([Put(b"k", bytes(100_000))])
    assert store.size_bytes() > before


KEYS = st.sampled_from([b"\x00", b"a", b"a\x00", b"ab", b"b", b"k\xff", b"kk"])
BOUNDS = KEYS | st.just(b"")
WRITES = st.lists(st.builds(Put, KEYS, st.binary(max_size=4)) | st.builds(Delete, KEYS), max_size=6)


class LikeADict(RuleBasedStateMachine):
    """Any sequence of writes, reads, stops and kills leaves what a plain dict would hold."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.store = place.open()
        self.model: dict[bytes, bytes] = {}
        self.batches = 0

    @rule(writes=st.lists(WRITES, min_size=1, max_size=3))
    def write(self, writes: list[list[Write]]) -> None:
        async def in_turn() -> None:
            for each in writes:
                await self.store.write(each)

        trio.run(in_turn)
        self.batches += len(writes)
        for each in (write for batch in writes for write in batch):
            if isinstance(each, Put):
                self.model[each.key] = each.value
            else:
                self.model.pop(each.key, None)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.store.get(key) == self.model.get(key)

    @rule(start=BOUNDS, stop=BOUNDS, limit=st.integers(0, 4), reverse=st.booleans())
    def scan(self, start: bytes, stop: bytes, limit: int, reverse: bool) -> None:
        rows = sorted(row for row in self.model.items() if start <= row[0] < stop)
        expected = rows[::-1][:limit] if reverse else rows[:limit]
        assert self.store.scan(start, stop, limit=limit, reverse=reverse) == expected

    @rule(cleanly=st.booleans())
    def restart(self, cleanly: bool) -> None:
        if cleanly:
            trio.run(self.store.aclose)
        else:
            trio.run(self.place.kill, self.store)
        self.store = self.place.open()
        assert self.store.was_clean == cleanly

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.store.commit == self.batches

    def teardown(self) -> None:
        trio.run(self.store.aclose)


# Hypothesis takes any callable that makes a machine, though its types say a class.
check_machine = cast("Callable[..., None]", run_state_machine_as_test)


def test_memory_is_like_a_dict() -> None:
    few = settings(max_examples=80, stateful_step_count=30)
    check_machine(lambda: LikeADict(InMemory()), settings=few)


def test_leveldb_is_like_a_dict(ram_path: Path) -> None:
    few = settings(max_examples=40, stateful_step_count=30)
    names = itertools.count()
    check_machine(lambda: LikeADict(OnDisk(ram_path / str(next(names)))), settings=few)
