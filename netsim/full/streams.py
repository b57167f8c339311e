"""A stream of the fabric as trio knows streams: it waits, it ends, it breaks."""

from dataclasses import dataclass, field

import trio

from netsim.fabric import End

END_OF_STREAM = b""  # the payload that says so, while the other direction goes on


@dataclass(slots=True)
class Sockets:
    """All streams of a run, by their ends. `window`: who has so much under way or unread at the
    other side waits.
    """

    window: int
    streams: dict[End, "FabricStream"] = field(default_factory=dict)

    def open(self, end: End) -> "FabricStream":
        """At the moment at which the end came to be."""
        stream = self.streams[end] = FabricStream(self, end)
        return stream

    def cut(self, node: int) -> None:
        """Its process is gone: whatever still runs of it, nothing comes in or goes out."""
        for stream in [each for end, each in self.streams.items() if end.node == node]:
            stream.break_off("the process is gone")

    def of_peer(self, end: End) -> "FabricStream | None":
        return None if end.peer is None else self.streams.get(end.peer)


class FabricStream(trio.abc.HalfCloseableStream):
    def __init__(self, sockets: Sockets, end: End) -> None:
        self._sockets = sockets
        self._end = end
        self._unread = bytearray()
        self._at_end = False  # the other side will say no more
        self._said_end = False
        self._closed = False
        self._broken: str | None = None
        self._news = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        end.arrived, end.closed, end.drained = self._arrived, self._ended, self.there_is_room

    # ---- what the fabric tells ----

    def _arrived(self, payload: object, size: int) -> None:
        assert isinstance(payload, bytes)
        if payload == END_OF_STREAM:
            self._at_end = True
        self._unread += payload
        self._news.unpark_all()

    def _ended(self, reason: str) -> None:
        self._at_end = True
        if reason:
            self._broken = reason
        self._forget()

    # ---- what trio asks ----

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._room:
            raise trio.BusyResourceError("another task sends on this stream")
        await trio.lowlevel.checkpoint()
        left = bytes(data)
        while left:
            self._require_way_out()
            if (room := self._room_bytes()) <= 0:
                await self._room.park()
                continue
            piece, left = left[:room], left[room:]
            self._end.send(piece, len(piece))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._room_bytes() <= 0 and not self._end.over:
            await self._room.park()

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        if not self._said_end:
            self._require_way_out()
            self._said_end = True
            self._end.send(END_OF_STREAM, 0)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._news:
            raise trio.BusyResourceError("another task reads this stream")
        await trio.lowlevel.checkpoint()
        while True:
            if self._closed:
                raise trio.ClosedResourceError
            if self._broken is not None:
                raise trio.BrokenResourceError(self._broken)
            if self._unread:
                return self._take(max_bytes)
            if self._at_end:
                return b""
            await self._news.park()

    async def aclose(self) -> None:
        self.hang_up()
        await trio.lowlevel.checkpoint()

    def hang_up(self) -> None:
        self._closed = True
        if self._unread:  # as TCP does it, lest the other side believe that it was read
            self._end.reset()
        else:
            self._end.close()
        self._forget()

    def break_off(self, reason: str) -> None:
        self._broken = reason
        self._unread.clear()
        self._forget()

    # ----

    @property
    def unread_bytes(self) -> int:
        return len(self._unread)

    def there_is_room(self) -> None:
        self._room.unpark_all()

    def _room_bytes(self) -> int:
        peer = self._sockets.of_peer(self._end)
        unread = peer.unread_bytes if peer is not None else 0
        return self._sockets.window - self._end.in_flight - unread

    def _take(self, max_bytes: int | None) -> bytes:
        taken = bytes(self._unread[:max_bytes])
        del self._unread[: len(taken)]
        if (peer := self._sockets.of_peer(self._end)) is not None:
            peer.there_is_room()
        return taken

    def _require_way_out(self) -> None:
        if self._closed or self._said_end:
            raise trio.ClosedResourceError
        if self._broken is not None or self._end.over:
            raise trio.BrokenResourceError(self._broken or "the other side has hung up")

    def _forget(self) -> None:
        self._sockets.streams.pop(self._end, None)
        self._news.unpark_all()
        self._room.unpark_all()
