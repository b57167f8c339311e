"""Durable writes, beside a bare append and fdatasync of each write alone, on the same disk.

The more tasks write at once, the more writes share a sync: that is where the store may be faster
than its limit. Wall time, since the disk is what it is about; rounds take turns, and the median
counts.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import trio

from bench import Figure
from bench.__main__ import main as bench_main
from qbix_node.ports import Put
from qbix_node.store.leveldb import LevelDbStore

VALUE = os.urandom(300)
ROUNDS = 7
WRITES = 1000  # in a round
GOALS = {1: 2.5, 8: 1.0, 64: 0.25, 1000: 0.25}  # by tasks; of the time of a bare sync each
SYNCS_GOAL = 1 / 8  # a write, with 64 tasks


async def write_with(store: LevelDbStore, tasks: int) -> float:
    """Seconds a write."""

    async def one(task: int) -> None:
        for number in range(WRITES // tasks):
            await store.write([Put(b"k%d/%d" % (task, number), VALUE)])

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for task in range(tasks):
            nursery.start_soon(one, task)
    return (time.perf_counter() - start) / (WRITES // tasks * tasks)


def write_bare(path: Path) -> float:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    start = time.perf_counter()
    for number in range(WRITES):
        os.write(file, b"k%d" % number + VALUE)
        os.fdatasync(file)
    spent = time.perf_counter() - start
    os.close(file)
    return spent / WRITES


async def measure(folder: Path) -> dict[str, Figure]:
    LevelDbStore.create(folder / "store")
    spent: dict[int, list[float]] = {tasks: [] for tasks in GOALS}
    bare, syncs = list[float](), list[float]()
    async with LevelDbStore.open(folder / "store") as store:
        for _ in range(ROUNDS):
            bare.append(write_bare(folder / "bare"))
            for tasks, times in spent.items():
                before = store.counters
                times.append(await write_with(store, tasks))
                if tasks == 64:
                    writes = store.counters.writes - before.writes
                    syncs.append((store.counters.batches - before.batches) / writes)
    limit = median(bare) * 1e6
    figures = {
        f"a write, {tasks} at once": Figure(
            value=median(times) * 1e6,
            unit="us",
            limit=limit,
            limit_is="append and fdatasync",
            goal=GOALS[tasks],
        )
        for tasks, times in spent.items()
    }
    figures["syncs a write, 64 at once"] = Figure(
        value=median(syncs), unit="", limit=None, limit_is="", goal=SYNCS_GOAL
    )
    return figures


def run() -> dict[str, Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return trio.run(measure, Path(folder))


def main() -> int:
    return bench_main(["store", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
