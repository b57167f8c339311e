"""Tasks in virtual time, beside a fabric."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from netsim.chance import Chance
from netsim.fabric import Fabric
from netsim.full import switches
from netsim.full.clock import LoopClock
from netsim.full.streams import FabricStream, Sockets
from netsim.full.wires import Wires
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.plan import Conditions, NodePlan, Plan, Range
from netsim.site import PORT, host_of
from netsim.trace import Trace

LATENCY_S = 0.1
CONDITIONS = Conditions(latency_s=Range(LATENCY_S, LATENCY_S), jitter_s=0.0)


@dataclass
class Town:
    """Node 0 and node 1."""

    loop: Loop
    fabric: Fabric
    sockets: Sockets

    def wires(self, node: int) -> Wires:
        return Wires(self.fabric, self.sockets, node)

    async def connect(self, nursery: trio.Nursery) -> tuple[trio.abc.Stream, trio.abc.Stream]:
        """A stream that 0 opened to 1, as each has it."""
        came, coming = trio.open_memory_channel[trio.abc.Stream](1)

        async def accept(stream: trio.abc.Stream, host: str) -> None:
            assert host == host_of(0)
            await came.send(stream)

        await nursery.start(self.wires(1).serve, host_of(1), PORT, accept)
        ours = await self.wires(0).dial(host_of(1), PORT)
        assert isinstance(ours, FabricStream)
        return ours, await coming.receive()


def in_virtual_time(main: Callable[[Town, trio.Nursery], Awaitable[None]]) -> None:
    loop, chance = Loop(), Chance(1)
    plan = Plan("test", 1, (NodePlan(0), NodePlan(1)), 1000, 0, conditions=CONDITIONS)
    fabric = Fabric(loop, chance, CONDITIONS, Journal(loop, Trace(), plan, {}))
    town = Town(loop, fabric, Sockets(fabric.window))
    clock = LoopClock(loop, over=lambda: False)

    async def with_nursery() -> None:
        async with trio.open_nursery() as nursery:
            await main(town, nursery)
            nursery.cancel_scope.cancel()
        clock.ended.set()

    async def until_the_end() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(with_nursery)
            await clock.ended.wait()
            nursery.cancel_scope.cancel()

    with switches.deterministic_scheduling(plan.seed):
        trio.run(until_the_end, clock=clock)
    if clock.failure is not None:
        raise clock.failure
