"""What a log here says of a Head that somebody has shown (spec/gossip.md 4, 5).

Questions about the store; what is durable of a log never changes, so neither do their answers.
"""

from dataclasses import dataclass

from qbix_node.ports import Rows
from qbix_node.streams.forks import HeadFork, ShownHead, equal_fork, unequal_fork
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.messages import SignedHead
from qbix_node.streams.records import LogState, read_head_at, root_at
from qbix_node.streams.serving import CoveredNodes
from qbix_node.streams.tree import Hash, frontier_of
from qbix_node.wire.references import StreamId


@dataclass(frozen=True, slots=True)
class Standing:
    """Of a Head that is not longer than our log. `ours`: our Head of that length, if any."""

    agrees: bool
    ours: SignedHead | None


@dataclass(frozen=True, slots=True)
class StandingOf:
    """The question that Standing answers."""

    stream: StreamId
    length: int
    root: Hash

    def answer(self, rows: Rows) -> Standing:
        agrees = root_at(rows, self.stream, self.length) == self.root
        ours = None if agrees else read_head_at(rows, self.stream, self.length)
        return Standing(agrees, ours)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fork, or how `ours` continues theirs."""

    ours: SignedHead
    fork: HeadFork | None
    frontier: tuple[Hash, ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictOn:
    """Whether our log, which is at least as long, continues a Head with these peaks."""

    genesis: Genesis
    state: LogState
    shown: ShownHead
    peaks: tuple[Hash, ...]

    def answer(self, rows: Rows) -> Verdict:
        theirs, ours = self.shown.head, self.state.signed
        if theirs.length == ours.head.length:
            same = theirs.root == ours.head.root
            fork = None if same else equal_fork(self.genesis, self.shown, ShownHead(ours))
            return Verdict(ours, fork)
        nodes, longer = CoveredNodes(rows, self.state), ShownHead(ours)
        fork = unequal_fork(self.genesis, self.shown, self.peaks, longer, nodes)
        if fork is not None:
            return Verdict(ours, fork)
        return Verdict(ours, None, frontier_of(nodes, theirs.length, ours.head.length))
