"""Where a log here and one that somebody has shown differ (spec/gossip.md 5).

A question about the store; what is durable of a log never changes, so neither does the answer.
"""

from dataclasses import dataclass

from qbix_node.ports import Rows
from qbix_node.streams.forks import HeadFork, ShownHead, equal_fork, unequal_fork
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.records import LogState
from qbix_node.streams.serving import CoveredNodes
from qbix_node.streams.tree import Hash, Prefix, frontier_of, known_prefixes


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fork; or none was found. `state`: our log, as it was. `continued`: our Head was seen to
    continue theirs; `backed`: theirs ours. `frontier`: from what was shown to our Head; None: there
    is less here.
    """

    state: LogState
    fork: HeadFork | None = None
    continued: bool = False
    backed: bool = False
    frontier: tuple[Hash, ...] | None = None


@dataclass(frozen=True, slots=True)
class VerdictOn:
    """Whether our log and the shown one differ at a length at which both are known."""

    genesis: Genesis
    state: LogState
    shown: ShownHead
    prefix: Prefix  # leads to the Head

    def answer(self, rows: Rows) -> Verdict:
        head, ours = self.shown.head, self.state.signed.head
        nodes = CoveredNodes(rows, self.state)
        same = head.identity == ours.identity
        if head.length == ours.length and not same:
            fork = equal_fork(self.genesis, self.shown, ShownHead(self.state.signed))
            return Verdict(self.state, fork)
        if not same and (difference := self._difference(nodes)):
            return Verdict(self.state, difference)
        length, here = self.prefix.length, self.state.length
        frontier = frontier_of(nodes, length, ours.length) if length <= here else None
        continued = same or (head.length < ours.length and nodes.root(head.length) is not None)
        shown = known_prefixes(self.prefix, head.length)
        backed = ours.length in [prefix.length for prefix in shown]
        return Verdict(self.state, None, continued, backed, frontier)

    def _difference(self, nodes: CoveredNodes) -> HeadFork | None:
        head, ours = self.shown.head, ShownHead(self.state.signed)
        for prefix in known_prefixes(self.prefix, head.length):
            root = nodes.root(prefix.length) if prefix.length <= ours.head.length else None
            if root is not None and root != prefix.root(head.root):
                mine = nodes.prefix(prefix.length)
                assert mine is not None
                return unequal_fork(self.genesis, self.shown, prefix, ours, mine)
        return None
