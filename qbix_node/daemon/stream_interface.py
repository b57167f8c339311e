"""Streams as the HTTP interface sees them: what people ask of them, and how they are."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain

import trio

from qbix_node.crypto.entropy import random_bytes
from qbix_node.daemon.home import Home
from qbix_node.daemon.importing import Imported
from qbix_node.daemon.node import Node
from qbix_node.daemon.resolving import Resolver
from qbix_node.errors import BadInput, LocalError, Temporary
from qbix_node.http.stream_api import (
    StreamDetails,
    StreamEntry,
    StreamImport,
    StreamPlace,
    StreamRow,
)
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.streams import archive
from qbix_node.streams.archive import ArchiveReader
from qbix_node.streams.authoring import make_genesis
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import NewEntry, read_header
from qbix_node.streams.resolution import CLOSED, FORKED
from qbix_node.streams.serving import Entry
from qbix_node.streams.tree import Hash
from qbix_node.wire.fields import is_name
from qbix_node.wire.packing import pack
from qbix_node.wire.references import (
    FeedId,
    StreamId,
    encode_base64,
    format_blob,
    format_feed,
    format_stream,
)

CONFIRM_S = 30.0  # entries that are not on disk by then may still get there
COUNTED = 256  # entries that are looked at before others have their turn
SALT_BYTES = 16


class StreamInterface:
    """Implements http.stream_api.StreamApi."""

    def __init__(self, node: Node, home: Home) -> None:
        self._node = node
        self._home = home
        self._resolver = Resolver(node)

    @property
    def _streams(self) -> StreamReplication:
        return self._node.streams

    # ---- how they are ----

    def streams(self) -> list[StreamRow]:
        return [row_of(status) for status in self._streams.streams()]

    async def show(self, stream: StreamId) -> StreamDetails:
        status = self._known(stream)
        length, missing = status.state.length if status.state else 0, 0
        for first in range(1, length, COUNTED):
            part = self._streams.entries(stream, first, min(first + COUNTED, length))
            missing += sum([entry.content is None for entry in part])
            await trio.lowlevel.checkpoint()
        return StreamDetails(row_of(status), missing, self._resolver.branches(stream))

    def _known(self, stream: StreamId) -> StreamStatus:
        status = self._streams.status(stream)
        if status.genesis is None and not status.following:
            raise LocalError(
                f"nothing of {format_stream(stream)} is here",
                hint="qbix-node follow asks peers for it",
            )
        return status

    # ---- which ----

    def following(self) -> list[str]:
        rows = self._streams.streams()
        return [format_stream(status.stream) for status in rows if status.following]

    async def follow(self, stream: StreamId) -> None:
        require_disk(self._node)
        await self._streams.follow(stream)

    async def unfollow(self, stream: StreamId) -> None:
        require_disk(self._node)
        await self._streams.unfollow(stream)

    # ---- written ----

    async def create(self, kind: str, uniqueness: str, readers: Sequence[FeedId]) -> StreamRow:
        require_disk(self._node)
        if uniqueness not in list(Uniqueness):
            raise BadInput(f"{uniqueness[:40]!r} is no uniqueness: none or gossip")
        if uniqueness == Uniqueness.WATCHED:
            raise LocalError(
                "this version has no watchers, so it makes no watched streams",
                hint="gossip: every fork of the stream can be proven, but nothing prevents it",
            )
        salt, keys = random_bytes(SALT_BYTES), self._node.keys
        genesis = make_genesis(keys, kind, Uniqueness(uniqueness), salt=salt, readers=readers)
        with trio.move_on_after(CONFIRM_S):
            await self._streams.create(genesis)
            return row_of(self._streams.status(genesis.stream))
        raise _not_confirmed("stream list")

    async def append(self, stream: StreamId, kind: str, contents: Sequence[bytes]) -> StreamPlace:
        require_disk(self._node)
        self._require_own_streams()
        if not is_name(kind):
            raise BadInput(f"{kind[:80]!r} is no kind: 1 to 64 characters a-z, 0-9, '.', '_', '-'")
        entries = tuple([NewEntry(kind, content) for content in contents])
        with trio.move_on_after(CONFIRM_S):
            done = await self._streams.append(stream, entries)
            return StreamPlace(format_stream(stream), done.first, done.stop)
        raise _not_confirmed("stream log")

    async def resolve(self, stream: StreamId, root: bytes | None) -> StreamRow:
        require_disk(self._node)
        self._require_own_streams()
        with trio.move_on_after(CONFIRM_S):
            await self._resolver.resolve(stream, None if root is None else Hash(root))
            return row_of(self._streams.status(stream))
        raise _not_confirmed("stream show")

    def _require_own_streams(self) -> None:
        """An entry in a place that is taken elsewhere would fork the stream."""
        if self._home.brought_marker.exists():
            raise LocalError(
                "this identity was used elsewhere before, so it may not append here yet",
                hint="once its feed and its streams are here: qbix-node feed resume SEQUENCE",
            )

    # ---- read ----

    def log(self, stream: StreamId, first: int, limit: int) -> list[StreamEntry]:
        self._known(stream)
        return [entry_of(each) for each in self._streams.entries(stream, first, first + limit)]

    async def wait_for(self, stream: StreamId, index: int) -> None:
        await self._streams.wait_beyond(stream, index)

    def content(self, stream: StreamId, index: int) -> bytes:
        self._known(stream)
        for entry in self._streams.entries(stream, max(index, 1), index + 1):
            if entry.content is None:
                raise LocalError(f"the content of entry {index} is not here")
            return entry.content
        raise LocalError(f"entry {index} of {format_stream(stream)} is not here")

    def prove(self, stream: StreamId, index: int) -> bytes:
        return self._streams.prove(stream, index).encoded

    def export(self, stream: StreamId) -> Iterator[bytes]:
        """SPEC streams 9: the segments, then what is here about forks."""
        segments, gossip = self._streams.export(stream), self._node.gossip
        chosen = gossip.resolution(stream)
        resolves = [pack(chosen.signed.packable())] if chosen else []
        return chain(segments, map(archive.frame, [*resolves, *gossip.proofs(stream)]))

    # ---- imported ----

    async def import_(self, pieces: AsyncIterator[bytes]) -> StreamImport:
        require_disk(self._node)
        reader, done = ArchiveReader(), Imported(self._streams, self._node.gossip)
        async for piece in pieces:
            for frame in reader.take(piece):
                await done.take(frame)
        reader.end()
        return done.end()


def row_of(status: StreamStatus) -> StreamRow:
    genesis, state = status.genesis, status.state
    owners = state.owners if state else genesis.owners if genesis else None
    keys = [key for key, _ in owners.weights] if owners else []
    readers = genesis.readers if genesis else None
    others = None if readers is None else sorted(readers - set(keys))
    head = state.signed.head if state else None
    chosen = status.resolution
    return StreamRow(
        stream=format_stream(status.stream),
        kind=genesis.kind if genesis else None,
        uniqueness=genesis.uniqueness.value if genesis else None,
        owners=[format_feed(key) for key in keys],
        readers=None if others is None else [format_feed(key) for key in others],
        own=status.own,
        following=status.following,
        length=state.length if state else 0,
        head_length=head.length if head else 0,
        root=encode_base64(head.root) if head else None,
        timestamp=head.timestamp_ms if head else None,
        claimed=status.claimed,
        stopped=status.stopped,
        forked=status.stopped in (FORKED, CLOSED),
        closed=status.stopped == CLOSED,
        resolved_length=chosen.fork_length if chosen else None,
        resolved_root=encode_base64(chosen.chosen_root) if chosen else None,
    )


def entry_of(entry: Entry) -> StreamEntry:
    header = read_header(entry.leaf)
    text, content = None, entry.content
    if content is not None:
        text = _text(content)
    return StreamEntry(
        index=entry.place,
        kind=header.kind,
        author=format_feed(header.author),
        timestamp=header.timestamp_ms,
        bytes=header.content_size,
        content_hash=format_blob(header.content_hash),
        text=text,
        base64=encode_base64(content) if content is not None and text is None else None,
    )


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def entries_of(streams: Iterable[StreamStatus]) -> int:
    """That are stored; the genesis of a stream is none."""
    return sum([status.state.length - 1 for status in streams if status.state])


def require_disk(node: Node) -> None:
    """Otherwise the answer would wait until somebody makes room."""
    if reason := node.store.degraded:
        raise Temporary(reason, hint="make room; the node goes on by itself")


def _not_confirmed(look: str) -> Temporary:
    return Temporary(
        f"it was not on disk after {CONFIRM_S:.0f} s; it may still get there",
        hint=f"look at `qbix-node {look}` before you do it again",
    )
