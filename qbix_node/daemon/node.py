"""The composition root: everything that a node is made of, wired together and run.

What escapes from any part ends the node; there is nothing here that decides.
"""

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
import trio

from qbix_node.blobs.service import Blobs, open_blobs
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import Config, Endpoint
from qbix_node.daemon.edges import Edges, NodeStore, OpenDht
from qbix_node.daemon.finding.service import Finder, Surroundings
from qbix_node.daemon.guard import GuardedStore
from qbix_node.daemon.pulse import Pulse
from qbix_node.dht.cache import read_contacts
from qbix_node.dht.service import DhtService
from qbix_node.errors import LocalError
from qbix_node.gossip.service import Gossip
from qbix_node.machines import Event, PeerId
from qbix_node.net.address import Address
from qbix_node.net.discovery import LanDiscovery
from qbix_node.net.lan import UDP_PORT
from qbix_node.net.limits import Limits
from qbix_node.net.link import Link
from qbix_node.net.machine import ConnectionKeeper
from qbix_node.net.methods import Methods
from qbix_node.net.records import read_peers
from qbix_node.net.service import Network, Post
from qbix_node.ports import Rows
from qbix_node.replication.announcing.service import ForkAnnouncer
from qbix_node.replication.clocks import has_clocks
from qbix_node.replication.service import Replication
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.runtime import Runner
from qbix_node.sequencing.service import Sequencing
from qbix_node.sequencing.withdrawing import withdraw

DOCUMENTATION_ADDRESS = ("192.0.2.1", 9)  # RFC 5737: nobody's
CLOCKS_S = 2.0  # for what peers said to be stored at a clean stop

log = structlog.get_logger()


@dataclass(slots=True)
class Node:
    """The parts, for whoever looks at the node or asks something of it."""

    edges: Edges
    config: Config
    replication: Replication
    streams: StreamReplication
    gossip: Gossip
    sequencing: Sequencing
    blobs: Blobs
    keeper: ConnectionKeeper
    network: Network
    pulse: Pulse
    started_at: float = field(default_factory=trio.current_time)
    status_page: Endpoint | None = None
    finder: Finder | None = None  # where the DHT is switched on

    @property
    def keys(self) -> KeyPair:
        return self.edges.keys

    @property
    def store(self) -> NodeStore:
        return self.edges.store

    def limit(self, limits: Limits) -> None:
        """For connections from now on."""
        self.keeper.limits = self.network.limits = limits

    async def block(self, peer: PeerId) -> None:
        """Neither dial it nor let it in, and replicate its feed no longer. Raises LocalError.

        Replication goes first: it holds there at once and hangs up, while the disk may be slow.
        """
        await self.replication.block(peer)
        await self.network.block_peer(peer)

    async def unblock(self, peer: PeerId) -> None:
        """Raises LocalError."""
        await self.network.unblock_peer(peer)
        await self.replication.unblock(peer)

    async def call(self, peers: Iterable[Address]) -> None:
        """Call these from now on, unless that is so already. Returns once that is durable, which
        a full disk may hold up for long.
        """
        async with trio.open_nursery() as nursery:
            for address in peers:
                if self.keeper.known.get(address.key) != address:
                    nursery.start_soon(self._call, address)

    async def _call(self, address: Address) -> None:
        try:
            await self.network.add_peer(address)
        except LocalError as error:
            # One address that can't be called must not keep the node from the others.
            log.warning("config.refused", reason=str(error), address=str(address))

    @property
    def address(self) -> Address:
        """What others may call."""
        host, port = self.network.listening[0]
        return Address(self.config.announce or _reachable(host), port, PeerId(self.keys.public))


@asynccontextmanager
async def open_node(edges: Edges, config: Config) -> AsyncIterator[Node]:
    """A node that listens and replicates while the block runs. Raises LocalError."""
    keys, executor = edges.keys, edges.executor
    guarded = GuardedStore(edges.store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guarded.watch)
        replication = Replication(
            keys,
            guarded,
            rng=edges.rng("replication"),
            executor=executor,
            clocks_valid=edges.store.was_clean,
            observe=edges.observe,
            wall_clock=edges.wall_clock,
            verify=edges.verify,
        )
        await nursery.start(replication.run)
        streams, gossip, sequencing = await _start_streams(nursery, edges, config, guarded)

        async def post(event: Event) -> None:  # the network and its runner need each other
            await keeping.post(event)

        async with open_blobs(
            edges.files,
            guarded,
            config.blobs,
            executor=executor,
            rng=edges.rng("blobs"),
            observe=edges.observe,
        ) as blobs:
            keeper = ConnectionKeeper(PeerId(keys.public), config.limits, *read_peers(guarded))
            parts = replication, streams, gossip, sequencing, blobs
            methods = {name: each for part in parts for name, each in part.methods().items()}
            network = _network(edges, config, methods, post)
            keeping = Runner(keeper, network, guarded, edges.rng("connections"), executor)
            node = Node(edges, config, *parts, keeper, network, Pulse(guarded))
            async with _linked(node, keeping):
                yield node
        nursery.cancel_scope.cancel()


