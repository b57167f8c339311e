"""Nodes of the DHT on datagrams in memory and in virtual time, all from one seed: no task for a
node, none for a datagram. Keys, boxes and signatures are real; what two nodes compute alike is
computed once.
"""

import heapq
import math
import random
from collections.abc import Callable, Iterable
from itertools import count
from typing import ClassVar

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, closest, distance, identity
from qbix_node.dht.limits import Limits
from qbix_node.dht.machine import Dht
from qbix_node.dht.messages import Told
from qbix_node.dht.records import Record
from qbix_node.dht.wire import Sealing
from qbix_node.machines import PeerId

UNIX_S = 1_800_000_000.0  # when virtual time begins


class Remembered(Sealing):
    """Agreements and verdicts of this process."""

    _agreed: ClassVar[dict[frozenset[bytes], bytes | None]] = {}
    _verdicts: ClassVar[dict[tuple[bytes, bytes, bytes], bool]] = {}

    def agree(self, peer: PeerId) -> bytes | None:
        both = frozenset((self.keys.public, peer))
        if both not in self._agreed:
            self._agreed[both] = super().agree(peer)
        return self._agreed[both]

    def verify(self, key: bytes, body: bytes, signature: bytes) -> bool:
        asked = key, body, signature
        if asked not in self._verdicts:
            self._verdicts[asked] = super().verify(*asked)
        return self._verdicts[asked]


_KEYS: dict[int, KeyPair] = {}


def keys_of(number: int) -> KeyPair:
    if number not in _KEYS:
        _KEYS[number] = KeyPair.from_seed(number.to_bytes(32))
    return _KEYS[number]


def told(node: "Node") -> Told:
    return Told(node.key, *node.endpoint)


class Node:
    """`endpoint` may change: its datagrams come from there, and reach it there."""

    def __init__(self, network: "Network", number: int, limits: Limits) -> None:
        self.network, self.number = network, number
        self.keys = keys_of(number)
        self.key = PeerId(self.keys.public)
        self.id = identity(self.key).id
        self.endpoint = network.endpoint_of(number)
        self.dht = Dht(network.sealing(self.keys), limits)
        self.rng = random.Random(number)
        self.alive = True
        self.found: list[object] = []
        self.timers: dict[str, tuple[float, int]] = {}
        self.want(r.ClockSet(UNIX_S))

    def want(self, request: object) -> None:
        self.handle(m.Requested(request))

    def handle(self, event: r.Event) -> None:
        for effect in self.dht.handle(event, self.network.now, self.rng):
            match effect:
                case r.Say(data, to):
                    self.network.carry(data, self.endpoint, to)
                case m.SetTimer(name, at):
                    self.network.set_timer(self, name, at)
                case m.Emit(finding):
                    self.found.append(finding)

    def hear(self, data: bytes, source: Endpoint) -> None:
        self.handle(r.Heard(data, source))


