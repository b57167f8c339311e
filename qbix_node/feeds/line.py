"""What waits between a peer and the log of one feed (spec/classic-feeds.md 7)."""

from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.feeds.messages import ClassicMessage, Head
from qbix_node.feeds.records import Evidence
from qbix_node.feeds.validation import check_next
from qbix_node.wire.references import FeedId

CHECKS_MAX = 256  # signatures in one Verify: some 15 ms of a worker thread


@dataclass(slots=True)
class Arrival:
    """A message on its way into the log."""

    message: ClassicMessage
    received_ms: int
    peer: m.PeerId | None  # None: written here, as `request` asked
    request: int | None = None
    valid: bool = False  # its signature was checked
    owed: bool = True  # its peer has not been told yet that it is dealt with
    rival: ClassicMessage | None = None  # the other one that we have for its place
    also: m.PeerId | None = None  # another peer that sent the same while it waited


@dataclass(slots=True)
class Line:
    """Arrivals go from `unchecked` to `checking`, through `held` where earlier ones are missing,
    to `unsaved` and `saving`, and are in the log then. One check and one write at a time: what
    comes meanwhile goes into the next one together, and the log grows in the order of the feed.
    """

    feed: FeedId
    durable: Head | None
    tip: Head | None  # the last message of the chain that is valid, durable or not
    unchecked: list[Arrival] = field(default_factory=list)
    checking: list[Arrival] = field(default_factory=list)
    held: dict[int, Arrival] = field(default_factory=dict)  # by sequence, all above the tip
    unsaved: list[Arrival] = field(default_factory=list)
    saving: list[Arrival] = field(default_factory=list)
    texts: dict[str, Arrival] = field(default_factory=dict)  # all that waits, by `encoded`
    proof: Evidence | None = None  # of a fork, until what is chained is in the log

    @property
    def base(self) -> int:
        return self.durable.sequence if self.durable else 0

    @property
    def reach(self) -> int:
        return self.tip.sequence if self.tip else 0

    def find(self, sequence: int) -> ClassicMessage | None:
        """The valid message of this sequence, if it is here and not in the log yet."""
        place = sequence - self.base - 1
        if place < 0:
            return None
        if place < len(self.saving):
            return self.saving[place].message
        place -= len(self.saving)
        if place < len(self.unsaved):
            return self.unsaved[place].message
        return self.held[sequence].message if sequence in self.held else None

    def next_checks(self) -> list[Arrival]:
        """Move what comes next to `checking`; [] while a check runs."""
        if self.checking:
            return []
        self.checking = self.unchecked[:CHECKS_MAX]
        del self.unchecked[:CHECKS_MAX]
        return self.checking

    def join(self) -> Arrival | None:
        """Chain what is held to the tip; the arrival that names another previous, if any."""
        while arrival := self.held.pop(self.reach + 1, None):
            if check_next(self.tip, arrival.message):
                return arrival
            self.unsaved.append(arrival)
            self.tip = arrival.message.head
        return None

    def next_writes(self) -> list[Arrival]:
        """Move what is chained to `saving`; [] while a write runs."""
        if self.saving:
            return []
        self.saving, self.unsaved = self.unsaved, []
        return self.saving

    def let_go(self) -> list[Arrival]:
        """Take out what is chained and not on its way to the disk yet."""
        gone, self.unsaved = self.unsaved, []
        self.tip = self.saving[-1].message.head if self.saving else self.durable
        return gone

    def discard(self, peer: m.PeerId | None = None, *, above: int = 0) -> list[Arrival]:
        """Take out what is not chained yet; with `peer`, only what it sent of later sequences."""

        def goes(arrival: Arrival) -> bool:
            return peer is None or (arrival.peer == peer and arrival.message.sequence > above)

        gone = [entry for entry in (*self.unchecked, *self.held.values()) if goes(entry)]
        self.unchecked = [entry for entry in self.unchecked if not goes(entry)]
        self.held = {place: entry for place, entry in self.held.items() if not goes(entry)}
        return gone
