"""What happens on the two sides of a partition."""

from collections.abc import Callable

from netsim.checks.check import View
from netsim.plan import Fault, PlannedFault
from qbix_node.feeds.messages import Appended, ForkFound
from qbix_node.wire.references import FeedId


class Partitions:
    """Sides are of one partition each; several may be there at a time."""

    def __init__(self, view: View, saw: Callable[[str], None]) -> None:
        self._view = view
        self._saw = saw
        self._now: dict[PlannedFault, set[bool]] = {}  # sides that have published in it
        self._first: dict[tuple[FeedId, int, bytes], tuple[int, tuple[PlannedFault, ...]]] = {}

    def begin(self, fault: PlannedFault) -> None:
        """Told for each node."""
        if fault.fault is Fault.PARTITION:
            self._now.setdefault(fault, set())

    def end(self, fault: PlannedFault) -> None:
        self._now.pop(fault, None)

    def published(self, node: int) -> None:
        for fault, sides in self._now.items():
            if len(sides) < 2:
                sides.add(node in fault.nodes)
                if len(sides) == 2:
                    self._saw("partition with writers on both sides")

    def appended(self, node: int, fact: Appended) -> None:
        """Who was the first to have each message, and in which partitions."""
        if self._view.author(fact.feed) is not None:
            return  # it has one branch
        for sequence in range(fact.first, fact.last + 1):
            found = self._view.logs.id_at(node, fact.feed, sequence)
            if found is not None:
                self._first.setdefault((fact.feed, sequence, found), (node, tuple(self._now)))

    def found(self, fork: ForkFound) -> None:
        """The message from the other branch may be one that no honest node has kept."""
        sides = [
            self._first.get((fork.feed, fork.sequence, message.id))
            for message in (fork.ours, fork.theirs)
        ]
        if sides[0] is None or sides[1] is None:
            return
        (one, during), (other, also) = sides[0], sides[1]
        if _divided(one, other, during) and _divided(one, other, also):
            self._saw("fork found across a partition")


def _divided(one: int, other: int, partitions: tuple[PlannedFault, ...]) -> bool:
    return any((one in fault.nodes) != (other in fault.nodes) for fault in partitions)
