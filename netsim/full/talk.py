"""One connection of a byzantine face: its messages in the words of the wire, over a real link.

What the face says is queued without bound and leaves in its order; what comes is told at once.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import trio

from netsim import messages as s
from netsim.full.streamed import StreamTalk
from qbix_node.blobs import messages as b
from qbix_node.blobs.requests import read_get
from qbix_node.errors import RemoteError
from qbix_node.feeds.messages import Offered
from qbix_node.net.limits import Limits
from qbix_node.net.link import (
    Body,
    BodyKind,
    Link,
    LinkClosed,
    RemoteRefusal,
    Stream,
    StreamEnded,
)
from qbix_node.net.methods import Method, Methods
from qbix_node.replication import messages as r
from qbix_node.replication.remote.service import sort_bodies
from qbix_node.wire.references import format_blob
from qbix_node.wire.v8json import JsonValue

EBT = "ebt.replicate"
HISTORY = "createHistoryStream"
WANTS = "blobs.createWants"
GET = "blobs.get"

# Byzantine programs spare neither themselves nor others.
NO_LIMITS = Limits(
    streams_per_peer_max=10**6,
    queued_bytes_per_peer_max=2**40,
    unread_bytes_per_peer_max=2**40,
    write_patience_s=1e6,
    heartbeat_s=1e6,
    silence_max_s=1e9,
)
PACKET_BYTES_MAX = NO_LIMITS.packet_bytes_max
GET_BYTES_MAX = 2**40  # where a peer names no size


@dataclass(slots=True, eq=False)
class _Open:
    """A stream, until one of the sides ends it."""

    name: str
    stream: Stream
    key: object = None  # the feed of a history, the number of a blobs.get
    read: Callable[[list[Body]], Iterable[object]] | None = None  # None: the peer opened it
    end: Callable[[str | None], object] | None = None  # what is told if the peer ends it
    over: trio.Event = field(default_factory=trio.Event)  # we end it
    error: str | None = None


class Talk:
    """`hear` is told what the peer says. `link` has to be set before anything else."""

    link: Link

    def __init__(
        self,
        hear: Callable[[object], None],
        wall_clock: Callable[[], float],
        *,
        streams: bool,
    ) -> None:
        """`streams`: whether the face has to do with them; else calls are refused."""
        self._hear = hear
        self._streams = StreamTalk(hear) if streams else None
        self._wall_clock = wall_clock
        self._to_say: deque[object] = deque()
        self._news = trio.Event()
        self._ebt: Stream | None = None
        self._open: dict[_Open, None] = {}
        self._gets = count(1)  # of the peer

    def say(self, message: object) -> None:
        self._to_say.append(message)
        self._news.set()

    async def run(self) -> None:
        """Until the link is closed."""
        async with trio.open_nursery() as nursery:
            while True:
                while self._to_say:
                    try:
                        await self._say(self._to_say.popleft(), nursery)
                    except StreamEnded:
                        pass  # the peer wants no more of it
                    except LinkClosed:
                        return
                self._news = trio.Event()
                await self._news.wait()

    # ---- what the face says ----

    async def _say(self, message: object, nursery: trio.Nursery) -> None:
        match message:
            case _ if type(message) in s.OF_STREAMS:
                if self._streams:
                    await self._streams.say(message, self.link, nursery)
            case r.EbtCall():
                self._ebt = await self.link.open(EBT, r.EBT_ARGUMENTS, "duplex")
                nursery.start_soon(self._converse, self._ebt)
            case r.EbtNotes(notes):
                await self._send_ebt([Body(BodyKind.JSON, r.format_notes(notes))])
            case Offered(messages):
                await self._send_ebt([Body.of_json(each) for each in messages])
            case r.EbtEnded(reason) if self._ebt is not None:
                ended, self._ebt = self._ebt, None
                await ended.end(reason)
            case r.HistoryRequest(feed):
                stream = await self._open_source(HISTORY, r.format_history_request(message))
                end = partial(r.HistoryEnded, feed)
                self._attend(_Open(HISTORY, stream, feed, self._read_history, end), nursery)
            case s.HistoryPart(feed, messages):
                await self._send(self._find(HISTORY, feed), map(Body.of_json, messages))
            case r.HistoryEnded(feed, reason):
                served = self._find(HISTORY, feed) or self._find(HISTORY, feed, served=False)
                await self._end(served, reason)
            case _:
                await self._say_of_blobs(message, nursery)

    async def _say_of_blobs(self, message: object, nursery: trio.Nursery) -> None:
        match message:
            case b.Listening():
                stream = await self._open_source(WANTS, [])
                self._attend(_Open(WANTS, stream, None, _read_notes), nursery)
            case b.Want() | b.Have():
                await self._send(self._find(WANTS, None), [Body.of_json(b.note_json(message))])
            case s.BlobGet(number, blob, size):
                wish: JsonValue = {"key": format_blob(blob), "max": size}
                stream = await self._open_source(GET, [wish])
                read, end = partial(_read_bytes, number), partial(s.BlobEnd, number)
                self._attend(_Open(GET, stream, number, read, end), nursery)
            case s.BlobCancel(number):
                await self._end(self._find(GET, number, served=False), None)
            case s.BlobBytes(number, data) if data:
                await self._send(self._find(GET, number), [Body(BodyKind.BINARY, data)])
            case s.BlobEnd(number, reason):
                await self._end(self._find(GET, number), reason)
            case _:
                pass  # without a conversation, or without bytes: there is nothing to say

    async def _open_source(self, name: str, arguments: list[JsonValue]) -> Stream:
        return await self.link.open(name, arguments, "source")

    async def _send_ebt(self, bodies: Sequence[Body]) -> None:
        if self._ebt is not None:
            await self._ebt.send([each for each in bodies if len(each.data) <= PACKET_BYTES_MAX])

    async def _send(self, served: _Open | None, bodies: Iterable[Body]) -> None:
        if served is not None:
            await served.stream.send(list(bodies))

    async def _end(self, opened: _Open | None, reason: str | None) -> None:
        if opened is None:
            return
        opened.error = reason
        opened.over.set()
        del self._open[opened]
        if opened.read is not None:
            await opened.stream.end(reason)

    def _find(self, name: str, key: object, *, served: bool = True) -> _Open | None:
        """The oldest."""
        for each in self._open:
            if (each.name, each.key, each.read is None) == (name, key, served):
                return each
        return None

    # ---- what the peer answers ----

    async def _converse(self, stream: Stream) -> None:
        reason = None
        try:
            while bodies := await stream.receive_many():
                notes, messages = sort_bodies(bodies)
                if notes is not None:
                    self._hear(r.EbtNotes(notes))
                if messages:
                    self._hear(self._offered(messages))
        except RemoteRefusal as refusal:
            reason = str(refusal)
        except RemoteError:  # the link is closed, or somebody else talks nonsense
            return
        if self._ebt is stream:
            self._ebt = None
            self._hear(r.EbtEnded(reason))

    def _attend(self, asked: _Open, nursery: trio.Nursery) -> None:
        self._open[asked] = None
        nursery.start_soon(self._listen, asked)

    async def _listen(self, asked: _Open) -> None:
        assert asked.read is not None
        reason = None
        try:
            while bodies := await asked.stream.receive_many():
                for message in asked.read(bodies):
                    self._hear(message)
        except RemoteRefusal as refusal:
            reason = str(refusal)
        except RemoteError:  # as above
            return
        asked.stream.end_now()
        self._ended_by_peer(asked, reason)

    def _ended_by_peer(self, opened: _Open, reason: str | None) -> None:
        """Nothing, if we ended it."""
        if opened in self._open:
            del self._open[opened]
            if opened.end is not None:
                self._hear(opened.end(reason))

    def _read_history(self, bodies: list[Body]) -> Iterable[object]:
        values = [body.json(HISTORY) for body in bodies]
        inner = [each.get("value", each) if isinstance(each, dict) else each for each in values]
        return [self._offered(inner)]

    def _offered(self, messages: Sequence[JsonValue]) -> Offered:
        return Offered(tuple(messages), int(1000 * self._wall_clock()))

    # ---- what the peer asks ----

    def methods(self) -> Methods:
        return {
            EBT: Method("duplex", self._serve_ebt),
            HISTORY: Method("source", self._serve_history),
            WANTS: Method("source", self._serve_wants),
            GET: Method("source", self._serve_get),
            **(self._streams.methods() if self._streams else {}),
        }

    async def _serve_ebt(self, _: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        self._ebt = stream
        self._hear(r.EbtCall())
        await self._converse(stream)

    async def _serve_history(self, _: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        request = r.parse_history_request(args)
        end = partial(r.HistoryEnded, request.feed)
        await self._serve(_Open(HISTORY, stream, request.feed, end=end), request)

    async def _serve_wants(self, _: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        await self._serve(_Open(WANTS, stream), b.Listening())

    async def _serve_get(self, _: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        wish, number = read_get(args), next(self._gets)
        get = s.BlobGet(number, wish.blob, wish.size_max or wish.size or GET_BYTES_MAX)
        await self._serve(_Open(GET, stream, number, end=lambda _: s.BlobCancel(number)), get)

    async def _serve(self, served: _Open, request: object) -> None:
        self._open[served] = None
        self._hear(request)
        try:
            await served.over.wait()
        finally:
            self._ended_by_peer(served, None)
        if served.error is not None:
            raise RemoteError(served.error)


def _read_notes(bodies: list[Body]) -> Iterable[object]:
    return [note for body in bodies for note in b.read_notes(body.json(WANTS))]


def _read_bytes(number: int, bodies: list[Body]) -> Iterable[object]:
    return [s.BlobBytes(number, body.data) for body in bodies]
