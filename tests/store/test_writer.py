"""The writer, batch by batch: a store in memory whose syncs happen when the test says so."""

import random
from collections.abc import Sequence

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from qbix_node.errors import LocalError, Temporary
from qbix_node.ports import Put, Write
from qbix_node.store.memory import MemoryStore
from qbix_node.store.writer import BATCH_ENTRIES_MAX, RETRY_S, Counters, DiskFull, GroupCommit


def put(name: str) -> list[Write]:
    return [Put(name.encode(), b"v")]


class Writers:
    """Starts writes one after the other, so that their order is known, and notes how they end."""

    def __init__(self, store: MemoryStore, nursery: trio.Nursery) -> None:
        self.store = store
        self.done: list[str] = []
        self.failed: list[LocalError] = []
        self.scopes: dict[str, trio.CancelScope] = {}
        self._nursery = nursery

    async def start(self, name: str, writes: Sequence[Write] | None = None) -> None:
        self._nursery.start_soon(self._write, name, writes or put(name))
        await wait_all_tasks_blocked()

    async def _write(self, name: str, writes: Sequence[Write]) -> None:
        with trio.CancelScope() as self.scopes[name]:
            try:
                await self.store.write(writes)
                self.done.append(name)
            except LocalError as error:
                self.failed.append(error)

    async def sync(self) -> None:
        self.store.sync()
        await wait_all_tasks_blocked()

    async def cancel(self, name: str) -> None:
        self.scopes[name].cancel()
        await wait_all_tasks_blocked()


@pytest.fixture
def writers(nursery: trio.Nursery) -> Writers:
    return Writers(MemoryStore(hold_syncs=True), nursery)


async def test_nothing_is_acknowledged_or_read_before_it_is_durable(writers: Writers) -> None:
    await writers.start("a")
    assert writers.done == []
    assert writers.store.get(b"a") is None
    await writers.sync()
    assert writers.done == ["a"]
    assert writers.store.get(b"a") == b"v"


async def test_what_comes_during_a_batch_makes_the_next(writers: Writers) -> None:
    for name in "abcde":
        await writers.start(name)
    await writers.sync()
    assert writers.done == ["a"]
    await writers.sync()
    assert sorted(writers.done) == list("abcde")
    assert writers.store.counters.batches == 2


async def test_a_write_beyond_the_limits_goes_alone_and_in_its_turn(writers: Writers) -> None:
    huge: list[Write] = [Put(b"huge%d" % i, b"") for i in range(BATCH_ENTRIES_MAX + 1)]
    await writers.start("a")
    await writers.start("b")
    await writers.start("huge", huge)
    await writers.start("c")
    for expected in (["a"], ["a", "b"], ["a", "b", "huge"], ["a", "b", "huge", "c"]):
        await writers.sync()
        assert writers.done == expected


async def test_the_later_of_two_writes_of_a_key_wins(writers: Writers) -> None:
    for i in range(5):
        await writers.start(str(i), [Put(b"k", b"%d" % i)])
    await writers.sync()
    await writers.sync()
    assert writers.store.get(b"k") == b"4"


async def test_a_cancelled_write_leaves_the_queue(writers: Writers) -> None:
    for name in "abc":
        await writers.start(name)
    await writers.cancel("b")
    await writers.sync()
    await writers.sync()
    assert writers.done == ["a", "c"]
    assert writers.store.get(b"b") is None


async def test_the_lead_passes_on_when_the_leader_is_cancelled(writers: Writers) -> None:
    for name in "abc":
        await writers.start(name)
    await writers.cancel("a")  # its batch is withdrawn; b leads now
    await writers.sync()
    assert sorted(writers.done) == ["b", "c"]
    assert writers.store.get(b"a") is None
    await writers.start("d")
    await writers.sync()
    assert writers.done[-1] == "d"


async def test_the_lead_passes_on_when_the_next_leader_is_cancelled_as_its_turn_comes(
    writers: Writers,
) -> None:
    for name in "abc":
        await writers.start(name)
    writers.store.sync()
    writers.scopes["b"].cancel()
    await wait_all_tasks_blocked()
    await writers.sync()
    assert "c" in writers.done
    assert "a" in writers.done


async def test_a_cancelled_follower_does_not_hold_up_the_batch_it_is_in(writers: Writers) -> None:
    for name in "abc":
        await writers.start(name)
    await writers.sync()  # now b and c are under way
    await writers.cancel("c")
    await writers.sync()
    assert writers.done == ["a", "b"]
    assert writers.store.get(b"c") == b"v"  # done as a whole, or not at all


