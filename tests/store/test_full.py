"""A disk that is full: writers wait, reads go on, nothing is lost and nothing is told too early."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from qbix_node.errors import ExitCode, Temporary
from qbix_node.ports import Put
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.store.writer import RETRY_S, DiskFull
from tests.store import power

BUFFER_BYTES = 1 << 16
in_a_small_disk = pytest.mark.parametrize("small", ["size=16m"], indirect=True)


@pytest.fixture
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system with a store on it, mounted with these options."""
    if reason := power.unavailable():
        pytest.skip(reason)
    with power.tmpfs(tmp_path / "small", request.param) as path:
        LevelDbStore.create(path / "store")
        yield path


def fill(path: Path, *, leave_bytes: int = 0) -> None:
    """Put a ballast into the file system that leaves so much."""
    with (path / "ballast").open("wb", buffering=0) as ballast:
        with suppress(OSError):
            while True:
                ballast.write(bytes(1 << 16))
        ballast.truncate(ballast.tell() - leave_bytes)


async def wait_until(condition: Callable[[], bool]) -> None:
    """What we wait for happens in a thread and on a disk; the clock is virtual."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.01)


class Writers:
    """Write rows of 1 kB without end, and count those that were acknowledged."""

    def __init__(self, store: LevelDbStore) -> None:
        self.acknowledged = 0
        self._store = store

    async def run(self) -> None:
        while True:
            await self._store.write([Put(b"k%08d" % self.acknowledged, bytes(1000))])
            self.acknowledged += 1

    async def wait_stuck(self) -> str:
        """Until the store says that it can't write."""
        await wait_until(lambda: self._store.degraded is not None)
        return self._store.degraded or ""

    async def wait_more(self, count: int) -> None:
        goal = self.acknowledged + count
        await wait_until(lambda: self.acknowledged >= goal)

    def check(self, store: LevelDbStore) -> None:
        rows = store.scan(b"k", b"l", limit=10**6)
        assert self.acknowledged <= len(rows) <= self.acknowledged + 1
        assert [row[0] for row in rows] == [b"k%08d" % i for i in range(len(rows))]


@pytest.mark.root
@in_a_small_disk
async def test_nothing_is_written_when_less_is_free_than_should_stay(
    small: Path, autojump_clock: MockClock
) -> None:
    path = small / "store"
    store = LevelDbStore.open(path, free_bytes_min=4 << 20, write_buffer_bytes=BUFFER_BYTES)
    async with store, trio.open_nursery() as nursery:
        writers = Writers(store)
        nursery.start_soon(writers.run)
        await writers.wait_more(10)
        fill(small, leave_bytes=3 << 20)
        assert await writers.wait_stuck() == "disk full: 3 MiB free, 4 MiB wanted"
        await trio.sleep(2 * RETRY_S)
        before = writers.acknowledged
        await trio.sleep(100 * RETRY_S)
        assert writers.acknowledged == before
        writers.check(store)
        (small / "ballast").unlink()
        await writers.wait_more(10)
        assert store.degraded is None
        writers.check(store)
        nursery.cancel_scope.cancel()
    async with LevelDbStore.open(path) as again:
        assert again.was_clean
        writers.check(again)


@pytest.mark.root
@in_a_small_disk
async def test_a_disk_that_is_full_to_the_last_byte_is_got_over(
    small: Path, autojump_clock: MockClock
) -> None:
    """LevelDB refuses all writes from then on, though there is room again: it is reopened."""
    path = small / "store"
    store = LevelDbStore.open(path, free_bytes_min=0, write_buffer_bytes=BUFFER_BYTES)
    async with store, trio.open_nursery() as nursery:
        writers = Writers(store)
        nursery.start_soon(writers.run)
        for _ in range(3):
            await writers.wait_more(300)
            fill(small)
            assert "disk full" in await writers.wait_stuck()
            await trio.sleep(10 * RETRY_S)
            writers.check(store)
            (small / "ballast").unlink()
            await writers.wait_more(1)
            opened_as = (path / "db" / "CURRENT").read_text()
            await writers.wait_more(10)
            assert (path / "db" / "CURRENT").read_text() == opened_as, "reopened once"
            writers.check(store)
        nursery.cancel_scope.cancel()


@pytest.mark.root
@in_a_small_disk
async def test_a_store_is_closed_and_found_again_while_the_disk_is_full(
    small: Path, autojump_clock: MockClock
) -> None:
    path = small / "store"
    async with trio.open_nursery() as nursery:
        store = LevelDbStore.open(path, free_bytes_min=0, write_buffer_bytes=BUFFER_BYTES)
        writers = Writers(store)
        nursery.start_soon(writers.run)
        await writers.wait_more(100)
        fill(small)
        await writers.wait_stuck()
        nursery.cancel_scope.cancel()
    await store.aclose()
    with pytest.raises(Temporary, match="disk full") as caught:
        LevelDbStore.open(path)
    assert caught.value.exit_code == ExitCode.TEMPORARY
    assert caught.value.hint
    (small / "ballast").unlink()
    async with LevelDbStore.open(path) as again:
        writers.check(again)


@pytest.mark.root
@pytest.mark.parametrize("small", ["size=16m,nr_inodes=64"], indirect=True)
async def test_a_store_that_can_not_even_be_reopened_comes_back(
    small: Path, autojump_clock: MockClock
) -> None:
    """No file can be made, though there is room: reads fail as well until that is over."""
    path = small / "store"
    store = LevelDbStore.open(path, free_bytes_min=0, write_buffer_bytes=BUFFER_BYTES)
    async with store, trio.open_nursery() as nursery:
        writers = Writers(store)
        nursery.start_soon(writers.run)
        await writers.wait_more(10)
        stuff = take_all_files(small)
        assert "No space left" in await writers.wait_stuck()
        await trio.sleep(2 * RETRY_S)
        with pytest.raises(Temporary, match="not open"):
            store.get(b"k")
        for each in stuff:
            each.unlink()
        await writers.wait_more(10)
        writers.check(store)
        nursery.cancel_scope.cancel()


def take_all_files(path: Path) -> list[Path]:
    made = list[Path]()
    with suppress(OSError):
        while True:
            (path / f"stuff {len(made)}").touch()
            made.append(path / f"stuff {len(made)}")
    return made


@contextmanager
def no_file_above(size_bytes: int) -> Iterator[None]:
    """The system refuses to let any file of this process grow beyond this."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_disk_that_fails_ends_the_store(ram_path: Path) -> None:
    LevelDbStore.create(ram_path / "store")
    async with LevelDbStore.open(ram_path / "store") as store:
        await store.write([Put(b"before", b"v")])
        with no_file_above(10_000), pytest.raises(Temporary, match="too large") as caught:
            await store.write([Put(b"k", bytes(20_000))])
        assert not isinstance(caught.value, DiskFull)
        with pytest.raises(Temporary, match="too large"):
            await store.write([Put(b"k", b"v")])
        assert store.get(b"before") == b"v"
    async with LevelDbStore.open(ram_path / "store") as again:
        assert not again.was_clean
        assert again.get(b"before") == b"v"
        assert again.get(b"k") is None
