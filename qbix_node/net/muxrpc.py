"""muxrpc: requests and streams of one connection, without I/O (spec/transport.md 5).

`Session` turns bytes that were received into what happened, and keeps what is to be sent. It
refuses by itself what needs no decision of ours: unknown methods, wrong kinds, too many at a time.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NewType

from qbix_node.errors import Malformed, Temporary
from qbix_node.net import packets
from qbix_node.net.limits import Limits
from qbix_node.net.packets import Body, BodyKind, PacketParser
from qbix_node.wire.v8json import JsonValue

REQUESTS_MAX = 2**31 - 1  # request numbers are signed 32-bit integers that are used once
ERROR_TEXT_MAX = 300  # characters of a peer's error message that are kept

_STREAM_OR_END = packets.STREAM | packets.END
_CLEAN_END = Body(BodyKind.JSON, b"true")

Kind = Literal["async", "sync", "source", "duplex"]
StreamKind = Literal["source", "duplex"]

# The request number that our packets carry: positive where we asked, negative where the peer did.
Channel = NewType("Channel", int)


@dataclass(frozen=True, slots=True)
class Asked:
    """The peer makes a request that a method serves."""

    channel: Channel
    name: str
    args: list[JsonValue]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a call of ours; with `error`, the body means nothing."""

    channel: Channel
    body: Body
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """Packets of one stream, in order."""

    channel: Channel
    bodies: list[Body]


