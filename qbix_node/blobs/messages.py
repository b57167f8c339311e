"""What peers tell each other about blobs, what the machine is asked, and what it finds."""

from dataclasses import dataclass
from enum import Enum, auto

from qbix_node.crypto.boxes import sha256
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire.references import BlobId, format_blob, parse_blob
from qbix_node.wire.v8json import JsonValue

EMPTY = BlobId(sha256())

# ---- notes: what travels on blobs.createWants ----


@dataclass(frozen=True, slots=True)
class Want:
    """`hops`: 1 the sender wants it itself, 2 somebody told the sender so, 3 and so on."""

    blob: BlobId
    hops: int


@dataclass(frozen=True, slots=True)
class Have:
    blob: BlobId
    size: int


Note = Want | Have


@dataclass(frozen=True, slots=True)
class Listening:
    """The peer asked for our notes: from now on they reach it."""


# ---- one fetch: each Get is answered by exactly one Got or Failed, soon after a Cancel ----


@dataclass(frozen=True, slots=True)
class Get:
    number: int
    blob: BlobId
    size: int  # as announced: more bytes are refused


@dataclass(frozen=True, slots=True)
class Cancel:
    number: int


@dataclass(frozen=True, slots=True)
class Progress:
    number: int
    blob: BlobId


@dataclass(frozen=True, slots=True)
class Got:
    """The blob is whole, checked and durable."""

    number: int
    blob: BlobId
    size: int


class Failure(Enum):
    UNAVAILABLE = auto()  # refused, broken off or cancelled: perhaps later, perhaps elsewhere
    WRONG = auto()  # other bytes than asked for, or more than announced: the peer lies
    DISK = auto()  # no fault of the peer


@dataclass(frozen=True, slots=True)
class Failed:
    number: int
    blob: BlobId
    failure: Failure
    reason: str


# ---- requests of the node ----


@dataclass(frozen=True, slots=True)
class WantBlob:
    """Answered by Arrived, or by Wanted and some day Arrived, or by WantRefused."""

    blob: BlobId


@dataclass(frozen=True, slots=True)
class Unwant:
    """Answered by Unwanted, if it was wanted."""

    blob: BlobId


@dataclass(frozen=True, slots=True)
class Added:
    """The node's operator put a durable blob here; answered by Arrived."""

    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class Removed:
    """The file is gone; answered by Gone."""

    blob: BlobId


# ---- findings: answers to requests ----


@dataclass(frozen=True, slots=True)
class Wanted:
    """The want is durable: it outlives a restart."""

    blob: BlobId


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The want is withdrawn, durably."""

    blob: BlobId


@dataclass(frozen=True, slots=True)
class WantRefused:
    blob: BlobId
    reason: str


@dataclass(frozen=True, slots=True)
class Arrived:
    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class Gone:
    blob: BlobId


Answer = Wanted | Unwanted | WantRefused | Arrived | Gone

# ---- other findings ----


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A peer has what the operator wants, above the cap: it is not fetched."""

    peer: PeerId
    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class Unfetched:
    """A fetch failed; `failure` tells whose fault it is and whether it is tried again."""

    peer: PeerId
    blob: BlobId
    failure: Failure
    reason: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete this file, which only sympathy brought here, unless it arrived again meanwhile."""

    blob: BlobId


# ---- JSON ----


def read_notes(value: JsonValue) -> tuple[Note, ...]:
    """Raises Malformed. What is no blob id or no such number is passed over, as JS peers do."""
    if not isinstance(value, dict):
        raise Malformed("blobs.createWants: expected an object of blob ids and numbers")
    notes: list[Note] = []
    for name, number in value.items():
        if type(number) is not int or number == 0:
            continue
        try:
            blob = parse_blob(name)
        except Malformed:
            continue
        notes.append(Want(blob, -number) if number < 0 else Have(blob, number))
    return tuple(notes)


def note_json(note: Note) -> JsonValue:
    number = -note.hops if isinstance(note, Want) else note.size
    return {format_blob(note.blob): number}
