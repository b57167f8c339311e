"""The folder of a store: what lies in it, who may use it (spec/storage.md).

store.json   which format, and the id that the database must carry as well
lock         held by the process that uses the store
watermark    how far the database had come
db/          LevelDB's own files
trial/       a passing copy of db/, on which an opening is tried first
"""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from qbix_node.errors import ConfigError, DamagedStore, Temporary

FORMAT = 1
STOP_HINT = "stop it first, or talk to it: `qbix-node status`"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
REPAIR_HINT = "`qbix-node store check` says more, `qbix-node store repair` keeps what can be read"


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    @property
    def marker(self) -> Path:
        return self.path / "store.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def watermark(self) -> Path:
        return self.path / "watermark"

    @property
    def database(self) -> Path:
        return self.path / "db"

    @property
    def trial(self) -> Path:
        return self.path / "trial"

    @property
    def repaired(self) -> Path:
        return self.path / "repaired"

    def damaged(self) -> list[Path]:
        """Databases that were put aside by a repair, oldest first."""
        return sorted(self.path.glob("damaged-*"), key=lambda each: (len(each.name), each.name))

    def write_marker(self, store_id: str) -> None:
        with self.marker.open("w") as file:
            file.write(json.dumps({"format": FORMAT, "id": store_id}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_marker(self) -> str:
        """The id of the store. Raises if there is none that this version can use."""
        if not self.path.is_dir():
            raise ConfigError(
                f"there is no store in {self.path}", hint="`qbix-node init` makes one"
            )
        try:
            marker = json.loads(self.marker.read_bytes())
            version, store_id = int(marker["format"]), str(marker["id"])
        except _UNREADABLE as error:
            message = f"the store in {self.path} is damaged: store.json can't be read ({error})"
            raise DamagedStore(message, hint=REPAIR_HINT) from error
        if version > FORMAT:
            raise ConfigError(
                f"the store in {self.path} has format {version}, made by a newer version;"
                f" this one reads format {FORMAT}",
                hint="install that version, or use another home",
            )
        return store_id

    def sync(self) -> None:
        """Make the names in the folder durable."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Lock:
    """Held until it is closed, or the process ends in whatever way."""

    def __init__(self, folder: Folder) -> None:
        self._file = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            message = f"the store in {folder.path} is in use by process {holder or '(unknown)'}"
            raise Temporary(message, hint=STOP_HINT) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        os.close(self._file)


def copy_database(source: Path, target: Path) -> None:
    """A copy that may be opened: LevelDB never changes a table, so those are linked, not copied."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for each in source.iterdir():
        if each.suffix in {".ldb", ".sst"}:
            _link(each, target / each.name)
        elif each.name not in {"LOCK", "LOG", "LOG.old"} and each.is_file():
            shutil.copyfile(each, target / each.name)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
