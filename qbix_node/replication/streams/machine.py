"""Decide which streams travel between this node and its peers (spec/replication.md 10).

A StreamReplicator owns the StreamBook and what was said to and by connected peers. It hands out
entries by naming them (Range): reading and sending them is left to whoever runs it.
"""

from collections.abc import Iterable, Mapping, Sequence

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.replication.conversations import Conversations
from qbix_node.replication.messages import REFUSED, Denied, EbtEnded, EbtNotes, Granted
from qbix_node.replication.peers import Peer, Phase
from qbix_node.replication.streams.choice import StreamChoice
from qbix_node.replication.streams.contents.machine import ContentKeeper
from qbix_node.replication.streams.contents.messages import ContentChoice
from qbix_node.replication.streams.messages import (
    FollowStream,
    Format,
    FormatCall,
    PeerHolds,
    StopStream,
    UnfollowStream,
)
from qbix_node.replication.streams.naming import Named
from qbix_node.streams import messages as s
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.serving import stripped
from qbix_node.streams.switching import (
    LogDropped,
    ResolveStream,
    Switched,
    Withdraw,
    nothing_else,
)
from qbix_node.wire.references import StreamId

EXPORT = m.PeerId(b"export")  # in the place of a peer; no key is so short
STALL_CHECK_S = 1.0  # how often stalled sources are looked for, while a peer claims more
_STALL = "streams/stall"
ACKNOWLEDGE_S = 2.0  # after entries came, with all that came meanwhile
_ACKNOWLEDGE = "streams/acknowledge"

Effects = list[m.Effect]


