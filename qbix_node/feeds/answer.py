"""What one event leads a FeedBook to: effects, and counts that become one finding each."""

from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.feeds.line import Arrival
from qbix_node.feeds.messages import Settled, Skipped
from qbix_node.wire.references import FeedId


@dataclass(slots=True)
class Answer:
    effects: list[m.Effect] = field(default_factory=list)
    settled: dict[m.PeerId, int] = field(default_factory=dict)
    skipped: dict[tuple[m.PeerId, FeedId], int] = field(default_factory=dict)

    def found(self, finding: object) -> None:
        self.effects.append(m.Emit(finding))

    def settle(self, peer: m.PeerId) -> None:
        self.settled[peer] = self.settled.get(peer, 0) + 1

    def settle_arrival(self, arrival: Arrival) -> None:
        """Once for each, whatever becomes of it later."""
        if arrival.owed and arrival.peer is not None:
            self.settle(arrival.peer)
        arrival.owed = False

    def skip(self, peer: m.PeerId | None, feed: FeedId) -> None:
        if peer is not None:
            self.skipped[peer, feed] = self.skipped.get((peer, feed), 0) + 1

    def all(self) -> tuple[m.Effect, ...]:
        if not (self.settled or self.skipped):
            return tuple(self.effects)
        skipped = [m.Emit(Skipped(*place, count)) for place, count in self.skipped.items()]
        settled = [m.Emit(Settled(peer, count)) for peer, count in self.settled.items()]
        return (*self.effects, *skipped, *settled)
