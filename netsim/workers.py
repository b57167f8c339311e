"""Runs a job's seeds in processes of their own, and goes on when one dies or hangs."""

import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol, TypeVar

from netsim.verdict import Verdict

SEEDS_EACH = 200  # then a process gives its memory back and another one takes its place
_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy what the parent has imported

R_co = TypeVar("R_co", covariant=True)


class Work(Protocol[R_co]):
    """What the processes do, as netsim.job.Job does it; it is pickled."""

    def attempt(self, seed: int) -> R_co: ...

    def failure(self, seed: int, verdict: Verdict, what: str) -> R_co:
        """What is said of a seed whose process has not come to its end."""
        ...

    def given_up(self, seed: int, patience_s: float) -> R_co:
        """The same if patience with it came to an end."""
        ...


@dataclass(slots=True)
class _Worker:
    """Runs one seed at a time; what it remembers of signatures serves the next ones."""

    process: SpawnProcess
    pipe: Connection
    seed: int = 0
    until: float = 0.0  # when its patience with the seed ends
    ran: int = 0

    def give(self, seed: int, patience_s: float) -> None:
        self.seed, self.until, self.ran = seed, time.monotonic() + patience_s, self.ran + 1
        with suppress(OSError):  # it died while idle: `results` finds its pipe closed
            self.pipe.send(seed)

    def end(self) -> int | None:
        """At once. How the process ended, if it was over already."""
        self.pipe.close()
        self.process.join(1.0 if self.process.exitcode is None else 0)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        return code


def results(
    job: Work[R_co], seeds: Iterable[int], *, jobs: int, patience_s: float
) -> Generator[R_co]:
    """As they come. A seed whose process dies or takes longer than `patience_s` has failed."""
    left, workers = iter(seeds), list[_Worker]()
    try:
        for seed in left:
            workers.append(_start(job))
            workers[-1].give(seed, patience_s)
            if len(workers) == jobs:
                break
        while workers:
            nearest = min([worker.until for worker in workers])
            ready = wait([each.pipe for each in workers], max(0.0, nearest - time.monotonic()))
            now = time.monotonic()
            for worker in [each for each in workers if each.pipe in ready or now >= each.until]:
                workers.remove(worker)
                result, alive = _take(worker, job, patience_s)
                following = next(left, None)
                if following is not None:
                    successor = worker if alive else _start(job)
                    workers.append(successor)
                    successor.give(following, patience_s)
                elif alive:
                    worker.end()
                yield result
    finally:
        for worker in workers:
            worker.process.kill()
            worker.end()


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def _start(job: Work[object]) -> _Worker:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_work, args=(job, theirs), daemon=True)
    resource_tracker.ensure_running()  # it unblocks what is blocked here
    # Ctrl-C is for the parent: what is blocked stays so in the child, from its first moment on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # else its end would not be seen
    return _Worker(process, ours)


def _take(worker: _Worker, job: Work[R_co], patience_s: float) -> tuple[R_co, bool]:
    """What became of its seed, and whether it can take another."""
    try:
        if worker.pipe.poll():
            result: R_co = worker.pipe.recv()
            if worker.ran < SEEDS_EACH:
                return result, True
            worker.end()
            return result, False
    except (EOFError, OSError):
        code = worker.end()
        what = f"its process died ({_ended(code)})"
        return job.failure(worker.seed, Verdict.SAFETY, what), False
    worker.process.kill()
    worker.end()
    return job.given_up(worker.seed, patience_s), False


def _ended(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _work(job: Work[object], pipe: Connection) -> None:
    with suppress(EOFError, OSError):  # the parent is gone, or wants no more
        while True:
            pipe.send(job.attempt(pipe.recv()))