class StreamReplicator:
    """`choice`, `geneses`, `logs`, `stopped`, `resolutions`: what the store holds."""

    def __init__(
        self,
        keys: KeyPair,
        *,
        choice: StreamChoice,
        geneses: dict[StreamId, Genesis],
        logs: dict[StreamId, LogState],
        stopped: dict[StreamId, str],
        resolutions: dict[StreamId, Resolution],
        withdraw: Withdraw = nothing_else,
    ) -> None:
        self._tokens = m.Tokens()
        self.choice = choice
        self.book = StreamBook(
            keys,
            self._tokens,
            geneses,
            logs,
            # What is to come stops once something of it is here (SPEC gossip 6).
            {stream: reason for stream, reason in stopped.items() if stream in geneses},
            resolutions=resolutions,
            withdraw=withdraw,
        )
        for stream in geneses:
            if self.book.owns(stream):
                choice.owned[stream] = None
        for stream in choice.replicated():
            self.book.accept(stream)
        self.talks: Conversations[StreamId] = Conversations(
            choice, self.book.logs, self.book.stopped, self.may_read
        )
        self._keeper = ContentKeeper(
            self._tokens,
            self.book.logs,
            holders=self.holders,
            replicates=choice.replicates,
            whole=lambda stream: stream not in choice.bare,
        )
        self._bare: dict[m.PeerId, set[StreamId]] = {}  # of these, peers keep no contents
        self._told: dict[m.PeerId, set[StreamId]] = {}  # of these, we told them that we keep none
        self._named = Named()
        self._formats: dict[m.PeerId, Format] = {}  # in which we talk, or have called
        self._then: dict[m.Token, list[m.Effect]] = {}  # by the write that they wait for
        self._watching = False  # for stalls
        self._unsaid: dict[tuple[m.PeerId, StreamId], None] = {}  # who sent what grew

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects = [*self._decide(event, now, rng), *self._keeper.handle(event, now)]
        for said in self.talks.take():
            effects += self._choose_contents(said)
            effects.append(said)
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

    def named_by(self, peer_id: m.PeerId) -> list[StreamId]:
        """Streams that the peer has, and we don't; of many, those that it named last."""
        return [each for each in self._named.by(peer_id) if not self.serves(peer_id, each)]

    def holders(self, stream: StreamId) -> dict[m.PeerId, int]:
        """Connected peers that say that they have its contents, with the lengths they claim."""
        return {
            peer_id: exchange.theirs
            for peer_id, peer in self.talks.peers.items()
            if (exchange := peer.exchanges.get(stream)) is not None
            and exchange.theirs is not None
            and exchange.theirs > 0
            and stream not in self._bare.get(peer_id, ())
            and self.serves(peer_id, stream)
        }

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
            case m.Requested(request):
                return self._requested(request, event, now, rng)
            case m.TimerFired(name):
                self._fire(name, now)
                return []
            case m.Persisted(token):
                then = self._then.pop(token, [])
                return [*then, *self._judge(self.book.handle(event, now, rng), now)]
            case _:
                return self._judge(self.book.handle(event, now, rng), now)

    def _requested(self, request: object, event: m.Event, now: float, rng: m.Rng) -> Effects:
        match request:
            case s.OfferedSegment():  # from a file: the same checks
                event = m.Received(EXPORT, request)
            case FollowStream() | UnfollowStream():
                return self._change(request, now)
            case StopStream(stream, reason):
                self.book.stopped[stream] = reason
                self.talks.stop_asking(stream)
                return []
            case _:
                pass
        effects = self._judge(self.book.handle(event, now, rng), now)
        return (
            [*effects, m.Emit(Granted(request))] if isinstance(request, ResolveStream) else effects
        )

    def _fire(self, name: str, now: float) -> None:
        if name == _STALL:
            self._watching = False
            self.talks.check_stalls(now)
            self.talks.send_again(now)
        elif name == _ACKNOWLEDGE:
            unsaid, self._unsaid = self._unsaid, {}
            for peer, stream in unsaid:
                self.talks.acknowledge(peer, stream)

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
        self._end_talk(peer_id)
        if peer_id in self.talks.peers:
            self.talks.leave(peer_id, now)

    def _end_talk(self, peer_id: m.PeerId) -> Format | None:
        """What was said in it is past."""
        self._bare.pop(peer_id, None)
        self._named.forget(peer_id)
        self._told.pop(peer_id, None)
        return self._formats.pop(peer_id, None)

    def _receive(self, peer_id: m.PeerId, message: object, now: float) -> Effects:
        peer = self.talks.peers.get(peer_id)
        match message:
            case _ if peer is None:
                return []  # it has left
            case FormatCall(format_):
                if peer.phase is not Phase.WAITING:  # anew
                    self._end_talk(peer_id)
                    self.talks.leave(peer_id, now)
                    self.talks.peers[peer_id] = Peer(peer.outgoing)
                self._formats[peer_id] = format_
                self.talks.speak(peer_id, now)
            case EbtNotes(notes) if peer.phase is not Phase.WAITING:
                self.talks.hear(peer_id, notes, now)
                return self._shared(peer_id, notes, now)
            case ContentChoice(streams) if peer.phase is not Phase.WAITING:
                return self._hear_choice(peer_id, streams, now)
            case EbtEnded():
                return self._ended(peer_id, peer, now)
            case _:
                pass  # nothing that it should say now
        return []

    def _shared(self, peer_id: m.PeerId, notes: Mapping[StreamId, int], now: float) -> Effects:
        """What notes say of streams that we have, too."""
        shared = {
            stream: note != REFUSED
            for stream, note in notes.items()
            if self.serves(peer_id, stream)
        }
        others = {stream: note for stream, note in notes.items() if stream not in shared}
        named = self._named.note(peer_id, others)
        # What was forgotten for these may be shared meanwhile.
        said = {each: has for each, has in named.items() if not self.serves(peer_id, each)} | shared
        effects: Effects = [m.Emit(PeerHolds(peer_id, said))] if said else []
        for stream in shared:
            effects += self._keeper.wake(stream, now)
        return effects

    def _ended(self, peer_id: m.PeerId, peer: Peer[StreamId], now: float) -> Effects:
        """A peer that doesn't know segments may know entries; else it has no streams for us."""
        ours = self._end_talk(peer_id)
        self.talks.leave(peer_id, now)
        self.talks.peers[peer_id] = Peer(peer.outgoing)
        unheard = peer.phase is Phase.CALLED
        return self._call(peer_id, Format.ENTRIES) if unheard and ours is Format.SEGMENTS else []

    # ---- contents ----

    def _choose_contents(self, said: m.Effect) -> Effects:
        """SPEC replication 10.1: before a peer is asked for a stream, it hears that we want no
        contents of it.
        """
        match said:
            case m.Send(peer, EbtNotes(notes)) if self._formats.get(peer) is Format.SEGMENTS:
                told = self._told.setdefault(peer, set())
                bare = [
                    stream
                    for stream, note in notes.items()
                    if note != REFUSED and stream in self.choice.bare and stream not in told
                ]
                told.update(bare)
                return [m.Send(peer, ContentChoice(dict.fromkeys(bare, False)))] if bare else []
            case _:
                return []

    def _want_contents(self, stream: StreamId) -> Effects:
        """It is followed whole from now on."""
        effects: Effects = []
        for peer, told in self._told.items():
            if stream in told and self.may_read(peer, stream):
                told.discard(stream)
                effects.append(m.Send(peer, ContentChoice({stream: True})))
        return effects

    def _hear_choice(
        self, peer_id: m.PeerId, streams: Mapping[StreamId, bool], now: float
    ) -> Effects:
        bare, effects = self._bare.setdefault(peer_id, set()), Effects()
        for stream, wants in streams.items():
            if wants:
                bare.discard(stream)
                effects += self._keeper.wake(stream, now)
            elif self.choice.replicates(stream):
                bare.add(stream)
        return effects

    # ---- entries ----

    def _offer(
        self, peer_id: m.PeerId, offered: s.OfferedSegment, now: float, rng: m.Rng
    ) -> Effects:
        stream = offered.segment.stream
        peer = self.talks.peers.get(peer_id)
        if peer is None or stream in peer.muted or not self.serves(peer_id, stream):
            return [m.Emit(s.SegmentSettled(peer_id, offered.size_bytes))]
        peer.exchange(stream).receive(offered.segment.stop)
        if stream in self.choice.bare:
            offered = s.OfferedSegment(stripped(offered.segment), offered.size_bytes)
        return self._judge(self.book.handle(m.Received(peer_id, offered), now, rng), now)

    def _judge(self, effects: Iterable[m.Effect], now: float) -> Effects:
        """What the StreamBook found, and what follows from it for conversations."""
        follow_up: Effects = []
        for effect in effects:
            follow_up.append(effect)
            match effect:
                case m.Emit(s.Grown(stream, first, stop, source, lacking)):
                    if source is None and first == 0:
                        self._own(stream, now)
                    self.talks.grown(stream, stop, source, now)
                    follow_up += self._acknowledge_soon(source, stream, now)
                    follow_up += self._keeper.lacks(stream, now) if lacking else []
                case m.Emit(s.SegmentRefused(peer, stream)):
                    self.talks.mute(peer, stream, now)
                case m.Emit(s.SegmentSkipped(peer, stream)):
                    self.talks.miss(peer, stream, now)
                case m.Emit(LogDropped(stream)):
                    self.talks.end(stream)
                    self._keeper.forget(stream)
                case m.Emit(Switched(stream)) if self.choice.replicates(stream):
                    self.talks.begin_anew(stream, now)
                case _:
                    pass
        return follow_up

    def _acknowledge_soon(self, source: m.PeerId | None, stream: StreamId, now: float) -> Effects:
        """SPEC replication 10: a source hears how far the log is durable here."""
        if source not in self.talks.peers:
            return []
        first = not self._unsaid
        self._unsaid[source, stream] = None
        return [m.SetTimer(_ACKNOWLEDGE, now + ACKNOWLEDGE_S)] if first else []

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
        effects: Effects = []
        if writes and isinstance(change, FollowStream):
            effects = self._begin(change, now)
        elif writes:
            self.book.drop(change.stream)
            self.talks.end(change.stream)
            self._keeper.end(change.stream)
        return [*effects, *self._write(writes, m.Emit(Granted(change)))]

    def _begin(self, change: FollowStream, now: float) -> Effects:
        stream = change.stream
        self.book.accept(stream)
        self.talks.begin(stream, now)
        if change.headers_only:
            return []
        return [*self._want_contents(stream), *self._keeper.begin(stream, now)]

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
