"""A process of the simulated machine: it starts, is stopped or killed, and fails."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from netsim import facts
from netsim.full.logs import NODE, summary
from netsim.full.streams import Sockets
from netsim.plan import Operation
from netsim.site import Site
from netsim.world import Load, World


@dataclass(slots=True)
class Life:
    """From a start to the end that belongs to it."""

    operations: trio.MemoryReceiveChannel[Operation]
    ask: Callable[[Operation], None]
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    stopping: trio.Event = field(default_factory=trio.Event)


class Program(Protocol):
    """What runs in a process."""

    async def run(self, life: Life) -> None:
        """Until `life.stopping`, then end cleanly."""
        ...

    def lose(self, *, power: bool) -> facts.Crashed:
        """What of the batches under way reached the disk is decided here."""
        ...

    def kill(self) -> None:
        """Its tasks are about to be cancelled: nothing that they have not done may be done."""
        ...

    def load(self) -> Load: ...


class Process:
    """A netsim.world.Member."""

    def __init__(
        self,
        world: World,
        site: Site,
        sockets: Sockets,
        nursery: trio.Nursery,
        program: Program,
    ) -> None:
        self._world = world
        self._site = site
        self._sockets = sockets
        self._nursery = nursery
        self._program = program
        self._life: Life | None = None
        self._start_again = False  # it was told to while it was stopping

    @property
    def site(self) -> Site:
        return self._site

    @property
    def up(self) -> bool:
        return self._life is not None

    def start(self) -> None:
        if self._life is None:
            asking, operations = trio.open_memory_channel[Operation](math.inf)
            self._life = Life(operations, asking.send_nowait)
            self._nursery.start_soon(self._live, self._life)
        elif self._life.stopping.is_set():
            self._start_again = True

    def stop(self) -> None:
        self._start_again = False
        if self._life is not None:
            self._life.stopping.set()

    def crash(self, *, power: bool) -> None:
        self._start_again = False
        if self._life is not None:
            self._program.kill()
            self._tell(self._program.lose(power=power))
            self._end(power=power)

    def ask(self, operation: Operation) -> None:
        if self._life is not None:
            self._life.ask(operation)

    def load(self) -> Load:
        return self._program.load() if self._life is not None else Load()

    async def _live(self, life: Life) -> None:
        NODE.set(self._site.number)
        error = None
        try:
            with life.scope:
                await self._program.run(life)
        # Whatever escapes from a node ends its process; the others live on.
        except Exception as escaped:  # noqa: BLE001  (it is told below)
            error = escaped
        if self._life is not life:
            return  # it was killed: nobody sees how it unwinds
        if error is None:
            self._end(power=False)
            self._tell(facts.Stopped())
        else:
            self._tell(facts.Failed(summary(error)))
            self.crash(power=False)
        if self._start_again:
            self._start_again = False
            self.start()

    def _end(self, *, power: bool) -> None:
        assert self._life is not None
        life, self._life = self._life, None
        fabric, number = self._world.fabric, self._site.number
        self._sockets.cut(number)
        if power:
            fabric.vanish(number)
        else:
            fabric.kill(number)
        life.scope.cancel()

    def leave(self) -> None:
        """The run is over: end as it is, and quickly."""
        if self._life is not None:
            self._program.kill()
            self._sockets.cut(self._site.number)
            self._life.scope.cancel()
            self._life = None

    def _tell(self, fact: object) -> None:
        self._world.journal.tell(self._site.number, fact)
