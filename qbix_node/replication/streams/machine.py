"""Decide which streams travel between this node and its peers (spec/replication.md 10).

A StreamReplicator owns the StreamBook and what was said to and by connected peers. It hands out
entries by naming them (Range): reading and sending them is left to whoever runs it.
"""

from collections.abc import Iterable, Sequence

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.replication.conversations import Conversations
from qbix_node.replication.messages import REFUSED, Denied, EbtEnded, EbtNotes, Granted
from qbix_node.replication.peers import Peer, Phase
from qbix_node.replication.streams.choice import StreamChoice
from qbix_node.replication.streams.messages import (
    FollowStream,
    Format,
    FormatCall,
    PeerHolds,
    StopStream,
    UnfollowStream,
)
from qbix_node.streams import messages as s
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.records import LogState
from qbix_node.wire.references import StreamId

EXPORT = m.PeerId(b"export")  # in the place of a peer; no key is so short
STALL_CHECK_S = 1.0  # how often stalled sources are looked for, while a peer claims more
_STALL = "streams/stall"

Effects = list[m.Effect]


class StreamReplicator:
    """`choice`, `geneses`, `logs`, `stopped`: what the store holds."""

    def __init__(
        self,
        keys: KeyPair,
        *,
        choice: StreamChoice,
        geneses: dict[StreamId, Genesis],
        logs: dict[StreamId, LogState],
        stopped: dict[StreamId, str],
    ) -> None:
        self._tokens = m.Tokens()
        self.choice = choice
        self.book = StreamBook(keys, self._tokens, geneses, logs, stopped)
        for stream in geneses:
            if self.book.owns(stream):
                choice.owned[stream] = None
        for stream in choice.replicated():
            self.book.accept(stream)
        self.talks: Conversations[StreamId] = Conversations(
            choice, self.book.logs, self.book.stopped, self.may_read
        )
        self._formats: dict[m.PeerId, Format] = {}  # in which we talk, or have called
        self._then: dict[m.Token, list[m.Effect]] = {}  # by the write that they wait for
        self._watching = False  # for stalls

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects = self._decide(event, now, rng)
        effects += self.talks.take()
        if (self.talks.sources.behind or self.talks.doubts) and not self._watching:
            self._watching = True
            effects.append(m.SetTimer(_STALL, now + STALL_CHECK_S))
        return tuple(effects)

    def may_read(self, peer: m.PeerId, stream: StreamId) -> bool:
        """SPEC streams 1: readers. Of a stream that isn't here yet nobody knows who they are."""
        genesis = self.book.geneses.get(stream)
        return genesis is None or genesis.readers is None or peer in genesis.readers

    def serves(self, peer: m.PeerId, stream: StreamId) -> bool:
        return self.choice.replicates(stream) and self.may_read(peer, stream)

    def held_by(self, peer_id: m.PeerId) -> list[StreamId]:
        """Streams that we share with the peer, by what it said in this conversation."""
        peer = self.talks.peers.get(peer_id)
        exchanges = peer.exchanges if peer else {}
        return [
            stream
            for stream, exchange in exchanges.items()
            if exchange.theirs not in (None, REFUSED) and self.serves(peer_id, stream)
        ]

    def _decide(self, event: m.Event, now: float, rng: m.Rng) -> Effects:
        match event:
            case m.Received(peer, s.OfferedSegment() as offered):
                return self._offer(peer, offered, now, rng)
            case m.Received(peer, message):
                return self._receive(peer, message, now)
            case m.Connected(peer, outgoing):
                return self._connect(peer, now, outgoing=outgoing)
            case m.Disconnected(peer):
                self._leave(peer, now)
                return []
            case m.Requested(s.OfferedSegment() as offered):  # from a file: the same checks
                return self._judge(self.book.handle(m.Received(EXPORT, offered), now, rng), now)
            case m.Requested(FollowStream() | UnfollowStream() as change):
                return self._change(change, now)
            case m.Requested(StopStream(stream, reason)):
                self.book.stopped[stream] = reason
                self.talks.stop_asking(stream)
                return []
            case m.TimerFired(name) if name == _STALL:
                self._watching = False
                self.talks.check_stalls(now)
                self.talks.send_again(now)
                return []
            case m.Persisted(token):
                then = self._then.pop(token, [])
                return [*then, *self._judge(self.book.handle(event, now, rng), now)]
            case _:
                return self._judge(self.book.handle(event, now, rng), now)

    # ---- peers ----

    def _connect(self, peer_id: m.PeerId, now: float, *, outgoing: bool) -> Effects:
        self._leave(peer_id, now)
        self.talks.peers[peer_id] = Peer(outgoing)
        # SPEC replication 10: who dialled calls, and waits for the other's notes.
        return self._call(peer_id, Format.SEGMENTS) if outgoing else []

    def _call(self, peer_id: m.PeerId, format_: Format) -> Effects:
        self._formats[peer_id] = format_
        self.talks.peers[peer_id].phase = Phase.CALLED
        return [m.Send(peer_id, FormatCall(format_))]

    def _leave(self, peer_id: m.PeerId, now: float) -> None:
        self._formats.pop(peer_id, None)
        if peer_id in self.talks.peers:
            self.talks.leave(peer_id, now)

    def _receive(self, peer_id: m.PeerId, message: object, now: float) -> Effects:
        peer = self.talks.peers.get(peer_id)
        match message:
            case _ if peer is None:
                return []  # it has left
            case FormatCall(format_):
                if peer.phase is not Phase.WAITING:  # anew
                    self.talks.leave(peer_id, now)
                    self.talks.peers[peer_id] = Peer(peer.outgoing)
                self._formats[peer_id] = format_
                self.talks.speak(peer_id, now)
            case EbtNotes(notes) if peer.phase is not Phase.WAITING:
                self.talks.hear(peer_id, notes, now)
                shared = {
                    stream: note != REFUSED
                    for stream, note in notes.items()
                    if self.serves(peer_id, stream)
                }
                return [m.Emit(PeerHolds(peer_id, shared))] if shared else []
            case EbtEnded():
                return self._ended(peer_id, peer, now)
            case _:
                pass  # nothing that it should say now
        return []

    def _ended(self, peer_id: m.PeerId, peer: Peer[StreamId], now: float) -> Effects:
        """A peer that doesn't know segments may know entries; else it has no streams for us."""
        ours = self._formats.pop(peer_id, None)
        self.talks.leave(peer_id, now)
        self.talks.peers[peer_id] = Peer(peer.outgoing)
        unheard = peer.phase is Phase.CALLED
        return self._call(peer_id, Format.ENTRIES) if unheard and ours is Format.SEGMENTS else []

    # ---- entries ----

    def _offer(
        self, peer_id: m.PeerId, offered: s.OfferedSegment, now: float, rng: m.Rng
    ) -> Effects:
        stream = offered.segment.stream
        peer = self.talks.peers.get(peer_id)
        if peer is None or stream in peer.muted or not self.serves(peer_id, stream):
            return [m.Emit(s.SegmentSettled(peer_id, offered.segment.size_bytes))]
        peer.exchange(stream).receive(offered.segment.stop)
        return self._judge(self.book.handle(m.Received(peer_id, offered), now, rng), now)

    def _judge(self, effects: Iterable[m.Effect], now: float) -> Effects:
        """What the StreamBook found, and what follows from it for conversations."""
        follow_up: Effects = []
        for effect in effects:
            follow_up.append(effect)
            match effect:
                case m.Emit(s.Grown(stream, first, stop, source)):
                    if source is None and first == 0:
                        self._own(stream, now)
                    self.talks.grown(stream, stop, source, now)
                case m.Emit(s.SegmentRefused(peer, stream)):
                    self.talks.mute(peer, stream, now)
                case m.Emit(s.SegmentSkipped(peer, stream)):
                    self.talks.miss(peer, stream, now)
                case _:
                    pass
        return follow_up

    def _own(self, stream: StreamId, now: float) -> None:
        """It was made just now."""
        self.choice.owned[stream] = None
        self.book.accept(stream)
        self.talks.begin(stream, now)

    # ---- what people ask ----

    def _change(self, change: FollowStream | UnfollowStream, now: float) -> Effects:
        writes = self.choice.change(change)
        if isinstance(writes, Denied):
            return [m.Emit(writes)]
        if writes and isinstance(change, FollowStream):
            self.book.accept(change.stream)
            self.talks.begin(change.stream, now)
        elif writes:
            self.book.drop(change.stream)
            self.talks.end(change.stream)
        return self._write(writes, m.Emit(Granted(change)))

    def _write(self, writes: Sequence[m.Write], *then: m.Effect) -> Effects:
        """Make it durable; `then` is carried out once this and all before it is."""
        if writes:
            token = self._tokens.new()
            self._then[token] = [*then]
            return [m.Persist(token, tuple(writes))]
        if self._then:
            self._then[next(reversed(self._then))] += then  # writes keep their order
            return []
        return [*then]