async def _start_streams(
    nursery: trio.Nursery, edges: Edges, config: Config, guarded: GuardedStore
) -> tuple[StreamReplication, Gossip, Sequencing]:
    streams = StreamReplication(
        edges.keys,
        guarded,
        rng=edges.rng("streams"),
        executor=edges.executor,
        clean=edges.store.was_clean and not edges.brought(),
        patience_s=config.own_streams_wait,
        withdraw=withdraw,
        observe=edges.observe,
        wall_clock=edges.wall_clock,
        verify=edges.verify,
    )
    await nursery.start(streams.run)
    gossip = Gossip(
        streams,
        guarded,
        rng=edges.rng("gossip"),
        executor=edges.executor,
        alone=knows_nobody(guarded, config),
        patience_s=config.own_streams_wait,
        observe=edges.observe,
        verify=edges.verify,
    )
    await nursery.start(gossip.run)
    sequencing = Sequencing(
        edges.keys,
        streams,
        guarded,
        rng=edges.rng("sequencing"),
        executor=edges.executor,
        resolve=gossip.submit,
        may_sign=lambda: not edges.brought(),
        observe=edges.observe,
        wall_clock=edges.wall_clock,
        verify=edges.verify,
    )
    await nursery.start(sequencing.run)
    return streams, gossip, sequencing


def knows_nobody(rows: Rows, config: Config) -> bool:
    """Whether no address is known, nobody can be found, and nobody has ever called."""
    if config.peers or config.lan_discovery or has_clocks(rows):
        return False
    if config.dht.enabled and (config.dht.bootstrap or read_contacts(rows)):
        return False
    return not read_peers(rows)[0]


def _network(edges: Edges, config: Config, methods: Methods, post: Post) -> Network:
    return Network(
        edges.keys,
        config.network_key,
        edges.transport,
        methods=methods,
        limits=config.limits,
        post=post,
        listen=_places(config.listen),
        entropy=edges.entropy,
        wall_clock=edges.wall_clock,
        observe=edges.observe,
    )


@asynccontextmanager
async def _linked(node: Node, keeping: Runner) -> AsyncIterator[None]:
    """Inside of what links use, so that they end first."""

    async def on_link(link: Link) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.replication.on_link, link)
            nursery.start_soon(node.streams.on_link, link)
            nursery.start_soon(node.gossip.on_link, link)
            nursery.start_soon(node.sequencing.on_link, link)
            nursery.start_soon(node.blobs.on_link, link)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.run)
        await nursery.start(node.network.run, on_link)
        if node.config.lan_discovery:
            port = node.network.listening[0][1]
            lan = LanDiscovery(PeerId(node.keys.public), port, keeping.post, node.edges.lan)
            await nursery.start(lan.run)
        await _start_finding(nursery, node, keeping)
        if node.config.announce_forks:
            nursery.start_soon(ForkAnnouncer(node.replication, node.store).run)
        nursery.start_soon(node.call, node.config.peers)
        yield
        with trio.move_on_after(CLOCKS_S):
            await node.replication.save_clocks()
            if node.finder is not None:
                await node.finder.dht.remember_contacts()
        nursery.cancel_scope.cancel()


def _open_dht(opener: OpenDht, node: Node) -> DhtService:
    """Unless set otherwise beside TCP, at the same port: so one address is enough for both. Raises
    LocalError.
    """
    config, edges = node.config, node.edges

    def opened(listen: list[tuple[str, int]]) -> DhtService:
        return opener(edges.keys, listen, node.store, edges.rng("dht"))

    if config.dht.listen is not None:
        return opened(_places(config.dht.listen))
    taken = config.lan_discovery and config.listen.port == UDP_PORT
    try:
        return opened([(host, port + taken) for host, port in node.network.listening])
    except LocalError:
        if config.listen.port:
            raise
        return opened([(host, 0) for host, _ in node.network.listening])  # any free one will do


async def _start_finding(nursery: trio.Nursery, node: Node, keeping: Runner) -> None:
    """Raises LocalError."""
    config, edges, network = node.config, node.edges, node.network
    if not config.dht.enabled or edges.open_dht is None:
        return
    dht = _open_dht(edges.open_dht, node)
    await nursery.start(dht.run)
    around = Surroundings(
        config=lambda: node.config,
        own=PeerId(edges.keys.public),
        outward=lambda: node.address,
        replication=node.replication,
        streams=node.streams,
        keeper=node.keeper,
        network=network,
        store=node.store,
        post=keeping.post,
    )
    node.finder = Finder(dht, around, edges.rng("finding"))
    nursery.start_soon(node.finder.run)


def _places(endpoint: Endpoint) -> list[tuple[str, int]]:
    if endpoint.host:
        return [(endpoint.host, endpoint.port)]
    hosts = ["0.0.0.0", "::"] if _has_ipv6() else ["0.0.0.0"]  # noqa: S104  (an empty host asks for all)
    return [(host, endpoint.port) for host in hosts]


def _has_ipv6() -> bool:
    """Some machines and containers have it switched off."""
    try:
        with socket.socket(socket.AF_INET6) as attempt:
            attempt.bind(("::1", 0))
    except OSError:
        return False
    return True


def _reachable(host: str) -> str:
    """Where `host` means all addresses of this machine: the one that it goes out by."""
    if host not in {"0.0.0.0", "::"}:  # noqa: S104  (compared only)
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(DOCUMENTATION_ADDRESS)  # a datagram socket sends nothing for that
        except OSError:
            return "127.0.0.1"  # no network
        return str(probe.getsockname()[0])
