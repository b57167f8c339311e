"""What waits to become part of one log, and what is being done for it (spec/streams.md 8)."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from qbix_node.machines import PeerId
from qbix_node.ports import Rows
from qbix_node.streams.growth import Contradicted, Covered, Facts, Growth, Needs
from qbix_node.streams.headers import Headers
from qbix_node.streams.messages import Create, Segment
from qbix_node.streams.records import LogState, StoredNodes, author_key, read_author
from qbix_node.streams.tree import bag, peaks_of
from qbix_node.streams.wishes import Writing
from qbix_node.wire.references import StreamId

OFFERS_PER_STREAM_MAX = 64  # segments of a stream that wait to become part of the log
OFFERS_PER_STREAM_BYTES_MAX = 8 * 1024 * 1024  # of them
TOGETHER_MAX = 2048  # entries of several offers that are judged and written as one
TOGETHER_BYTES_MAX = 1024 * 1024  # of them
_NONE = Headers(0)


@dataclass(frozen=True, slots=True)
class Offer:
    """`parts`: the offers that it was made of."""

    peer: PeerId
    segment: Segment
    size_bytes: int
    parts: tuple["Offer", ...] = ()


def _join(offers: Sequence[Offer]) -> Offer:
    """As one, under the Head of the last."""
    first, last = offers[0].segment, offers[-1].segment
    segment = replace(
        last,
        first=first.first,
        leaves=tuple(chain.from_iterable([offer.segment.leaves for offer in offers])),
        contents=tuple(chain.from_iterable([offer.segment.contents for offer in offers])),
    )
    size = sum([offer.size_bytes for offer in offers])
    return Offer(offers[0].peer, segment, size, tuple(offers))


def _goes_on(earlier: Offer, later: Offer) -> bool:
    """SPEC streams 8: the Head of the earlier one adds nothing, or only what its leaves show."""
    before, after = earlier.segment, later.segment
    head = before.signed_head.head
    adds_nothing = head.length == before.stop or head.identity == after.signed_head.head.identity
    return earlier.peer == later.peer and before.stop == after.first and adds_nothing


@dataclass(slots=True)
class Line:
    """One piece of work at a time, so that each is judged by the log that it continues."""

    offers: deque[Offer] = field(default_factory=deque)
    wishes: deque[Create | Writing] = field(default_factory=deque)  # go first
    offer: Offer | None = None  # of what is being done; None: we wrote it
    headers: Headers = field(default_factory=lambda: _NONE)  # of what is new in it
    covered: Covered | Contradicted | None = None
    growth: Growth | None = None
    written: tuple[Create | Writing, ...] = ()
    busy: bool = False
    size_bytes: int = 0  # of all offers
    apart: int = 0  # of the offers that come next, so many are taken one by one

    @property
    def idle(self) -> bool:
        return not (self.busy or self.offers or self.wishes)

    def has_room(self, offer: Offer) -> bool:
        size = self.size_bytes + offer.size_bytes
        return len(self.offers) < OFFERS_PER_STREAM_MAX and size <= OFFERS_PER_STREAM_BYTES_MAX

    def take_offer(self) -> Offer:
        """The next, with those that go on where it ends: one check and one write for all."""
        taken = [self.offers.popleft()]
        if self.apart:
            self.apart -= 1
            return taken[0]
        size, count = taken[0].size_bytes, len(taken[0].segment.leaves)
        while self.offers and _goes_on(taken[-1], offer := self.offers[0]):
            size, count = size + offer.size_bytes, count + len(offer.segment.leaves)
            if size > TOGETHER_BYTES_MAX or count > TOGETHER_MAX:
                break
            taken.append(self.offers.popleft())
        return _join(taken) if len(taken) > 1 else taken[0]

    def take_apart(self) -> None:
        """Something is wrong with a part of the offer: now each is for itself."""
        assert self.offer is not None
        parts = self.offer.parts
        self.offers.extendleft(reversed(parts))
        self.apart = len(parts)
        self.rest()

    def rest(self) -> None:
        """Nothing is being done."""
        self.offer, self.covered, self.growth = None, None, None
        self.headers, self.busy = _NONE, False

    def earlier(self) -> list[Segment]:
        """Those in the offer whose Heads are others than that over all of it."""
        assert self.offer is not None
        last = self.offer.segment.signed_head.head.identity
        parts = [part.segment for part in self.offer.parts[:-1]]
        return [part for part in parts if part.signed_head.head.identity != last]


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
