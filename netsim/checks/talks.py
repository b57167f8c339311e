"""What of replication shows only in what machines say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netsim import facts
from netsim.checks.check import View
from qbix_node.feeds.messages import Appended
from qbix_node.machines import PeerId
from qbix_node.replication.messages import EbtNotes, HistoryRequest, Range
from qbix_node.replication.sources import STALL_S
from qbix_node.wire.references import FeedId


@dataclass(slots=True)
class _Talk:
    """Of one node with one peer, over one connection."""

    opened: bool = False
    asked: dict[FeedId, float] = field(default_factory=dict)  # to send it, and when or last came
    claims: dict[FeedId, int] = field(default_factory=dict)  # of the peer


class Talks:
    def __init__(self, view: View, saw: Callable[[str], None]) -> None:
        self._view = view
        self._saw = saw
        self._talks: dict[tuple[int, PeerId], _Talk] = {}
        self._sources: dict[tuple[int, FeedId], PeerId] = {}

    def linked(self, node: int, peer: PeerId) -> None:
        self._talks[node, peer] = _Talk()

    def unlinked(self, node: int, peer: PeerId) -> None:
        self._talks.pop((node, peer), None)

    def appended(self, node: int, fact: Appended) -> None:
        talk = self._talks.get((node, fact.source)) if fact.source else None
        if talk and fact.feed in talk.asked:
            talk.asked[fact.feed] = self._view.now

    def handle(self, node: int, said: facts.Said) -> None:
        match said.message:
            case EbtNotes(notes):
                self._notes(node, said.to, notes)
            case Range(again=True):
                self._saw("message sent again")
            case HistoryRequest(limit=limit):
                self._saw("history stream used" if limit is None else "fork proof asked for")
            case _:
                pass

    def _notes(self, node: int, to: PeerId, notes: Mapping[FeedId, int]) -> None:
        heard = self._talks.get((self._view.numbers.get(to, -1), self._view.world.sites[node].peer))
        if heard is not None:
            heard.claims.update({feed: note >> 1 for feed, note in notes.items()})
        talk = self._talks.get((node, to))
        if talk is None:
            return
        if not talk.opened:
            talk.opened = True
            self._open(node, notes)
        for feed, note in notes.items():
            if not note & 1:
                self._ask(node, to, feed)

    def _open(self, node: int, notes: Mapping[FeedId, int]) -> None:
        """SPEC replication 4: of feeds of which there is something, some may be left out."""
        site = self._view.honest[node]
        if self._view.logs.length(node, site.feed) and site.feed not in notes:
            self._saw("request skipped by stored clock")
            return
        for feed in self._view.logs.feeds_of(node):
            replicated = site.disk.get(b"r/f" + feed) is not None
            if feed not in notes and replicated and self._view.logs.length(node, feed):
                self._saw("request skipped by stored clock")
                return

    def _ask(self, node: int, to: PeerId, feed: FeedId) -> None:
        before = self._sources.get((node, feed))
        self._sources[node, feed] = to
        self._talks[node, to].asked[feed] = self._view.now
        if before is None or before == to or (talk := self._talks.get((node, before))) is None:
            return
        since = talk.asked.get(feed, self._view.now)
        # What a byzantine peer claims is not told; it had been asked, so that it did claim.
        byzantine = self._view.numbers.get(before, -1) not in self._view.honest
        more = byzantine or talk.claims.get(feed, 0) > self._view.logs.length(node, feed)
        if more and self._view.now >= since + STALL_S * 0.99:
            self._saw("stalled source replaced")
