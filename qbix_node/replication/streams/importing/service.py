"""Segments out of a file: they are judged as what peers send, one after the other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from qbix_node import machines as m
from qbix_node.errors import BadInput, Temporary
from qbix_node.ports import Rows
from qbix_node.replication.streams.files import require_same
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.messages import OfferedSegment, Segment, SegmentRefused, SegmentSettled
from qbix_node.streams.serving import read_entries
from qbix_node.wire.references import format_stream


@dataclass(slots=True)
class _Work:
    """A segment, until it is dealt with."""

    settled: trio.Event = field(default_factory=trio.Event)
    refusal: str | None = None


class Importing:
    """`post` takes events to the machine that has this book. `fill` keeps contents of a segment
    that are missing up to this length, and says how many.
    """

    def __init__(
        self,
        rows: Rows,
        book: StreamBook,
        fill: Callable[[Segment, int], Awaitable[int]],
        post: Callable[[m.Event], Awaitable[None]],
    ) -> None:
        self._rows = rows
        self._book = book
        self._fill = fill
        self._post = post
        self._turn = trio.Lock()
        self._work = _Work()
        self._work.settled.set()

    def hear(self, finding: SegmentSettled | SegmentRefused) -> None:
        """About a segment from a file."""
        match finding:
            case SegmentSettled():
                self._work.settled.set()
            case SegmentRefused(reason=reason):
                self._work.refusal = reason

    async def take(self, segment: Segment) -> int:
        """From an export of a followed stream, after the same checks as what peers send; returns
        once it is durable, with how many contents were missing here. Raises LocalError.
        """
        self._compare(segment)
        filled = await self._fill(segment, self._book.length(segment.stream))
        async with self._turn:
            await self._work.settled.wait()  # of one that was given up
            work = self._work = _Work()
            try:
                await self._post(m.Requested(OfferedSegment(segment)))
            except trio.Cancelled:
                work.settled.set()
                raise
            await work.settled.wait()
        if work.refusal is not None:
            raise BadInput(work.refusal)
        if self._book.length(segment.stream) < segment.stop:
            reason = self._why_not_taken(segment)
            raise Temporary(f"{format_stream(segment.stream)} takes no entries now: {reason}")
        self._compare(segment)  # others may have come from peers meanwhile
        return filled

    def _compare(self, segment: Segment) -> None:
        """With what is here of it. Raises OtherHistory."""
        stop = min(segment.stop, self._book.length(segment.stream))
        require_same(segment, read_entries(self._rows, segment.stream, segment.first, stop))

    def _why_not_taken(self, segment: Segment) -> str:
        stream, chosen = segment.stream, self._book.resolutions.get(segment.stream)
        if reason := self._book.stopped.get(stream):
            return reason
        if chosen is not None and segment.signed_head != chosen.chosen_head:
            return "its owners chose a branch after a fork, of which this file does not know"
        return "it is followed no longer, or much of it comes from peers already"
