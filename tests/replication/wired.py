"""A node that replicates over real TCP on loopback, without daemon and blobs."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.net.address import Address
from qbix_node.net.limits import Limits
from qbix_node.net.link import Link
from qbix_node.net.machine import ConnectionKeeper
from qbix_node.net.methods import Methods
from qbix_node.net.service import Network
from qbix_node.net.transport import TcpTransport
from qbix_node.ports import Store
from qbix_node.replication.service import Replication
from qbix_node.runtime import Executor, Runner


@dataclass
class Wired:
    replication: Replication
    network: Network
    address: Address


class Service(Protocol):
    """What replicates over links."""

    def methods(self) -> Methods: ...

    async def on_link(self, link: Link) -> None: ...

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None: ...


@asynccontextmanager
async def open_wired(
    keys: KeyPair,
    store: Store,
    executor: Executor,
    *,
    network_key: bytes,
    clocks_valid: bool = True,
) -> AsyncIterator[Wired]:
    """It listens and replicates while the block runs."""
    rng = random.Random(1)
    replication = Replication(keys, store, rng=rng, executor=executor, clocks_valid=clocks_valid)
    async with open_network(keys, store, executor, replication, network_key=network_key) as opened:
        yield Wired(replication, *opened)


@asynccontextmanager
async def open_network(
    keys: KeyPair, store: Store, executor: Executor, replication: Service, *, network_key: bytes
) -> AsyncIterator[tuple[Network, Address]]:
    """It listens, and runs what replicates."""
    rng, peer = random.Random(1), m.PeerId(keys.public)

    async def post(event: m.Event) -> None:  # the network and its runner need each other
        await keeping.post(event)

    network = Network(
        keys,
        network_key,
        TcpTransport(),
        methods=replication.methods(),
        limits=Limits(),
        post=post,
        listen=[("127.0.0.1", 0)],
    )
    keeper = ConnectionKeeper(peer, Limits(), {}, set())
    keeping = Runner(keeper, network, store, rng, executor)
    async with trio.open_nursery() as nursery:
        await nursery.start(replication.run)
        nursery.start_soon(keeping.run)
        await nursery.start(network.run, replication.on_link)
        yield network, Address("127.0.0.1", network.listening[0][1], peer)
        nursery.cancel_scope.cancel()
