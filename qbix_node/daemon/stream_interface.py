"""Streams as the HTTP interface sees them: what people ask of them, and how they are."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain

import trio

from qbix_node.crypto.entropy import random_bytes
from qbix_node.daemon.node import Node
from qbix_node.errors import BadInput, LocalError, Malformed, Temporary
from qbix_node.gossip.service import Gossip
from qbix_node.http.stream_api import (
    DoubtRow,
    StreamDetails,
    StreamEntry,
    StreamImport,
    StreamPlace,
    StreamRow,
)
from qbix_node.replication.streams.service import FORKED, StreamReplication
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.streams import archive
from qbix_node.streams.archive import ArchiveReader, Frame
from qbix_node.streams.authoring import make_genesis
from qbix_node.streams.caution import Doubt
from qbix_node.streams.forks import check_fork, check_resolve
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.growth import begin
from qbix_node.streams.messages import Appended, NewEntry, Segment, SignedResolve, read_header
from qbix_node.streams.serving import Entry
from qbix_node.wire.fields import is_name
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

    def __init__(self, node: Node) -> None:
        self._node = node

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
        return StreamDetails(row_of(status), missing)

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
        if not is_name(kind):
            raise BadInput(f"{kind[:80]!r} is no kind: 1 to 64 characters a-z, 0-9, '.', '_', '-'")
        entries = tuple([NewEntry(kind, content) for content in contents])
        with trio.move_on_after(CONFIRM_S):
            done = await self._append(stream, entries)
            return StreamPlace(format_stream(stream), done.first, done.stop)
        raise _not_confirmed("stream log")

    async def _append(self, stream: StreamId, entries: tuple[NewEntry, ...]) -> Appended:
        try:
            return await self._streams.append(stream, entries)
        except Temporary as refusal:
            hint = refusal.hint or _how_to_go_on(self._streams.status(stream))
            raise Temporary(str(refusal), hint=hint) from refusal

    async def resume(self, stream: StreamId, length: int) -> None:
        require_disk(self._node)
        status = self._known(stream)
        here = status.state.length if status.state else 0
        if not status.own:
            raise LocalError("this node is not the only owner of that stream")
        if length != here:
            raise LocalError(
                f"the log of that stream has the length {here} here, not {length}",
                hint="wait until peers have sent what is missing: qbix-node stream show STREAM",
            )
        if status.waits is not None and not isinstance(status.waits, Doubt):
            raise LocalError(
                f"{status.waits}; to append now would fork it for certain",
                hint=_how_to_go_on(status),
            )
        await self._node.gossip.end_doubt(stream)

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
        """SPEC streams 9: the segments, then the fork proofs that are here."""
        segments = self._streams.export(stream)
        return chain(segments, map(archive.frame, self._node.gossip.proofs(stream)))

    # ---- imported ----

    async def import_(self, pieces: AsyncIterator[bytes]) -> StreamImport:
        require_disk(self._node)
        reader, done = ArchiveReader(), _Imported(self._streams, self._node.gossip)
        async for piece in pieces:
            for frame in reader.take(piece):
                await done.take(frame)
        reader.end()
        assert done.stream is not None
        length = done.length
        return StreamImport(format_stream(done.stream), done.added, length, done.proofs)


class _Imported:
    """What has come of one file so far."""

    def __init__(self, streams: StreamReplication, gossip: Gossip) -> None:
        self._streams = streams
        self._gossip = gossip
        self.stream: StreamId | None = None
        self._genesis: Genesis
        self.added = 0
        self.proofs = 0

    @property
    def length(self) -> int:
        state = self._streams.status(self.stream).state if self.stream else None
        return state.length if state else 0

    async def take(self, frame: Frame) -> None:
        """Raises BadInput, which says at which frame."""
        try:
            await self._take(frame)
        except (BadInput, Malformed) as error:
            kept = "nothing of it was kept" if not self.length else "what is good before it is kept"
            raise BadInput(f"frame {frame.number}: {error}", hint=kept) from error

    async def _take(self, frame: Frame) -> None:
        match frame.content:
            case Segment() as segment if self.stream is None:
                self._genesis = begin(segment)
                await self._take_first(segment)
            case Segment() as segment:
                await self._add(segment)
            case SignedResolve() as resolve:
                check_resolve(self._genesis, resolve)
            case fork:
                check_fork(fork)
                await self._gossip.submit(fork)
                self.proofs += 1

    async def _take_first(self, segment: Segment) -> None:
        """The stream is followed from now on, unless this is not its beginning after all."""
        self.stream = segment.stream
        before = self._streams.status(segment.stream)
        await self._streams.follow(segment.stream)
        try:
            await self._add(segment)
        except BadInput:
            if not self.length and not before.following:
                await self._streams.unfollow(segment.stream)
            raise

    async def _add(self, segment: Segment) -> None:
        before = self.length
        await self._streams.take(segment)
        self.added += max(0, self.length - max(before, 1))  # the genesis is no entry


def row_of(status: StreamStatus) -> StreamRow:
    genesis, state = status.genesis, status.state
    owners = state.owners if state else genesis.owners if genesis else None
    keys = [key for key, _ in owners.weights] if owners else []
    readers = genesis.readers if genesis else None
    others = None if readers is None else sorted(readers - set(keys))
    head = state.signed.head if state else None
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
        forked=status.stopped == FORKED,
        doubt=None if status.waits is None else str(status.waits),
    )


def _how_to_go_on(status: StreamStatus) -> str:
    if not isinstance(status.waits, Doubt):
        return "call peers that have its entries: qbix-node peer add ADDRESS"
    length = status.state.length if status.state else 0
    return (
        "it goes on once a peer that has the stream was asked: qbix-node peer add ADDRESS; if this"
        " node's key signed nothing of it that is not here, which would fork it for good:"
        f" qbix-node stream resume {format_stream(status.stream)} {length}"
    )


def doubts_of(streams: Iterable[StreamStatus]) -> list[DoubtRow]:
    """Not of those that only wait for a moment after the start."""
    return [
        DoubtRow(format_stream(status.stream), status.state.length, str(status.waits))
        for status in streams
        if status.state and status.waits not in (None, Doubt.STARTED)
    ]


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
