"""A node that finds peers on the local network: run by the tests inside a network namespace.

Prints the address that it listens on, then a line for each link that comes up.
"""

import sys

import structlog
import trio

from qbix_node.net.discovery import LanDiscovery
from qbix_node.net.lan import UdpLan
from qbix_node.net.transport import TcpTransport
from tests.net.nodes import running_node


async def main(name: str, host: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    async with (
        running_node(name, TcpTransport(), host=host, port=0) as node,
        trio.open_nursery() as nursery,
    ):
        discovery = LanDiscovery(node.peer, node.address.port, node.post, UdpLan())
        await nursery.start(discovery.run)
        print(f"listens {node.address}", flush=True)
        await node.wait_for_links(1)
        print(f"linked {node.came[0].peer.hex()}", flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
