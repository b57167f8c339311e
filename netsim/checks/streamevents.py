"""Notices the events of netsim.checks.sometimes that are about streams."""

import math
from collections.abc import Callable
from typing import ClassVar

from netsim import facts
from netsim.checks.branches import Dropped, NewPlace, NowAt
from netsim.checks.check import Facts, View
from netsim.plan import Fault, PlannedFault
from qbix_node.gossip import messages as g
from qbix_node.machines import PeerId
from qbix_node.replication.messages import Granted
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.messages import FollowStream, UnfollowStream
from qbix_node.sequencing import messages as q
from qbix_node.streams.forks import HeadFork
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Grown, HeadContradicts, SegmentRefused, SegmentSkipped
from qbix_node.wire.references import StreamId

_Head = tuple[StreamId, int, bytes]  # stream, length, root
_CONTENTS = b"s/c"
_NAMED = {
    SegmentRefused: "segment refused",
    SegmentSkipped: "segment skipped",
    HeadContradicts: "Head contradicted",
    LiarFound: "gossip refused",
    q.CoSigningRefused: "Head not signed",
    Dropped: "log dropped",
    c.ContentsRefused: "contents refused",
}


class StreamEvents:
    watches: ClassVar[Facts] = (
        facts.FaultBegan,
        facts.FaultEnded,
        facts.RolledBack,
        facts.SaidOfStreams,
        facts.Started,
        g.ForkProven,
        LiarFound,
        g.ForkResolved,
        Dropped,
        c.ContentsRefused,
        c.Filled,
        Granted,
        Grown,
        HeadContradicts,
        NewPlace,
        NowAt,
        SegmentRefused,
        SegmentSkipped,
        q.CoSigningRefused,
    )

    def __init__(self, view: View, saw: Callable[[str], None]) -> None:
        self._view = view
        self._saw = saw
        self._held: dict[_Head, tuple[int, float]] = {}  # by whom first, and since when
        self._proven: dict[StreamId, None] = {}
        self._partitions: dict[PlannedFault, tuple[float, float]] = {}
        self._before: dict[int, dict[StreamId, int]] = {}  # own lengths of who was put back

    def handle(self, node: int, fact: object) -> None:
        if (name := _NAMED.get(type(fact))) is not None:
            self._saw(name)
        match fact:
            case NowAt() | NewPlace():
                self._seen(node, fact)
            case Grown(stream, first, stop, source):
                self._grown(node, stream, first, stop, source)
            case facts.SaidOfStreams(_, message):
                self._said(node, message)
            case g.ForkProven() | g.ForkResolved():
                self._proof(fact)
            case Granted(UnfollowStream()):
                self._saw("stream unfollowed")
            case Granted(FollowStream(headers_only=True)):
                self._saw("stream without contents")
            case c.Filled(peer=peer) if peer is not None:
                self._saw("contents fetched later")
            case _:
                self._fault(node, fact)

    def _seen(self, node: int, fact: NowAt | NewPlace) -> None:
        """On the disk."""
        match fact:
            case NowAt(stream, _, log):
                self._held.setdefault((stream, *log.head), (node, self._view.now))
                if len(log.signatures) > 1:
                    self._saw("entries signed together")
            case NewPlace(stream, place) if place.length > 1:
                planned = self._view.world.streams.by_id.get(stream)
                if planned is not None and planned.sequenced and place.author != planned.owner_key:
                    self._saw("entry of a writer placed")
            case _:
                pass

    def _said(self, node: int, message: object) -> None:
        match message:
            case g.Heads(heads):
                for shown in heads:
                    log = self._view.branches.record(node, shown.head.stream)
                    if log is not None and shown.head.length > log.head[0]:
                        self._saw("pending Head")
            case g.Compare():
                self._saw("logs compared")
            case _:
                pass

    def _grown(
        self, node: int, stream: StreamId, first: int, stop: int, source: PeerId | None
    ) -> None:
        if source is None:
            return
        owner = self._view.world.streams.by_id.get(stream)
        if owner is not None and self._view.numbers.get(source) != owner.owner:
            self._saw("stream handed on")
        if owner is not None and owner.owner == node:
            self._saw("own stream back from peers")
        if stop - first > 1:
            self._saw("several entries at once")
        place = _CONTENTS + stream + first.to_bytes(4, "big")
        if first > 0 and self._view.honest[node].disk.get(place) is None:
            self._saw("content missing")

    # ---- forks ----

    def _proof(self, fact: g.ForkProven | g.ForkResolved) -> None:
        match fact:
            case g.ForkResolved(resolution):
                self._saw("branch chosen")
                self._found(resolution.fork)
            case g.ForkProven(HeadFork() as fork):
                self._found(fork)
            case _:
                self._saw("stream closed")

    def _found(self, fork: HeadFork) -> None:
        shown, other = fork.shown.head, fork.other.head
        if len(fork.genesis.owners.weights) > 1:
            self._saw("fork of several owners")
        equal = shown.length == other.length
        self._saw("equal-length fork" if equal else "unequal-length fork")
        if fork.stream in self._proven:
            return
        self._proven[fork.stream] = None
        sides = [self._held.get((fork.stream, each.length, each.root)) for each in (shown, other)]
        if sides[0] is not None and sides[1] is not None:
            (one, since), (two, also) = sides[0], sides[1]
            if self._was_divided(one, two, max(since, also)):
                self._saw("fork across a partition")

    def _was_divided(self, one: int, other: int, since_s: float) -> bool:
        """While both branches were there, which nobody knew."""
        return any(
            end_s > since_s and (one in fault.nodes) != (other in fault.nodes)
            for fault, (_, end_s) in self._partitions.items()
        )

    # ---- faults ----

    def _fault(self, node: int, fact: object) -> None:
        match fact:
            case facts.FaultBegan(fault) if fault.fault is Fault.PARTITION:
                self._partitions[fault] = self._view.now, math.inf
            case facts.FaultEnded(fault) if fault in self._partitions:
                self._partitions[fault] = self._partitions[fault][0], self._view.now
            case facts.RolledBack():
                self._before[node] = self._own_lengths(node)
            case facts.Started() if node in self._before:
                lengths = self._own_lengths(node)
                for stream, length in self._before.pop(node).items():
                    if lengths.get(stream, 0) < length:
                        self._saw("restored owner")
            case _:
                pass

    def _own_lengths(self, node: int) -> dict[StreamId, int]:
        return {
            stream: place.length
            for stream, place in self._view.branches.streams_of(node).items()
            if (owner := self._view.honest_owner(stream)) and owner.number == node
        }
