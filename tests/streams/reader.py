"""Bob, who takes runs of a log one after the other and believes all signatures."""

from collections.abc import Callable
from dataclasses import dataclass, field

from qbix_node.machines import SignatureCheck
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import (
    Contradicted,
    Facts,
    Growth,
    Needs,
    continue_log,
    needs,
    read_headers,
)
from qbix_node.streams.messages import Segment
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import AuthorState, LogState
from qbix_node.streams.tree import Subtrees, leaf_hash
from tests.streams.logs import tree_root


@dataclass
class Reader:
    genesis: Genesis
    state: LogState | None = None
    leaves: list[bytes] = field(default_factory=list)
    made: list[Subtrees] = field(default_factory=list)
    authors: dict[AuthorId, AuthorState] = field(default_factory=dict)
    checks: list[SignatureCheck] = field(default_factory=list)  # but those of Heads
    facts: Callable[[Needs], Facts] = field(init=False)

    def __post_init__(self) -> None:
        self.facts = self.all_facts

    def all_facts(self, wanted: Needs) -> Facts:
        known = {
            author: self.authors[author] for author in wanted.authors if author in self.authors
        }
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        bases = [base for base in wanted.bases if base <= len(hashes)]
        return Facts(known, {base: tree_root(hashes[:base]) for base in bases})

    def judge(self, segment: Segment) -> Growth | Contradicted:
        headers = read_headers(segment, len(self.leaves))
        return continue_log(self.genesis, self.state, segment, headers, self.facts(needs(headers)))

    def take(self, segment: Segment) -> Growth:
        growth = self.judge(segment)
        assert isinstance(growth, Growth)
        self.state = growth.state
        self.leaves += growth.leaves
        self.made += growth.made
        self.authors |= growth.authors
        self.checks += growth.checks
        return growth
