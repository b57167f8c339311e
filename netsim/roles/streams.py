"""The streams of a role that is honest about them: their machines, on a disk that takes no time."""

from collections import deque
from collections.abc import Iterable

from netsim import messages as n
from netsim.clocks import EPOCH_S
from netsim.signatures import verify_checks
from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.gossip import messages as g
from qbix_node.gossip.machine import Gossiper
from qbix_node.replication.messages import EbtEnded, EbtNotes, Range, Stop
from qbix_node.replication.outbox import Outbox
from qbix_node.replication.streams.choice import StreamChoice
from qbix_node.replication.streams.contents.messages import Contents, NoContents, WantContents
from qbix_node.replication.streams.machine import StreamReplicator
from qbix_node.replication.streams.messages import FormatCall, PeerHolds, StopStream
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import Book
from qbix_node.sequencing.machine import Kept, Sequencer
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.messages import ENTRIES_MAX, Grown, HeadContradicts, OfferedSegment
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import FORKED
from qbix_node.streams.serving import make_segments
from qbix_node.streams.shelf import answer_contents
from qbix_node.wire.references import StreamId

_STREAMS, _GOSSIP, _SEQUENCING = "streams/", "gossip/", "sequencing/"  # parts, and their timers
_Told = tuple[str, m.Event]  # for which part


class StreamSide:
    """`keys`: of who owns what is made here."""

    def __init__(self, keys: KeyPair) -> None:
        self.disk = MemoryDisk()
        self.replicator = StreamReplicator(
            keys, choice=StreamChoice(), geneses={}, logs={}, stopped={}, resolutions={}
        )
        book = self.replicator.book
        self.logs: dict[StreamId, LogState] = book.logs
        self.gossiper = Gossiper(book.geneses, book.logs, {}, {})
        read = Book(
            book.geneses,
            book.logs,
            book.stopped,
            self.replicator.choice.replicates,
            book.switching,
            lambda stream: None,  # it never waits to be told what it signed
        )
        self.sequencer = Sequencer(keys, read, Kept(), epoch_s=EPOCH_S)
        self._parts: dict[str, m.Machine] = {
            _STREAMS: self.replicator,
            _GOSSIP: self.gossiper,
            _SEQUENCING: self.sequencer,
        }
        self._outboxes: dict[m.PeerId, Outbox[StreamId]] = {}

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> list[m.Effect]:
        """Send and SetTimer only. Other events than of streams and links: nothing."""
        out: list[m.Effect] = []
        told = deque(self._translate(event, out))
        while told:
            part, inner = told.popleft()
            for effect in self._parts[part].handle(inner, now, rng):
                told += self._do(effect, out, part)
        for peer, outbox in self._outboxes.items():
            out += self._take(peer, outbox)
        return out

    def _translate(self, event: m.Event, out: list[m.Effect]) -> Iterable[_Told]:
        match event:
            case m.Connected(peer, outgoing):
                self._outboxes[peer] = Outbox(most=ENTRIES_MAX)
                yield _STREAMS, event
                if outgoing:
                    out += [m.Send(peer, n.HeadsCall()), m.Send(peer, n.SequenceCall())]
                    yield _SEQUENCING, event
                    yield from self._converse(event)
            case m.Disconnected(peer):
                self._outboxes.pop(peer, None)
                yield from [(part, event) for part in self._parts]
            case m.TimerFired(name):
                yield next((part for part in self._parts if name.startswith(part)), _STREAMS), event
            case m.Requested(q.Begin() | q.Write()):
                yield _SEQUENCING, event
            case m.Requested():
                yield _STREAMS, event
            case m.Received(peer, WantContents(stream, places)):
                out.append(
                    m.Send(peer, Contents(answer_contents(self.disk, stream, places).contents))
                )
            case m.Received(peer, message):
                yield from self._hear(peer, message)
            case _:
                pass

    def _hear(self, peer: m.PeerId, message: object) -> Iterable[_Told]:
        match message:
            case n.HeadsCall():
                yield from self._converse(m.Connected(peer, outgoing=False))
            case n.HeadsEnded():
                yield _GOSSIP, m.Disconnected(peer)
            case n.SequenceCall():
                yield _SEQUENCING, m.Connected(peer, outgoing=False)
            case n.SequenceEnded():
                yield _SEQUENCING, m.Disconnected(peer)
            case n.StreamNotes(notes):
                yield _STREAMS, m.Received(peer, EbtNotes(notes))
            case n.StreamsEnded(reason):
                yield _STREAMS, m.Received(peer, EbtEnded(reason))
            case FormatCall() | OfferedSegment():
                yield _STREAMS, m.Received(peer, message)
            case _ if isinstance(message, g.Message):
                yield _GOSSIP, m.Received(peer, message)
            case _ if isinstance(message, q.Message):
                yield _SEQUENCING, m.Received(peer, message)
            case _:
                pass

    def _converse(self, event: m.Connected) -> Iterable[_Told]:
        yield _GOSSIP, event
        held = tuple(self.replicator.held_by(event.peer))
        yield _GOSSIP, m.Requested(g.Announced(event.peer, held, ()))

    def _do(self, effect: m.Effect, out: list[m.Effect], part: str) -> Iterable[_Told]:
        """Slow work is done at once."""
        match effect:
            case m.Persist(token, writes):
                self.disk.append(writes)
                self.disk.sync()
                yield part, m.Persisted(token)
            case m.Verify(token, checks):
                yield part, m.Verified(token, verify_checks(checks))
            case m.Ask(token, question):
                yield part, m.Answered(token, question.answer(self.disk))
            case m.Send(peer, EbtNotes() | Range() | Stop() as message):
                if peer in self._outboxes:
                    self._outboxes[peer].put(message)
            case m.Send(peer, WantContents()):
                yield part, m.Received(peer, NoContents(never=True))  # it asks for none
            case m.Send() | m.SetTimer():
                out.append(effect)
            case m.Emit(finding):
                yield from self._found(finding)
            case _:
                pass

    def _found(self, finding: object) -> Iterable[_Told]:
        match finding:
            case PeerHolds(peer, streams):
                here = tuple([stream for stream, holds in streams.items() if holds])
                gone = tuple([stream for stream, holds in streams.items() if not holds])
                yield _GOSSIP, m.Requested(g.Announced(peer, here, gone))
            case HeadContradicts(peer, signed):
                yield _GOSSIP, m.Requested(g.Contradiction(peer, signed))
            case g.ForkProven(fork):
                yield _STREAMS, m.Requested(StopStream(fork.stream, FORKED))
            case Grown(stream, first, stop):
                yield _SEQUENCING, m.Requested(q.Grew(stream, first, stop))
            case q.Completed(segment):
                yield _STREAMS, m.Requested(OfferedSegment(segment))
            case _:
                pass

    def _take(self, peer: m.PeerId, outbox: Outbox[StreamId]) -> Iterable[m.Effect]:
        while (message := outbox.take()) is not None:
            match message:
                case EbtNotes(notes):
                    yield m.Send(peer, n.StreamNotes(notes))
                case Range(stream, first, last) if state := self.logs.get(stream):
                    for segment in make_segments(self.disk, state, first - 1, last):
                        yield m.Send(peer, OfferedSegment(segment))
                case _:
                    pass
