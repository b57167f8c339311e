"""Replicate streams over links: the world of the StreamReplicator, and what the daemon asks."""

import math
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

import structlog
import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput, LocalError, Temporary
from qbix_node.net.link import Link, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.ports import Store
from qbix_node.replication.messages import Denied, Granted
from qbix_node.replication.streams.choice import StreamChoice, read_followed_streams
from qbix_node.replication.streams.machine import EXPORT, StreamReplicator
from qbix_node.replication.streams.messages import (
    FollowStream,
    StopStream,
    UnfollowStream,
    parse_format,
)
from qbix_node.replication.streams.remote.service import (
    METHOD,
    Counters,
    StreamRemote,
    Surroundings,
)
from qbix_node.runtime import Executor, Runner, Verifier, verify_checks
from qbix_node.streams.archive import OPENING, frame
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.inclusion import Inclusion, prove
from qbix_node.streams.messages import (
    Append,
    Appended,
    AppendRefused,
    Create,
    Grown,
    HeadContradicts,
    NewEntry,
    OfferedSegment,
    Segment,
    SegmentRefused,
    SegmentSettled,
)
from qbix_node.streams.records import LogState, log_key, read_log_state, read_proofs, read_streams
from qbix_node.streams.serving import Entry, make_segments, read_entries
from qbix_node.wire.references import StreamId, format_feed, format_stream
from qbix_node.wire.v8json import JsonValue

EXPORT_ENTRIES = 256  # read at a time
FORKED = "its owners forked that stream"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """`genesis`, `state`: None where nothing of it is here yet."""

    stream: StreamId
    genesis: Genesis | None
    state: LogState | None
    own: bool
    following: bool
    stopped: str | None  # why it takes no entries any more
    claimed: int  # the greatest length that a connected peer claims


@dataclass(slots=True)
class _Wish:
    """Something asked of the StreamReplicator, until it is durable or refused."""

    decided: trio.Event = field(default_factory=trio.Event)
    done: Appended | None = None
    refusal: LocalError | None = None


@dataclass(slots=True)
class _Import:
    """A segment from a file, until it is dealt with."""

    settled: trio.Event = field(default_factory=trio.Event)
    refusal: str | None = None


