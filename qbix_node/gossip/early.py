"""Proofs and Resolves of streams that are not here (spec/gossip.md 6)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.gossip.work import Accused, Decided
from qbix_node.wire.references import StreamId

KEPT_BYTES_MAX = 1024 * 1024
KEPT_MAX = 4096

_Name = tuple[StreamId, type[Accused | Decided]]
_Row = tuple[Accused | Decided, int]


@dataclass(slots=True)
class KeptProofs:
    """They were checked. One of either for a stream, in memory: later connections bring more. Where
    there is no room, the peer that has sent most of them loses its oldest.
    """

    _peers: dict[m.PeerId | None, dict[_Name, _Row]] = field(default_factory=dict)
    _bytes: dict[m.PeerId | None, int] = field(default_factory=dict)
    _sources: dict[_Name, m.PeerId | None] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self._sources)

    @property
    def size_bytes(self) -> int:
        return sum(self._bytes.values())

    def keep(self, work: Accused | Decided, size: int) -> None:
        name = work.stream, type(work)
        if name in self._sources:
            return
        self._put(name, (work, size))
        while self.size_bytes > KEPT_BYTES_MAX or self.count > KEPT_MAX:
            most = max(self._bytes, key=lambda peer: self._bytes[peer])
            self._remove(next(iter(self._peers[most])))

    def has(self, stream: StreamId, kind: type[Accused | Decided]) -> bool:
        return (stream, kind) in self._sources

    def use(self, stream: StreamId) -> list[Accused | Decided]:
        """Those about this stream; they count as the newest now."""
        names = [(stream, kind) for kind in (Accused, Decided)]
        rows = {name: self._remove(name) for name in names if name in self._sources}
        for name, row in rows.items():
            self._put(name, row)
        return [work for work, _ in rows.values()]

    def take(self, is_due: Callable[[StreamId], bool]) -> list[Accused | Decided]:
        """Those of streams of which something has come."""
        return [self._remove(name)[0] for name in list(self._sources) if is_due(name[0])]

    def _put(self, name: _Name, row: _Row) -> None:
        peer = row[0].peer
        self._sources[name] = peer
        self._peers.setdefault(peer, {})[name] = row
        self._bytes[peer] = self._bytes.get(peer, 0) + row[1]

    def _remove(self, name: _Name) -> _Row:
        peer = self._sources.pop(name)
        row = self._peers[peer].pop(name)
        self._bytes[peer] -= row[1]
        if not self._peers[peer]:
            del self._peers[peer], self._bytes[peer]
        return row
