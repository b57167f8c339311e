"""Streams that peers say to have and that are nothing to us, but for what others tell about their
forks (spec/gossip.md 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.replication.messages import REFUSED
from qbix_node.wire.references import StreamId

NAMED_MAX = 4096  # of a peer; the oldest makes room


@dataclass(slots=True)
class Named:
    _peers: dict[m.PeerId, dict[StreamId, None]] = field(default_factory=dict)

    def by(self, peer: m.PeerId) -> list[StreamId]:
        return list(self._peers.get(peer, ()))

    def note(self, peer: m.PeerId, notes: Mapping[StreamId, int]) -> dict[StreamId, bool]:
        """Whether it has each of these; and what is forgotten for them."""
        named, said = self._peers.setdefault(peer, {}), dict[StreamId, bool]()
        for stream, note in notes.items():
            named.pop(stream, None)
            if note != REFUSED:
                named[stream] = None
            said[stream] = note != REFUSED
            if len(named) > NAMED_MAX:
                oldest = next(iter(named))
                del named[oldest]
                said[oldest] = False
        return said

    def forget(self, peer: m.PeerId) -> None:
        self._peers.pop(peer, None)
