"""A deterministic network of Replicators in memory: virtual time, seeded delays, power cuts.

It carries out effects as `qbix_node.runtime` and the replication service do, without trio: writes
become durable in their order after a while, streams keep their order, and what was under way when
a link is cut or a node dies is lost.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair, verify
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import Offered, Publish, Settled
from qbix_node.feeds.records import read_forked, read_heads, read_log
from qbix_node.replication.clocks import Clocks, read_clock_ages
from qbix_node.replication.following import Following, read_blocks, read_follows
from qbix_node.replication.machine import Replicator
from qbix_node.replication.messages import (
    EbtNotes,
    Follow,
    HistoryEnded,
    HistoryRequest,
    Range,
    SaveClocks,
    Stop,
)
from qbix_node.replication.outbox import Outbox
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue, parse

T = TypeVar("T")

EPOCH_S = 1_800_000_000.0


def keys_of(name: str) -> KeyPair:
    return KeyPair.from_seed(name.encode().ljust(32, b"."))


def feed_of(name: str) -> FeedId:
    return FeedId(keys_of(name).public)


def peer_of(name: str) -> m.PeerId:
    return m.PeerId(keys_of(name).public)


@dataclass
class Pipe:
    """One direction of a link. What it carries arrives in order, unless the link is cut."""

    arrives_at: float = 0.0
    outbox: Outbox[FeedId] = field(default_factory=Outbox[FeedId])
    pumping: bool = False


class Stranger:
    """A peer that says exactly what a test has it say."""

    def __init__(self, network: "Network", name: str) -> None:
        self.network = network
        self.name = name
        self.heard: list[object] = []
        network.members[peer_of(name)] = self

    def say(self, to: "Node", message: object) -> None:
        self.network.carry(self.name, to.name, message)

    def notes(self) -> dict[FeedId, int]:
        """The last note about each feed that it was told."""
        last: dict[FeedId, int] = {}
        for message in self.heard:
            if isinstance(message, EbtNotes):
                last |= message.notes
        return last

    def receive(self, event: m.Event) -> None:
        self.heard.append(event.message if isinstance(event, m.Received) else event)

    def offer(self, to: "Node", messages: Sequence[JsonValue]) -> None:
        self.say(to, Offered(tuple(messages), 0))


class Node:
    """A Replicator with its disk. `restart` forgets what was not durable."""

    def __init__(self, network: "Network", name: str) -> None:
        self.network = network
        self.name = name
        self.keys = keys_of(name)
        self.disk = MemoryDisk()
        self.store = MemoryStore(self.disk)  # only read: the disk is written directly
        self.findings: list[object] = []
        self.offered: Counter[m.PeerId] = Counter()  # messages
        self.verified: Counter[bytes] = Counter()  # by signature
        self.sent: Counter[tuple[str, FeedId, int]] = Counter()  # messages, by peer and place
        self.notes_sent = 0
        self.life = 0  # what belongs to an earlier one no longer happens
        network.members[peer_of(name)] = self
        self.start(clean=True)

    @property
    def feed(self) -> FeedId:
        return feed_of(self.name)

    def start(self, *, clean: bool) -> None:
        now_s = EPOCH_S + self.network.now
        self.machine = Replicator(
            self.keys,
            following=Following(self.feed, read_follows(self.store), read_blocks(self.store)),
            heads=read_heads(self.store),
            forked=read_forked(self.store),
            clocks=Clocks(0.0 if clean else now_s, read_clock_ages(self.store)),
            epoch_s=EPOCH_S,
        )
        self.timers: dict[str, float] = {}
        self.durable_at = 0.0

    def stop_cleanly(self) -> None:
        self.ask(SaveClocks())
        self.network.run(until=self.network.now + 1)

    def restart(self, *, clean: bool = False) -> None:
        """Die and come back; its links are cut."""
        self.network.cut_all(self.name)
        self.life += 1
        self.disk.cut_power(self.network.rng)
        self.start(clean=clean)

    def ask(self, request: object) -> None:
        self.receive(m.Requested(request))

    def follow(self, *names: str) -> None:
        for name in names:
            self.ask(Follow(feed_of(name)))

    def publish(self, count: int = 1) -> None:
        for n in range(count):
            self.ask(Publish(n, {"type": "test", "n": n}, int(1000 * self.network.now)))

    def head(self, name: str) -> int:
        return self.machine.talks.head(feed_of(name))

    def log(self, name: str) -> list[bytes]:
        return [each.encoded for each in read_log(self.store, feed_of(name), 1, 1_000_000)]

    def found(self, kind: type[T]) -> list[T]:
        return [finding for finding in self.findings if isinstance(finding, kind)]

    def unsettled(self) -> Counter[m.PeerId]:
        """Messages that the machine has not said to have dealt with."""
        left = Counter(self.offered)
        for settled in self.found(Settled):
            left[settled.peer] -= settled.count
        return +left

    # ---- carrying out effects ----

    def receive(self, event: m.Event) -> None:
        if isinstance(event, m.Received) and isinstance(event.message, Offered):
            self.offered[event.peer] += len(event.message.messages)
        for effect in self.machine.handle(event, self.network.now, self.network.rng):
            self._perform(effect)

    def _later(self, delay_s: float, event: Callable[[], m.Event]) -> None:
        life = self.life
        self.network.at(
            self.network.now + delay_s,
            lambda: self.receive(event()) if life == self.life else None,
        )

    def _perform(self, effect: m.Effect) -> None:
        match effect:
            case m.Send(to, message):
                self._send(to, message)
            case m.Emit(finding):
                self.findings.append(finding)
            case m.SetTimer(name, at):
                self.timers[name] = at
                self._later(at - self.network.now, lambda: self._due(name, at))
            case m.Verify(token, checks):
                self.verified.update(check.signature for check in checks)
                oks = tuple(verify(each.key, each.body, each.signature) for each in checks)
                self._later(self.network.delay(), lambda: m.Verified(token, oks))
            case m.Load(token, keys):
                values = tuple(self.disk.get(key) for key in keys)
                self._later(0.0, lambda: m.Loaded(token, values))
            case m.Ask(token, question):
                answer = question.answer(self.disk)
                self._later(0.0, lambda: m.Answered(token, answer))
            case m.Persist(token, writes):
                self.durable_at = max(self.durable_at, self.network.now) + self.network.delay()
                self.disk.append(writes)

                def durable() -> m.Event:
                    self.disk.sync()
                    return m.Persisted(token)

                self._later(self.durable_at - self.network.now, durable)

    def _due(self, name: str, at: float) -> m.Event:
        replaced = self.timers.get(name) != at
        return m.TimerFired("replaced" if replaced else name)

    def _send(self, to: m.PeerId, message: object) -> None:
        other = self.network.members[to]
        pipe = self.network.pipes.get((self.name, other.name))
        if pipe is None:
            return
        if isinstance(message, EbtNotes | Range | Stop):
            pipe.outbox.put(message)
            if not pipe.pumping:
                pipe.pumping = True
                self.network.at(self.network.now, lambda: self._pump(pipe, other.name))
        else:
            self.network.carry(self.name, other.name, message)

    def _pump(self, pipe: Pipe, to: str) -> None:
        pipe.pumping = False
        if self.network.pipes.get((self.name, to)) is not pipe:
            return
        match pipe.outbox.take():
            case EbtNotes() as notes:
                self.notes_sent += len(notes.notes)
                self.network.carry(self.name, to, notes)
            case Range() as wanted:
                self.sent.update((to, wanted.feed, n) for n in range(wanted.first, wanted.last + 1))
                self.network.carry(self.name, to, Offered(self.read(wanted), 0))
            case None:
                return
        pipe.pumping = True
        self.network.at(self.network.now + 0.001, lambda: self._pump(pipe, to))

    def read(self, wanted: Range[FeedId]) -> tuple[JsonValue, ...]:
        found = read_log(self.store, wanted.feed, wanted.first, wanted.last - wanted.first + 1)
        assert [each.sequence for each in found] == [*range(wanted.first, wanted.last + 1)]
        return tuple(parse(each.encoded, "stored message") for each in found)

    def answer_history(self, to: m.PeerId, request: HistoryRequest) -> None:
        """As the service does it, except that nothing live follows."""
        other = self.network.members[to].name
        if self.machine.serves(to, request.feed):
            found = read_log(self.store, request.feed, request.sequence, request.limit or 1_000_000)
            values = tuple(parse(each.encoded, "stored message") for each in found)
            self.network.carry(self.name, other, Offered(values, 0))
        if not request.live:
            self.network.carry(self.name, other, HistoryEnded(request.feed))


class Network:
    def __init__(self, seed: int = 1, *, delay_s: float = 0.01) -> None:
        self.rng = random.Random(seed)
        self.now = 100.0
        self.delay_s = delay_s
        self.members: dict[m.PeerId, Node | Stranger] = {}
        self.pipes: dict[tuple[str, str], Pipe] = {}
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def node(self, name: str) -> Node:
        return Node(self, name)

    def nodes(self, *names: str) -> list[Node]:
        return [self.node(name) for name in names]

    def delay(self) -> float:
        return self.delay_s * self.rng.random()

    def at(self, when: float, action: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, action))

    def run(self, *, until: float) -> None:
        """Everything that happens until then."""
        while self._queue and self._queue[0][0] <= until:
            when, _, action = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            action()
        self.now = until

    def settle(self, within_s: float = 20.0) -> None:
        self.run(until=self.now + within_s)

    # ---- links ----

    def link(self, dialler: Node | Stranger, listener: Node | Stranger) -> None:
        pair = (dialler, listener), (listener, dialler)
        for one, other in pair:
            self.pipes[one.name, other.name] = Pipe()
        for one, other in pair:
            one.receive(m.Connected(peer_of(other.name), outgoing=one is dialler))

    def linked(self, a: str, b: str) -> bool:
        return (a, b) in self.pipes

    def cut(self, a: str, b: str) -> None:
        for one, other in ((a, b), (b, a)):
            del self.pipes[one, other]
        for one, other in ((a, b), (b, a)):
            self.members[peer_of(one)].receive(m.Disconnected(peer_of(other)))

    def cut_all(self, name: str) -> None:
        for a, b in [pair for pair in self.pipes if pair[0] == name]:
            self.cut(a, b)

    def carry(self, sender: str, to: str, message: object) -> None:
        pipe = self.pipes.get((sender, to))
        if pipe is None:
            return
        pipe.arrives_at = max(pipe.arrives_at, self.now + self.delay())

        def arrive() -> None:
            if self.pipes.get((sender, to)) is not pipe:
                return
            member = self.members[peer_of(to)]
            if isinstance(message, HistoryRequest) and isinstance(member, Node):
                member.answer_history(peer_of(sender), message)
            else:
                member.receive(m.Received(peer_of(sender), message))

        self.at(pipe.arrives_at, arrive)


def mesh(network: Network, nodes: Sequence[Node]) -> None:
    for place, node in enumerate(nodes):
        for other in nodes[place + 1 :]:
            network.link(node, other)


def chain(name: str, count: int, *, branch: str = "", common: int = 0) -> list[JsonValue]:
    """The first messages of a feed; of one branch of it, after so many that all branches share."""
    head, values = None, []
    for n in range(1, count + 1):
        content: JsonValue = {"type": "test", "branch": branch if n > common else ""}
        message = make_message(keys_of(name), head, content, n)
        head = message.head
        values.append(parse(message.encoded.encode(), "message"))
    return values
