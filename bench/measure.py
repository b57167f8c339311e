"""CPU time of this process, its threads included: other load on the machine disturbs it least."""

import time
from collections.abc import Awaitable, Callable
from statistics import median

Work = Callable[[], Awaitable[object]]


async def cpu_s(work: Work) -> float:
    start = time.process_time()
    await work()
    return time.process_time() - start


async def medians(*works: Work, rounds: int) -> list[float]:
    """Seconds of each, taken in turns, so that all see the same weather; after one to warm up."""
    turns = [[await cpu_s(work) for work in works] for _ in range(rounds + 1)]
    return [median(each) for each in zip(*turns[1:], strict=True)]
