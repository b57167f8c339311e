"""All of the world that a node touches: the real one in the daemon, its own in a simulator."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from qbix_node.blobs.files import BlobFiles, DiskFiles
from qbix_node.crypto.entropy import random_bytes, system_rng
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.home import Home
from qbix_node.daemon.secret import read_secret
from qbix_node.dht.service import DhtService
from qbix_node.net.lan import Lan, UdpLan
from qbix_node.net.transport import TcpTransport, Transport
from qbix_node.net.txt import DnsTexts
from qbix_node.ports import Rng, Store
from qbix_node.runtime import Executor, ThreadExecutor, Verifier, verify_checks
from qbix_node.store.writer import Counters

OpenDht = Callable[[KeyPair, Sequence[tuple[str, int]], Store, Rng], DhtService]


async def _no_texts(name: str) -> list[str]:
    return []


class NodeStore(Store, Protocol):
    """A store that was opened, and what its opening showed."""

    @property
    def was_clean(self) -> bool:
        """Whether it was closed, not cut off, and is no older copy."""
        ...

    @property
    def counters(self) -> Counters: ...


@dataclass(frozen=True, slots=True)
class Edges:
    keys: KeyPair
    store: NodeStore
    files: BlobFiles
    transport: Transport
    lan: Lan
    rng: Callable[[str], Rng]  # one for each machine, by its name
    executor: Executor
    entropy: Callable[[int], bytes]  # for the keys of handshakes
    wall_clock: Callable[[], float]  # seconds since 1970
    verify: Verifier
    # Whether this identity was used elsewhere, and nobody has said that it may go on here.
    brought: Callable[[], bool] = lambda: False
    # Told what the machines find and send, and which links come up and go down.
    observe: Callable[[object], None] = lambda finding: None
    # Opens the DHT's sockets; None where there are no datagrams.
    open_dht: OpenDht | None = None
    # Texts of a name in DNS; nothing where there is none.
    texts: Callable[[str], Awaitable[list[str]]] = _no_texts


async def real_edges(home: Home, store: NodeStore) -> Edges:
    """Raises LocalError."""
    return Edges(
        keys=read_secret(home.secret),
        store=store,
        files=await trio.to_thread.run_sync(DiskFiles, home.blobs),
        transport=TcpTransport(),
        lan=UdpLan(),
        rng=lambda machine: system_rng(),
        executor=ThreadExecutor(),
        entropy=random_bytes,
        wall_clock=time.time,
        verify=verify_checks,
        brought=home.brought_marker.exists,
        texts=DnsTexts().texts,
        open_dht=lambda keys, listen, store, rng: DhtService(keys, listen, store, rng=rng),
    )
