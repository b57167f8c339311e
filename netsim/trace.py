"""The trace of a run: one record for everything that happened, in order, and the hash over them.

A record is 30 bytes, little-endian: time (float64 seconds), kind (uint16), node, peer, subject
(uint32 each; NOBODY where there is none), value (uint64). See Kind for what they mean.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

NOBODY = 0xFFFFFFFF
VALUE_MAX = 2**64 - 1
RECORD = struct.Struct("<dHIIIQ")
FIELDS = ("at_s", "kind", "node", "peer", "subject", "value")
_FLUSH = 512  # records

# What a packet carried, by its place here. New names go to the end: traces keep the places. The
# trio driver sees sealed bytes only.
MESSAGE_NAMES = (
    *("bytes", "datagram", "handshake"),
    *("EbtCall", "EbtNotes", "EbtEnded", "Offered"),
    *("HistoryRequest", "HistoryPart", "HistoryEnded"),
    *("Listening", "Want", "Have", "BlobGet", "BlobCancel", "BlobBytes", "BlobEnd"),
    *("FormatCall", "StreamNotes", "StreamsEnded", "Segment", "HeadsCall", "HeadsEnded"),
    *("Heads", "Compare", "Continues", "Shorter", "Unknown", "Proofs"),
    *("WantContents", "Contents", "NoContents"),
    *("ContentChoice", "Resolve", "SequenceCall", "SequenceEnded"),
    *("Intent", "Placed", "Declined", "Propose", "Signature", "NotSigned"),
    *("Recall", "Votes", "Choice"),
)


class Kind(IntEnum):
    """subject and value stand in brackets; a subject is the number of a node unless said."""

    SENT = 1  # to the peer (MESSAGE_NAMES; size in bytes)
    DELIVERED = 2  # from the peer (as SENT)
    DROPPED = 3  # on its way to the peer (as SENT)
    LINK_UP = 4  # (1 if this node dialled)
    LINK_DOWN = 5
    STARTED = 6  # (; 1 if it had been stopped cleanly)
    STOPPED = 7
    CRASHED = 8  # (; batches lost)
    ROLLED_BACK = 9  # (; batches lost)
    DISK_FULL = 10
    ASKED = 11  # by its person (place in list(Do); number)
    PUBLISHED = 12  # durable and acknowledged (author; sequence)
    APPENDED = 13  # from the peer, or by itself (author; last sequence)
    REFUSED = 14  # something of the peer (author if known; sequence)
    FORK_FOUND = 15  # (author; sequence)
    BLOB_ARRIVED = 16  # (first 4 bytes of its id; size)
    BLOB_FAILED = 17  # from the peer (first 4 bytes; 1 unavailable, 2 wrong, 3 disk)
    FAULT_BEGAN = 18  # (place in the plan)
    FAULT_ENDED = 19  # (place in the plan)
    HEALED = 20
    MISDEED = 21  # of a byzantine role (about whom; sequence)
    FAILED = 22  # a bug of the node
    VIOLATED = 23  # a check
    FOUND = 24  # another finding of a machine (name_hash)
    STREAM_GREW = 25  # by what the peer sent, or by itself (owner; length)
    FORK_PROVEN = 26  # of a stream, as the peer showed or by itself (owner; length that is forked)


def name_hash(name: str) -> int:
    """Stands for the name of a finding's type in a record."""
    return crc32(name.encode())


class Record(NamedTuple):
    at_s: float
    kind: Kind
    node: int
    peer: int
    subject: int
    value: int


Row = tuple[float, int, int, int, int, int]  # the fields of a Record, in its order


class Trace:
    """Hashes the records; keeps them, too, if it is told to."""

    def __init__(self, *, keep: bool = False) -> None:
        self._flushed = 0
        self._hash = sha256()
        self._waiting: list[Row] = []
        self._kept: list[bytes] | None = [] if keep else None

    def add(self, row: Row) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= _FLUSH:
            self._flush()

    @property
    def count(self) -> int:
        return self._flushed + len(self._waiting)

    def hexdigest(self) -> str:
        self._flush()
        return self._hash.copy().hexdigest()

    def records(self) -> bytes:
        """All of them, if they were kept."""
        self._flush()
        return b"".join(self._kept or ())

    def _flush(self) -> None:
        pack = RECORD.pack
        block = b"".join([pack(*row) for row in self._waiting])
        self._flushed += len(self._waiting)
        self._waiting.clear()
        self._hash.update(block)
        if self._kept is not None:
            self._kept.append(block)


def unpack(records: bytes) -> Iterator[Record]:
    for at_s, kind, *rest in RECORD.iter_unpack(records):
        yield Record(at_s, Kind(kind), *rest)