async def test_a_full_disk_makes_writers_wait_until_there_is_room(
    writers: Writers, autojump_clock: MockClock
) -> None:
    store = writers.store
    await writers.start("a")
    await writers.sync()
    store.disk.full = True
    with capture_logs() as lines:
        await writers.start("b")
        await writers.start("c")
        await trio.sleep(100 * RETRY_S)
        assert writers.done == ["a"]
        assert store.degraded == "disk full"
        assert store.get(b"a") == b"v"
        store.disk.full = False
        await trio.sleep(2 * RETRY_S)
        await writers.sync()
    assert sorted(writers.done) == ["a", "b", "c"]
    assert store.degraded is None
    assert [line["event"] for line in lines] == ["store.full", "store.writable"]


async def test_a_waiting_leader_that_is_cancelled_passes_the_wait_on(
    writers: Writers, autojump_clock: MockClock
) -> None:
    writers.store.disk.full = True
    await writers.start("a")
    await writers.start("b")
    await writers.cancel("a")
    writers.store.disk.full = False
    await trio.sleep(2 * RETRY_S)
    await writers.sync()
    assert writers.done == ["b"]
    assert writers.store.get(b"a") is None


async def test_closing_does_not_wait_for_room(writers: Writers, autojump_clock: MockClock) -> None:
    writers.store.disk.full = True
    await writers.start("a")
    await writers.start("b")
    await writers.store.aclose()
    await wait_all_tasks_blocked()
    assert [str(each) for each in writers.failed] == ["the store is closed"] * 2
    assert trio.current_time() < RETRY_S


async def test_closing_waits_for_the_batch_under_way_and_refuses_the_rest(
    writers: Writers, nursery: trio.Nursery
) -> None:
    closed = trio.Event()

    async def close() -> None:
        await writers.store.aclose()
        closed.set()

    await writers.start("before")
    await writers.sync()
    for name in "abc":
        await writers.start(name)
    nursery.start_soon(close)
    await wait_all_tasks_blocked()
    assert not closed.is_set()
    await writers.sync()
    assert closed.is_set()
    assert writers.done == ["before", "a"]
    assert [str(each) for each in writers.failed] == ["the store is closed"] * 2


async def test_a_failing_disk_fails_every_write_from_then_on(writers: Writers) -> None:
    for name in "abc":
        await writers.start(name)
    writers.store.crash(random.Random(1))
    await wait_all_tasks_blocked()
    await writers.start("d")
    assert writers.done == []
    assert [type(each) for each in writers.failed] == [Temporary] * 4


class Broken:
    """A disk that waits until it is let go, then fails as it is told, then works."""

    def __init__(self, *failures: Exception) -> None:
        self.batches: list[Sequence[Write]] = []
        self.let_go = trio.Event()
        self._failures = list(failures)

    def lacking(self) -> str | None:
        return None

    async def commit(self, writes: Sequence[Write], number: int, *, marked: bool) -> None:
        await self.let_go.wait()
        if self._failures:
            raise self._failures.pop(0)
        self.batches.append(writes)


async def test_a_bug_below_goes_up_and_stops_the_store() -> None:
    disk = Broken(ZeroDivisionError("bug"))
    disk.let_go.set()
    writer = GroupCommit(disk, commit=0)
    with pytest.raises(ZeroDivisionError):
        await writer.write(put("a"))
    with pytest.raises(Temporary, match="bug"):
        await writer.write(put("b"))
    assert writer.failed


async def test_a_batch_that_found_the_disk_full_is_tried_again_in_its_order(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    disk = Broken(DiskFull("full"), DiskFull("full"))
    writer = GroupCommit(disk, commit=7)
    scopes: dict[str, trio.CancelScope] = {}

    async def write(name: str) -> None:
        with trio.CancelScope() as scopes[name]:
            await writer.write(put(name))

    for name in "ab":
        nursery.start_soon(write, name)
        await wait_all_tasks_blocked()
    disk.let_go.set()  # full: a and b wait for room, and what comes now goes with them
    await wait_all_tasks_blocked()
    assert writer.degraded == "full"
    disk.let_go = trio.Event()
    for name in "cd":
        nursery.start_soon(write, name)
        await wait_all_tasks_blocked()
    await trio.sleep(1.5 * RETRY_S)
    scopes["c"].cancel()  # under way, with a, b and d
    await wait_all_tasks_blocked()
    disk.let_go.set()
    await trio.sleep(1.5 * RETRY_S)
    abd = [*put("a"), *put("b"), *put("d")]
    assert disk.batches == [[*abd, Put(b"meta/commit", (8).to_bytes(8, "big"))]]
    assert writer.commit == 8
    assert writer.counters == Counters(batches=1, writes=3, entries=3, bytes=6)
    assert writer.degraded is None
