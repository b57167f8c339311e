"""The hash table beside the kademlia package's own server and beside HyperDHT: what a request costs
both ends, two nodes of one process on loopback. HyperDHT is installed when it is first wanted.

The other two seal and prove nothing: whoever sees a request can answer it.
"""

import asyncio
import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import trio

from bench import Figure
from bench.dht import IN_FLIGHT, TRIPS, ask_briefly, find_node, library, over_udp
from bench.peers import installed

HYPERDHT = Path(__file__).parent / "hyperdht"
NODES = 40  # of the network of HyperDHT, so that there are twenty contacts to tell
ROUNDS = 3


def why_not() -> str | None:
    """Installs what is missing."""
    return installed.why_not(HYPERDHT)


def hyperdht() -> dict[str, Any]:
    command = ["node", str(HYPERDHT / "peer.cjs"), str(NODES), str(TRIPS), str(IN_FLIGHT)]
    answer: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))  # noqa: S603  (our program)
    return answer


def figures() -> dict[str, Figure]:
    theirs = [hyperdht() for _ in range(ROUNDS)]
    ping, find = (median(each[name]["cpu_s"] for each in theirs) for name in ("ping", "find"))
    briefly = median(trio.run(over_udp, ask_briefly) for _ in range(ROUNDS))
    found = median(trio.run(over_udp, find_node) for _ in range(ROUNDS))
    package = median(asyncio.run(library()) for _ in range(ROUNDS))

    def figure(ours_s: float, theirs_s: float, limit_is: str) -> Figure:
        return Figure(
            value=ours_s * 1e6, unit="us", limit=theirs_s * 1e6, limit_is=limit_is, goal=None
        )

    return {
        "a request of 32 bytes": figure(briefly, ping, "us of a ping in HyperDHT"),
        "a lookup of one FIND_NODE": figure(found, find, "us of a FIND_NODE in HyperDHT"),
        "the same, beside kademlia": figure(
            found, package, "us of a FIND_NODE in the kademlia package"
        ),
    }
