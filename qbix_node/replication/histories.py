"""Feeds of peers that do not speak EBT: asked for by createHistoryStream, one stream each
(SPEC replication 5). Also the single message that proves a fork.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.feeds.messages import Head
from qbix_node.replication.messages import HistoryEnded, HistoryRequest
from qbix_node.wire.references import FeedId

STREAMS_MAX = 32  # open to one peer; further feeds wait until one ends
ROUND_S = 30.0  # what has ended is asked for again


@dataclass(slots=True)
class _Reader:
    """One peer that we read from."""

    feeds: dict[FeedId, None] = field(default_factory=dict)  # all that it is asked for
    open: dict[FeedId, HistoryRequest] = field(default_factory=dict)
    waiting: dict[FeedId, None] = field(default_factory=dict)
    missed: dict[FeedId, None] = field(default_factory=dict)  # a part was not kept: ask again
    given_up: set[FeedId] = field(default_factory=set)  # what it has of these is of no use


@dataclass(slots=True)
class Histories:
    heads: Mapping[FeedId, Head]
    _readers: dict[m.PeerId, _Reader] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        return bool(self._readers)

    def read(self, peer: m.PeerId, feeds: list[FeedId]) -> tuple[m.Effect, ...]:
        """Ask the peer for these feeds, in this round."""
        reader = self._readers.setdefault(peer, _Reader())
        for feed in feeds:
            if feed not in reader.given_up:
                reader.feeds[feed] = None
                if feed not in reader.open:
                    reader.waiting[feed] = None
        return self._fill(peer, reader)

    def round(self, feeds: list[FeedId]) -> tuple[m.Effect, ...]:
        """Ask again for what has ended or has holes."""
        effects: list[m.Effect] = []
        for peer, reader in self._readers.items():
            holed = [feed for feed in reader.missed if reader.open.pop(feed, None)]
            reader.missed.clear()
            effects += [m.Send(peer, HistoryEnded(feed)) for feed in holed]
            effects += self.read(peer, feeds)
        return tuple(effects)

    def begin(self, feed: FeedId) -> tuple[m.Effect, ...]:
        return tuple(effect for peer in self._readers for effect in self.read(peer, [feed]))

    def end(self, feed: FeedId) -> tuple[m.Effect, ...]:
        readers = self._readers.items()
        return tuple(effect for each in readers for effect in self._drop(*each, feed))

    def give_up(self, peer: m.PeerId, feed: FeedId) -> tuple[m.Effect, ...]:
        """Do not ask this peer for the feed again."""
        reader = self._readers.get(peer)
        if reader is None or feed not in reader.feeds:
            return ()
        reader.given_up.add(feed)
        return self._drop(peer, reader, feed)

    def ended(self, peer: m.PeerId, feed: FeedId) -> tuple[m.Effect, ...]:
        """The peer ended a stream: the next feed's turn."""
        reader = self._readers.get(peer)
        if reader is None or not reader.open.pop(feed, None):
            return ()
        return self._fill(peer, reader)

    def miss(self, peer: m.PeerId, feed: FeedId) -> None:
        if reader := self._readers.get(peer):
            reader.missed[feed] = None

    def leave(self, peer: m.PeerId) -> tuple[m.Effect, ...]:
        """The peer is gone, or speaks EBT after all."""
        reader = self._readers.pop(peer, _Reader())
        return tuple(m.Send(peer, HistoryEnded(feed)) for feed in reader.open)

    def _drop(self, peer: m.PeerId, reader: _Reader, feed: FeedId) -> tuple[m.Effect, ...]:
        reader.feeds.pop(feed, None)
        reader.waiting.pop(feed, None)
        if reader.open.pop(feed, None) is None:
            return ()
        return (m.Send(peer, HistoryEnded(feed)), *self._fill(peer, reader))

    def _fill(self, peer: m.PeerId, reader: _Reader) -> tuple[m.Effect, ...]:
        effects: list[m.Effect] = []
        crowded = len(reader.feeds) > STREAMS_MAX
        if crowded:  # streams that stay open would keep the rest from their turn
            for feed in [feed for feed, request in reader.open.items() if request.live]:
                del reader.open[feed]
                reader.waiting[feed] = None
                effects.append(m.Send(peer, HistoryEnded(feed)))
        while reader.waiting and len(reader.open) < STREAMS_MAX:
            feed = next(iter(reader.waiting))
            del reader.waiting[feed]
            head = self.heads.get(feed)
            sequence = head.sequence + 1 if head else 1
            request = HistoryRequest(feed, sequence, live=not crowded, keys=False)
            reader.open[feed] = request
            effects.append(m.Send(peer, request))
        return tuple(effects)
