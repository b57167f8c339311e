"""A stream between two processes on loopback, stored durably; beside bare checks of signatures.

The processes are this module too, as `bench.pairs` has it.
Another number of entries is asked for by name: `python -m bench.catchup 1000000`.
"""

import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import plyvel
import structlog
import trio
from nacl import bindings as sodium

from bench import Figure
from bench.idle import resident_mib
from bench.pairs import AUTHOR, NETWORK_KEY, READER, exchange, serve
from qbix_node.crypto.keys import KeyPair
from qbix_node.net.address import parse_address
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.runtime import ThreadExecutor
from qbix_node.store.folder import Folder
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.streams.authoring import make_genesis
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import ENTRIES_MAX, NewEntry
from qbix_node.wire.references import StreamId, format_stream, parse_stream
from tests.replication.wired import open_network

ENTRIES = 100_000
CONTENT_BYTES = 300
ROUNDS = 3
CHECKS = 5000


@dataclass(frozen=True, slots=True)
class Received:
    """By the reader; processor time is that of all its threads."""

    cpu_s: float
    wall_s: float
    batches: int
    memory_mib: float  # at its most, over what there was before
    raw_bytes: int  # entries and contents
    disk_bytes: int  # once LevelDB has tidied up


def replication_of(keys: KeyPair, store: LevelDbStore) -> StreamReplication:
    return StreamReplication(keys, store, rng=random.Random(1), executor=ThreadExecutor())


async def write_stream(streams: StreamReplication, count: int) -> StreamId:
    """Contents that can't be compressed."""
    genesis = make_genesis(AUTHOR, "bench", Uniqueness.GOSSIP, salt=bytes(16))
    await streams.create(genesis)
    chance = random.Random(count)
    for first in range(1, count, ENTRIES_MAX):
        number = min(ENTRIES_MAX, count - first)
        entries = [NewEntry("post", chance.randbytes(CONTENT_BYTES)) for _ in range(number)]
        await streams.append(genesis.stream, tuple(entries))
    return genesis.stream


async def author(folder: Path, count: int) -> None:
    LevelDbStore.create(folder)
    async with LevelDbStore.open(folder) as store:
        streams, executor = replication_of(AUTHOR, store), ThreadExecutor()
        async with open_network(
            AUTHOR, store, executor, streams, network_key=NETWORK_KEY
        ) as opened:
            stream = await write_stream(streams, count)
            await serve(str(opened[1]), format_stream(stream))


async def reader(folder: Path, count: int, address: str, stream: StreamId) -> Received:
    LevelDbStore.create(folder)
    async with LevelDbStore.open(folder) as store:
        streams, executor = replication_of(READER, store), ThreadExecutor()
        async with open_network(
            READER, store, executor, streams, network_key=NETWORK_KEY
        ) as opened:
            batches, before_mib = store.counters.batches, resident_mib("self")
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            await streams.follow(stream)
            await opened[0].add_peer(parse_address(address))
            await streams.wait_beyond(stream, count - 1)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            batches = store.counters.batches - batches
            memory_mib = resident_mib("self", "VmHWM") - before_mib
            raw = sum(
                len(each.leaf) + len(each.content or b"")
                for each in streams.entries(stream, 0, count)
            )
    return Received(cpu_s, wall_s, batches, memory_mib, raw, disk_bytes(folder))


def disk_bytes(folder: Path) -> int:
    path = Folder(folder).database
    database = plyvel.DB(str(path))
    database.compact_range()
    database.close()
    return sum(each.stat().st_size for each in path.iterdir())


def catch_up(count: int) -> tuple[Received, float]:
    """What the reader did, and seconds of the author's processor time for it."""
    received, served_s = exchange("bench.catchup", count)
    return Received(**received), served_s


def check_s() -> float:
    """Processor time of one bare check of so many bytes."""
    chance = random.Random(0)
    signed = [
        sodium.crypto_sign(chance.randbytes(CONTENT_BYTES), AUTHOR.secret) for _ in range(CHECKS)
    ]
    start_s = time.process_time()
    for each in signed:
        sodium.crypto_sign_open(each, AUTHOR.public)
    return (time.process_time() - start_s) / CHECKS


def measure(count: int, rounds: int) -> dict[str, Figure]:
    found = [(check_s(), *catch_up(count)) for _ in range(rounds)]
    bare_us = 1e6 * median([bare for bare, _, _ in found])
    every = [received for _, received, _ in found]

    def figure(spent_s: list[float], goal: float | None) -> Figure:
        value = 1e6 * median(spent_s) / count
        limit_is = "us, bare crypto_sign_open"
        return Figure(value=value, unit="us", limit=bare_us, limit_is=limit_is, goal=goal)

    return {
        "receive and store an entry": figure([each.cpu_s for each in every], 0.15),
        "the same, time on the clock": figure([each.wall_s for each in every], None),
        "serve an entry": figure([served for _, _, served in found], None),
        f"memory while {count:,} come": Figure(
            value=max([each.memory_mib for each in every]),
            unit="MiB",
            limit=None,
            limit_is="",
            goal=64,
        ),
        "disk, an entry": Figure(
            value=every[0].disk_bytes / count,
            unit="bytes",
            limit=every[0].raw_bytes / count,
            limit_is="bytes of entries and contents",
            goal=1.5,
        ),
    }


def run() -> dict[str, Figure]:
    return measure(ENTRIES, ROUNDS)


def main(arguments: list[str]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    match arguments:
        case ["author", folder, count]:
            trio.run(author, Path(folder), int(count))
        case ["reader", folder, count, address, stream]:
            spent = trio.run(reader, Path(folder), int(count), address, parse_stream(stream))
            print(json.dumps(asdict(spent)))
        case [count]:
            print(json.dumps(measure(int(count), rounds=1), indent=2))
        case _:
            print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
