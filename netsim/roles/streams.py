"""The streams of a role that is honest about them: their machines, on a disk that takes no time."""

from collections import deque
from collections.abc import Iterable

from netsim import messages as n
from netsim.signatures import verify_checks
from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.gossip import messages as g
from qbix_node.gossip.machine import Gossiper
from qbix_node.replication.messages import EbtEnded, EbtNotes, Range, Stop
from qbix_node.replication.outbox import Outbox
from qbix_node.replication.streams.choice import StreamChoice
from qbix_node.replication.streams.contents.messages import NoContents, WantContents
from qbix_node.replication.streams.machine import StreamReplicator
from qbix_node.replication.streams.messages import FormatCall, PeerHolds, StopStream
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.messages import ENTRIES_MAX, HeadContradicts, OfferedSegment
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import FORKED
from qbix_node.streams.serving import make_segments
from qbix_node.wire.references import StreamId

_GOSSIP = "gossip/"  # what timers of the Gossiper begin with
_Told = tuple[bool, m.Event]  # whether it is for the Gossiper


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
        self._outboxes: dict[m.PeerId, Outbox[StreamId]] = {}

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> list[m.Effect]:
        """Send and SetTimer only. Other events than of streams and links: nothing."""
        out: list[m.Effect] = []
        told = deque(self._translate(event, out))
        while told:
            gossip, inner = told.popleft()
            machine: m.Machine = self.gossiper if gossip else self.replicator
            for effect in machine.handle(inner, now, rng):
                told += self._do(effect, out, gossip=gossip)
        for peer, outbox in self._outboxes.items():
            out += self._take(peer, outbox)
        return out

    def _translate(self, event: m.Event, out: list[m.Effect]) -> Iterable[_Told]:
        match event:
            case m.Connected(peer, outgoing):
                self._outboxes[peer] = Outbox(most=ENTRIES_MAX)
                yield False, event
                if outgoing:
                    out.append(m.Send(peer, n.HeadsCall()))
                    yield from self._converse(event)
            case m.Disconnected(peer):
                self._outboxes.pop(peer, None)
                yield from ((False, event), (True, event))
            case m.TimerFired(name):
                yield name.startswith(_GOSSIP), event
            case m.Requested():
                yield False, event
            case m.Received(peer, message):
                yield from self._hear(peer, message)
            case _:
                pass

    def _hear(self, peer: m.PeerId, message: object) -> Iterable[_Told]:
        match message:
            case n.HeadsCall():
                yield from self._converse(m.Connected(peer, outgoing=False))
            case n.HeadsEnded():
                yield True, m.Disconnected(peer)
            case n.StreamNotes(notes):
                yield False, m.Received(peer, EbtNotes(notes))
            case n.StreamsEnded(reason):
                yield False, m.Received(peer, EbtEnded(reason))
            case FormatCall() | OfferedSegment():
                yield False, m.Received(peer, message)
            case _ if isinstance(message, g.Message):
                yield True, m.Received(peer, message)
            case _:
                pass

    def _converse(self, event: m.Connected) -> Iterable[_Told]:
        yield True, event
        held = tuple(self.replicator.held_by(event.peer))
        yield True, m.Requested(g.Announced(event.peer, held, ()))

    def _do(self, effect: m.Effect, out: list[m.Effect], *, gossip: bool) -> Iterable[_Told]:
        """Slow work is done at once."""
        match effect:
            case m.Persist(token, writes):
                self.disk.append(writes)
                self.disk.sync()
                yield gossip, m.Persisted(token)
            case m.Verify(token, checks):
                yield gossip, m.Verified(token, verify_checks(checks))
            case m.Ask(token, question):
                yield gossip, m.Answered(token, question.answer(self.disk))
            case m.Send(peer, EbtNotes() | Range() | Stop() as message):
                if peer in self._outboxes:
                    self._outboxes[peer].put(message)
            case m.Send(peer, WantContents()):
                yield gossip, m.Received(peer, NoContents(never=True))  # it asks for none
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
                yield True, m.Requested(g.Announced(peer, here, gone))
            case HeadContradicts(peer, signed):
                yield True, m.Requested(g.Contradiction(peer, signed))
            case g.ForkProven(fork):
                yield False, m.Requested(StopStream(fork.stream, FORKED))
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
