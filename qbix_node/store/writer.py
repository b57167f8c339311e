"""Group commit: everything that waits goes to the disk in one batch (spec/storage.md).

There is no writer task. Whoever writes while nobody else does leads: it commits the head of the
queue, which is its own write and what gathered behind it, wakes them, and passes the lead on. So
one batch at most is under way, writes keep the order of their calls, and nobody is told that a
write is done before the disk said so.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
import trio

from qbix_node.errors import LocalError, Temporary
from qbix_node.ports import Put, Write

BATCH_ENTRIES_MAX = 1024  # a batch ends before it passes either limit;
BATCH_BYTES_MAX = 1 << 20  # a single write above them goes alone, since a write is never split
RETRY_S = 1.0  # how often a full disk is looked at

META = b"meta/"  # these keys belong to the store itself
COMMIT_KEY = META + b"commit"

log = structlog.get_logger()


class DiskFull(Temporary):
    """Nothing of the batch counts; it is tried again when there is space."""


class Disk(Protocol):
    """Where batches go."""

    def lacking(self) -> str | None:
        """Why nothing can be written now, or None. Cheap: asked before every batch."""
        ...

    async def commit(self, writes: Sequence[Write], number: int, *, marked: bool) -> None:
        """Write the batch of that number, which is among its writes, and return once it is durable;
        if it is to be marked, once the number is durable beside it, too.

        May raise DiskFull; any other error ends the store.
        """
        ...


@dataclass(frozen=True, slots=True)
class Counters:
    """What the writer did since the store was opened."""

    batches: int = 0  # the disk is synced once for each
    marks: int = 0  # and once more for each of these, which are among them
    writes: int = 0  # calls of write() that were acknowledged
    entries: int = 0  # keys that they put or deleted
    bytes: int = 0  # keys and values of those


@dataclass(slots=True, eq=False)
class _Waiting:
    writes: tuple[Write, ...]
    size_bytes: int
    marked: bool
    woken: trio.Event = field(default_factory=trio.Event)  # durable, its turn to lead, or over
    durable: bool = False
    abandoned: bool = False  # its caller was cancelled


class GroupCommit:
    """The queue of one store. `commit` is the number of its newest durable batch."""

    def __init__(self, disk: Disk, *, commit: int) -> None:
        self.commit = commit
        self.counters = Counters()
        self._disk = disk
        self._queue: deque[_Waiting] = deque()
        self._leader: _Waiting | None = (
            None  # it is the head of the queue, or its batch is on its way
        )
        self._full: str | None = None
        self._failure: Exception | None = None
        self._closing = trio.Event()
        self._at_rest = trio.Event()

    @property
    def degraded(self) -> str | None:
        return self._full or self._disk.lacking()

    @property
    def failed(self) -> bool:
        return self._failure is not None

    async def write(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        """Return once durable. If cancelled, the write is done as a whole or not at all."""
        assert all(each.key and not each.key.startswith(META) for each in writes)
        self._refuse_if_over()
        mine = _Waiting(tuple(writes), _size_bytes(writes), marked)
        self._queue.append(mine)
        try:
            if self._leader is None:
                self._leader = mine
            else:
                await mine.woken.wait()
            while not mine.durable:
                self._refuse_if_over()
                await self._commit_head()
        finally:
            if not mine.durable:
                self._abandon(mine)
            if self._leader is mine:
                self._pass_on()

    async def aclose(self) -> None:
        """Wait for the batch under way; the writes that wait behind it are refused."""
        self._closing.set()
        with trio.CancelScope(shield=True):  # for one sync at most: a full disk is not waited for
            if self._leader is not None:
                await self._at_rest.wait()

    async def _commit_head(self) -> None:
        try:
            await self._commit_batch()
        except DiskFull as full:
            await self._wait_for_room(str(full))
        except Exception as failure:
            self._failure = failure
            raise

    async def _commit_batch(self) -> None:
        if reason := self._disk.lacking():
            raise DiskFull(reason)
        batch = self._take()
        writes = [write for each in batch for write in each.writes]
        writes.append(put_commit(self.commit + 1))
        marked = any(each.marked for each in batch)
        try:
            await self._disk.commit(writes, self.commit + 1, marked=marked)
        except BaseException:
            self._queue.extendleft(each for each in reversed(batch) if not each.abandoned)
            raise
        self._acknowledge(batch)

    async def _wait_for_room(self, reason: str) -> None:
        if self._full is None:
            log.warning("store.full", reason=reason, writes_waiting=len(self._queue))
        self._full = reason
        with trio.move_on_after(RETRY_S):
            await self._closing.wait()

    def _take(self) -> list[_Waiting]:
        batch = [self._queue.popleft()]
        entries, size = len(batch[0].writes), batch[0].size_bytes
        while self._queue:
            entries += len(self._queue[0].writes)
            size += self._queue[0].size_bytes
            if entries > BATCH_ENTRIES_MAX or size > BATCH_BYTES_MAX:
                break
            batch.append(self._queue.popleft())
        return batch

    def _acknowledge(self, batch: list[_Waiting]) -> None:
        if self._full is not None:
            log.info("store.writable")
        self._full = None
        self.commit += 1
        self.counters = replace(
            self.counters,
            batches=self.counters.batches + 1,
            marks=self.counters.marks + any(each.marked for each in batch),
            writes=self.counters.writes + len(batch),
            entries=self.counters.entries + sum(len(each.writes) for each in batch),
            bytes=self.counters.bytes + sum(each.size_bytes for each in batch),
        )
        for each in batch:
            each.durable = True
            each.woken.set()

    def _abandon(self, mine: _Waiting) -> None:
        mine.abandoned = True
        if mine in self._queue:
            self._queue.remove(mine)

    def _pass_on(self) -> None:
        """To the head of the queue. When all is over, it is refused and passes on in its turn."""
        self._leader = self._queue[0] if self._queue else None
        if self._leader is not None:
            self._leader.woken.set()
        elif self._closing.is_set():
            self._at_rest.set()

    def _refuse_if_over(self) -> None:
        if isinstance(self._failure, LocalError):
            raise type(self._failure)(str(self._failure), hint=self._failure.hint)
        if self._failure is not None:
            raise Temporary(f"the store stopped writing: {self._failure!r}")
        if self._closing.is_set():
            raise LocalError("the store is closed")


def put_commit(number: int) -> Put:
    return Put(COMMIT_KEY, number.to_bytes(8, "big"))


def read_commit(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "big")


def _size_bytes(writes: Sequence[Write]) -> int:
    return sum(len(each.key) + (len(each.value) if isinstance(each, Put) else 0) for each in writes)
