"""What a daemon costs that has nothing to do: alone, and with quiet peers that are connected."""

import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
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

PEERS = 20
SETTLE_S = 3.0
ALONE_S = 10.0
WITH_PEERS_S = 30.0
SETTINGS = f'listen = "127.0.0.1:0"\n[limits]\nconnections_per_host_max = {PEERS + 1}\n'
NETWORK_KEY = bytes(32)


class Daemon:
    """A process of its own; ready when this returns."""

    def __init__(self, home: Path) -> None:
        make_home(Home(home), {"network_key": "A" * 43 + "="})
        (home / "node.toml").write_text(f'network_key = "{"A" * 43}="\n{SETTINGS}')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind("")
            ready.settimeout(30)
            name = "@" + ready.getsockname()[1:].decode()
            self._process = subprocess.Popen(  # noqa: S603  (our own program)
                [sys.executable, "-m", "qbix_node", "--home", str(home), "run"],
                stderr=subprocess.DEVNULL,
                env={**os.environ, "NOTIFY_SOCKET": name},
            )
            while b"READY=1" not in ready.recv(4096):
                pass
        transport = httpx.HTTPTransport(uds=str(home / "control.sock"))
        self._http = httpx.Client(transport=transport, base_url="http://node")
        self.address = parse_address(json.loads(self._http.get("/status").content)["address"])

    def connected(self) -> int:
        peers = json.loads(self._http.get("/peers").content)
        return sum(peer["state"] == "connected" for peer in peers)

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def share_of_core(self, seconds: float) -> float:
        """In per cent."""
        before, begun = self.cpu_s(), time.perf_counter()
        time.sleep(seconds)
        return 100 * (self.cpu_s() - before) / (time.perf_counter() - begun)

    def stop(self) -> None:
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()


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


async def measure() -> dict[str, float]:
    async with AsyncExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory())
        daemon = Daemon(Path(folder) / "home")
        held.callback(daemon.stop)
        await trio.sleep(SETTLE_S)
        figures = {"alone_mib": daemon.resident_mib()}
        figures["alone_cpu"] = await trio.to_thread.run_sync(daemon.share_of_core, ALONE_S)
        async with trio.open_nursery() as nursery:
            for number in range(PEERS):
                await be_peer(number, daemon.address, nursery)
            await trio.sleep(SETTLE_S)
            assert daemon.connected() == PEERS
            share = await trio.to_thread.run_sync(daemon.share_of_core, WITH_PEERS_S)
            figures |= {"peers_cpu": share, "peers_mib": daemon.resident_mib()}
            nursery.cancel_scope.cancel()
        return figures


def run() -> dict[str, Figure]:
    # The peers run in this process, and say a lot.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = trio.run(measure)

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
