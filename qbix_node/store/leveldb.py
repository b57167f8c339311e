"""The store on LevelDB (spec/storage.md): a folder, its lock and watermark, a database, a writer.

Reads happen on the caller's thread, which is trio's, batches in a worker thread.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import trio

from qbix_node.crypto.entropy import random_bytes
from qbix_node.errors import ConfigError, DamagedStore, LocalError
from qbix_node.ports import Put, Write
from qbix_node.store.database import WRITE_BUFFER_BYTES, Database, explain
from qbix_node.store.folder import REPAIR_HINT, Folder, Lock, copy_database
from qbix_node.store.journal import find_gap
from qbix_node.store.watermark import Mark, Watermark
from qbix_node.store.writer import (
    COMMIT_KEY,
    META,
    Counters,
    DiskFull,
    GroupCommit,
    put_commit,
    read_commit,
)

FREE_BYTES_MIN = 32 << 20  # with less nothing is written, so that LevelDB can still tidy up
ID_KEY = META + b"store"


class LevelDbStore(trio.abc.AsyncResource):
    """Made by `create`, once; then opened. `was_clean`: it had been closed, not cut off."""

    def __init__(self, head: "_Head", *, commit: int, was_clean: bool, held: ExitStack) -> None:
        """Used by `open`. `held` gives back what belongs to this process."""
        self.was_clean = was_clean
        self._head = head
        self._held = held
        self._writer = GroupCommit(head, commit=commit)
        held.callback(lambda: head.close(Mark(self.commit, clean=not self._writer.failed)))

    @staticmethod
    def create(path: Path) -> None:
        """Make an empty store. There is no other way to get one: `open` never makes anything."""
        new = Folder(path.with_name(path.name + ".new"))  # it counts once it has its own name
        store_id = random_bytes(16).hex()
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise LocalError(f"{path} exists already", hint="keep it, or choose another home")
            shutil.rmtree(new.path, ignore_errors=True)
            new.path.mkdir(mode=0o700, parents=True)
            database = Database(new.database, create=True)
            database.write([Put(ID_KEY, store_id.encode()), put_commit(0)], sync=True)
            database.close()
            with closing(Watermark(new.watermark)) as watermark:
                watermark.settle(Mark(0, clean=True))
            new.write_marker(store_id)
            new.sync()
            new.path.rename(path)
            Folder(path.parent).sync()
        except OSError as error:
            raise explain(error, path / "db", otherwise=ConfigError) from error

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        free_bytes_min: int = FREE_BYTES_MIN,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
        synced: bool = True,
    ) -> "LevelDbStore":
        """WARNING: with `synced=False` writes are acknowledged before they are durable, and a power
        cut loses them. It is there only so that the test of power cuts can be seen to fail.
        """
        folder = Folder(path)
        store_id = folder.read_marker()
        with ExitStack() as held:
            try:
                held.enter_context(closing(Lock(folder)))
                watermark = held.enter_context(closing(Watermark(folder.watermark)))
                mark = watermark.read()
                with trial(folder) as copy:
                    commit = judge(folder, copy, store_id=store_id, mark=mark)
                watermark.settle(Mark(commit, clean=False))
                database = Database(folder.database, write_buffer_bytes=write_buffer_bytes)
            except OSError as error:
                raise explain(error, folder.database, otherwise=ConfigError) from error
            head = _Head(database, watermark, free_bytes_min=free_bytes_min, synced=synced)
            was_clean = mark == Mark(commit, clean=True)
            return cls(head, commit=commit, was_clean=was_clean, held=held.pop_all())

    def get(self, key: bytes) -> bytes | None:
        return self._head.database.get(key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return self._head.database.scan(start, stop, limit=limit, reverse=reverse)

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
        """The number of the newest durable batch since the store was made."""
        return self._writer.commit

    def size_bytes(self) -> int:
        return self._head.database.size_bytes()

    async def aclose(self) -> None:
        """Close; the writes that still wait are refused. A second time does nothing."""
        await self._writer.aclose()
        with trio.CancelScope(shield=True):  # LevelDB ends a compaction that is under way
            await trio.to_thread.run_sync(self._held.pop_all().close)


class _Head:
    """Carries batches to the database, one at a time, in one thread."""

    def __init__(
        self, database: Database, watermark: Watermark, *, free_bytes_min: int, synced: bool
    ) -> None:
        self.database = database
        self._watermark = watermark
        self._free_bytes_min = free_bytes_min
        self._synced = synced
        self._stuck = False  # LevelDB refuses all writes once the disk was full, until reopened
        self._thread = trio.CapacityLimiter(1)

    def lacking(self) -> str | None:
        disk = os.statvfs(self.database.path)
        free = disk.f_bavail * disk.f_frsize
        wanted = self._free_bytes_min + (self.database.reopening_bytes if self._stuck else 0)
        if free >= wanted:
            return None
        return f"disk full: {free >> 20} MiB free, {wanted >> 20} MiB wanted"

    async def commit(self, writes: Sequence[Write], number: int, *, marked: bool) -> None:
        if self._stuck:
            self.database.reopen()  # on this thread, so that no read can come in between
            self._stuck = False
        try:
            await trio.to_thread.run_sync(self._write, writes, number, marked, limiter=self._thread)
        except DiskFull:
            self._stuck = True
            raise

    def _write(self, writes: Sequence[Write], number: int, marked: bool) -> None:  # noqa: FBT001  (run_sync takes no keywords)
        self.database.write(writes, sync=self._synced)
        if not marked:
            self._watermark.note(number)
            return
        try:
            self._watermark.mark(number)
        except OSError as error:  # if the disk is full, the batch is written again with its mark
            raise explain(error, self.database.path) from error

    def close(self, mark: Mark) -> None:
        self.database.close()
        with suppress(OSError):  # a full disk that copies on write: then it was no clean stop
            self._watermark.settle(mark)


@contextmanager
def trial(folder: Folder) -> Iterator[Database]:
    """Open a copy of the database, because LevelDB deletes files when it opens one: what turns out
    to be damaged stays as it was found.
    """
    if gap := find_gap(folder.database):
        raise damaged(folder, gap)
    try:
        copy_database(folder.database, folder.trial)
        with closing(Database(folder.trial, shown_as=folder.database)) as database:
            yield database
    except OSError as error:
        raise explain(error, folder.database, otherwise=ConfigError) from error
    finally:
        shutil.rmtree(folder.trial, ignore_errors=True)


def judge(folder: Folder, database: Database, *, store_id: str, mark: Mark | None) -> int:
    """Return how many batches the database holds; raise if it is another, or ends too early."""
    commit = read_commit(database.get(COMMIT_KEY))
    if database.get(ID_KEY) != store_id.encode():
        raise damaged(folder, f"{folder.marker} speaks of another database")
    if mark is not None and commit < mark.commit:
        raise damaged(
            folder,
            f"{folder.database} ends with batch {commit}, but batch {mark.commit} was acknowledged",
        )
    return commit


def damaged(folder: Folder, what: str) -> DamagedStore:
    return DamagedStore(f"the store in {folder.path} is damaged: {what}", hint=REPAIR_HINT)
