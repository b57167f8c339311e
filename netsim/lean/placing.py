"""Files of blobs come and go one at a time, and the machine knows of each before the next one, as
`qbix_node.blobs.service` has it.
"""

from collections import deque
from dataclasses import dataclass

from netsim.lean.process import Process
from netsim.lean.runner import Runner
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.files import Draft
from qbix_node.wire.references import BlobId


@dataclass(slots=True, eq=False)
class _Keep:
    """A whole draft. The machine is told of it by `arrival`, and answers Arrived."""

    draft: Draft
    blob: BlobId
    arrival: m.Event
    placed: bool = False

    def sweep(self) -> None:
        self.draft.__exit__(None, None, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Remove:
    """`given_up`: by the quota, so it stays if it has come again meanwhile."""

    blob: BlobId
    given_up: bool


class Placing:
    def __init__(self, process: Process, runner: Runner) -> None:
        self._process = process
        self._runner = runner
        self._queue: deque[_Keep | _Remove] = deque()
        self._current: _Keep | _Remove | None = None
        self._leaving: set[BlobId] = set()  # given up, their files not yet deleted

    def keep(self, draft: Draft, arrival: m.Event) -> None:
        """Make it durable, then tell the machine."""
        self._add(_Keep(draft, draft.blob, arrival))

    def remove(self, blob: BlobId) -> None:
        self._add(_Remove(blob, given_up=False))

    def give_up(self, blob: BlobId) -> None:
        self._leaving.add(blob)
        self._add(_Remove(blob, given_up=True))

    def answered(self, finding: b.Arrived | b.Gone) -> None:
        if isinstance(finding, b.Arrived):
            self._leaving.discard(finding.blob)
        kind = b.Arrived if isinstance(self._current, _Keep) else b.Gone
        if self._current and self._current.blob == finding.blob and isinstance(finding, kind):
            # Once all that the machine has just decided is carried out: a Have must not be said
            # of a file that the next job removes.
            self._process.later(0.0, self._next)

    def abandon(self) -> None:
        """The process dies: its drafts are swept."""
        for job in (self._current, *self._queue):
            if isinstance(job, _Keep) and not job.placed:
                job.sweep()

    def _add(self, job: _Keep | _Remove) -> None:
        self._queue.append(job)
        if self._current is None:
            self._next()

    def _next(self) -> None:
        self._current = self._queue.popleft() if self._queue else None
        match self._current:
            case _Keep() as job:
                self._process.later(self._process.site.disk.sync_delay_s(), self._place, job)
            case _Remove(blob, given_up):
                if given_up and blob not in self._leaving:
                    self._next()  # it came again
                    return
                self._leaving.discard(blob)
                self._process.site.files.remove(blob)
                self._runner.post(m.Requested(b.Removed(blob)))
            case None:
                pass

    def _place(self, job: _Keep) -> None:
        job.draft.place()
        job.placed = True
        job.sweep()
        self._runner.post(job.arrival)
