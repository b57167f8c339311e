"""What waits to be sent to one peer: notes first, then a part of each feed in turn
(SPEC replication 7). Bounded by the feeds that it is about: newer words replace older ones.
"""

from dataclasses import dataclass, field
from itertools import islice

from qbix_node.replication.messages import EbtNotes, Range, Stop
from qbix_node.wire.references import FeedId

NOTES_MAX = 4096  # in one packet: some 280 kB of JSON
MESSAGES_MAX = 64  # read and sent at a time, so that feeds and peers take turns


@dataclass(slots=True)
class Outbox:
    _notes: dict[FeedId, int] | None = None  # an empty set of notes is to be sent, too
    _ranges: dict[FeedId, Range] = field(default_factory=dict)  # whose turn is next comes first

    def put(self, message: EbtNotes | Range | Stop) -> None:
        match message:
            case EbtNotes(notes):
                self._notes = {**(self._notes or {}), **notes}
            case Range(feed, first, last):
                waiting = self._ranges.get(feed)
                if waiting and waiting.last + 1 == first:
                    first = waiting.first
                self._ranges[feed] = Range(feed, first, last)
            case Stop(feed):
                self._ranges.pop(feed, None)

    def take(self) -> EbtNotes | Range | None:
        """What to send next; at most NOTES_MAX notes or MESSAGES_MAX messages of it."""
        if self._notes is not None:
            notes = dict(islice(self._notes.items(), NOTES_MAX))
            rest = dict(islice(self._notes.items(), NOTES_MAX, None))
            self._notes = rest or None
            return EbtNotes(notes)
        if not self._ranges:
            return None
        waiting = self._ranges.pop(next(iter(self._ranges)))
        end = waiting.first + MESSAGES_MAX
        if end > waiting.last:
            return waiting
        self._ranges[waiting.feed] = Range(waiting.feed, end, waiting.last)
        return Range(waiting.feed, waiting.first, end - 1)
