"""The distributed hash table: requests served, round trips on UDP, calls a lookup, memory a node.

Serving is measured without sockets, with real boxes, beside the cryptography that it needs; round
trips beside a blocking socket that carries as many bytes; lookups in a network in memory whose
tables are as after a long time.
"""

import asyncio
import gc
import json
import random
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from statistics import mean, median

import trio
from kademlia.network import Server
from kademlia.node import Node as LibraryNode

from bench import Figure
from bench.idle import resident_mib
from qbix_node.crypto.boxes import MAC_BYTES, sha256
from qbix_node.crypto.keys import KeyPair
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, identity
from qbix_node.dht.limits import Limits
from qbix_node.dht.machine import Dht
from qbix_node.dht.messages import FIND_NODE, FindNode, Talk, Told, encode
from qbix_node.dht.peers import NO_COOKIE
from qbix_node.dht.service import DhtService
from qbix_node.dht.wire import HEADER_BYTES, VERSION, Header, Sealing, read_header
from qbix_node.machines import PeerId
from qbix_node.store.memory import MemoryStore
from tests.dht.network import Network, keys_of

SERVED = 4_000
ROUNDS = 5
TRIPS = 3_000
IN_FLIGHT = 32
KNOWN = 1_400  # offered to the table of who serves
NODES = 3_000
LOOKUPS = 150
FREE = Limits(requests_per_s=1e9, requests_burst=1e9)
ASKER = Endpoint(bytes((127, 0, 0, 1)), 4000)
SERVER, CLIENT = KeyPair.from_seed(b"s" * 32), KeyPair.from_seed(b"c" * 32)
PROBE = 0x20  # a request that is registered for the bench


def told(number: int, rng: random.Random) -> Told:
    return Told(PeerId(rng.randbytes(32)), bytes((10, 0, number >> 8, number & 255)), 4000)


# ---- serving ----


class Asking:
    """Requests of one peer who has a cookie, sealed beforehand."""

    def __init__(self) -> None:
        rng = random.Random(7)
        self.dht, self.rng = Dht(Sealing(SERVER), FREE), rng
        self.dht.warm([told(number, rng) for number in range(KNOWN)], 0.0)
        self._sealing = Sealing(CLIENT)
        shared = self._sealing.agree(PeerId(SERVER.public))
        assert shared is not None
        self._shared, self._number, self._cookie = shared, 0, NO_COOKIE
        self._cookie = read_header(self.serve(self.request())).cookie

    def request(self) -> bytes:
        self._number += 1
        key, to = PeerId(CLIENT.public), identity(PeerId(SERVER.public)).id
        header = Header(
            VERSION, FIND_NODE, self._number, key, to, self._cookie, self.rng.randbytes(8)
        )
        body = encode(FindNode(NodeId(self.rng.randbytes(32))))
        return self._sealing.seal(header.encode(), body, self._shared)

    def serve(self, datagram: bytes) -> bytes:
        says = [
            effect.data
            for effect in self.dht.handle(r.Heard(datagram, ASKER), 1.0, self.rng)
            if isinstance(effect, r.Say)
        ]
        return says[0]

    def boxes_alone(self, request: bytes, answer: bytes) -> None:
        """What the protocol asks for of libsodium: open one, seal the other."""
        self._sealing.unseal(request, self._shared)
        self._sealing.seal(answer[:HEADER_BYTES], answer[HEADER_BYTES + MAC_BYTES :], self._shared)


def serve() -> tuple[float, float]:
    """CPU seconds a request, and of its boxes alone."""
    asking = Asking()
    rounds = []
    for _ in range(ROUNDS):
        requests = [asking.request() for _ in range(SERVED)]
        start = time.process_time()
        answers = [asking.serve(each) for each in requests]
        middle = time.process_time()
        for request, answer in zip(requests, answers, strict=True):
            asking.boxes_alone(request, answer)
        rounds.append((middle - start, time.process_time() - middle))
    assert len(answers[-1]) > 900, "twenty contacts"
    return median(each[0] for each in rounds) / SERVED, median(each[1] for each in rounds) / SERVED


# ---- UDP ----

Ask = Callable[[DhtService, Told], Awaitable[object]]


async def over_udp(ask: Ask) -> float:
    """CPU seconds a round trip, both ends."""
    rng = random.Random(7)
    one_call = replace(FREE, lookup_calls_max=1, paths=1, lookups_max=IN_FLIGHT)
    pair = [
        DhtService(keys, [("127.0.0.1", 0)], MemoryStore(), rng=random.Random(1), limits=limits)
        for keys, limits in ((SERVER, FREE), (CLIENT, one_call))
    ]
    pair[0].register(PROBE, lambda peer, endpoint, data: data)
    pair[0].machine.warm([told(number, rng) for number in range(KNOWN)], 0.0)
    there = Told(PeerId(SERVER.public), *pair[0].endpoints[0])
    pair[1].machine.warm([there], 0.0)
    left = TRIPS

    async def ask_all() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            assert await ask(pair[1], there)

    async with trio.open_nursery() as nursery:
        for each in pair:
            await nursery.start(each.run)
        assert await ask(pair[1], there)
        start = time.process_time()
        async with trio.open_nursery() as asking:
            for _ in range(IN_FLIGHT):
                asking.start_soon(ask_all)
        spent = time.process_time() - start
        nursery.cancel_scope.cancel()
    return spent / TRIPS


async def ask_briefly(node: DhtService, there: Told) -> object:
    return await node.ask(there, PROBE, b"x" * 32)