@dataclass(frozen=True, slots=True)
class Ended:
    """The peer ended a stream; nothing of it comes or goes any more."""

    channel: Channel
    error: str | None


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The peer makes and answers no more requests on this connection."""


Incoming = Asked | Answered | Brought | Ended | Goodbye


@dataclass(slots=True)
class _Open:
    kind: Kind
    takes_data: bool  # whether the peer may send on it
    served: bool = False  # a method of ours is at work for it
    ended: bool = False  # by us
    over: bool = False  # ended by the peer


class Session:
    def __init__(
        self, kinds: Mapping[str, Kind], limits: Limits, *, requests_max: int = REQUESTS_MAX
    ) -> None:
        self._kinds = kinds
        self._requests_max = requests_max
        self._limits = limits
        self._parser = PacketParser(limits.packet_bytes_max)
        self._open: dict[int, _Open] = {}  # requests of both sides
        self._theirs = 0  # how many of them the peer made
        self._requests = 0  # made by us so far
        self._queue: deque[bytes] = deque()
        self._said_goodbye = False
        self.queued_bytes = 0

    # ---- what was received ----

    def receive(self, plain: bytes) -> list[Incoming]:
        """What happened, in order. Raises Malformed; the connection is then of no use."""
        events: list[Incoming] = []
        current = None  # the channel of the batch that grows
        bodies: list[Body] = []
        for flags, request, data in self._parser.feed(plain):
            stream = self._open.get(-request)
            if stream and flags & _STREAM_OR_END == packets.STREAM:
                if not stream.takes_data:
                    raise Malformed(f"muxrpc: data on request {request}, which takes none")
                if stream.over:
                    raise Malformed(f"muxrpc: data on request {request}, which the peer ended")
                if stream.ended:
                    continue  # it was on its way when we ended the stream
                if current != -request:
                    current, bodies = -request, []
                    events.append(Brought(Channel(current), bodies))
                bodies.append(packets.body_of(flags, data))
            elif event := self._happened(flags, request, packets.body_of(flags, data), stream):
                current = None
                events.append(event)
        return events

    def _happened(
        self, flags: int, request: int, body: Body, stream: _Open | None
    ) -> Incoming | None:
        channel = Channel(-request)
        if request == 0:
            # Old peers send messages under number 0, which nothing here asks for.
            return None if body.data or flags else Goodbye()
        if stream is None:
            if request < 0 or flags & packets.END:
                return None  # a late answer, or the answer to an end of ours
            return self._receive_request(channel, body, flags)
        end = bool(flags & packets.END)
        if stream.kind == "async" and channel > 0:
            self._free(channel)
            error = _error_text(body) or "an error without a message" if end else None
            return Answered(channel, body, error)
        if not end:
            raise Malformed(f"muxrpc: a packet that does not fit the open request {request}")
        if stream.kind in ("async", "sync"):
            return None  # an answer is under way; there is nothing to end
        if stream.over:
            return None
        stream.over = True
        if not stream.served:  # else its number is taken, and counts, until the method is done
            self._free(channel)
        if stream.ended:
            return None
        # Peers end both directions at once, so we do as well.
        self._put(packets.END | packets.STREAM, channel, _CLEAN_END)
        return Ended(channel, _error_text(body))

    def _receive_request(self, channel: Channel, body: Body, flags: int) -> Asked | None:
        request = body.json("muxrpc request")
        if not isinstance(request, dict):
            raise Malformed("muxrpc: a request that is no JSON object")
        stream = bool(flags & packets.STREAM)
        name = _method_name(request.get("name"))
        wanted = request.get("type") if stream else "async"
        args = request.get("args")
        kind = self._kinds.get(name)
        shown = name.replace(".", ",")  # as JavaScript peers print it, and look for it in errors
        if kind is None:
            refusal = f"method:{shown} is not in list of allowed methods"
        elif wanted != kind and (stream or kind != "sync"):
            refusal = f"no {wanted if isinstance(wanted, str) else 'kind'}:{shown}"[:ERROR_TEXT_MAX]
        elif not isinstance(args, list):
            refusal = "invalid request, args should be array"
        elif self._theirs >= self._limits.streams_per_peer_max:
            refusal = f"too many open requests, at most {self._limits.streams_per_peer_max}"
        else:
            self._add(channel, kind, takes_data=kind == "duplex").served = True
            return Asked(channel, name, args, kind)
        self._refuse_request(channel, refusal, stream=stream, data_follows=wanted != "source")
        return None

    def _refuse_request(
        self, channel: Channel, refusal: str, *, stream: bool, data_follows: bool
    ) -> None:
        if not stream:
            self._put(packets.END, channel, _error(refusal))
        elif data_follows:  # what is on its way must be known as such until the peer ends it
            self._add(channel, "duplex", takes_data=True)
            self.end(channel, refusal)
        else:
            self._put(packets.END | packets.STREAM, channel, _error(refusal))

    # ---- what is to be sent ----

    def call(self, name: str, args: list[JsonValue]) -> Channel:
        """Ask an async method; Answered follows."""
        channel = self._new_channel()
        self._open[channel] = _Open("async", takes_data=False)
        request: JsonValue = {"name": list(name.split(".")), "args": args}
        self._put(0, channel, Body.of_json(request))
        return channel

    def open(self, name: str, args: list[JsonValue], kind: StreamKind) -> Channel:
        channel = self._new_channel()
        self._open[channel] = _Open(kind, takes_data=True)
        request: JsonValue = {"name": list(name.split(".")), "args": args, "type": kind}
        self._put(packets.STREAM, channel, Body.of_json(request))
        return channel

    def send(self, channel: Channel, body: Body) -> None:
        """On a stream that is open."""
        assert not self._open[channel].ended
        self._put(packets.STREAM, channel, body)

    def end(self, channel: Channel, error: str | None = None) -> None:
        """End a stream, if it still is open."""
        stream = self._open.get(channel)
        if stream and not stream.ended and not stream.over:
            stream.ended = True
            body = _CLEAN_END if error is None else _error(error)
            self._put(packets.END | packets.STREAM, channel, body)

    def done(self, channel: Channel) -> None:
        """The method that served this stream of the peer has returned."""
        stream = self._open[channel]
        stream.served = False
        if stream.over:
            self._free(channel)

    def answer(self, channel: Channel, body: Body) -> None:
        self._free(channel)
        self._put(0, channel, body)

    def refuse(self, channel: Channel, error: str) -> None:
        self._free(channel)
        self._put(packets.END, channel, _error(error))

    def forget(self, channel: Channel) -> None:
        """Nobody waits for the answer to this call any more."""
        self._open.pop(channel, None)

    def goodbye(self) -> None:
        """After what is queued; nothing can follow it."""
        if not self._said_goodbye:
            self._said_goodbye = True
            self._queue.append(packets.GOODBYE)
            self.queued_bytes += len(packets.GOODBYE)

    def take(self, bytes_max: int) -> bytes:
        """Up to so many of the queued bytes, in order."""
        parts, size = [], 0
        while self._queue and size < bytes_max:
            part = self._queue.popleft()
            if len(part) > bytes_max - size:
                self._queue.appendleft(part[bytes_max - size :])
                part = part[: bytes_max - size]
            parts.append(part)
            size += len(part)
        self.queued_bytes -= size
        return b"".join(parts)

    # ----

    def _new_channel(self) -> Channel:
        if self._requests == self._requests_max:
            raise Temporary("this connection has used up its request numbers")
        if len(self._open) - self._theirs >= 2 * self._limits.streams_per_peer_max:
            raise Temporary("the peer does not end streams that were ended here")
        self._requests += 1
        return Channel(self._requests)

    def _add(self, channel: Channel, kind: Kind, *, takes_data: bool) -> _Open:
        if self._theirs >= 2 * self._limits.streams_per_peer_max:
            raise Malformed(f"muxrpc: {self._theirs} requests were refused and none is ended")
        self._theirs += 1
        stream = self._open[channel] = _Open(kind, takes_data=takes_data)
        return stream

    def _free(self, channel: Channel) -> None:
        del self._open[channel]
        if channel < 0:
            self._theirs -= 1

    def _put(self, flags: int, channel: Channel, body: Body) -> None:
        # SPEC transport 4: JavaScript peers take an empty body for the goodbye.
        assert 0 < len(body.data) <= self._limits.packet_bytes_max
        if not self._said_goodbye:
            packet = packets.encode(flags, channel, body)
            self._queue.append(packet)
            self.queued_bytes += len(packet)


def _method_name(name: JsonValue) -> str:
    parts = [name] if isinstance(name, str) else name
    if isinstance(parts, list) and 0 < len(parts) <= 4:
        texts = [part for part in parts if isinstance(part, str) and len(part) <= 64]
        if len(texts) == len(parts):
            return ".".join(texts)
    raise Malformed("muxrpc: a request without the name of a method")


def _error(message: str) -> Body:
    """As JavaScript peers flatten an error, except for the stack: that is nobody's business."""
    return Body.of_json({"message": message, "name": "Error", "stack": ""})


def _error_text(body: Body) -> str | None:
    """The message of an error, or None for a clean end."""
    value = body.json("muxrpc end")
    if not isinstance(value, dict):
        return value[:ERROR_TEXT_MAX] if isinstance(value, str) else None
    message = value.get("message")
    return message[:ERROR_TEXT_MAX] if isinstance(message, str) else "an error without a message"
