"""Two nodes that are connected in memory, for whoever speaks over links."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
import trio.testing

from qbix_node.crypto.keys import KeyPair
from qbix_node.net.boxstream import Opener, Sealer
from qbix_node.net.handshake import ClientHandshake, ServerHandshake, SessionKeys
from qbix_node.net.limits import Limits
from qbix_node.net.link import Link
from qbix_node.net.methods import Methods
from qbix_node.net.packets import Packet, PacketParser

NETWORK_KEY = b"network of the tests".ljust(32, b".")
ALICE = KeyPair.from_seed(b"alice".ljust(32, b"."))
BOB = KeyPair.from_seed(b"bob".ljust(32, b"."))


def shake_hands(
    client_keys: KeyPair = ALICE, server_keys: KeyPair = BOB
) -> tuple[SessionKeys, SessionKeys]:
    """The session keys of the client and of the server."""
    client = ClientHandshake(NETWORK_KEY, client_keys, server_keys.public, b"e" * 32)
    server = ServerHandshake(NETWORK_KEY, server_keys, b"f" * 32)
    proof = client.receive_hello(server.receive_hello(client.hello))
    server.receive_proof(proof)
    accept, server_session = server.accept()
    return client.receive_accept(accept), server_session


@asynccontextmanager
async def linked(
    methods_a: Methods,
    methods_b: Methods,
    *,
    keys_a: KeyPair = ALICE,
    keys_b: KeyPair = BOB,
    limits: Limits | None = None,
    lockstep: bool = False,
) -> AsyncIterator[tuple[Link, Link]]:
    """The link as its two ends have it: A's to B, which A dialled, and B's to A.

    With `lockstep`, nothing is under way: who writes waits until the other side has read.
    """
    pair = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
    ours, theirs = pair()
    to_b, to_a = shake_hands(keys_a, keys_b)
    limits = limits or Limits()
    a = Link(ours, to_b, methods_a, limits, outgoing=True, address="memory:b")
    b = Link(theirs, to_a, methods_b, limits, outgoing=False, address="memory:a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.run)
        nursery.start_soon(b.run)
        yield a, b
        a.close("the test is over")
        b.close("the test is over")


@dataclass(slots=True)
class Stranger:
    """The other end of a link in the hands of the test, to say what no honest peer says."""

    stream: trio.abc.Stream
    sealer: Sealer
    opener: Opener
    parser: PacketParser

    async def say(self, *packets: bytes) -> None:
        await self.stream.send_all(self.sealer.seal(b"".join(packets)))

    async def hear(self) -> list[Packet]:
        """At least one packet; [] at the end."""
        heard: list[Packet] = []
        while not heard and not self.opener.ended:
            data = bytes(await self.stream.receive_some())
            if not data:
                break
            heard = self.parser.feed(self.opener.feed(data))
        return heard


@asynccontextmanager
async def link_to_stranger(
    methods: Methods, *, limits: Limits | None = None, lockstep: bool = False
) -> AsyncIterator[tuple[Link, Stranger]]:
    """With `lockstep`, nothing is under way: who writes waits until the other side has read."""
    pair = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
    ours, theirs = pair()
    keys, their_keys = shake_hands()
    link = Link(ours, keys, methods, limits or Limits(), outgoing=True, address="memory:stranger")
    sealer = Sealer(their_keys.seal_key, their_keys.seal_nonce)
    opener = Opener(their_keys.open_key, their_keys.open_nonce)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        yield link, Stranger(theirs, sealer, opener, PacketParser(2**20))
        nursery.cancel_scope.cancel()
