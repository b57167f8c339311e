"""A StreamBook on a desk: its effects are carried out when told to, on a disk that can crash."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.runtime.runner import verify_checks
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.streams.caution import Trusted
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.messages import (
    Append,
    Appended,
    AppendRefused,
    Create,
    NewEntry,
    OfferedSegment,
    Segment,
    SegmentRefused,
    SegmentSettled,
    SegmentSkipped,
    SignedHead,
)
from qbix_node.streams.records import (
    LogState,
    log_key,
    read_leaves,
    read_log_state,
    read_streams,
)
from qbix_node.streams.resolution import Resolution, put_resolution, read_resolutions
from qbix_node.streams.switching import ResolveStream
from qbix_node.wire.references import StreamId
from tests.streams.logs import BOB, START_MS

PETE = m.PeerId(b"pete".ljust(32, b"."))
QUIN = m.PeerId(b"quin".ljust(32, b"."))

Finding = TypeVar("Finding")


class CountingKeys(KeyPair):
    """Counts what it signs."""

    signed = 0

    def sign(self, body: bytes) -> bytes:
        CountingKeys.signed += 1
        return super().sign(body)


@dataclass
class Desk:
    """Bob's."""

    accepted: list[StreamId] = field(default_factory=list)
    keys: KeyPair = BOB
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    stopped: dict[StreamId, str] = field(default_factory=dict)
    found: list[object] = field(default_factory=list)
    checks_made: int = 0
    batches: int = 0
    settled: Counter[m.PeerId] = field(default_factory=Counter)
    _requests: Iterable[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As after a crash: what was not synced is gone, and so is all that was in memory."""
        self.disk.withdraw()
        geneses = read_streams(MemoryStore(self.disk))
        logs = {stream: self.stored(stream) for stream in geneses if self.disk.get(log_key(stream))}
        keys = CountingKeys(self.keys.public, self.keys.secret)
        chosen = read_resolutions(self.disk)
        self.book = StreamBook(keys, m.Tokens(), geneses, logs, self.stopped, resolutions=chosen)
        for stream in self.accepted:
            self.book.accept(stream)
        self.questions: list[m.Ask] = []
        self.checks: list[m.Verify] = []
        self.writes: list[m.Persist] = []
        CountingKeys.signed = 0

    # ---- what comes in ----

    def tell(self, event: m.Event) -> tuple[m.Effect, ...]:
        effects = self.book.handle(event, 0.0, random.Random(1))
        for effect in effects:
            match effect:
                case m.Ask():
                    self.questions.append(effect)
                case m.Verify():
                    assert effect.checks
                    self.checks.append(effect)
                    self.checks_made += len(effect.checks)
                case m.Persist():
                    self.writes.append(effect)
                    self.batches += 1
                case m.Emit(SegmentSettled(peer)):
                    self.settled[peer] += 1
                case m.Emit(finding):
                    self.found.append(finding)
                case other:
                    raise AssertionError(other)
        return effects

    def offer(self, *segments: Segment, peer: m.PeerId = PETE) -> None:
        for segment in segments:
            self.tell(m.Received(peer, OfferedSegment(segment)))

    def create(self, genesis: Genesis, stamp_ms: int = START_MS) -> int:
        request = next(iter(self._requests))
        self.tell(m.Requested(Create(request, genesis, stamp_ms)))
        return request

    def append(
        self, stream: StreamId, *contents: bytes, kind: str = "note", stamp_ms: int = START_MS
    ) -> int:
        """Without contents, one that says which wish it is."""
        request = next(iter(self._requests))
        entries = [NewEntry(kind, content) for content in contents or (b"wish %d" % request,)]
        self.tell(m.Requested(Append(request, stream, tuple(entries), stamp_ms)))
        return request

    def trust(self, stream: StreamId) -> None:
        """A peer has said that it has no more of it."""
        self.tell(m.Requested(Trusted(stream)))

    def resolve(self, resolution: Resolution) -> None:
        """It is durable, as it is before a book hears of it."""
        self.disk.append([put_resolution(resolution)])
        self.disk.sync()
        self.tell(m.Requested(ResolveStream(resolution)))

    # ---- slow work, carried out when told to ----

    def look(self) -> None:
        for asked in _drain(self.questions):
            self.tell(m.Answered(asked.token, asked.question.answer(self.disk)))

    def verify(self) -> None:
        for check in _drain(self.checks):
            self.tell(m.Verified(check.token, verify_checks(check.checks)))

    def sync(self) -> None:
        for write in _drain(self.writes):
            self.disk.append(write.writes)
            self.disk.sync()
            self.tell(m.Persisted(write.token))

    def settle(self) -> None:
        """Carry out everything, until nothing is left to do."""
        while self.questions or self.checks or self.writes:
            self.look()
            self.verify()
            self.sync()

    # ---- what came of it ----

    def stored(self, stream: StreamId) -> LogState:
        record = self.disk.get(log_key(stream))
        assert record is not None
        return read_log_state(record, stream)

    def leaves(self, stream: StreamId) -> list[bytes]:
        return read_leaves(self.disk, stream, 0, 2**29)

    def head(self, stream: StreamId) -> SignedHead:
        return self.book.logs[stream].signed

    def findings(self, kind: type[Finding]) -> list[Finding]:
        return [finding for finding in self.found if isinstance(finding, kind)]

    @property
    def signed(self) -> int:
        """Heads since the start."""
        return CountingKeys.signed

    @property
    def appended(self) -> list[int]:
        return [each.request for each in self.findings(Appended)]

    @property
    def refusals(self) -> list[str]:
        return [each.reason for each in self.findings(AppendRefused)]

    @property
    def refused(self) -> list[str]:
        return [each.reason for each in self.findings(SegmentRefused)]

    @property
    def skipped(self) -> int:
        return len(self.findings(SegmentSkipped))


def _drain(work: list[Finding]) -> list[Finding]:
    taken, work[:] = list(work), []
    return taken
