"""Streams as the HTTP interface sees them: what people ask of them, and how they are."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

import trio

from qbix_node.daemon.handing_over import hand_over
from qbix_node.daemon.importing import Imported
from qbix_node.daemon.node import Node
from qbix_node.daemon.resolving import Resolver
from qbix_node.daemon.stream_founding import founded, handed_in, require_writable, sequenced
from qbix_node.daemon.stream_rows import details_of, row_of, with_kept_head
from qbix_node.errors import BadInput, LocalError, Temporary
from qbix_node.http.stream_api import (
    DoubtRow,
    NewOwner,
    NewStream,
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
from qbix_node.streams.caution import Doubt
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import LargeContent, NewEntry, read_header
from qbix_node.streams.serving import Entry
from qbix_node.streams.tree import Hash
from qbix_node.wire.fields import is_name
from qbix_node.wire.packing import pack
from qbix_node.wire.references import (
    StreamId,
    encode_base64,
    format_blob,
    format_feed,
    format_stream,
)

CONFIRM_S = 30.0  # entries that are not on disk by then may still get there


class StreamInterface:
    """Implements http.stream_api.StreamApi."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._resolver = Resolver(node)

    @property
    def _streams(self) -> StreamReplication:
        return self._node.streams

    # ---- how they are ----

    def streams(self) -> list[StreamRow]:
        here = [status.stream for status in self._streams.streams()]
        heard = [each for each in self._node.gossip.heads_only.streams if each not in here]
        return [
            with_kept_head(self._node.gossip, row_of(self._status(stream)), stream)
            for stream in sorted([*here, *heard])
        ]

    async def show(self, stream: StreamId) -> StreamDetails:
        status = self.known(stream)
        length = status.state.length if status.state else 0
        gaps = await self._streams.contents.gaps(stream, 0, length)
        return details_of(self._node, status, gaps, self._resolver.branches(stream))

    def known(self, stream: StreamId) -> StreamStatus:
        status = self._status(stream)
        heard = stream in self._node.gossip.heads_only
        if status.genesis is None and not (status.following or heard):
            raise LocalError(
                f"nothing of {format_stream(stream)} is here",
                hint="qbix-node follow asks peers for it",
            )
        return status

    def _status(self, stream: StreamId) -> StreamStatus:
        """With a genesis that is known from those who told of a Head."""
        status, kept = self._streams.status(stream), self._node.gossip.heads_only
        return replace(status, genesis=status.genesis or kept.geneses.get(stream))

    # ---- which ----

    def following(self) -> list[str]:
        rows = self.streams()
        return [row.stream for row in rows if row.following or row.heads_only]

    async def follow(self, stream: StreamId, *, headers_only: bool = False) -> None:
        require_disk(self._node)
        await self._streams.follow(stream, headers_only=headers_only)

    async def hear_of(self, stream: StreamId) -> None:
        require_disk(self._node)
        kept, genesis = self._node.gossip.heads_only, self._status(stream).genesis
        if genesis is not None and genesis.uniqueness is not Uniqueness.GOSSIP:
            raise LocalError(
                f"nobody tells Heads of {format_stream(stream)}: its uniqueness is"
                f" {genesis.uniqueness.value}",
                hint="qbix-node follow --headers-only keeps no contents of it",
            )
        if reason := kept.why_full(stream):
            raise LocalError(reason)  # before it is followed no longer
        await self._streams.unfollow(stream)
        await self._node.gossip.hear_of(stream, wanted=True)

    async def unfollow(self, stream: StreamId) -> None:
        require_disk(self._node)
        await self._streams.unfollow(stream)
        await self._node.gossip.hear_of(stream, wanted=False)

    # ---- written ----

    async def create(self, wish: NewStream) -> StreamDetails:
        require_disk(self._node)
        genesis = founded(self._node.keys, wish)
        alone = genesis.owners.only is not None
        with trio.move_on_after(CONFIRM_S):
            await (self._streams.create if alone else self._node.sequencing.begin)(genesis)
            return await self.show(genesis.stream)
        raise _not_confirmed("stream list")

    async def append(
        self, stream: StreamId, kind: str, contents: Sequence[bytes | LargeContent]
    ) -> StreamPlace:
        require_disk(self._node)
        if not is_name(kind):
            raise BadInput(f"{kind[:80]!r} is no kind: 1 to 64 characters a-z, 0-9, '.', '_', '-'")
        entries = tuple([NewEntry(kind, content) for content in contents])
        if sequenced(self._node, self._streams.status(stream)):
            with self._hinted(stream):
                return await handed_in(self._node, stream, entries)
        with trio.move_on_after(CONFIRM_S), self._hinted(stream):
            done = await self._streams.append(stream, entries)
            return StreamPlace(format_stream(stream), done.first, done.stop, len(entries))
        raise _not_confirmed("stream log")

    async def resolve(self, stream: StreamId, root: bytes | None) -> StreamRow:
        require_disk(self._node)
        with trio.move_on_after(CONFIRM_S):
            await self._resolver.resolve(stream, None if root is None else Hash(root))
            return row_of(self._streams.status(stream))
        raise _not_confirmed("stream show")

    async def set_owners(
        self, stream: StreamId, owners: Sequence[NewOwner], threshold: int | None
    ) -> StreamRow:
        require_disk(self._node)
        with trio.move_on_after(CONFIRM_S), self._hinted(stream):
            await hand_over(self._node, self.known(stream), owners, threshold)
            return row_of(self._streams.status(stream))
        raise _not_confirmed("stream show")

    def require_appendable(self, stream: StreamId) -> None:
        """As far as it can be known before the entry is made. Raises LocalError."""
        require_disk(self._node)
        status = self.known(stream)
        if sequenced(self._node, status):
            require_writable(self._node, status)
        elif not status.own:
            raise LocalError("this node is not the only owner of that stream")
        if status.stopped is not None:
            raise LocalError(status.stopped)

    @contextmanager
    def _hinted(self, stream: StreamId) -> Iterator[None]:
        """Who has to wait is told for what."""
        try:
            yield
        except Temporary as refusal:
            status = self._streams.status(stream)
            hint = refusal.hint or ("" if status.waits is None else _how_to_go_on(status))
            raise Temporary(str(refusal), hint=hint) from refusal

    async def resume(self, stream: StreamId, length: int) -> None:
        require_disk(self._node)
        status = self.known(stream)
        here = status.state.length if status.state else 0
        owners = status.state.owners if status.state else None
        if owners is None or owners.index(self._node.keys.public) is None:
            raise LocalError("this node is no owner of that stream")
        if length != here:
            name = format_stream(stream)
            raise LocalError(
                f"the log of that stream has the length {here} here, not {length}",
                hint=f"wait until peers have sent what is missing: qbix-node stream show {name}"
                if length > here
                else f"look at what is here first: qbix-node stream show {name}",
            )
        if status.waits is not None and not isinstance(status.waits, Doubt):
            raise LocalError(
                f"{status.waits}; to append now would fork it for certain",
                hint=_how_to_go_on(status),
            )
        await self._node.gossip.end_doubt(stream)

    # ---- read ----

    def log(self, stream: StreamId, first: int, limit: int) -> list[StreamEntry]:
        self.known(stream)
        return [entry_of(each) for each in self._streams.entries(stream, first, first + limit)]

    async def wait_for(self, stream: StreamId, index: int) -> None:
        await self._streams.wait_beyond(stream, index)

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
        reader, done = ArchiveReader(), Imported(self._node.store, self._streams, self._node.gossip)
        async for piece in pieces:
            for frame in reader.take(piece):
                await done.take(frame)
        reader.end()
        return done.end()


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
