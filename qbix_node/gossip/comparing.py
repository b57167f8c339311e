"""Where a log here and one that somebody has shown differ (spec/gossip.md 5).

A question about the store, asked at once: a log may be dropped later (spec/streams.md 6.1).
"""

from dataclasses import dataclass, replace

from qbix_node.ports import Rows
from qbix_node.streams.forks import HeadFork, Resolved, ShownHead, equal_fork, unequal_fork
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.serving import CoveredNodes
from qbix_node.streams.tree import Hash, Prefix, bag, frontier_of, known_prefixes


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fork; or none was found. `state`: our log, as it was. `continued`: our Head was seen to
    continue theirs; `backed`: theirs ours. `frontier`: from what was shown to our Head; None: there
    is less here. `peaks`: of that length, if none were shown. `asks`: a log that is here;
    the peer has to say how its Head continues it, or the fork proves nothing, as the owners chose a
    branch before.
    """

    state: LogState
    fork: HeadFork | None = None
    continued: bool = False
    backed: bool = False
    frontier: tuple[Hash, ...] | None = None
    peaks: tuple[Hash, ...] = ()
    asks: LogState | None = None


@dataclass(frozen=True, slots=True)
class VerdictOn:
    """Whether our log and the shown one differ at a length at which both are known."""

    genesis: Genesis
    state: LogState
    shown: ShownHead
    prefix: Prefix  # leads to the Head
    chosen: Resolution | None = None  # in this stream

    def answer(self, rows: Rows) -> Verdict:
        head, ours = self.shown.head, self.state.signed.head
        nodes = CoveredNodes(rows, self.state)
        same = head.identity == ours.identity
        if head.length == ours.length and not same:
            fork = equal_fork(self.genesis, self.shown, ShownHead(self.state.signed))
            return self._proven(nodes, fork)
        if not same and (difference := self._difference(nodes)):
            return self._proven(nodes, difference)
        length, here = self.prefix.length, self.state.length
        frontier = frontier_of(nodes, length, ours.length) if length <= here else None
        peaks = nodes.peaks(length) if length <= here and not self.prefix.peaks else ()
        continued = same or (head.length < ours.length and nodes.root(head.length) is not None)
        shown = known_prefixes(self.prefix, head.length)
        backed = ours.length in [prefix.length for prefix in shown]
        return Verdict(self.state, None, continued, backed, frontier, peaks)

    def _difference(self, nodes: CoveredNodes) -> HeadFork | None:
        head, ours = self.shown.head, ShownHead(self.state.signed)
        for prefix in known_prefixes(self.prefix, head.length):
            root = nodes.root(prefix.length) if prefix.length <= ours.head.length else None
            if root is not None and root != prefix.root(head.root):
                mine = nodes.prefix(prefix.length)
                assert mine is not None
                return unequal_fork(self.genesis, self.shown, prefix, ours, mine)
        return None

    # ---- where the owners have chosen a branch before ----

    def _proven(self, nodes: CoveredNodes, fork: HeadFork) -> Verdict:
        """SPEC streams 6.1: then a proof shows that both Heads contain it."""
        chosen = self.chosen
        if chosen is None:
            return Verdict(self.state, fork)
        length = chosen.fork_length
        ours = nodes.prefix(length) if length <= self.state.length else None
        if ours is None or bag(ours.peaks) != chosen.chosen_root:
            return Verdict(self.state, fork)  # the log here is on its way to that branch
        theirs = self._frontier_from(nodes, ours)
        if theirs is None:
            asks = chosen.log(ours.peaks) if fork.compared_length > length else None
            return Verdict(self.state, fork, asks=asks)
        frontiers = theirs, ours.frontier
        if fork.shown.head.identity != self.shown.head.identity:
            frontiers = ours.frontier, theirs
        resolved = Resolved(chosen.signed, ours.peaks, frontiers)
        return Verdict(self.state, replace(fork, resolved=resolved))

    def _frontier_from(self, nodes: CoveredNodes, ours: Prefix) -> tuple[Hash, ...] | None:
        """To the shown Head, where what is shown tells it."""
        prefix, length = self.prefix, ours.length
        if (prefix.length, prefix.peaks) == (length, ours.peaks):
            return prefix.frontier
        known = length < prefix.length <= self.state.length
        if not known or prefix.peaks != nodes.peaks(prefix.length):
            return None
        # All of it up to there is here, so the rest of the tree is known, too.
        said = self.shown.signed, prefix.frontier
        shown = LogState(prefix.length, prefix.peaks, *said, self.genesis.owners)
        found = CoveredNodes(nodes.rows, shown).prefix(length)
        return found.frontier if found else None
