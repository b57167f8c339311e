"""The product's own node, wired by its own composition root, on edges that are the simulator's."""

from collections.abc import Sequence

import trio

from netsim import facts
from netsim.asking import limits_of
from netsim.full.executor import SlowExecutor
from netsim.full.person import carry_out
from netsim.full.process import Life
from netsim.full.saying import of_streams
from netsim.full.store import SimulatedStore
from netsim.full.wires import Wires
from netsim.plan import Plan
from netsim.signatures import verify_checks
from netsim.site import PORT, Site, host_of
from netsim.world import Load, World
from qbix_node.daemon.config import Config, Endpoint
from qbix_node.daemon.edges import Edges
from qbix_node.daemon.node import Node, open_node
from qbix_node.machines import Send, SignatureCheck
from qbix_node.net.messages import LinkDown, LinkUp
from qbix_node.store.memory import MemoryStore


class HonestProgram:
    def __init__(self, world: World, site: Site, wires: Wires) -> None:
        self._world = world
        self._site = site
        self._wires = wires
        self._config = config_of(world.plan, site)
        self._work_draws = world.chance.draws("work", site.number)
        self._store: MemoryStore | None = None
        self._executor: SlowExecutor | None = None
        self._node: Node | None = None

    async def run(self, life: Life) -> None:
        self._node = None
        if (rolled_back := self._site.disk.open().rolled_back) is not None:
            self._tell(rolled_back)
        self._store = store = SimulatedStore(self._site.disk, self._tell)
        self._executor = SlowExecutor(self._work_draws)
        self._tell(facts.Started(store.was_clean))
        async with open_node(self._edges(store, self._executor), self._config) as node:
            self._node = node
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve_person, life, node)
                await life.stopping.wait()
                nursery.cancel_scope.cancel()
        await store.aclose()

    def kill(self) -> None:
        self._node = None
        if self._executor is not None:
            self._executor.kill()

    def lose(self, *, power: bool) -> facts.Crashed:
        crashed = self._site.disk.crash(power=power)
        if self._store is not None:
            self._store.cut_power(
                self._site.rng("power")
            )  # nothing of it reaches the disk any more
        return crashed

    def load(self) -> Load:
        if self._node is None:
            return Load()
        replication, blobs = self._node.replication, self._node.blobs
        return Load(
            waiting_messages=replication.waiting,
            connections=len(self._node.network.links()),
            wants=len(blobs.wanted()),
            sympathy_bytes=sum([each.size for each in blobs.held() if each.by_sympathy]),
        )

    async def _serve_person(self, life: Life, node: Node) -> None:
        async with trio.open_nursery() as nursery:
            async for operation in life.operations:
                nursery.start_soon(carry_out, operation, node, self._world, self._tell)

    def _edges(self, store: MemoryStore, executor: SlowExecutor) -> Edges:
        site = self._site
        return Edges(
            keys=site.keys,
            store=store,
            files=site.files,
            transport=self._wires,
            lan=self._wires,
            rng=site.rng,
            executor=executor,
            entropy=site.entropy.randbytes,
            wall_clock=site.clock.wall,
            verify=self._verify,
            observe=self._observe,
        )

    def _verify(self, checks: Sequence[SignatureCheck]) -> tuple[bool, ...]:
        self._tell(facts.Checked(tuple(checks)))
        return verify_checks(checks)

    def _observe(self, finding: object) -> None:
        match finding:
            case Send(to, message) if of_streams(message, self._world.streams.by_id):
                self._tell(facts.SaidOfStreams(to, message))
            case Send(to, message):
                self._tell(facts.Said(to, message))
            case LinkUp(peer, outgoing):
                self._tell(facts.LinkUp(peer, outgoing))
            case LinkDown(peer, reason):
                self._tell(facts.LinkDown(peer, reason))
            case _:
                self._tell(finding)

    def _tell(self, fact: object) -> None:
        if not self._world.over:
            self._world.journal.tell(self._site.number, fact)


def config_of(plan: Plan, site: Site) -> Config:
    connections, blobs = limits_of(plan)
    host = host_of(site.number)
    return Config(
        listen=Endpoint(host, PORT),
        announce=host,
        lan_discovery=plan.lan,
        announce_forks=False,  # people publish in a simulation, so that both drivers do the same
        limits=connections,
        blobs=blobs,
    )
