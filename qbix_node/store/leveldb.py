"""The store on LevelDB (spec/storage.md). The only module that knows plyvel.

`LevelDbStore` is the store of a running node; `Database` is one open LevelDB, for it and for
`store.check`. Reads happen on the caller's thread, which is trio's, batches in a worker thread.
"""

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import trio

from qbix_node.crypto.entropy import random_bytes
from qbix_node.errors import ConfigError, DamagedStore, LocalError, Temporary
from qbix_node.ports import Put, Write
from qbix_node.store.folder import REPAIR_HINT, STOP_HINT, Folder, Lock, copy_database
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

if sys.version_info >= (3, 13):
    import plyvel_next as plyvel  # the same interface; plyvel has no wheels from here on
else:
    import plyvel

FREE_BYTES_MIN = 32 << 20  # with less nothing is written, so that LevelDB can still tidy up
WRITE_BUFFER_BYTES = 8 << 20  # in memory, and in a log, before LevelDB makes a table of it
FILES_MAX = 256  # tables that LevelDB keeps open
FILTER_BITS = 10  # a key: looking for what is absent reads a table in one of 100 cases

ID_KEY = META + b"store"
FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
CUT_SHORT = (os.strerror(errno.ENOENT), os.strerror(errno.EINVAL))  # so LevelDB says of a file


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
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise LocalError(f"{path} exists already", hint="keep it, or choose another home")
        new = Folder(path.with_name(path.name + ".new"))  # it counts once it has its own name
        store_id = random_bytes(16).hex()
        try:
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
            raise explain(error, new.database, otherwise=ConfigError) from error

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

    async def write(self, writes: Sequence[Write]) -> None:
        await self._writer.write(writes)

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
        self, database: "Database", watermark: Watermark, *, free_bytes_min: int, synced: bool
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

    async def commit(self, writes: Sequence[Write], number: int) -> None:
        if self._stuck:
            self.database.reopen()  # on this thread, so that no read can come in between
            self._stuck = False
        try:
            await trio.to_thread.run_sync(self._write, writes, number, limiter=self._thread)
        except DiskFull:
            self._stuck = True
            raise

    def _write(self, writes: Sequence[Write], number: int) -> None:
        self.database.write(writes, sync=self._synced)
        self._watermark.note(number)

    def close(self, mark: Mark) -> None:
        self.database.close()
        with suppress(OSError):  # a full disk that copies on write: then it was no clean stop
            self._watermark.settle(mark)


@contextmanager
def trial(folder: Folder) -> Iterator["Database"]:
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


def judge(folder: Folder, database: "Database", *, store_id: str, mark: Mark | None) -> int:
    """Return how many batches the database holds; raise if it is another, or ends too early."""
    commit = read_commit(database.get(COMMIT_KEY))
    if database.get(ID_KEY) != store_id.encode():
        raise damaged(folder, "store.json speaks of another database")
    if mark is not None and commit < mark.commit:
        raise damaged(folder, f"it ends with batch {commit}, {mark.commit} was acknowledged")
    return commit


def damaged(folder: Folder, what: str) -> DamagedStore:
    return DamagedStore(f"the store in {folder.path} is damaged: {what}", hint=REPAIR_HINT)


