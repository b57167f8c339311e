"""The twin of `DiskFiles` in memory, for tests and the simulator; its disk can be full."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Self

from qbix_node.blobs.files import Draft, NoSuchBlob
from qbix_node.errors import Temporary
from qbix_node.wire.references import BlobId


class MemoryFiles:
    def __init__(self, *, bytes_max: int | None = None) -> None:
        self.bytes_max = bytes_max  # the size of the disk; may change at any time
        self._placed: dict[BlobId, bytes] = {}
        self._drafted = 0

    def draft(self) -> Draft:
        return _MemoryDraft(self)

    def read(self, blob: BlobId, start: int, size: int) -> bytes:
        return self._bytes(blob)[start : start + size]

    def sizes(self) -> dict[BlobId, int]:
        return {blob: len(data) for blob, data in sorted(self._placed.items())}

    def remove(self, blob: BlobId) -> bool:
        return self._placed.pop(blob, None) is not None

    def intact(self, blob: BlobId) -> bool:
        return hashlib.sha256(self._bytes(blob)).digest() == blob

    def damage(self, blob: BlobId) -> None:
        """Flip one bit, as a bad disk does."""
        data = self._bytes(blob)
        self._placed[blob] = bytes([data[0] ^ 1]) + data[1:]

    @property
    def used_bytes(self) -> int:
        return self._drafted + sum(len(data) for data in self._placed.values())

    def take(self, size: int) -> None:
        """Drafts use the disk too."""
        if self.bytes_max is not None and self.used_bytes + size > self.bytes_max:
            raise Temporary("a blob can't be written: no space left on device")
        self._drafted += size

    def give_back(self, size: int) -> None:
        self._drafted -= size

    def put(self, blob: BlobId, data: bytes) -> None:
        self._placed[blob] = data

    def snapshot(self) -> dict[BlobId, bytes]:
        return dict(self._placed)

    def put_back(self, placed: Mapping[BlobId, bytes]) -> None:
        """All that is there from now on, as when a backup is restored."""
        self._placed = dict(placed)

    def _bytes(self, blob: BlobId) -> bytes:
        if blob not in self._placed:
            raise NoSuchBlob(blob)
        return self._placed[blob]


class _MemoryDraft:
    def __init__(self, files: MemoryFiles) -> None:
        self._files = files
        self._data = bytearray()

    @property
    def blob(self) -> BlobId:
        return BlobId(hashlib.sha256(self._data).digest())

    @property
    def size(self) -> int:
        return len(self._data)

    def write(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._files.take(len(piece))
            self._data += piece

    def place(self) -> None:
        self._files.put(self.blob, bytes(self._data))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.give_back(self.size)
