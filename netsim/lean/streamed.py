"""What is said and heard of streams on one link, as `qbix_node.replication.streams.remote` does it.

Segments cross as they are, without their bytes: what no honest node could read is no subject here.
"""

from collections import deque
from typing import assert_never

from netsim import messages as n
from netsim.lean.link import Link
from netsim.lean.runner import Runner
from qbix_node import machines as m
from qbix_node.ports import Rows
from qbix_node.replication.messages import EbtEnded, EbtNotes, Range, Stop
from qbix_node.replication.outbox import Outbox
from qbix_node.replication.streams.contents.messages import ContentChoice
from qbix_node.replication.streams.messages import Format, FormatCall
from qbix_node.replication.streams.remote.service import CALLS_MAX, UNSETTLED_MAX
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.messages import ENTRIES_MAX, OfferedSegment, Segment
from qbix_node.streams.serving import make_segments
from qbix_node.wire.references import StreamId

_Read = n.StreamNotes | n.StreamsEnded | OfferedSegment | ContentChoice


class StreamRemote:
    __slots__ = (
        "_bare",
        "_book",
        "_calls",
        "_choices",
        "_format",
        "_outbox",
        "_rows",
        "_runner",
        "_unread",
        "_unsettled",
        "link",
    )

    def __init__(self, link: Link, rows: Rows, book: StreamBook, runner: Runner) -> None:
        self.link = link
        self._rows = rows
        self._book = book
        self._runner = runner
        self._format: Format | None = None  # of the conversation, while there is one
        self._outbox = _outbox(Format.SEGMENTS)
        self._choices: dict[StreamId, bool] = {}  # of contents, not told yet
        self._bare: set[StreamId] = set()  # of which the peer wants none; never gone through
        self._calls = 0
        self._unsettled = 0
        self._unread: deque[_Read] = deque()

    # ---- the StreamReplicator's decisions ----

    def carry_out(self, message: object) -> None:
        match message:
            case EbtNotes() | Range() | Stop():
                self._outbox.put(message)
                self.link.ready(self)
            case ContentChoice(streams):
                self._choices.update(streams)
                self.link.ready(self)
            case FormatCall(format_):
                self._begin(format_)
                self.link.say(message)
            case _:
                raise AssertionError(f"nothing to send: {message}")

    def send_next(self) -> bool:
        if self._format is None:
            return False
        if self._choices:  # they come before the notes that they are about
            choices, self._choices = self._choices, {}
            self.link.say(ContentChoice(choices))
        match self._outbox.take():
            case EbtNotes(notes):
                self.link.say(n.StreamNotes(notes))
            case Range(log, first, last):
                self._send(log, first, last)
            case None:
                return False
            case other:
                assert_never(other)
        return not self._outbox.empty

    def _send(self, log: StreamId, first: int, last: int) -> None:
        state = self._book.logs.get(log)
        if state is None:
            return
        made = make_segments(
            self._rows,
            state,
            first - 1,
            last,
            entries_max=ENTRIES_MAX if self._format is Format.SEGMENTS else 1,
            bare=log in self._bare,
            resolution=self._book.resolutions.get(log),
        )
        for segment in made:
            self.link.say(OfferedSegment(segment), bytes_of(segment))

    def settle(self) -> None:
        self._unsettled = max(0, self._unsettled - 1)  # some may be of an earlier link
        while self._unread and self._unsettled < UNSETTLED_MAX:
            self._read(self._unread.popleft())

    # ---- what the peer says ----

    def hear(self, message: object) -> None:
        match message:
            case FormatCall(format_):
                self._called(format_)
            case n.StreamNotes() | n.StreamsEnded() | OfferedSegment() | ContentChoice():
                if self._unread or self._unsettled >= UNSETTLED_MAX:
                    self._unread.append(message)
                else:
                    self._read(message)
            case _:
                raise AssertionError(f"not about streams: {message}")

    def _called(self, format_: Format) -> None:
        self._calls += 1
        if self.link.outgoing:
            self.link.close("ebt.replicateFormat is called by the side that dialled")
        elif self._calls > CALLS_MAX:
            self.link.close(f"ebt.replicateFormat was called {CALLS_MAX} times")
        else:
            self._begin(format_)
            self._runner.post(m.Received(self.link.peer, FormatCall(format_)))

    def _begin(self, format_: Format) -> None:
        self._format = format_
        self._outbox, self._choices, self._bare = _outbox(format_), {}, set()
        self._unread.clear()  # it was of the conversation before

    def _read(self, message: _Read) -> None:
        peer = self.link.peer
        match message:
            case _ if self._format is None:
                pass  # of a conversation that is over
            case n.StreamNotes(notes):
                self._runner.post(m.Received(peer, EbtNotes(notes)))
            case ContentChoice(streams):
                for stream, wants in streams.items():
                    (self._bare.discard if wants else self._bare.add)(stream)
                self._runner.post(m.Received(peer, message))
            case n.StreamsEnded(reason):
                self._format = None
                self._runner.post(m.Received(peer, EbtEnded(reason)))
            case OfferedSegment():
                self._unsettled += 1
                self._runner.post(m.Received(peer, message))


def _outbox(format_: Format) -> Outbox[StreamId]:
    return Outbox(most=ENTRIES_MAX) if format_ is Format.SEGMENTS else Outbox()


def bytes_of(segment: Segment) -> int:
    """About, on the wire."""
    contents = sum([len(each) for each in segment.contents if each is not None])
    return contents + sum([3 + len(leaf) for leaf in segment.leaves]) + 34 * len(segment.frontier)
