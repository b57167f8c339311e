"""A room in which machines of roles talk: what one says reaches the other after a moment, in order.

Honest nodes are played by a Puppet, which is a whole one.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from netsim import facts
from netsim.chance import Draws
from netsim.messages import HistoryPart
from netsim.plan import Do, NodePlan, Operation, Plan
from netsim.roles.puppet import Puppet
from netsim.roles.role import Face, Role, Stage
from netsim.running import make_world
from netsim.world import World
from qbix_node import machines as m
from qbix_node.feeds.messages import Offered
from qbix_node.replication.messages import Hangup

T = TypeVar("T")

DELAY_S = 0.01


class NoDriver:
    silence_s: float | None = None

    def run(self, world: World) -> None:
        """Time passes in the room alone."""


def stages(count: int, *, amount: float = 0.0) -> list[Stage]:
    """Nodes that all know and follow each other; `amount` is of the first, which is the role."""
    every = tuple(range(count))
    plans = [
        NodePlan(
            number,
            role="honest" if number else "role",
            amount=0.0 if number else amount,
            knows=tuple([other for other in every if other != number]),
            follows=tuple([other for other in every if other != number]),
        )
        for number in every
    ]
    world = make_world(Plan("room", 1, tuple(plans), 60.0, 60.0), NoDriver())
    return [Stage(site, world.sites) for site in world.sites.values()]


class Room:
    """`told`: what each key was told, and by whom. `misdeeds`: in their order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[tuple[m.PeerId, m.PeerId, object]] = []
        self.misdeeds: list[facts.Misdeed] = []
        self.links: dict[tuple[m.PeerId, m.PeerId], int] = {}
        self.hangups: Counter[m.PeerId] = Counter()
        self._machines: dict[m.PeerId, m.Machine] = {}
        self._rng = Draws(7)
        self._timers: dict[tuple[m.PeerId, str], float] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._set = 0

    def enter(self, face: Face) -> None:
        self._machines[face.peer] = face.machine

    def connect(self, dialler: m.PeerId, listener: m.PeerId) -> None:
        self._set += 1
        self.links[dialler, listener] = self.links[listener, dialler] = self._set
        self.happen(dialler, m.Connected(listener, outgoing=True))
        self.happen(listener, m.Connected(dialler, outgoing=False))

    def cut(self, a: m.PeerId, b: m.PeerId) -> None:
        if self.links.pop((a, b), None):
            del self.links[b, a]
            self.happen(a, m.Disconnected(b))
            self.happen(b, m.Disconnected(a))

    def run(self, for_s: float) -> None:
        until = self.now + for_s
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = until

    def happen(self, who: m.PeerId, event: m.Event) -> None:
        for effect in self._machines[who].handle(event, self.now, self._rng):
            self._carry(who, effect)

    def heard(self, who: m.PeerId, kind: type[T], *, by: m.PeerId | None = None) -> list[T]:
        return [
            what
            for to, speaker, what in self.told
            if to == who and isinstance(what, kind) and by in (None, speaker)
        ]

    def _carry(self, who: m.PeerId, effect: m.Effect) -> None:
        match effect:
            case m.Send(to, message):
                self._send(who, to, message)
            case m.SetTimer(name, at):
                self._timers[who, name] = at
                if at < 1e9:
                    self._at(at, lambda: self._due(who, name, at))
            case m.Emit(facts.Misdeed() as misdeed):
                self.misdeeds.append(misdeed)
            case m.Emit(Hangup(peer)):
                self.hangups[peer] += 1
                self._at(self.now, lambda: self.cut(who, peer))
            case other:
                raise AssertionError(f"a role can't ask for {other}")

    def _send(self, who: m.PeerId, to: m.PeerId, message: object) -> None:
        link = self.links.get((who, to))
        if link is None:
            return
        if isinstance(message, HistoryPart):
            message = Offered(message.messages, 0)

        def arrive() -> None:
            if self.links.get((who, to)) == link:
                self.told.append((to, who, message))
                self.happen(to, m.Received(who, message))

        self._at(self.now + DELAY_S, arrive)

    def _due(self, who: m.PeerId, name: str, at: float) -> None:
        if self._timers.get((who, name)) == at:
            self.happen(who, m.TimerFired(name))

    def _at(self, when: float, action: Callable[[], None]) -> None:
        self._set += 1
        heapq.heappush(self._heap, (when, self._set, action))


class Party:
    """A role as node 0, and honest nodes, all connected with each other."""

    def __init__(
        self, make: Callable[[Stage], Role], *, honest: int = 3, amount: float = 0
    ) -> None:
        self.stages = stages(honest + 1, amount=amount)
        self.role = make(self.stages[0])
        self.room = Room()
        self.peers = [stage.site.peer for stage in self.stages]
        self.feeds = [stage.site.feed for stage in self.stages]
        self.honest = {n: Puppet(self.stages[n]) for n in range(1, honest + 1)}
        for face in self.role.faces:
            self.room.enter(face)
        for number, puppet in self.honest.items():
            self.room.enter(Face(self.stages[number].site.keys, puppet))

    def meet(self) -> "Party":
        for face in self.role.faces:
            for dial in face.dials:
                self.room.connect(face.peer, self.peers[dial.node])
        numbers = list(self.honest)
        for place, number in enumerate(numbers):
            for other in numbers[place + 1 :]:
                self.room.connect(self.peers[number], self.peers[other])
        self.room.run(1)
        return self

    def ask(self, node: int, do: Do, *, times: int = 1, size: int = 40, number: int = 0) -> None:
        for n in range(number, number + times):
            operation = Operation(self.room.now, node, do, number=n, size=size)
            faces = [face.peer for face in self.role.faces] if node == 0 else [self.peers[node]]
            for peer in faces:
                self.room.happen(peer, m.Requested(operation))
            self.room.run(0.2)

    def head(self, node: int, feed: int) -> int:
        return self.honest[node].feeds.head(self.feeds[feed])

    def heads(self, feed: int) -> list[int]:
        return [self.head(node, feed) for node in self.honest]

    def forked(self, feed: int) -> list[bool]:
        """At each honest node."""
        every = [puppet.feeds.replicator.book.forked for puppet in self.honest.values()]
        return [self.feeds[feed] in forked for forked in every]

    def deeds(self) -> set[str]:
        return {misdeed.name for misdeed in self.room.misdeeds}


def of(messages: Sequence[Offered]) -> list[object]:
    """All messages of several offers."""
    return [message for offered in messages for message in offered.messages]
