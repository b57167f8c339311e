"""Planted defects in a scenario of the library: whether its seeds come across them, and how soon.

Each is looked for in the seeds in their order, and no further than the first that shows it.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

from netsim import workers
from netsim.defects.hunting import BY_NAME, SILENT, Caught, Missed, complaints, missed
from netsim.job import Job
from netsim.verdict import Verdict

SEED_PATIENCE_S = 60.0  # real time


@dataclass(frozen=True, slots=True)
class TailoredOnly:
    """It is not looked for here."""

    name: str
    check: str
    why: str


Found = Caught | Missed | TailoredOnly


def search(
    job: Job, names: tuple[str, ...], seeds: range, *, jobs: int | None = None
) -> Generator[Found]:
    """As they are found; in a process for each core, or so many."""
    patience_s = SEED_PATIENCE_S * len(seeds)
    task = Search(job, names, seeds)
    return workers.results(
        task, range(len(names)), jobs=jobs or workers.cores(), patience_s=patience_s
    )


@dataclass(frozen=True, slots=True)
class Search:
    """Implements netsim.workers.Work: a defect each, by its place in `names`."""

    job: Job
    names: tuple[str, ...]
    seeds: range

    def attempt(self, place: int) -> Found:
        defect = BY_NAME[self.names[place]]
        if defect.tailored_only:
            return TailoredOnly(defect.name, defect.check, defect.tailored_only)
        job = replace(self.job, driver=defect.driver)
        for seed in self.seeds:
            with defect.planted():
                found = complaints(job.run(seed))
            if violation := found.get(defect.check):
                return Caught(defect.name, defect.check, job.scenario.name, seed, violation)
        return self._missed(place, SILENT)

    def failure(self, place: int, verdict: Verdict, what: str) -> Found:
        return self._missed(place, f"is not heard ({what})")

    def given_up(self, place: int, patience_s: float) -> Found:
        return self._missed(place, f"is not heard (no end after {patience_s:g} s of real time)")

    def _missed(self, place: int, why: str) -> Missed:
        seeds = self.seeds
        options = ("--in", self.job.given, "--seeds", f"{seeds.start}:{seeds.stop}")
        defect = BY_NAME[self.names[place]]
        return missed(defect, self.job.scenario.name, tuple(seeds), *options, why=why)
