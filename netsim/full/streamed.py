"""What a byzantine face says and hears of streams over one connection, in the words of the wire."""

from collections.abc import Callable

import trio

from netsim import messages as n
from qbix_node.errors import RemoteError
from qbix_node.gossip import messages as g
from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.replication.streams.messages import (
    FormatCall,
    format_arguments,
    format_stream_notes,
    parse_format,
    parse_stream_notes,
)
from qbix_node.replication.streams.remote.service import METHOD
from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.streams.messages import OfferedSegment, read_segment
from qbix_node.wire.v8json import JsonValue


class StreamTalk:
    def __init__(self, hear: Callable[[object], None]) -> None:
        self._hear = hear
        self._replication: Stream | None = None
        self._gossip: Stream | None = None
        self._sequencing: Stream | None = None

    # ---- what the face says: one of netsim.messages.OF_STREAMS ----

    async def say(self, message: object, link: Link, nursery: trio.Nursery) -> None:
        match message:
            case FormatCall(format_):
                self._replication = await link.open(METHOD, format_arguments(format_), "duplex")
                nursery.start_soon(self._replicate, self._replication)
            case n.HeadsCall():
                self._gossip = await link.open(g.METHOD, g.ARGUMENTS, "duplex")
                nursery.start_soon(self._converse, self._gossip)
            case n.SequenceCall():
                self._sequencing = await link.open(packets.METHOD, packets.ARGUMENTS, "duplex")
                nursery.start_soon(self._sequence, self._sequencing)
            case n.StreamNotes(notes) if self._replication:
                body = Body(BodyKind.JSON, format_stream_notes(notes))
                await self._replication.send([body])
            case OfferedSegment(segment) if self._replication:
                await self._replication.send([Body(BodyKind.BINARY, segment.encoded)])
            case n.StreamsEnded(reason) if self._replication:
                await self._replication.end(reason)
            case n.HeadsEnded() if self._gossip:
                await self._gossip.end()
            case n.SequenceEnded() if self._sequencing:
                await self._sequencing.end()
            case _:
                await self._say_binary(message)  # nothing without a conversation

    async def _say_binary(self, message: object) -> None:
        if self._sequencing and isinstance(message, q.Message):
            await self._sequencing.send([Body(BodyKind.BINARY, packets.encode(message))])
        elif self._gossip and isinstance(message, g.Message):
            await self._gossip.send([Body(BodyKind.BINARY, g.encode(message))])

    # ---- what the peer says ----

    def methods(self) -> Methods:
        return {
            METHOD: Method("duplex", self._serve_replication),
            g.METHOD: Method("duplex", self._serve_gossip),
            packets.METHOD: Method("duplex", self._serve_sequencing),
        }

    async def _serve_replication(
        self, _: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> None:
        assert stream is not None
        self._replication = stream
        self._hear(FormatCall(parse_format(arguments)))
        await self._replicate(stream)

    async def _serve_gossip(
        self, _: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> None:
        assert stream is not None
        self._gossip = stream
        self._hear(n.HeadsCall())
        await self._converse(stream)

    async def _serve_sequencing(
        self, _: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> None:
        assert stream is not None
        self._sequencing = stream
        self._hear(n.SequenceCall())
        await self._sequence(stream)

    async def _replicate(self, stream: Stream) -> None:
        reason = None
        try:
            while bodies := await stream.receive_many():
                for body in bodies:
                    self._hear(_read(body))
        except RemoteRefusal as refusal:
            reason = str(refusal)
        except RemoteError:  # the link is closed, or somebody else talks nonsense
            return
        if self._replication is stream:
            self._replication = None
            self._hear(n.StreamsEnded(reason))

    async def _converse(self, stream: Stream) -> None:
        try:
            while bodies := await stream.receive_many():
                for body in bodies:
                    self._hear(g.read_message(body.data))
        except RemoteRefusal:
            pass
        except RemoteError:  # as above
            return
        if self._gossip is stream:
            self._gossip = None
            self._hear(n.HeadsEnded())

    async def _sequence(self, stream: Stream) -> None:
        try:
            while bodies := await stream.receive_many():
                for body in bodies:
                    self._hear(packets.read_message(body.data))
        except RemoteRefusal:
            pass
        except RemoteError:  # as above
            return
        if self._sequencing is stream:
            self._sequencing = None
            self._hear(n.SequenceEnded())


def _read(body: Body) -> object:
    """Raises Malformed."""
    if body.kind is BodyKind.BINARY:
        return OfferedSegment(read_segment(body.data))
    value = body.json(METHOD)
    return n.StreamNotes(parse_stream_notes(value if isinstance(value, dict) else {}))
