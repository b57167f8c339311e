"""Notes that wait to be sent to one peer: of several about one blob the last one counts."""

from dataclasses import dataclass, field

from qbix_node.blobs.messages import Note
from qbix_node.wire.references import BlobId


@dataclass(slots=True)
class Outbox:
    notes_max: int
    _notes: dict[BlobId, Note] = field(default_factory=dict)

    def put(self, note: Note) -> bool:
        """False: it is full, the peer doesn't read."""
        if note.blob not in self._notes and len(self._notes) >= self.notes_max:
            return False
        self._notes[note.blob] = note
        return True

    def take(self) -> list[Note]:
        taken = list(self._notes.values())
        self._notes.clear()
        return taken
