"""Runs a world with the product's own services on trio, in virtual time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from netsim import facts
from netsim.full import switches
from netsim.full.byzantine import ByzantineProgram
from netsim.full.clock import LoopClock
from netsim.full.honest import HonestProgram
from netsim.full.interrupting import interruptible
from netsim.full.logs import errors_told
from netsim.full.process import Process, Program
from netsim.full.streams import Sockets
from netsim.full.wires import Wires
from netsim.site import Site
from netsim.world import World

COLLECT_AFTER = 200_000  # objects that came and stayed


class FullDriver:
    """A netsim.world.Driver."""

    silence_s: float | None = None  # links see to that by themselves

    def run(self, world: World) -> None:
        def tell(node: int, what: str) -> None:
            if world.members[node].up:  # how a killed process unwinds is nobody's business
                world.journal.tell(node, facts.Failed(what))

        clock = LoopClock(world.loop, over=lambda: world.over)
        with (
            switches.deterministic_scheduling(world.plan.seed),
            errors_told(tell),
            _rare_collections(),
            interruptible(clock),
        ):
            trio.run(_live, world, clock, clock=clock)
        if clock.failure is not None:
            raise clock.failure


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Thousands of tasks live as long as the run: to look through them again and again for what
    nobody uses any more costs a third of all time.
    """
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _live(world: World, clock: LoopClock) -> None:
    sockets = Sockets(world.fabric.window)
    async with trio.open_nursery() as nursery:
        members = [_member(world, site, sockets, nursery) for site in world.sites.values()]
        world.members.update({member.site.number: member for member in members})
        for member in members:
            member.start()
        await clock.ended.wait()
        for member in members:
            member.leave()
        nursery.cancel_scope.cancel()


def _member(world: World, site: Site, sockets: Sockets, nursery: trio.Nursery) -> Process:
    wires = Wires(world.fabric, sockets, site.number)
    honest = site.plan.role == "honest"
    make = HonestProgram if honest else ByzantineProgram
    program: Program = make(world, site, wires)
    return Process(world, site, sockets, nursery, program)
