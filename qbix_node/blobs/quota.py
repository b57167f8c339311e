"""How much disk blobs may take that are here only because peers wanted them (spec/blobs.md 5).

The oldest gives way to the newest. What the operator adds or wants is neither counted nor given up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from qbix_node.ports import Delete, Put, Write
from qbix_node.wire.references import BlobId

COUNTED_BYTES_MIN = 64 * 1024  # a small blob counts as much, so that their number is bounded too

MARK = b"b/s"  # + blob id -> order of arrival: this blob is here by sympathy only


@dataclass(slots=True)
class SympathyQuota:
    bytes_max: int
    _sizes: dict[BlobId, int] = field(default_factory=dict)  # oldest first; those on their way too
    _used: int = 0
    _order: int = 0

    def restore(self, blob: BlobId, size: int, order: int) -> None:
        """At start, in the order of arrival."""
        self._count(blob, size)
        self._order = order

    def __contains__(self, blob: BlobId) -> bool:
        return blob in self._sizes

    def room_for(self, size: int, held: Callable[[BlobId], bool]) -> list[BlobId] | None:
        """Which of the `held` blobs must go so that `size` fits; None: it can't fit now."""
        missing = self._used + _counted(size) - self.bytes_max
        victims: list[BlobId] = []
        for blob, counted in self._sizes.items():
            if missing <= 0:
                break
            if held(blob):
                victims.append(blob)
                missing -= counted
        return victims if missing <= 0 else None

    def take(self, blob: BlobId, size: int) -> Write:
        self._order += 1
        self._count(blob, size)
        return Put(MARK + blob, self._order.to_bytes(8, "big"))

    def release(self, blob: BlobId) -> Write:
        self.forget(blob)
        return Delete(MARK + blob)

    def forget(self, blob: BlobId) -> None:
        """Count it no longer; its mark stays until the file is gone."""
        self._used -= self._sizes.pop(blob)

    def _count(self, blob: BlobId, size: int) -> None:
        self._sizes[blob] = _counted(size)
        self._used += _counted(size)


def _counted(size: int) -> int:
    return max(size, COUNTED_BYTES_MIN)
