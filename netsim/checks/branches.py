"""What the disks of honest nodes were seen to hold of each stream: the memory of the checks.

A log is looked at when a node says that it has grown, and all of them at every start and in the
end. Rows are read as spec/streams.md 11 lays them out, not with the product's own readers. All
branches of a stream together are one tree of places: a log is told by the place where it ends.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from netsim import facts
from qbix_node.ports import Rows
from qbix_node.streams.messages import Grown
from qbix_node.streams.switching import LogDropped
from qbix_node.wire.packing import unpack
from qbix_node.wire.references import StreamId

_LOG, _LEAVES = b"s/l", b"s/e"
_ALL = 1 << 30


@dataclass(eq=False, slots=True)
class Place:
    """A leaf of a stream, with all before it. `peaks`: of the tree up to it (spec/streams.md 4)."""

    before: "Place | None"
    length: int
    leaf: bytes
    peaks: tuple[bytes, ...]
    after: dict[bytes, "Place"] = field(default_factory=dict)

    @property
    def root(self) -> bytes:
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = sha256(b"\1" + peak + root).digest()
        return root

    @property
    def author(self) -> bytes:
        """Of a header (spec/streams.md 2)."""
        return self._field(3)

    @property
    def content_hash(self) -> bytes:
        return self._field(10)

    def _field(self, place: int) -> bytes:
        row = unpack(self.leaf, "header")
        assert isinstance(row, tuple)
        field: bytes = row[place]
        return field

    def at(self, length: int) -> "Place":
        """The same log when it had that length."""
        place = self
        while place.length > length and place.before is not None:
            place = place.before
        return place


@dataclass(frozen=True, slots=True)
class ShownLog:
    """The record of a log: `signed` is its Head, which covers it; `frontier` leads there."""

    length: int
    peaks: tuple[bytes, ...]
    signed: tuple[object, ...]
    frontier: tuple[bytes, ...]

    @property
    def head(self) -> tuple[int, bytes]:
        """Length and root."""
        body: object = self.signed[0]
        assert isinstance(body, tuple)
        return body[2], body[3]

    @property
    def signatures(self) -> tuple[object, ...]:
        given: object = self.signed[1]
        assert isinstance(given, tuple)
        return given


@dataclass(frozen=True, slots=True)
class NewPlace:
    """Seen for the first time, at whichever node."""

    stream: StreamId
    place: Place


@dataclass(frozen=True, slots=True)
class NowAt:
    """A log of this node ends here now; `log` is its record."""

    stream: StreamId
    place: Place
    log: ShownLog


@dataclass(frozen=True, slots=True)
class Odd:
    """The disk holds something else of a stream than it should. `kind`: which check it is for."""

    kind: str
    stream: StreamId
    how: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The node says that it gives up its log, which ended there: another branch was chosen. It may
    be there again after a crash.
    """

    stream: StreamId
    place: Place | None


CHANGED, UNDURABLE, LOST, UNEVEN = "changed", "undurable", "lost", "uneven"

Seen = NewPlace | NowAt | Odd | Dropped


