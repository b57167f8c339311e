"""Replicate streams over links: the world of the StreamReplicator, and what the daemon asks."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import count

import structlog
import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import LocalError, Temporary
from qbix_node.net.link import Link, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.ports import Store
from qbix_node.replication.messages import Denied, Granted
from qbix_node.replication.streams.choice import StreamChoice, read_choice
from qbix_node.replication.streams.contents.messages import WantContents
from qbix_node.replication.streams.contents.service import StreamContents
from qbix_node.replication.streams.files import export
from qbix_node.replication.streams.importing.service import Importing
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
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.replication.streams.wishes.service import Wishes
from qbix_node.runtime import Executor, Runner, Verifier, verify_checks
from qbix_node.streams.caution import (
    APPEND_WAITS,
    PATIENCE_S,
    Caution,
    CautionChanged,
    Doubt,
    Doubted,
    ShownAhead,
    Trusted,
    caution_at_start,
    owned,
)
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
    Segment,
    SegmentRefused,
    SegmentSettled,
    SetOwners,
)
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.records import LogState, read_logs, read_streams
from qbix_node.streams.resolution import CLOSED, Resolution, read_resolutions, read_stopped
from qbix_node.streams.serving import Entry, read_entries
from qbix_node.streams.switching import LogDropped, ResolveStream, Switching, Withdraw, nothing_else
from qbix_node.streams.wishes import Writing
from qbix_node.wire.references import StreamId, format_feed, format_stream
from qbix_node.wire.v8json import JsonValue

log = structlog.get_logger()


class StreamReplication:
    """`observe` is told what the StreamReplicator finds and sends. `clean`: the last run with this
    store ended with a stop; None: nobody will tell whether others know more of own streams.
    """

    def __init__(
        self,
        keys: KeyPair,
        store: Store,
        *,
        rng: m.Rng,
        executor: Executor,
        clean: bool | None = None,
        patience_s: float = PATIENCE_S,
        withdraw: Withdraw = nothing_else,
        observe: Callable[[object], None] = lambda finding: None,
        wall_clock: Callable[[], float] = time.time,
        verify: Verifier = verify_checks,
    ) -> None:
        geneses = read_streams(store)
        self._machine = StreamReplicator(
            keys,
            choice=read_choice(store),
            geneses=geneses,
            logs=read_logs(store, geneses),
            stopped=read_stopped(store),
            resolutions=read_resolutions(store),
            withdraw=withdraw,
        )
        book = self._machine.book
        if clean is not None:
            unclosed = [geneses[each] for each in geneses if book.stopped.get(each) != CLOSED]
            own = owned(unclosed, book.logs, keys.public)
            book.caution = caution_at_start(store, own, clean=clean)
        self._runner = Runner(self._machine, self, store, rng, executor, verify)
        self.contents = StreamContents(store, self._machine.serves, self._runner.post)
        self._around = Surroundings(store, book.logs, book.resolutions, self._runner.post)
        self._store = store
        self._patience_s = patience_s
        self._wall_clock = wall_clock
        self._observe = observe
        self._listeners: list[Callable[[object], None]] = []
        self._remotes: dict[Link, StreamRemote] = {}  # of links that are up
        self._peers: dict[m.PeerId, StreamRemote] = {}  # those that the machine knows of
        self._left, self._leaving = trio.open_memory_channel[StreamRemote](math.inf)
        self._wishes = Wishes(self._runner.post)
        self._numbers = count(1)
        self._growth: dict[StreamId, trio.Event] = {}
        self._drops = Counter[StreamId]()  # of logs that lay on another branch, since the start
        self._caution_changed = trio.Event()
        self._importing = Importing(store, book, self.contents.fill, self._runner.post)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. What fails in the machine or the store ends the process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._runner.run)
            nursery.start_soon(self._see_off)
            await self._runner.post(m.Requested(None))  # a switch may have been interrupted
            task_status.started()

    def listen(self, hear: Callable[[object], None]) -> None:
        """`hear` is told what is found, too, and never waits."""
        self._listeners.append(hear)

    # ---- for the network ----

    def methods(self) -> Methods:
        return {METHOD: Method("duplex", self._answer), **self.contents.methods()}

    async def on_link(self, link: Link) -> None:
        """Replicate over this link until cancelled."""
        remote = self._remote(link)
        try:
            if earlier := self._peers.get(link.peer):
                await earlier.gone.wait()
            self._peers[link.peer] = remote
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.contents.on_link, link)
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
    def stopped(self) -> Mapping[StreamId, str]:
        """Those that take no entries any more, and why."""
        return self._machine.book.stopped

    @property
    def switching(self) -> Switching:
        return self._machine.book.switching

    @property
    def choice(self) -> StreamChoice:
        return self._machine.choice

    def holders(self, stream: StreamId) -> dict[m.PeerId, int]:
        """Connected peers that say that they keep its contents, with the lengths they claim."""
        return self._machine.holders(stream)

    def announced_by(self, peer: m.PeerId) -> list[StreamId]:
        """Streams that a connected peer says to have, be they ours or not."""
        return [*self._machine.held_by(peer), *self._machine.named_by(peer)]

    @property
    def key(self) -> AuthorId:
        """Of this node, as an owner of streams."""
        return AuthorId(self._machine.book.keys.public)

    @property
    def caution(self) -> Caution:
        return self._machine.book.caution

    async def heed(self, word: Doubted | Trusted | ShownAhead) -> None:
        await self._runner.post(m.Requested(word))

    async def stop(self, stream: StreamId, reason: str) -> None:
        """Take nothing further of it."""
        await self._runner.post(m.Requested(StopStream(stream, reason)))

    async def resolve(self, resolution: Resolution) -> None:
        """From now on the stream is what its owners chose, which is durable; a log that lies on
        another branch goes in its own time.
        """
        change = ResolveStream(resolution)
        await self._wishes.ask(change, change)

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
            headers_only=stream in self._machine.choice.bare,
            stopped=book.stopped.get(stream),
            resolution=book.resolutions.get(stream),
            claimed=max([peer.claims(stream) for peer in talks.peers.values()], default=0),
            waits=book.why_wait(stream),
        )

    async def create(self, genesis: Genesis) -> None:
        """Returns once it is durable. Raises LocalError, as those below do."""
        number = next(self._numbers)
        await self._wishes.ask(number, Create(number, genesis, self._now_ms()))

    async def append(self, stream: StreamId, entries: tuple[NewEntry, ...]) -> Appended:
        """All together; returns once they are durable under a Head. Where that is not safe, wait a
        while for it to be; then Temporary.
        """
        return await self._write(Append(next(self._numbers), stream, entries, self._now_ms()))

    async def set_owners(self, stream: StreamId, owners: Owners) -> Appended:
        """As `append`; from then on this node signs nothing of it, unless it is among them."""
        return await self._write(SetOwners(next(self._numbers), stream, owners, self._now_ms()))

    async def _write(self, wish: Writing) -> Appended:
        await self.hold(wish.stream)
        done = await self._wishes.ask(wish.request, wish)
        assert done is not None
        return done

    async def follow(self, stream: StreamId, *, headers_only: bool = False) -> None:
        """From now on."""
        change = FollowStream(stream, headers_only)
        await self._wishes.ask(change, change)

    async def unfollow(self, stream: StreamId) -> None:
        """Stop asking for and announcing it; what is stored stays."""
        change = UnfollowStream(stream)
        await self._wishes.ask(change, change)

    async def take(self, segment: Segment) -> int:
        """From an export of a followed stream. Returns once it is durable, with how many contents
        it brought that were missing here.
        """
        return await self._importing.take(segment)

    def entries(self, stream: StreamId, first: int, stop: int) -> Iterator[Entry]:
        # Of a log that is being dropped there may be more.
        stop = min(stop, self._machine.book.length(stream))
        return read_entries(self._store, stream, first, stop)

    def export(self, stream: StreamId) -> Iterator[bytes]:
        """The file of section 9, in pieces. Raises LocalError if it can't be whole."""
        state, resolution = self.whole(stream), self._machine.book.resolutions.get(stream)
        return export(self._store, state, resolution, lambda: self._drops[stream])

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

    def why_wait(self, stream: StreamId) -> Doubt | str | None:
        """Why this node, an owner, signs nothing of it for now."""
        return self._machine.book.why_wait(stream)

    async def hold(self, stream: StreamId) -> None:
        """Wait a while for what keeps the node from appending to end."""
        with trio.move_on_after(APPEND_WAITS * self._patience_s):
            while self.why_wait(stream) is not None or stream in self.caution.doubts:
                await self._caution_changed.wait()

    async def wait_beyond(self, stream: StreamId, length: int) -> None:
        """Return once the log is longer."""
        while self._machine.book.length(stream) <= length:
            await self._growth.setdefault(stream, trio.Event()).wait()

    def _now_ms(self) -> int:
        return int(1000 * self._wall_clock())

    def _caution_may_have_changed(self) -> None:
        self._caution_changed.set()
        self._caution_changed = trio.Event()

    # ---- the StreamReplicator's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        """Never waits: notes and ranges wait in an outbox, bounded by the streams in it."""
        self._observe(m.Send(to, message))
        if isinstance(message, WantContents):
            self.contents.ask(to, message)
        elif remote := self._peers.get(to):
            remote.carry_out(message)

    def found(self, finding: object) -> None:
        match finding:
            case SegmentSettled(peer) | SegmentRefused(peer) if peer == EXPORT:
                self._importing.hear(finding)
            case SegmentSettled(peer, size_bytes):
                if remote := self._peers.get(peer):
                    remote.settle(size_bytes)
            case Grown() | LogDropped():
                self._changed(finding)
            case CautionChanged():
                self._caution_may_have_changed()
            case Appended() | AppendRefused() | Granted() | Denied():
                self._wishes.decide(finding)
            case SegmentRefused(peer, stream, first, reason):
                self.counters.segments_refused += 1
                refused = {"peer": format_feed(peer), "stream": format_stream(stream)}
                log.info("segment.refused", **refused, first=first, reason=reason)
            case HeadContradicts(peer, signed):
                named = {"peer": format_feed(peer), "stream": format_stream(signed.head.stream)}
                log.warning("head.contradicts", **named, length=signed.head.length)
            case _:
                pass
        self.contents.found(finding)
        for hear in self._listeners:
            hear(finding)
        self._observe(finding)

    def _changed(self, finding: Grown | LogDropped) -> None:
        match finding:
            case Grown(stream, first, stop):
                self.counters.entries_appended += stop - first
                self._growth.pop(stream, trio.Event()).set()
                self._caution_may_have_changed()
            case LogDropped(stream):
                self._drops[stream] += 1
                log.warning("log.dropped", stream=format_stream(stream))
