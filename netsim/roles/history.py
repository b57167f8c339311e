"""Answers createHistoryStream as an honest node does (spec/replication.md 5)."""

from collections.abc import Callable
from dataclasses import dataclass

from netsim.messages import HistoryPart
from qbix_node import machines as m
from qbix_node.replication.messages import HistoryEnded, HistoryRequest
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue

EVERY = 1_000_000  # messages; no feed is longer

Serves = Callable[[m.PeerId, FeedId], bool]
Read = Callable[[FeedId, int, int], tuple[JsonValue, ...]]  # feed, first, at most


@dataclass(slots=True)
class _Open:
    """A live history that somebody reads."""

    next: int
    left: int


class Histories:
    def __init__(self, serves: Serves, read: Read) -> None:
        self._serves = serves
        self._read = read
        self._open: dict[tuple[m.PeerId, FeedId], _Open] = {}

    def open(self, peer: m.PeerId, request: HistoryRequest) -> list[m.Effect]:
        feed, left = request.feed, request.limit or EVERY
        served = self._serves(peer, feed)
        found = self._read(feed, request.sequence, left) if served else ()
        effects: list[m.Effect] = [m.Send(peer, HistoryPart(feed, found))] if found else []
        left -= len(found)
        if served and request.live and left:
            self._open[peer, feed] = _Open(request.sequence + len(found), left)
        else:
            effects.append(m.Send(peer, HistoryEnded(feed)))
        return effects

    def grown(self, feed: FeedId) -> list[m.Effect]:
        effects: list[m.Effect] = []
        for (peer, of), reading in list(self._open.items()):
            found = self._read(feed, reading.next, reading.left) if of == feed else ()
            if not found:
                continue
            effects.append(m.Send(peer, HistoryPart(feed, found)))
            reading.next += len(found)
            reading.left -= len(found)
            if not reading.left:
                del self._open[peer, feed]
                effects.append(m.Send(peer, HistoryEnded(feed)))
        return effects

    def end(self, peer: m.PeerId, feed: FeedId) -> bool:
        """Who asked wants no more. False: this was no history of ours."""
        return self._open.pop((peer, feed), None) is not None

    def forget(self, peer: m.PeerId) -> None:
        for place in [place for place in self._open if place[0] == peer]:
            del self._open[place]
