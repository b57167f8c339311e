"""Decide whom to dial, whom to let in and which of two connections to keep (spec/transport.md 6).

Caps come from limits.py. How connections are made and closed is up to the service.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto

from qbix_node import machines as m
from qbix_node.machines import PeerId
from qbix_node.net import records
from qbix_node.net.address import Address, host_group
from qbix_node.net.limits import Limits
from qbix_node.net.messages import (
    AddKey,
    AddPeer,
    Arrived,
    BlockPeer,
    Dial,
    Done,
    Gone,
    Hangup,
    Heard,
    LinkId,
    Proceed,
    Proven,
    Reached,
    Refused,
    RemovePeer,
    Start,
    UnblockPeer,
)

RETRY_FIRST_S = 1.0
RETRY_MAX_S = 120.0
STEADY_S = 30.0  # a connection that lived so long was no failure
HEARD_FOR_S = 30.0  # how long an announcement on the local network counts
# Two peers that dial each other at once notice within the time of a handshake. Later, a peer that
# dials has lost the connection that we still believe in.
COLLISION_S = 3.0

_TIMER = "dial"

_Wish = AddPeer | AddKey | RemovePeer | BlockPeer | UnblockPeer
_Effects = tuple[m.Effect, ...]


class _Stage(Enum):
    DIALLING = auto()
    HANDSHAKE = auto()
    UP = auto()


@dataclass(slots=True)
class _Link:
    stage: _Stage
    since: float  # when it came to this stage
    host: str = ""  # group of the remote host, of an incoming one
    peer: PeerId | None = None  # not known of an incoming one in its handshake


@dataclass(slots=True)
class _Retry:
    failures: int
    at: float


class ConnectionKeeper:
    def __init__(
        self,
        key: PeerId,
        limits: Limits,
        known: dict[PeerId, Address | None],
        blocked: set[PeerId],
    ) -> None:
        self.known = known  # peers that a person added; None: without an address
        self.blocked = blocked
        self._key = key
        self.limits = limits  # may be replaced at any time
        self._started = False
        self._heard: dict[PeerId, tuple[Heard, float]] = {}  # and until when that counts
        self._links: dict[LinkId, _Link] = {}
        self._peers: dict[PeerId, LinkId] = {}  # the dial or connection of each peer
        self._retries: dict[PeerId, _Retry] = {}
        self._dials = 0  # so far
        self._timer_at = math.inf
        self._tokens = m.Tokens()
        self._writes: dict[m.Token, int] = {}  # request that waits for it

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Requested(Arrived(link, host)):
                return self._let_in(link, host_group(host), now)
            case m.Requested(Reached(link)):
                return self._begin_handshake(link, now)
            case m.Requested(Proven(link, peer)):
                return self._settle(link, peer, now)
            case m.Requested(Gone(link)):
                return self._lose(link, now, rng)
            case m.Requested(
                AddPeer() | AddKey() | RemovePeer() | BlockPeer() | UnblockPeer() as wish
            ):
                return (*self._change_peers(wish), *self._dial_who_is_due(now))
            case m.Requested(Heard() as heard):
                self._hear(heard, now, rng)
                return self._dial_who_is_due(now)
            case m.Requested(Start()):
                self._started = True
                return self._dial_who_is_due(now)
            case m.TimerFired(name) if name == _TIMER:
                self._timer_at = math.inf
                return self._dial_who_is_due(now)
            case m.Persisted(token) if token in self._writes:
                return (m.Emit(Done(self._writes.pop(token))),)
            case _:
                return ()  # meant for another machine

    # ---- wishes ----

    def _change_peers(self, wish: _Wish) -> _Effects:
        effects: _Effects = ()
        if reason := self._why_not(wish):
            return (m.Emit(Refused(wish.request, reason)),)
        match wish:
            case AddPeer(_, address):
                self.known[address.key] = address
                self._retries.pop(address.key, None)
                write = records.remember(address)
            case AddKey(_, peer):
                there = self.known.setdefault(peer, None)
                write = records.remember_key(peer) if there is None else records.remember(there)
            case RemovePeer(_, peer):
                self.known.pop(peer, None)
                self._heard.pop(peer, None)
                write = records.forget(peer)
                effects = self._hang_up_on(peer, "removed")
            case BlockPeer(_, peer):
                self.blocked.add(peer)
                self._heard.pop(peer, None)
                write = records.block(peer)
                effects = self._hang_up_on(peer, "blocked")
            case UnblockPeer(_, peer):
                self.blocked.discard(peer)
                write = records.unblock(peer)
        token = self._tokens.new()
        self._writes[token] = wish.request
        return (m.Persist(token, (write,)), *effects)

    def _why_not(self, wish: _Wish) -> str | None:
        most = self.limits.known_peers_max
        match wish:
            case AddPeer(_, Address(key=key)) | AddKey(_, key):
                if key == self._key:
                    return "that is the address of this node"
                if key not in self.known and len(self.known) >= most:
                    return f"{most} peers are known, more are not kept"
            case BlockPeer(_, peer):
                if peer == self._key:
                    return "that is this node"
                if peer not in self.blocked and len(self.blocked) >= most:
                    return f"{most} peers are blocked, more are not kept"
            case RemovePeer() | UnblockPeer():
                pass
        return None

    def _hear(self, heard: Heard, now: float, rng: m.Rng) -> None:
        for other in [other for other, (_, until) in self._heard.items() if until <= now]:
            self._forget(other)
        peer = heard.address.key
        if peer == self._key or peer in self.blocked:
            return
        if peer not in self._heard:
            if len(self._heard) >= self.limits.heard_peers_max:
                return
            # It hears of us at the same moment: who waits less dials, and the other need not.
            self._retries.setdefault(peer, _Retry(0, now + rng.random()))
        self._heard[peer] = (heard, now + HEARD_FOR_S)

    def _forget(self, peer: PeerId) -> None:
        del self._heard[peer]
        if peer not in self.known:
            self._retries.pop(peer, None)

    # ---- connections ----

    def _let_in(self, link: LinkId, host: str, now: float) -> _Effects:
        same_host = sum([other.host == host for other in self._links.values()])
        if self._busy() >= self.limits.connections_max:
            return (_hang_up(link, "too many connections"),)
        if same_host >= self.limits.connections_per_host_max:
            return (_hang_up(link, "too many connections from one host"),)
        effects: _Effects = ()
        strangers = [other for other, state in self._links.items() if state.peer is None]
        if len(strangers) >= self.limits.handshakes_max:
            oldest = strangers[0]
            self._drop(oldest)
            effects = (_hang_up(oldest, "too many handshakes"),)
        self._links[link] = _Link(_Stage.HANDSHAKE, now, host=host)
        return (*effects, m.Emit(Proceed(link)))

    def _begin_handshake(self, link: LinkId, now: float) -> _Effects:
        state = self._links.get(link)
        if state is None:
            return ()  # we hung up meanwhile
        state.stage, state.since = _Stage.HANDSHAKE, now
        return (m.Emit(Proceed(link)),)

    def _settle(self, link: LinkId, peer: PeerId, now: float) -> _Effects:
        state = self._links.get(link)
        if state is None:
            return ()
        rival = self._peers.get(peer)
        if rival == link:
            rival = None
        if reason := self._why_refuse(link, peer, rival, now):
            self._drop(link)
            return (_hang_up(link, reason),)
        effects: _Effects = ()
        if rival is not None:
            self._drop(rival)
            effects = (_hang_up(rival, "replaced by another connection to the same peer"),)
        state.stage, state.since, state.peer = _Stage.UP, now, peer
        self._peers[peer] = link
        return (*effects, m.Emit(Proceed(link)))

    def _why_refuse(
        self, link: LinkId, peer: PeerId, rival: LinkId | None, now: float
    ) -> str | None:
        if peer == self._key:
            return "that is this node itself"
        if peer in self.blocked:
            return "blocked"
        if rival is not None:
            return None if self._replaces(link, rival, peer, now) else "already connected"
        if not link.outgoing and self._busy() >= self._room_for(peer):
            return "too many connections"
        return None

    def _replaces(self, link: LinkId, rival: LinkId, peer: PeerId, now: float) -> bool:
        """Whether a new connection takes the place of another one with the same peer.

        Both sides come to the same result: who dials believes that there is no connection, so the
        new one counts; when both dial at once, that of the smaller key.
        """
        state = self._links[rival]
        old = state.stage is _Stage.UP and now - state.since > COLLISION_S
        if link.outgoing == rival.outgoing or state.stage is _Stage.DIALLING or old:
            return True
        return link.outgoing == (self._key < peer)

    def _lose(self, link: LinkId, now: float, rng: m.Rng) -> _Effects:
        state = self._links.get(link)
        if state is None:
            return ()  # we hung up
        self._drop(link)
        peer = state.peer
        if peer is None:
            return ()
        steady = state.stage is _Stage.UP and now - state.since >= STEADY_S
        past = self._retries.get(peer)
        failures = 0 if steady or past is None else past.failures
        if self._wanted(peer, now):
            wait_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 10))
            at = now + wait_s * (0.5 + rng.random() / 2)
            self._retries[peer] = _Retry(failures + 1, at)
        return self._dial_who_is_due(now)

    def _hang_up_on(self, peer: PeerId, reason: str) -> _Effects:
        self._retries.pop(peer, None)
        link = self._peers.get(peer)
        if link is None:
            return ()
        self._drop(link)
        return (_hang_up(link, reason),)

    def _drop(self, link: LinkId) -> None:
        state = self._links.pop(link)
        if state.peer is not None and self._peers.get(state.peer) == link:
            del self._peers[state.peer]

    def _busy(self) -> int:
        """Connections that are up, and dials; incoming handshakes have a cap of their own."""
        return len(self._peers)

    def _room_for(self, peer: PeerId) -> int:
        reserved = 0 if peer in self.known else self.limits.connections_reserved
        return self.limits.connections_max - reserved

    # ---- dialling ----

    def _dial_who_is_due(self, now: float) -> _Effects:
        if not self._started:
            return ()
        effects: list[m.Effect] = []
        next_at = math.inf
        for peer in [*self.known, *[peer for peer in self._heard if peer not in self.known]]:
            if peer in self._peers or not self._wanted(peer, now):
                continue
            retry = self._retries.get(peer, _Retry(0, now))
            if retry.at > now:
                next_at = min(next_at, retry.at)
            elif self._busy() < self._room_for(peer):
                effects.append(self._dial(peer, retry.failures, now))
        if next_at < self._timer_at:
            self._timer_at = next_at
            effects.append(m.SetTimer(_TIMER, next_at))
        return tuple(effects)

    def _wanted(self, peer: PeerId, now: float) -> bool:
        if peer in self.blocked:
            return False
        heard = peer in self._heard and self._heard[peer][1] > now
        return heard or self.known.get(peer) is not None

    def _dial(self, peer: PeerId, failures: int, now: float) -> m.Effect:
        """The address that a person gave and one heard on the local network take turns, so that
        nobody there can keep us from a peer by announcing it elsewhere.
        """
        known = self.known.get(peer)
        addresses = [] if known is None else [known]
        if peer in self._heard and self._heard[peer][1] > now:
            addresses.append(self._heard[peer][0].address)
        self._dials += 1
        link = LinkId(outgoing=True, number=self._dials)
        self._links[link] = _Link(_Stage.DIALLING, now, peer=peer)
        self._peers[peer] = link
        turn = failures % len(addresses)
        if addresses[turn] is not known and self._heard[peer][0].once:
            self._forget(peer)
        return m.Emit(Dial(link, addresses[turn]))


def _hang_up(link: LinkId, reason: str) -> m.Effect:
    return m.Emit(Hangup(link, reason))
