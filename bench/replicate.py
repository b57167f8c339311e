"""A feed over EBT between two processes on loopback, stored durably; beside bare checks.

The processes are this module too, as `bench.pairs` has it.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

import structlog
import trio

from bench import Figure
from bench.pairs import AUTHOR, NETWORK_KEY, READER, exchange, serve
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import ClassicMessage
from qbix_node.feeds.records import put_head, put_message
from qbix_node.feeds.validation import signature_check
from qbix_node.net.address import parse_address
from qbix_node.runtime import ThreadExecutor, verify_checks
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue
from tests.replication.wired import open_wired

MESSAGES = 10_000
ROUNDS = 3
CHECKS = 2000
TEXT = "x" * 200
FEED = FeedId(AUTHOR.public)


def write_feed(count: int) -> list[ClassicMessage]:
    messages: list[ClassicMessage] = []
    for number in range(count):
        head = messages[-1].head if messages else None
        content: JsonValue = {"type": "post", "text": TEXT, "number": number}
        messages.append(make_message(AUTHOR, head, content, 1_700_000_000_000 + number))
    return messages


async def author(folder: Path, count: int) -> None:
    LevelDbStore.create(folder)
    async with LevelDbStore.open(folder) as store:
        messages = write_feed(count)
        await store.write([put_message(message, 0) for message in messages])
        await store.write([put_head(FEED, messages[-1].head)])
        async with open_wired(AUTHOR, store, ThreadExecutor(), network_key=NETWORK_KEY) as wired:
            await serve(str(wired.address))


async def reader(folder: Path, count: int, address: str) -> None:
    LevelDbStore.create(folder)
    async with (
        LevelDbStore.open(folder) as store,
        open_wired(READER, store, ThreadExecutor(), network_key=NETWORK_KEY) as wired,
    ):
        before = store.counters.batches
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        await wired.replication.follow(FEED)
        await wired.network.add_peer(parse_address(address))
        await wired.replication.wait_beyond(FEED, count - 1)
        spent = {
            "start_s": cpu_s,
            "cpu_s": time.process_time() - cpu_s,
            "wall_s": time.perf_counter() - wall_s,
            "batches": store.counters.batches - before,
        }
        print(json.dumps(spent))


def check_s() -> float:
    """Processor time of one bare check of such a message."""
    checks = [signature_check(message) for message in write_feed(CHECKS)]
    start_s = time.process_time()
    assert all(verify_checks(checks))
    return (time.process_time() - start_s) / CHECKS


def run() -> dict[str, Figure]:
    rounds = [(check_s(), *exchange("bench.replicate", MESSAGES)) for _ in range(ROUNDS)]
    bare_us = 1e6 * median([bare for bare, _, _ in rounds])

    def figure(spent: list[float], goal: float | None) -> Figure:
        value = 1e6 * median(spent) / MESSAGES
        return Figure(value=value, unit="us", limit=bare_us, limit_is="us, a bare check", goal=goal)

    return {
        "receive and store a message": figure(
            [received["cpu_s"] for _, received, _ in rounds], 2.5
        ),
        "the same, time on the clock": figure(
            [received["wall_s"] for _, received, _ in rounds], None
        ),
        "serve a message": figure([served for _, _, served in rounds], 0.5),
    }


def main(arguments: list[str]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    match arguments:
        case ["author", folder, count]:
            trio.run(author, Path(folder), int(count))
        case ["reader", folder, count, address]:
            trio.run(reader, Path(folder), int(count), address)
        case _:
            print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
