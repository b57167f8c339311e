"""Decide which feeds travel between this node and its peers (spec/replication.md).

The Replicator owns the FeedBook, the follows and blocks of this node, and what was said to and by
connected peers. It hands out stored messages by naming them (Range): reading and sending them at
the peer's pace is left to whoever runs it.
"""

from collections.abc import Iterable, Sequence

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import Malformed
from qbix_node.feeds.machine import FeedBook
from qbix_node.feeds.messages import (
    Appended,
    ForkFound,
    ForkSuspected,
    Head,
    Offered,
    Refusal,
    Settled,
    Skipped,
)
from qbix_node.replication.clocks import Clocks, clock_key
from qbix_node.replication.conversations import Conversations
from qbix_node.replication.following import Change, Following
from qbix_node.replication.histories import ROUND_S, Histories
from qbix_node.replication.messages import (
    SEQUENCE_MAX,
    Block,
    Denied,
    EbtCall,
    EbtEnded,
    EbtNotes,
    Follow,
    Granted,
    Hangup,
    HistoryEnded,
    HistoryRequest,
    PeerBlocked,
    PeerUnblocked,
    SaveClocks,
    Unblock,
    Unfollow,
)
from qbix_node.replication.peers import Peer, Phase
from qbix_node.wire.references import FeedId, parse_feed
from qbix_node.wire.v8json import JsonValue

CALL_PATIENCE_S = 5.0  # for a peer that dialled to call ebt.replicate
STALL_CHECK_S = 1.0  # how often stalled sources are looked for, while a peer claims more
SAVE_EVERY_S = 60.0  # what peers told is stored at least so often, and when they leave

_STALL = "replication/stall"
_SAVE = "replication/save"
_HISTORY = "replication/history"
_CALL = "replication/call/"  # and the peer's key in hex

Effects = list[m.Effect]


