"""A node that replicates over real TCP on loopback, without daemon and blobs."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.net.address import Address
from qbix_node.net.limits import Limits
from qbix_node.net.machine import ConnectionKeeper
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
    rng, peer = random.Random(1), m.PeerId(keys.public)
    replication = Replication(keys, store, rng=rng, executor=executor, clocks_valid=clocks_valid)

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
        yield Wired(replication, network, Address("127.0.0.1", network.listening[0][1], peer))
        nursery.cancel_scope.cancel()