class Network:
    """`loss`: the share of datagrams that vanish. `observe` sees each that is sent."""

    def __init__(
        self,
        seed: int,
        size: int = 0,
        *,
        loss: float = 0.0,
        latency_s: tuple[float, float] = (0.01, 0.06),
        limits: Limits | None = None,
        node: type[Node] = Node,
        sealing: Callable[[KeyPair], Sealing] = Remembered,
    ) -> None:
        self.now = 0.0
        self.rng = random.Random(seed)
        self.loss, self._latency_s = loss, latency_s
        self.sealing = sealing
        self._limits = limits or Limits()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.places: dict[Endpoint, Node] = {}
        self.nodes: list[Node] = []
        self.sent = 0
        self.observe: Callable[[bytes, Endpoint, Endpoint], None] = lambda *_: None
        for _ in range(size):
            self.add(node)

    def endpoint_of(self, number: int) -> Endpoint:
        return Endpoint(bytes((127, 0, number >> 8 & 255, number & 255)), 4000 + (number >> 16))

    def add(self, kind: type[Node] = Node, limits: Limits | None = None) -> Node:
        number = len(self.nodes) + 1
        node = kind(self, number, limits or self._limits)
        self.nodes.append(node)
        self.places[node.endpoint] = node
        return node

    def kill(self, node: Node) -> None:
        node.alive = False
        self.places.pop(node.endpoint, None)

    def move(self, node: Node, endpoint: Endpoint) -> None:
        del self.places[node.endpoint]
        node.endpoint = endpoint
        self.places[endpoint] = node

    # ---- time ----

    def carry(self, data: bytes, source: Endpoint, to: Endpoint) -> None:
        self.sent += 1
        self.observe(data, source, to)
        if self.rng.random() >= self.loss:
            self.at(self.now + self.rng.uniform(*self._latency_s), self._arrival(data, source, to))

    def _arrival(self, data: bytes, source: Endpoint, to: Endpoint) -> Callable[[], None]:
        def arrive() -> None:
            if node := self.places.get(to):
                node.hear(data, source)

        return arrive

    def set_timer(self, node: Node, name: str, at: float) -> None:
        timer = node.timers[name] = at, next(self._order)

        def fire() -> None:
            if node.alive and node.timers.get(name) == timer:
                node.handle(m.TimerFired(name))

        if at < math.inf:
            self.at(at, fire)

    def at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), act))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Whether `until` came true within so many seconds."""
        stop = self.now + seconds
        while not until() and self._queue and self._queue[0][0] <= stop:
            self.now, _, act = heapq.heappop(self._queue)
            act()
        if until():
            return True
        self.now = stop
        return False

    # ---- what tests want ----

    def join(self, nodes: Iterable[Node], way_in: Node, *, every_s: float = 0.02) -> None:
        """One after another, by a node that is known."""
        for node in nodes:
            if node is not way_in:
                node.want(r.Bootstrap((told(way_in),)))
            self.run(every_s)
        self.run(20)

    def warm(self, known: int = 400, near: int = 24) -> None:
        """Tables as after a long time: contacts from everywhere, and all that are near."""
        by_id = sorted(self.nodes, key=lambda each: each.id)  # so the nearest stand together
        for place, node in enumerate(by_id):
            others = by_id[max(0, place - 8 * near) : place] + by_id[place + 1 :][: 8 * near]
            others.sort(key=lambda each: distance(each.id, node.id))
            chosen = self.rng.sample(self.nodes, min(known, len(self.nodes)))
            node.dht.warm([told(each) for each in [*others[:near], *chosen]], self.now)

    def ids(self, but: Node | None = None) -> list[NodeId]:
        return [each.id for each in self.nodes if each.alive and each is not but]

    def nearest(self, target: NodeId, size: int, but: Node | None = None) -> list[Node]:
        by_id = {each.id: each for each in self.nodes if each.alive}
        return [by_id[each] for each in closest(self.ids(but), target, size)]

    def find(self, node: Node, target: NodeId, *, paths: int | None = None) -> r.Found:
        found = self.answer(node, lambda number: r.Find(number, target, paths))
        assert isinstance(found, r.Found)
        return found

    def get(self, node: Node, key: NodeId, signer: PeerId | None = None) -> r.Got:
        got = self.answer(node, lambda number: r.Get(number, key, signer))
        assert isinstance(got, r.Got)
        return got

    def store(self, node: Node, record: Record) -> r.Placed:
        placed = self.answer(node, lambda number: r.Store(number, record))
        assert isinstance(placed, r.Placed)
        return placed

    def answer(self, node: Node, wish: Callable[[int], object], patience_s: float = 60.0) -> object:
        before, number = len(node.found), next(self._order)
        node.want(wish(number))
        assert self.run(patience_s, lambda: len(node.found) > before), "no answer in time"
        return node.found[-1]


def found_ids(found: r.Found) -> list[NodeId]:
    return [identity(each.key).id for each in found.nodes]


def is_exact(network: Network, node: Node, found: r.Found, size: int = 20) -> bool:
    return found_ids(found)[:size] == closest(network.ids(but=node), found.target, size)
