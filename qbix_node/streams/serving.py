"""Segments made from what is stored (spec/streams.md 8): a run of a log, under its newest Head."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from qbix_node.ports import Rows
from qbix_node.streams.messages import ENTRIES_MAX, SEGMENT_BYTES_MAX, Segment
from qbix_node.streams.records import LogState, StoredNodes, read_contents, read_runs
from qbix_node.streams.tree import Hash, frontier_of, node_hash
from qbix_node.wire.references import StreamId

OVERHEAD_BYTES = 16 * 1024  # of a segment beside its entries: Head, frontier, lengths; generously
CONTENT_FIELD_BYTES = 5  # at most, before a content or a leaf


@dataclass(frozen=True, slots=True)
class Entry:
    place: int
    leaf: bytes
    content: bytes | None


def read_entries(rows: Rows, stream: StreamId, first: int, stop: int) -> Iterator[Entry]:
    """Those that are here, from `first` to before `stop`."""
    for run in read_runs(rows, stream, first, stop):
        contents = read_contents(rows, stream, run)
        for place, entry in enumerate(zip(run.leaves, contents, strict=True), run.first):
            if first <= place < stop:
                yield Entry(place, *entry)


def make_segments(
    rows: Rows, state: LogState, first: int, stop: int, *, entries_max: int = ENTRIES_MAX
) -> list[Segment]:
    """The entries from `first` to before `stop`, in as few segments as hold them."""
    tree = _CoveredLog(rows, state)
    segments, part, size = [], list[Entry](), 0
    for entry in read_entries(rows, state.signed.head.stream, first, min(stop, state.length)):
        more = len(entry.leaf) + len(entry.content or b"") + 2 * CONTENT_FIELD_BYTES
        full = size + more > SEGMENT_BYTES_MAX - OVERHEAD_BYTES or len(part) == entries_max
        if part and full:
            segments.append(tree.segment(part))
            part, size = [], 0
        part.append(entry)
        size += more
    if part:
        segments.append(tree.segment(part))
    return segments


@dataclass(slots=True)
class _CoveredLog:
    """A log as far as it is here, with the frontier from there to the Head that covers it."""

    rows: Rows
    state: LogState
    _nodes: StoredNodes = field(init=False)

    def __post_init__(self) -> None:
        self._nodes = StoredNodes(self.rows, self.state.signed.head.stream)

    def segment(self, part: list[Entry]) -> Segment:
        stream, signed = self.state.signed.head.stream, self.state.signed
        leaves = tuple([entry.leaf for entry in part])
        contents = tuple([entry.content for entry in part])
        frontier = self.frontier(part[-1].place + 1)
        return Segment(stream, part[0].place, leaves, contents, signed, frontier)

    def frontier(self, length: int) -> tuple[Hash, ...]:
        """From `length`, which is here, to the Head's root."""
        state, total = self.state, self.state.signed.head.length
        if length == state.length or not state.frontier:
            return (
                state.frontier
                if length == state.length
                else frontier_of(self._nodes, length, total)
            )
        beyond = _beyond(state)
        found = []
        height = (length & -length).bit_length() - 1
        here, last = (length - 1) >> height, (total - 1) >> height
        while last:
            if not here & 1 and here < last:
                found.append(self._root(height, here + 1, beyond))
            here, last, height = here >> 1, last >> 1, height + 1
        return tuple(found)

    def _root(self, level: int, index: int, beyond: dict[tuple[int, int], Hash]) -> Hash:
        """Of a subtree that may reach past what is here, where the frontier says what it is."""
        if (index + 1) << level <= self.state.length:
            return self._nodes.node(level, index)
        return beyond[level, index]


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
