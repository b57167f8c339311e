"""Which contents of a run are missing, and what is to be done about it (spec/streams.md 11).

A record a run, and none where nothing is missing. Contents above 64 KiB are blobs, and no matter
of this.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.ports import Delete, Put, Rows, Write
from qbix_node.streams.messages import CONTENT_BYTES_MAX, ENTRIES_MAX, read_header
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId, format_stream

LACKING = b"s/m"
LATE = b"s/d"  # contents that came after their entries


def place_key(prefix: bytes, stream: StreamId, place: int) -> bytes:
    return prefix + stream + place.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Lacking:
    """Places in the log, ascending. `plain`: fetched where the stream is followed whole; `dropped`:
    not fetched by itself; `asked`: fetched in any case.
    """

    first: int  # of the run
    plain: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()

    @property
    def every(self) -> frozenset[int]:
        return frozenset((*self.plain, *self.dropped, *self.asked))

    def filled(self, places: Collection[int]) -> "Lacking":
        """These are missing no longer."""
        kept = [
            tuple([place for place in each if place not in places])
            for each in (self.plain, self.dropped, self.asked)
        ]
        return Lacking(self.first, *kept)

    def with_dropped(self, places: Collection[int]) -> "Lacking":
        rest = self.filled(places)
        dropped = tuple(sorted({*rest.dropped, *places}))
        return Lacking(self.first, rest.plain, dropped, rest.asked)

    def with_asked(self, places: Collection[int]) -> "Lacking":
        rest = self.filled(places)
        return Lacking(self.first, rest.plain, rest.dropped, tuple(sorted({*rest.asked, *places})))

    def write(self, stream: StreamId) -> Write:
        key = place_key(LACKING, stream, self.first)
        if not self.every:
            return Delete(key)
        offsets = [
            tuple([place - self.first for place in each])
            for each in (self.plain, self.dropped, self.asked)
        ]
        return Put(key, pack(tuple(offsets)))


def lacking_of(first: int, leaves: Sequence[bytes], contents: Sequence[bytes | None]) -> Lacking:
    """Of a run that has just come; the genesis is its own content."""
    plain = [
        place
        for place, (leaf, content) in enumerate(zip(leaves, contents, strict=True), first)
        if content is None and place > 0 and read_header(leaf).content_size <= CONTENT_BYTES_MAX
    ]
    return Lacking(first, tuple(plain))


def read_lacking(rows: Rows, stream: StreamId, first: int) -> Lacking:
    """Of the run that begins there. Raises DamagedStore, as those below do."""
    key = place_key(LACKING, stream, first)
    record = rows.get(key)
    return Lacking(first) if record is None else _lacking(stream, key, record)


def scan_lacking(
    rows: Rows, stream: StreamId, start: int, stop: int, limit: int, *, reverse: bool = False
) -> list[Lacking]:
    """Of runs that begin from `start` to before `stop`."""
    keys = place_key(LACKING, stream, start), place_key(LACKING, stream, stop)
    found = rows.scan(*keys, limit=limit, reverse=reverse)
    return [_lacking(stream, key, record) for key, record in found]


def _lacking(stream: StreamId, key: bytes, record: bytes) -> Lacking:
    first = int.from_bytes(key[-4:], "big")
    try:
        row = fields.array(unpack(record, "missing contents"), "missing contents", size=3)
        places = [
            tuple(
                [
                    first + fields.number(offset, "missing contents", 0, ENTRIES_MAX - 1)
                    for offset in fields.array(each, "missing contents", most=ENTRIES_MAX)
                ]
            )
            for each in row
        ]
    except Malformed as error:
        raise DamagedStore(f"missing contents of {format_stream(stream)}: {error}") from error
    return Lacking(first, *places)
