"""What peers may ask of the blobs that are here: has, size, get, getSlice (spec/blobs.md 3)."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from qbix_node.blobs.files import NoSuchBlob
from qbix_node.blobs.reading import Reader
from qbix_node.blobs.requests import BlobRange, read_get, read_names, read_slice
from qbix_node.errors import LocalError, RemoteError, Temporary
from qbix_node.net.link import Body, BodyKind, Link, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.wire.references import BlobId, format_blob
from qbix_node.wire.v8json import JsonValue

PACKET_BYTES = 64 * 1024  # as JavaScript peers cut blobs


class Serving:
    """`turn`: what a peer has to wait for before it is served. `failed`: told of what the operator
    should know and the peer need not.
    """

    def __init__(
        self,
        held: Mapping[BlobId, int],
        open_reader: Callable[[BlobId, range], Reader],
        *,
        turn: Callable[[Link], AbstractAsyncContextManager[object]],
        failed: Callable[[BlobId, LocalError], None],
    ) -> None:
        self._held = held
        self._open_reader = open_reader
        self._turn = turn
        self._failed = failed

    def methods(self) -> Methods:
        return {
            "blobs.has": Method("async", self._has),
            "blobs.size": Method("async", self._size),
            "blobs.get": Method("source", self._get),
            "blobs.getSlice": Method("source", self._get_slice),
        }

    async def _has(self, link: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
        names = read_names(args, "blobs.has")
        if isinstance(names, list):
            return [name in self._held for name in names]
        return names in self._held

    async def _size(self, link: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
        names = read_names(args, "blobs.size")
        if isinstance(names, list):
            return [self._held.get(name) for name in names]
        return self._held.get(names)

    async def _get(self, link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None  # it is a source
        await self._send(link, stream, read_get(args))

    async def _get_slice(self, link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None  # it is a source
        await self._send(link, stream, read_slice(args))

    async def _send(self, link: Link, stream: Stream, wish: BlobRange) -> None:
        async with self._turn(link):
            size = self._held.get(wish.blob)
            if size is None:
                raise RemoteError(f"{format_blob(wish.blob)} is not here")
            try:
                async for chunk in self._open_reader(wish.blob, wish.within(size)):
                    cuts = range(0, len(chunk), PACKET_BYTES)
                    pieces = [chunk[cut : cut + PACKET_BYTES] for cut in cuts]
                    await stream.send([Body(BodyKind.BINARY, piece) for piece in pieces])
            except (NoSuchBlob, Temporary) as error:
                self._failed(wish.blob, error)
                raise RemoteError(f"{format_blob(wish.blob)} can't be read now") from error
