"""Segments made from what is stored (spec/streams.md 8): a run of a log, under its newest Head, or
up to a change of owners under the one that ends with it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.ports import Rows
from qbix_node.streams.messages import ENTRIES_MAX, SEGMENT_BYTES_MAX, Segment, read_header
from qbix_node.streams.records import (
    LogState,
    StoredNodes,
    read_change,
    read_contents,
    read_head_at,
    read_runs,
)
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.succession import OWNERS_SET
from qbix_node.streams.tree import (
    Hash,
    Prefix,
    bag,
    cut_of,
    frontier_of,
    known_prefixes,
    node_hash,
    peaks_of,
    prefix_of,
)
from qbix_node.wire.references import StreamId, format_stream

OVERHEAD_BYTES = 16 * 1024  # of a segment beside its entries: Head, frontier, lengths; generously
CONTENT_FIELD_BYTES = 5  # at most, before a content or a leaf


@dataclass(frozen=True, slots=True)
class Entry:
    place: int
    leaf: bytes
    content: bytes | None


def read_entries(
    rows: Rows, stream: StreamId, first: int, stop: int, *, bare: bool = False
) -> Iterator[Entry]:
    """Those that are here, from `first` to before `stop`. `bare`: without contents."""
    for run in read_runs(rows, stream, first, stop):
        nothing = (None,) * len(run.leaves)
        contents = nothing if bare else read_contents(rows, stream, run)
        for place, entry in enumerate(zip(run.leaves, contents, strict=True), run.first):
            if first <= place < stop:
                yield Entry(place, *entry)


@dataclass(slots=True)
class CoveredNodes:
    """The tree of a log as far as it is here, and its right edge under the Head that covers it.

    Implements tree.Nodes, for totals up to the length here and for that of the Head.
    """

    rows: Rows
    state: LogState
    _stored: StoredNodes = field(init=False)
    _edge: dict[tuple[int, int], Hash] | None = None

    def __post_init__(self) -> None:
        self._stored = StoredNodes(self.rows, self.state.signed.head.stream)

    def node(self, level: int, index: int) -> Hash:
        return self._stored.node(level, index)

    def cut(self, level: int, index: int, total: int) -> Hash:
        if min((index + 1) << level, total) <= self.state.length:
            return cut_of(self._stored, level, index, total)
        if self._edge is None:
            self._edge = _beyond(self.state)
        return self._edge[level, index]

    def peaks(self, length: int) -> tuple[Hash, ...]:
        """Of the first leaves, all of which are here."""
        return peaks_of(self._stored, length)

    def root(self, length: int) -> Hash | None:
        """Of the first leaves; None: it is not known here."""
        if length <= self.state.length:
            return bag(self.peaks(length))
        prefix = self.prefix(length)
        return prefix.root(self.state.signed.head.root) if prefix else None

    def prefix(self, length: int) -> Prefix | None:
        """The first leaves under the Head; None: they are not known here."""
        total = self.state.signed.head.length
        if length <= self.state.length:
            return prefix_of(self, length, total)
        beyond = known_prefixes(self.state.prefix, total)
        return next((prefix for prefix in beyond if prefix.length == length), None)


def make_segments(
    rows: Rows,
    state: LogState,
    first: int,
    stop: int,
    *,
    entries_max: int = ENTRIES_MAX,
    bare: bool = False,
    resolution: Resolution | None = None,
) -> list[Segment]:
    """The entries from `first` to before `stop`, in as few segments as hold them. `bare`: without
    contents, but for those that are never left out. `resolution`: that of the stream, if its owners
    chose a branch.
    """
    segments, stop = list[Segment](), min(stop, state.length)
    stream = state.signed.head.stream
    while first < stop:
        change = read_change(rows, stream, first)
        covered = _covered(rows, state, first, change, resolution)
        end, nodes = min(stop, covered.length), CoveredNodes(rows, covered)
        entries = read_entries(rows, stream, first, end, bare=bare)
        if bare and end - 1 == change:
            entries = _with_last(entries, read_entries(rows, stream, change, end))
        segments += _under_one_head(nodes, entries, entries_max)
        first = end
    return segments


def _covered(
    rows: Rows, state: LogState, first: int, change: int | None, resolution: Resolution | None
) -> LogState:
    """The log as far as the entries from `first` on are shown under one Head. `change`: where the
    owners change next.
    """
    if resolution is not None and first < resolution.fork_length <= state.length:
        # SPEC streams 6.1: up to there nothing but the chosen Head shows which branch this is.
        nodes = StoredNodes(rows, resolution.stream)
        return resolution.log(peaks_of(nodes, resolution.fork_length))
    # SPEC streams 7: no segment goes past an `owners.set`; those before it sign up to there.
    return state if change is None else _up_to(rows, state, change + 1)


def _with_last(entries: Iterable[Entry], last: Iterable[Entry]) -> Iterator[Entry]:
    [kept] = last
    yield from [entry for entry in entries if entry.place < kept.place]
    yield kept


def stripped(segment: Segment) -> Segment:
    """The same without contents, but for that of a change of owners, which its last entry is."""
    kept = segment.contents[-1] if _is_change(segment.leaves[-1]) else None
    contents = (*[None] * (len(segment.leaves) - 1), kept)
    return replace(segment, contents=contents)


def _is_change(leaf: bytes) -> bool:
    try:
        return read_header(leaf).kind == OWNERS_SET
    except Malformed:
        return False  # the genesis, or what will be refused


def _up_to(rows: Rows, state: LogState, length: int) -> LogState:
    """The log as it was when its owners changed."""
    stream = state.signed.head.stream
    signed = read_head_at(rows, stream, length)
    if signed is None:
        raise DamagedStore(f"{format_stream(stream)} has no Head over the change at {length - 1}")
    peaks = peaks_of(StoredNodes(rows, stream), length)
    return replace(state, length=length, peaks=peaks, signed=signed, frontier=())


def _under_one_head(
    nodes: CoveredNodes, entries: Iterable[Entry], entries_max: int
) -> Iterator[Segment]:
    part, size = list[Entry](), 0
    for entry in entries:
        more = len(entry.leaf) + len(entry.content or b"") + 2 * CONTENT_FIELD_BYTES
        full = size + more > SEGMENT_BYTES_MAX - OVERHEAD_BYTES or len(part) == entries_max
        if part and full:
            yield _segment(nodes, part)
            part, size = [], 0
        part.append(entry)
        size += more
    if part:
        yield _segment(nodes, part)


def _segment(nodes: CoveredNodes, part: list[Entry]) -> Segment:
    signed, stop = nodes.state.signed, part[-1].place + 1
    leaves = tuple([entry.leaf for entry in part])
    contents = tuple([entry.content for entry in part])
    # Most segments that are sent end with the log.
    here = stop == nodes.state.length
    frontier = nodes.state.frontier if here else frontier_of(nodes, stop, signed.head.length)
    return Segment(signed.head.stream, part[0].place, leaves, contents, signed, frontier)


def _beyond(state: LogState) -> dict[tuple[int, int], Hash]:
    """The subtrees on the way from the last leaf here to the Head's root, and their siblings."""
    length, total = state.length, state.signed.head.length
    height = (length & -length).bit_length() - 1
    here, last = (length - 1) >> height, (total - 1) >> height
    peaks, frontier = [*state.peaks], [*reversed(state.frontier)]
    root = peaks.pop()
    found = {(height, here): root}
    while last:
        if here & 1:
            root = node_hash(peaks.pop(), root)
        elif here < last:
            sibling = frontier.pop()
            found[height, here + 1] = sibling
            root = node_hash(root, sibling)
        here, last, height = here >> 1, last >> 1, height + 1
        found[height, here] = root
    return found
