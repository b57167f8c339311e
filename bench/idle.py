"""What a daemon costs that has nothing to do: alone, and with quiet peers that are connected."""

import json
import logging
import os
import random
import tempfile
import time
from pathlib import Path

import structlog
import trio

from bench import Figure
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.home import Home
from qbix_node.daemon.setup import make_home
from qbix_node.machines import Event, PeerId
from qbix_node.net.address import Address, parse_address
from qbix_node.net.limits import Limits
from qbix_node.net.machine import ConnectionKeeper
from qbix_node.net.service import Network
from qbix_node.net.transport import TcpTransport
from qbix_node.replication.service import Replication
from qbix_node.runtime import Runner, ThreadExecutor
from qbix_node.store.memory import MemoryStore
from tests.interop.node import open_node

PEERS = 20
SETTLE_S = 3.0
ALONE_S = 10.0
WITH_PEERS_S = 30.0
SETTINGS = f'listen = "127.0.0.1:0"\n[limits]\nconnections_per_host_max = {PEERS + 1}\n'
NETWORK_KEY = bytes(32)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int | str, which: str = "VmRSS") -> float:
    """`which`: as proc(5) names it; VmHWM is the most that there ever was."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


async def share_of_core(pid: int, seconds: float) -> float:
    """In per cent."""
    before, begun = cpu_s(pid), time.perf_counter()
    await trio.sleep(seconds)
    return 100 * (cpu_s(pid) - before) / (time.perf_counter() - begun)


async def be_peer(number: int, daemon: Address, nursery: trio.Nursery) -> None:
    """A whole node but for its disk: it replicates, and has nothing new."""
    keys, store, rng = KeyPair.from_seed(number.to_bytes(32)), MemoryStore(), random.Random(number)
    executor, limits = ThreadExecutor(), Limits()
    replication = Replication(keys, store, rng=rng, executor=executor, clocks_valid=True)
    keeper = ConnectionKeeper(PeerId(keys.public), limits, {daemon.key: daemon}, set())

    async def post(event: Event) -> None:
        await keeping.post(event)

    network = Network(
        keys, NETWORK_KEY, TcpTransport(), methods=replication.methods(), limits=limits, post=post
    )
    keeping = Runner(keeper, network, store, rng, executor)
    await nursery.start(replication.run)
    nursery.start_soon(keeping.run)
    await nursery.start(network.run, replication.on_link)


async def measure(home: Path) -> dict[str, float]:
    async with open_node(home) as daemon:
        pid, address = daemon.process.pid, parse_address(daemon.address)
        await trio.sleep(SETTLE_S)
        figures = {"alone_mib": resident_mib(pid)}
        figures["alone_cpu"] = await share_of_core(pid, ALONE_S)
        async with trio.open_nursery() as nursery:
            for number in range(PEERS):
                await be_peer(number, address, nursery)
            await trio.sleep(SETTLE_S)
            peers = await daemon.ask("/peers")
            assert sum(peer["state"] == "connected" for peer in peers) == PEERS
            figures["peers_cpu"] = await share_of_core(pid, WITH_PEERS_S)
            figures["peers_mib"] = resident_mib(pid)
            nursery.cancel_scope.cancel()
        return figures


def run() -> dict[str, Figure]:
    # The peers run in this process, and say a lot.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_home(Home(home), {"network_key": "A" * 43 + "="})
        (home / "node.toml").write_text(f'network_key = "{"A" * 43}="\n{SETTINGS}')
        found = trio.run(measure, home)

    def figure(value: float, unit: str, goal: float | None) -> Figure:
        return {"value": value, "unit": unit, "limit": None, "limit_is": "", "goal": goal}

    return {
        "memory, alone": figure(found["alone_mib"], "MiB", 80),
        f"memory, {PEERS} quiet peers": figure(found["peers_mib"], "MiB", 80),
        "a core, alone": figure(found["alone_cpu"], "%", None),
        f"a core, {PEERS} quiet peers": figure(found["peers_cpu"], "%", 1),
    }


def main() -> None:
    print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main()
