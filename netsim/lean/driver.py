"""Brings the nodes of a world to life, and lets time pass."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from netsim.dht import bring_to_life
from netsim.lean.actor import LeanActor
from netsim.lean.member import LeanMember
from netsim.world import World
from qbix_node.net.limits import Limits

# A run makes much, and little of it in circles: looking for those as usual takes a tenth of it.
NEW_OBJECTS = 50_000


class LeanDriver:
    silence_s: float | None = Limits().silence_max_s  # or what the plan sets

    def run(self, world: World) -> None:
        if world.plan.dht is not None:
            bring_to_life(world)
        for number, site in world.sites.items() if world.plan.dht is None else ():
            honest = site.plan.role == "honest"
            world.members[number] = (LeanMember if honest else LeanActor)(world, site)
        for member in world.members.values():
            member.start()
        step = world.loop.step
        with _collecting_seldom():
            while not world.over:
                step()


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.freeze()  # what is there already is there to stay
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
