"""Two nodes that are connected in memory, for whoever speaks over links."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from qbix_node.crypto.keys import KeyPair
from qbix_node.net.handshake import ClientHandshake, ServerHandshake, SessionKeys
from qbix_node.net.limits import Limits
from qbix_node.net.link import Link
from qbix_node.net.methods import Methods

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
) -> AsyncIterator[tuple[Link, Link]]:
    """The link as its two ends have it: A's to B, which A dialled, and B's to A."""
    ours, theirs = trio.testing.memory_stream_pair()
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
