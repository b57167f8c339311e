"""What the nodes of a run share: its world, who is there, and who hears what they find."""

import math
from collections.abc import Callable
from typing import Protocol

from netsim.dht.faces import Face, Faces, grind
from netsim.dht.published import Published
from netsim.dhtplan import DhtPlan
from netsim.plan import Fault
from netsim.world import World
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.limits import Limits
from qbix_node.dht.machine import Dht
from qbix_node.dht.messages import Told

_SPLITS = (Fault.PARTITION, Fault.ONE_WAY, Fault.HOLD)
GROUND_EACH = 16  # keys near a known target: as many as are looked at there


class Hosted(Protocol):
    """A node, as far as others of this package deal with it."""

    @property
    def up(self) -> bool: ...

    @property
    def dht(self) -> Dht | None: ...

    def want(self, request: object) -> None: ...

    def start(self) -> None: ...

    def crash(self, *, power: bool) -> None: ...


class Net:
    def __init__(self, world: World, plan: DhtPlan) -> None:
        self.world, self.plan = world, plan
        targets = world.chance.draws("dht/known targets")
        self.known_targets = [NodeId(targets.randbytes(32)) for _ in range(plan.known_targets)]
        ground = grind(world.chance, self.known_targets, plan.ground, GROUND_EACH)
        self.faces = Faces(world.plan.nodes, ground if plan.ground else [])
        self.limits = Limits(
            paths=plan.paths,
            records_max=plan.records_max,
            records_per_key_max=plan.records_per_key_max,
        )
        self.ahead_s = next(iter(world.sites.values())).clock.wall() - world.loop.now
        self.published = Published(self.faces, plan.subjects)
        self.members: dict[int, Hosted] = {}
        self.spoofed: dict[bytes, Endpoint] = {}  # where a datagram pretends to come from
        self._splits = [
            (each.at_s, each.at_s + each.for_s, frozenset(each.nodes))
            for each in world.plan.faults
            if each.fault in _SPLITS
        ]
        self.found: Callable[[int, object], None] = lambda node, finding: None
        self._draws = world.chance.draws("dht/ways in")
        self._bring_newcomers()

    @property
    def now(self) -> float:
        return self.world.loop.now

    def _bring_newcomers(self) -> None:
        """The honest nodes with the highest numbers come newly; others, drawn, leave."""
        plan, honest = self.plan, [each for each in self.faces if each.honest]
        count = round(len(honest) * plan.churn / (1 + plan.churn))
        draws, (first, last) = self.world.chance.draws("dht/churn"), plan.churn_s
        newcomers = honest[len(honest) - count :]
        for newcomer in newcomers:
            newcomer.born_at = draws.between(first, last)
            self._at(newcomer.born_at, newcomer.number, begins=True)
        for leaver in draws.sample(honest[: len(honest) - count], count):
            leaver.gone_at = draws.between(first, last)
            self._at(leaver.gone_at, leaver.number, begins=False)

    def _at(self, when: float, number: int, *, begins: bool) -> None:
        def act() -> None:
            member = self.members[number]
            if begins:
                member.start()
            else:
                member.crash(power=False)

        self.world.loop.at(when, act)

    @property
    def last_split_at(self) -> float:
        """When the network was last divided, or whole again."""
        moments = [when for begin, end, _ in self._splits for when in (begin, end)]
        return max([when for when in moments if when <= self.now], default=-math.inf)

    def same_side(self, one: int, other: int) -> bool:
        return all(
            (one in nodes) == (other in nodes)
            for begin, end, nodes in self._splits
            if begin <= self.now < end
        )

    def there(self) -> list[Face]:
        """Honest nodes that are up."""
        return [each for each in self.faces if each.honest and self.members[each.number].up]

    def ways_in(self, count: int) -> tuple[Told, ...]:
        if self.now == 0:
            return (self.faces.by_number[0].told,)
        settled = [each for each in self.there() if each.since < self.now]
        return tuple([each.told for each in self._draws.sample(settled, count)])

    def source_of(self, data: bytes, by: int) -> Endpoint:
        """Where a datagram says that it comes from."""
        return self.spoofed.pop(data, None) or self.faces.by_number[by].endpoint
