"""All checks of one run, fed by its journal."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from netsim import facts
from netsim.checks.blobs import BLOB_CHECKS
from netsim.checks.check import Check, View
from netsim.checks.complaining import Complaint
from netsim.checks.contents import CONTENT_CHECKS
from netsim.checks.dht import DHT_CHECKS
from netsim.checks.feeds import LOG_CHECKS
from netsim.checks.forks import FORK_CHECKS
from netsim.checks.goals import missed_in_a_run
from netsim.checks.links import LINK_CHECKS
from netsim.checks.noticing import Noticing
from netsim.checks.privacy import PRIVACY_CHECKS
from netsim.checks.promises import PROMISE_CHECKS
from netsim.checks.proofs import PROOF_CHECKS
from netsim.checks.resolving import RESOLVING_CHECKS
from netsim.checks.sequencing import SEQUENCING_CHECKS
from netsim.checks.settling import Settling, Unsettled
from netsim.checks.speech import SPEECH_CHECKS
from netsim.checks.streamevents import StreamEvents
from netsim.checks.streams import STREAM_CHECKS
from netsim.checks.streamspeech import STREAM_SPEECH_CHECKS
from netsim.world import World

ALWAYS: tuple[type[Check], ...] = (
    *LOG_CHECKS,
    *FORK_CHECKS,
    *PROMISE_CHECKS,
    *SPEECH_CHECKS,
    *BLOB_CHECKS,
    *LINK_CHECKS,
    *PRIVACY_CHECKS,
    *STREAM_CHECKS,
    *PROOF_CHECKS,
    *STREAM_SPEECH_CHECKS,
    *SEQUENCING_CHECKS,
    *RESOLVING_CHECKS,
    *CONTENT_CHECKS,
)
TOLD_MAX = 3  # violations of one check at one node; what follows from the first says little more


@dataclass(frozen=True, slots=True)
class Violation:
    check: str
    spec: str  # the sentence that does not hold: page, section, words
    at_s: float
    node: int
    what: str


class _Watcher(Protocol):
    @property
    def watches(self) -> tuple[type, ...]: ...

    def handle(self, node: int, fact: object) -> None: ...


class Checks:
    def __init__(self, world: World) -> None:
        self.violations: list[Violation] = []
        self.events: Counter[str] = Counter()  # of netsim.checks.sometimes
        self._world = world
        self._view = View(world)
        self._told: Counter[tuple[str, int]] = Counter()
        always = ALWAYS if world.plan.dht is None else DHT_CHECKS
        self._always = [check(self._view, self._report) for check in always]
        self._settling = Settling(self._view)
        self._noticing = Noticing(self._view, self.events)
        self._watching: dict[type, list[Callable[[int, object], None]]] = {}
        events = StreamEvents(self._view, self._noticing.saw)
        watchers: list[_Watcher] = [*self._always, self._settling, self._noticing, events]
        for watcher in watchers:
            for kind in watcher.watches:
                self._watching.setdefault(kind, []).append(watcher.handle)
        world.journal.watch(self.handle)

    def handle(self, node: int, fact: object) -> None:
        """Of all nodes; what byzantine ones do is noticed only."""
        if node not in self._view.honest:
            self._noticing.misdeed(node, fact)
            return
        self._view.handle(node, fact)
        for seen in self._view.logs.handle(node, fact):
            self._tell(node, seen)
        for found in self._view.branches.handle(node, fact):
            self._tell(node, found)
        self._tell(node, fact)

    def unsettled(self) -> list[Complaint]:
        """What is not yet as it has to be once all faults are over; empty: all is well."""
        if self._world.plan.dht is not None:
            return []  # nothing is waited for
        return self._settling.unsettled()

    def unsettled_at_the_end(self) -> Unsettled:
        """All of it is counted."""
        if self._world.figures is not None:
            missed = missed_in_a_run(self._world.figures())
            return Unsettled(missed, len(missed))
        return self._settling.at_the_end()

    def finish(self) -> None:
        """The run is over: checks that look at the whole."""
        for node in self._view.honest:
            for seen in self._view.logs.look(node):
                self._tell(node, seen)
            for found in self._view.branches.look(node):
                self._tell(node, found)
        for check in self._always:
            check.finish()
        self._noticing.finish()

    def _tell(self, node: int, fact: object) -> None:
        for handle in self._watching.get(type(fact), ()):
            handle(node, fact)

    def _report(self, check: Check, node: int, what: str) -> None:
        self._told[check.name, node] += 1
        if self._told[check.name, node] > TOLD_MAX:
            return
        now = self._world.loop.now
        self.violations.append(Violation(check.name, check.guards, now, node, what))
        self._world.journal.tell(node, facts.Violated(check.name, what))
