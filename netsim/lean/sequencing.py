"""The world of the Sequencer: what `qbix_node.sequencing.service` is in the daemon, with what the
daemon does about streams that several write into.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from netsim import facts
from netsim import messages as n
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.streaming import Streaming
from netsim.lean.writer import Writer
from netsim.plan import Do, Operation
from netsim.streams import PlannedStream, entries_of
from qbix_node import machines as m
from qbix_node.daemon.stream_founding import SIGNED_S
from qbix_node.errors import LocalError
from qbix_node.replication.streams.files import require_same
from qbix_node.replication.streams.machine import EXPORT
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import Book
from qbix_node.sequencing.machine import Kept, Sequencer
from qbix_node.sequencing.records import (
    read_choices,
    read_runs,
    read_signed,
    read_votes,
    read_written,
)
from qbix_node.sequencing.withdrawing import Withdrawn
from qbix_node.streams.messages import Grown, Segment, SegmentSettled
from qbix_node.streams.serving import Entry, read_entries
from qbix_node.wire.references import StreamId


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    operation: Operation
    stream: PlannedStream


class Sequencing:
    def __init__(self, process: Process, writer: Writer, streaming: Streaming) -> None:
        self._process = process
        self._streaming = streaming
        site, replicator = process.site, streaming.machine
        disk, book = site.disk, replicator.book
        known = read_runs(disk), read_signed(disk), read_written(disk)
        kept = Kept(*known, read_votes(disk), read_choices(disk))
        read = Book(
            book.geneses,
            book.logs,
            book.stopped,
            replicator.choice.replicates,
            book.switching,
            book.why_wait,
        )
        epoch_s = site.clock.wall() - process.now()
        self.machine = Sequencer(site.keys, read, kept, epoch_s=epoch_s)
        book.caution.signed = self._signed_length
        self._runner = Runner(process, writer, self.machine, self, rng=site.rng("sequencing"))
        self._talks: dict[m.PeerId, Link] = {}
        self._numbers = count(1)
        self._wishes: dict[int, _Wish] = {}
        self._completed: dict[StreamId, Segment] = {}  # to be taken into the log
        self._taking = False
        streaming.listen(self._hear)

    def _signed_length(self, stream: StreamId) -> int:
        signed = self.machine.signed.get(stream)
        return signed.length if signed else 0

    def start(self) -> None:
        self._runner.post(m.Requested(q.Start()))

    # ---- what its person asks ----

    def hand_in(self, stream: PlannedStream, operation: Operation) -> None:
        if operation.do is Do.CREATE_STREAM:
            self._streaming.follow(stream)
            self._ask(_Wish(operation, stream), lambda number: q.Begin(number, stream.genesis))
        else:
            self._append(stream, operation)

    def _append(self, stream: PlannedStream, operation: Operation) -> None:
        """At once, or when that is safe; if it is not signed for long, it is given up."""
        proposal = self.machine.proposals.get(stream.id)
        if proposal is not None and proposal.run.first == 0:  # it has not begun
            self._process.tell(facts.HandedIn(operation, None))
            return
        wish, entries = _Wish(operation, stream), entries_of(operation)
        self._streaming.when_safe(
            stream, lambda: self._ask(wish, lambda number: q.Write(number, stream.id, entries))
        )

    def _ask(self, wish: _Wish, make: Callable[[int], object]) -> None:
        number = next(self._numbers)
        self._wishes[number] = wish
        self._runner.post(m.Requested(make(number)))
        self._process.later(SIGNED_S, self._give_up, number)

    def _give_up(self, number: int) -> None:
        if number in self._wishes:
            self._answer(number, None)
            self._runner.post(m.Requested(q.GiveUp(number)))

    def _answer(self, number: int, places: tuple[int, ...] | None) -> None:
        if wish := self._wishes.pop(number, None):
            self._process.tell(facts.HandedIn(wish.operation, places))

    # ---- links ----

    def begin(self, link: Link) -> None:
        if link.outgoing:
            link.say(n.SequenceCall())
            self._converse(link)

    def hear(self, link: Link, message: object) -> None:
        """One of netsim.messages.OF_SEQUENCING."""
        match message:
            case n.SequenceCall():
                if link.outgoing or link.peer in self._talks:
                    link.close("qbix.sequence is called by the side that dialled, and once")
                else:
                    self._converse(link)
            case n.SequenceEnded():
                self.end(link)
            case _ if link.peer in self._talks:
                self._runner.post(m.Received(link.peer, message))
            case _:
                pass  # of a conversation that is over

    def end(self, link: Link) -> None:
        if self._talks.pop(link.peer, None):
            self._runner.post(m.Disconnected(link.peer))

    def _converse(self, link: Link) -> None:
        self._talks[link.peer] = link
        self._runner.post(m.Connected(link.peer, link.outgoing))

    # ---- what replication finds ----

    def _hear(self, finding: object) -> None:
        match finding:
            case Grown(stream, first, stop) if self._is_sequenced(stream):
                self._runner.post(m.Requested(q.Grew(stream, first, stop)))
            case Withdrawn():
                self._runner.post(m.Requested(finding))
            case SegmentSettled(peer) if peer == EXPORT:
                self._taking = False
                self._take_next()
            case _:
                pass

    def _is_sequenced(self, stream: StreamId) -> bool:
        """Of others the Sequencer has nothing to do, and most are such."""
        genesis = self._streaming.machine.book.geneses.get(stream)
        return genesis is not None and genesis.sequenced

    def _take_next(self) -> None:
        """Into the log, by the path of imports: all is checked again."""
        while self._completed and not self._taking:
            stream = next(iter(self._completed))
            segment = self._completed.pop(stream)
            try:
                require_same(segment, self._entries(segment))
            except LocalError:
                continue  # it stays proposed
            self._taking = True
            self._streaming.take(segment)

    def _entries(self, segment: Segment) -> Iterator[Entry]:
        stop = min(segment.stop, self._streaming.machine.book.length(segment.stream))
        return read_entries(self._process.site.disk, segment.stream, segment.first, stop)

    # ---- the Sequencer's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        if link := self._talks.get(to):
            self._process.said_of_streams(to, message)
            link.say(message)

    def found(self, finding: object) -> None:
        match finding:
            case q.Completed(segment):
                self._completed[segment.stream] = segment
                self._take_next()
            case q.Done(request, places):
                self._answer(request, places)
            case q.Failed(request):
                wish = self._wishes.get(request)
                if wish is not None and wish.operation.do is Do.CREATE_STREAM:
                    self._streaming.unfollow(wish.stream)
                self._answer(request, None)
            case _:
                pass
        self._process.tell(finding)