class Branches:
    def __init__(self, disks: Mapping[int, Rows]) -> None:
        self._disks = disks
        self._first: dict[StreamId, dict[bytes, Place]] = {}
        self._ends: dict[int, dict[StreamId, Place]] = {}
        self._put_back: set[int] = set()  # rolled back, and not looked at since

    def end(self, node: int, stream: StreamId) -> Place | None:
        return self._ends.get(node, {}).get(stream)

    def length(self, node: int, stream: StreamId) -> int:
        place = self.end(node, stream)
        return place.length if place else 0

    def record(self, node: int, stream: StreamId) -> ShownLog | None:
        record = self._disks[node].get(_LOG + stream)
        if record is None:
            return None
        row = unpack(record, "log")
        assert isinstance(row, tuple)
        length, peaks, signed, frontier = row[:4]
        return ShownLog(length, peaks, signed, frontier)

    def streams_of(self, node: int) -> Mapping[StreamId, Place]:
        return self._ends.get(node, {})

    def handle(self, node: int, fact: object) -> Iterator[Seen]:
        match fact:
            case Grown(stream, first, stop):
                yield from self._grown(node, stream, first, stop)
            case LogDropped(stream):
                yield Dropped(stream, self._ends.get(node, {}).pop(stream, None))
            case facts.RolledBack():
                self._put_back.add(node)
            case facts.Started():
                yield from self.look(node)
            case _:
                pass

    def _grown(self, node: int, stream: StreamId, first: int, stop: int) -> Iterator[Seen]:
        end, log = self.end(node, stream), self.record(node, stream)
        here = end.length if end else 0
        if log is None or log.length < stop:
            yield Odd(UNDURABLE, stream, f"length {stop} is not on the disk")
        elif first > here:
            yield Odd(CHANGED, stream, f"there is a gap after {here}")
        else:
            yield from self._read(node, stream, end.at(first) if end else None, log)

    def _read(
        self, node: int, stream: StreamId, before: Place | None, log: ShownLog
    ) -> Iterator[Seen]:
        """The leaves after that place, as they are on the disk."""
        place, known = before, self.end(node, stream)
        if known is not None and log.length < known.length:
            yield Odd(CHANGED, stream, f"it had {known.length} leaves, and says {log.length}")
        first = before.length if before else 0
        for leaf in self._leaves(node, stream, first):
            place, new = self._put(stream, place, leaf)
            if new:
                yield NewPlace(stream, place)
        length = place.length if place else 0
        if place is None or length != log.length:
            yield Odd(UNEVEN, stream, f"it says to have {log.length} leaves, and has {length}")
            return
        if known is not None and place.at(known.length) is not known.at(length):
            yield Odd(CHANGED, stream, f"another branch stands in the place of {known.length}")
        self._ends.setdefault(node, {})[stream] = place
        yield NowAt(stream, place, log)

    def _leaves(self, node: int, stream: StreamId, first: int) -> Iterator[bytes]:
        prefix, rows = _LEAVES + stream, self._disks[node]
        # A run may begin before, if it came in one piece with what was there.
        begin = prefix + first.to_bytes(4, "big")
        if earlier := rows.scan(prefix, begin, limit=1, reverse=True):
            begin = earlier[0][0]
        for key, record in rows.scan(begin, prefix + b"\xff" * 5, limit=_ALL):
            run, start = unpack(record, "run"), int.from_bytes(key[-4:], "big")
            assert isinstance(run, tuple)
            yield from run[0][max(0, first - start) :]

    def _put(self, stream: StreamId, before: Place | None, leaf: bytes) -> tuple[Place, bool]:
        after = before.after if before else self._first.setdefault(stream, {})
        if leaf in after:
            return after[leaf], False
        length = before.length if before else 0
        peaks = [*before.peaks] if before else []
        root = sha256(b"\0" + leaf).digest()
        while length & 1:
            root, length = sha256(b"\1" + peaks.pop() + root).digest(), length >> 1
        number = before.length + 1 if before else 1
        place = after[leaf] = Place(before, number, leaf, (*peaks, root))
        return place, True

    def look(self, node: int) -> Iterator[Seen]:
        """At all that is on the disk of this node."""
        rows = self._disks[node]
        found = [StreamId(key[len(_LOG) :]) for key, _ in rows.scan(_LOG, b"s/m", limit=_ALL)]
        ends = self._ends.setdefault(node, {})
        for stream in dict.fromkeys([*found, *ends]):
            if node in self._put_back:
                ends.pop(stream, None)  # it may even be on another branch
            known, log = ends.get(stream), self.record(node, stream)
            if known is not None and (log is None or log.length < known.length):
                length = log.length if log else 0
                yield Odd(LOST, stream, f"it ends at {length} after the start")
                del ends[stream]
            if log is not None:
                yield from self._read(node, stream, None, log)
        self._put_back.discard(node)
