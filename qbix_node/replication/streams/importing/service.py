"""Segments out of a file: they are judged as what peers send, one after the other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from qbix_node import machines as m
from qbix_node.errors import BadInput, Temporary
from qbix_node.ports import Rows
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
    """`post` takes events to the machine that has this book."""

    def __init__(
        self, rows: Rows, book: StreamBook, post: Callable[[m.Event], Awaitable[None]]
    ) -> None:
        self._rows = rows
        self._book = book
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

    async def take(self, segment: Segment) -> None:
        """From an export of a followed stream, after the same checks as what peers send; returns
        once it is durable. Raises LocalError.
        """
        self._compare(segment)
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
            stopped = self._book.stopped.get(segment.stream)
            reason = stopped or "it is followed no longer, or much of it comes from peers already"
            raise Temporary(f"{format_stream(segment.stream)} takes no entries now: {reason}")

    def _compare(self, segment: Segment) -> None:
        """With what is here of it. Raises BadInput."""
        stop = min(segment.stop, self._book.length(segment.stream))
        for entry in read_entries(self._rows, segment.stream, segment.first, stop):
            if entry.leaf != segment.leaves[entry.place - segment.first]:
                raise BadInput(
                    f"entry {entry.place} is another than the one that is here: one of both is"
                    " not the owners', or they forked the stream"
                )