class Database:
    """One open LevelDB. What it raises is ours, with the file that it is about."""

    def __init__(
        self,
        path: Path,
        *,
        create: bool = False,
        shown_as: Path | None = None,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
    ) -> None:
        self.path = path
        self.reopening_bytes = 2 * write_buffer_bytes  # a table of the log, and some for the rest
        self._shown_as = shown_as or path
        self._write_buffer_bytes = write_buffer_bytes
        self._db: Any = None
        self._open(create=create)

    def _open(self, *, create: bool = False) -> None:
        try:
            self._db = plyvel.DB(
                str(self.path),
                create_if_missing=create,
                error_if_exists=create,
                paranoid_checks=True,
                write_buffer_size=self._write_buffer_bytes,
                max_open_files=FILES_MAX,
                bloom_filter_bits=FILTER_BITS,
            )
        except plyvel.Error as error:
            raise self._explain(error, otherwise=ConfigError) from error

    def reopen(self) -> None:
        """If this fails, nothing can be read until it succeeds."""
        self.close()
        self._open()

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._use().get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise self._explain(error) from error
        return value

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        bounds = {"start": start, "stop": stop, "reverse": reverse}
        try:
            with self._use().iterator(**bounds, verify_checksums=True) as rows:
                return list(islice(rows, limit))
        except plyvel.Error as error:
            raise self._explain(error) from error

    def read_all(self) -> Iterator[tuple[bytes, bytes]]:
        try:
            with self._use().iterator(verify_checksums=True, fill_cache=False) as rows:
                yield from rows
        except plyvel.Error as error:
            raise self._explain(error) from error

    def write(self, writes: Sequence[Write], *, sync: bool) -> None:
        """All or none. After DiskFull nothing can be written before `reopen`."""
        batch = self._use().write_batch(sync=sync)
        for write in writes:
            if isinstance(write, Put):
                batch.put(write.key, write.value)
            else:
                batch.delete(write.key)
        try:
            batch.write()
        except plyvel.Error as error:
            raise self._explain(error) from error

    def size_bytes(self) -> int:
        with os.scandir(self.path) as files:
            return sum(_size_bytes(each) for each in files)

    def _explain(
        self, error: plyvel.Error, *, otherwise: type[LocalError] = Temporary
    ) -> LocalError:
        failure = explain(error, self._shown_as, otherwise=otherwise)
        said = str(failure).replace(str(self.path), str(self._shown_as))
        if isinstance(error, plyvel.CorruptionError) and str(self.path) not in _text(error):
            said += f" in {self._culprit()}"
        return type(failure)(said, hint=failure.hint)

    def _culprit(self) -> str:
        """The file that LevelDB found damaged, if it did not say so in its error."""
        if self._db is not None:
            return f"a table in {self._shown_as}"
        dropped = re.search(r"/(\S+): dropping", (self.path / "LOG").read_text(errors="replace"))
        manifests = [each.name for each in self.path.glob("MANIFEST-*")]
        return str(self._shown_as / (Path(dropped[1]).name if dropped else manifests[0]))

    def _use(self) -> Any:
        if self._db is None:
            raise Temporary(f"the store in {self._shown_as.parent} is not open")
        return self._db


def _size_bytes(file: "os.DirEntry[str]") -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # LevelDB deletes files while we look
        return 0


def repair_database(path: Path) -> list[str]:
    """Rebuild a closed database from whatever can be read; return the tables that were damaged."""
    try:
        plyvel.repair_db(str(path), paranoid_checks=True, bloom_filter_bits=FILTER_BITS)
    except plyvel.Error as error:
        raise explain(error, path) from error
    told = (path / "LOG").read_text(errors="replace")
    return [f"{int(each):06}.ldb" for each in re.findall(r"Table #(\d+): \d+ entries [^Or]", told)]


def explain(
    error: plyvel.Error | OSError, path: Path, *, otherwise: type[LocalError] = Temporary
) -> LocalError:
    """What plyvel or the system raised, as a sentence with a next step."""
    text = _text(error)
    if text.endswith(FULL):
        return DiskFull(f"disk full: {text}", hint="make room on that disk")
    if "/LOCK: " in text:
        return Temporary(f"the store in {path.parent} is in use: {text}", hint=STOP_HINT)
    damage = text.endswith(CUT_SHORT) or "does not exist" in text
    if isinstance(error, plyvel.CorruptionError) or damage:
        return DamagedStore(f"the store in {path.parent} is damaged: {text}", hint=REPAIR_HINT)
    return otherwise(f"the store in {path.parent} can't be used: {text}")


def _text(error: plyvel.Error | OSError) -> str:
    if isinstance(error.args[0], bytes):
        return error.args[0].decode("utf-8", "replace")
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