class StreamReplication:
    """`observe` is told what the StreamReplicator finds and sends."""

    def __init__(
        self,
        keys: KeyPair,
        store: Store,
        *,
        rng: m.Rng,
        executor: Executor,
        observe: Callable[[object], None] = lambda finding: None,
        wall_clock: Callable[[], float] = time.time,
        verify: Verifier = verify_checks,
    ) -> None:
        geneses = read_streams(store)
        self._machine = StreamReplicator(
            keys,
            choice=StreamChoice(followed=read_followed_streams(store)),
            geneses=geneses,
            logs=dict(_read_logs(store, geneses)),
            stopped=dict.fromkeys(read_proofs(store), FORKED),
        )
        self._runner = Runner(self._machine, self, store, rng, executor, verify)
        self._around = Surroundings(store, self._machine.book.logs, self._runner.post)
        self._store = store
        self._wall_clock = wall_clock
        self._observe = observe
        self._listeners: list[Callable[[object], None]] = []
        self._remotes: dict[Link, StreamRemote] = {}  # of links that are up
        self._peers: dict[m.PeerId, StreamRemote] = {}  # those that the machine knows of
        self._left, self._leaving = trio.open_memory_channel[StreamRemote](math.inf)
        self._wishes: dict[object, deque[_Wish]] = {}
        self._numbers = count(1)
        self._growth: dict[StreamId, trio.Event] = {}
        self._importing = _Import()
        self._importing.settled.set()
        self._import_turn = trio.Lock()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. What fails in the machine or the store ends the process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._runner.run)
            nursery.start_soon(self._see_off)
            task_status.started()

    def listen(self, hear: Callable[[object], None]) -> None:
        """`hear` is told what is found, too, and never waits."""
        self._listeners.append(hear)

    # ---- for the network ----

    def methods(self) -> Methods:
        return {METHOD: Method("duplex", self._answer)}

    async def on_link(self, link: Link) -> None:
        """Replicate over this link until cancelled."""
        remote = self._remote(link)
        try:
            if earlier := self._peers.get(link.peer):
                await earlier.gone.wait()
            self._peers[link.peer] = remote
            await remote.run()
        finally:
            del self._remotes[link]
            if self._peers.get(link.peer) is remote:
                self._left.send_nowait(remote)  # one for each link: no bound of its own is needed

    def _remote(self, link: Link) -> StreamRemote:
        """The same one for who comes first, be it the link or a request of the peer."""
        if link not in self._remotes:
            self._remotes[link] = StreamRemote(link, self._around)
        return self._remotes[link]

    async def _see_off(self) -> None:
        async for remote in self._leaving:
            await self._runner.post(m.Disconnected(remote.link.peer))
            del self._peers[remote.link.peer]
            remote.gone.set()

    async def _answer(
        self, link: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> JsonValue:
        assert stream is not None
        format_ = parse_format(arguments)
        remote = self._remote(link)
        await remote.connected.wait()
        await remote.answer(format_, stream)
        return None

    # ---- for the daemon ----

    @property
    def counters(self) -> Counters:
        return self._around.counters

    @property
    def geneses(self) -> Mapping[StreamId, Genesis]:
        """Of the streams that are here; it changes as they come."""
        return self._machine.book.geneses

    @property
    def logs(self) -> Mapping[StreamId, LogState]:
        return self._machine.book.logs

    @property
    def followed(self) -> Container[StreamId]:
        return self._machine.choice.followed

    def held_by(self, peer: m.PeerId) -> list[StreamId]:
        """Streams that we share with a connected peer."""
        return self._machine.held_by(peer)

    async def stop(self, stream: StreamId, reason: str) -> None:
        """Take nothing further of it."""
        await self._runner.post(m.Requested(StopStream(stream, reason)))

    def streams(self) -> list[StreamStatus]:
        """Those that are stored or followed."""
        every = {**self._machine.book.geneses, **dict.fromkeys(self._machine.choice.followed)}
        return [self.status(stream) for stream in sorted(every)]

    def status(self, stream: StreamId) -> StreamStatus:
        book, talks = self._machine.book, self._machine.talks
        return StreamStatus(
            stream,
            book.geneses.get(stream),
            book.logs.get(stream),
            own=book.owns(stream),
            following=stream in self._machine.choice.followed,
            stopped=book.stopped.get(stream),
            claimed=max([peer.claims(stream) for peer in talks.peers.values()], default=0),
        )

    async def create(self, genesis: Genesis) -> None:
        """Returns once it is durable. Raises LocalError, as those below do."""
        number = next(self._numbers)
        await self._wish(number, Create(number, genesis, self._now_ms()))

    async def append(self, stream: StreamId, entries: tuple[NewEntry, ...]) -> Appended:
        """All together; returns once they are durable under a Head."""
        number = next(self._numbers)
        wish = await self._wish(number, Append(number, stream, entries, self._now_ms()))
        assert wish.done is not None
        return wish.done

    async def follow(self, stream: StreamId) -> None:
        """From now on."""
        change = FollowStream(stream)
        await self._wish(change, change)

    async def unfollow(self, stream: StreamId) -> None:
        """Stop asking for and announcing it; what is stored stays."""
        change = UnfollowStream(stream)
        await self._wish(change, change)

    async def take(self, segment: Segment) -> None:
        """From an export of a followed stream, after the same checks as what peers send; returns
        once it is durable.
        """
        self._compare(segment)
        async with self._import_turn:
            await self._importing.settled.wait()  # of one that was given up
            work = self._importing = _Import()
            try:
                await self._runner.post(m.Requested(OfferedSegment(segment)))
            except trio.Cancelled:
                work.settled.set()
                raise
            await work.settled.wait()
        if work.refusal is not None:
            raise BadInput(work.refusal)
        if self._machine.book.length(segment.stream) < segment.stop:
            stopped = self._machine.book.stopped.get(segment.stream)
            reason = stopped or "it is followed no longer, or much of it comes from peers already"
            raise Temporary(f"{format_stream(segment.stream)} takes no entries now: {reason}")

    def _compare(self, segment: Segment) -> None:
        """With what is here of it. Raises BadInput."""
        stop = min(segment.stop, self._machine.book.length(segment.stream))
        for entry in self.entries(segment.stream, segment.first, stop):
            if entry.leaf != segment.leaves[entry.place - segment.first]:
                raise BadInput(
                    f"entry {entry.place} is another than the one that is here: one of both is"
                    " not the owners', or they forked the stream"
                )

    def entries(self, stream: StreamId, first: int, stop: int) -> Iterator[Entry]:
        return read_entries(self._store, stream, first, stop)

    def export(self, stream: StreamId) -> Iterator[bytes]:
        """The file of section 9, in pieces. Raises LocalError if it can't be whole."""
        state = self.whole(stream)
        return self._export(state)

    def _export(self, state: LogState) -> Iterator[bytes]:
        yield OPENING
        for first in range(0, state.length, EXPORT_ENTRIES):
            stop = min(first + EXPORT_ENTRIES, state.length)
            for segment in make_segments(self._store, state, first, stop):
                yield frame(segment.encoded)

    def prove(self, stream: StreamId, place: int) -> Inclusion:
        """Raises LocalError."""
        state = self.whole(stream)
        return prove(self._store, self._machine.book.geneses[stream], state, place)

    def whole(self, stream: StreamId) -> LogState:
        """A log that ends at its newest Head. Raises LocalError where that is not here."""
        state = self._machine.book.logs.get(stream)
        if state is None:
            raise LocalError(
                f"nothing of {format_stream(stream)} is here",
                hint="qbix-node follow asks peers for it",
            )
        if state.frontier:
            covered = state.signed.head.length
            raise Temporary(
                f"{state.length} of {covered} entries of {format_stream(stream)} are here",
                hint="the others come from peers that have them; qbix-node stream show tells",
            )
        return state

    async def wait_beyond(self, stream: StreamId, length: int) -> None:
        """Return once the log is longer."""
        while self._machine.book.length(stream) <= length:
            await self._growth.setdefault(stream, trio.Event()).wait()

    def _now_ms(self) -> int:
        return int(1000 * self._wall_clock())

    async def _wish(self, name: object, request: object) -> _Wish:
        wish = _Wish()
        wishes = self._wishes.setdefault(name, deque())
        wishes.append(wish)
        try:
            await self._runner.post(m.Requested(request))
        except trio.Cancelled:
            wishes.remove(wish)  # else the answer to the next one would be taken for its own
            raise
        await wish.decided.wait()
        if wish.refusal is not None:
            raise wish.refusal
        return wish

    def _decide(self, finding: Appended | AppendRefused | Granted | Denied) -> None:
        """Requests are decided in the order in which they were made."""
        wishes = self._wishes[finding.request]
        wish = wishes.popleft()
        if not wishes:
            del self._wishes[finding.request]
        match finding:
            case Appended():
                wish.done = finding
            case AppendRefused(reason=reason, bad_content=bad_content):
                wish.refusal = BadInput(reason) if bad_content else LocalError(reason)
            case Denied(reason=reason):
                wish.refusal = LocalError(reason)
            case Granted():
                pass
        wish.decided.set()

    # ---- the StreamReplicator's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        """Never waits: notes and ranges wait in an outbox, bounded by the streams in it."""
        self._observe(m.Send(to, message))
        if remote := self._peers.get(to):
            remote.carry_out(message)

    def found(self, finding: object) -> None:
        match finding:
            case SegmentSettled(peer) if peer == EXPORT:
                self._importing.settled.set()
            case SegmentRefused(peer, reason=reason) if peer == EXPORT:
                self._importing.refusal = reason
            case SegmentSettled(peer, size_bytes):
                if remote := self._peers.get(peer):
                    remote.settle(size_bytes)
            case Grown(stream, first, stop):
                self.counters.entries_appended += stop - first
                self._growth.pop(stream, trio.Event()).set()
            case Appended() | AppendRefused() | Granted() | Denied():
                self._decide(finding)
            case SegmentRefused(peer, stream, first, reason):
                self.counters.segments_refused += 1
                refused = {"peer": format_feed(peer), "stream": format_stream(stream)}
                log.info("segment.refused", **refused, first=first, reason=reason)
            case HeadContradicts(peer, signed):
                named = {"peer": format_feed(peer), "stream": format_stream(signed.head.stream)}
                log.warning("head.contradicts", **named, length=signed.head.length)
            case _:
                pass
        for hear in self._listeners:
            hear(finding)
        self._observe(finding)


def _read_logs(
    store: Store, geneses: dict[StreamId, Genesis]
) -> Iterator[tuple[StreamId, LogState]]:
    for stream in geneses:
        record = store.get(log_key(stream))
        if record is not None:
            yield stream, read_log_state(record, stream)
