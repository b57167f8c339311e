"""What each peer last said it has, kept over restarts (spec/replication.md 4): what both are known
to have need not be announced again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.errors import DamagedStore, Malformed
from qbix_node.ports import Rows
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import FeedId

CLOCKS_MAX = 1000  # stored clocks; the one that is longest unchanged makes room
TRUSTED_S = 3600  # SPEC replication 4: an older clock is not relied on
_PREFIX = b"r/c"
_SCAN = 16  # records read at once: each may hold thousands of feeds
_FEED_BYTES = 32
_ENTRY_BYTES = _FEED_BYTES + 4
_DAMAGED = "the stored clock of a peer is damaged"


@dataclass(frozen=True, slots=True)
class StoredClock:
    saved_s: int  # seconds since 1970
    sequences: Mapping[FeedId, int]  # REFUSED for feeds that the peer does not replicate


def clock_key(peer: m.PeerId) -> bytes:
    return _PREFIX + peer


def pack_clock(clock: StoredClock) -> bytes:
    entries = [
        feed + sequence.to_bytes(4, "big", signed=True)
        for feed, sequence in clock.sequences.items()
    ]
    return pack([clock.saved_s, b"".join(entries)])


def unpack_clock(record: bytes) -> StoredClock:
    """Raises DamagedStore."""
    try:
        saved_s, entries = unpack(record, "stored clock")
    except (Malformed, ValueError, TypeError) as error:
        raise DamagedStore(_DAMAGED) from error
    if type(saved_s) is not int or type(entries) is not bytes or len(entries) % _ENTRY_BYTES:
        raise DamagedStore(_DAMAGED)
    starts = range(0, len(entries), _ENTRY_BYTES)
    rows = [entries[start : start + _ENTRY_BYTES] for start in starts]
    return StoredClock(
        saved_s,
        {
            FeedId(row[:_FEED_BYTES]): int.from_bytes(row[_FEED_BYTES:], "big", signed=True)
            for row in rows
        },
    )


def read_clock_ages(rows: Rows) -> dict[m.PeerId, int]:
    """When each clock was stored, oldest first."""
    ages: dict[m.PeerId, int] = {}
    start = _PREFIX
    while found := rows.scan(start, _PREFIX + b"\xff" * 33, limit=_SCAN):
        ages |= {m.PeerId(key[3:]): unpack_clock(record).saved_s for key, record in found}
        start = found[-1][0] + b"\0"
    return dict(sorted(ages.items(), key=lambda age: age[1]))


def has_clocks(rows: Rows) -> bool:
    """Whether any peer has ever said what it has."""
    return bool(rows.scan(_PREFIX, _PREFIX + b"\xff" * 33, limit=1))


@dataclass(slots=True)
class Clocks:
    """Which clocks are stored, and which of them may be relied on."""

    trusted_from_s: float  # what was stored before may not fit what this node holds
    ages: dict[m.PeerId, int] = field(default_factory=dict)  # oldest first
    fresh: set[m.PeerId] = field(default_factory=set)  # stored since the start

    def keep(self, peer: m.PeerId, sequences: Mapping[FeedId, int], now_s: float) -> list[m.Write]:
        self.ages.pop(peer, None)
        self.ages[peer] = int(now_s)
        self.fresh.add(peer)
        writes: list[m.Write] = [
            m.Put(clock_key(peer), pack_clock(StoredClock(int(now_s), sequences)))
        ]
        if len(self.ages) > CLOCKS_MAX:
            oldest = next(iter(self.ages))
            del self.ages[oldest]
            self.fresh.discard(oldest)
            writes.append(m.Delete(clock_key(oldest)))
        return writes

    def forget(self, peer: m.PeerId) -> list[m.Write]:
        self.fresh.discard(peer)
        return [m.Delete(clock_key(peer))] if self.ages.pop(peer, None) is not None else []

    def relied_on(self, record: bytes | None, now_s: float) -> Mapping[FeedId, int]:
        """The sequences of a stored clock, or nothing where it says too little about today."""
        if record is None:
            return {}
        clock = unpack_clock(record)
        age_s = now_s - clock.saved_s
        trusted = clock.saved_s >= self.trusted_from_s and -1 <= age_s <= TRUSTED_S
        return clock.sequences if trusted else {}
