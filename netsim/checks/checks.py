"""All checks of one run, fed by its journal."""

from collections import Counter
from dataclasses import dataclass

from netsim import facts
from netsim.world import World
from qbix_node.feeds.records import read_heads


@dataclass(frozen=True, slots=True)
class Violation:
    check: str
    spec: str  # the sentence that does not hold: page, section, words
    at_s: float
    node: int
    what: str


class Checks:
    def __init__(self, world: World) -> None:
        self.violations: list[Violation] = []
        self.events: Counter[str] = Counter()  # of the list in netsim.checks.sometimes
        self._world = world
        world.journal.watch(self.handle)

    def handle(self, node: int, fact: object) -> None:
        if isinstance(fact, facts.Failed):
            now = self._world.loop.now
            self.violations.append(Violation("no failure", "", now, node, fact.what))

    def unsettled(self) -> list[str]:
        """What is not yet as it has to be once all faults are over; empty: all is well."""
        world = self._world
        heads = {n: read_heads(site.disk) for n, site in world.sites.items()}
        lacking = []
        for number, site in world.sites.items():
            for followed in site.plan.follows:
                feed = world.sites[followed].feed
                ours, theirs = heads[number].get(feed), heads[followed].get(feed)
                if ours != theirs:
                    lacking.append(f"node {number} lacks feed of {followed}: {ours} {theirs}")
        return lacking

    def finish(self) -> None:
        """The run is over: checks that look at the whole."""
