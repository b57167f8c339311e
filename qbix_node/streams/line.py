"""What waits to become part of one log, and what is being done for it (spec/streams.md 8)."""

from collections import deque
from dataclasses import dataclass, field

from qbix_node.machines import PeerId
from qbix_node.ports import Rows
from qbix_node.streams.growth import Contradicted, Covered, Facts, Growth, Needs
from qbix_node.streams.messages import Append, Create, Header, Segment
from qbix_node.streams.records import LogState, StoredNodes, author_key, read_author
from qbix_node.streams.tree import bag, peaks_of
from qbix_node.wire.references import StreamId


@dataclass(frozen=True, slots=True)
class Offer:
    peer: PeerId
    segment: Segment


@dataclass(slots=True)
class Line:
    """One piece of work at a time, so that each is judged by the log that it continues."""

    offers: deque[Offer] = field(default_factory=deque)
    wishes: deque[Create | Append] = field(default_factory=deque)  # go first
    offer: Offer | None = None  # of what is being done; None: we wrote it
    headers: list[Header] = field(default_factory=list)  # of what is new in it
    covered: Covered | Contradicted | None = None
    growth: Growth | None = None
    written: tuple[Create | Append, ...] = ()
    busy: bool = False

    @property
    def idle(self) -> bool:
        return not (self.busy or self.offers or self.wishes)


@dataclass(frozen=True, slots=True)
class HeadReplaced:
    """Found by a StreamBook: another Head covers the log now, and nobody has shown that it
    continues the Head of `before`, which reached further than the entries that were here.
    """

    before: LogState


@dataclass(frozen=True, slots=True)
class FactsOf:
    """The question that Facts answer; of lengths beyond `length` the log knows nothing yet."""

    stream: StreamId
    needs: Needs
    length: int

    def answer(self, rows: Rows) -> Facts:
        stream = self.stream
        authors = {
            author: read_author(rows.get(author_key(stream, author)), stream)
            for author in self.needs.authors
        }
        nodes = StoredNodes(rows, stream)  # one for all, in order, so that nothing is read twice
        known = sorted([base for base in self.needs.bases if base <= self.length])
        return Facts(
            {author: state for author, state in authors.items() if state is not None},
            {base: bag(peaks_of(nodes, base)) for base in known},
        )
