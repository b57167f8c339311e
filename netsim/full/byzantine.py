"""A process in which a byzantine program lives: all its faces, on one host."""

import trio

from netsim import facts
from netsim.full.face import FaceHost
from netsim.full.process import Life
from netsim.full.wires import Wires
from netsim.roles import make_role
from netsim.site import PORT, Site, host_of
from netsim.world import Load, World
from qbix_node import machines as m


class ByzantineProgram:
    def __init__(self, world: World, site: Site, wires: Wires) -> None:
        self._world = world
        self._site = site
        self._wires = wires
        self._role = make_role(site.plan.role, site, world.sites)
        places = range(len(self._role.faces))
        self._rngs = [world.chance.draws("role", site.number, place) for place in places]
        self._hosts: list[FaceHost] = []

    async def run(self, life: Life) -> None:
        self._tell(facts.Started(clean=True))
        self._hosts = [
            FaceHost(
                face,
                self._site,
                self._world.sites,
                self._wires,
                entropy=self._site.entropy,
                rng=rng,
                tell=self._tell,
            )
            for face, rng in zip(self._role.faces, self._rngs, strict=True)
        ]
        async with trio.open_nursery() as nursery:
            if self._role.listens:
                host = host_of(self._site.number)
                await nursery.start(self._wires.serve, host, PORT, self._hosts[0].accept)
            for each in self._hosts:
                nursery.start_soon(each.run)
            nursery.start_soon(self._serve_person, life)
            await life.stopping.wait()
            nursery.cancel_scope.cancel()

    def kill(self) -> None:
        for host in self._hosts:
            host.forget()

    def lose(self, *, power: bool) -> facts.Crashed:
        return facts.Crashed(power)

    def load(self) -> Load:
        return Load(connections=sum([host.connections for host in self._hosts]))

    async def _serve_person(self, life: Life) -> None:
        async for operation in life.operations:
            for host in self._hosts:
                host.handle(m.Requested(operation))

    def _tell(self, fact: object) -> None:
        if not self._world.over:
            self._world.journal.tell(self._site.number, fact)