async def find_node(node: DhtService, _: Told) -> object:
    """A lookup that may call once."""
    return (await node.lookup(NodeId(random.randbytes(32)))).nodes


def blocking(*, sealed: bool) -> float:
    """The same bytes through two blocking sockets, one after the other; with boxes, if asked."""
    sealing = [Sealing(SERVER), Sealing(CLIENT)]
    shared = sealing[1].agree(PeerId(SERVER.public))
    assert shared is not None
    header, body = bytes(HEADER_BYTES), encode(Talk(PROBE, b"x" * 32))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        for each in (server, client):
            each.bind(("127.0.0.1", 0))
            each.settimeout(10)
        plain = sealing[0].seal(header, body, shared)

        def turn(sender: socket.socket, receiver: socket.socket) -> None:
            data = sealing[0].seal(header, body, shared) if sealed else plain
            sender.sendto(data, receiver.getsockname())
            came, _ = receiver.recvfrom(2048)
            if sealed:
                assert sealing[1].unseal(came, shared) == body

        start = time.process_time()
        for _ in range(TRIPS):
            turn(client, server)
            turn(server, client)
        return (time.process_time() - start) / TRIPS


# ---- the kademlia package's own server ----


async def library() -> float:
    """CPU seconds a FIND_NODE with 20 contacts, of both ends, without any authentication."""
    rng = random.Random(7)
    server, client = Server(node_id=rng.randbytes(20)), Server(node_id=rng.randbytes(20))
    ports = []
    for each in (server, client):
        await each.listen(0, "127.0.0.1")
        ports.append(each.transport.get_extra_info("sockname")[1])
    table = server.protocol.router
    for number in range(KNOWN):
        node = LibraryNode(rng.randbytes(20), f"10.0.{number >> 8}.{number & 255}", 4000)
        place = table.get_bucket_for(node)
        if not table.buckets[place].add_node(node) and table.buckets[place].has_in_range(
            table.node
        ):
            table.split_bucket(place)
    there = LibraryNode(server.node.id, "127.0.0.1", ports[0])
    left = TRIPS

    async def ask() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            answered, _ = await client.protocol.call_find_node(
                there, LibraryNode(rng.randbytes(20))
            )
            assert answered

    start = time.process_time()
    await asyncio.gather(*[ask() for _ in range(IN_FLIGHT)])
    spent = time.process_time() - start
    for each in (server, client):
        each.stop()
    return spent / TRIPS


# ---- a large network ----


class Cheap(Sealing):
    """Agrees on keys without curves: three thousand nodes with all their contacts would take an
    hour. Boxes are real.
    """

    def __init__(self, keys: KeyPair) -> None:
        self.keys = keys

    def agree(self, peer: PeerId) -> bytes | None:
        return sha256(*sorted((self.keys.public, peer)))


def resident_kib() -> float:
    gc.collect()
    return resident_mib("self") * 1024


def large_network() -> dict[str, float]:
    """Tables full of contacts, their keys agreed on, as after all buckets were refreshed."""
    for number in range(NODES):
        keys_of(number + 1)
    before = resident_kib()
    network = Network(1, NODES, sealing=Cheap)
    network.warm(KNOWN)
    figures = {"kib": (resident_kib() - before) / NODES}
    figures["contacts"] = mean(len(node.dht.table) for node in network.nodes)
    for paths in (1, 4):
        found = [
            network.find(
                network.rng.choice(network.nodes), NodeId(network.rng.randbytes(32)), paths=paths
            )
            for _ in range(LOOKUPS)
        ]
        figures[f"calls, {paths}"] = mean(each.evidence.asked for each in found)
        figures[f"s, {paths}"] = median(each.evidence.seconds for each in found)
    figures["kib, used"] = (resident_kib() - before) / NODES
    return figures


def figure(
    value: float, unit: str, goal: float | None, limit: float | None = None, limit_is: str = ""
) -> Figure:
    return {"value": value, "unit": unit, "limit": limit, "limit_is": limit_is, "goal": goal}


def run() -> dict[str, Figure]:
    # In a process of its own: it measures memory, and leaves this one with a heap full of holes.
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        large = other.submit(large_network).result()
    served_s, boxes_s = serve()
    trips = [
        (trio.run(over_udp, ask_briefly), blocking(sealed=True), blocking(sealed=False))
        for _ in range(ROUNDS)
    ]
    briefly, sealed, bare = (median(each) * 1e6 for each in zip(*trips, strict=True))
    found = median([trio.run(over_udp, find_node) for _ in range(ROUNDS)]) * 1e6
    others = median([asyncio.run(library()) for _ in range(3)]) * 1e6
    by_library = "us, the kademlia package's server, without keys"
    return {
        "FIND_NODE served": figure(served_s * 1e6, "us", 100),
        "the same, beside its boxes": figure(
            served_s * 1e6, "us", None, boxes_s * 1e6, "us, opening and sealing alone"
        ),
        "round trip on UDP": figure(briefly, "us", 2.5, sealed, "us, blocking sockets and boxes"),
        "the same, beside sockets alone": figure(briefly, "us", None, bare, "us, blocking sockets"),
        "FIND_NODE on UDP, both ends": figure(found, "us", None, others, by_library),
        f"calls a lookup, {NODES:,} nodes, 1 path": figure(large["calls, 1"], "", 26),
        f"calls a lookup, {NODES:,} nodes, 4 paths": figure(large["calls, 4"], "", 45),
        "a lookup, 10 to 60 ms one way": figure(large["s, 4"], "s", None),
        f"memory a node, {large['contacts']:.0f} contacts": figure(large["kib"], "KiB", 160),
    }


def main() -> None:
    print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main()
