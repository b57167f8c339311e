"""What replication says and hears on one link, as the Replicator decides (spec/replication.md 7).

Everything moves in batches: what a peer sent since the last look is handed over at once, stored
messages are read and sent a chunk at a time, as fast as the peer takes them.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import trio

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.feeds.messages import Offered
from qbix_node.feeds.records import read_log
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
from qbix_node.replication.messages import (
    EBT_ARGUMENTS,
    EbtCall,
    EbtEnded,
    EbtNotes,
    HistoryEnded,
    HistoryRequest,
    Range,
    Stop,
    format_history_request,
    format_notes,
    is_message,
    parse_notes,
)
from qbix_node.replication.outbox import Outbox
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue

OFFER_MAX = 256  # messages handed to the Replicator at once
# A message has at most 8192 characters; some peers write "<" as \u003c. What is longer is
# not looked at: one packet of nested arrays could have us write 85 MB of indented text.
MESSAGE_BYTES_MAX = 64 * 1024
REPORTS_MAX = 16  # refused messages of one link in the log; further ones only when debugging
CALLS_MAX = 16  # of ebt.replicate over one link: each costs us our whole clock
UNSETTLED_MAX = 512  # of one peer: it is not read on before the FeedBook has dealt with some

_EBT = "ebt.replicate"
_HISTORY = "createHistoryStream"


@dataclass(slots=True)
class Counters:
    """Since the start, of all links."""

    messages_received: int = 0
    messages_sent: int = 0
    messages_appended: int = 0
    messages_refused: int = 0
    notes_received: int = 0
    notes_sent: int = 0


@dataclass(slots=True)
class Surroundings:
    """What all links share."""

    store: Store
    post: Callable[[m.Event], Awaitable[None]]
    wall_clock: Callable[[], float]  # seconds since 1970
    counters: Counters = field(default_factory=Counters)


class Remote:
    """One link. The Replicator knows of it from `connected` to `gone`."""

    def __init__(self, link: Link, around: Surroundings) -> None:
        self.link = link
        self.connected = trio.Event()
        self.gone = trio.Event()
        self._around = around
        self._nursery: trio.Nursery | None = None  # while the link is up
        self._outbox = Outbox[FeedId]()
        self._news = trio.Event()
        self._talk: trio.CancelScope | None = None  # the conversation by EBT, while there is one
        self._we_called = False
        self._calls = 0
        self._reports = 0
        self._readings: dict[tuple[FeedId, bool], trio.CancelScope] = {}
        self._unsettled = 0
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
        """A decision of the Replicator; of no use once the link is down."""
        match message:
            case _ if self._nursery is None:
                pass
            case EbtNotes() | Range() | Stop():
                self._outbox.put(message)
                self._news.set()
            case EbtCall():
                self._nursery.start_soon(self._call_ebt)
            case HistoryRequest():
                self._nursery.start_soon(self._read_history, message)
            case HistoryEnded(feed):
                if reading := self._readings.get((feed, False)):
                    reading.cancel()
            case _:
                raise AssertionError(f"nothing to send: {message}")

    def settle(self, count: int) -> None:
        self._unsettled = max(0, self._unsettled - count)  # some may be of an earlier link
        self._settled.set()
        self._settled = trio.Event()

    def may_report(self) -> bool:
        """Whether one more refused message is worth a line in the log."""
        self._reports += 1
        return self._reports <= REPORTS_MAX

    # ---- EBT ----

    async def _call_ebt(self) -> None:
        self._we_called = True
        self._outbox = Outbox[FeedId]()
        with suppress(LinkClosed):
            await self._converse(await self.link.open(_EBT, EBT_ARGUMENTS, "duplex"))

    async def answer_ebt(self, stream: Stream) -> None:
        """The peer called. Raises Malformed if that is not its part."""
        if self._talk and self._we_called:
            raise Malformed("ebt.replicate is called by the side that dialled, and only once")
        self._calls += 1
        if self._calls > CALLS_MAX:
            raise Malformed(f"ebt.replicate was called {CALLS_MAX} times over this connection")
        if self._talk:
            self._talk.cancel()
        self._we_called = False
        self._outbox = Outbox[FeedId]()
        await self._around.post(m.Received(self.link.peer, EbtCall()))
        await self._converse(stream)

    async def _converse(self, stream: Stream) -> None:
        ended = None
        with trio.CancelScope() as talk:
            self._talk = talk
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_what_waits, stream, self._outbox)
                ended = await self._read_ebt(stream)
                nursery.cancel_scope.cancel()
        if talk.cancelled_caught:
            await stream.end("reconnected to peer")
            return
        self._talk = None
        if ended is not None:
            await self._around.post(m.Received(self.link.peer, ended))

    async def _read_ebt(self, stream: Stream) -> EbtEnded | None:
        """How the peer ended the conversation; None: the link is down, too."""
        try:
            while bodies := await stream.receive_many():
                notes, messages = sort_bodies(bodies)
                if notes is not None:
                    self._around.counters.notes_received += len(notes)
                    await self._around.post(m.Received(self.link.peer, EbtNotes(notes)))
                await self._offer(messages)
        except RemoteRefusal as refusal:
            return EbtEnded(str(refusal))
        except LinkClosed:
            return None
        except Malformed as error:
            self.link.close(str(error))
            return None
        return EbtEnded()

    async def _send_what_waits(self, stream: Stream, outbox: Outbox[FeedId]) -> None:
        try:
            while True:
                match outbox.take():
                    case EbtNotes(notes):
                        self._around.counters.notes_sent += len(notes)
                        await stream.send([Body(BodyKind.JSON, format_notes(notes))])
                    case Range(feed, first, last):
                        bodies = self._read(feed, first, last)
                        self._around.counters.messages_sent += len(bodies)
                        await stream.send(bodies)
                    case None:
                        self._news = trio.Event()
                        await self._news.wait()
        except (StreamEnded, LinkClosed):
            return  # whoever reads it says so

    def _read(self, feed: FeedId, first: int, last: int) -> list[Body]:
        stored = read_log(self._around.store, feed, first, last - first + 1)
        return [Body(BodyKind.JSON, message.encoded) for message in stored]

    # ---- createHistoryStream, where we ask ----

    async def _read_history(self, request: HistoryRequest) -> None:
        place = request.feed, request.limit is not None  # the proof of a fork has one of its own
        reading = self._readings[place] = trio.CancelScope()
        try:
            with reading:  # from the start: who does not read may keep us from asking
                stream = await self.link.open(_HISTORY, format_history_request(request), "source")
                try:
                    ended = HistoryEnded(request.feed, await self._read_messages(stream))
                    await self._around.post(m.Received(self.link.peer, ended))
                finally:
                    await stream.end()
        except LinkClosed:
            return
        except Malformed as error:
            self.link.close(str(error))
        finally:
            if self._readings.get(place) is reading:
                del self._readings[place]

    async def _read_messages(self, stream: Stream) -> str | None:
        """Why the peer ended the stream, if it said so."""
        try:
            while bodies := await stream.receive_many():
                await self._offer(_messages(bodies))
        except RemoteRefusal as refusal:
            return str(refusal)
        return None

    # ----

    async def _offer(self, messages: Sequence[JsonValue]) -> None:
        """Hand messages over; wait while too many of this peer's are not dealt with."""
        self._around.counters.messages_received += len(messages)
        for start in range(0, len(messages), OFFER_MAX):
            part = tuple(messages[start : start + OFFER_MAX])
            while self._unsettled >= UNSETTLED_MAX:
                await self._settled.wait()
            self._unsettled += len(part)
            offered = Offered(part, int(1000 * self._around.wall_clock()))
            await self._around.post(m.Received(self.link.peer, offered))


