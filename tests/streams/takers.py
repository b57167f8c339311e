"""Take segments of one stream in order, as a node does, but at once and in memory."""

from dataclasses import dataclass, field

from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import Facts, Growth, begin, continue_log, needs, read_headers
from qbix_node.streams.messages import read_segment
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import AuthorState, LogState
from qbix_node.streams.tree import bag, grow, leaf_hash


@dataclass
class Taker:
    genesis: Genesis | None = None
    state: LogState | None = None
    leaves: list[bytes] = field(default_factory=list)
    authors: dict[AuthorId, AuthorState] = field(default_factory=dict)

    def take(self, encoded: bytes) -> LogState:
        """Raises Malformed, and keeps nothing then."""
        segment, length = read_segment(encoded), len(self.leaves)
        if segment.first != length:
            raise Malformed("it doesn't begin where the log ends")
        genesis = self.genesis or begin(segment)
        headers = read_headers(segment, length)
        wanted = needs(headers)
        authors = {each: self.authors[each] for each in wanted.authors if each in self.authors}
        roots = {}
        for base in wanted.bases:
            if base <= length:
                peaks, _ = grow((), 0, [leaf_hash(leaf) for leaf in self.leaves[:base]])
                roots[base] = bag(peaks)
        growth = continue_log(genesis, self.state, segment, headers, Facts(authors, roots))
        if not isinstance(growth, Growth):
            raise Malformed("the entries don't lead to the Head")
        checks = (*growth.head_checks, *growth.checks)
        if not all(verify(check.key, check.body, check.signature) for check in checks):
            raise Malformed("a signature doesn't match")
        self.genesis, self.state = genesis, growth.state
        self.leaves += growth.leaves
        self.authors |= growth.authors
        return growth.state
