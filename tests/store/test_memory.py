"""What only the store in memory can do: be cut off, filled and rolled back at will."""

import random
from contextlib import suppress
from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from qbix_node.errors import Temporary
from qbix_node.ports import Put, Write
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.store.writer import DiskFull


@dataclass
class Dice:
    """Chance that falls as it is told to."""

    throw: float

    def random(self) -> float:
        return self.throw

    def randbytes(self, n: int, /) -> bytes:
        return bytes(n)


def pair(name: str) -> list[Write]:
    return [Put(f"{name}1".encode(), b"v"), Put(f"{name}2".encode(), b"v")]


@pytest.mark.parametrize(("throw", "kept"), [(0.0, 0), (0.3, 1), (0.6, 2), (0.99, 3)])
def test_a_power_cut_keeps_the_first_of_the_batches_under_way_whole(
    throw: float, kept: int
) -> None:
    disk = MemoryDisk()
    disk.append(pair("synced"))
    disk.sync()
    for name in "abc":
        disk.append(pair(name))
    assert disk.get(b"a1") is None
    disk.cut_power(Dice(throw))
    found = [key.decode() for key, _ in disk.scan(b"a", b"d", limit=10)]
    assert found == [f"{name}{i}" for name in "abc"[:kept] for i in (1, 2)]
    assert disk.get(b"synced1") == b"v"


def test_chance_decides_what_a_power_cut_leaves() -> None:
    left = set()
    for seed in range(30):
        disk = MemoryDisk()
        disk.append(pair("a"))
        disk.cut_power(random.Random(seed))
        left.add(disk.get(b"a1"))
        assert disk.get(b"a1") == disk.get(b"a2")
    assert left == {None, b"v"}


@pytest.mark.parametrize("throw", [0.0, 0.99])
async def test_after_a_crash_the_old_store_is_dead_and_the_new_one_has_what_was_synced(
    nursery: trio.Nursery, throw: float
) -> None:
    store = MemoryStore(hold_syncs=True)
    failed: list[Temporary] = []

    async def write(name: str) -> None:
        try:
            await store.write(pair(name))
        except Temporary as error:
            failed.append(error)

    nursery.start_soon(write, "a")
    await wait_all_tasks_blocked()
    store.sync()
    nursery.start_soon(write, "b")
    await wait_all_tasks_blocked()
    again = store.crash(Dice(throw))
    await wait_all_tasks_blocked()
    assert len(failed) == 1, "b is told nothing, whether it is there or not"
    assert not again.was_clean
    assert again.commit == (1 if throw == 0 else 2)
    assert again.get(b"a1") == b"v"
    assert again.get(b"b1") == again.get(b"b2") == (None if throw == 0 else b"v")
    with pytest.raises(Temporary):
        await store.write(pair("c"))
    await store.aclose()
    nursery.start_soon(again.write, pair("d"))
    await wait_all_tasks_blocked()
    again.sync()
    assert again.get(b"d1") == b"v"


async def test_a_dead_store_does_not_touch_the_disk_any_more(nursery: trio.Nursery) -> None:
    """Its task, which was about to sync, still runs once."""
    store = MemoryStore()

    async def write() -> None:
        with suppress(Temporary):
            await store.write(pair("a"))

    while store.disk.unsynced == 0:  # as chance orders the tasks, we come in time or not
        await wait_all_tasks_blocked()
        nursery.start_soon(write)
        await trio.lowlevel.checkpoint()
    again = store.crash(Dice(0.0))
    again.disk.append(pair("b"))
    await wait_all_tasks_blocked()
    assert again.get(b"b1") is None
    assert again.disk.unsynced == 1


async def test_a_store_that_was_cut_off_at_rest_writes_nothing_later() -> None:
    store = MemoryStore()
    store.cut_power(Dice(0.0))
    with pytest.raises(Temporary):
        await store.write(pair("a"))
    store.disk.sync()
    assert store.get(b"a1") is None


async def test_a_batch_is_durable_after_the_time_that_a_sync_takes(
    autojump_clock: MockClock,
) -> None:
    times = iter([3.0, 1.0])
    store = MemoryStore(sync_s=lambda: next(times))
    began = trio.current_time()
    await store.write(pair("a"))
    assert trio.current_time() - began == 3
    await store.write(pair("b"))
    assert trio.current_time() - began == 4


@pytest.mark.parametrize("throw", [0.0, 0.99])
async def test_a_power_cut_during_a_slow_sync_loses_or_keeps_the_batch(
    nursery: trio.Nursery, autojump_clock: MockClock, throw: float
) -> None:
    store = MemoryStore(sync_s=lambda: 3.0)
    failed: list[float] = []

    async def write() -> None:
        with pytest.raises(Temporary):
            await store.write(pair("a"))
        failed.append(trio.current_time() - began)

    began = trio.current_time()
    nursery.start_soon(write)
    await trio.sleep(1)
    again = store.crash(Dice(throw))
    await trio.sleep(5)
    assert failed == [1]
    assert again.get(b"a1") == (None if throw == 0 else b"v")


async def test_an_earlier_state_can_be_put_back() -> None:
    store = MemoryStore()
    await store.write(pair("a"))
    earlier = store.disk.snapshot()
    await store.write([Put(b"a1", b"changed"), Put(b"later", b"v")])
    await store.aclose()
    store.disk.roll_back(earlier)
    again = MemoryStore(store.disk)
    assert again.get(b"a1") == b"v"
    assert again.get(b"later") is None
    assert again.commit == 1
    assert again.scan(b"a", b"m", limit=10) == [(b"a1", b"v"), (b"a2", b"v")]


def test_a_full_disk_takes_no_batch() -> None:
    disk = MemoryDisk(full=True)
    with pytest.raises(DiskFull):
        disk.append(pair("a"))
    disk.full = False
    disk.append(pair("a"))
    disk.sync()
    assert disk.get(b"a1") == b"v"
    assert disk.size_bytes() == 6


async def test_only_a_store_that_was_closed_leaves_a_clean_disk() -> None:
    store = MemoryStore()
    assert store.was_clean
    assert not MemoryStore(store.disk).was_clean
    again = store.crash(Dice(0.0))
    await store.aclose()  # the dead one
    assert not again.disk.was_clean
    await again.aclose()
    assert MemoryStore(again.disk).was_clean


async def test_a_full_disk_shows_before_anybody_writes() -> None:
    store = MemoryStore()
    store.disk.full = True
    assert store.degraded == "disk full"
    store.disk.full = False
    assert store.degraded is None
