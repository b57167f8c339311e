"""How far a store had come, kept outside of its database (spec/storage.md).

One line in place: the number of the newest batch that was acknowledged, and whether the store was
closed. It is written after every batch, and synced on opening and closing and after the batches
that ask for it. Else it costs nothing: after a killed process it is exact, after a power cut it may
lag behind, and it is never ahead. A database that is behind it has lost what somebody was told is
safe.
"""

import contextlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

LINE_BYTES = 37


@dataclass(frozen=True, slots=True)
class Mark:
    commit: int
    clean: bool  # the store was closed after this batch

    def encode(self) -> bytes:
        line = f"{self.commit:020} {'closed' if self.clean else 'opened'}"
        return f"{line} {zlib.crc32(line.encode()):08x}\n".encode()

    @classmethod
    def decode(cls, line: bytes) -> "Mark | None":
        """None: it can't be known, as when power was cut before the first sync."""
        commit = int(line[:20]) if line[:20].isdigit() else 0
        marks = [cls(commit, clean=clean) for clean in (True, False)]
        return next((mark for mark in marks if mark.encode() == line), None)


class Watermark:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> Mark | None:
        return Mark.decode(os.pread(self._file, LINE_BYTES + 1, 0))

    def note(self, commit: int) -> None:
        """After each batch. It may fail on a full disk that copies on write; then it lags."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, Mark(commit, clean=False).encode(), 0)

    def mark(self, commit: int) -> None:
        """After a batch that asks for it: durable once this returns. Raises OSError."""
        os.pwrite(self._file, Mark(commit, clean=False).encode(), 0)
        os.fdatasync(self._file)  # the line has one length, so there is nothing else to be synced

    def settle(self, mark: Mark) -> None:
        os.pwrite(self._file, mark.encode(), 0)
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)
