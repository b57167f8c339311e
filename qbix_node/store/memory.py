"""The store's twin in memory, for tests and the simulator (spec/storage.md).

`MemoryDisk` is what outlives a crash: plain calls, no trio, so that a simulator can hold thousands.
`MemoryStore` is a store on one, with the very writer that LevelDB has. A power cut keeps every
batch that was synced, and of those under way the first few, whole; no batch is ever torn.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from qbix_node.errors import Temporary
from qbix_node.ports import Delete, Put, Rng, Write
from qbix_node.store.writer import COMMIT_KEY, Counters, DiskFull, GroupCommit, read_commit


@dataclass(slots=True)
class MemoryDisk:
    """Rows that are durable, and batches handed over since the last sync."""

    full: bool = False
    was_clean: bool = True  # whether the store on it was closed, not cut off
    marks: int = 0  # syncs of what stands beside the rows
    _rows: dict[bytes, bytes] = field(default_factory=dict)
    _keys: list[bytes] = field(default_factory=list)  # of _rows, ascending
    _unsynced: list[tuple[Write, ...]] = field(default_factory=list)
    _to_mark: bool = False  # whether one of those asked for it

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        first, end = bisect_left(self._keys, start), bisect_left(self._keys, stop)
        if reverse:
            keys = self._keys[max(first, end - limit) : end][::-1]
        else:
            keys = self._keys[first : min(end, first + limit)]
        return [(key, self._rows[key]) for key in keys]

    def size_bytes(self) -> int:
        return sum(len(key) + len(value) for key, value in self._rows.items())

    @property
    def unsynced(self) -> int:
        """How many batches were handed over since the last sync."""
        return len(self._unsynced)

    def append(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        """Hand a batch over. It can be read, and is safe, after the next sync; if it is to be
        marked, that syncs what stands beside the rows, too.
        """
        if self.full:
            raise DiskFull("disk full")
        self._unsynced.append(tuple(writes))
        self._to_mark = self._to_mark or marked

    def sync(self) -> None:
        self.marks += self._to_mark
        self._recover()

    def withdraw(self) -> None:
        """Forget what was handed over since the last sync."""
        self._unsynced.clear()
        self._to_mark = False

    def cut_power(self, rng: Rng) -> None:
        kept = int(rng.random() * (len(self._unsynced) + 1))
        del self._unsynced[kept:]
        self._recover()
        self.was_clean = False

    def snapshot(self) -> Mapping[bytes, bytes]:
        return dict(self._rows)

    def roll_back(self, snapshot: Mapping[bytes, bytes]) -> None:
        """Put an earlier state back, as somebody does who restores a backup of the folder."""
        self._rows = dict(snapshot)
        self._keys = sorted(snapshot)
        self.withdraw()

    def _recover(self) -> None:
        """What was handed over is there."""
        for writes in self._unsynced:
            self._apply(writes)
        self.withdraw()

    def _apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            match write:
                case Put(key, value):
                    if key not in self._rows:
                        insort(self._keys, key)
                    self._rows[key] = value
                case Delete(key):
                    if self._rows.pop(key, None) is not None:
                        del self._keys[bisect_left(self._keys, key)]


class MemoryStore:
    """A store on a memory disk. A batch is durable after `sync_s`, which is asked for each sync,
    or once `sync` is called; with `hold_syncs` only then.
    """

    def __init__(
        self,
        disk: MemoryDisk | None = None,
        *,
        hold_syncs: bool = False,
        sync_s: Callable[[], float] | None = None,
    ) -> None:
        self.disk = disk or MemoryDisk()
        self.was_clean = self.disk.was_clean
        self.disk.was_clean = False
        self._head = _DiskHead(self.disk, (lambda: math.inf) if hold_syncs else sync_s)
        self._writer = GroupCommit(self._head, commit=read_commit(self.disk.get(COMMIT_KEY)))

    def get(self, key: bytes) -> bytes | None:
        return self.disk.get(key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return self.disk.scan(start, stop, limit=limit, reverse=reverse)

    async def write(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        await self._writer.write(writes, marked=marked)

    @property
    def degraded(self) -> str | None:
        return self._writer.degraded

    @property
    def counters(self) -> Counters:
        return self._writer.counters

    @property
    def commit(self) -> int:
        return self._writer.commit

    def size_bytes(self) -> int:
        return self.disk.size_bytes()

    def sync(self) -> None:
        """Make the batch under way durable."""
        self._head.sync()

    def cut_power(self, rng: Rng) -> None:
        """Who waits on this store gets an error, and nothing of it reaches the disk any more."""
        self.disk.cut_power(rng)
        self._head.stop()

    def crash(self, rng: Rng) -> "MemoryStore":
        """Cut the power, and open what the disk has left."""
        self.cut_power(rng)
        return MemoryStore(self.disk, sync_s=self._head.sync_s)

    async def aclose(self) -> None:
        """Close cleanly; the writes that still wait are refused."""
        await self._writer.aclose()
        if not self._head.stopped:
            self.disk.was_clean = not self._writer.failed


class _DiskHead:
    """Carries batches to a memory disk, in the time of a sync or when told to."""

    def __init__(self, disk: MemoryDisk, sync_s: Callable[[], float] | None) -> None:
        self.sync_s = sync_s
        self._disk = disk
        self.stopped = False
        self._synced = trio.Event()

    def lacking(self) -> str | None:
        return "disk full" if self._disk.full else None

    async def commit(self, writes: Sequence[Write], number: int, *, marked: bool) -> None:
        self._refuse_if_stopped()
        self._disk.append(writes, marked=marked)
        try:
            await self._wait(syncs=2 if marked else 1)
        except trio.Cancelled:
            if not self.stopped:
                self._disk.withdraw()
            raise
        self._refuse_if_stopped()
        self.sync()

    def sync(self) -> None:
        self._disk.sync()
        self._synced.set()
        self._synced = trio.Event()

    def stop(self) -> None:
        self.stopped = True
        self._synced.set()

    async def _wait(self, syncs: int) -> None:
        if self.sync_s is None:
            await trio.lowlevel.checkpoint()
        else:
            with trio.move_on_after(sum([self.sync_s() for _ in range(syncs)])):
                await self._synced.wait()

    def _refuse_if_stopped(self) -> None:
        if self.stopped:
            raise Temporary("the power was cut")
