"""Who sends us which feed: one peer each, another one when it stalls (SPEC replication 3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from qbix_node import machines as m
from qbix_node.replication.messages import LogId
from qbix_node.replication.peers import Peer, Phase

STALL_S = 3.0  # without anything new from a peer that claims to have more
FEED_STALL_S = 30.0  # the same for one feed, while the peer is busy with others
REST_S = 30.0  # a peer that stalled is not preferred for so long
REFUSED_REST_S = 600.0  # nor one whose messages were refused


@dataclass(slots=True)
class Source:
    peer: m.PeerId
    since: float  # when it was asked, or last brought something new of this feed


@dataclass(slots=True)
class Sources(Generic[LogId]):
    peers: Mapping[m.PeerId, Peer[LogId]]
    active: dict[LogId, Source] = field(default_factory=dict)
    behind: dict[LogId, None] = field(default_factory=dict)  # a peer claims more than we have

    def peer_of(self, feed: LogId) -> m.PeerId | None:
        source = self.active.get(feed)
        return source.peer if source else None

    def set(self, feed: LogId, peer: m.PeerId, now: float) -> None:
        self.active[feed] = Source(peer, now)
        self.peers[peer].progress_at = now

    def progress(self, feed: LogId, peer: m.PeerId, now: float) -> None:
        if peer in self.peers:
            self.peers[peer].progress_at = now
            self.peers[peer].rests.pop(feed, None)
        if (source := self.active.get(feed)) and source.peer == peer:
            source.since = now

    def forget(self, feed: LogId) -> None:
        self.active.pop(feed, None)
        self.behind.pop(feed, None)

    def rest(self, feed: LogId, peer: m.PeerId, until: float) -> None:
        self.peers[peer].rests[feed] = until

    def choose(self, feed: LogId, head: int, now: float) -> m.PeerId | None:
        """Whom to ask instead of the present source; None: leave it as it is."""
        source = self.active.get(feed)
        at_work = source is not None and self._ahead(source.peer, feed, head)
        if at_work and not self.overdue(feed, now):
            self.behind[feed] = None
            return None
        others = [
            peer_id
            for peer_id, peer in self.peers.items()
            if peer.claims(feed) > head
            and peer.phase is Phase.TALKING
            and not (source and peer_id == source.peer)
        ]
        if not others and not at_work:
            self.behind.pop(feed, None)
            return None
        self.behind[feed] = None
        ready = [peer for peer in others if self._rest(peer, feed) <= now]
        if source and at_work and ready:
            self.rest(feed, source.peer, now + REST_S)
        # Who never failed first, or liars could take turns for ever.
        return min(ready, key=lambda peer: self._rest(peer, feed), default=None)

    def overdue(self, feed: LogId, now: float) -> m.PeerId | None:
        """The source of the feed, if nothing new has come from it for too long."""
        source = self.active.get(feed)
        if source is None:
            return None
        peer_s, feed_s = now - self.peers[source.peer].progress_at, now - source.since
        return source.peer if peer_s >= STALL_S or feed_s >= FEED_STALL_S else None

    def _rest(self, peer: m.PeerId, feed: LogId) -> float:
        """Until when it rests, or rested."""
        return self.peers[peer].rests.get(feed, -math.inf)

    def _ahead(self, peer: m.PeerId, feed: LogId, head: int) -> bool:
        state = self.peers[peer]
        return state.phase is Phase.TALKING and state.claims(feed) > head
