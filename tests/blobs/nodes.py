"""Nodes without bytes or sockets: a BlobExchange each, a disk that loses power, and a network."""

import random
from collections.abc import Callable
from typing import assert_never

from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.recovery import recover
from qbix_node.crypto.boxes import sha256
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.wire.references import BlobId


def blob_id(name: str) -> BlobId:
    return BlobId(sha256(name.encode()))


def peer_id(name: str) -> m.PeerId:
    return m.PeerId(name.encode().ljust(32, b"."))


class Node:
    """Carries out effects. With `hold_syncs`, writes are durable only once `sync` is called."""

    def __init__(
        self, name: str, limits: Limits | None = None, *, hold_syncs: bool = False
    ) -> None:
        self.peer = peer_id(name)
        self.limits = limits or Limits()
        self.hold_syncs = hold_syncs
        self.disk = MemoryDisk()
        self.files: dict[BlobId, int] = {}
        self.rng = random.Random(name)
        self.now = 0.0
        self.restart()

    def restart(self) -> None:
        """Cut the power, if it runs; then start from what the disk holds."""
        self.disk.cut_power(self.rng)
        self.machine, stale = recover(MemoryStore(self.disk), self.files, self.limits)
        self.disk.append(stale)
        self.disk.sync()
        self.sent: list[tuple[m.PeerId, object]] = []
        self.findings: list[object] = []
        self.timers: dict[str, float] = {}
        self._unsynced: list[m.Persist] = []
        self._waiting: list[m.Send] = []

    def tell(self, event: m.Event) -> tuple[m.Effect, ...]:
        effects = self.machine.handle(event, self.now, self.rng)
        for effect in effects:
            self._perform(effect)
        for effect in effects:
            if isinstance(effect, m.Emit) and isinstance(effect.finding, b.Discard):
                self.ask(b.Removed(effect.finding.blob))
        if not self.hold_syncs:
            self.sync()
        return effects

    def sync(self) -> None:
        self.disk.sync()
        while self._unsynced:
            token = self._unsynced.pop(0).token
            free = [send for send in self._waiting if send.after == token]
            self._waiting = [send for send in self._waiting if send.after != token]
            self.sent += [(send.to, send.message) for send in free]
            self.tell(m.Persisted(token))

    def wait(self, seconds: float) -> None:
        """Time passes; timers fire when they are due."""
        end = self.now + seconds
        while self.timers and min(self.timers.values()) <= end:
            name = min(self.timers, key=lambda name: (self.timers[name], name))
            self.now = max(self.now, self.timers.pop(name))
            self.tell(m.TimerFired(name))
        self.now = end

    def _perform(self, effect: m.Effect) -> None:
        match effect:
            case m.Send(to, message, after):
                if any(write.token == after for write in self._unsynced):
                    self._waiting.append(effect)
                else:
                    self.sent.append((to, message))
            case m.Persist(_, writes):
                self.disk.append(writes)
                self._unsynced.append(effect)
            case m.Emit(finding):
                self.findings.append(finding)
                if isinstance(finding, b.Discard):
                    del self.files[finding.blob]
            case m.SetTimer(name, at) if at == float("inf"):
                self.timers.pop(name, None)
            case m.SetTimer(name, at):
                self.timers[name] = at
            case m.Verify() | m.Load() | m.Ask():
                raise AssertionError("blobs need neither")
            case other:
                assert_never(other)

    # ---- what happens to it ----

    def meet(self, *peers: m.PeerId) -> None:
        """Connected, and the peer reads our notes."""
        for peer in peers:
            self.tell(m.Connected(peer, outgoing=True))
            self.hear(peer, b.Listening())

    def hear(self, peer: m.PeerId, message: object) -> tuple[m.Effect, ...]:
        return self.tell(m.Received(peer, message))

    def ask(self, request: object) -> tuple[m.Effect, ...]:
        return self.tell(m.Requested(request))

    def add(self, blob: BlobId, size: int = 10) -> None:
        self.files[blob] = size
        self.ask(b.Added(blob, size))

    def finish(self, peer: m.PeerId, get: b.Get, size: int | None = None) -> None:
        """The bytes came and were right."""
        self.files[get.blob] = get.size if size is None else size
        self.hear(peer, b.Got(get.number, get.blob, self.files[get.blob]))

    def fail(
        self, peer: m.PeerId, get: b.Get, failure: b.Failure = b.Failure.UNAVAILABLE
    ) -> tuple[m.Effect, ...]:
        return self.hear(peer, b.Failed(get.number, get.blob, failure, "no"))

    # ---- what it said ----

    def take_sent(self) -> list[tuple[m.PeerId, object]]:
        sent, self.sent = self.sent, []
        return sent

    def take_gets(self) -> list[tuple[m.PeerId, b.Get]]:
        gets = [(to, get) for to, get in self.sent if isinstance(get, b.Get)]
        self.sent = [each for each in self.sent if not isinstance(each[1], b.Get)]
        return gets

    def take_findings(self) -> list[object]:
        findings, self.findings = self.findings, []
        return findings


class Network:
    """Delivers what nodes send, in the order that `choose` picks, until nothing is under way."""

    def __init__(self, *nodes: Node, choose: Callable[[int], int] = lambda size: 0) -> None:
        self.nodes = {node.peer: node for node in nodes}
        self.links: set[tuple[m.PeerId, m.PeerId]] = set()
        self.choose = choose
        self.notes: list[b.Note] = []  # all that were delivered

    def connect(self, one: Node, other: Node) -> None:
        self.links |= {(one.peer, other.peer), (other.peer, one.peer)}
        one.meet(other.peer)
        other.meet(one.peer)

    def disconnect(self, one: Node, other: Node) -> None:
        self.links -= {(one.peer, other.peer), (other.peer, one.peer)}
        one.tell(m.Disconnected(other.peer))
        other.tell(m.Disconnected(one.peer))

    def run(self) -> None:
        under_way: list[tuple[m.PeerId, m.PeerId, object]] = []
        while True:
            for node in self.nodes.values():
                under_way += [(node.peer, to, message) for to, message in node.take_sent()]
            if not under_way:
                return
            sender, to, message = under_way.pop(self.choose(len(under_way)))
            self._deliver(self.nodes[sender], self.nodes[to], message)

    def _deliver(self, sender: Node, to: Node, message: object) -> None:
        linked = (sender.peer, to.peer) in self.links
        match message:
            case b.Get() as get:
                if linked and get.blob in to.files and to.files[get.blob] <= get.size:
                    sender.finish(to.peer, get, to.files[get.blob])
                else:
                    sender.fail(to.peer, get)
            case b.Want() | b.Have():
                if linked:
                    self.notes.append(message)
                    to.hear(sender.peer, message)
            case _:
                pass  # a Cancel that comes too late
