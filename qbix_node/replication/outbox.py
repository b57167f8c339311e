"""What waits to be sent to one peer in one conversation: notes first, then a part of each feed in
turn (SPEC replication 7). Bounded by the feeds that it is about: newer words replace older ones.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic

from qbix_node.replication.messages import REFUSED, EbtNotes, LogId, Range, Stop

NOTES_MAX = 4096  # in one packet: some 280 kB of JSON
MESSAGES_MAX = 64  # read and sent at a time, so that feeds and peers take turns


@dataclass(slots=True)
class Outbox(Generic[LogId]):
    """`most`: messages, or entries, that are taken at a time."""

    most: int = MESSAGES_MAX
    _notes: deque[EbtNotes[LogId]] = field(default_factory=deque)  # an empty set is said, too
    _ranges: dict[LogId, Range[LogId]] = field(
        default_factory=dict
    )  # whose turn is next comes first
    _sent: dict[LogId, int] = field(default_factory=dict)  # the highest sequence taken

    @property
    def empty(self) -> bool:
        return not self._notes and not self._ranges

    def put(self, message: EbtNotes[LogId] | Range[LogId] | Stop[LogId]) -> None:
        match message:
            case EbtNotes(notes):
                self._put_notes(notes)
            case Range(feed, again=True):
                self._ranges.setdefault(feed, message)  # unless it is being served anyway
            case Range(feed, first, last):
                waiting = self._ranges.get(feed)
                if waiting and waiting.last + 1 == first:
                    first = waiting.first
                else:
                    first = max(first, self._sent.get(feed, 0) + 1)
                if first <= last:
                    self._ranges[feed] = Range(feed, first, last)
            case Stop(feed, forget=forget):
                self._ranges.pop(feed, None)
                if forget:
                    self._sent.pop(feed, None)

    def _put_notes(self, notes: Mapping[LogId, int]) -> None:
        last = self._notes[-1].notes if self._notes else {}
        # SPEC replication 2.2: REFUSED is said before what follows it, as it ends what was.
        ended = any(last.get(feed) == REFUSED != note for feed, note in notes.items())
        if self._notes and not ended:
            self._notes[-1] = EbtNotes({**last, **notes})
        else:
            self._notes.append(EbtNotes(notes))

    def take(self) -> EbtNotes[LogId] | Range[LogId] | None:
        """What to send next; at most NOTES_MAX notes or `most` messages of it."""
        if self._notes:
            said = self._notes.popleft()
            if len(said.notes) <= NOTES_MAX:
                return said
            notes = said.notes.items()
            self._notes.appendleft(EbtNotes(dict(islice(notes, NOTES_MAX, None))))
            return EbtNotes(dict(islice(notes, NOTES_MAX)))
        if not self._ranges:
            return None
        waiting = self._ranges.pop(next(iter(self._ranges)))
        feed, first = waiting.feed, waiting.first
        last = min(first + self.most - 1, waiting.last)
        if last < waiting.last:
            self._ranges[feed] = Range(feed, last + 1, waiting.last)
        self._sent[feed] = max(last, self._sent.get(feed, 0))
        return Range(feed, first, last)
