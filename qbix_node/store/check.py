"""Look through a store that nobody uses, and make the best of one that is damaged.

Both work on a copy (spec/storage.md): a check changes nothing, a repair puts the old files aside.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from qbix_node.crypto.entropy import random_bytes
from qbix_node.errors import DamagedStore, LocalError
from qbix_node.ports import Put
from qbix_node.store.database import Database, repair_database
from qbix_node.store.folder import Folder, Lock, copy_database
from qbix_node.store.journal import sound_bytes
from qbix_node.store.leveldb import ID_KEY, judge, trial
from qbix_node.store.watermark import Mark, Watermark
from qbix_node.store.writer import COMMIT_KEY, put_commit, read_commit

PROGRESS_RECORDS = 10_000
REWRITE_RECORDS = 1000

Progress = Callable[[int], None]  # told the number of records read so far, now and then


@dataclass(frozen=True, slots=True)
class Checked:
    records: int
    bytes: int  # keys and values of those
    commit: int  # batches since the store was made
    damage: str | None  # what is wrong, as a sentence; then records were read only up to there
    damaged_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repaired:
    records: int
    commit: int
    batches_lost_min: int  # the watermark may lag behind after a power cut
    damaged_files: tuple[str, ...]
    put_aside: Path


def check(path: Path, *, progress: Progress = lambda _records: None) -> Checked:
    """Read every record, its checksums too. Raises if there is no store, or if it is in use."""
    folder = Folder(path)
    store_id = folder.read_marker()
    count = _Count(progress)
    commit, damage, files = 0, None, list[str]()
    with closing(Lock(folder)), closing(Watermark(folder.watermark)) as watermark:
        try:
            with trial(folder) as database:
                commit = read_commit(database.get(COMMIT_KEY))
                judge(folder, database, store_id=store_id, mark=watermark.read())
                for _ in count.each(database):
                    pass
        except DamagedStore as error:
            damage = str(error)
            files = _damaged_tables(folder)
    return Checked(count.records, count.bytes, commit, damage, tuple(files))


def repair(path: Path, *, progress: Progress = lambda _records: None) -> Repaired:
    """Keep what can be read. Feeds may have holes afterwards, which peers fill."""
    folder = Folder(path)
    if not folder.database.exists() and not folder.damaged():
        raise LocalError(f"there is nothing to repair in {path}", hint="restore a backup")
    with closing(Lock(folder)), closing(Watermark(folder.watermark)) as watermark:
        if not folder.database.exists():  # an earlier repair was cut off before it was done
            folder.damaged()[-1].rename(folder.database)
        mark, count = watermark.read(), _Count(progress)
        try:
            files = _salvage(folder)
            store_id, commit = _rewrite(folder, count)
        finally:
            shutil.rmtree(folder.trial, ignore_errors=True)
        put_aside = path / f"damaged-{len(folder.damaged()) + 1}"
        folder.database.rename(put_aside)
        folder.repaired.rename(folder.database)
        folder.write_marker(store_id)
        watermark.settle(Mark(commit, clean=False))  # so that the node asks its peers again
        folder.sync()
    lost = max(0, mark.commit - commit) if mark else 0
    return Repaired(count.records, commit, lost, tuple(files), put_aside)


def _salvage(folder: Folder) -> list[str]:
    """Let LevelDB repair a copy. Logs are cut first: it does not look at their checksums."""
    copy_database(folder.database, folder.trial)
    for log in folder.trial.glob("*.log"):
        os.truncate(log, sound_bytes(log.read_bytes()))
    return repair_database(folder.trial)


def _rewrite(folder: Folder, count: "_Count") -> tuple[str, int]:
    """Write all rows into a new database and return its id and commit.

    A database that LevelDB repaired has its files in any order, and a look-up may find an old value
    first; reading it from end to end gives the newest, since that goes by sequence numbers.
    """
    shutil.rmtree(folder.repaired, ignore_errors=True)
    with (
        closing(Database(folder.trial, shown_as=folder.database)) as salvaged,
        closing(Database(folder.repaired, create=True)) as database,
    ):
        rows = count.each(salvaged)
        while batch := [Put(key, value) for key, value in islice(rows, REWRITE_RECORDS)]:
            database.write(batch, sync=False)
        commit = read_commit(database.get(COMMIT_KEY))
        store_id = database.get(ID_KEY) or random_bytes(16).hex().encode()
        database.write([Put(ID_KEY, store_id), put_commit(commit)], sync=True)
    return store_id.decode(), commit


class _Count:
    def __init__(self, progress: Progress) -> None:
        self.records = self.bytes = 0
        self._progress = progress

    def each(self, database: Database) -> Iterator[tuple[bytes, bytes]]:
        for key, value in database.read_all():
            self.records += 1
            self.bytes += len(key) + len(value)
            if self.records % PROGRESS_RECORDS == 0:
                self._progress(self.records)
            yield key, value


def _damaged_tables(folder: Folder) -> list[str]:
    """LevelDB names them only when it repairs, so it repairs a copy that nobody wants."""
    try:
        copy_database(folder.database, folder.trial)
        return repair_database(folder.trial)
    except (LocalError, OSError):
        return []  # then what is wrong is not in a table
    finally:
        shutil.rmtree(folder.trial, ignore_errors=True)
