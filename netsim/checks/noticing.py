"""Notices that the events of netsim.checks.sometimes happen, and counts them."""

import math
from collections import Counter
from typing import ClassVar

from netsim import facts
from netsim.asking import blob_of
from netsim.checks.check import Facts, View
from netsim.checks.partitions import Partitions
from netsim.checks.talks import Talks
from netsim.plan import Do, Fault, Operation, PlannedFault
from qbix_node.blobs import messages as b
from qbix_node.feeds.messages import (
    Appended,
    ForkFound,
    ForkSuspected,
    Published,
    Refusal,
    Skipped,
)
from qbix_node.machines import PeerId
from qbix_node.net import messages as k
from qbix_node.replication.messages import Granted, Unfollow
from qbix_node.wire.references import BlobId, FeedId

HOUR_S = 3600.0
# Of the reasons of connections that ended: somebody looked for a sign of life, and found none.
_SILENCE = ("silen", "no sign of life", "timed out")
_COLLISION = ("replaced by another connection", "already connected")
_CROWD = "too many connections from one host"
_AT_ONCE_S = 1.0  # after packets were let go
_MANY = 10
_SIGNATURE = "signature does not match"


class Noticing:
    watches: ClassVar[Facts] = (
        facts.Asked,
        facts.Crashed,
        facts.DiskFull,
        facts.FaultBegan,
        facts.FaultEnded,
        facts.LinkDown,
        facts.LinkUp,
        facts.RolledBack,
        facts.Said,
        facts.Started,
        Appended,
        ForkFound,
        ForkSuspected,
        Granted,
        Published,
        Refusal,
        Skipped,
        b.Arrived,
        b.Discard,
        b.Unfetched,
        b.Wanted,
        k.Hangup,
    )

    def __init__(self, view: View, events: Counter[str]) -> None:
        self._view = view
        self._events = events
        self._partitions = Partitions(view, self.saw)
        self._talks = Talks(view, self.saw)
        self._lives: dict[int, int] = {}
        self._lost: set[tuple[int, PeerId]] = set()  # connections that were up
        self._up: set[tuple[int, PeerId]] = set()
        self._let_go_at: dict[int, float] = {}  # when packets were held no longer
        self._torn: set[int] = set()
        self._full: set[int] = set()
        self._suspected: set[tuple[int, FeedId]] = set()
        self._wished: dict[tuple[int, BlobId], int] = {}  # by the operator; in which life
        self._failed: dict[tuple[int, BlobId], None] = {}

    def saw(self, name: str) -> None:
        self._events[name] += 1

    def misdeed(self, node: int, fact: object) -> None:
        """What a byzantine node does."""
        if isinstance(fact, facts.Said):
            self._talks.handle(node, fact)

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Said():
                self._talks.handle(node, fact)
            case Appended() | Published():
                self._grown(node, fact)
            case facts.LinkUp() | facts.LinkDown() | k.Hangup():
                self._link(node, fact)
            case b.Arrived() | b.Discard() | b.Unfetched() | b.Wanted():
                self._blob(node, fact)
            case ForkFound() | ForkSuspected() | Refusal() | Skipped():
                self._feed(node, fact)
            case _:
                self._life(node, fact)

    def finish(self) -> None:
        """Neighbours with different branches of one length, and no evidence."""
        for node, peer in sorted(self._up):
            other = self._view.numbers.get(peer, -1)
            if other in self._view.honest:
                self._compare(node, other)

    def _compare(self, node: int, other: int) -> None:
        logs = self._view.logs
        for feed in logs.feeds_of(node):
            length = logs.length(node, feed)
            if self._view.author(feed) or not length or length != logs.length(other, feed):
                continue
            if logs.id_at(node, feed, length) != logs.id_at(other, feed, length):
                self.saw("fork unseen at equal length")

    # ---- links ----

    def _link(self, node: int, fact: object) -> None:
        match fact:
            case facts.LinkUp(peer):
                self._up.add((node, peer))
                self._talks.linked(node, peer)
                if (node, peer) in self._lost:
                    self._lost.discard((node, peer))
                    self.saw("link lost and back")
                if self._view.world.plan.lan and self._is_stranger(node, peer):
                    self.saw("node heard on the local network")
            case facts.LinkDown(peer, reason):
                self._up.discard((node, peer))
                self._lost.add((node, peer))
                self._talks.unlinked(node, peer)
                if any(word in reason for word in _SILENCE):
                    self.saw("half-open link given up")
            case k.Hangup(_, reason):
                if reason.startswith(_COLLISION):
                    self.saw("dials collided")
                elif reason == _CROWD:
                    self.saw("host with too many connections")
            case _:
                pass

    def _is_stranger(self, node: int, peer: PeerId) -> bool:
        other = self._view.numbers.get(peer, -1)
        if other not in self._view.honest:
            return False
        disks = self._view.honest[node].disk, self._view.honest[other].disk
        keys = peer, self._view.honest[node].peer
        return all(disk.get(b"p/a" + key) is None for disk, key in zip(disks, keys, strict=True))

    # ---- processes, disks, clocks ----

    def _life(self, node: int, fact: object) -> None:
        match fact:
            case facts.Started():
                self._lives[node] = self._lives.get(node, 0) + 1
                if node in self._torn:
                    self._torn.discard(node)
                    self.saw("torn batch refused")
            case facts.Crashed(_, lost, torn):
                self._end(node)
                self.saw("node crashed")
                self._events["unsynced batch lost"] += int(lost > 0)
                if torn:
                    self._torn.add(node)
            case facts.RolledBack(noticed=noticed):
                self.saw("roll-back noticed" if noticed else "restore unnoticed")
            case facts.DiskFull():
                self._full.add(node)
            case facts.FaultBegan(fault):
                self._partitions.begin(fault)
                far = abs(fault.amount) > HOUR_S
                if fault.fault is Fault.SKEW and far:
                    self.saw("skew beyond an hour")
            case facts.FaultEnded(fault):
                self._end_of_fault(node, fault)
            case _:
                self._wish(node, fact)

    def _end_of_fault(self, node: int, fault: PlannedFault) -> None:
        self._partitions.end(fault)
        if fault.fault is Fault.HOLD:
            self._let_go_at[node] = self._view.now

    def _wish(self, node: int, fact: object) -> None:
        match fact:
            case Granted(Unfollow()):
                self.saw("feed unfollowed")
            case facts.Asked(Operation(do=Do.BLOCK, target=int() as target)):
                if (node, self._view.world.sites[target].peer) in self._up:
                    self.saw("peer blocked while connected")
            case facts.Asked(Operation(do=Do.ADD_BLOB | Do.WANT_BLOB) as operation):
                place = node, blob_of(operation)
                self._wished.setdefault(place, self._lives.get(node, 0))
            case _:
                pass

    def _end(self, node: int) -> None:
        gone = sorted([pair for pair in self._up if pair[0] == node])
        self._up.difference_update(gone)
        self._lost.update(gone)
        for _, peer in gone:
            self._talks.unlinked(node, peer)

    # ---- feeds ----

    def _grown(self, node: int, fact: Appended | Published) -> None:
        if isinstance(fact, Published):
            self._partitions.published(node)
            if isinstance(fact.message.content, str):
                self.saw("private message opened")
            return
        self._partitions.appended(node, fact)
        self._talks.appended(node, fact)
        if node in self._full:
            self._full.discard(node)
            self.saw("disk full and recovered")
        if fact.source is not None:
            self._brought(node, fact, fact.source)

    def _brought(self, node: int, fact: Appended, source: PeerId) -> None:
        """By a peer."""
        if FeedId(source) != fact.feed:
            self.saw("message handed on")
        if fact.last - fact.first + 1 >= _MANY:
            self.saw("many messages at once")
        if self._view.now <= self._let_go_at.get(node, -math.inf) + _AT_ONCE_S:
            self.saw("held messages arrived")
        if fact.feed == self._view.honest[node].feed:
            self.saw("own feed back from peers")

    def _feed(self, node: int, fact: object) -> None:
        match fact:
            case ForkSuspected(_, feed):
                self._suspected.add((node, feed))
            case ForkFound(feed):
                unequal = (node, feed) in self._suspected
                self.saw("fork found")
                self.saw(f"fork found at {'unequal' if unequal else 'equal'} length")
                self._partitions.found(fact)
            case Refusal(_, _, _, reason):
                self.saw("message refused")
                if reason == _SIGNATURE:
                    self.saw("bad signature refused")
            case Skipped():
                self.saw("messages skipped")
            case _:
                pass

    # ---- blobs ----

    def _blob(self, node: int, fact: object) -> None:
        match fact:
            case b.Wanted(blob):
                self._wished[node, blob] = self._lives.get(node, 0)
            case b.Arrived(blob):
                life = self._wished.get((node, blob))
                self.saw("blob arrived by sympathy" if life is None else "blob arrived")
                if life is not None and life < self._lives.get(node, 0):
                    self.saw("want outlived a restart")
                if (node, blob) in self._failed:
                    del self._failed[node, blob]
                    self.saw("blob fetched elsewhere")
            case b.Discard():
                self.saw("blob made room")
            case b.Unfetched(_, blob, failure):
                if failure is b.Failure.WRONG:
                    self.saw("wrong blob bytes refused")
                self._failed[node, blob] = None
            case _:
                pass
