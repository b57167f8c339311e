"""EBT version 3 with every connected peer at once (SPEC replication 2 and 3): what is announced,
asked for and sent. Nothing is announced before the FeedBook has it durably.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol

from qbix_node import machines as m
from qbix_node.replication.messages import (
    REFUSED,
    EbtNotes,
    LogId,
    Range,
    Stop,
    make_note,
    sequence_of,
)
from qbix_node.replication.peers import Exchange, Peer, Phase
from qbix_node.replication.sources import REFUSED_REST_S, Sources

SEND_AGAIN_S = 20.0  # after a peer has asked anew for what it was sent


class Reached(Protocol):
    """How far a log is here."""

    @property
    def sequence(self) -> int: ...


class Choice(Protocol[LogId]):
    """What this node replicates."""

    def replicated(self) -> list[LogId]: ...

    def replicates(self, log: LogId, /) -> bool: ...


@dataclass(slots=True)
class Conversations(Generic[LogId]):
    following: Choice[LogId]
    heads: Mapping[LogId, Reached]  # of what is durable
    forked: Collection[LogId]
    # SPEC streams 1: a peer that may not read a log hears of it what it would if it weren't here.
    may_read: Callable[[m.PeerId, LogId], bool] = lambda peer, log: True
    peers: dict[m.PeerId, Peer[LogId]] = field(default_factory=dict)
    sources: Sources[LogId] = field(init=False)
    doubts: dict[tuple[m.PeerId, LogId], float] = field(default_factory=dict)  # until then
    _notes: dict[m.PeerId, dict[LogId, int]] = field(default_factory=dict)
    _sends: list[m.Send] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sources = Sources(self.peers)

    def take(self) -> tuple[m.Effect, ...]:
        """What is to be said since the last call: one set of notes a peer, before messages."""
        if not self._notes and not self._sends:
            return ()
        effects = [m.Send(peer, EbtNotes(said)) for peer, said in self._notes.items()]
        effects += self._sends
        self._notes, self._sends = {}, []
        return tuple(effects)

    def head(self, feed: LogId) -> int:
        head = self.heads.get(feed)
        return head.sequence if head else 0

    def held_by(self, peer_id: m.PeerId) -> list[LogId]:
        """Of what we may share with the peer, the logs of which it has something, as it said."""
        peer = self.peers.get(peer_id)
        if peer is None:
            return []
        named = {**peer.clock, **peer.exchanges}
        return [feed for feed in named if peer.claims(feed) > 0 and self._shares(peer_id, feed)]

    def wanted(self, feed: LogId) -> bool:
        """SPEC replication 6: a forked feed is announced and served, and not asked for."""
        return self.following.replicates(feed) and feed not in self.forked

    # ---- a peer speaks, or is spoken to ----

    def speak(self, peer_id: m.PeerId, now: float) -> None:
        """Open the conversation with our clock."""
        peer = self.peers[peer_id]
        peer.phase = Phase.TALKING
        self._notes.setdefault(peer_id, {})  # said even if empty: it is what the caller waits for
        for feed in self.following.replicated():
            # SPEC replication 4: what both have is left out; having nothing is not.
            theirs = peer.claims(feed)
            said = theirs != REFUSED and not 0 < theirs == self.head(feed)
            if said and self.may_read(peer_id, feed):
                self._join(peer_id, feed, now)

    def hear(self, peer_id: m.PeerId, notes: Mapping[LogId, int], now: float) -> None:
        peer = self.peers[peer_id]
        peer.heard = True
        replicated = [feed for feed in notes if self._shares(peer_id, feed)]
        # SPEC replication 4: who has less than it said lost something, perhaps of other feeds, too.
        if forgot := bool(peer.clock) and peer.lacks_what_it_had(notes):
            peer.clock = {}
        for feed in replicated:
            exchange = peer.exchange(feed)
            queued, asked = exchange.sent, exchange.wants
            exchange.hear(notes[feed])
            if queued > exchange.sent and not exchange.wants:
                forget = notes[feed] == REFUSED
                self._sends.append(m.Send(peer_id, Stop(feed, forget=forget)))
                exchange.offered = exchange.sent  # the rest has not left, or will arrive
            if exchange.wants or self.doubts:
                self._doubt(peer_id, feed, exchange, now)
            if asked and not exchange.wants and peer.claims(feed) < self.head(feed):
                # ssb-ebt stops asking where a message reaches it twice, and goes on when it is
                # told again what there is.
                exchange.told = None
        if peer.phase is Phase.CALLED:
            self.speak(peer_id, now)
        elif forgot:
            self._say_the_rest(peer_id, now)
        for feed in replicated:
            self._answer(peer_id, feed, now)
        if len(replicated) < len(notes):
            self._refuse(peer_id, notes)

    def _say_the_rest(self, peer_id: m.PeerId, now: float) -> None:
        """What was left out of the opening notes."""
        peer = self.peers[peer_id]
        for feed in self.following.replicated():
            exchange = peer.exchange(feed)
            unsaid = exchange.told is None and exchange.theirs != REFUSED
            if unsaid and self.may_read(peer_id, feed):
                self._join(peer_id, feed, now)

    def leave(self, peer_id: m.PeerId, now: float) -> None:
        """The peer is gone: others take its place."""
        del self.peers[peer_id]
        self.doubts = {place: at for place, at in self.doubts.items() if place[0] != peer_id}
        left = [feed for feed, source in self.sources.active.items() if source.peer == peer_id]
        for feed in left:
            del self.sources.active[feed]
            self._choose(feed, now)

    # ---- a feed comes, grows or goes ----

    def begin(self, feed: LogId, now: float) -> None:
        """Ask one peer for a feed that is followed from now on: its author, where connected."""
        for peer_id in sorted(self._talking(), key=lambda peer: bytes(peer) != feed):
            exchange = self.peers[peer_id].exchanges.get(feed)
            takes_part = exchange is None or exchange.theirs != REFUSED
            if takes_part and self.may_read(peer_id, feed):
                self._join(peer_id, feed, now)

    def begin_anew(self, feed: LogId, now: float) -> None:
        """SPEC streams 6.1: what can't be right of it is decided otherwise from now on. Peers that
        refuse it are told, too: they may have dropped their own log this moment.
        """
        for peer in self.peers.values():
            peer.rests.pop(feed, None)
            peer.muted.discard(feed)
        for peer_id in self._talking():
            if self.may_read(peer_id, feed):
                self._join(peer_id, feed, now)
        self._choose(feed, now)

    def end(self, feed: LogId) -> None:
        """Neither ask for the feed, nor announce or serve it any more."""
        self.sources.forget(feed)
        for peer_id in self._talking():
            peer = self.peers[peer_id]
            peer.rests.pop(feed, None)
            peer.muted.discard(feed)
            self.doubts.pop((peer_id, feed), None)
            exchange = peer.exchanges.pop(feed, None)
            if exchange is None:
                continue
            if exchange.theirs == REFUSED:
                # SPEC replication 2.2: it hears nothing of the feed before it announces it, also
                # where the feed is followed again meanwhile.
                peer.exchanges[feed] = Exchange(theirs=REFUSED)
                continue
            self._sends.append(m.Send(peer_id, Stop(feed, forget=True)))
            self._notes.setdefault(peer_id, {})[feed] = REFUSED
            if exchange.theirs is not None:
                peer.refuse(feed)

    def _shut_out(self, peer_id: m.PeerId, feed: LogId) -> None:
        """Who may read it is known only now, and this peer is none of them."""
        peer = self.peers[peer_id]
        if peer.exchanges.pop(feed, None) is not None:
            if self.sources.peer_of(feed) == peer_id:
                del self.sources.active[feed]
            self._notes.setdefault(peer_id, {})[feed] = REFUSED
            peer.refuse(feed)

    def stop_asking(self, feed: LogId) -> None:
        source = self.sources.peer_of(feed)
        self.sources.forget(feed)
        if source:
            self._note(source, feed)

    def grown(self, feed: LogId, last: int, source: m.PeerId | None, now: float) -> None:
        """The feed is durable up to `last`: hand it to who asked, tell the others."""
        if not self.following.replicates(feed):
            return  # it was being written when it was unfollowed
        if source in self.peers:  # perhaps by a new link: what it gave over the last one is past
            self.sources.progress(feed, source, now)
        head = self.head(feed)
        for peer_id, peer in self.peers.items():
            if peer.phase is not Phase.TALKING:
                continue
            exchange = peer.exchanges.get(feed)
            if not self.may_read(peer_id, feed):
                self._shut_out(peer_id, feed)
            elif exchange is not None and exchange.wants:
                self._serve(peer_id, feed, exchange)
            elif REFUSED < peer.claims(feed) < head:
                self._note(peer_id, feed)
        if feed in self.sources.behind:
            self._choose(feed, now)

    def acknowledge(self, peer_id: m.PeerId, feed: LogId) -> None:
        """Tell who sent it how far it is durable here."""
        peer = self.peers.get(peer_id)
        exchange = peer.exchanges.get(feed) if peer and peer.phase is Phase.TALKING else None
        if exchange is None or exchange.theirs == REFUSED or not self._shares(peer_id, feed):
            return
        if exchange.told is None or sequence_of(exchange.told) < self.head(feed):
            self._note(peer_id, feed)

    # ---- a peer fails us ----

    def mute(self, peer_id: m.PeerId, feed: LogId, now: float) -> None:
        """It sent of this feed what can't be right: no more of that, ask somebody else."""
        if peer_id in self.peers and self.following.replicates(feed):
            self.peers[peer_id].muted.add(feed)
            self._pass_over(peer_id, feed, now)

    def suspect(self, peer_id: m.PeerId, feed: LogId, now: float) -> bool:
        """It has another branch than we: whether to ask it for the message that proves it."""
        peer = self.peers.get(peer_id)
        if peer is None or feed in peer.probes:
            return False
        peer.probes.add(feed)
        self._pass_over(peer_id, feed, now)
        return True

    def miss(self, peer_id: m.PeerId, feed: LogId, now: float) -> None:
        """Not all that it sent could be kept: ask again, once it has come to rest."""
        if peer_id in self.peers:
            self.peers[peer_id].missed.add(feed)
            self._choose(feed, now)

    def check_stalls(self, now: float) -> None:
        for feed in list(self.sources.behind):
            self._choose(feed, now)
            source = self.sources.overdue(feed, now)
            if source and feed in self.peers[source].missed:
                self.peers[source].missed.discard(feed)
                self.sources.set(feed, source, now)
                self._note(source, feed)

    def send_again(self, now: float) -> None:
        """To peers that have asked anew and have said nothing else of the feed since."""
        for place in [place for place, at in self.doubts.items() if at <= now]:
            del self.doubts[place]
            peer_id, feed = place
            first, last = self.peers[peer_id].claims(feed) + 1, self.head(feed)
            if first <= last:
                self._sends.append(m.Send(peer_id, Range(feed, first, last, again=True)))

    def _doubt(self, peer_id: m.PeerId, feed: LogId, exchange: Exchange, now: float) -> None:
        """SPEC replication 2.4: a note that crossed messages asks for them anew. They are not sent
        twice: ssb-db2 then drops all that came with them. But they may be lost, so that they are
        sent again if the peer still asks for them when they should have arrived.
        """
        if exchange.wants and exchange.sent < exchange.offered:
            self.doubts[peer_id, feed] = now + SEND_AGAIN_S
        else:
            self.doubts.pop((peer_id, feed), None)

    def _pass_over(self, peer_id: m.PeerId, feed: LogId, now: float) -> None:
        self.sources.rest(feed, peer_id, now + REFUSED_REST_S)
        if self.sources.peer_of(feed) == peer_id:
            del self.sources.active[feed]
            self._note(peer_id, feed)
            self._choose(feed, now)

    # ---- steps ----

    def _shares(self, peer_id: m.PeerId, feed: LogId) -> bool:
        return self.following.replicates(feed) and self.may_read(peer_id, feed)

    def _talking(self) -> list[m.PeerId]:
        return [peer_id for peer_id, peer in self.peers.items() if peer.phase is Phase.TALKING]

    def _join(self, peer_id: m.PeerId, feed: LogId, now: float) -> None:
        """Announce what we have; who is first to hear of it becomes the feed's source."""
        if feed not in self.sources.active and self.wanted(feed):
            self.sources.set(feed, peer_id, now)
        self._note(peer_id, feed)

    def _answer(self, peer_id: m.PeerId, feed: LogId, now: float) -> None:
        exchange = self.peers[peer_id].exchanges[feed]
        if exchange.theirs == REFUSED:
            exchange.told = None  # should it take part again, it hears of us again
            if self.sources.peer_of(feed) == peer_id:
                del self.sources.active[feed]
            self._choose(feed, now)
            return
        if exchange.told is None:
            self._join(peer_id, feed, now)
        # Who has no more than we is nobody to ask, and changes nothing where nobody has more.
        if self.peers[peer_id].claims(feed) > self.head(feed) or feed in self.sources.behind:
            self._choose(feed, now)
        if exchange.wants:
            self._serve(peer_id, feed, exchange)

    def _refuse(self, peer_id: m.PeerId, notes: Mapping[LogId, int]) -> None:
        peer = self.peers[peer_id]
        for feed, note in notes.items():
            if self._shares(peer_id, feed):
                continue
            if note != REFUSED:
                peer.exchanges.pop(feed, None)  # it refuses the feed no more
            if note == REFUSED:
                peer.refused.discard(feed)  # it may announce the feed anew, and is answered anew
            elif peer.refuse(feed):
                self._notes.setdefault(peer_id, {})[feed] = REFUSED

    def _choose(self, feed: LogId, now: float) -> None:
        """Ask another peer, where that is better."""
        if not self.wanted(feed):
            return
        chosen = self.sources.choose(feed, self.head(feed), now)
        if chosen is None:
            return
        before = self.sources.peer_of(feed)
        self.sources.set(feed, chosen, now)
        self.peers[chosen].muted.discard(feed)
        if before:
            self._note(before, feed)
        self._note(chosen, feed)

    def _note(self, peer_id: m.PeerId, feed: LogId) -> None:
        exchange = self.peers[peer_id].exchange(feed)
        receive = self.sources.peer_of(feed) == peer_id
        exchange.told = make_note(self.head(feed), receive=receive)
        self._notes.setdefault(peer_id, {})[feed] = exchange.told

    def _serve(self, peer_id: m.PeerId, feed: LogId, exchange: Exchange) -> None:
        head = self.head(feed)
        if exchange.sent < head:
            self._sends.append(m.Send(peer_id, Range(feed, exchange.sent + 1, head)))
            exchange.sent = exchange.offered = head
