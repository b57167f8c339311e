"""Whole network stacks in memory: real machine, real runner, streams without sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
import trio.testing

from qbix_node import machines as m
from qbix_node.crypto.entropy import system_rng
from qbix_node.crypto.keys import KeyPair
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.net.limits import Limits
from qbix_node.net.link import Link
from qbix_node.net.machine import ConnectionKeeper
from qbix_node.net.methods import Methods
from qbix_node.net.records import read_peers
from qbix_node.net.service import Network
from qbix_node.net.transport import Accept, Transport
from qbix_node.runtime import InlineExecutor, Runner
from qbix_node.store.memory import MemoryStore
from tests.net.links import NETWORK_KEY

PORT = 8008


class Internet:
    """Hosts by name; a dial fails where nobody listens."""

    def __init__(self) -> None:
        self.listeners: dict[tuple[str, int], tuple[Accept, trio.Nursery]] = {}
        self.dials = 0

    def transport(self, host: str) -> "MemoryTransport":
        return MemoryTransport(self, host)


@dataclass
class MemoryTransport:
    internet: Internet
    host: str

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        self.internet.dials += 1
        await trio.lowlevel.checkpoint()
        if (host, port) not in self.internet.listeners:
            raise ConnectionRefusedError(f"nobody listens on {host}:{port}")
        accept, nursery = self.internet.listeners[host, port]
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(accept, theirs, self.host)
        return ours

    async def serve(
        self,
        host: str,
        port: int,
        accept: Accept,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async with trio.open_nursery() as nursery:
            self.internet.listeners[host, port] = (accept, nursery)
            try:
                task_status.started(port)
                await trio.sleep_forever()
            finally:
                del self.internet.listeners[host, port]


@dataclass
class Node:
    keys: KeyPair
    address: Address
    network: Network
    post: Callable[[m.Event], Awaitable[None]]
    came: list[Link] = field(default_factory=list)  # all links, in order
    changed: trio.Event = field(default_factory=trio.Event)
    on_link: Callable[[Link], Awaitable[None]] | None = None

    @property
    def peer(self) -> PeerId:
        return self.address.key

    async def accompany(self, link: Link) -> None:
        self.came.append(link)
        self.changed.set()
        self.changed = trio.Event()
        if self.on_link is not None:
            await self.on_link(link)

    async def wait_for_links(self, count: int) -> None:
        while len(self.came) < count:
            await self.changed.wait()


@asynccontextmanager
async def running_node(
    name: str,
    transport: Transport,
    *,
    methods: Methods | None = None,
    limits: Limits | None = None,
    store: MemoryStore | None = None,
    network_key: bytes = NETWORK_KEY,
    host: str = "",
    port: int = PORT,
) -> AsyncIterator[Node]:
    """It listens on the host of its name."""
    host = host or name
    keys = KeyPair.from_seed(name.encode().ljust(32, b"."))
    limits = limits or Limits()
    store = store or MemoryStore()

    async def post(event: m.Event) -> None:
        await runner.post(event)

    network = Network(
        keys,
        network_key,
        transport,
        methods=methods or {},
        limits=limits,
        post=post,
        listen=[(host, port)],
    )
    keeper = ConnectionKeeper(PeerId(keys.public), limits, *read_peers(store))
    runner = Runner(keeper, network, store, system_rng(), InlineExecutor())
    node = Node(keys, Address(host, port, PeerId(keys.public)), network, post)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runner.run)
        await nursery.start(network.run, node.accompany)
        node.address = Address(host, network.listening[0][1], node.peer)
        yield node
        nursery.cancel_scope.cancel()
