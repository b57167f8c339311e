"""The world of the StreamReplicator: what the service of streams is in the daemon."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from netsim.lean.contents import Contents
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.streamed import StreamRemote
from netsim.lean.writer import Writer
from netsim.plan import Operation
from netsim.streams import PlannedStream, entries_of
from qbix_node import machines as m
from qbix_node.replication.streams.choice import read_choice
from qbix_node.replication.streams.contents.messages import Change, WantContents
from qbix_node.replication.streams.machine import EXPORT, StreamReplicator
from qbix_node.replication.streams.messages import FollowStream, StopStream, UnfollowStream
from qbix_node.sequencing.withdrawing import withdraw
from qbix_node.streams.caution import (
    APPEND_WAITS,
    PATIENCE_S,
    CautionChanged,
    Doubted,
    ShownAhead,
    Trusted,
    caution_at_start,
)
from qbix_node.streams.messages import Append, Create, OfferedSegment, Segment, SegmentSettled
from qbix_node.streams.records import log_key, read_log_state, read_streams
from qbix_node.streams.resolution import CLOSED, Resolution, read_resolutions, read_stopped
from qbix_node.streams.shelf import AskFor, Drop, Edit
from qbix_node.streams.switching import ResolveStream
from qbix_node.wire.references import StreamId


class Streaming:
    """`hear` is told what is found, as the services that listen to replication are."""

    def __init__(
        self,
        process: Process,
        writer: Writer,
        hear: Callable[[object], object],
        *,
        clean: bool,
    ) -> None:
        self._process = process
        self._listeners = [hear]
        self._requests = count(1)
        disk = process.site.disk
        geneses = read_streams(disk)
        records = [(stream, disk.get(log_key(stream))) for stream in geneses]
        self.machine = StreamReplicator(
            process.site.keys,
            choice=read_choice(disk),
            geneses=geneses,
            logs={stream: read_log_state(each, stream) for stream, each in records if each},
            stopped=read_stopped(disk),
            resolutions=read_resolutions(disk),
            withdraw=withdraw,
        )
        book = self.machine.book
        going_on = [each for each in geneses if book.stopped.get(each) != CLOSED]
        own = [geneses[each] for each in going_on if book.owns(each)]
        book.caution = caution_at_start(disk, own, clean=clean)
        self._waiting: list[_Waiting] = []  # appends, until their streams are trusted
        self._runner = Runner(process, writer, self.machine, self, rng=process.site.rng("streams"))
        self.contents = Contents(process, self._runner, self.machine.serves)
        self._remotes: dict[m.PeerId, StreamRemote] = {}

    def start(self) -> None:
        self._ask(None)  # a switch may have been interrupted

    def listen(self, hear: Callable[[object], object]) -> None:
        """`hear` is told what is found, too."""
        self._listeners.append(hear)

    # ---- what its person asks, and gossip ----

    def create(self, stream: PlannedStream) -> None:
        self._ask(Create(next(self._requests), stream.genesis, self._now_ms()))

    def append(self, stream: PlannedStream, operation: Operation) -> None:
        """At once, or when that is safe; if it is not for long, it is refused."""
        self.when_safe(stream, lambda: self._append(stream.id, operation))

    def when_safe(self, stream: PlannedStream, then: Callable[[], object]) -> None:
        """As soon as nothing keeps the node from appending, or when that took too long."""
        wish = _Waiting(stream.id, then)
        if self.machine.book.why_wait(stream.id) is None:
            then()
        else:
            self._waiting.append(wish)
            self._process.later(APPEND_WAITS * PATIENCE_S, self._wait_no_longer, wish)

    def _wait_no_longer(self, wish: "_Waiting") -> None:
        if wish in self._waiting:
            self._waiting.remove(wish)
            wish.then()

    def _append(self, stream: StreamId, operation: Operation) -> None:
        number, entries = next(self._requests), entries_of(operation)
        self._ask(Append(number, stream, entries, self._now_ms()))

    def heed(self, word: Doubted | Trusted | ShownAhead) -> None:
        self._ask(word)

    def follow(self, stream: PlannedStream, *, headers_only: bool = False) -> None:
        self._ask(FollowStream(stream.id, headers_only))

    def unfollow(self, stream: PlannedStream) -> None:
        self._ask(UnfollowStream(stream.id))

    def drop(self, stream: PlannedStream) -> None:
        self._change(Drop(stream.id, 0, self.machine.book.length(stream.id)))

    def fetch(self, stream: PlannedStream) -> None:
        self._change(AskFor(stream.id, 0, self.machine.book.length(stream.id)))

    def _change(self, edit: Edit) -> None:
        if edit.stream in self.machine.book.logs:
            self._ask(Change(next(self._requests), edit))

    def take(self, segment: Segment) -> None:
        """By the path of imports; SegmentSettled(EXPORT) says that it is over."""
        self._ask(OfferedSegment(segment))

    def stop(self, stream: StreamId, reason: str) -> None:
        self._ask(StopStream(stream, reason))

    def resolve(self, resolution: Resolution) -> None:
        self._ask(ResolveStream(resolution))

    def _ask(self, request: object) -> None:
        self._runner.post(m.Requested(request))

    def _now_ms(self) -> int:
        return int(1000 * self._process.site.clock.wall())

    # ---- links ----

    def begin(self, link: Link) -> None:
        self._remotes[link.peer] = StreamRemote(
            link, self._process.site.disk, self.machine.book, self._runner
        )
        self._runner.post(m.Connected(link.peer, link.outgoing))

    def hear(self, link: Link, message: object) -> None:
        self._remotes[link.peer].hear(message)

    def end(self, link: Link) -> None:
        del self._remotes[link.peer]
        self.contents.end(link)
        self._runner.post(m.Disconnected(link.peer))

    # ---- the StreamReplicator's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        if remote := self._remotes.get(to):
            self._process.said_of_streams(to, message)
            if isinstance(message, WantContents):
                self.contents.ask(remote.link, message)
            else:
                remote.carry_out(message)

    def found(self, finding: object) -> None:
        match finding:
            case SegmentSettled(peer) if peer != EXPORT:
                if remote := self._remotes.get(peer):
                    remote.settle()
            case CautionChanged():
                book = self.machine.book
                safe = [each for each in self._waiting if book.why_wait(each.stream) is None]
                for wish in safe:
                    self._wait_no_longer(wish)
            case _:
                for hear in self._listeners:
                    hear(finding)
        self._process.tell(finding)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    stream: StreamId
    then: Callable[[], object]