def sort_bodies(bodies: Sequence[Body]) -> tuple[dict[FeedId, int] | None, list[JsonValue]]:
    """The notes (None: there are none) and the messages; they don't depend on their order."""
    notes: dict[FeedId, int] | None = None
    messages: list[JsonValue] = []
    for body in bodies:
        value = body.json("ebt.replicate")
        if not isinstance(value, dict):
            raise Malformed("ebt.replicate: neither notes nor a message, but no JSON object")
        if is_message(value):
            _check_size(body)
            messages.append(value)
        else:
            notes = {} if notes is None else notes
            notes.update(parse_notes(value))
    return notes, messages


def _messages(bodies: Sequence[Body]) -> list[JsonValue]:
    """The messages of a history; peers may wrap them, and say other things in between."""
    for body in bodies:
        _check_size(body)
    values = [body.json("createHistoryStream") for body in bodies]
    inner = [value.get("value", value) if isinstance(value, dict) else value for value in values]
    return [value for value in inner if isinstance(value, dict) and is_message(value)]


def _check_size(body: Body) -> None:
    """Raises Malformed."""
    if len(body.data) > MESSAGE_BYTES_MAX:
        raise Malformed(f"a message of {len(body.data)} bytes, {MESSAGE_BYTES_MAX} are allowed")
