"""One run's world, and what a driver has to bring to it.

The world is the same for both drivers: plan, time, chance, network, and what of each node outlives
its process. A driver brings the nodes to life.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from netsim.chance import Chance
from netsim.fabric import Fabric
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.plan import Operation, Plan
from netsim.site import Site
from netsim.streams import Streams
from qbix_node.wire.v8json import JsonValue


@dataclass(frozen=True, slots=True)
class Load:
    """What a node keeps in memory for others, each of it with a limit in the specs."""

    waiting_messages: int = 0
    connections: int = 0
    wants: int = 0
    sympathy_bytes: int = 0


class Member(Protocol):
    """A node while its process lives, and before and after."""

    @property
    def site(self) -> Site: ...

    @property
    def up(self) -> bool: ...

    def start(self) -> None:
        """Boot from the disk. Nothing, if it is up."""
        ...

    def stop(self) -> None:
        """Cleanly; it may take a while. Nothing, if it is down."""
        ...

    def crash(self, *, power: bool) -> None:
        """End at once. `power`: the disk loses what is under way, and peers are not told."""
        ...

    def ask(self, operation: Operation) -> None:
        """Nothing, if it is down."""
        ...

    def load(self) -> Load: ...


@dataclass(slots=True)
class World:
    plan: Plan
    loop: Loop
    chance: Chance
    journal: Journal
    fabric: Fabric
    sites: dict[int, Site]
    streams: Streams
    members: dict[int, Member] = field(default_factory=dict)
    over: bool = False  # nothing more is to happen
    figures: Callable[[], Mapping[str, JsonValue]] | None = None  # what there is to tell besides


class Driver(Protocol):
    """Brings nodes to life, and lets time pass until the world is over."""

    silence_s: float | None  # of its Fabric

    def run(self, world: World) -> None: ...
