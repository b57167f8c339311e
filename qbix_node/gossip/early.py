"""Proofs about followed streams of which nothing has come yet (spec/gossip.md 6)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from qbix_node.gossip.work import Accused
from qbix_node.wire.references import StreamId

EARLY_BYTES_MAX = 1024 * 1024  # in all; the oldest makes room


@dataclass(slots=True)
class EarlyProofs:
    """They were checked. One a stream, in memory: a later connection brings them again."""

    _proofs: dict[StreamId, tuple[Accused, int]] = field(default_factory=dict)
    _bytes: int = 0

    def keep(self, accused: Accused, size: int) -> None:
        if accused.fork.stream in self._proofs:
            return
        self._proofs[accused.fork.stream] = accused, size
        self._bytes += size
        while self._bytes > EARLY_BYTES_MAX:
            self._remove(next(iter(self._proofs)))

    def take(self, is_due: Callable[[StreamId], bool]) -> list[Accused]:
        """Those of streams of which something has come."""
        return [self._remove(stream) for stream in list(self._proofs) if is_due(stream)]

    def _remove(self, stream: StreamId) -> Accused:
        accused, size = self._proofs.pop(stream)
        self._bytes -= size
        return accused
