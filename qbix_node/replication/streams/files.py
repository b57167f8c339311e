"""The segments of the file to which a stream is exported (spec/streams.md 9), and comes from."""

from collections.abc import Callable, Iterable, Iterator

from qbix_node.errors import BadInput, Temporary
from qbix_node.ports import Rows
from qbix_node.streams.archive import OPENING, frame
from qbix_node.streams.messages import Segment
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.serving import Entry, make_segments
from qbix_node.wire.references import format_stream

EXPORT_ENTRIES = 256  # read at a time


def export(
    rows: Rows, state: LogState, resolution: Resolution | None, drops: Callable[[], int]
) -> Iterator[bytes]:
    """In pieces, between which others have their turn; `drops` says how often the log was dropped
    so far. Raises Temporary if that happens meanwhile.
    """
    yield OPENING
    before = drops()
    for first in range(0, state.length, EXPORT_ENTRIES):
        if drops() != before:
            raise Temporary(
                f"{format_stream(state.signed.head.stream)} moved to the branch that its owners"
                " chose in the midst of its export",
                hint="export it again",
            )
        stop = min(first + EXPORT_ENTRIES, state.length)
        for segment in make_segments(rows, state, first, stop, resolution=resolution):
            yield frame(segment.encoded)


class OtherHistory(BadInput):
    """A file has other entries than those that are here."""


def require_same(segment: Segment, here: Iterable[Entry]) -> None:
    """`here`: the entries in its places. Raises OtherHistory."""
    for entry in here:
        if entry.leaf != segment.leaves[entry.place - segment.first]:
            raise OtherHistory(
                f"entry {entry.place} is another than the one that is here: one of both is not the"
                " owners', or they forked the stream"
            )
