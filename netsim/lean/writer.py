"""Group commit on a simulated disk, as `qbix_node.store.writer` does it: one batch is under way,
what is written meanwhile waits and goes into the next one together, in order.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netsim import facts
from netsim.lean.process import Process
from qbix_node.ports import Put, Write
from qbix_node.store.writer import (
    BATCH_BYTES_MAX,
    BATCH_ENTRIES_MAX,
    COMMIT_KEY,
    RETRY_S,
    put_commit,
    read_commit,
)


@dataclass(frozen=True, slots=True)
class _Waiting:
    writes: Sequence[Write]
    done: Callable[[], object]
    marked: bool


class Writer:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._disk = process.site.disk
        self._queue: deque[_Waiting] = deque()
        self._under_way: list[_Waiting] = []
        self._full = False
        self._commit = read_commit(self._disk.get(COMMIT_KEY))
        self._closed: Callable[[], object] | None = None

    def close(self, closed: Callable[[], object]) -> None:
        """Wait for the batch under way; what waits behind it is refused."""
        if self._closed is None:
            self._closed = closed
            self._queue.clear()
            if not self._under_way:
                closed()

    def write(
        self, writes: Sequence[Write], done: Callable[[], object], *, marked: bool = False
    ) -> None:
        """`done` is called once all of it is durable."""
        if self._closed is not None:
            return
        self._queue.append(_Waiting(writes, done, marked))
        if not self._under_way and not self._full:
            self._begin()

    def _begin(self) -> None:
        if self._disk.full:
            self._process.tell(facts.DiskFull())
            self._full = True
            self._process.later(RETRY_S, self._try_again)
            return
        self._under_way = batch = self._take()
        writes = [write for each in batch for write in each.writes]
        marked = any(each.marked for each in batch)
        self._commit += 1
        self._disk.append([*writes, put_commit(self._commit)], marked=marked)
        syncs_s = [self._disk.sync_delay_s() for _ in range(2 if marked else 1)]
        self._process.later(sum(syncs_s), self._synced)

    def _try_again(self) -> None:
        if self._disk.full:
            self._process.later(RETRY_S, self._try_again)
            return
        self._full = False
        if self._queue:
            self._begin()

    def _synced(self) -> None:
        self._disk.sync()
        batch, self._under_way = self._under_way, []
        if self._closed is not None:
            self._closed()
            return
        for each in batch:
            each.done()
        if self._queue and not self._under_way and not self._full:
            self._begin()

    def _take(self) -> list[_Waiting]:
        if len(self._queue) == 1:
            return [self._queue.popleft()]
        batch = [self._queue.popleft()]
        entries, size = len(batch[0].writes), _size_bytes(batch[0].writes)
        while self._queue:
            entries += len(self._queue[0].writes)
            size += _size_bytes(self._queue[0].writes)
            if entries > BATCH_ENTRIES_MAX or size > BATCH_BYTES_MAX:
                break
            batch.append(self._queue.popleft())
        return batch


def _size_bytes(writes: Sequence[Write]) -> int:
    return sum(len(each.key) + (len(each.value) if isinstance(each, Put) else 0) for each in writes)
