"""What is said and heard of streams on one link, as the StreamReplicator decides
(spec/replication.md 10). Segments are read from the store and sent as fast as the peer takes them.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import trio

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.net.link import (
    Body,
    BodyKind,
    Link,
    LinkClosed,
    RemoteRefusal,
    Stream,
    StreamEnded,
)
from qbix_node.ports import Store
from qbix_node.replication.messages import EbtEnded, EbtNotes, Range, Stop
from qbix_node.replication.outbox import NOTES_MAX, Outbox
from qbix_node.replication.streams.contents.messages import (
    CHOICE,
    ContentChoice,
    format_choice,
    parse_choice,
)
from qbix_node.replication.streams.messages import (
    Format,
    FormatCall,
    format_arguments,
    format_stream_notes,
    parse_stream_notes,
)
from qbix_node.streams.messages import ENTRIES_MAX, OfferedSegment, read_segment
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.serving import make_segments
from qbix_node.wire.references import StreamId

METHOD = "ebt.replicateFormat"
CALLS_MAX = 16  # of METHOD over one link: each costs us all our notes
CHOICES_MAX = 10_000  # streams of which a peer wants no contents; of others it gets them
UNSETTLED_MAX = 64  # segments of one peer: it is not read on before some are dealt with
UNSETTLED_BYTES_MAX = 4 * 1024 * 1024  # in them, if it is more than one


@dataclass(slots=True)
class Counters:
    """Since the start, of all links."""

    segments_received: int = 0
    segments_sent: int = 0
    entries_appended: int = 0
    segments_refused: int = 0


@dataclass(slots=True)
class Surroundings:
    """What all links share."""

    store: Store
    logs: Mapping[StreamId, LogState]
    resolutions: Mapping[StreamId, Resolution]
    post: Callable[[m.Event], Awaitable[None]]
    counters: Counters = field(default_factory=Counters)


class StreamRemote:
    """One link. The StreamReplicator knows of it from `connected` to `gone`."""

    def __init__(self, link: Link, around: Surroundings) -> None:
        self.link = link
        self.connected = trio.Event()
        self.gone = trio.Event()
        self._around = around
        self._nursery: trio.Nursery | None = None  # while the link is up
        self._outbox = _outbox(Format.SEGMENTS)
        self._choices: dict[StreamId, bool] = {}  # of contents; to be sent
        self._bare: set[StreamId] = set()  # of these, the peer wants no contents
        self._news = trio.Event()
        self._talk: trio.CancelScope | None = None  # the conversation, while there is one
        self._calls = 0
        self._unsettled = 0
        self._unsettled_bytes = 0
        self._settled = trio.Event()

    async def run(self) -> None:
        """Until cancelled, with the link."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await self._around.post(m.Connected(self.link.peer, self.link.outgoing))
                self.connected.set()
                await trio.sleep_forever()
            finally:
                self._nursery = None  # in here: a nursery that is being left takes nothing more

    def carry_out(self, message: object) -> None:
        """A decision of the StreamReplicator; of no use once the link is down."""
        match message:
            case _ if self._nursery is None:
                pass
            case EbtNotes() | Range() | Stop():
                self._outbox.put(message)
                self._news.set()
            case ContentChoice(streams):
                self._choices.update(streams)
                self._news.set()
            case FormatCall(format_):
                self._begin(format_)
                self._nursery.start_soon(self._call, format_)
            case _:
                raise AssertionError(f"nothing to send: {message}")

    def settle(self, size_bytes: int) -> None:
        self._unsettled = max(0, self._unsettled - 1)  # some may be of an earlier link
        self._unsettled_bytes = max(0, self._unsettled_bytes - size_bytes)
        self._settled.set()
        self._settled = trio.Event()

    async def answer(self, format_: Format, stream: Stream) -> None:
        """The peer called. Raises Malformed if that is not its part."""
        if self.link.outgoing:
            raise Malformed(f"{METHOD} is called by the side that dialled")
        self._calls += 1
        if self._calls > CALLS_MAX:
            raise Malformed(f"{METHOD} was called {CALLS_MAX} times over this connection")
        if self._talk:
            self._talk.cancel()
        self._begin(format_)
        await self._around.post(m.Received(self.link.peer, FormatCall(format_)))
        await self._converse(stream, format_)

    def _begin(self, format_: Format) -> None:
        self._outbox, self._choices, self._bare = _outbox(format_), {}, set()

    async def _call(self, format_: Format) -> None:
        with suppress(LinkClosed):
            stream = await self.link.open(METHOD, format_arguments(format_), "duplex")
            await self._converse(stream, format_)

    async def _converse(self, stream: Stream, format_: Format) -> None:
        ended = None
        with trio.CancelScope() as talk:
            self._talk = talk
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_what_waits, stream, format_, self._outbox)
                ended = await self._read(stream)
                nursery.cancel_scope.cancel()
        if talk.cancelled_caught:
            await stream.end("called again")
            return
        self._talk = None
        if ended is not None:
            await self._around.post(m.Received(self.link.peer, ended))

    async def _read(self, stream: Stream) -> EbtEnded | None:
        """How the peer ended the conversation; None: the link is down, too."""
        try:
            while bodies := await stream.receive_many():
                for body in bodies:
                    await self._take(body)
        except RemoteRefusal as refusal:
            return EbtEnded(str(refusal))
        except LinkClosed:
            return None
        except Malformed as error:
            self.link.close(str(error))
            return None
        return EbtEnded()

    async def _take(self, body: Body) -> None:
        """Raises Malformed."""
        peer = self.link.peer
        if body.kind is not BodyKind.BINARY:
            value = body.json(METHOD)
            if not isinstance(value, dict):
                raise Malformed(f"{METHOD}: neither notes nor a segment")
            if CHOICE in value:
                choice = parse_choice(value[CHOICE])
                self._choose(choice.streams)
                await self._around.post(m.Received(peer, choice))
                return
            await self._around.post(m.Received(peer, EbtNotes(parse_stream_notes(value))))
            return
        offered = OfferedSegment(read_segment(body.data))
        self._around.counters.segments_received += 1
        while self._is_full(offered.size_bytes):
            await self._settled.wait()
        self._unsettled += 1
        self._unsettled_bytes += offered.size_bytes
        await self._around.post(m.Received(peer, offered))

    def _choose(self, streams: Mapping[StreamId, bool]) -> None:
        for stream, wants in streams.items():
            if wants:
                self._bare.discard(stream)
            elif len(self._bare) < CHOICES_MAX:
                self._bare.add(stream)

    def _is_full(self, more_bytes: int) -> bool:
        too_many = self._unsettled >= UNSETTLED_MAX
        return too_many or 0 < self._unsettled_bytes > UNSETTLED_BYTES_MAX - more_bytes

    async def _send_what_waits(
        self, stream: Stream, format_: Format, outbox: Outbox[StreamId]
    ) -> None:
        try:
            while True:
                if self._choices:  # they come before the notes that they are about
                    choices, self._choices = self._choices, {}
                    await stream.send(_choice_bodies(choices))
                match outbox.take():
                    case EbtNotes(notes):
                        await stream.send([Body(BodyKind.JSON, format_stream_notes(notes))])
                    case Range(log, first, last):
                        bodies = self._segments(format_, log, first, last)
                        self._around.counters.segments_sent += len(bodies)
                        await stream.send(bodies)
                    case None:
                        self._news = trio.Event()
                        await self._news.wait()
        except (StreamEnded, LinkClosed):
            return  # whoever reads it says so

    def _segments(self, format_: Format, log: StreamId, first: int, last: int) -> list[Body]:
        """The `first`-th to the `last`-th entry, counted from 1, as notes count."""
        state = self._around.logs.get(log)
        if state is None:
            return []
        most = ENTRIES_MAX if format_ is Format.SEGMENTS else 1
        made = make_segments(
            self._around.store,
            state,
            first - 1,
            last,
            entries_max=most,
            bare=log in self._bare,
            resolution=self._around.resolutions.get(log),
        )
        return [Body(BodyKind.BINARY, segment.encoded) for segment in made]


def _choice_bodies(choices: Mapping[StreamId, bool]) -> list[Body]:
    rows = [*choices.items()]
    parts = [rows[at : at + NOTES_MAX] for at in range(0, len(rows), NOTES_MAX)]
    return [Body(BodyKind.JSON, format_choice(dict(part))) for part in parts]


def _outbox(format_: Format) -> Outbox[StreamId]:
    return Outbox(most=ENTRIES_MAX) if format_ is Format.SEGMENTS else Outbox()
