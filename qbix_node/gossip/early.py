"""Proofs and Resolves of followed streams of which nothing has come yet (spec/gossip.md 6)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from qbix_node.gossip.work import Accused, Decided
from qbix_node.wire.references import StreamId

EARLY_BYTES_MAX = 1024 * 1024  # in all; the oldest makes room

_Name = tuple[StreamId, type[Accused | Decided]]


@dataclass(slots=True)
class EarlyProofs:
    """They were checked. One of either for a stream, in memory: later connections bring more."""

    _kept: dict[_Name, tuple[Accused | Decided, int]] = field(default_factory=dict)
    _bytes: int = 0

    def keep(self, work: Accused | Decided, size: int) -> None:
        name = work.stream, type(work)
        if name in self._kept:
            return
        self._kept[name] = work, size
        self._bytes += size
        while self._bytes > EARLY_BYTES_MAX:
            self._remove(next(iter(self._kept)))

    def take(self, is_due: Callable[[StreamId], bool]) -> list[Accused | Decided]:
        """Those of streams of which something has come."""
        return [self._remove(name) for name in list(self._kept) if is_due(name[0])]

    def _remove(self, name: _Name) -> Accused | Decided:
        work, size = self._kept.pop(name)
        self._bytes -= size
        return work
