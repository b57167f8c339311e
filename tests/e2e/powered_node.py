"""A whole node in a process of its own, to have its power cut: python -m tests.e2e.powered_node
HOME PEER synced|unsynced. It publishes without end, follows its peer, and prints each message that
was acknowledged: its sequence and id.
"""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import trio

from qbix_node.daemon.config import Config, Endpoint
from qbix_node.daemon.edges import real_edges
from qbix_node.daemon.home import Home
from qbix_node.daemon.logs import configure_logs
from qbix_node.daemon.node import Node, open_node
from qbix_node.net.address import parse_address
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.wire.references import FeedId, format_message

WRITERS = 4
BUFFER_BYTES = 1 << 16  # small, so that LevelDB writes tables all the time
FREE_BYTES_MIN = 1 << 20


def open_store(home: Home, *, synced: bool = True) -> LevelDbStore:
    return LevelDbStore.open(
        home.store,
        synced=synced,
        write_buffer_bytes=BUFFER_BYTES,
        free_bytes_min=FREE_BYTES_MIN,
    )


async def publish(node: Node, numbers: Iterator[int]) -> None:
    for number in numbers:
        message = await node.replication.publish({"type": "test", "number": number})
        os.write(1, f"{message.sequence} {format_message(message.id)}\n".encode())


async def live(*arguments: str) -> None:
    path, peer, syncs = arguments
    home, address = Home(Path(path)), parse_address(peer)
    config = Config(listen=Endpoint("127.0.0.1", 0), peers=(address,))
    store = open_store(home, synced=syncs == "synced")
    async with (
        store,
        open_node(await real_edges(home, store), config) as node,
        trio.open_nursery() as nursery,
    ):
        await node.replication.follow(FeedId(address.key))
        numbers = itertools.count()
        for _ in range(WRITERS):
            nursery.start_soon(publish, node, numbers)


if __name__ == "__main__":
    _, *arguments = sys.argv
    configure_logs("error", "json")
    trio.run(live, *arguments)
