"""One open LevelDB. The only module that knows plyvel; what it raises is ours (spec/storage.md)."""

import errno
import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from qbix_node.errors import ConfigError, DamagedStore, LocalError, Temporary
from qbix_node.ports import Put, Write
from qbix_node.store.folder import REPAIR_HINT, STOP_HINT
from qbix_node.store.writer import DiskFull

if sys.version_info >= (3, 13):
    import plyvel_next as plyvel  # the same interface; plyvel has no wheels from here on
else:
    import plyvel

WRITE_BUFFER_BYTES = 8 << 20  # in memory, and in a log, before LevelDB makes a table of it
FILES_MAX = 256  # tables that LevelDB keeps open
FILTER_BITS = 10  # a key: looking for what is absent reads a table in one of 100 cases

FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
CUT_SHORT = (os.strerror(errno.ENOENT), os.strerror(errno.EINVAL))  # so LevelDB says of a file


class Database:
    """Errors come with the file that they are about."""

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
        # Backwards, plyvel misses a key that equals `start` if no other lies between it and `stop`:
        # there the lower bound is ours.
        lowest = None if reverse else start
        try:
            with self._use().iterator(
                start=lowest, stop=stop, reverse=reverse, verify_checksums=True
            ) as rows:
                inside = takewhile(lambda row: row[0] >= start, rows) if reverse else rows
                return list(islice(inside, limit))
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
            said += f" in {self._culprit(_text(error))}"
        return type(failure)(said, hint=failure.hint)

    def _culprit(self, text: str) -> str:
        """The file that LevelDB found damaged, if it did not say so in its error."""
        if self._db is not None:
            return f"a table in {self._shown_as}"
        if "CURRENT" in text:
            return str(self._shown_as / "CURRENT")
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
    if "create_if_missing" in text:
        text = f"{path / 'CURRENT'} is missing"
    damage = text.endswith((*CUT_SHORT, "is missing"))
    if isinstance(error, plyvel.CorruptionError) or damage:
        return DamagedStore(f"the store in {path.parent} is damaged: {text}", hint=REPAIR_HINT)
    return otherwise(f"the store in {path.parent} can't be used: {text}")


def _text(error: plyvel.Error | OSError) -> str:
    if isinstance(error.args[0], bytes):
        return error.args[0].decode("utf-8", "replace")
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