class Replicator:
    """`following`, `heads`, `forked` and `clocks`: what the store holds. `epoch_s`: what has to be
    added to `now` for seconds since 1970.
    """

    def __init__(
        self,
        keys: KeyPair,
        *,
        following: Following,
        heads: dict[FeedId, Head],
        forked: set[FeedId],
        clocks: Clocks,
        epoch_s: float,
    ) -> None:
        tokens = m.Tokens()
        self.following = following
        self.book = FeedBook(keys, tokens, heads, forked)
        for feed in following.replicated():
            self.book.accept(feed)
        self.talks = Conversations(following, self.book.heads, self.book.forked)
        self._histories = Histories(self.book.heads)
        self._clocks = clocks
        self._tokens = tokens
        self._then: dict[m.Token, list[m.Effect]] = {}  # by the write that they wait for
        self._loads: dict[m.Token, m.PeerId] = {}
        self._epoch_s = epoch_s
        self._timers: set[str] = set()  # of those that repeat, the ones that are set

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects = self._decide(event, now, rng)
        effects += self.talks.take()
        effects += self._set_timers(now)
        return tuple(effects)

    def serves(self, peer: m.PeerId, feed: FeedId) -> bool:
        """SPEC replication 1: only what is replicated here, and nothing to blocked peers."""
        return self.following.replicates(feed) and FeedId(peer) not in self.following.blocks

    def _decide(self, event: m.Event, now: float, rng: m.Rng) -> Effects:
        match event:
            case m.Received(peer, message):
                if isinstance(message, Offered):
                    return self._offer(peer, message, now, rng)
                return self._receive(peer, message, now)
            case m.Connected(peer, outgoing):
                return self._connect(peer, now, outgoing=outgoing)
            case m.Disconnected(peer):
                return self._disconnect(peer, now)
            case m.Requested(Follow() | Unfollow() | Block() | Unblock() as change):
                return self._change(change, now)
            case m.Requested(SaveClocks() as request):
                return self._save_clocks(now, m.Emit(Granted(request)), anew=True)
            case m.Loaded(token, (record,)) if token in self._loads:
                return self._remember(token, record, now)
            case m.TimerFired(name):
                return self._wake(name, now)
            case m.Persisted(token):
                durable = self.book.handle(event, now, rng)
                return [*self._then.pop(token, ()), *self._judge(durable, now)]
            case _:
                return self._judge(self.book.handle(event, now, rng), now)

    # ---- peers come and go ----

    def _connect(self, peer_id: m.PeerId, now: float, *, outgoing: bool) -> Effects:
        effects = self._disconnect(peer_id, now)  # nothing, unless this is a second connection
        if FeedId(peer_id) in self.following.blocks:
            return [*effects, m.Emit(PeerBlocked(peer_id))]
        token = self._tokens.new()
        self._loads[token] = peer_id
        self.talks.peers[peer_id] = Peer(outgoing, load=token)
        effects += self._write((), m.Load(token, (clock_key(peer_id),)))
        if not outgoing:
            effects.append(m.SetTimer(_CALL + peer_id.hex(), now + CALL_PATIENCE_S))
        return effects

    def _remember(self, token: m.Token, record: bytes | None, now: float) -> Effects:
        """What the peer said earlier is read: the conversation can begin."""
        peer_id = self._loads.pop(token)
        peer = self.talks.peers.get(peer_id)
        if peer is None or peer.phase is not Phase.WAITING or peer.load != token:
            return []  # it is gone, or has spoken first and got our whole clock
        peer.load = None
        peer.clock = dict(self._clocks.relied_on(record, self._epoch_s + now))
        if peer_id not in self._clocks.fresh:
            # SPEC replication 4: a store that was put back with all that belongs to it can't tell;
            # what peers have of our own feed does.
            peer.clock.pop(self.following.own, None)
        if peer.called:
            self.talks.speak(peer_id, now)
        elif peer.outgoing:
            # SPEC replication 2: who dialled calls, and waits for the other's clock.
            peer.phase = Phase.CALLED
            return [m.Send(peer_id, EbtCall())]
        return []

    def _disconnect(self, peer_id: m.PeerId, now: float) -> Effects:
        if peer_id not in self.talks.peers:
            return []
        writes = self._clock_writes(peer_id, now, anew=True)
        self._leave(peer_id, now)
        return self._write(writes)

    def _leave(self, peer_id: m.PeerId, now: float) -> None:
        self.talks.leave(peer_id, now)
        self._histories.leave(peer_id)

    def _receive(self, peer_id: m.PeerId, message: object, now: float) -> Effects:
        peer = self.talks.peers.get(peer_id)
        match message:
            case _ if peer is None:
                return []  # it has left, or is blocked
            case EbtCall():
                return self._called(peer_id, peer, now)
            case EbtNotes(notes) if peer.phase is not Phase.HISTORY:
                if peer.phase is Phase.WAITING:
                    self.talks.speak(peer_id, now)
                self.talks.hear(peer_id, notes, now)
            case EbtEnded(reason) if peer.heard:
                reason = f"the peer ended ebt.replicate: {reason or 'without a reason'}"
                return [m.Emit(Hangup(peer_id, reason))]
            case EbtEnded():
                return self._read_histories(peer_id, now)
            case HistoryEnded(feed):
                if feed in peer.probes:  # whatever it proved, we can't use its branch
                    peer.probes.discard(feed)
                    peer.muted.add(feed)
                    return [*self._histories.give_up(peer_id, feed)]
                return [*self._histories.ended(peer_id, feed)]
            case _:
                pass  # nothing that it should say now
        return []

    def _called(self, peer_id: m.PeerId, peer: Peer[FeedId], now: float) -> Effects:
        if peer.phase is Phase.WAITING and peer.load is not None:
            peer.called = True
            return []
        effects: Effects = []
        if peer.phase is not Phase.WAITING:  # anew, or after all
            effects += self._histories.leave(peer_id)
            self.talks.leave(peer_id, now)
            self.talks.peers[peer_id] = Peer(peer.outgoing)
        self.talks.speak(peer_id, now)
        return effects

    def _read_histories(self, peer_id: m.PeerId, now: float) -> Effects:
        """SPEC replication 5: a peer without EBT is asked for each feed."""
        peer = self.talks.peers[peer_id]
        self.talks.leave(peer_id, now)
        self.talks.peers[peer_id] = Peer(peer.outgoing, phase=Phase.HISTORY)
        return [*self._histories.read(peer_id, self._wanted())]

    def _wanted(self) -> list[FeedId]:
        return [feed for feed in self.following.replicated() if self.talks.wanted(feed)]

    # ---- messages ----

    def _offer(self, peer_id: m.PeerId, offered: Offered, now: float, rng: m.Rng) -> Effects:
        peer = self.talks.peers.get(peer_id)
        if peer is None:
            return [m.Emit(Settled(peer_id, len(offered.messages)))]
        muted: set[str | None] = set()
        for name, sequence in _highest(offered.messages).items():
            feed = _feed(name)
            if feed is not None and feed in peer.muted:
                muted.add(name)
            elif feed is not None and self.following.replicates(feed):
                peer.exchange(feed).receive(min(sequence, SEQUENCE_MAX))
        effects: Effects = []
        if muted:
            heard = tuple([value for value in offered.messages if _author(value) not in muted])
            effects.append(m.Emit(Settled(peer_id, len(offered.messages) - len(heard))))
            offered = Offered(heard, offered.received_ms)
        found = self.book.handle(m.Received(peer_id, offered), now, rng)
        return [*effects, *self._judge(found, now)]

    def _judge(self, effects: Iterable[m.Effect], now: float) -> Effects:
        """What the FeedBook found, and what follows from it for conversations."""
        follow_up: Effects = []
        for effect in effects:
            follow_up.append(effect)
            match effect:
                case m.Emit(Appended(feed, _, last, source)):
                    self.talks.grown(feed, last, source, now)
                case m.Emit(ForkFound(feed)):
                    self.talks.stop_asking(feed)
                    follow_up += self._histories.end(feed)
                case m.Emit(Refusal(peer, feed)) if feed is not None:
                    self.talks.mute(peer, feed, now)
                    follow_up += self._histories.give_up(peer, feed)
                case m.Emit(Skipped(peer, feed)):
                    self.talks.miss(peer, feed, now)
                    self._histories.miss(peer, feed)
                case m.Emit(ForkSuspected(peer, feed, sequence)):
                    if self.talks.suspect(peer, feed, now):
                        request = HistoryRequest(feed, sequence, limit=1, keys=False)
                        follow_up.append(m.Send(peer, request))
                case _:
                    pass
        return follow_up

    # ---- what people ask ----

    def _change(self, change: Change, now: float) -> Effects:
        writes = self.following.change(change)
        if isinstance(writes, Denied):
            return [m.Emit(writes)]
        effects: Effects = []
        if writes:
            feed, peer = change.feed, m.PeerId(change.feed)
            match change:
                case Follow():
                    self.book.accept(feed)
                    self.talks.begin(feed, now)
                    effects += self._histories.begin(feed)
                case Unfollow():
                    effects += self._drop(feed, now)
                case Block():
                    effects += [*self._drop(feed, now), m.Emit(PeerBlocked(peer))]
                    writes += self._clocks.forget(peer)
                    if peer in self.talks.peers:
                        self._leave(peer, now)
                case Unblock():
                    effects.append(m.Emit(PeerUnblocked(peer)))
        return [*effects, *self._write(writes, m.Emit(Granted(change)))]

    def _drop(self, feed: FeedId, now: float) -> Effects:
        self.talks.end(feed)
        return [*self._histories.end(feed), *self._judge(self.book.drop(feed), now)]

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

    # ---- time ----

    def _wake(self, name: str, now: float) -> Effects:
        self._timers.discard(name)
        if name == _STALL:
            self.talks.check_stalls(now)
            self.talks.send_again(now)
        elif name == _SAVE:
            return self._save_clocks(now)
        elif name == _HISTORY:
            return [*self._histories.round(self._wanted())]
        elif name.startswith(_CALL):
            peer_id = m.PeerId(bytes.fromhex(name.removeprefix(_CALL)))
            peer = self.talks.peers.get(peer_id)
            if peer and peer.phase is Phase.WAITING and not peer.called and not peer.outgoing:
                return self._read_histories(peer_id, now)
        return []

    def _set_timers(self, now: float) -> Effects:
        effects: Effects = []
        timers, talks = self._timers, self.talks
        if (talks.sources.behind or talks.doubts) and _STALL not in timers:
            effects.append(self._repeat(_STALL, now + STALL_CHECK_S))
        if talks.peers and _SAVE not in timers:
            effects.append(self._repeat(_SAVE, now + SAVE_EVERY_S))
        if self._histories.busy and _HISTORY not in timers:
            effects.append(self._repeat(_HISTORY, now + ROUND_S))
        return effects

    def _repeat(self, name: str, at: float) -> m.SetTimer:
        self._timers.add(name)
        return m.SetTimer(name, at)

    def _save_clocks(self, now: float, *then: m.Effect, anew: bool = False) -> Effects:
        peers = list(self.talks.peers)
        writes = [write for peer in peers for write in self._clock_writes(peer, now, anew=anew)]
        return self._write(writes, *then)

    def _clock_writes(self, peer_id: m.PeerId, now: float, *, anew: bool) -> list[m.Write]:
        """`anew`: also where nothing has changed, for its age."""
        peer = self.talks.peers[peer_id]
        sequences = peer.sequences(self.following.replicated())
        if not peer.heard or not (anew or sequences != peer.kept):
            return []
        peer.kept = sequences
        return self._clocks.keep(peer_id, sequences, self._epoch_s + now)


def _author(value: JsonValue) -> str | None:
    author = value.get("author") if isinstance(value, dict) else None
    return author if isinstance(author, str) else None


def _feed(name: str) -> FeedId | None:
    try:
        return parse_feed(name)
    except Malformed:
        return None


def _highest(messages: Iterable[JsonValue]) -> dict[str, int]:
    """The highest sequence of each author, as far as they can be read."""
    highest: dict[str, int] = {}
    for value in messages:
        if isinstance(value, dict):
            author, sequence = value.get("author"), value.get("sequence")
            if type(sequence) is int and isinstance(author, str):
                highest[author] = max(sequence, highest.get(author, 0))
    return highest
