"""Replicas of streams, wired as the services wire them, without a clock and without links.

Each has the real machines on a real disk: a StreamBook with a ContentKeeper, and a Gossiper. What
they say to each other waits on the way until it is delivered.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.gossip import messages as g
from qbix_node.gossip.machine import Gossiper
from qbix_node.ports import Rows
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.contents.machine import ContentKeeper
from qbix_node.runtime import verify_checks
from qbix_node.store.database import Database
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams import messages as s
from qbix_node.streams.line import HeadReplaced
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.records import log_key, read_log_state, read_streams
from qbix_node.streams.resolution import read_forks, read_resolutions, read_stopped
from qbix_node.streams.shelf import answer_contents
from qbix_node.streams.switching import LogDropped, ResolveStream
from qbix_node.wire.references import StreamId

STREAMS, GOSSIP = "streams", "gossip"  # the two machines, as of two runners
ROUND_S = 2.6


class Disk(Rows, Protocol):
    def write(self, writes: Sequence[m.Write]) -> None: ...

    def reopen(self) -> None: ...

    def close(self) -> None: ...


class DiskInMemory(MemoryDisk):
    def write(self, writes: Sequence[m.Write]) -> None:
        self.append(writes)
        self.sync()

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


class LevelDisk:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = Database(path, create=True)

    def get(self, key: bytes) -> bytes | None:
        return self._database.get(key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return self._database.scan(start, stop, limit=limit, reverse=reverse)

    def write(self, writes: Sequence[m.Write]) -> None:
        self._database.write(writes, sync=False)

    def reopen(self) -> None:
        self._database.close()
        self._database = Database(self._path)

    def close(self) -> None:
        self._database.close()


@dataclass
class Replica:
    """`fuse`: so many more events are dealt with, and then the power fails."""

    keys: KeyPair
    disk: Disk
    streams: tuple[StreamId, ...]
    others: dict[m.PeerId, "Replica"]  # all that are connected, this one, too
    now: float = 0.0
    fuse: int | None = None
    said: deque[tuple[m.PeerId, object]] = field(default_factory=deque)
    found: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.others[self.peer] = self
        self.start()

    @property
    def peer(self) -> m.PeerId:
        return m.PeerId(self.keys.public)

    def start(self) -> None:
        """With what the disk holds."""
        disk, tokens = self.disk, m.Tokens()
        geneses = read_streams(disk)
        records = {stream: disk.get(log_key(stream)) for stream in geneses}
        logs = {each: read_log_state(log, each) for each, log in records.items() if log}
        stopped, chosen = read_stopped(disk), read_resolutions(disk)
        self.book = StreamBook(self.keys, tokens, geneses, logs, stopped, resolutions=chosen)
        for stream in self.streams:
            self.book.accept(stream)
        every = self.streams.__contains__
        self.keeper = ContentKeeper(tokens, logs, self._holders, replicates=every, whole=every)
        self.gossiper = Gossiper(geneses, logs, read_forks(disk), chosen, self.streams)
        self.timers: dict[tuple[str, str], float] = {}
        self._waiting: deque[tuple[str, m.Event]] = deque()
        self.said.clear()
        self.fuse, self._rng = None, random.Random(1)
        self.do(STREAMS, m.Requested(None))

    def _holders(self, stream: StreamId) -> dict[m.PeerId, int]:
        lengths = {peer: other.book.length(stream) for peer, other in self.others.items()}
        return {peer: length for peer, length in lengths.items() if length and peer != self.peer}

    def meet(self, peer: m.PeerId) -> None:
        for part in (STREAMS, GOSSIP):
            self.do(part, m.Connected(peer, outgoing=True))
        self.do(GOSSIP, m.Requested(g.Announced(peer, self.streams, ())))

    def part(self, peer: m.PeerId) -> None:
        for part in (STREAMS, GOSSIP):
            self.do(part, m.Disconnected(peer))

    # ---- events, and what they lead to ----

    def hear(self, peer: m.PeerId, message: object) -> None:
        match message:
            case c.WantContents(stream, places):
                assert c.read_question(c.encode_question(message)) == message
                answered = answer_contents(self.disk, stream, places)
                self.said.append((peer, c.Contents(answered.contents)))
            case c.Contents():
                self.do(STREAMS, m.Received(peer, c.read_answer(c.encode_answer(message))))
            case _:
                assert isinstance(message, g.Message)
                self.do(GOSSIP, m.Received(peer, g.read_message(g.encode(message))))

    def offer(self, peer: m.PeerId, *segments: s.Segment) -> None:
        """All are there before work on any of them ends."""
        waiting = [(STREAMS, m.Received(peer, s.OfferedSegment(each))) for each in segments]
        self._waiting += waiting
        self._work()

    def do(self, part: str, *events: m.Event) -> None:
        self._waiting += [(part, event) for event in events]
        self._work()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for part, name in [timer for timer, at in self.timers.items() if at <= self.now]:
            del self.timers[part, name]
            self.do(part, m.TimerFired(name))

    def look_for_contents(self) -> None:
        """Peers have told how much they have."""
        for stream in self.streams:
            self._carry_out(STREAMS, self.keeper.wake(stream, self.now))
        self._work()

    def _work(self) -> None:
        while self._waiting and self.fuse != 0:
            self.fuse = None if self.fuse is None else self.fuse - 1
            part, event = self._waiting.popleft()
            if part == GOSSIP:
                self._carry_out(part, self.gossiper.handle(event, self.now, self._rng))
            else:
                self._carry_out(part, self.book.handle(event, self.now, self._rng))
                self._carry_out(part, self.keeper.handle(event, self.now))

    def _carry_out(self, part: str, effects: Sequence[m.Effect]) -> None:
        for effect in effects:
            match effect:
                case m.Send(to, message):
                    self.said.append((to, message))
                case m.Emit(finding):
                    self.found.append(finding)
                    self._follow(finding)
                case m.Verify(token, checks):
                    self._waiting.append((part, m.Verified(token, verify_checks(checks))))
                case m.Ask(token, question):
                    self._waiting.append((part, m.Answered(token, question.answer(self.disk))))
                case m.Persist(token, writes):
                    self.disk.write(writes)
                    self._waiting.append((part, m.Persisted(token)))
                case m.SetTimer(name, at):
                    self.timers[part, name] = at
                case m.Load():
                    raise AssertionError("nothing is loaded by its key")

    def _follow(self, finding: object) -> None:
        """What the services do with it."""
        match finding:
            case s.HeadContradicts(peer, signed):
                self._waiting.append((GOSSIP, m.Requested(g.Contradiction(peer, signed))))
            case HeadReplaced(before):
                self._waiting.append((GOSSIP, m.Requested(g.Replaced(before))))
            case s.Grown(stream, lacking=True):
                self._carry_out(STREAMS, self.keeper.lacks(stream, self.now))
            case LogDropped(stream):
                self.keeper.forget(stream)
            case g.ForkProven(fork):
                self._stop_or_go_on(fork.stream)
            case g.ForkResolved(resolution):
                self._stop_or_go_on(resolution.stream)
            case _:
                pass

    def _stop_or_go_on(self, stream: StreamId) -> None:
        chosen = self.gossiper.resolution(stream)
        if reason := self.gossiper.stopped(stream):
            self.book.stopped[stream] = reason
        elif chosen is not None:
            self._waiting.append((STREAMS, m.Requested(ResolveStream(chosen))))
