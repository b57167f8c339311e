"""Brings the nodes of a world to life, and lets time pass."""

from netsim.lean.actor import LeanActor
from netsim.lean.member import LeanMember
from netsim.world import World
from qbix_node.net.limits import Limits


class LeanDriver:
    silence_s: float | None = Limits().silence_max_s

    def run(self, world: World) -> None:
        for number, site in world.sites.items():
            honest = site.plan.role == "honest"
            world.members[number] = (LeanMember if honest else LeanActor)(world, site)
        for member in world.members.values():
            member.start()
        loop = world.loop
        while not world.over:
            loop.step()
