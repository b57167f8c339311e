"""What a connected peer and this node have told each other, feed by feed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic

from qbix_node import machines as m
from qbix_node.replication.messages import REFUSED, SEQUENCE_MAX, LogId, asks, sequence_of

REFUSALS_MAX = 2048  # feeds a peer is told REFUSED; it is not answered about more of them


class Phase(Enum):
    WAITING = auto()  # for the peer to call
    CALLED = auto()  # we called and it has said nothing yet
    TALKING = auto()  # our clock is sent
    HISTORY = auto()  # it does not speak EBT: feeds are asked for one by one


@dataclass(slots=True)
class Exchange:
    """One feed, in this conversation."""

    theirs: int | None = None  # the sequence they have, REFUSED, or None: not said yet
    wants: bool = False  # they asked to be sent what follows
    sent: int = 0  # they were sent, or sent us, everything up to here
    offered: int = 0  # the highest sequence that was ever to be sent to them
    given: int = 0  # the highest sequence that they sent us
    told: int | None = None  # the last note that we sent

    def hear(self, note: int) -> None:
        """SPEC replication 2.2: what a peer says of itself holds, also when it is less."""
        if note == REFUSED:
            self.theirs, self.wants = REFUSED, False
            self.given = self.sent = self.offered = 0  # later it may want all of it anew
            return
        # What it sent us it has, though a note that crossed the message says less.
        self.theirs = self.sent = max(sequence_of(note), self.given)
        self.wants = asks(note)

    def receive(self, sequence: int) -> None:
        self.given = max(self.given, sequence)
        self.sent = max(self.sent, sequence)
        if self.theirs != REFUSED:  # what it says of itself holds
            self.theirs = max(self.theirs or 0, sequence)


@dataclass(slots=True)
class Peer(Generic[LogId]):
    # The sets are asked, never iterated: their order is not the same in every run.

    outgoing: bool  # we dialled
    phase: Phase = Phase.WAITING
    load: m.Token | None = None  # awaited: what it said in earlier conversations
    called: bool = False  # it called while we waited for that
    clock: dict[LogId, int] = field(default_factory=dict)  # what it said earlier
    exchanges: dict[LogId, Exchange] = field(default_factory=dict)
    refused: set[LogId] = field(default_factory=set)
    progress_at: float = 0.0  # when it last was asked, or brought what we lacked
    rests: dict[LogId, float] = field(default_factory=dict)  # not asked again before that time
    muted: set[LogId] = field(default_factory=set)  # what it sends of these is not looked at
    missed: set[LogId] = field(default_factory=set)  # of these, a part was not kept
    probes: set[LogId] = field(default_factory=set)  # it was asked for the proof of a fork
    kept: Mapping[LogId, int] | None = None  # what was stored last
    heard: bool = False  # it has said something in this conversation

    def exchange(self, feed: LogId) -> Exchange:
        found = self.exchanges.get(feed)
        if found is None:
            found = self.exchanges[feed] = Exchange()
        return found

    def claims(self, feed: LogId) -> int:
        """The sequence that it has as far as it said; REFUSED where it does not take part."""
        exchange = self.exchanges.get(feed)
        if exchange is not None and exchange.theirs is not None:
            return exchange.theirs
        return self.clock.get(feed, 0) if self.clock else 0

    def takes(self, feed: LogId) -> bool:
        """Whether it said, in this conversation, how much of it it has."""
        exchange = self.exchanges.get(feed)
        return exchange is not None and exchange.theirs not in (None, REFUSED)

    def lacks_what_it_had(self, notes: Mapping[LogId, int]) -> bool:
        """By what it says now, compared with what it said earlier."""
        if not self.clock:
            return False
        heard = [(feed, sequence_of(notes[feed])) for feed in notes if feed in self.clock]
        return any(REFUSED < now < self.clock[feed] for feed, now in heard)

    def refuse(self, feed: LogId) -> bool:
        """Whether to say so: once, and to a bounded number of feeds."""
        if feed in self.refused or len(self.refused) == REFUSALS_MAX:
            return False
        self.refused.add(feed)
        return True

    def sequences(self, feeds: list[LogId]) -> dict[LogId, int]:
        """What is worth keeping of this conversation and the earlier ones."""
        known = {}
        for feed in feeds:
            exchange = self.exchanges.get(feed)
            theirs = exchange.theirs if exchange else self.clock.get(feed)
            if theirs is not None:
                known[feed] = min(theirs, SEQUENCE_MAX)
        return known
