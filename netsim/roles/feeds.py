"""The feeds of a role that is honest about them: a Replicator whose disk takes no time."""

from collections import deque
from collections.abc import Iterable

from netsim.clocks import EPOCH_S
from netsim.plan import Operation
from netsim.roles.history import Histories
from netsim.roles.person import requests
from netsim.roles.role import Stage
from netsim.signatures import verify_checks
from qbix_node import machines as m
from qbix_node.feeds.messages import Appended, Offered
from qbix_node.feeds.records import read_forked, read_heads, read_log
from qbix_node.replication.clocks import Clocks
from qbix_node.replication.following import Following, read_blocks, read_follows
from qbix_node.replication.machine import Replicator
from qbix_node.replication.messages import (
    EbtNotes,
    Hangup,
    HistoryEnded,
    HistoryRequest,
    PeerBlocked,
    Range,
    Stop,
)
from qbix_node.replication.outbox import Outbox
from qbix_node.store.memory import MemoryDisk
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue, parse


class FeedSide:
    def __init__(self, stage: Stage) -> None:
        site = stage.site
        self.disk = MemoryDisk()
        self.disk.roll_back(site.disk.snapshot())  # who it follows, as everybody's disk says
        self.replicator = Replicator(
            site.keys,
            following=Following(site.feed, read_follows(self.disk), read_blocks(self.disk)),
            heads=read_heads(self.disk),
            forked=read_forked(self.disk),
            clocks=Clocks(0.0, {}),
            epoch_s=EPOCH_S,
        )
        self._stage = stage
        self._histories = Histories(self.replicator.serves, self._read)
        self._outboxes: dict[m.PeerId, Outbox[FeedId]] = {}

    def head(self, feed: FeedId) -> int:
        return self.replicator.talks.head(feed)

    def log(self, feed: FeedId, first: int, last: int) -> tuple[JsonValue, ...]:
        """Messages that it has, as they go over the wire."""
        if last < first:
            return ()
        stored = read_log(self.disk, feed, first, last - first + 1)
        return tuple([parse(each.encoded, "stored message") for each in stored])

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> list[m.Effect]:
        """Send, SetTimer, and Emit of Hangup only; no Send is of a Range."""
        out: list[m.Effect] = []
        events = deque(self._translate(event, now, out))
        while events:
            effects = self.replicator.handle(events.popleft(), now, rng)
            events += [done for effect in effects if (done := self._do(effect))]
            out += [shown for effect in effects for shown in self._show(effect)]
        for peer, outbox in self._outboxes.items():
            out += self._take(peer, outbox)
        return out

    def _translate(self, event: m.Event, now: float, out: list[m.Effect]) -> list[m.Event]:
        """What the Replicator is to be told."""
        match event:
            case m.Connected(peer):
                self._outboxes[peer] = Outbox()
                self._histories.forget(peer)
            case m.Disconnected(peer):
                self._outboxes.pop(peer, None)
                self._histories.forget(peer)
            case m.Received(peer, HistoryRequest() as request):
                out += self._histories.open(peer, request)
                return []
            case m.Received(peer, HistoryEnded(feed)) if self._histories.end(peer, feed):
                return []
            case m.Requested(Operation() as operation):
                asked = requests(operation, self._stage, now)
                return [m.Requested(request) for request in asked]
            case _:
                pass
        return [event]

    def _do(self, effect: m.Effect) -> m.Event | None:
        """Slow work, done at once."""
        match effect:
            case m.Persist(token, writes):
                self.disk.append(writes)
                self.disk.sync()
                return m.Persisted(token)
            case m.Load(token, keys):
                return m.Loaded(token, tuple([self.disk.get(key) for key in keys]))
            case m.Verify(token, checks):
                return m.Verified(token, verify_checks(checks))
            case _:
                return None

    def _show(self, effect: m.Effect) -> Iterable[m.Effect]:
        """What others see of it, but for what waits in an outbox."""
        match effect:
            case m.Send(peer, EbtNotes() | Range() | Stop() as message):
                if peer in self._outboxes:
                    self._outboxes[peer].put(message)
            case m.Send() | m.SetTimer() | m.Emit(Hangup()):
                yield effect
            case m.Emit(PeerBlocked(peer)):
                yield m.Emit(Hangup(peer, "blocked"))
            case m.Emit(Appended(feed)):
                yield from self._histories.grown(feed)
            case _:
                pass

    def _take(self, peer: m.PeerId, outbox: Outbox[FeedId]) -> Iterable[m.Effect]:
        while (message := outbox.take()) is not None:
            match message:
                case EbtNotes():
                    yield m.Send(peer, message)
                case Range(feed, first, last):
                    yield m.Send(peer, Offered(self.log(feed, first, last), 0))

    def _read(self, feed: FeedId, first: int, limit: int) -> tuple[JsonValue, ...]:
        return self.log(feed, first, min(self.head(feed), first + limit - 1))
