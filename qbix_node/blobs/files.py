"""Blobs as files named by their SHA-256 (spec/blobs.md 2): `sha256/ab/cdef…` below one folder.

A blob is visible once it is whole and on disk, never before. Paths are built from the hex form of
32 bytes and from nothing else. Calls may take long: the service runs them in threads.
"""

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from qbix_node.errors import LocalError, Temporary
from qbix_node.wire.references import BlobId, format_blob

_HEX = re.compile(r"[0-9a-f]+")


class NoSuchBlob(LocalError):
    def __init__(self, blob: BlobId) -> None:
        super().__init__(f"{format_blob(blob)} is not here", hint="blob get fetches it from peers")


class Draft(Protocol):
    """A blob that is being written. Leaving the `with` block without `place` leaves nothing."""

    @property
    def blob(self) -> BlobId:
        """The name of what was written so far."""
        ...

    @property
    def size(self) -> int: ...

    def write(self, pieces: Iterable[bytes]) -> None:
        """Raises Temporary: the disk is full or fails."""
        ...

    def place(self) -> None:
        """Return once the blob is durable and can be read; one call at a time. Raises Temporary."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class BlobFiles(Protocol):
    """The behaviour suite in tests/blobs holds every implementation to this."""

    def draft(self) -> Draft:
        """Raises Temporary."""
        ...

    def read(self, blob: BlobId, start: int, size: int) -> bytes:
        """Less than `size` bytes only at the end. Raises NoSuchBlob, Temporary."""
        ...

    def sizes(self) -> dict[BlobId, int]:
        """All blobs, ascending."""
        ...

    def remove(self, blob: BlobId) -> bool: ...

    def intact(self, blob: BlobId) -> bool:
        """Do the bytes still have the hash that names them? Raises NoSuchBlob, Temporary."""
        ...


class DiskFiles:
    """The folder belongs to one process; drafts that a crash left are swept here."""

    def __init__(self, folder: Path) -> None:
        self._placed = folder / "sha256"
        self._drafts = folder / "drafts"
        self._make_folders()
        with _disk_errors("the folder of blobs can't be read"):
            for left in self._drafts.iterdir():
                left.unlink()

    def draft(self) -> Draft:
        self._make_folders()  # somebody may have deleted them while we run
        return _DiskDraft(self._drafts, self._placed)

    def read(self, blob: BlobId, start: int, size: int) -> bytes:
        with self._open(blob) as file:
            file.seek(start)
            return file.read(size)

    def sizes(self) -> dict[BlobId, int]:
        with _disk_errors("blobs can't be listed"):
            return dict(sorted(self._scan()))

    def remove(self, blob: BlobId) -> bool:
        path = _path(self._placed, blob)
        with _disk_errors("a blob can't be removed"):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _sync(path.parent)
            return True

    def intact(self, blob: BlobId) -> bool:
        with self._open(blob) as file:
            return hashlib.file_digest(file, "sha256").digest() == blob

    def _make_folders(self) -> None:
        with _disk_errors("the folder of blobs can't be made"):
            for folder in (self._placed.parent, self._placed, self._drafts):
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, exist_ok=True)
                    _sync(folder.parent)

    @contextmanager
    def _open(self, blob: BlobId) -> Iterator[BufferedReader]:
        with (
            _disk_errors("a blob can't be read", blob),
            _path(self._placed, blob).open("rb") as file,
        ):
            yield file

    def _scan(self) -> Iterator[tuple[BlobId, int]]:
        with os.scandir(self._placed) as folders:
            names = [folder.name for folder in folders if folder.is_dir()]
        for name in names:
            with os.scandir(self._placed / name) as files:
                for file in files:
                    written = name + file.name  # other files than ours are left alone
                    if len(name) == 2 and len(written) == 64 and _HEX.fullmatch(written):
                        yield BlobId(bytes.fromhex(written)), file.stat().st_size


class _DiskDraft:
    def __init__(self, drafts: Path, placed: Path) -> None:
        self._placed = placed
        self._hash = hashlib.sha256()
        self.size = 0
        with _disk_errors("a blob can't be written"):
            handle, name = tempfile.mkstemp(dir=drafts)
        self._path = Path(name)
        self._file = os.fdopen(handle, "wb")

    @property
    def blob(self) -> BlobId:
        return BlobId(self._hash.digest())

    def write(self, pieces: Iterable[bytes]) -> None:
        with _disk_errors("a blob can't be written"):
            for piece in pieces:
                self._hash.update(piece)
                self.size += len(piece)
                self._file.write(piece)

    def place(self) -> None:
        path = _path(self._placed, self.blob)
        with _disk_errors("a blob can't be written"):
            self._file.flush()
            os.fsync(self._file.fileno())
            if not path.parent.exists():
                path.parent.mkdir(mode=0o700)
                _sync(self._placed)
            self._path.rename(path)  # over the same bytes, or over damaged ones
            _sync(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # what couldn't be written is thrown away anyway
            self._file.close()


def _path(placed: Path, blob: BlobId) -> Path:
    name = blob.hex()
    assert len(name) == 64
    return placed / name[:2] / name[2:]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors(what: str, blob: BlobId | None = None) -> Iterator[None]:
    """`blob`: a missing file means that this blob is not here."""
    try:
        yield
    except FileNotFoundError as error:
        if blob is None:
            raise Temporary(f"{what}: {error.strerror}") from error
        raise NoSuchBlob(blob) from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space, then try again" if full else "look at the disk and its limits"
        raise Temporary(f"{what}: {error.strerror}", hint=hint) from error
